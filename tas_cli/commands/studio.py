"""``tas studio``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tas_cli.commands.models import shipped
from tas_cli.options import Device, choice

if TYPE_CHECKING:
    from tas_core.studio.app import Command


def studio(
    audio: Path | None = typer.Argument(
        None, metavar="AUDIO", show_default=False, help="Audio or video file; none where all sounds are given."
    ),
    scene: Path | None = typer.Option(
        None,
        "--timeline",
        "-t",
        metavar="FILE",
        help="Prompts with times, new or not: yaml, srt, vtt, txt.  [default: the one beside AUDIO]",
    ),
    objects: list[str] = typer.Option(
        None, "--object", metavar="NAME=FILE", show_default=False, help="Sound of an object, placed as it is; repeat."
    ),
    port: int = typer.Option(0, min=0, max=65_535, help="Port of this machine; 0 is any that is free."),
    browser: bool = typer.Option(True, "--browser/--no-browser", help="Open the page, or only print its address."),
    model: str = typer.Option("slots", help="Name of a shipped model, or a checkpoint folder.", autocompletion=shipped),
    device: Device = choice("auto", help="Where the model computes."),
) -> None:
    """Place sounds on a page of this machine, and hear it at once; Ctrl-C ends it."""
    from tas_cli.output.studio import print_address
    from tas_core.jobs.sources import named_sources
    from tas_core.jobs.spatialize import JobSettings
    from tas_core.studio.server import StudioRequest, run_studio

    given = objects or []

    def command(path: Path) -> Command:
        def words(out: str, formats: Sequence[str]) -> str:
            said = ["tas", "spatialize", *([str(audio)] if audio else []), "-t", str(path)]
            said += [word for text in given for word in ("--object", text)]
            said += [word for name in formats for word in ("--format", name)]
            said += ["--model", model] if model != "slots" else []
            return shlex.join([*said, "-o", str(path.parent / out)])

        return words

    request = StudioRequest(audio, scene, named_sources(given), port)
    run_studio(request, JobSettings(model_name=model, device=device), command, lambda at: print_address(at, browser))

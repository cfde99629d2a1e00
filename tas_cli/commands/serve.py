"""``tas serve``."""

from __future__ import annotations

from pathlib import Path

import typer

from tas_cli.commands.models import shipped
from tas_cli.options import Device, choice

_LIMITS, _FILES = "Limits", "Files"


def serve(
    listen: str = typer.Option(
        "127.0.0.1:8765",
        metavar="ADDRESS",
        help="unix:PATH, or a port that no other machine reaches; port 0 is any free one.",
    ),
    model: str = typer.Option("slots", help="Name of a shipped model, or a checkpoint folder.", autocompletion=shipped),
    device: Device = choice("auto", help="Where the model computes."),
    hrtf: Path | None = typer.Option(
        None, metavar="FILE", help="SOFA file of the head to hear with.  [default: built in]"
    ),
    jobs: int = typer.Option(
        1,
        "--jobs",
        "-j",
        min=1,
        help="Requests worked on at once; each takes the memory of a model.",
        rich_help_panel=_LIMITS,
    ),
    waiting: int = typer.Option(
        8, min=0, help="Further requests that wait; more are refused with 503.", rich_help_panel=_LIMITS
    ),
    max_megabytes: float = typer.Option(256.0, min=0.01, max=1e9, help="Size of a request.", rich_help_panel=_LIMITS),
    max_minutes: float = typer.Option(10.0, min=0.001, help="Length of a sound.", rich_help_panel=_LIMITS),
    max_seconds: float = typer.Option(
        600.0, min=0.1, help="Seconds that a request may be worked on.", rich_help_panel=_LIMITS
    ),
    max_memory: int = typer.Option(
        2048, min=64, help="MiB that a request may take beside the model.", rich_help_panel=_LIMITS
    ),
    upload_seconds: float = typer.Option(
        60.0, min=0.1, help="Seconds that the bytes of a request may take to come.", rich_help_panel=_LIMITS
    ),
    allow_read: list[Path] = typer.Option(
        [],
        metavar="DIR",
        show_default=False,
        help="Folder that requests may name inputs in; repeat.  [default: none]",
        rich_help_panel=_FILES,
    ),
    allow_write: list[Path] = typer.Option(
        [],
        metavar="DIR",
        show_default=False,
        help="Folder that requests may name outputs in; repeat.  [default: none]",
        rich_help_panel=_FILES,
    ),
) -> None:
    """Keep a model loaded and spatialize for programs of this machine, over HTTP; Ctrl-C ends it."""
    from tas_cli.output.serve import print_ready, print_trouble
    from tas_core.jobs.request import FileOptions
    from tas_core.jobs.spatialize import JobSettings
    from tas_core.serving.run import serve as run_server
    from tas_core.serving.settings import Address, Folders, Limits

    limits = Limits(
        jobs,
        waiting,
        round(max_megabytes * 1e6),
        60 * max_minutes,
        max_seconds,
        max_memory * 2**20,
        upload_seconds,
    )
    run_server(
        Address.read(listen),
        JobSettings(FileOptions(hrtf=hrtf), model, device),
        limits,
        Folders.of(allow_read, allow_write),
        ready=print_ready,
        tell=print_trouble,
    )

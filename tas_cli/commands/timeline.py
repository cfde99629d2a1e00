"""``tas timeline``."""

from __future__ import annotations

from pathlib import Path

import typer

from tas_cli.output.json_lines import print_json
from tas_core.audio.reader import audio_duration_s

app = typer.Typer(
    help="Look into timelines, and convert them: YAML, SubRip, WebVTT, Audacity labels.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def timeline() -> None:
    """Look into timelines, and convert them: YAML, SubRip, WebVTT, Audacity labels."""


@app.command("check")
def check(
    path: Path = typer.Argument(..., metavar="FILE", help="Timeline: .yaml, .yml, .srt, .vtt or .txt."),
    audio: Path | None = typer.Option(None, help="Audio that it is for; its length closes the last end."),
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object on stdout."),
) -> None:
    """Say what was understood: segments, objects, azimuths, and time without a prompt."""
    from tas_core.timeline.check import check_timeline

    result = check_timeline(path, None if audio is None else audio_duration_s(audio))
    if json_output:
        print_json(result.as_dict())
        return
    from tas_cli.output.timeline import print_check

    print_check(result)


@app.command("convert")
def convert(
    source: Path = typer.Argument(..., metavar="IN", help="Timeline: .yaml, .yml, .srt, .vtt or .txt."),
    out: Path = typer.Argument(..., metavar="OUT", help="Timeline to write; the ending sets the format."),
    force: bool = typer.Option(False, "--force", help="Overwrite an existing output."),
) -> None:
    """Write a timeline in another format; times are kept to 1 ms, comments and styles are not."""
    from tas_core.timeline.files import convert_timeline

    convert_timeline(source, out, overwrite=force)
    typer.echo(str(out))

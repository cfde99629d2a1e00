"""``tas timeline``."""

from __future__ import annotations

from pathlib import Path

import typer

from tas_cli.command import Commands
from tas_cli.options import AsJson, Force

app = Commands(
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
    audio: Path | None = typer.Option(
        None, metavar="FILE", help="Audio that it is for; its length closes the last end."
    ),
    strict: bool = typer.Option(
        False, "--strict", help="Refuse names that look misspelt or unknown, in place of a warning."
    ),
    json_output: AsJson = False,
) -> None:
    """Say what was understood: segments, objects, azimuths, and time without a prompt."""
    from tas_cli.output.json_lines import ResultOutput
    from tas_cli.output.timeline import print_check
    from tas_core.audio.reader import audio_duration_s
    from tas_core.errors import EncoderError
    from tas_core.models.text_encoders.minilm_words import MiniLMWords
    from tas_core.timeline.check import check_timeline

    try:
        knows = MiniLMWords().knows
    except EncoderError:  # not installed: a timeline can be read all the same
        knows = None
    duration_s = None if audio is None else audio_duration_s(audio)
    found = check_timeline(path, duration_s, strict=strict, knows=knows)
    ResultOutput(json_output).put(found.as_dict(), lambda: print_check(found))


@app.command("convert")
def convert(
    source: Path = typer.Argument(..., metavar="IN", help="Timeline: .yaml, .yml, .srt, .vtt or .txt."),
    out: Path = typer.Option(..., "--out", "-o", metavar="FILE", help="Timeline to write; the ending sets the format."),
    force: Force = False,
) -> None:
    """Write a timeline in another format; times are kept to 1 ms, comments and styles are not."""
    from tas_cli.output.terminal import print_paths
    from tas_core.timeline.files import convert_timeline

    convert_timeline(source, out, overwrite=force)
    print_paths(out)

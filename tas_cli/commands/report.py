"""``tas report``."""

from __future__ import annotations

from pathlib import Path

import typer

from tas_cli.options import Force, moment


def report(
    output: Path = typer.Argument(..., metavar="OUTPUT", help="Binaural file, two channels."),
    source: Path = typer.Option(..., "--source", "-s", metavar="FILE", help="Audio file that OUTPUT was made of."),
    timeline: Path = typer.Option(
        ..., "--timeline", "-t", metavar="FILE", help="Prompts with times that OUTPUT was made by: yaml, srt, vtt, txt."
    ),
    out: Path = typer.Option(..., "--out", "-o", metavar="FILE", help="HTML file to write."),
    stem: list[str] = typer.Option(
        [], metavar="OBJECT=FILE", help="An object's estimated stem, to measure its places by; repeat."
    ),
    start: float | None = moment(
        None,
        help="Where OUTPUT begins in the source, such as 83.5 or 1:23.5, if it is a passage.",
    ),
    channel: int | None = typer.Option(
        None, min=1, help="Channel of the source that OUTPUT was made of, counted from 1.  [default: all, mixed down]"
    ),
    track: int | None = typer.Option(
        None, min=1, help="Audio track of the source, counted from 1.  [default: the source's default]"
    ),
    provenance: Path | None = typer.Option(
        None, metavar="FILE", help="JSON object to show: how OUTPUT was made, as 'tas spatialize --json' prints it."
    ),
    force: Force = False,
) -> None:
    """Make one HTML page about one output: listen, compare, requested and measured places, levels."""
    from tas_cli.options import named_paths
    from tas_cli.output.report import print_page
    from tas_core.reporting.report.page import ReportedOutput, report_file

    stems = named_paths(stem, "--stem", "OBJECT=FILE", "object")
    about = ReportedOutput(output, source, stems, start, channel, track)
    page = report_file(out, about, timeline, provenance_path=provenance, overwrite=force)
    print_page(page)

"""``tas plot``."""

from __future__ import annotations

from pathlib import Path

import typer

from tas_cli.options import Force, PlotKind, choice, seconds


def plot(
    sources: list[Path] = typer.Argument(..., metavar="AUDIO...", help="Binaural files, two channels each."),
    kind: PlotKind = choice(..., "--kind", "-k", help="What to draw, see docs/PLOTS.md."),
    out: Path = typer.Option(..., "--out", "-o", metavar="FILE", help="Picture to write: .png, .svg or .pdf."),
    timeline: list[Path] = typer.Option(
        [],
        "--timeline",
        "-t",
        metavar="FILE",
        help="Prompts with times to show below: yaml, srt, vtt, txt; one for all sounds, or one for each in turn.",
    ),
    start: float = typer.Option(
        0.0,
        parser=seconds,
        metavar="TIME",
        help="Where the sounds begin in what they are passages of, such as 1:23.5; times are those of the whole.",
    ),
    reference: Path | None = typer.Option(None, metavar="FILE", help="Binaural file to compare with."),
    csv: Path | None = typer.Option(None, metavar="FILE", help="Also write the numbers of the picture as a table."),
    label: list[str] = typer.Option(
        [], help="Name of each sound in turn, and of the reference.  [default: file names]"
    ),
    title: str = typer.Option("", help="Title of the picture."),
    force: Force = False,
) -> None:
    """Draw how binaural files sound over time, with their prompts."""
    import logging

    from tas_cli.output.terminal import print_paths
    from tas_core.reporting.plots.files import PlottedFiles, plot_files

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it talks about its font cache on first use
    files = PlottedFiles(sources, timeline, reference, label, start)
    plot_files(files, out, kind, csv_out=csv, title=title, overwrite=force)
    print_paths(out, csv)

"""``tas data``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer

app = typer.Typer(
    help="Make training material and data sets, and look into them.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def data() -> None:
    """Make training material and data sets, and look into them."""


@app.command("bank")
def bank(
    out: Path = typer.Option(..., "--out", "-o", help="Folder to write; what is in it already is kept."),
    clips: int = typer.Option(4, min=1, help="Clips per category and source."),
    length: float = typer.Option(8.0, min=3.0, max=60.0, help="Length of a clip in seconds."),
    rooms: int = typer.Option(500, min=4, help="Simulated rooms."),
    seed: int = typer.Option(0, min=0, help="Seed of melodies and rooms."),
    jobs: int = typer.Option(2, "--jobs", "-j", min=1, help="Processes."),
    text_encoder: str = typer.Option("minilm", help="Encoder of the phrases: minilm, clip, bert or t5."),
) -> None:
    """Render dry stems of every category, simulate rooms and encode phrases, for 'tas train'."""
    from tas_core.datasets.mixing.material import build_material
    from tas_core.models.text_encoders.registry import build_text_encoder

    build_material(
        out,
        clips_per_source=clips,
        length_s=length,
        rooms=rooms,
        seed=seed,
        jobs=jobs,
        encode=build_text_encoder(text_encoder),
        encoder_name=text_encoder,
        progress=lambda done, total, name: typer.echo(f"{done}/{total} {name}", err=True),
    )
    typer.echo(str(out))


@app.command("simulate")
def simulate(
    out: Path = typer.Option(..., "--out", "-o", help="Folder to write; complete clips in it are kept."),
    clips: int = typer.Option(1871, min=1, max=999_999, help="Clips of the whole data set, as many as FAIR-Play has."),
    seed: int = typer.Option(0, min=0, max=10**9, help="Seed of everything random."),
    rate: int = typer.Option(48000, min=8000, max=48000, help="Sample rate in Hz."),
    split: str = typer.Option("all", help="Make only this part: train, val or test; or all."),
    jobs: int = typer.Option(2, "--jobs", "-j", min=1, help="Processes."),
) -> None:
    """Simulate binaural clips with stems and annotations (TASBench-Sim)."""
    from tas_cli.output.progress import progress_bar
    from tas_core.datasets.sources.catalogue import SPLITS
    from tas_core.datasets.tasbench.simulation import simulate as run
    from tas_core.errors import InputError

    parts = SPLITS if split == "all" else tuple(s for s in SPLITS if s == split)
    if not parts:
        raise InputError(f"unknown split '{split}'; expected train, val, test or all")
    with progress_bar("simulate") as progress:
        run(out, clips, seed=seed, rate_hz=rate, splits=parts, jobs=jobs, progress=progress)
    typer.echo(str(out))


@app.command("pack")
def pack(
    source: Path = typer.Argument(..., metavar="SRC", help="Folder made by 'tas data bank'."),
    out: Path = typer.Argument(..., metavar="DST", help="Folder to make."),
    megabytes: float = typer.Option(30.0, min=0.1, help="Largest size of everything in it."),
    excerpt: float = typer.Option(4.0, min=0.5, max=60.0, help="Length of a clip in seconds."),
    rooms: int = typer.Option(500, min=4, help="Rooms to simulate where the folder is opened."),
    seed: int = typer.Option(0, min=0, help="Seed of the rooms."),
    test: bool = typer.Option(False, "--test", help="Take test sources along, too."),
) -> None:
    """Make a small copy of training material, with coded clips, for a machine that takes few bytes."""
    from tas_core.datasets.mixing.packing import pack_material

    pack_material(
        source,
        out,
        megabytes=megabytes,
        excerpt_s=excerpt,
        rooms=rooms,
        seed=seed,
        with_test=test,
        progress=lambda message: typer.echo(message, err=True),
    )
    typer.echo(str(out))


@app.command("import")
def import_annotations(
    audio_root: Path = typer.Argument(
        ..., metavar="DIR", help="Data set in FAIR-Play's layout: binaural_audios, splits."
    ),
    annotations: Path = typer.Option(..., help=".jsonl or .csv of clip, time and text, ten texts a second."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Where 'timelines' is made. [default: the data set]"),
    overwrite: bool = typer.Option(False, "--force", "--overwrite", help="Overwrite existing timelines."),
) -> None:
    """Make a timeline for every clip from dense annotations."""
    from tas_core.datasets.tasbench.annotations import import_annotations
    from tas_core.datasets.tasbench.layout import TasBench

    report = import_annotations(TasBench(audio_root), annotations, out=out, overwrite=overwrite)
    typer.echo(f"{len(report.timelines)} timelines from {report.frames} annotations", err=True)
    if report.late:
        typer.echo(f"{report.late} annotations after the end of their clips were left out", err=True)
    if report.silent:
        typer.echo(f"{len(report.silent)} clips have no timeline, nothing sounds: {_some(report.silent)}", err=True)
    if report.unannotated:
        typer.echo(f"{len(report.unannotated)} clips are not annotated: {_some(report.unannotated)}", err=True)
    typer.echo(str(report.folder))


@app.command("check")
def check(
    folder: Path = typer.Argument(..., metavar="DIR", help="Data set in TASBench's layout."),
    jobs: int = typer.Option(2, "--jobs", "-j", min=1, help="Processes."),
    json_file: Path | None = typer.Option(None, "--json", help="Also write the problems here."),
) -> None:
    """Find what is wrong with a data set; exit code 1 if it has an error."""
    from tas_cli.output.progress import progress_bar
    from tas_core.datasets.tasbench.checking import check_dataset
    from tas_core.datasets.tasbench.layout import TasBench
    from tas_core.system.files import check_new_file

    data = TasBench(folder)
    if json_file:
        check_new_file(json_file, overwrite=True)
    with progress_bar("check") as progress:
        problems = check_dataset(data, jobs=jobs, progress=progress)
    for problem in problems:
        typer.echo(str(problem))
    errors = sum(problem.severity == "error" for problem in problems)
    summary = {"clips": len(data.clips()), "errors": errors, "warnings": len(problems) - errors}
    if json_file:
        _write_json(json_file, {**summary, "problems": [asdict(problem) for problem in problems]})
    typer.echo(", ".join(f"{count} {name}" for name, count in summary.items()), err=True)
    if errors:
        raise typer.Exit(1)


@app.command("stats")
def stats(
    folder: Path = typer.Argument(..., metavar="DIR", help="Data set in TASBench's layout."),
    jobs: int = typer.Option(2, "--jobs", "-j", min=1, help="Processes."),
    json_file: Path | None = typer.Option(None, "--json", help="Also write the figures here."),
    figure: Path | None = typer.Option(None, help="Also draw them: .png, .svg or .pdf."),
) -> None:
    """Count categories, objects, directions and annotations of a data set."""
    from tas_cli.output.progress import progress_bar
    from tas_cli.output.statistics import print_statistics
    from tas_core.datasets.tasbench.layout import TasBench
    from tas_core.datasets.tasbench.statistics import dataset_statistics
    from tas_core.reporting.plots.statistics import check_figure_path, draw_statistics
    from tas_core.system.files import check_new_file

    data = TasBench(folder)
    if json_file:
        check_new_file(json_file, overwrite=True)
    if figure:
        check_figure_path(figure)
    with progress_bar("stats") as progress:
        statistics = dataset_statistics(data, jobs=jobs, progress=progress)
    print_statistics(statistics)
    if json_file:
        _write_json(json_file, statistics.as_dict())
    if figure:
        draw_statistics(statistics, figure)


def _some(clips: Sequence[str]) -> str:
    return ", ".join(clips[:5]) + (", ..." if len(clips) > 5 else "")


def _write_json(path: Path, value: object) -> None:
    import json

    from tas_core.system.files import write_files

    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    write_files({path: (text + "\n").encode("utf-8", "backslashreplace")})

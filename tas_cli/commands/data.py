"""``tas data``."""

from __future__ import annotations

from pathlib import Path

import typer

from tas_cli.command import Commands
from tas_cli.options import AsJson, Force, Jobs, Save, SplitOrAll, TextEncoder, choice

app = Commands(
    help="Make training material and data sets, and look into them.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def data() -> None:
    """Make training material and data sets, and look into them."""


@app.command("bank")
def bank(
    context: typer.Context,
    out: Path = typer.Option(..., "--out", "-o", metavar="DIR", help="Folder to write; what is in it already is kept."),
    clips: int = typer.Option(4, min=1, help="Clips per category and source."),
    length: float = typer.Option(8.0, min=3.0, max=60.0, help="Length of a clip in seconds."),
    rooms: int = typer.Option(500, min=4, help="Simulated rooms."),
    seed: int = typer.Option(0, min=0, help="Seed of melodies and rooms."),
    jobs: Jobs = None,
    recordings: Path | None = typer.Option(
        None, metavar="DIR", help="Made by scripts/install-training-material.sh: render its recordings, too."
    ),
    text_encoder: TextEncoder = choice("minilm", help="Encoder of the phrases."),
) -> None:
    """Render dry stems of every category, simulate rooms and encode phrases, for 'tas train'."""
    from tas_cli.output.data import material_progress
    from tas_cli.output.terminal import print_paths
    from tas_core.datasets.mixing.bank import BankSettings
    from tas_core.datasets.mixing.material import build_material
    from tas_core.models.text_encoders.registry import build_text_encoder
    from tas_core.system.processes import usable_cores

    build_material(
        out,
        BankSettings(clips_per_source=clips, length_s=length, seed=seed, recordings=recordings),
        rooms=rooms,
        jobs=jobs or usable_cores(),
        encode=build_text_encoder(text_encoder),
        encoder_name=text_encoder,
        progress=material_progress(context.obj),
    )
    print_paths(out)


@app.command("simulate")
def simulate(
    context: typer.Context,
    out: Path = typer.Option(..., "--out", "-o", metavar="DIR", help="Folder to write; complete clips in it are kept."),
    clips: int = typer.Option(1871, min=1, max=999_999, help="Clips of the whole data set, as many as FAIR-Play has."),
    seed: int = typer.Option(0, min=0, max=10**9, help="Seed of everything random."),
    rate: int = typer.Option(48000, min=8000, max=48000, help="Sample rate in Hz."),
    split: SplitOrAll = choice("all", help="Make only this part."),
    sphere: bool = typer.Option(
        False, "--sphere", help="Places all around, near and far, and in rooms (docs/TASBENCH_SIM.md)."
    ),
    hrtf: Path | None = typer.Option(
        None, metavar="FILE", help="A head that was measured all around (SOFA).  [default: KEMAR]"
    ),
    jobs: Jobs = None,
) -> None:
    """Simulate binaural clips with stems and annotations (TASBench-Sim)."""
    from tas_cli.output.progress import progress_bar
    from tas_cli.output.terminal import print_paths
    from tas_core.datasets.sources.catalogue import SPLITS
    from tas_core.datasets.tasbench.simulation import SimulatedClips, make_clips
    from tas_core.datasets.tasbench.sphere_simulation import SphereClips
    from tas_core.system.processes import usable_cores

    parts = SPLITS if split == "all" else (split,)
    recipe = (SphereClips if sphere else SimulatedClips)(seed, rate, hrtf)
    recipe.head()
    with progress_bar("simulate", context.obj) as progress:
        make_clips(out, recipe, clips, splits=parts, jobs=jobs or usable_cores(), progress=progress)
    print_paths(out)


@app.command("realbench")
def realbench(
    context: typer.Context,
    recordings: Path = typer.Option(..., metavar="DIR", help="Made by scripts/install-realbench.sh."),
    out: Path = typer.Option(..., "--out", "-o", metavar="DIR", help="Folder to write; complete clips in it are kept."),
    clips: int = typer.Option(120, min=1, max=999_999, help="Clips of the whole data set."),
    seed: int = typer.Option(0, min=0, max=10**9, help="Seed of everything random."),
    rate: int = typer.Option(48000, min=8000, max=48000, help="Sample rate in Hz."),
    jobs: Jobs = None,
) -> None:
    """Place real recordings that no training uses, with stems and annotations (RealBench)."""
    from tas_cli.output.progress import progress_bar
    from tas_cli.output.terminal import print_paths
    from tas_core.datasets.tasbench.realbench import realbench as run
    from tas_core.system.processes import usable_cores

    with progress_bar("realbench", context.obj) as progress:
        run(out, recordings, clips, seed=seed, rate_hz=rate, jobs=jobs or usable_cores(), progress=progress)
    print_paths(out)


@app.command("pack")
def pack(
    context: typer.Context,
    source: Path = typer.Argument(..., metavar="SRC", help="Folder made by 'tas data bank'."),
    out: Path = typer.Option(..., "--out", "-o", metavar="DIR", help="Folder to make."),
    megabytes: float = typer.Option(30.0, min=0.1, max=1e9, help="Largest size of everything in it."),
    excerpt: float = typer.Option(4.0, min=0.5, max=60.0, help="Length of a clip in seconds."),
    rooms: int = typer.Option(500, min=4, help="Rooms to simulate where the folder is opened."),
    seed: int = typer.Option(0, min=0, help="Seed of the rooms."),
    test: bool = typer.Option(False, "--test", help="Take test sources along, too."),
) -> None:
    """Make a small copy of training material, with coded clips, for a machine that takes few bytes."""
    from tas_cli.output.data import packing_progress
    from tas_cli.output.terminal import print_paths
    from tas_core.datasets.mixing.packing import PackSettings, pack_material

    pack_material(
        source,
        out,
        PackSettings(megabytes=megabytes, excerpt_s=excerpt, rooms=rooms, seed=seed, with_test=test),
        progress=packing_progress(context.obj),
    )
    print_paths(out)


@app.command("import")
def import_annotations(
    audio_root: Path = typer.Argument(
        ..., metavar="DIR", help="Data set in FAIR-Play's layout: binaural_audios, splits."
    ),
    annotations: Path = typer.Option(
        ..., metavar="FILE", help=".jsonl or .csv of clip, time and text, ten texts a second."
    ),
    out: Path | None = typer.Option(
        None, "--out", "-o", metavar="DIR", help="Where 'timelines' is made.  [default: the data set]"
    ),
    force: bool = typer.Option(False, "--force", help="Overwrite existing timelines."),
) -> None:
    """Make a timeline for every clip from dense annotations."""
    from tas_cli.output.data import print_import
    from tas_core.datasets.tasbench.annotations import import_annotations
    from tas_core.datasets.tasbench.layout import TasBench

    print_import(import_annotations(TasBench(audio_root), annotations, out=out, overwrite=force))


@app.command("check")
def check(
    context: typer.Context,
    folder: Path = typer.Argument(..., metavar="DIR", help="Data set in TASBench's layout."),
    jobs: Jobs = None,
    json_output: AsJson = False,
    save: Save = None,
    force: Force = False,
) -> None:
    """Find what is wrong with a data set; exit code 1 if it has an error."""
    from tas_cli.output.data import put_problems
    from tas_cli.output.json_lines import ResultOutput
    from tas_cli.output.progress import progress_bar
    from tas_core.datasets.tasbench.checking import check_dataset
    from tas_core.datasets.tasbench.layout import TasBench
    from tas_core.system.processes import usable_cores

    data = TasBench(folder)
    output = ResultOutput(json_output, save, force)
    output.check()
    with progress_bar("check", context.obj) as progress:
        problems = check_dataset(data, jobs=jobs or usable_cores(), progress=progress)
    put_problems(problems, len(data.clips()), output)
    if any(problem.severity == "error" for problem in problems):
        raise typer.Exit(1)


@app.command("stats")
def stats(
    context: typer.Context,
    folder: Path = typer.Argument(..., metavar="DIR", help="Data set in TASBench's layout."),
    jobs: Jobs = None,
    figure: Path | None = typer.Option(None, metavar="FILE", help="Also draw the figures: .png, .svg or .pdf."),
    json_output: AsJson = False,
    save: Save = None,
    force: Force = False,
) -> None:
    """Count categories, objects, directions and annotations of a data set."""
    from tas_cli.output.json_lines import ResultOutput
    from tas_cli.output.progress import progress_bar
    from tas_cli.output.statistics import print_statistics
    from tas_core.datasets.tasbench.layout import TasBench
    from tas_core.datasets.tasbench.statistics import dataset_statistics
    from tas_core.errors import InputError
    from tas_core.reporting.plots.statistics import check_figure_path, draw_statistics
    from tas_core.system.files import same_file
    from tas_core.system.processes import usable_cores

    data = TasBench(folder)
    output = ResultOutput(json_output, save, force)
    output.check()
    if figure:
        check_figure_path(figure, overwrite=force)
        if save is not None and same_file(save, figure):
            raise InputError(f"{figure}: the picture and the results are one file, expected two names")
    with progress_bar("stats", context.obj) as progress:
        statistics = dataset_statistics(data, jobs=jobs or usable_cores(), progress=progress)
    output.put(statistics.as_dict(), lambda: print_statistics(statistics))
    if figure:
        draw_statistics(statistics, figure, overwrite=force)

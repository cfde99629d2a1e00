"""``tas eval``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tas_cli.command import Commands
from tas_cli.options import (
    Also,
    AlsoOfData,
    AnyStft,
    AsJson,
    Captions,
    Device,
    Force,
    Jobs,
    Names,
    NoNormalise,
    Save,
    Split,
    choice,
)

if TYPE_CHECKING:
    from tas_core.evaluation.systems import SystemSpec

app = Commands(help="Say in numbers how good outputs or models are.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def evaluate() -> None:
    """Say in numbers how good outputs or models are; everything is measured at 16 kHz."""


@app.command("files", short_help="Score binaural files against references.")
def files(
    context: typer.Context,
    prediction: Path = typer.Argument(..., metavar="PRED", help="Binaural file or folder to score."),
    reference: Path = typer.Argument(..., metavar="REF", help="The truth: a file, or a folder of such."),
    no_normalise: NoNormalise = False,
    stft: AnyStft = "short",
    also: Also = [],  # noqa: B006 (read once, by typer)
    seed: int = typer.Option(0, min=0, help="Seed of the intervals."),
    json_output: AsJson = False,
    save: Save = None,
    force: Force = False,
) -> None:
    """Score binaural files against references.

    Files are matched by their stems. Pairs of different length (up to 20 ms is cut), with other than two channels,
    with samples that are no numbers, with a silent reference or without a partner are named and left out.
    """
    from tas_cli.output.evaluation import put_evaluation
    from tas_cli.output.json_lines import ResultOutput
    from tas_cli.output.progress import progress_bar
    from tas_core.evaluation.files import evaluate_files

    output = ResultOutput(json_output, save, force)
    output.check([prediction, reference])
    with progress_bar("eval", context.obj) as progress:
        found = evaluate_files(
            prediction, reference, normalise=not no_normalise, stft=stft, also=also, seed=seed, progress=progress
        )
    put_evaluation(found, output)


@app.command("data", short_help="Compare systems on a data set.")
def data(
    context: typer.Context,
    folder: Path = typer.Argument(..., metavar="DIR", help="Data set in TASBench's layout."),
    model: list[str] = typer.Option(
        [],
        "--model",
        "-m",
        metavar="[NAME=]SYSTEM[@STEPS]",
        help="A shipped model, a checkpoint folder, mono, truth, pan, hrtf, oracle-mask, oracle-direct, sources, "
        "sources-asked, sources-plane, or NAME=command:WORDS for any program (docs/EVALUATION.md); repeat. Differences "
        "are to the first.  [default: slots, mono, truth]",
    ),
    split: Split = choice("test", help="Part of the data set."),
    fold: int = typer.Option(1, min=1, help="Which of its splits, 1 to 10 in FAIR-Play."),
    folds: bool = typer.Option(False, "--folds", help="All of its splits."),
    captions: Captions = choice("own", help="The data set's own, or how to word simulated clips anew."),
    names: Names = choice("trained", help="Names of objects; held-out are synonyms that training never sees."),
    steps: int | None = typer.Option(None, min=1, max=1000, help="Diffusion steps of models without @STEPS."),
    clips: int | None = typer.Option(None, min=1, help="Draw so many clips.  [default: all]"),
    control: bool = typer.Option(
        False, "--control", help="Also mirror, center and exchange prompts, and add a name: up to 4 more passes."
    ),
    control_clips: int = typer.Option(24, min=1, help="Clips for --control at most."),
    out: Path | None = typer.Option(
        None, "--out", "-o", metavar="DIR", help="Folder to keep results in; a later run goes on there."
    ),
    save_audio: bool = typer.Option(False, "--save-audio", help="Keep the outputs below --out."),
    jobs: Jobs = None,
    device: Device = choice("auto", help="Where models compute."),
    no_normalise: NoNormalise = False,
    stft: AnyStft = "short",
    also: AlsoOfData = [],  # noqa: B006 (read once, by typer)
    timeout: float = typer.Option(600.0, min=0.1, metavar="SECONDS", help="For a command, for each clip."),
    seed: int = typer.Option(0, min=0, help="Seed of the choice of clips, the noise and the intervals."),
    json_output: AsJson = False,
    save: Save = None,
    force: Force = False,
) -> None:
    """Compare models, floors and ceilings on a data set."""
    from tas_cli.output.evaluation import put_evaluation
    from tas_cli.output.json_lines import ResultOutput
    from tas_cli.output.progress import progress_bar
    from tas_core.datasets.tasbench.layout import TasBench
    from tas_core.errors import TasError
    from tas_core.evaluation.runner import evaluate
    from tas_core.evaluation.settings import EvaluationSettings

    output = ResultOutput(json_output, save, force)
    output.check()
    settings = EvaluationSettings(
        split=split,
        folds=() if folds else (fold,),
        captions=captions,
        names=names,
        steps=steps,
        clips=clips,
        normalise=not no_normalise,
        stft=stft,
        also=tuple(also),
        timeout_s=timeout,
        control=control,
        control_clips=control_clips,
        jobs=jobs,
        device=device,
        seed=seed,
        save_audio=save_audio,
    )
    rows = [parse_row(text, steps) for text in model or ("slots", "mono", "truth")]
    with progress_bar("eval", context.obj) as progress:
        found = evaluate(TasBench(folder), rows, settings, out=out, progress=progress)
    put_evaluation(found, output)
    if empty := [row.name for row in found.rows if not row.values]:
        raise TasError(f"{', '.join(empty)}: not one clip could be scored; see above why")


def parse_row(text: str, steps: int | None = None) -> SystemSpec:
    """Read ``[NAME=]SOURCE[@STEPS]`` or ``NAME=command[@VERSION]:WORDS``; a folder of this very name is taken as it is.

    Args:
        text: what was typed.
        steps: for models that do not say their own.

    Raises:
        InputError: an empty name or source, steps for something that has none, or a command without a name.
    """
    from tas_core.errors import InputError
    from tas_core.evaluation.commands import is_command
    from tas_core.evaluation.systems import SystemSpec, has_steps

    name, source, own = text, text, None
    if is_command(text):
        raise InputError(f"--model {text!r}: expected a name, NAME={text.partition(':')[0]}:WORDS")
    if not Path(text).is_dir():
        label, equals, rest = text.partition("=")
        if equals:
            name, source = label, rest
    if not Path(text).is_dir() and not is_command(source):
        before, at, number = source.rpartition("@")
        if at and number.isascii() and number.isdecimal() and not Path(source).is_dir():
            source, own = before, int(number)
    if not name.strip() or not source:
        raise InputError(f"--model {text!r}: expected [NAME=]SOURCE[@STEPS]")
    if own is None and has_steps(source):
        own = steps
    try:
        return SystemSpec(name, source, own)
    except InputError as error:
        raise InputError(f"--model {text!r}: {error}") from error

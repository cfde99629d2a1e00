"""``tas eval``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tas_core.evaluation.systems import Row

_DATA_OPTIONS = (
    *("model", "split", "fold", "folds", "captions", "names", "steps", "clips", "control", "control_clips"),
    *("out", "save_audio", "jobs", "device"),
)


def evaluate(
    context: typer.Context,
    prediction: Path | None = typer.Argument(None, metavar="[PRED]", help="Binaural file or folder to score."),
    reference: Path | None = typer.Argument(None, metavar="[REF]", help="The truth: a file, or a folder of such."),
    data: Path | None = typer.Option(None, help="Run systems on this data set in TASBench's layout instead."),
    model: list[str] = typer.Option(
        [],
        "--model",
        "-m",
        metavar="[NAME=]SYSTEM[@STEPS]",
        help="A shipped model, a checkpoint folder, or mono, truth, pan, hrtf, oracle-mask, oracle-direct; repeat. "
        "Differences are to the first.  [default: slots, mono, truth]",
    ),
    split: str = typer.Option("test", help="Part of the data set: train, val or test."),
    fold: int = typer.Option(1, min=1, help="Which of its splits, 1 to 10 in FAIR-Play."),
    folds: bool = typer.Option(False, "--folds", help="All of its splits."),
    captions: str = typer.Option("own", help="own, or how to word simulated clips anew: coarse, words or degrees."),
    names: str = typer.Option("trained", help="trained, or held-out: synonyms that training never sees."),
    steps: int | None = typer.Option(None, min=1, max=1000, help="Diffusion steps of models without @STEPS."),
    clips: int | None = typer.Option(None, min=1, help="Draw so many clips.  [default: all]"),
    control: bool = typer.Option(False, "--control", help="Also mirror, center and exchange prompts: 3 more passes."),
    control_clips: int = typer.Option(24, min=1, help="Clips for --control at most."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Folder to keep results in; a later run goes on there."),
    save_audio: bool = typer.Option(False, "--save-audio", help="Keep the outputs below --out."),
    jobs: int | None = typer.Option(None, "--jobs", "-j", min=1, help="Processes.  [default: one per core]"),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    no_normalise: bool = typer.Option(False, "--no-normalise", help="Paper's six measures at the level as it is."),
    stft: str = typer.Option("short", help="Transform behind amp and pha: short (512/160/400) or long (2048/160/640)."),
    seed: int = typer.Option(0, min=0, help="Seed of the choice of clips, the noise and the intervals."),
    json_file: Path | None = typer.Option(None, "--json", help="Also write all figures here."),
) -> None:
    """Score binaural files against references, or compare systems on a data set; at 16 kHz.

    Files are matched by their stems. Pairs of different length (up to 20 ms is cut), with other than two channels,
    with samples that are no numbers, with a silent reference or without a partner are named and left out.
    """
    from tas_cli.output.progress import progress_bar
    from tas_core.errors import InputError
    from tas_core.system.files import check_new_file

    if (prediction is None) == (data is None) or (prediction is None) != (reference is None):
        raise InputError("expected PRED and REF, or --data DIR; see tas eval --help")
    if json_file:
        check_new_file(json_file, [p for p in (prediction, reference) if p is not None], overwrite=True)
    if data is None:
        assert prediction is not None
        assert reference is not None
        _refuse_data_options(context)
        from tas_core.evaluation.files import evaluate_files

        with progress_bar("eval") as progress:
            found = evaluate_files(
                prediction, reference, normalise=not no_normalise, stft=stft, seed=seed, progress=progress
            )
    else:
        from tas_core.datasets.tasbench.layout import TasBench
        from tas_core.evaluation.runner import evaluate
        from tas_core.evaluation.settings import EvaluationSettings

        settings = EvaluationSettings(
            split=split,  # type: ignore[arg-type]
            folds=() if folds else (fold,),
            captions=captions,  # type: ignore[arg-type]
            names=names,  # type: ignore[arg-type]
            steps=steps,
            clips=clips,
            normalise=not no_normalise,
            stft=stft,
            control=control,
            control_clips=control_clips,
            jobs=jobs,
            device=device,
            seed=seed,
            save_audio=save_audio,
        )
        with progress_bar("eval") as progress:
            rows = [parse_row(text, steps) for text in model or ("slots", "mono", "truth")]
            found = evaluate(TasBench(data), rows, settings, out=out, progress=progress)
    if json_file:
        import json

        from tas_core.system.files import write_files

        text = json.dumps(found.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        write_files({json_file: (text + "\n").encode("utf-8", "backslashreplace")})
    from tas_cli.output.evaluation import print_evaluation, print_exclusions

    print_exclusions(found)
    print_evaluation(found)


def _refuse_data_options(context: typer.Context) -> None:
    from tas_cli.configuration import was_given
    from tas_core.errors import InputError

    for name in _DATA_OPTIONS:
        if was_given(context, name):
            raise InputError(f"--{name.replace('_', '-')} goes with --data, not with PRED and REF")


def parse_row(text: str, steps: int | None = None) -> Row:
    """Read ``[NAME=]SOURCE[@STEPS]``; a folder that has this very name is taken as it is.

    Args:
        text: what was typed.
        steps: for models that do not say their own.

    Raises:
        InputError: an empty name or source, or steps for something that has none.
    """
    from tas_core.errors import InputError
    from tas_core.evaluation.systems import BASELINES, Row

    name, source, own = text, text, None
    if not Path(text).is_dir():
        label, equals, rest = text.partition("=")
        if equals:
            name, source = label, rest
        before, at, number = source.rpartition("@")
        if at and number.isascii() and number.isdecimal() and not Path(source).is_dir():
            source, own = before, int(number)
    if not name.strip() or not source:
        raise InputError(f"--model {text!r}: expected [NAME=]SOURCE[@STEPS]")
    if own is None and source not in BASELINES:
        own = steps
    try:
        return Row(name, source, own)
    except InputError as error:
        raise InputError(f"--model {text!r}: {error}") from error

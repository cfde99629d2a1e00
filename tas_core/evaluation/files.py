"""Any system's binaural files against references, matched by file stem.

Both files of a pair are scored at 16 kHz, whatever their rates. A pair is *excluded*, that is named and counted and
never averaged in, if

* one of the two is missing,
* one cannot be read, or has samples that are no numbers, or not two channels,
* their lengths differ by more than 20 ms (up to that, both are cut to the shorter, with a note),
* the reference is silent (no sample above -90 dBFS).

A silent prediction is scored. What cannot lead to any score at all is refused with an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tas_core.audio.formats import READABLE
from tas_core.errors import InputError
from tas_core.evaluation.clips import RATE_HZ, is_silent, read_ears
from tas_core.evaluation.metrics.speech import check_speech_packages
from tas_core.evaluation.results import Evaluation, RowValues, describe_machine, row_result
from tas_core.evaluation.scoring import ALSO_OF_FILES, STFTS, check_also, cited_measures, file_measures, speech_measures
from tas_core.inference.settings import check_seed
from tas_core.system.folders import files_by_stem
from tas_core.system.progress import Progress, ignore

LENGTH_TOLERANCE_S: Final = 0.02


def evaluate_files(
    prediction: Path,
    reference: Path,
    *,
    normalise: bool = True,
    stft: str = "short",
    also: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = ignore,
) -> Evaluation:
    """Score files against references.

    Args:
        prediction: a file or a folder (folders in it are not looked into).
        reference: the same; two files are compared whatever their names.
        normalise: whether each is divided by its own peak before the six measures of the paper.
        stft: transform behind ``amp`` and ``pha``, "short" or "long".
        also: groups of measures that are not taken by themselves: "cited" and "speech".
        seed: of the intervals.
        progress: told the fraction done, 0 to 1.

    Returns:
        One row, named "prediction", with pairs as clips, and what was excluded and why.

    Raises:
        InputError: nothing at a path, two files of one stem in a folder, no pair that can be scored, or packages that
            requested measures need are missing.
    """
    if stft not in STFTS:
        raise InputError(f"unknown stft '{stft}'; expected one of {', '.join(STFTS)}")
    check_also(also, ALSO_OF_FILES)
    if "speech" in also:
        check_speech_packages()
    check_seed(seed)
    pairs, excluded = _pairs(prediction, reference)
    values: dict[str, dict[str, float]] = {}
    notes: list[str] = []
    for done, (stem, ours, theirs) in enumerate(pairs, 1):
        try:
            output, truth = read_ears(ours), read_ears(theirs)
            lengths = output.shape[-1], truth.shape[-1]
            if abs(lengths[0] - lengths[1]) > LENGTH_TOLERANCE_S * RATE_HZ:
                seconds = [f"{length / RATE_HZ:.3f} s" for length in lengths]
                raise InputError(f"{ours}: {seconds[0]} long, but the reference {seconds[1]}")
            if is_silent(truth):
                raise InputError(f"{theirs}: the reference is silent")
        except InputError as error:
            excluded[stem] = str(error)
        else:
            if lengths[0] != lengths[1]:
                notes.append(f"{stem}: cut to the shorter of {lengths[0]} and {lengths[1]} samples at 16 kHz")
            size = min(lengths)
            output, truth = output[:, :size], truth[:, :size]
            values[stem] = file_measures(output, truth, normalise=normalise, stft=stft)
            if "cited" in also:
                values[stem] |= cited_measures(output, truth)
            if "speech" in also:
                values[stem] |= speech_measures(output, truth)
        progress(done / len(pairs))
    if not values:
        stem, why = next(iter(excluded.items()))
        raise InputError(f"no pair can be scored; {stem}: {why}" + _more(len(excluded)))
    settings = {
        "mode": "files",
        "prediction": str(prediction),
        "reference": str(reference),
        "normalise": normalise,
        "stft": stft,
        "also": list(also),
        "seed": seed,
        "rate_hz": RATE_HZ,
    }
    import torch

    row = row_result(RowValues("prediction", {"kind": "files"}, values), None, seed)
    machine = describe_machine("cpu", torch.get_num_threads(), 1)
    return Evaluation(settings, (row,), tuple(values), excluded, tuple(notes), len(values), machine)


def _pairs(prediction: Path, reference: Path) -> tuple[list[tuple[str, Path, Path]], dict[str, str]]:
    """(stem, prediction, reference) for all that have both, and what is missing."""
    for path in (prediction, reference):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    if not prediction.is_dir() and not reference.is_dir():
        return [(prediction.stem, prediction, reference)], {}
    ours, theirs = _by_stem(prediction), _by_stem(reference)
    # A single file is a question about that file, not about all that the folder holds besides.
    wanted = [stem for stem in sorted({*ours, *theirs}) if stem in ours or prediction.is_dir()]
    wanted = [stem for stem in wanted if stem in theirs or reference.is_dir()]
    pairs, excluded = [], {}
    for stem in wanted:
        if stem not in theirs:
            excluded[stem] = f"no reference for {ours[stem]}"
        elif stem not in ours:
            excluded[stem] = f"no prediction for {theirs[stem]}"
        else:
            pairs.append((stem, ours[stem], theirs[stem]))
    if not pairs:
        raise InputError(f"{prediction}: no file has the stem of a reference in {reference}")
    return pairs, excluded


def _by_stem(path: Path) -> dict[str, Path]:
    """Files of a folder by their stems, or the one file."""
    return files_by_stem(path, READABLE, "audio") if path.is_dir() else {path.stem: path}


def _more(count: int) -> str:
    return f" (and {count - 1} more)" if count > 1 else ""

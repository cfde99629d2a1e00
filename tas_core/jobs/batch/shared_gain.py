"""One gain for all files of a run, so that the parts of a programme keep their levels to each other.

Every file is measured at its own gain or loudness before any is made. With r the largest gain that its ears bear,

    shared gain = min(1, min r over all files)

Files that are there already count like the others: the gain does not depend on where an earlier run was broken off.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from tas_core.audio.reader import AudioReader
from tas_core.conventions import amplitude_to_db, power_to_db
from tas_core.errors import Advice, InputError
from tas_core.jobs.batch.worker import FileOutcome

_ALIKE_DB: Final = 0.2
"""Lossy coding and dither change levels by less, and nobody hears it."""
_READ_FRAMES: Final = 2**20


def shared_gain_db(measured: Mapping[int, FileOutcome]) -> float:
    """The gain of all files besides their own, dB, 0 or less.

    Args:
        measured: by number, of files that were measured; those that failed do not count.

    Warns:
        UserWarning: by how much they are turned down, if they are, and for which file.
    """
    reaches = [(o.reach, o.request.source) for o in measured.values() if o.reach is not None]
    if not reaches:
        return 0.0
    loudest, source = min(reaches, key=lambda each: each[0].room)
    gain_db = amplitude_to_db(loudest.room)
    if gain_db < 0:
        warnings.warn(
            f"{source}: an ear would reach {loudest.peak_db:+.2f} dBFS at {loudest.time_s:.3f} s;"
            f" all files of the run are turned down by {-gain_db:.2f} dB",
            stacklevel=3,
        )
    return gain_db


def compared(there: FileOutcome, measured: FileOutcome, gain_db: float) -> FileOutcome:
    """The outcome of a file that is left out, with a warning if its level is not that of this run.

    Args:
        there: the outcome.
        measured: that of measuring it.
        gain_db: of all files besides their own.
    """
    out = there.request.out
    unknown = "left out, and whether its level is that of the other files is not known"
    if measured.reach is None:
        what = f"{unknown}: {measured.error}"
    else:
        try:
            apart_db = _level_db(out) - power_to_db(measured.reach.mean_square) - gain_db
        except InputError as error:
            what = f"{unknown}: {error}"
        else:
            if not measured.reach.mean_square or abs(apart_db) < _ALIKE_DB:
                return there
            what = f"left out, and {abs(apart_db):.1f} dB {'above' if apart_db > 0 else 'below'} the other files"
    advice = Advice(f"{out}: {what}; expected all to be made anew", remedy="overwrite")
    return replace(there, warnings=(*there.warnings, advice))


def _level_db(path: Path) -> float:
    """Mean square of all samples of a file, dB."""
    energy, count = 0.0, 0
    with warnings.catch_warnings(), AudioReader(path) as reader:
        warnings.simplefilter("ignore")
        while (block := reader.read(reader.at_once(_READ_FRAMES))).shape[1]:
            energy += float(np.square(block, dtype=np.float64).sum())
            count += block.size
    return power_to_db(energy / max(count, 1))

"""Whether a sound is the sum of some parts and of something else, block by block in constant memory.

With x the sound, s_k the parts, both after a filter that evens out their spectra (a first difference), the factors a
that explain most of x are the solution of

    sum_j <s_k, s_j> a_j = <s_k, x>.

If the parts are in x as they are, and the rest has nothing to do with them, every a_k is 1. A part at another level has
another factor, one that is not in x, or at another time, has 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from tas_core.conventions import amplitude_to_db
from tas_core.errors import InputError

_FILTER: Final = 0.95
_TOLERANCE: Final = 0.06
"""Of a factor: half a decibel."""
_INDEPENDENT_HZ: Final = 1000.0
"""Independent values in a second of sound, for how far chance may take a factor from 1."""
_CHANCE: Final = 4.0
_LARGEST: Final = 0.5
"""However little can be known, a factor below this is nearer to 0 than to 1."""


class PartsMeter:
    """Gathers how parts are contained in a sound.

    Args:
        count: number of parts.
    """

    def __init__(self, count: int) -> None:
        self._products = np.zeros((count + 1, count + 1))
        self._last = np.zeros(count + 1)
        self._samples = 0

    def add(self, parts: np.ndarray, whole: np.ndarray) -> None:
        """Take in the next samples: of the parts (part, time) and of the whole (time)."""
        rows = np.concatenate([parts, whole[None]])
        before = np.concatenate([self._last[:, None], rows[:, :-1]], axis=1)
        even = rows - _FILTER * before
        self._products += even @ even.T
        self._samples += rows.shape[1]
        if rows.shape[1]:
            self._last = rows[:, -1].copy()

    def factors(self) -> np.ndarray:
        """a_k of each part; 1 for a silent one."""
        gram, with_whole = self._products[:-1, :-1], self._products[:-1, -1]
        sounds = np.diag(gram) > 0
        found = np.ones(len(gram))
        if sounds.any():
            kept = np.ix_(sounds, sounds)
            found[sounds] = np.linalg.lstsq(gram[kept], with_whole[sounds], rcond=1e-9)[0]
        return found

    def check(self, names: Sequence[str], whole: str, sample_rate_hz: int) -> None:
        """See that every part is in the whole at its own level.

        Args:
            names: of the parts, for messages.
            whole: its name.
            sample_rate_hz: of all.

        Raises:
            InputError: one is not, or at another level.
        """
        found = self.factors()
        gram = self._products[:-1, :-1]
        left = max(self._products[-1, -1] - 2 * self._products[:-1, -1].sum() + gram.sum(), 0.0)
        by_chance = _CHANCE / math.sqrt(max(self._samples * _INDEPENDENT_HZ / sample_rate_hz, 1.0))
        for name, factor, energy in zip(names, found, np.diag(gram), strict=True):
            if not energy or abs(factor - 1) <= min(_TOLERANCE + by_chance * math.sqrt(left / energy), _LARGEST):
                continue
            if factor > _LARGEST:
                level_db = amplitude_to_db(float(factor))
                raise InputError(
                    f"{name}: it is in {whole} at another level, {level_db:+.1f} dB; expected the part of it as it is"
                    f" there, or a gain of {level_db:+.1f} dB for it"
                )
            raise InputError(
                f"{name}: not a part of {whole} ({100 * max(factor, 0.0):.0f} % of it is there); expected a sound that"
                f" {whole} is the sum of with others, at the same time and level, or no input beside the objects' own"
            )

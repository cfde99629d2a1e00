"""How loud a sound is made: gains that stay or change over a segment.

A gain that changes goes linearly in amplitude from its start to its end, as a fader that is drawn does, so that it may
begin or end in silence, and a part of it is one of its kind again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tas_core.conventions import amplitude_to_db, db_to_amplitude
from tas_core.errors import PromptError

SILENT_DB: Final = -math.inf
"""The gain of what is removed."""

QUIETEST_DB: Final = -100.0
LOUDEST_DB: Final = 40.0
"""Gains lie from one to the other, or are :data:`SILENT_DB`."""


@dataclass(frozen=True)
class GainPath:
    """A gain that stays, or changes linearly in amplitude.

    Args:
        start_db: gain at the beginning, dB, -100 to 40; -inf is silence.
        end_db: gain at the end, same unit and range.

    Raises:
        PromptError: a gain is no number within the range.
    """

    start_db: float = 0.0
    end_db: float = 0.0

    def __post_init__(self) -> None:
        for name in ("start_db", "end_db"):
            value = float(getattr(self, name)) + 0.0  # + 0.0 turns -0.0 into 0.0
            if not (value == SILENT_DB or QUIETEST_DB <= value <= LOUDEST_DB):
                raise PromptError(f"a gain of {value:g} dB is outside {QUIETEST_DB:g} to {LOUDEST_DB:g} dB")
            object.__setattr__(self, name, value)

    @property
    def is_moving(self) -> bool:
        """Whether start and end differ."""
        return self.start_db != self.end_db

    @property
    def changes_level(self) -> bool:
        """Whether it is anything but 0 dB throughout."""
        return bool(self.start_db or self.end_db)

    def at_db(self, fraction: np.ndarray) -> np.ndarray:
        """Gain in dB after fractions (time) of the way, 0 to 1; -inf is silence."""
        if not self.is_moving:
            return np.full(np.shape(fraction), self.start_db)
        return between_db(self.start_db, self.end_db, fraction)

    def part(self, first: float, last: float) -> GainPath:
        """The part of it from one fraction of the way to another."""
        if not self.is_moving:
            return self
        # Rounding may leave some -300 dB of silence, or pass an end.
        ends = (float(value) for value in self.at_db(np.array([first, last])))
        low, high = min(self.start_db, self.end_db), max(self.start_db, self.end_db)
        return GainPath(*(SILENT_DB if value < QUIETEST_DB else min(max(value, low), high) for value in ends))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the gain at both ends, dB; None is silence, which JSON has no number for."""
        ends = {"gain_start_db": self.start_db, "gain_end_db": self.end_db}
        return {name: None if value == SILENT_DB else value for name, value in ends.items()}


AS_IT_IS: Final = GainPath()
"""No change of level."""


def between_db(start_db: float, end_db: float, fraction: np.ndarray) -> np.ndarray:
    """Gains in dB (time) that go linearly in amplitude from one to another, by the fraction of the way (time)."""
    start, end = db_to_amplitude(start_db), db_to_amplitude(end_db)
    return amplitude_to_db(np.maximum(start + np.asarray(fraction, np.float64) * (end - start), 0.0))

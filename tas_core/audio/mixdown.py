"""What mixing down costs: channels that cancel each other, and silent ones that only make the others quieter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

_SILENT: Final = 1e-6
"""A channel of so much of the power of the loudest, -60 dB, counts as silent."""
_CANCELS: Final = 0.5
"""Of the power that the mean of independent channels has; below this they cancel."""
_SHOWN_DB: Final = 100.0


@dataclass(frozen=True)
class MixdownLoss:
    """What the mean of channels loses.

    Attributes:
        loudest: the channel to take instead, counted from 1.
        loss_db: how much quieter the mean is than that channel alone; infinity if it is silent.
        silent: channels without sound, counted from 1; if there are none, the channels cancel each other.
    """

    loudest: int
    loss_db: float
    silent: tuple[int, ...]

    def words(self) -> str:
        """It in a message."""
        loss = f"{self.loss_db:.1f} dB" if self.loss_db < _SHOWN_DB else f"more than {_SHOWN_DB:.0f} dB"
        if not self.silent:
            return (
                f"the channels cancel each other: their mean is {loss} quieter than channel {self.loudest} alone;"
                " take that one"
            )
        which = ", ".join(map(str, self.silent))
        named = f"channel {which} is" if len(self.silent) == 1 else f"channels {which} are"
        return (
            f"{named} silent: the mean of all is {loss} quieter than channel {self.loudest} alone; take that one"
            " if it has what you want"
        )


class MixdownMeter:
    """Powers of the channels of a sound, and of their mean, that come in blocks.

    Args:
        num_channels: channels of the sound.
    """

    def __init__(self, num_channels: int) -> None:
        self._powers = np.zeros(num_channels)
        self._mean_power = 0.0

    def add(self, samples: np.ndarray, mono: np.ndarray) -> None:
        """Take in the next samples, (channel, time), and their mean, (time)."""
        for channel, samples_of_one in enumerate(samples):
            self._powers[channel] += np.square(samples_of_one, dtype=np.float64).sum()
        self._mean_power += float(np.square(mono, dtype=np.float64).sum())

    def loss(self) -> MixdownLoss | None:
        """What is lost of all that was added; None if nothing worth a word is."""
        most = float(self._powers.max())
        count = len(self._powers)
        if count < 2 or most <= 0.0:
            return None
        silent = tuple(int(n) + 1 for n in np.flatnonzero(self._powers <= _SILENT * most))
        cancels = self._mean_power < _CANCELS * float(self._powers.sum()) / count**2
        if not silent and not cancels:
            return None
        loss_db = 10 * math.log10(most / self._mean_power) if self._mean_power > 0.0 else math.inf
        return MixdownLoss(int(self._powers.argmax()) + 1, loss_db, () if cancels else silent)

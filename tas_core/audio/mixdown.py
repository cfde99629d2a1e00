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
_ALL: Final = 0.1
"""The same, below which all do, and not only two of several."""
_HEARD: Final = 0.01
"""Two channels of less of the power of all are not worth a word."""
_SHOWN_DB: Final = 100.0
_ROUNDING: Final = 1e-13
_BLOCK_FRAMES: Final = 2**16


@dataclass(frozen=True)
class MixdownLoss:
    """What the mean of channels loses.

    Attributes:
        loudest: the channel to take instead, counted from 1.
        loss_db: how much quieter the mean is than that channel alone; infinity if it is silent.
        silent: channels without sound, counted from 1; if there are none, the channels cancel each other.
        pair: two of several channels that do, counted from 1, and ``loudest`` and ``loss_db`` are of these; empty
            if it is all of them.
    """

    loudest: int
    loss_db: float
    silent: tuple[int, ...]
    pair: tuple[int, ...] = ()

    def words(self) -> str:
        """It in a message."""
        loss = f"{self.loss_db:.1f} dB" if self.loss_db < _SHOWN_DB else f"more than {_SHOWN_DB:.0f} dB"
        if self.pair:
            return (
                f"channels {self.pair[0]} and {self.pair[1]} cancel each other: what both have is {loss} quieter in the"
                f" mean of all than channel {self.loudest} alone; take that one if it has what you want"
            )
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
    """Powers of the channels of a sound, of their sums by twos, and of their mean, that come in blocks.

    Args:
        num_channels: channels of the sound.
    """

    def __init__(self, num_channels: int) -> None:
        self._products = np.zeros((num_channels, num_channels))
        self._mean_power = 0.0

    def add(self, samples: np.ndarray, mono: np.ndarray) -> None:
        """Take in the next samples, (channel, time), and their mean, (time)."""
        for start in range(0, samples.shape[1], _BLOCK_FRAMES):
            block = samples[:, start : start + _BLOCK_FRAMES].astype(np.float64)
            self._products += block @ block.T
        self._mean_power += float(np.square(mono, dtype=np.float64).sum())

    def loss(self) -> MixdownLoss | None:
        """What is lost of all that was added; None if nothing worth a word is."""
        powers = self._products.diagonal()
        most, count = float(powers.max()), len(powers)
        if count < 2 or most <= 0.0:
            return None
        silent = tuple(int(n) + 1 for n in np.flatnonzero(powers <= _SILENT * most))
        independent = float(powers.sum()) / count**2
        pair = self._pair() if count > 2 and self._mean_power >= _ALL * independent else None
        if pair is not None:
            return pair
        cancels = self._mean_power < _CANCELS * independent
        if not silent and not cancels:
            return None
        loudest = int(powers.argmax()) + 1
        return MixdownLoss(loudest, _loss_db(most, self._mean_power), () if cancels else silent)

    def _pair(self) -> MixdownLoss | None:
        """The two channels of several of which most is lost, where two cancel each other."""
        powers, count = self._products.diagonal(), len(self._products)
        apart = np.add.outer(powers, powers)
        left = np.maximum(0.0, (apart + 2 * self._products) / np.maximum(apart, np.finfo(np.float64).tiny))
        silent = powers <= _SILENT * powers.max()
        left[silent] = left[:, silent] = 1.0
        left[apart < _HEARD * powers.sum()] = 1.0
        lost = np.where(left < _CANCELS, apart * (1 - left), 0.0)
        a, b = sorted(map(int, np.unravel_index(lost.argmax(), lost.shape)))
        if lost[a, b] <= 0.0:
            return None
        loudest = a if powers[a] >= powers[b] else b
        loss_db = _loss_db(float(powers[loudest]), float(left[a, b] * apart[a, b]) / count**2)
        return MixdownLoss(loudest + 1, loss_db, (), (a + 1, b + 1))


def _loss_db(power: float, what_is_left: float) -> float:
    """By how much less is left, dB; infinity where what is left is rounding."""
    return 10 * math.log10(power / what_is_left) if what_is_left > _ROUNDING * power else math.inf

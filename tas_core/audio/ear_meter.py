"""How far two ears, or other channels, go and how loud they are, measured block by block before any gain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tas_core.audio.formats import full_scale
from tas_core.audio.loudness import LoudnessMeter
from tas_core.audio.writer import peak
from tas_core.conventions import amplitude_to_db


@dataclass(frozen=True)
class Reach:
    """How far the ears of a file go at a gain of its own.

    Attributes:
        room: the largest further gain, at most 1, at which they do not pass full scale.
        peak_db: largest magnitude, dBFS.
        time_s: where that is, seconds.
        mean_square: of all samples of both ears.
    """

    room: float
    peak_db: float
    time_s: float
    mean_square: float


class EarMeter:
    """Measures two ears that come in blocks.

    Args:
        sample_rate_hz: of the ears.
        subtype: sample encoding that they are to be written in.
        loudness: whether to measure their loudness, too.
        weights: of channels in the loudness where they are not two ears.

    Attributes:
        peak: largest magnitude.
        limit: highest value that the encoding holds, infinite for floating point.
    """

    def __init__(
        self, sample_rate_hz: int, subtype: str, *, loudness: bool = False, weights: Sequence[float] = ()
    ) -> None:
        self.peak = 0.0
        self.limit = full_scale(subtype)
        self._rate_hz = sample_rate_hz
        self._received = 0
        self._energy = 0.0
        self._most = 0.0  # how far samples go, as a fraction of full scale
        self._most_at = 0
        self._meter = LoudnessMeter(sample_rate_hz, len(weights) or 2, weights) if loudness else None

    def add(self, ears: np.ndarray, heard: np.ndarray | None = None) -> None:
        """Take in the next samples, (ear, time); integers reach one step further below zero than above.

        Args:
            ears: as they are written.
            heard: what they are heard as, (channel, time), where that is something else; its loudness counts.
        """
        if self._meter is not None:
            self._meter.add(ears if heard is None else heard)
        if ears.size:
            above = min(self.limit, 1.0)
            loudest = [(float(ear[at]) / above, int(at)) for ear in ears for at in [ear.argmax()]]
            loudest += [(-float(ear[at]), int(at)) for ear in ears for at in [ear.argmin()]]
            self.peak = max(self.peak, peak(ears))
            part, at = max(loudest)
            if part > self._most:
                self._most, self._most_at = part, self._received + at
            self._energy += float(np.vdot(ears, ears))
        self._received += ears.shape[1]

    def loudness_lufs(self) -> float | None:
        """Integrated loudness so far, LUFS, minus infinity in silence; None where it is not measured."""
        return None if self._meter is None else self._meter.integrated_lufs()

    def excess(self, gain: float) -> float:
        """How far the ears go at a gain, as a fraction of full scale; 0 in encodings that hold any level."""
        return self._most * gain if math.isfinite(self.limit) else 0.0

    def held(self) -> float:
        """The gain at which the largest magnitude is full scale."""
        return min(self.limit, 1.0) / self.peak

    def peak_at(self, gain: float) -> tuple[float, float]:
        """The peak at a gain, dBFS, and where it is, seconds."""
        return amplitude_to_db(self.peak * gain), self._most_at / self._rate_hz

    def reach(self, gain: float) -> Reach:
        """How far the ears go at a gain."""
        room = self.held() / gain if self.excess(gain) > 1.0 else 1.0
        return Reach(room, *self.peak_at(gain), gain**2 * self._energy / max(2 * self._received, 1))

"""True peak and clipped samples, block by block.

**True peak.** The largest magnitude after oversampling four times. **Clipped** are samples at full scale (of 16 bits)
next to another one: a single one there is what peak normalisation leaves.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import soxr

from tas_core.conventions import amplitude_to_db

FULL_SCALE: Final = 1.0 - 2.0**-15
"""Samples from here on are at full scale; the largest positive number of 16 bits."""

_OVERSAMPLING: Final = 4


class PeakMeter:
    """True peak and clipped samples of a signal that comes in blocks, over all channels."""

    def __init__(self, sample_rate_hz: int, num_channels: int) -> None:
        self._oversampler = soxr.ResampleStream(
            sample_rate_hz, _OVERSAMPLING * sample_rate_hz, num_channels, dtype="float64"
        )
        self._full = np.zeros((num_channels, 2), bool)
        self._channels = num_channels
        self._peak = 0.0
        self._finished = False
        self.clipped = 0

    def add(self, samples: np.ndarray) -> None:
        """Take in the next samples, (channel, time), full scale 1."""
        if not samples.shape[-1]:
            return
        self._oversampled(samples, last=False)
        # A run of n > 1 has n - 1 samples that follow another, the first of which follows no pair.
        full = np.concatenate([self._full, np.abs(samples) >= FULL_SCALE], axis=1)
        pairs = full[:, 2:] & full[:, 1:-1]
        self.clipped += int(pairs.sum() + (pairs & ~full[:, :-2]).sum())
        self._full = full[:, -2:]

    @property
    def true_peak_dbtp(self) -> float | None:
        """Decibels over full scale; None for digital silence. Nothing can be added after it was read."""
        if not self._finished:
            self._finished = True
            self._oversampled(np.zeros((self._channels, 0)), last=True)
        return amplitude_to_db(self._peak) if self._peak > 0 else None

    def _oversampled(self, samples: np.ndarray, *, last: bool) -> None:
        finer = self._oversampler.resample_chunk(np.ascontiguousarray(samples.T, np.float64), last=last)
        self._peak = max(self._peak, float(np.abs(finer).max(initial=0.0)), float(np.abs(samples).max(initial=0.0)))

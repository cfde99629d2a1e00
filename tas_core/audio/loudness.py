"""Integrated loudness after ITU-R BS.1770-4, measured while the sound comes in.

Channels are weighted by two filters in a row (a shelf for the head, a high-pass), and the mean square over blocks of
400 ms, one every 100 ms, is

    l_j = -0.691 + 10 log10(sum over channels of z_ij)   LUFS.

The integrated loudness is that of the mean over the blocks above -70 LUFS and above a relative gate, 10 LU under the
loudness of the blocks above -70 LUFS. Both ears have weight 1; loudspeakers have weights of their own.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Final

import numpy as np

from tas_core.conventions import db_to_amplitude, db_to_power, power_to_db

_OFFSET_DB: Final = -0.691
_ABSOLUTE_GATE_LUFS: Final = -70.0
_RELATIVE_GATE_LU: Final = -10.0
_STEPS_PER_S: Final = 10
_STEPS_PER_BLOCK: Final = 4

# The standard gives coefficients for 48 kHz only; these constants of the analog filters behind them, found by undoing
# the bilinear transform, give those coefficients at 48 kHz and the same filters at any rate.
_SHELF_HZ, _SHELF_Q, _SHELF_DB, _SHELF_MIDDLE = 1681.974450955533, 0.7071752369554196, 3.999843853973347, 0.49966677415
_HIGH_PASS_HZ, _HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773


def weighting_filters(sample_rate_hz: int) -> np.ndarray:
    """The two filters as (filter, numerator or denominator, coefficient), (2, 2, 3); denominators begin with 1."""
    k = math.tan(math.pi * _SHELF_HZ / sample_rate_hz)
    high = db_to_amplitude(_SHELF_DB)
    middle = high**_SHELF_MIDDLE
    shelf = [
        [high + middle * k / _SHELF_Q + k * k, 2 * (k * k - high), high - middle * k / _SHELF_Q + k * k],
        [1 + k / _SHELF_Q + k * k, 2 * (k * k - 1), 1 - k / _SHELF_Q + k * k],
    ]
    k = math.tan(math.pi * _HIGH_PASS_HZ / sample_rate_hz)
    denominator = [1 + k / _HIGH_PASS_Q + k * k, 2 * (k * k - 1), 1 - k / _HIGH_PASS_Q + k * k]
    high_pass = [[1.0, -2.0, 1.0], [value / denominator[0] for value in denominator]]
    return np.array([np.array(shelf) / shelf[1][0], high_pass])


class LoudnessMeter:
    """Takes in a sound piece by piece; keeps 80 bytes per second of it.

    Args:
        sample_rate_hz: 8000 to 192000.
        num_channels: channels or ears.
        weights: of their powers; all 1 where none are given.
    """

    def __init__(self, sample_rate_hz: int, num_channels: int = 2, weights: Sequence[float] = ()) -> None:
        self._rate_hz = sample_rate_hz
        # The response of the filters falls by e^-119 in half a second, so one of twice that length is all of it.
        self._size = 2 ** math.ceil(math.log2(sample_rate_hz / 2))
        self._before = np.zeros((num_channels, self._size))
        self._now = np.zeros((num_channels, self._size))
        self._filled = 0
        z = np.exp(-2j * np.pi * np.arange(self._size + 1) / (2 * self._size))
        powers = np.stack([np.ones_like(z), z, z * z])
        self._response = np.prod([(b @ powers) / (a @ powers) for b, a in weighting_filters(sample_rate_hz)], axis=0)
        self._energies = array("d")
        self._energy = 0.0
        self._count = 0
        self._factors = np.sqrt(weights)[:, None] if len(weights) else None

    def add(self, samples: np.ndarray) -> None:
        """Take in the next samples, (channel, time), 1.0 is full scale."""
        taken = 0
        while taken < samples.shape[1]:
            count = min(samples.shape[1] - taken, self._size - self._filled)
            self._now[:, self._filled : self._filled + count] = samples[:, taken : taken + count]
            self._filled += count
            taken += count
            if self._filled == self._size:
                self._add_energies(self._weighted())
                self._before, self._now, self._filled = self._now, self._before, 0

    def integrated_lufs(self) -> float:
        """Loudness of all that was added, once nothing more is; -inf if it is silent or below -70 LUFS.

        A sound of less than 400 ms counts as one block.
        """
        self._add_energies(self._weighted()[:, : self._filled])
        steps = np.array(self._energies)
        if len(steps) < _STEPS_PER_BLOCK:
            blocks = np.array([(steps.sum() + self._energy) / max(self._count, 1)])
        else:
            sums = np.convolve(steps, np.ones(_STEPS_PER_BLOCK), mode="valid")
            blocks = sums * _STEPS_PER_S / (_STEPS_PER_BLOCK * self._rate_hz)
        gated = blocks[blocks > _power(_ABSOLUTE_GATE_LUFS)]
        if not len(gated):
            return -math.inf
        gate_lufs = max(_ABSOLUTE_GATE_LUFS, _loudness_lufs(gated) + _RELATIVE_GATE_LU)
        return _loudness_lufs(gated[gated > _power(gate_lufs)])

    def _weighted(self) -> np.ndarray:
        """The present block (channel, time) after both filters, times the roots of the weights."""
        spectrum = np.fft.rfft(np.concatenate([self._before, self._now], axis=1))
        weighted = np.fft.irfft(spectrum * self._response)[:, self._size :]
        return weighted if self._factors is None else weighted * self._factors

    def _add_energies(self, weighted: np.ndarray) -> None:
        """Gather energy in steps of 100 ms, whose borders are rounded down to samples."""
        at = 0
        while at < weighted.shape[1]:
            border = (len(self._energies) + 1) * self._rate_hz // _STEPS_PER_S
            stop = min(weighted.shape[1], at + border - self._count)
            self._energy += float(np.square(weighted[:, at:stop]).sum())
            self._count += stop - at
            at = stop
            if self._count == border:
                self._energies.append(self._energy)
                self._energy = 0.0


def _loudness_lufs(powers: np.ndarray) -> float:
    return _OFFSET_DB + power_to_db(float(powers.mean()))


def _power(loudness_lufs: float) -> float:
    return db_to_power(loudness_lufs - _OFFSET_DB)

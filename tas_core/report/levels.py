"""Levels of files, block by block: loudness (ITU-R BS.1770-4), true peak, clipped samples.

**Loudness.** The K weighting is two second-order filters, a shelf of +4 dB above 1.7 kHz and a high-pass at 38 Hz. The
recommendation tabulates them for 48 kHz; other rates have the same analogue filters, transformed bilinearly (De Man,
2014). They are applied as products of spectra: after 0.2 s nothing is left of their impulse responses. Then

    l_j = -0.691 + 10 log10(sum over channels of the mean square in block j)       blocks of 400 ms every 100 ms
    loudness = the same of the mean over blocks with l_j > -70 and l_j > (loudness of those above -70) - 10

**True peak.** The largest magnitude after oversampling four times. **Clipped** are samples at full scale (of 16 bits)
next to another one: a single one there is what peak normalisation leaves.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import soxr

FULL_SCALE: Final = 1.0 - 2.0**-15
"""Samples from here on are at full scale; the largest positive number of 16 bits."""

_SETTLED_S: Final = 0.2
_FFT: Final = 2**18
_STEP_S: Final = 0.1
_STEPS: Final = 4
_ABSOLUTE_GATE_LUFS: Final = -70.0
_RELATIVE_GATE_LU: Final = -10.0
_OFFSET_LU: Final = -0.691
_OVERSAMPLING: Final = 4

# Of the shelf and the high-pass: frequency in Hz and quality; the shelf's gain in dB.
_SHELF: Final = (1681.974450955533, 0.7071752369554196, 3.999843853973347)
_HIGH_PASS: Final = (38.13547087602444, 0.5003270373238773)


def k_weighting(freqs_hz: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Complex response of the K weighting, (freq), at frequencies (freq) of 0 to half the rate."""
    z = np.exp(-2j * np.pi * freqs_hz / sample_rate_hz)
    f, q, gain_db = _SHELF
    k, high = math.tan(math.pi * f / sample_rate_hz), 10 ** (gain_db / 20)
    middle = high**0.4996667741545416
    above = np.array([high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k])
    response = np.polyval(above[::-1], z) / np.polyval(_poles(k, q)[::-1], z)
    f, q = _HIGH_PASS
    poles = _poles(math.tan(math.pi * f / sample_rate_hz), q)
    return response * (1 - z) ** 2 / np.polyval(poles[::-1] / poles[0], z)


def _poles(k: float, q: float) -> np.ndarray:
    return np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])


class LoudnessMeter:
    """Integrated loudness of a signal that comes in blocks; all channels count alike."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._before = round(_SETTLED_S * sample_rate_hz)
        self._response = k_weighting(np.fft.rfftfreq(_FFT, 1 / sample_rate_hz), sample_rate_hz)
        self._step = round(_STEP_S * sample_rate_hz)
        self._tail: np.ndarray | None = None
        self._pending = np.zeros(0)
        self._steps: list[np.ndarray] = []

    def add(self, samples: np.ndarray) -> None:
        """Take in the next samples, (channel, time), full scale 1."""
        size = _FFT - 2 * self._before  # as much again as zeros, into which the end rings
        for start in range(0, samples.shape[-1], size):
            piece = samples[:, start : start + size].astype(np.float64)
            tail = np.zeros((len(piece), self._before)) if self._tail is None else self._tail
            joined = np.concatenate([tail, piece], axis=1)
            weighted = np.fft.irfft(np.fft.rfft(joined, _FFT) * self._response, _FFT)
            self._tail = joined[:, -self._before :]
            power = np.square(weighted[:, self._before : joined.shape[-1]]).sum(axis=0)
            power = np.concatenate([self._pending, power])
            whole = len(power) // self._step * self._step
            self._steps.append(power[:whole].reshape(-1, self._step).sum(axis=1))
            self._pending = power[whole:]

    @property
    def loudness_lufs(self) -> float | None:
        """LUFS; None for what is shorter than 0.4 s or nowhere louder than -70 LUFS."""
        steps = np.concatenate(self._steps) if self._steps else np.zeros(0)
        if len(steps) < _STEPS:
            return None
        power = np.convolve(steps, np.ones(_STEPS), "valid") / (_STEPS * self._step)
        power = power[power > _power(_ABSOLUTE_GATE_LUFS)]
        if not len(power):
            return None
        power = power[power > power.mean() * 10 ** (_RELATIVE_GATE_LU / 10)]
        return _OFFSET_LU + 10 * math.log10(float(power.mean()))


def _power(loudness_lufs: float) -> float:
    return 10 ** ((loudness_lufs - _OFFSET_LU) / 10)


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
        return 20 * math.log10(self._peak) if self._peak > 0 else None

    def _oversampled(self, samples: np.ndarray, *, last: bool) -> None:
        finer = self._oversampler.resample_chunk(np.ascontiguousarray(samples.T, np.float64), last=last)
        self._peak = max(self._peak, float(np.abs(finer).max(initial=0.0)), float(np.abs(samples).max(initial=0.0)))

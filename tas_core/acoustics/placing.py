"""Placing a sound that is there by itself: through the measured head, at azimuths that may move. NumPy alone.

With X the short-time spectrum of a mono signal x (frames of 64 ms every 16 ms, Hann windows) and G the direction ratio
of a head (:mod:`tas_core.acoustics.hrtf`), tabled every 5 degrees and linear between,

    side = G(azimuth) 2 X,    left = x + side / 2,    right = x - side / 2,

what :class:`tas_core.acoustics.direction_filter.DirectionFilter` does for the networks, from the same table.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tas_core.acoustics.hrtf import HrirSet, direction_ratio
from tas_core.conventions import MAX_AZIMUTH_DEG

STEP_DEG: Final = 5.0
"""Between the rows of a table of filters."""

FRAME_S: Final = 0.016
FRAMES_PER_WINDOW: Final = 4


def frame_hop(sample_rate_hz: int) -> int:
    """Samples between frames at a rate; a window is :data:`FRAMES_PER_WINDOW` of them."""
    return round(FRAME_S * sample_rate_hz)


def ratio_table(n_fft: int, sample_rate_hz: int, head: HrirSet | None = None) -> np.ndarray:
    """Direction ratios, complex128 (row, freq).

    Args:
        n_fft: length of the transform, samples.
        sample_rate_hz: of the signal.
        head: whose ears, at azimuths of -90, -85 .. 90 degrees; None is KEMAR's, at 5, 10 .. 90.
    """
    first_deg = STEP_DEG if head is None else -MAX_AZIMUTH_DEG
    freqs_hz = np.arange(n_fft // 2 + 1) * sample_rate_hz / n_fft
    return direction_ratio(np.arange(first_deg, MAX_AZIMUTH_DEG + 1, STEP_DEG), freqs_hz, head=head)


class DirectionTable:
    """G(azimuth, freq) of a head at a rate; of the built-in head odd in azimuth, as that is symmetric.

    Args:
        n_fft: length of the transform, samples.
        sample_rate_hz: of the signal.
        head: whose ears; None is KEMAR.

    Attributes:
        is_symmetric: whether it is the built-in head.
    """

    def __init__(self, n_fft: int, sample_rate_hz: int, head: HrirSet | None = None) -> None:
        self.is_symmetric = head is None
        rows = ratio_table(n_fft, sample_rate_hz, head).astype(np.complex64)
        self._rows = np.concatenate([np.zeros_like(rows[:1]), rows]) if head is None else rows

    def __call__(self, azimuth_deg: np.ndarray) -> np.ndarray:
        """Filters, complex64 (frame, freq), for azimuths (frame) in -90..90 degrees; one row where all are the same."""
        azimuth_deg = np.clip(azimuth_deg, -MAX_AZIMUTH_DEG, MAX_AZIMUTH_DEG).astype(np.float32)
        if (azimuth_deg == azimuth_deg[0]).all():
            azimuth_deg = azimuth_deg[:1]
        sign = np.sign(azimuth_deg)[:, None] if self.is_symmetric else np.float32(1)
        position = (np.abs(azimuth_deg) if self.is_symmetric else azimuth_deg + MAX_AZIMUTH_DEG) / STEP_DEG
        low = np.minimum(np.floor(position), len(self._rows) - 2)
        weight = (position - low)[:, None].astype(np.float32)
        row = low.astype(int)
        return sign * (self._rows[row] * (1 - weight) + self._rows[row + 1] * weight)


def spectrogram(x: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    """Short-time spectrum, complex128 (frame, freq), of a signal (time), as in :mod:`tas_core.acoustics.stft`.

    Frames are centred on samples 0, hop, 2 hop .. and zero padded at the ends.
    """
    padded = np.pad(x, n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop][: 1 + len(x) // hop]
    return np.fft.rfft(frames * _hann(n_fft))


def resynthesised(spectrum: np.ndarray, n_fft: int, hop: int, length: int) -> np.ndarray:
    """Signal (time) of a spectrum (frame, freq), divided by the sum of squared windows."""
    window = _hann(n_fft)
    frames = np.fft.irfft(spectrum, n_fft) * window
    total = np.zeros((len(frames) - 1) * hop + n_fft)
    norm = np.zeros_like(total)
    for number, frame in enumerate(frames):
        at = number * hop
        total[at : at + n_fft] += frame
        norm[at : at + n_fft] += window**2
    first = n_fft // 2
    out = np.zeros(length)
    there = slice(first, min(first + length, len(total)))
    out[: there.stop - first] = total[there] / np.maximum(norm[there], 1e-11)
    return out


def placed_side(x: np.ndarray, azimuth_deg: np.ndarray, table: DirectionTable, hop: int) -> np.ndarray:
    """Side signal (time) that puts a mono signal at azimuths.

    Args:
        x: (time).
        azimuth_deg: at the frames, centred on samples 0, hop .. (frame), degrees.
        table: of the head, for a transform of :data:`FRAMES_PER_WINDOW` hops.
        hop: between frames, samples.
    """
    if not azimuth_deg.any() and table.is_symmetric or not x.any():
        return np.zeros(len(x))
    n_fft = FRAMES_PER_WINDOW * hop
    return resynthesised(table(azimuth_deg) * spectrogram(2 * x, n_fft, hop), n_fft, hop, len(x))


def _hann(size: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)

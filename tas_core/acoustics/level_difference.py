"""Level of the left ear over that of the right, of arrays with the ears on the second-last axis."""

from __future__ import annotations

import numpy as np

from tas_core.conventions import LEFT_EAR, RIGHT_EAR, db_to_power

SILENCE_DBFS = -60.0


def spl_difference_db(ears: np.ndarray) -> float:
    """Level of the left ear over that of the right (paper, Fig. 7), dB; positive is left.

    Args:
        ears: (ear, time), full scale 1.

    Returns:
        20 log10(rms_L / rms_R); nan where both ears are below -60 dBFS. One silent ear gives an infinity.

    Raises:
        ValueError: not (ear, time) with two ears, or non-finite samples.
    """
    _check(ears)
    if ears.shape[-1] == 0:
        return float("nan")
    energies = np.square(ears, dtype=np.float64).sum(axis=-1)
    return spl_of_energies_db(energies[LEFT_EAR], energies[RIGHT_EAR], ears.shape[-1])


def spl_of_energies_db(left: float, right: float, count: int) -> float:
    """:func:`spl_difference_db` from the sums of squares of each ear's ``count`` samples; nan for none."""
    if count == 0 or max(left, right) / count < db_to_power(SILENCE_DBFS):
        return float("nan")
    with np.errstate(divide="ignore"):
        return float(10 * (np.log10(left) - np.log10(right)))


def spl_difference_curve_db(
    ears: np.ndarray, sample_rate_hz: int, window_s: float = 0.1, hop_s: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """SPL difference over time: window centres in seconds (window) and values in dB (window), nan in silence.

    Arguments and errors as :func:`spl_difference_db`; a signal shorter than a window has one, of all there is.
    """
    _check(ears)
    size = max(1, round(window_s * sample_rate_hz))
    hop = max(1, round(hop_s * sample_rate_hz))
    starts = np.arange(0, max(1, ears.shape[-1] - size + 1), hop)
    values = np.array([spl_difference_db(ears[:, s : s + size]) for s in starts])
    return (starts + size / 2) / sample_rate_hz, values


def _check(ears: np.ndarray) -> None:
    if ears.ndim != 2 or ears.shape[0] != 2:
        raise ValueError(f"ears: expected (ear, time) with two ears, got {ears.shape}")
    if not np.isfinite(ears).all():
        raise ValueError("ears: holds nan or infinite samples")

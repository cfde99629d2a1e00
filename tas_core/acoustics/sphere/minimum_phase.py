"""Spectra in minimum phase, as logarithms: they can be mixed, and what is mixed is in minimum phase again.

The phase of minimum phase is the Hilbert transform of the log magnitude. That is linear, so a weighted sum of complex
log spectra log|H| + i phase is the complex log spectrum, in minimum phase, of the weighted mean of levels in decibels.
In the cepstrum (the inverse Fourier transform of log|H|, even in time) it is a doubling of what lies after 0 and the
removal of what lies before (Oppenheim and Schafer, Discrete-Time Signal Processing, on the cepstrum).
"""

from __future__ import annotations

import numpy as np


def minimum_phase_log(log_magnitude: np.ndarray) -> np.ndarray:
    """Complex log spectra, complex128 (..., freq), in minimum phase.

    Args:
        log_magnitude: natural logarithms at frequencies from 0 to half the sample rate, both included (..., freq).
    """
    half = log_magnitude.shape[-1] - 1
    fold = np.zeros(2 * half)
    fold[0], fold[1:half], fold[half] = 1.0, 2.0, 1.0
    return np.fft.rfft(np.fft.irfft(log_magnitude, axis=-1) * fold, axis=-1)

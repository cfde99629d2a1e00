"""Width: how alike the ears are, from a point to a sound from all around.

A signal x and its decorrelated twin D x, where D is an all-pass, go to the ears as

    left = H_L (a x + b D x),   right = H_R (a x - b D x),   a^2 + b^2 = 1.

With ears that hear alike the sum of their powers is |H|^2 (|a + b D|^2 + |a - b D|^2) = 2 |H|^2 at every frequency, so
energy is kept; their sum is 2 a H x, without a trace of D, so nothing is coloured in mono; and their coherence is a^2
- b^2. A spread s asks for a coherence of 1 - s (1 - c), where c = sin(kd) / (kd) is that of a diffuse field at two
points 17 cm apart, what one hears when sound comes from all around (Cook et al., J. Acoust. Soc. Am. 27, 1955); mono
loses 10 log10((1 + c) / 2) of it, 3 dB at high frequencies, as it does of any sound from all around.

With the spread the head's filters give way, in decibels and in delay: they are H^(1 - s), so that at 1 no side is
left, and with an equalised head no colour.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tas_core.acoustics.hrtf import SPEED_OF_SOUND_M_S
from tas_core.acoustics.rooms import EAR_DISTANCE_M

_LENGTH_S: Final = 0.024
_DECAY_S: Final = 0.006
_ROUNDS = 300
_SEED = 7


def shares(spread: np.ndarray, freqs_hz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factors a and b, (place, freq) each, of a signal and its twin for spreads 0..1 (place)."""
    diffuse = np.sinc(2 * freqs_hz * EAR_DISTANCE_M / SPEED_OF_SOUND_M_S)
    coherence = 1 - spread[:, None] * (1 - diffuse)
    return np.sqrt((1 + coherence) / 2), np.sqrt((1 - coherence) / 2)


def decorrelator(sample_rate_hz: int) -> np.ndarray:
    """An all-pass impulse response (tap), 24 ms long, as unlike an impulse as noise is.

    Noise that decays in 6 ms is made flat in frequency and short in time in turns (Gerchberg and Saxton, 1972).
    """
    taps = round(_LENGTH_S * sample_rate_hz)
    size = 1 << (2 * taps - 1).bit_length()
    window = np.ones(taps)
    end = taps // 4
    window[-end:] = np.cos(np.pi / 2 * np.arange(1, end + 1) / (end + 1)) ** 2
    found = np.random.default_rng(_SEED).standard_normal(taps)
    found *= np.exp(-np.arange(taps) / (_DECAY_S * sample_rate_hz))
    for _ in range(_ROUNDS):
        spectrum = np.fft.rfft(found * window, size)
        found = np.fft.irfft(spectrum / np.maximum(np.abs(spectrum), 1e-9), size)[:taps]
    found *= window
    return found / np.sqrt(np.square(found).sum())

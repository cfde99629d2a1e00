"""How high a voice is: what tells recordings of men from those of women where nobody wrote down who speaks.

By the autocorrelation of short frames, divided by that of a constant (Boersma, 1993). Frames without a clear period do
not count. (torchaudio's ``detect_pitch_frequency`` has no such test: for speakers who are known, women's medians came
out at 145 to 180 Hz, next to those of men.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr

from tas_core.datasets.sources.catalogue import Speaker

_RATE_HZ = 8000
_FRAME, _HOP = 400, 200
_LOWEST_HZ, _HIGHEST_HZ = 65, 450
_QUIETEST = 0.05
"""Of the loudest frame's power: what is quieter does not count."""
_CLEAR = 0.6
"""Autocorrelation at the period, from which on a frame is voiced."""
_FIRST = 0.9
"""Of the highest peak: the first one that is as high is the period, and not a multiple of it."""
_FEWEST = 20
_HIGHEST_MAN_HZ, _LOWEST_WOMAN_HZ, _HIGHEST_WOMAN_HZ = 140, 170, 320
_SURE_SHARE, _OTHER_SHARE = 0.6, 0.1


def median_pitch_hz(samples: np.ndarray, rate_hz: int) -> float | None:
    """Median fundamental frequency of a voice, Hz; None where fewer than 20 frames of 50 ms have a clear one.

    Args:
        samples: (time), of one voice.
        rate_hz: 8000 or more.
    """
    x = soxr.resample(np.asarray(samples, np.float64), rate_hz, _RATE_HZ)
    if len(x) < _FRAME:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(x, _FRAME)[::_HOP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    power = np.square(frames).mean(axis=1)
    frames = frames[power > _QUIETEST * power.max()]
    alike = np.fft.irfft(np.abs(np.fft.rfft(frames, 2 * _FRAME)) ** 2)[:, :_FRAME]
    alike = alike / (alike[:, :1] + 1e-12) * (_FRAME / (_FRAME - np.arange(_FRAME)))
    first, last = _RATE_HZ // _HIGHEST_HZ, _RATE_HZ // _LOWEST_HZ
    inside = alike[:, first:last]
    peak = (inside >= alike[:, first - 1 : last - 1]) & (inside >= alike[:, first + 1 : last + 1])
    best = inside.max(axis=1, initial=0.0)
    candidates = peak & (inside > _FIRST * best[:, None])
    voiced = (best > _CLEAR) & candidates.any(axis=1)
    if voiced.sum() < _FEWEST:
        return None
    return float(np.median(_RATE_HZ / (first + candidates[voiced].argmax(axis=1))))


def speakers_by_pitch(pitches_hz: Sequence[float | None], said: Speaker) -> list[Speaker]:
    """Who speaks in each clip of one voice: what is said of the voice, as far as its pitch does not contradict it.

    Where nothing is said, a clip is a man's up to 140 Hz and a woman's from 170 to 320 Hz, if most clips of the voice
    agree and few are the other; a child, an actor or someone in between stays anybody. A synthesizer's woman who is as
    low as a man, or a man who is as high as a woman, becomes anybody.
    """
    heard: list[Speaker] = [_speaker(pitch) for pitch in pitches_hz]
    if said != "any":
        return ["any" if who not in ("any", said) else said for who in heard]
    pairs: tuple[tuple[Speaker, Speaker], ...] = (("male", "female"), ("female", "male"))
    for one, other in pairs:
        if heard.count(one) >= _SURE_SHARE * len(heard) and heard.count(other) <= _OTHER_SHARE * len(heard):
            return [one if who == one else "any" for who in heard]
    return ["any"] * len(heard)


def _speaker(pitch_hz: float | None) -> Speaker:
    if pitch_hz is None:
        return "any"
    if pitch_hz <= _HIGHEST_MAN_HZ:
        return "male"
    return "female" if _LOWEST_WOMAN_HZ <= pitch_hz <= _HIGHEST_WOMAN_HZ else "any"

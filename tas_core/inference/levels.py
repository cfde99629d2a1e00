"""Gains of a timeline at every sample.

Gains are read at the middle of frames, every h = 16 ms, and g_n of them become

    g(t) = sum_n w(t - n h)^2 g_n / sum_n w(t - n h)^2,        w: a Hann window of 4 h.

That is what frames multiplied by g_n come to when a signal goes through a short-time Fourier transform and back, so a
gain that acts on frames and one that acts on samples are the same. A step takes 64 ms.
"""

from __future__ import annotations

import numpy as np

from tas_core.acoustics.placing import FRAME_S, FRAMES_PER_WINDOW
from tas_core.conventions import db_to_amplitude
from tas_core.timeline.segments import Timeline


class GainCurves:
    """Gains of the objects of a timeline, and of everything else, at the samples of a signal.

    Args:
        timeline: with all ends closed.
        duration_s: length of the audio, seconds.
        sample_rate_hz: of the signal.
        transition_s: how long levels take to change where a prompt begins or ends.
    """

    def __init__(self, timeline: Timeline, duration_s: float, sample_rate_hz: int, transition_s: float = 0.0) -> None:
        self._timeline, self._duration_s = timeline, duration_s
        self._rate_hz, self._transition_s = sample_rate_hz, transition_s

    def at(self, start: int, stop: int, *, in_place: bool = False) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """Gains at samples ``start`` to before ``stop``, factors.

        Args:
            start: number of the first sample.
            stop: of the last, and one.
            in_place: of what stays where it was in an input of two channels: 0 for objects that a prompt places.

        Returns:
            By object, (time) float64, of those that a prompt names near there; and of all else, None for 1 throughout.
        """
        first = int(np.floor(start / self._rate_hz / FRAME_S)) - 1
        last = int(np.floor(stop / self._rate_hz / FRAME_S)) + 2
        times_s = np.arange(first, last + 1) * FRAME_S
        near = self._timeline.overlapping(times_s[0], times_s[-1] + 1e-9, transition_s=self._transition_s)
        if near is None:
            return {}, None
        samples = np.arange(start, stop) / self._rate_hz / FRAME_S - first
        rest_db = near.rest_gain_db(times_s, self._duration_s, transition_s=self._transition_s)
        tracks = near.tracks(times_s, self._duration_s, transition_s=self._transition_s)
        frames = {track.object: db_to_amplitude(track.gain_db) * ~(track.placed & in_place) for track in tracks}
        gains = {name: smooth(values, samples) for name, values in frames.items()}
        return gains, smooth(db_to_amplitude(rest_db), samples) if rest_db.any() else None


def smooth(values: np.ndarray, position: np.ndarray) -> np.ndarray:
    """g(t) of values (frame) at positions (time) counted in frames; the ends go on."""
    if (values == values[0]).all():
        return np.full(len(position), values[0])
    base = np.floor(position).astype(int)
    total, weights = np.zeros(len(position)), np.zeros(len(position))
    for step in range(1 - FRAMES_PER_WINDOW // 2, FRAMES_PER_WINDOW // 2 + 1):
        frame = base + step
        weight = np.cos(np.pi / FRAMES_PER_WINDOW * (position - frame)) ** 4  # the square of a Hann window
        total += weight * values[frame.clip(0, len(values) - 1)]
        weights += weight
    return total / weights

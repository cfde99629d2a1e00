"""Renderings without a model: the whole of a mono signal at one place, panned or through the measured head.

With mid = 2 x, spectrograms with Hann windows of 64 ms every 16 ms (1024 samples every 256 at 16 kHz, as the ``slots``
model has them), and G the direction filter (:class:`tas_core.acoustics.direction_filter.DirectionFilter`):

    side = G(b(t)) mid            b = mean of the azimuths requested at time t, 0 if none

It is the head's pair of filters, divided in every frequency by half their sum, so that (L + R) / 2 stays x. Panned,

    side = tan(pi / 4 * b(t) / 90 degrees) mid,

which has the level ratio of the constant-power law, L : R = cos(u) : sin(u) with u = (1 - b / 90 degrees) pi / 4,
scaled likewise; without the scale it would lose 3 dB of the mono sum at 90 degrees.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch

from tas_core.acoustics.direction_filter import DirectionFilter
from tas_core.acoustics.placing import FRAMES_PER_WINDOW, frame_hop
from tas_core.acoustics.stft import istft, stft
from tas_core.conventions import LEFT_EAR, LEFT_SIGN, MAX_AZIMUTH_DEG, RIGHT_EAR, to_ears
from tas_core.timeline.segments import Timeline

_BLOCK_HOPS: Final = 2048


def mean_azimuth_deg(timeline: Timeline, times_s: np.ndarray, duration_s: float) -> np.ndarray:
    """Mean of the azimuths that a timeline requests at each time, degrees (time); 0 where it requests none."""
    timeline.require_plane()
    tracks = timeline.tracks(times_s, duration_s)
    if not tracks:
        return np.zeros(len(times_s))
    active = np.stack([track.active for track in tracks])
    total = np.where(active, np.stack([track.azimuth_deg for track in tracks]), 0.0).sum(axis=0)
    return total / np.maximum(active.sum(axis=0), 1)


def through_head(x: np.ndarray, sample_rate_hz: int, timeline: Timeline) -> np.ndarray:
    """The whole of x at the mean requested azimuth, (ear, time) float64; (L + R) / 2 is x.

    Args:
        x: (time), float32 or float64.
        sample_rate_hz: of x, 8000 or more.
        timeline: what is requested.

    Raises:
        TimelineError: the timeline does not fit the signal.
    """
    hop = frame_hop(sample_rate_hz)
    n_fft = FRAMES_PER_WINDOW * hop
    duration_s = len(x) / sample_rate_hz
    filters = DirectionFilter(n_fft, sample_rate_hz)
    ears = np.stack([x, x]).astype(np.float64)
    block, edge = _BLOCK_HOPS * hop, n_fft
    for start in range(0, len(x), block):  # blocks and edges are whole steps, so that frames stay where they are
        first, stop = max(0, start - edge), min(start + block, len(x))
        piece = torch.from_numpy(np.ascontiguousarray(2 * x[first : stop + edge]))
        spectrum = stft(piece, n_fft, hop)
        times_s = (first + np.arange(spectrum.shape[-1]) * hop) / sample_rate_hz
        azimuth = torch.from_numpy(mean_azimuth_deg(timeline, times_s, duration_s)).float()
        side = istft((filters(azimuth).T * spectrum).to(spectrum.dtype), n_fft, hop, len(piece)).numpy()
        side = side[start - first : stop - first]
        ears[LEFT_EAR, start:stop] += side / 2
        ears[RIGHT_EAR, start:stop] -= side / 2
    return ears


def panned(x: np.ndarray, sample_rate_hz: int, timeline: Timeline) -> np.ndarray:
    """The whole of x by amplitude panning to the mean azimuth requested, (ear, time) float64; (L + R) / 2 is x.

    The level ratio is that of the constant-power law, see above.

    Args:
        x: (time), float32 or float64.
        sample_rate_hz: of x, 8000 or more.
        timeline: what is requested.

    Raises:
        TimelineError: the timeline does not fit the signal.
    """
    hop = frame_hop(sample_rate_hz)
    n_fft = FRAMES_PER_WINDOW * hop
    spectrum = stft(torch.from_numpy(2 * x), n_fft, hop)
    times_s = np.arange(spectrum.shape[-1]) * hop / sample_rate_hz
    mean_deg = mean_azimuth_deg(timeline, times_s, len(x) / sample_rate_hz)
    ratio = LEFT_SIGN * np.tan(math.pi / 4 * mean_deg / MAX_AZIMUTH_DEG)
    side = istft((torch.from_numpy(ratio) * spectrum).to(spectrum.dtype), n_fft, hop, len(x)).numpy()
    return to_ears(x, side)

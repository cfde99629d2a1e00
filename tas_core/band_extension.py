"""Above the model's band: the side signal of what the model does not hear follows what it chose just below."""

from __future__ import annotations

import numpy as np
import torch

from tas_core.audio import resample
from tas_core.dsp import stft
from tas_core.types import LEFT_EAR, RIGHT_EAR

_EDGE_SHARE = (0.60, 0.95)
"""The part of the model's band, below half its rate, whose panning the band above follows."""


def extend_band(
    x: np.ndarray, low: np.ndarray, side_low: np.ndarray, sample_rate_hz: int, model_rate_hz: int
) -> np.ndarray:
    """Side signal (time) over the whole band of ``x``, from the one in the model's band.

    What ``x`` holds above the model's band is panned by level alone (phase differences between the ears
    carry no direction there): with p = (E_L - E_R) / (E_L + E_R), E the ears' magnitudes between 60 and
    95 % of half the model's rate, smoothed over about 0.1 s, side = p * mid.

    Args:
        x: input (time) at ``sample_rate_hz``.
        low: the same at ``model_rate_hz``.
        side_low: side signal at ``model_rate_hz``.
    """
    if sample_rate_hz == model_rate_hz:
        return side_low
    side = resample(side_low, model_rate_hz, sample_rate_hz, len(x))
    if sample_rate_hz < model_rate_hz:
        return side
    high = x - resample(low, model_rate_hz, sample_rate_hz, len(x))
    n_fft, hop = 512, 256
    ears = torch.from_numpy(np.stack([low + side_low / 2, low - side_low / 2]))
    power = stft(ears, n_fft, hop).abs().square()
    edges = [round(share * n_fft / 2) for share in _EDGE_SHARE]
    power = power[:, edges[0] : edges[1]].sum(dim=1)
    power = torch.nn.functional.avg_pool1d(power[:, None], 7, 1, 3, count_include_pad=False)[:, 0]
    level = power.clamp_min(0).sqrt().numpy()
    pan = (level[LEFT_EAR] - level[RIGHT_EAR]) / (level.sum(axis=0) + 1e-12)
    positions = np.arange(pan.shape[0]) * hop * sample_rate_hz / model_rate_hz
    return side + 2 * high * np.interp(np.arange(len(x)), positions, pan)

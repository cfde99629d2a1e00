"""Levels: every network sees its mid at one RMS, and its side signal gets the level of the input back.

The factor is that of the mix, never of the ground truth, which is not known when a model is used.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

MID_RMS: Final = 0.1
"""RMS that every row of mid is scaled to, as in 2.5D Visual Sound (Gao and Grauman 2019)."""

SILENCE_RMS: Final = 1e-8
"""Rows of mid below this RMS (-160 dB) count as silent, so that a scale is never divided by zero."""


def normalise(mid: Tensor) -> tuple[Tensor, Tensor]:
    """Scale each row of `mid` (batch, time) to RMS :data:`MID_RMS`.

    Returns:
        The scaled rows (batch, time), and the factors (batch, 1) that undo it; silent rows become zeros with
        factor 0.
    """
    rms = mid.square().mean(dim=-1, keepdim=True).sqrt()
    silent = rms < SILENCE_RMS
    gain = torch.where(silent, 0.0, rms / MID_RMS)
    return divide(mid, gain), gain


def divide(signal: Tensor, gain: Tensor) -> Tensor:
    """`signal` (batch, time) over `gain` (batch, 1) from :func:`normalise`; zeros where the gain is 0."""
    silent = gain == 0
    return torch.where(silent, 0.0, signal / torch.where(silent, 1.0, gain))

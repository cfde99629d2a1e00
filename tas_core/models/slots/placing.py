"""From estimated masks to those that place: what the ``slots`` network is unsure of, decided by the prompt."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LOUDNESS_EXPONENT = 0.5
"""Of magnitudes, when fractions are taken: between counting every bin the same and counting its power."""
_LEAST_FRACTION = 0.02


def placing_masks(
    masks: Tensor, magnitude: Tensor, active: Tensor, *, balance: float, frames: int, sharpness: float
) -> Tensor:
    """Masks of the clauses that place sound, (batch, clause, frame, freq), everything else left out.

    Two corrections of least-squares masks. A network that is unsure which of two names is which gives both sounds to
    the surer name, though the prompt says that both sound. So the masks of a clause are divided by the fraction of the
    sound that it takes around a frame, relative to the clause that takes most there, to the power of ``balance``: what
    is known for a shift of class frequencies (Saerens et al., Neural Computation 14, 2002), for a prior between the
    estimated fractions and equal ones. Then masks are raised to the power of ``sharpness`` and divided by their
    sum: a doubtful bin is half here, half there in the mean, and would be in between.

    Args:
        masks: (batch, clause + 1, frame, freq), the last for everything else, summing to one over clauses.
        magnitude: of the mixture's spectrum, (batch, frame, freq).
        active: when the prompt holds each clause, (batch, clause, frame) bool.
        balance: 0 to leave fractions as estimated, 1 for equal ones as far as masks go.
        frames: on each side that fractions are taken over.
        sharpness: 1 to leave masks as they are.
    """
    if masks.shape[1] == 1:
        return masks[:, :-1]
    loudness = magnitude.pow(_LOUDNESS_EXPONENT)
    taken = (masks[:, :-1] * loudness[:, None]).sum(dim=3)
    possible = active * loudness.sum(dim=2)[:, None]
    around = lambda x: F.avg_pool1d(x, 2 * frames + 1, 1, frames)  # noqa: E731
    fraction = (around(taken) / around(possible).clamp_min(torch.finfo(taken.dtype).tiny)).clamp(_LEAST_FRACTION, 1.0)
    most = torch.where(active, fraction, _LEAST_FRACTION).amax(dim=1, keepdim=True)
    weight = (most / fraction).pow(balance)[..., None]
    sharp = torch.cat([masks[:, :-1] * weight, masks[:, -1:]], dim=1).pow(sharpness)
    return sharp[:, :-1] / sharp.sum(dim=1, keepdim=True)


def leveled_masks(placing: Tensor, masks: Tensor, gains: Tensor) -> Tensor:
    """Masks that place sound whose objects are made louder or quieter, (batch, clause, frame, freq).

    With p the masks that place, m those of the stems, g the gains, and sums over clauses and everything else,

        p_k g_k  (sum_j m_j g_j) / (sum_j p_j g_j):

    a bin has the level that the stems come to after their gains, and the direction that the placing masks give it then.

    Args:
        placing: from :func:`placing_masks`.
        masks: of the stems, (batch, clause + 1, frame, freq), summing to one over clauses.
        gains: factors, (batch, clause + 1, frame).
    """
    gains = gains[..., None]
    scaled = placing * gains[:, :-1]
    there = scaled.sum(dim=1) + (1 - placing.sum(dim=1)).clamp_min(0) * gains[:, -1]
    wanted = (masks * gains).sum(dim=1)
    return scaled * (wanted / there.clamp_min(torch.finfo(there.dtype).tiny))[:, None]

"""What a network predicts, and how that gives the clean signal.

Every noisy signal is a_n = s x0 + r e with s = sqrt(abar_n), r = sqrt(1 - abar_n), s^2 + r^2 = 1. A network
may predict

    noise:  e
    x0:     x0
    v:      v = s e - r x0       (Salimans and Ho 2022)

and any two of a_n, x0, e, v give the others, but for abar = 0, where a_n is e: there a predicted e says nothing of
x0, v is -x0, and only x0 and v can be learned from.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import torch
from torch import Tensor

from tas_core.models.diffusion.schedule import coefficients

Prediction = Literal["noise", "x0", "v"]
Loss = Literal["predicted", "signal"]
"""Whose squared error a network learns by: what it predicts, or the clean signal that this stands for."""

NOISE_SAYS_NOTHING: Final = "a prediction of noise says nothing of the signal where abar is 0"
"""Why such a schedule and such a network do not go together."""


def target(kind: Prediction, x0: Tensor, noise: Tensor, alpha_bar: Tensor | float) -> Tensor:
    """What a network of this `kind` should give, same shape as `x0` and `noise` (batch, ...).

    Args:
        kind: what the network predicts.
        x0: clean signal.
        noise: the standard normal noise that was mixed in.
        alpha_bar: (batch) or a scalar.
    """
    _check(kind)
    if kind == "noise":
        return noise
    if kind == "x0":
        return x0
    signal, sigma = coefficients(alpha_bar, x0)
    return signal * noise - sigma * x0


def to_x0(kind: Prediction, output: Tensor, noisy: Tensor, alpha_bar: Tensor | float) -> Tensor:
    """Clean signal (batch, ...) that a network's `output` at `noisy` stands for.

    Args:
        kind: what the network predicts.
        output: the network's output, same shape as `noisy`.
        noisy: a_n.
        alpha_bar: (batch) or a scalar.

    Raises:
        ValueError: unknown kind, or "noise" where abar is 0.
    """
    _check(kind)
    if kind == "x0":
        return output
    if kind == "noise" and bool((torch.as_tensor(alpha_bar) == 0).any()):
        raise ValueError(f"{NOISE_SAYS_NOTHING}; expected a prediction of x0 or v")
    signal, sigma = coefficients(alpha_bar, noisy)
    if kind == "noise":
        return (noisy - sigma * output) / signal
    return signal * noisy - sigma * output


def error_weight(kind: Prediction, alpha_bar: Tensor | float) -> Tensor:
    """The squared error of x0 over that of what is predicted, at the same noisy signal.

    1 for x0, 1 - abar for v, (1 - abar) / abar for noise; of the shape of `alpha_bar`, float64.

    Args:
        kind: what the network predicts.
        alpha_bar: (batch) or a scalar; above 0 where noise is predicted.
    """
    _check(kind)
    level = torch.as_tensor(alpha_bar, dtype=torch.float64)
    if kind == "x0":
        return torch.ones_like(level)
    return 1 - level if kind == "v" else (1 - level) / level


def noise_from_x0(x0: Tensor, noisy: Tensor, alpha_bar: Tensor | float) -> Tensor:
    """Noise (batch, ...) in `noisy` if the clean signal is `x0`; abar must be below 1."""
    signal, sigma = coefficients(alpha_bar, noisy)
    return (noisy - signal * x0) / sigma


def _check(kind: str) -> None:
    if kind not in get_args(Prediction):
        raise ValueError(f"unknown kind of prediction {kind!r}, expected one of {', '.join(get_args(Prediction))}")

"""What a network predicts, and how that gives the clean signal.

Every noisy signal is a_n = s x0 + r e with s = sqrt(abar_n), r = sqrt(1 - abar_n), s^2 + r^2 = 1. A network
may predict

    noise:  e
    x0:     x0
    v:      v = s e - r x0       (Salimans and Ho 2022)

and any two of a_n, x0, e, v give the others.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from tas_core.models.diffusion.schedule import coefficients

Prediction = Literal["noise", "x0", "v"]


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
        kind: what the network predicts; for "noise", abar must be above 0.
        output: the network's output, same shape as `noisy`.
        noisy: a_n.
        alpha_bar: (batch) or a scalar.
    """
    _check(kind)
    if kind == "x0":
        return output
    signal, sigma = coefficients(alpha_bar, noisy)
    if kind == "noise":
        return (noisy - sigma * output) / signal
    return signal * noisy - sigma * output


def noise_from_x0(x0: Tensor, noisy: Tensor, alpha_bar: Tensor | float) -> Tensor:
    """Noise (batch, ...) in `noisy` if the clean signal is `x0`; abar must be below 1."""
    signal, sigma = coefficients(alpha_bar, noisy)
    return (noisy - signal * x0) / sigma


def _check(kind: str) -> None:
    if kind not in get_args(Prediction):
        raise ValueError(f"unknown kind of prediction {kind!r}, expected one of {', '.join(get_args(Prediction))}")

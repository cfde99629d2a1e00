"""What a network predicts, in float64, so that what is left is the mathematics."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tas_core.models.diffusion.parameterisation import error_weight, noise_from_x0, target, to_x0


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=_generator(seed), dtype=torch.float64)


@settings(max_examples=30, deadline=None)
@given(alpha_bar=st.floats(1e-4, 1 - 1e-4), seed=st.integers(0, 100))
def test_every_prediction_gives_back_signal_and_noise(alpha_bar: float, seed: int) -> None:
    x0, noise = _normal(2, 5, seed=seed), _normal(2, 5, seed=seed + 1)
    noisy = math.sqrt(alpha_bar) * x0 + math.sqrt(1 - alpha_bar) * noise
    for kind in ("noise", "x0", "v"):
        output = target(kind, x0, noise, alpha_bar)
        torch.testing.assert_close(to_x0(kind, output, noisy, alpha_bar), x0, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(noise_from_x0(x0, noisy, alpha_bar), noise, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("alpha_bar", [0.9, 0.3, torch.tensor([0.2, 0.99], dtype=torch.float64)])
def test_the_weight_of_an_error_is_what_it_does_to_the_signal(alpha_bar: float | Tensor) -> None:
    level = torch.as_tensor(alpha_bar, dtype=torch.float64).expand(2)
    noisy, output, wrong = _normal(2, 5), _normal(2, 5, seed=1), _normal(2, 5, seed=2)
    for kind in ("noise", "x0", "v"):
        one, other = (to_x0(kind, each, noisy, level) for each in (output, output + wrong))
        ratio = (one - other).square().sum(dim=1) / wrong.square().sum(dim=1)
        torch.testing.assert_close(torch.as_tensor(error_weight(kind, level)).double(), ratio, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("alpha_bar", [0.0, torch.zeros(2, dtype=torch.float64), torch.tensor([0.0, 0.6])])
def test_in_pure_noise_v_and_x0_still_say_what_the_signal_is(alpha_bar: float | Tensor) -> None:
    x0, noise = _normal(2, 5), _normal(2, 5, seed=1)
    level = torch.as_tensor(alpha_bar, dtype=torch.float64).expand(2)[:, None]
    noisy = level.sqrt() * x0 + (1 - level).sqrt() * noise
    for kind in ("x0", "v"):
        output = target(kind, x0, noise, alpha_bar)
        torch.testing.assert_close(to_x0(kind, output, noisy, alpha_bar), x0, rtol=1e-12, atol=1e-12)
    assert torch.equal(target("v", x0, noise, alpha_bar)[0], -x0[0])
    torch.testing.assert_close(noise_from_x0(x0, noisy, alpha_bar), noise, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("alpha_bar", [0, 0.0, torch.tensor([0.5, 0.0])])
def test_a_prediction_of_noise_is_refused_where_there_is_nothing_else(alpha_bar: float | Tensor) -> None:
    noise = _normal(2, 5)
    with pytest.raises(
        ValueError, match="says nothing of the signal where abar is 0; expected a prediction of x0 or v"
    ):
        to_x0("noise", noise, noise, alpha_bar)


def test_v_is_the_derivative_along_the_angle() -> None:
    """With a = cos(phi) x0 + sin(phi) e, v = da/dphi."""
    x0, noise, phi = _normal(1, 3), _normal(1, 3, seed=1), 0.9
    angle = torch.tensor(phi, dtype=torch.float64)
    derivative = torch.autograd.functional.jacobian(lambda a: a.cos() * x0 + a.sin() * noise, angle)
    torch.testing.assert_close(target("v", x0, noise, math.cos(phi) ** 2), derivative)


def test_an_unknown_kind_of_prediction_is_refused() -> None:
    zero = torch.zeros(1, 1)
    with pytest.raises(ValueError, match="unknown kind of prediction 'eps', expected one of noise, x0, v"):
        target("eps", zero, zero, 0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown kind"):
        to_x0("eps", zero, zero, 0.5)  # type: ignore[arg-type]

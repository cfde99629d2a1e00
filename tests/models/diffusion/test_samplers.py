"""Samplers against exact solutions, in float64, so that what is left is the mathematics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tas_core.models.diffusion.parameterisation import Prediction, noise_from_x0, target, to_x0
from tas_core.models.diffusion.samplers import ddim, ddpm, sample
from tas_core.models.diffusion.schedule import NoiseSchedule, build_schedule, cosine_schedule, linear_schedule

MEAN, STD = 0.7, 0.6


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=_generator(seed), dtype=torch.float64)


class GaussianDenoiser:
    """E[x0 | a_n] for x0 ~ N(MEAN, STD^2); notes the steps it is asked for."""

    def __init__(self, schedule: NoiseSchedule) -> None:
        self.alpha_bars = schedule.alpha_bars
        self.asked: list[int] = []

    def __call__(self, noisy: Tensor, step: Tensor) -> Tensor:
        assert step.shape == noisy.shape[:1]
        assert step.dtype == torch.int64
        self.asked.append(int(step[0]))
        alpha_bar = float(self.alpha_bars[step[0]])
        gain = STD**2 * math.sqrt(alpha_bar) / (STD**2 * alpha_bar + 1 - alpha_bar)
        return MEAN + gain * (noisy - math.sqrt(alpha_bar) * MEAN)


@pytest.mark.parametrize("schedule", [cosine_schedule(40), build_schedule("rescaled", 40, 1e-4, 0.05)])
@pytest.mark.parametrize("sampler", [ddpm, ddim])
def test_ancestral_sampling_follows_the_exact_recursion_of_mean_and_variance(sampler, schedule: NoiseSchedule) -> None:
    """For a Gaussian every step is affine: mean <- A mean + B, variance <- A^2 variance + sigma^2."""
    beta, after = schedule.betas.numpy(), schedule.alpha_bars.numpy()
    before = np.concatenate([[1.0], after[:-1]])
    gain = STD**2 * np.sqrt(after) / (STD**2 * after + 1 - after)
    on_x0 = np.sqrt(before) * beta / (1 - after)
    on_noisy = np.sqrt(1 - beta) * (1 - before) / (1 - after)
    mean, variance = 0.0, 1.0
    for n in reversed(range(40)):
        slope = on_x0[n] * gain[n] + on_noisy[n]
        mean = slope * mean + on_x0[n] * MEAN * (1 - gain[n] * np.sqrt(after[n]))
        variance = slope**2 * variance + (1 - before[n]) / (1 - after[n]) * beta[n]

    count = 40_000
    extra = {"eta": 1.0} if sampler is ddim else {}
    drawn = sampler(GaussianDenoiser(schedule), _normal(count, 1, seed=5), schedule, generator=_generator(6), **extra)
    assert float(drawn.mean()) == pytest.approx(mean, abs=4 * math.sqrt(variance / count))
    assert float(drawn.var()) == pytest.approx(variance, rel=4 * math.sqrt(2 / count))


def test_ancestral_sampling_reproduces_the_distribution_of_the_data() -> None:
    schedule = cosine_schedule(400)
    count = 10_000
    drawn = ddpm(GaussianDenoiser(schedule), _normal(count, 1, seed=7), schedule, _generator(8))
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=4 * STD / math.sqrt(count))
    # four standard errors, and 1 % for the 400 steps
    assert float(drawn.var()) == pytest.approx(STD**2, rel=4 * math.sqrt(2 / count) + 0.01)


@pytest.mark.parametrize("num_steps", [1, 2, 6, 50])
@pytest.mark.parametrize("kind", ["v", "x0"])
@pytest.mark.parametrize("name", ["rescaled", "cosine"])
def test_a_perfect_network_gives_the_truth_from_pure_noise(name: str, kind: Prediction, num_steps: int) -> None:
    """It knows the signal, and tells it in its own terms: v or x0 of whatever noise it is shown."""
    schedule, truth = build_schedule(name, 50, 1e-4, 0.05), 3 * _normal(2, 7, seed=9)

    def denoise(noisy: Tensor, step: Tensor) -> Tensor:
        level = schedule.alpha_bar_at(step)
        return to_x0(kind, target(kind, truth, noise_from_x0(truth, noisy, level), level), noisy, level)

    for sampler in ("ddpm", "ddim"):
        found = sample(sampler, denoise, _normal(2, 7), schedule.respaced(num_steps), _generator(2))
        torch.testing.assert_close(found, truth, rtol=1e-9, atol=1e-9)


def test_only_a_schedule_that_ends_in_noise_starts_without_a_bias() -> None:
    """From the mean of pure noise, the flow of a Gaussian leads to its mean, if training has seen pure noise."""
    start = torch.zeros(1, 1, dtype=torch.float64)
    for name, exact in (("rescaled", True), ("cosine", True), ("linear", False)):
        schedule = build_schedule(name, 50, 1e-4, 0.05)
        found = float(ddim(GaussianDenoiser(schedule), start, schedule))
        assert (found == pytest.approx(MEAN, abs=1e-12)) == exact, name
        if not exact:  # half of the mean's amplitude is missing from what sampling starts with
            assert found < 0.85 * MEAN


def test_ddpm_and_ddim_with_eta_one_are_the_same_sampler() -> None:
    for full in (linear_schedule(), build_schedule("rescaled", 50, 1e-4, 0.05)):
        schedule, start, denoise = full.respaced(9), _normal(4, 3), GaussianDenoiser(full)
        one = ddpm(denoise, start, schedule, _generator(1))
        other = ddim(denoise, start, schedule, eta=1.0, generator=_generator(1))
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_ddim_solves_the_probability_flow_to_first_order() -> None:
    """Along the flow of a Gaussian every sample keeps its quantile; twice the steps must halve the error."""
    fine = cosine_schedule(3200)
    start = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    alpha_bar = float(fine.alpha_bars[-1])
    exact = MEAN + STD * (start - math.sqrt(alpha_bar) * MEAN) / math.sqrt(alpha_bar * STD**2 + 1 - alpha_bar)
    counts = [25, 50, 100, 200]
    errors = [
        float((ddim(GaussianDenoiser(fine), start, fine.respaced(count)) - exact).abs().max()) for count in counts
    ]
    orders = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    assert errors[-1] < 0.01
    assert all(0.9 < order < 1.1 for order in orders), orders


@pytest.mark.parametrize("sampler", [ddpm, ddim])
def test_one_step_gives_the_estimate_of_the_denoiser(sampler) -> None:
    schedule = cosine_schedule(50).respaced(1)
    start = _normal(3, 4)
    estimate = GaussianDenoiser(cosine_schedule(50))(start, torch.full((3,), 49))
    assert torch.equal(sampler(GaussianDenoiser(cosine_schedule(50)), start, schedule), estimate)
    # almost nothing of the signal is left at the last step, so the estimate is almost the mean
    torch.testing.assert_close(estimate, torch.full_like(estimate, MEAN), atol=5e-3, rtol=0)


@pytest.mark.parametrize("sampler", [ddpm, ddim])
def test_the_denoiser_is_told_the_steps_of_the_training_schedule(sampler) -> None:
    denoise = GaussianDenoiser(linear_schedule(50))
    sampler(denoise, _normal(2, 1), linear_schedule(50).respaced(5))
    assert denoise.asked == [49, 39, 29, 19, 9]


@pytest.mark.parametrize("name", ["ddpm", "ddim"])
def test_randomness_comes_from_the_generator_alone(name: str) -> None:
    schedule = linear_schedule(8)
    denoise = GaussianDenoiser(schedule)
    start = _normal(2, 6)
    before = torch.get_rng_state()
    first = sample(name, denoise, start, schedule, _generator(3))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, sample(name, denoise, start, schedule, _generator(3)))
    changed = not torch.equal(first, sample(name, denoise, start, schedule, _generator(4)))
    assert changed == (name == "ddpm")
    assert torch.equal(start, _normal(2, 6))


def test_a_perfect_denoiser_is_followed_exactly_by_both() -> None:
    x0 = _normal(2, 5, seed=9)
    for name in ("ddpm", "ddim"):
        result = sample(name, lambda noisy, step: x0, _normal(2, 5), linear_schedule(6), _generator())  # noqa: ARG005
        assert torch.equal(result, x0)
    with pytest.raises(ValueError, match="unknown sampler 'euler', expected one of ddpm, ddim"):
        sample("euler", lambda noisy, step: x0, x0, linear_schedule(6))  # noqa: ARG005

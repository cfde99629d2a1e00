"""Schedules of noise, in float64, so that what is left is the mathematics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tas_core.models.diffusion.schedule import (
    NoiseSchedule,
    build_schedule,
    cosine_schedule,
    diffuse,
    linear_schedule,
    rescaled_to_noise,
)

ENDING_IN_NOISE = [build_schedule("rescaled", 50, 1e-4, 0.05), build_schedule("cosine", 50, 1e-4, 0.05)]
SCHEDULES = [linear_schedule(), linear_schedule(200, 1e-4, 0.02), cosine_schedule(), cosine_schedule(7)]
SCHEDULES += ENDING_IN_NOISE


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=_generator(seed), dtype=torch.float64)


def test_alpha_bar_is_the_literal_product() -> None:
    schedule = linear_schedule(50, 1e-4, 0.05)
    for n in (0, 1, 17, 49):
        product = math.prod(1 - (1e-4 + (0.05 - 1e-4) * i / 49) for i in range(n + 1))
        assert float(schedule.alpha_bars[n]) == pytest.approx(product, rel=1e-13)
    assert float(schedule.alpha_bars[-1]) == pytest.approx(0.280, abs=5e-4)  # the figure known for DiffWave


def test_the_cosine_schedule_follows_its_curve_and_ends_in_noise() -> None:
    schedule = cosine_schedule(100)
    curve = np.cos((np.arange(101) / 100 + 0.008) / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(schedule.alpha_bars[:-1], (curve / curve[0])[1:-1], rtol=1e-10)
    assert float(schedule.alpha_bars[-1]) < 1e-6
    assert float(schedule.betas.max()) == 0.999


def test_rescaling_shifts_and_scales_the_root_levels_and_ends_in_noise_exactly() -> None:
    plain, rescaled = linear_schedule(), rescaled_to_noise(linear_schedule())
    old, new = plain.alpha_bars.sqrt().numpy(), rescaled.alpha_bars.sqrt().numpy()
    expected = (old - old[-1]) / (old[0] - old[-1]) * old[0]  # the line through (first, first) and (last, 0)
    np.testing.assert_allclose(new, expected, rtol=1e-7, atol=1e-12)
    assert float(rescaled.alpha_bars[0]) == pytest.approx(float(plain.alpha_bars[0]), rel=1e-12)
    assert (plain.ends_in_noise, rescaled.ends_in_noise) == (False, True)
    assert (float(rescaled.alpha_bars[-1]), float(rescaled.betas[-1])) == (0.0, 1.0)
    assert torch.equal(rescaled.train_steps, plain.train_steps)
    # what ends in noise already stays as it is
    torch.testing.assert_close(rescaled_to_noise(rescaled).alpha_bars, rescaled.alpha_bars, rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ["rescaled", "cosine"])
@pytest.mark.parametrize(("num_steps", "beta_max"), [(2, 0.5), (5, 0.05), (50, 0.05), (1000, 0.02), (7, 1e-4)])
def test_schedules_that_end_in_noise_do_so_at_any_length(name: str, num_steps: int, beta_max: float) -> None:
    schedule = build_schedule(name, num_steps, 1e-4, beta_max)
    assert float(schedule.alpha_bars[-1]) == 0.0
    assert bool((schedule.alpha_bars.diff() < 0).all())
    for fewer in {1, 2, num_steps // 2, num_steps}:
        fast = schedule.respaced(fewer)
        assert fast.ends_in_noise
        assert int(fast.train_steps[-1]) == num_steps - 1


def test_the_cosine_schedule_without_a_limit_is_its_curve_to_the_end() -> None:
    curve = np.cos((np.arange(51) / 50 + 0.008) / 1.008 * np.pi / 2) ** 2
    schedule = build_schedule("cosine", 50, 1e-4, 0.05)
    np.testing.assert_allclose(schedule.alpha_bars, curve[1:] / curve[0], rtol=1e-10, atol=1e-30)


def test_names_of_schedules() -> None:
    assert torch.equal(build_schedule("linear", 9, 1e-3, 0.1).betas, linear_schedule(9, 1e-3, 0.1).betas)
    with pytest.raises(ValueError, match="schedule must be one of linear, rescaled, cosine, not 'sigmoid'"):
        build_schedule("sigmoid", 9, 1e-3, 0.1)
    for name in ("rescaled", "cosine"):
        with pytest.raises(ValueError, match="needs two steps or more, not 1"):
            build_schedule(name, 1, 1e-3, 0.1)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("num_steps", [1, 2, 5, 6, 7])
def test_a_respaced_schedule_keeps_levels_and_starts_where_training_ended(
    schedule: NoiseSchedule, num_steps: int
) -> None:
    fast = schedule.respaced(num_steps)
    assert fast.num_steps == num_steps
    assert int(fast.train_steps[-1]) == schedule.num_steps - 1
    assert bool((fast.train_steps.diff() > 0).all())
    torch.testing.assert_close(fast.alpha_bars, schedule.alpha_bars[fast.train_steps], rtol=1e-9, atol=1e-15)


def test_respacing_to_all_steps_or_twice_changes_nothing_else() -> None:
    schedule = linear_schedule(60)
    torch.testing.assert_close(schedule.respaced(60).betas, schedule.betas)
    twice = schedule.respaced(30).respaced(10)
    assert torch.equal(twice.train_steps, schedule.respaced(10).train_steps)
    torch.testing.assert_close(twice.alpha_bars, schedule.respaced(10).alpha_bars)


def test_impossible_schedules_are_refused() -> None:
    for num_steps in (0, 51):
        with pytest.raises(ValueError, match="between 1 and 50"):
            linear_schedule(50).respaced(num_steps)
    for betas in ([], [0.0], [1.1], [1.0, 0.5], [0.1, 1.0, 1.0], [0.1, -0.1], [float("nan")]):
        with pytest.raises(ValueError, match="betas must be"):
            NoiseSchedule(torch.tensor(betas), torch.arange(len(betas)))
    with pytest.raises(ValueError, match="train_steps"):
        NoiseSchedule(torch.tensor([0.1]), torch.arange(2))


def test_diffusing_has_the_moments_of_the_closed_form_and_of_many_single_steps() -> None:
    """mean sqrt(abar) x0, variance 1 - abar: for one jump, and for the chain of Eq. 3."""
    schedule = linear_schedule()
    count, x0 = 40_000, 1.5
    step = torch.full((count,), 30)
    jump = diffuse(torch.full((count, 1), x0, dtype=torch.float64), _normal(count, 1), step, schedule)
    chain = torch.full((count, 1), x0, dtype=torch.float64)
    for n in range(31):
        beta = float(schedule.betas[n])
        chain = math.sqrt(1 - beta) * chain + math.sqrt(beta) * _normal(count, 1, seed=n + 1)
    alpha_bar = float(schedule.alpha_bars[30])
    for values in (jump, chain):  # four standard errors
        assert float(values.mean()) == pytest.approx(
            math.sqrt(alpha_bar) * x0, abs=4 * math.sqrt((1 - alpha_bar) / count)
        )
        assert float(values.var()) == pytest.approx(1 - alpha_bar, rel=4 * math.sqrt(2 / count))


@pytest.mark.parametrize("schedule", ENDING_IN_NOISE)
def test_nothing_of_the_signal_is_in_the_last_step_of_a_schedule_that_ends_in_noise(schedule: NoiseSchedule) -> None:
    noise, last = _normal(2, 5), torch.full((2,), 49)
    for x0 in (_normal(2, 5, seed=1), torch.full((2, 5), 1e6, dtype=torch.float64)):
        assert torch.equal(diffuse(x0, noise, last, schedule), noise)


def test_each_example_of_a_batch_has_its_own_step() -> None:
    schedule = linear_schedule()
    x0, noise, step = _normal(3, 2, 4), _normal(3, 2, 4, seed=1), torch.tensor([0, 20, 49])
    batched = diffuse(x0, noise, step, schedule)
    for index in range(3):
        alpha_bar = float(schedule.alpha_bars[step[index]])
        expected = math.sqrt(alpha_bar) * x0[index] + math.sqrt(1 - alpha_bar) * noise[index]
        torch.testing.assert_close(batched[index], expected)

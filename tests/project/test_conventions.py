"""Decibels of numbers, arrays and tensors, and seeds with a number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tas_core.conventions import amplitude_to_db, db_to_amplitude, db_to_power, numbered_seed, power_to_db, side_name

POWERS = [1e-12, 0.3, 1.0, 100.0, 7e9]


def test_levels_by_the_formula() -> None:
    assert amplitude_to_db(10.0) == 20.0
    assert power_to_db(10.0) == 10.0
    assert [power_to_db(power) for power in POWERS] == [10 * math.log10(power) for power in POWERS]
    np.testing.assert_array_equal(amplitude_to_db(np.array(POWERS)), 20 * np.log10(POWERS))
    for dtype in (torch.float32, torch.float64):
        tensor = torch.tensor(POWERS, dtype=dtype)
        torch.testing.assert_close(power_to_db(tensor), 10 * torch.log10(tensor), rtol=0, atol=0)


def test_nothing_is_infinitely_far_down_and_nothing_is_warned_of() -> None:
    assert power_to_db(0.0) == amplitude_to_db(0.0) == -math.inf
    assert amplitude_to_db(0) == -math.inf
    np.testing.assert_array_equal(power_to_db(np.array([0.0, 1.0])), [-np.inf, 0.0])
    assert power_to_db(np.float64(0.0)) == -math.inf
    assert torch.equal(amplitude_to_db(torch.tensor([0.0, 1.0])), torch.tensor([-torch.inf, 0.0]))


@pytest.mark.parametrize("kind", [float, np.array, torch.tensor])
def test_there_and_back(kind: type) -> None:
    level_db = kind(-37.5)
    assert float(amplitude_to_db(db_to_amplitude(level_db))) == pytest.approx(-37.5, rel=1e-6)
    assert float(power_to_db(db_to_power(level_db))) == pytest.approx(-37.5, rel=1e-6)
    assert float(db_to_power(level_db)) == pytest.approx(float(db_to_amplitude(level_db)) ** 2, rel=1e-5)


def test_numbered_seeds_are_all_different() -> None:
    """The numbers decide what is drawn, so they stay: noise, batches and simulated clips would be others."""
    assert numbered_seed(0, 5) == 5
    assert numbered_seed(3, 5) == 3_000_014
    assert len({numbered_seed(seed, number) for seed in range(20) for number in range(0, 1_000_000, 999)}) == 20 * 1002


# ------------------------------------------------------------------ scoring


@pytest.mark.parametrize(
    ("azimuth_deg", "place"),
    [(90, "left"), (15.01, "left"), (15, "center"), (0, "center"), (-15, "center"), (-15.01, "right"), (-90, "right")],
)
def test_what_is_right(azimuth_deg: float, place: str) -> None:
    assert side_name(azimuth_deg) == place

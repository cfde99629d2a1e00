"""Intervals of means and of differences, against those of a normal sample and of all resamples."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tas_core.evaluation.metrics import (
    bootstrap_interval,
    paired_difference,
)

NAN = math.nan


def test_the_bootstrap_of_a_normal_sample_is_the_normal_interval() -> None:
    values = np.random.default_rng(8).normal(3.0, 2.0, 400)
    for level, quantile in ((0.95, 1.95996), (0.8, 1.28155)):
        found = bootstrap_interval(values, seed=1, level=level)
        half = quantile * values.std() / 20
        assert found.mean == pytest.approx(values.mean())
        assert found.low == pytest.approx(values.mean() - half, abs=0.05 * half)
        assert found.high == pytest.approx(values.mean() + half, abs=0.05 * half)
        assert found.count == 400


def test_the_bootstrap_of_few_values_is_that_of_all_their_resamples() -> None:
    """Four values have 256 equally likely resamples, so the interval can be counted out."""
    values = np.array([0.0, 1.37, 4.61, 10.13])
    means = np.array([np.mean(draw) for draw in itertools.product(values, repeat=4)])
    found = bootstrap_interval(values, seed=2, level=0.87, resamples=200_000)
    low, high = np.quantile(means, [0.065, 0.935], method="inverted_cdf")
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(high, abs=1e-9)


def test_the_bootstrap_is_seeded_and_skips_clips_without_a_value() -> None:
    values = np.array([1.0, 2.0, NAN, 4.0, 8.0, NAN])
    assert bootstrap_interval(values, 3) == bootstrap_interval(values, 3)
    assert bootstrap_interval(values, 3) == bootstrap_interval(values[~np.isnan(values)], 3)
    many = np.random.default_rng(10).normal(size=40)
    assert bootstrap_interval(many, 3) != bootstrap_interval(many, 4)
    one, none = bootstrap_interval([5.0], 0), bootstrap_interval([NAN], 0)
    assert (one.mean, one.count, none.count) == (5.0, 1, 0)
    assert math.isnan(one.low)
    assert math.isnan(none.mean)


def test_pairs_cancel_what_the_clips_share() -> None:
    clips = np.random.default_rng(9).normal(0, 10, 50)
    better = clips + 0.5
    found = paired_difference(better, clips, seed=0)
    assert (found.low, found.mean, found.high) == pytest.approx((0.5, 0.5, 0.5))
    assert bootstrap_interval(better, 0).low < clips.mean() < bootstrap_interval(better, 0).high
    better[3], clips[4] = NAN, NAN
    assert paired_difference(better, clips).count == 48
    mixed = paired_difference([1.0, 2.0, 5.0], [0.0, 3.0, 1.0], seed=7)
    assert mixed == bootstrap_interval([1.0, -1.0, 4.0], 7)


def test_intervals_refuse_what_has_none() -> None:
    for call in (
        lambda: bootstrap_interval([[1.0]], 0),
        lambda: bootstrap_interval([1.0, math.inf], 0),
        lambda: bootstrap_interval([1.0, 2.0], 0, level=1.0),
        lambda: paired_difference([1.0], [1.0, 2.0]),
        lambda: paired_difference([math.inf, 1.0], [math.inf, 1.0]),
    ):
        with pytest.raises(ValueError, match=r"expected|finite|shape"):
            call()

"""Scores of azimuths, levels of control, and intervals of means, in closed form."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tas_core.evaluation.metrics import (
    azimuth_error_deg,
    bootstrap_interval,
    center_spl_db,
    mirror_db,
    mono_sum_error_db,
    paired_difference,
    rank_audio,
    rank_object,
    side_of,
    silence_floor_db,
    swap_accuracy,
)

RATE = 16_000
NAN = math.nan


def noise(seed: int, *shape: int) -> np.ndarray:
    return 0.2 * np.random.default_rng(seed).standard_normal(shape)


# ---- objects


def test_sides_end_at_fifteen_degrees() -> None:
    found = side_of([90.0, 15.1, 15.0, 0.0, -15.0, -15.1, -90.0, NAN])
    assert found.tolist() == ["left", "left", "center", "center", "center", "right", "right", ""]
    assert str(side_of(30.0)) == "left"


def test_ranks_count_objects_and_clips() -> None:
    asked = np.array([[55.0, -55.0], [0.0, 55.0], [-55.0, NAN]])
    found = np.array([[20.0, -80.0], [14.0, -20.0], [-16.0, 70.0]])
    assert [rank_object(*clip) for clip in zip(found, asked, strict=True)] == [1, 0.5, 1]
    assert [rank_audio(*clip) for clip in zip(found, asked, strict=True)] == [1, 0, 1]
    found[1, 1] = NAN
    assert rank_object(found[1], asked[1]) == 1.0
    assert rank_audio(found[1], asked[1]) == 1.0


def test_an_object_counts_by_its_time() -> None:
    asked = np.array([[60.0, 20.0, -40.0], [-50.0, NAN, NAN]])
    found = np.array([[50.0, 10.0, NAN], [-80.0, 5.0, NAN]])
    seconds = np.array([[3.0, 1.0, 6.0], [2.0, NAN, NAN]])
    # The first object is left for 3 of the 4 s in which it is heard, the second all the time.
    assert rank_object(found, asked, seconds) == pytest.approx((3 / 4 + 1) / 2)
    assert rank_audio(found, asked, seconds) == 1.0
    assert azimuth_error_deg(found, asked, seconds) == pytest.approx((10 + 30) / 2)
    # Half of the time is not more than half.
    assert rank_audio(found, asked) == 0.0
    assert rank_object(found, asked) == pytest.approx((1 / 2 + 1) / 2)


def test_azimuth_errors_are_absolute_and_skip_what_is_not_heard() -> None:
    assert azimuth_error_deg([10.0, -20.0, NAN, 5.0], [0.0, 20.0, 3.0, NAN]) == pytest.approx(25.0)


def test_scores_of_nothing_are_nan() -> None:
    empty = np.full((2, 2), NAN)
    for score in (rank_object, rank_audio, azimuth_error_deg, swap_accuracy):
        assert math.isnan(score(empty, np.zeros((2, 2))))
        with pytest.raises(ValueError, match="shape"):
            score(empty, np.zeros((2, 3)))
    for score in (rank_object, rank_audio, azimuth_error_deg):
        assert math.isnan(score([], []))
        assert math.isnan(score(np.zeros((0, 0)), np.zeros((0, 0))))
        with pytest.raises(ValueError, match="object, span"):
            score(np.zeros((1, 2, 3)), np.zeros((1, 2, 3)))
        with pytest.raises(ValueError, match="object, span"):
            score([1.0], [1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="clip, 2"):
        swap_accuracy(np.zeros((2, 3)), np.zeros((2, 3)))


def test_a_swap_has_to_exchange_the_places() -> None:
    before = np.array([[60.0, -50.0], [60.0, -50.0], [60.0, -50.0], [0.0, 0.0], [NAN, 10.0]])
    after = np.array([[-48.0, 55.0], [60.0, -50.0], [-20.0, 15.0], [0.0, 0.0], [10.0, 0.0]])
    assert swap_accuracy(before, after) == pytest.approx(2 / 4)


# ---- control


def test_the_mirror_is_a_level_of_the_two_sides() -> None:
    ears = noise(1, 2, 4000)
    side = ears[0] - ears[1]
    assert mirror_db(ears, ears[::-1]) == -math.inf
    assert mirror_db(ears, ears) == pytest.approx(20 * math.log10(2))
    off = ears[::-1].copy()
    off[0] += 0.01 * side
    assert mirror_db(ears, off) == pytest.approx(-40.0)
    flat = np.stack([ears[0], ears[0]])
    assert math.isnan(mirror_db(flat, flat))
    assert mirror_db(flat, ears) == math.inf


def test_the_mono_sum_is_a_level_of_what_is_off() -> None:
    mono, side = noise(2, 3000), noise(3, 3000)
    exact = np.stack([mono + side, mono - side])
    assert mono_sum_error_db(exact, mono) < -250
    assert mono_sum_error_db(1.001 * exact, mono) == pytest.approx(-60.0, abs=1e-6)
    assert mono_sum_error_db(np.stack([mono, mono]), mono) == -math.inf
    assert math.isnan(mono_sum_error_db(0 * exact, 0 * mono))
    assert mono_sum_error_db(exact, 0 * mono) == math.inf


def test_the_floor_is_measured_only_where_the_input_is_silent() -> None:
    mono = noise(4, RATE)
    mono[RATE // 2 :] = 0.0
    ears = np.stack([mono, mono])
    assert silence_floor_db(ears, mono, RATE) == -math.inf
    ears[:, RATE // 2 :] += 0.001 * np.where(np.arange(RATE // 2) % 2, 1, -1)
    assert silence_floor_db(ears, mono, RATE) == pytest.approx(-60.0)
    ears[1, RATE // 2 :] = 0.0
    assert silence_floor_db(ears, mono, RATE) == pytest.approx(-60 - 10 * math.log10(2))
    assert math.isnan(silence_floor_db(ears, mono + 0.1, RATE))
    # A single sound in the last window keeps that window out.
    mono[-1], ears[:, -700:] = 0.5, 0.9
    assert silence_floor_db(ears, mono, RATE) == pytest.approx(-60 - 10 * math.log10(2))


def test_the_centre_is_a_mean_of_absolute_differences() -> None:
    x = noise(5, RATE)
    assert center_spl_db(np.stack([x, x]), RATE) == 0.0
    halves = np.stack([x, x])
    halves[0, : RATE // 2] *= 2
    halves[1, RATE // 2 :] *= 2
    # All windows but the one across the middle are off by 6 dB, half to each side.
    assert center_spl_db(halves, RATE) == pytest.approx(6.02 * 18 / 19, abs=0.05)
    assert math.isnan(center_spl_db(np.zeros((2, RATE)), RATE))


def test_control_refuses_what_does_not_fit() -> None:
    ears, mono = noise(6, 2, 900), noise(7, 900)
    bad = ears.copy()
    bad[0, 0] = NAN
    for call in (
        lambda: mirror_db(ears, bad),
        lambda: mirror_db(ears, ears[:, 1:]),
        lambda: mirror_db(ears[None], ears[None]),
        lambda: mono_sum_error_db(bad, mono),
        lambda: mono_sum_error_db(ears, mono[1:]),
        lambda: silence_floor_db(bad, mono, RATE),
        lambda: silence_floor_db(ears, mono[1:], RATE),
        lambda: center_spl_db(bad, RATE),
        lambda: center_spl_db(ears[None], RATE),
    ):
        with pytest.raises(ValueError, match=r"nan|shape|expected"):
            call()


# ---- confidence


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

"""Scores of azimuths and of objects, in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tas_core.evaluation.metrics import (
    azimuth_error_deg,
    rank_audio,
    rank_object,
    side_of,
    swap_accuracy,
)

NAN = math.nan


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

"""Ranking and calibration of probabilities: against scikit-learn, by hand, and where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, roc_auc_score

from tas_core.evaluation.metrics import (
    brier_score,
    clip_bootstrap,
    expected_calibration_error,
    reliability_curve,
    roc_auc,
)


def _drawn(seed: int, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Confidence with ties, and outcomes that are right as often as it says."""
    rng = np.random.default_rng(seed)
    confidence = np.round(rng.uniform(0, 1, count), 2)
    return confidence, rng.uniform(0, 1, count) < confidence


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    confidence, right = _drawn(seed)
    assert roc_auc(confidence, right) == pytest.approx(roc_auc_score(right, confidence), abs=1e-12)
    assert brier_score(confidence, right) == pytest.approx(brier_score_loss(right, confidence), abs=1e-12)
    share, mean = calibration_curve(right, confidence, n_bins=10)
    lower = reliability_curve(np.maximum(confidence - 1e-9, 0), right)  # it puts what lies on an edge there
    np.testing.assert_allclose([item.right_share for item in lower], share, atol=1e-12)
    np.testing.assert_allclose([item.mean_confidence for item in lower], mean, atol=1e-8)
    assert sum(item.count for item in lower) == len(right)


def test_one_above_all_and_one_below() -> None:
    assert roc_auc([0.1, 0.2, 0.8, 0.9], [False, False, True, True]) == 1
    assert roc_auc([0.1, 0.2, 0.8, 0.9], [True, True, False, False]) == 0
    assert roc_auc([0.5, 0.5, 0.5, 0.5], [True, False, True, False]) == 0.5
    assert np.isnan(roc_auc([0.3, 0.4], [True, True]))
    assert np.isnan(roc_auc([], []))


def test_bins_by_hand() -> None:
    curve = reliability_curve([0.0, 0.05, 0.1, 0.95, 1.0], [False, True, True, True, True])
    assert [(item.low, item.high, item.count, item.right_share) for item in curve] == [
        (0.0, 0.1, 2, 0.5),
        (0.1, 0.2, 1, 1.0),
        (0.9, 1.0, 2, 1.0),
    ]
    # 2 x |0.025 - 0.5|, 1 x |0.1 - 1|, 2 x |0.975 - 1| of five.
    error = expected_calibration_error([0.0, 0.05, 0.1, 0.95, 1.0], [False, True, True, True, True])
    assert error == pytest.approx((2 * 0.475 + 0.9 + 2 * 0.025) / 5)
    assert reliability_curve([], []) == ()
    assert np.isnan(expected_calibration_error([], []))
    assert np.isnan(brier_score([], []))


def test_overconfidence_is_seen() -> None:
    confidence, right = _drawn(5, 4000)
    assert expected_calibration_error(confidence, right) < 0.03
    assert expected_calibration_error(confidence**0.25, right) > 0.2


def test_intervals_are_over_clips() -> None:
    """Ten equal objects in each clip say no more than one of them."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(40)
    mean = lambda rows: float(rows[:, 0].mean())  # noqa: E731
    one = clip_bootstrap([np.full((1, 1), value) for value in values], mean, seed=3)
    ten = clip_bootstrap([np.full((10, 1), value) for value in values], mean, seed=3)
    assert (one.mean, one.count) == (pytest.approx(values.mean()), 40)
    assert (ten.mean, ten.low, ten.high, ten.count) == pytest.approx((one.mean, one.low, one.high, 40))
    # Normal theory: 1.96 standard errors to each side.
    assert one.high - one.low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(40), rel=0.1)


def test_too_few_clips_have_no_interval() -> None:
    rows = np.array([[0.2, 1.0], [0.4, 0.0]])
    auc = lambda each: roc_auc(each[:, 0], each[:, 1] > 0)  # noqa: E731
    none, single = clip_bootstrap([], auc, 0), clip_bootstrap([rows], auc, 0)
    assert (none.count, single.count, single.mean) == (0, 1, 0.0)
    assert np.isnan([none.mean, none.low, single.low, single.high]).all()
    with pytest.raises(ValueError, match="level 1"):
        clip_bootstrap([rows, rows], auc, 0, 1.0)


@pytest.mark.parametrize(
    ("confidence", "right", "said"),
    [([0.1, 0.2], [True], "got"), ([[0.1]], [[True]], "got"), ([np.nan], [True], "finite"), ([1.2], [True], "0 to 1")],
)
def test_what_is_no_confidence_is_refused(confidence: list[float], right: list[bool], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        reliability_curve(confidence, right)

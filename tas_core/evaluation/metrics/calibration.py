"""How good probabilities are: whether they rank (AUC) and mean what they say (Brier score, reliability, ECE).

All take one probability and one outcome for each object. Objects of one clip are no independent draws, so intervals
draw whole clips again (:func:`clip_bootstrap`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tas_core.evaluation.metrics.confidence import Interval

BINS = 10
"""Of a reliability curve, equally wide, as in Guo et al. (2017)."""
RESAMPLES = 1_000


@dataclass(frozen=True)
class ReliabilityBin:
    """Objects whose confidence lies in one bin; a calibrated confidence has equal means.

    Attributes:
        low: lower end of the bin, 0 to 1, inclusive.
        high: upper end, exclusive but for the last bin.
        count: how many objects are in it, at least 1.
        mean_confidence: mean of their confidence.
        right_share: fraction of them that were right.
    """

    low: float
    high: float
    count: int
    mean_confidence: float
    right_share: float


def roc_auc(confidence: ArrayLike, right: ArrayLike) -> float:
    """Area under the ROC curve, 0 to 1: how often one that is right is above one that is wrong; ties count one half.

    Args:
        confidence: (object).
        right: (object) bool.

    Returns:
        0.5 is chance; nan where all are right or none is.

    Raises:
        ValueError: unequal shapes, more than one axis, or confidence that is not finite.
    """
    values, truth = _checked(confidence, right)
    above, count = int(truth.sum()), len(truth)
    if above in (0, count):
        return float("nan")
    _, place, tied = np.unique(values, return_inverse=True, return_counts=True)
    # The rank of equal values is the mean of those that they take up together.
    ranks = (np.cumsum(tied) - (tied - 1) / 2)[place]
    return float((ranks[truth].sum() - above * (above + 1) / 2) / (above * (count - above)))


def brier_score(confidence: ArrayLike, right: ArrayLike) -> float:
    """Mean squared difference of probability and outcome (Brier, 1950), 0 to 1, lower is better; nan for none.

    Always saying the fraction p that is right gets p (1 - p). Arguments and errors as :func:`roc_auc`.
    """
    values, truth = _checked(confidence, right)
    return float(np.square(values - truth).mean()) if len(values) else float("nan")


def reliability_curve(confidence: ArrayLike, right: ArrayLike, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Confidence against the fraction that was right, in equally wide bins from 0 to 1; empty bins are left out.

    Arguments and errors as :func:`roc_auc`; ValueError too for confidence outside 0 to 1.
    """
    values, truth = _checked(confidence, right)
    if len(values) and not (0 <= values.min() and values.max() <= 1):
        raise ValueError("a reliability curve needs confidence from 0 to 1")
    number = np.minimum((values * bins).astype(int), bins - 1)
    found = []
    for i in np.unique(number):
        here = number == i
        mean, share = float(values[here].mean()), float(truth[here].mean())
        found.append(ReliabilityBin(int(i) / bins, (int(i) + 1) / bins, int(here.sum()), mean, share))
    return tuple(found)


def expected_calibration_error(confidence: ArrayLike, right: ArrayLike, bins: int = BINS) -> float:
    """Mean over objects of the distance between the two means of their bin (ECE), 0 to 1, lower is better.

    nan for none. It is above 0 for calibrated confidence too, the more so the fewer objects there are. Arguments and
    errors as :func:`reliability_curve`.
    """
    curve = reliability_curve(confidence, right, bins)
    total = sum(item.count for item in curve)
    if not total:
        return float("nan")
    return sum(item.count * abs(item.mean_confidence - item.right_share) for item in curve) / total


def clip_bootstrap(
    clips: Sequence[np.ndarray],
    statistic: Callable[[np.ndarray], float],
    seed: int,
    level: float = 0.95,
    *,
    resamples: int = RESAMPLES,
) -> Interval:
    """A statistic of all rows of all clips, and its percentile bootstrap interval over clips.

    Args:
        clips: the rows of each clip, (row, value), as many values for all.
        statistic: of rows (row, value); where it is nan, a draw does not count.
        seed: of the resampling.
        level: 0 to 1, both ends excluded.
        resamples: how often the clips are drawn again, with replacement.

    Returns:
        The statistic in place of the mean, and the number of clips. No or one clip gives ends of nan.

    Raises:
        ValueError: a level outside 0 to 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level {level}: expected between 0 and 1")
    nan = float("nan")
    if not clips:
        return Interval(nan, nan, nan, 0)
    value = statistic(np.concatenate(list(clips)))
    if len(clips) < 2:
        return Interval(value, nan, nan, len(clips))
    rng = np.random.default_rng(seed)
    drawn = [statistic(np.concatenate([clips[i] for i in rng.integers(len(clips), size=len(clips))]))
             for _ in range(resamples)]  # fmt: skip
    known = np.array(drawn)[~np.isnan(drawn)]
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2]) if len(known) else (nan, nan)
    return Interval(value, float(low), float(high), len(clips))


def _checked(confidence: ArrayLike, right: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    values, truth = np.asarray(confidence, float), np.asarray(right, bool)
    if values.ndim != 1 or values.shape != truth.shape:
        raise ValueError(f"expected confidence and outcome (object), got {values.shape} and {truth.shape}")
    if not np.isfinite(values).all():
        raise ValueError("confidence has to be finite")
    return values, truth

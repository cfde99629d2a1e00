"""How sure a mean over clips is: percentile bootstrap intervals (Efron, 1979), seeded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

RESAMPLES = 10_000
_CHUNK = 1_000_000


@dataclass(frozen=True)
class Interval:
    """A mean, the ends of its interval, and how many values it is of."""

    mean: float
    low: float
    high: float
    count: int


def bootstrap_interval(values: ArrayLike, seed: int, level: float = 0.95, *, resamples: int = RESAMPLES) -> Interval:
    """Mean of one value per clip and its percentile bootstrap interval; the same seed gives the same interval.

    Args:
        values: (clip); nan is a clip without a value, and left out.
        seed: of the resampling.
        level: 0 to 1, both ends excluded.
        resamples: how often the clips are drawn again, with replacement.

    Returns:
        No values give nan for all three figures; a single one gives its own interval of nan, as nothing is known.

    Raises:
        ValueError: more than one axis, infinite values, or a level outside 0 to 1.
    """
    known = np.asarray(values, float)
    if known.ndim != 1:
        raise ValueError(f"expected values (clip), got {known.shape}")
    if not 0 < level < 1:
        raise ValueError(f"level {level}: expected between 0 and 1")
    known = known[~np.isnan(known)]
    if np.isinf(known).any():
        raise ValueError("a mean with an interval needs finite values, got an infinity")
    size = len(known)
    if size < 2:
        nan = float("nan")
        return Interval(float(known[0]) if size else nan, nan, nan, size)
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, _CHUNK // size)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        means[start : start + rows] = known[rng.integers(size, size=(rows, size))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(known.mean()), float(low), float(high), size)


def paired_difference(
    values_a: ArrayLike, values_b: ArrayLike, seed: int = 0, level: float = 0.95, *, resamples: int = RESAMPLES
) -> Interval:
    """Mean of a - b over the clips that have both, and its interval: two systems on the same clips.

    Arguments, results and errors as :func:`bootstrap_interval`; ValueError too for unequal shapes.
    """
    first, second = np.asarray(values_a, float), np.asarray(values_b, float)
    if first.shape != second.shape:
        raise ValueError(f"paired values differ in shape: {first.shape} and {second.shape}")
    if np.isinf(first).any() or np.isinf(second).any():
        raise ValueError("a mean with an interval needs finite values, got an infinity")
    return bootstrap_interval(first - second, seed, level, resamples=resamples)

"""From measured azimuths to scores: each object on the requested side.

All take azimuths in degrees, positive left. nan in a measured azimuth is an object that cannot be measured,
nan in a requested one is no object or no request (padding); neither counts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from tas_core.conventions import CENTER_DEG, LEFT_SIGN


def side_of(azimuth_deg: ArrayLike) -> np.ndarray:
    """``"left"``, ``"center"`` (-15 to 15 degrees, inclusive) or ``"right"``, (...); ``""`` for nan."""
    leftward = LEFT_SIGN * np.asarray(azimuth_deg, float)
    sides = np.where(leftward > CENTER_DEG, "left", np.where(leftward < -CENTER_DEG, "right", "center"))
    return np.where(np.isnan(leftward), "", sides)


def rank_object(estimated_deg: ArrayLike, requested_deg: ArrayLike, seconds: ArrayLike | None = None) -> float:
    """Fraction of objects on the requested side, 0 to 1 (the paper's user study, Fig. 8); nan where none counts.

    An object that moves, or is elsewhere later, counts by the fraction of its measured time in which it is right.

    Args:
        estimated_deg: of the objects of one clip, (object) or (object, span); spans padded with nan.
        requested_deg: likewise.
        seconds: lengths of the spans, likewise; by default all are equally long.

    Raises:
        ValueError: unequal shapes, or other than one or two axes.
    """
    fractions = _right_fractions(estimated_deg, requested_deg, seconds)
    return float(np.mean(fractions)) if fractions else float("nan")


def rank_audio(estimated_deg: ArrayLike, requested_deg: ArrayLike, seconds: ArrayLike | None = None) -> float:
    """Whether all objects of a clip are on their requested side, 0 or 1; nan where none counts.

    An object is if it is for more than half of its measured time. The mean over clips is the fraction of clips.
    Arguments and errors as :func:`rank_object`.
    """
    fractions = _right_fractions(estimated_deg, requested_deg, seconds)
    return float(min(fractions) > 0.5) if fractions else float("nan")


def azimuth_error_deg(estimated_deg: ArrayLike, requested_deg: ArrayLike, seconds: ArrayLike | None = None) -> float:
    """Mean over the objects that count of the absolute difference, itself a mean over the object's measured time.

    Degrees; nan where no object counts. Arguments and errors as :func:`rank_object`.
    """
    apart = lambda estimated, requested: np.abs(estimated - requested)  # noqa: E731
    errors = _over_time(apart, estimated_deg, requested_deg, seconds)
    return float(np.mean(errors)) if errors else float("nan")


def swap_accuracy(estimated_deg: ArrayLike, swapped_deg: ArrayLike) -> float:
    """Fraction of two-object clips in which exchanging the places in the prompt exchanges the measured azimuths.

    Args:
        estimated_deg: (clip, object = 2), measured under the prompt.
        swapped_deg: (clip, object = 2), the same objects under the prompt with its two places exchanged.

    Returns:
        A clip counts as exchanged where the second pair is strictly nearer (by the sum of absolute differences) to the
        first pair reversed than to the first pair itself; so equal azimuths are a failure. Whether left was
        left is not considered here, that is :func:`rank_object`. Clips with a nan are left out; nan where all are.

    Raises:
        ValueError: unequal shapes, or not (clip, 2).
    """
    before, after = _pair(estimated_deg, swapped_deg)
    if before.ndim != 2 or before.shape[1] != 2:
        raise ValueError(f"expected azimuths (clip, 2), got {before.shape}")
    kept = ~(np.isnan(before) | np.isnan(after)).any(axis=1)
    if not kept.any():
        return float("nan")
    before, after = before[kept], after[kept]
    exchanged = np.abs(after - before[:, ::-1]).sum(axis=1)
    return float((exchanged < np.abs(after - before).sum(axis=1)).mean())


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.asarray(first, float), np.asarray(second, float)
    if one.shape != other.shape:
        raise ValueError(f"azimuths differ in shape: {one.shape} and {other.shape}")
    return one, other


def _right_fractions(estimated_deg: ArrayLike, requested_deg: ArrayLike, seconds: ArrayLike | None) -> list[float]:
    """For every object that counts, the fraction of its measured time in which it is on its side."""
    return _over_time(
        lambda estimated, requested: side_of(estimated) == side_of(requested), estimated_deg, requested_deg, seconds
    )


def _over_time(
    compare: Callable[[np.ndarray, np.ndarray], np.ndarray],
    estimated_deg: ArrayLike,
    requested_deg: ArrayLike,
    seconds: ArrayLike | None,
) -> list[float]:
    """For every object that counts, the mean of a comparison over its measured time."""
    estimated, requested = _pair(estimated_deg, requested_deg)
    weights = np.ones(estimated.shape) if seconds is None else np.asarray(seconds, float)
    if estimated.ndim not in (1, 2) or weights.shape != estimated.shape:
        raise ValueError(
            f"expected azimuths and seconds of one shape, (object) or (object, span); got {estimated.shape}, "
            f"{weights.shape}"
        )
    if estimated.ndim == 1:
        estimated, requested, weights = estimated[:, None], requested[:, None], weights[:, None]
    means = []
    for ours, theirs, length in zip(estimated, requested, weights, strict=True):
        counts = ~(np.isnan(ours) | np.isnan(theirs))
        if counts.any():
            means.append(float(np.average(compare(ours[counts], theirs[counts]), weights=length[counts])))
    return means

"""From measured azimuths to scores: each object on the side that was asked for.

All take azimuths in degrees, positive left, as arrays of one shape with objects on the last axis. nan in a
measured azimuth is an object that is not heard, nan in an asked one is no object or no wish (padding); neither counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tas_core.types import CENTER_DEG, LEFT_SIGN


def side_of(azimuth_deg: ArrayLike) -> np.ndarray:
    """``"left"``, ``"center"`` (-15 to 15 degrees, inclusive) or ``"right"``, (...); ``""`` for nan."""
    leftward = LEFT_SIGN * np.asarray(azimuth_deg, float)
    sides = np.where(leftward > CENTER_DEG, "left", np.where(leftward < -CENTER_DEG, "right", "center"))
    return np.where(np.isnan(leftward), "", sides)


def rank_object(estimated_deg: ArrayLike, asked_deg: ArrayLike) -> float:
    """Share of objects heard on the side asked for, 0 to 1 (the paper's user study, Fig. 8); nan where none counts.

    Raises:
        ValueError: unequal shapes.
    """
    right, counts = _right_sides(estimated_deg, asked_deg)
    return float(right[counts].mean()) if counts.any() else float("nan")


def rank_audio(estimated_deg: ArrayLike, asked_deg: ArrayLike) -> float:
    """Share of clips whose objects are all on the side asked for, 0 to 1, of arrays (clip, object).

    Clips without an object that counts are left out; nan where all are.

    Raises:
        ValueError: unequal shapes, or not two axes.
    """
    right, counts = _right_sides(estimated_deg, asked_deg)
    if right.ndim != 2:
        raise ValueError(f"expected azimuths (clip, object), got {right.shape}")
    kept = counts.any(axis=1)
    return float((right | ~counts).all(axis=1)[kept].mean()) if kept.any() else float("nan")


def azimuth_error_deg(estimated_deg: ArrayLike, asked_deg: ArrayLike) -> float:
    """Mean absolute difference over the objects that count, degrees; nan where none does.

    Raises:
        ValueError: unequal shapes.
    """
    estimated, asked = _pair(estimated_deg, asked_deg)
    apart = np.abs(estimated - asked)
    return float(np.nanmean(apart)) if not np.isnan(apart).all() else float("nan")


def swap_accuracy(estimated_deg: ArrayLike, swapped_deg: ArrayLike) -> float:
    """Share of two-object clips in which exchanging the places in the prompt exchanges the measured azimuths.

    Args:
        estimated_deg: (clip, object = 2), measured under the prompt.
        swapped_deg: (clip, object = 2), the same objects under the prompt with its two places exchanged.

    Returns:
        A clip counts as exchanged where the second pair is strictly nearer (by the sum of absolute differences) to the
        first pair reversed than to the first pair itself; so equal azimuths are a failure. Whether left was
        left is not asked here, that is :func:`rank_object`. Clips with a nan are left out; nan where all are.

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


def _right_sides(estimated_deg: ArrayLike, asked_deg: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    estimated, asked = _pair(estimated_deg, asked_deg)
    return side_of(estimated) == side_of(asked), ~(np.isnan(estimated) | np.isnan(asked))

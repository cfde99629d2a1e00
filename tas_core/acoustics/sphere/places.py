"""Where a sound is at every moment: azimuth, elevation, distance and spread, and what lies between two moments.

Coordinates are those of SOFA (AES69) and of :mod:`tas_core.conventions`: azimuth 0 is front, positive is left, 180 is
behind; elevation is positive up. Between two moments of a curve a sound goes along the great circle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import ArrayLike

from tas_core.acoustics.hrtf import direction_vectors
from tas_core.conventions import FARTHEST_M, NEAREST_M, REFERENCE_M
from tas_core.errors import InputError

HEAD_RADIUS_M: Final = 0.0875
_OPPOSITE: Final = -0.9999
_SAME: Final = 1 - 1e-12
_LENGTH: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Placement:
    """Places at some moments, ready to be rendered.

    ``direction`` (time, xyz) unit vectors, x front, y left, z up; ``distance_m`` (time); ``spread`` (time), 0..1.

    Raises:
        InputError: values that are no finite numbers or out of range, whoever made the curve.
    """

    direction: np.ndarray
    distance_m: np.ndarray
    spread: np.ndarray

    def __post_init__(self) -> None:
        length = np.sqrt(np.square(self.direction).sum(axis=1))
        near_enough = (self.distance_m >= NEAREST_M) & (self.distance_m <= FARTHEST_M)
        if not ((np.abs(length - 1) < _LENGTH).all() and near_enough.all() and _in_range(self.spread, 0, 1).all()):
            raise InputError(
                "a curve gives directions that are no unit vectors, or distances or spreads out of range, "
                f"expected {NEAREST_M:g} to {FARTHEST_M:g} m and 0 to 1"
            )


class Curve(Protocol):
    """Anything that knows where a sound is at any moment."""

    def at(self, time_s: np.ndarray) -> Placement:
        """Places at times (time) in seconds since the first sample; times before 0 are asked for as well."""
        ...


@dataclass(frozen=True, eq=False)
class PlaceCurve:
    """Places of one sound at an even rate, the first at time 0; before it and after the last they stay as they are.

    Each of the four is (frame), or one number that stands for all frames.

    Args:
        azimuth_deg: 0 is front, positive left, 180 behind; turns may go on counting, as in 350, 370.
        elevation_deg: -90 (below) to 90 (above).
        distance_m: from the middle of the head, 0.1 to 10000.
        spread: 0 is a point, 1 is all around.
        rate_hz: frames per second.

    Raises:
        InputError: a value that is no finite number or out of its range, no frames, different numbers of frames, or
            frames one after the other that are opposite each other, between which no way is the shortest.
    """

    azimuth_deg: ArrayLike
    elevation_deg: ArrayLike = 0.0
    distance_m: ArrayLike = REFERENCE_M
    spread: ArrayLike = 0.0
    rate_hz: float = 100.0
    _directions: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = ("azimuth_deg", "elevation_deg", "distance_m", "spread")
        values = [np.atleast_1d(np.asarray(getattr(self, name), float)) for name in names]
        sizes = sorted({value.shape[0] for value in values if value.shape != (1,)})
        if any(value.ndim != 1 for value in values) or len(sizes) > 1 or sizes == [0]:
            shapes = ", ".join(f"{name} {value.shape}" for name, value in zip(names, values, strict=True))
            raise InputError(f"places: got {shapes}; expected as many frames of each, one or more, or one number")
        for name, value in zip(names, values, strict=True):
            object.__setattr__(self, name, np.broadcast_to(value, (sizes[0] if sizes else 1,)))
        if not (np.isfinite(self.rate_hz) and self.rate_hz > 0):
            raise InputError(f"places: {self.rate_hz} frames per second, expected more than 0")
        self._check()
        directions = direction_vectors(np.asarray(self.azimuth_deg), np.asarray(self.elevation_deg))
        object.__setattr__(self, "_directions", directions)
        turned = np.einsum("td,td->t", self._directions[:-1], self._directions[1:])
        if (turned < _OPPOSITE).any():
            at = int(np.argmin(turned))
            raise InputError(
                f"places: frames {at} and {at + 1} are opposite each other, so that no way between them is the "
                "shortest; expected a frame in between"
            )

    def _check(self) -> None:
        for name, low, high, expected in (
            ("azimuth_deg", -np.inf, np.inf, "a finite number"),
            ("elevation_deg", -90.0, 90.0, "-90 (below) to 90 (above)"),
            ("distance_m", NEAREST_M, FARTHEST_M, f"{NEAREST_M:g} to {FARTHEST_M:g} m"),
            ("spread", 0.0, 1.0, "0 (a point) to 1 (all around)"),
        ):
            values = getattr(self, name)
            wrong = ~_in_range(values, low, high)
            if wrong.any():
                at = int(np.argmax(wrong))
                value = float(values[at])
                why = " is inside the head or touches it" if name == "distance_m" and 0 < value < NEAREST_M else ""
                raise InputError(f"places: {name} {value:g} in frame {at}{why}, expected {expected}")

    def at(self, time_s: np.ndarray) -> Placement:
        """Places at times (time) in seconds."""
        last = len(self._directions) - 1
        position = np.clip(np.asarray(time_s, float) * self.rate_hz, 0, last)
        lower = np.minimum(np.floor(position).astype(int), max(0, last - 1))
        upper = np.minimum(lower + 1, last)
        part = position - lower
        distance, spread = np.asarray(self.distance_m), np.asarray(self.spread)
        return Placement(
            _between(self._directions[lower], self._directions[upper], part),
            (1 - part) * distance[lower] + part * distance[upper],
            (1 - part) * spread[lower] + part * spread[upper],
        )


def _in_range(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.isfinite(values) & (values >= low) & (values <= high)


def _between(start: np.ndarray, stop: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Unit vectors (time, xyz) on the great circle, a part 0..1 (time) of the way.

    With the angle w between two unit vectors: [sin((1 - t) w) a + sin(t w) b] / sin w.
    """
    cosine = np.einsum("td,td->t", start, stop)
    angle = np.arccos(np.clip(cosine, -1, 1))
    sine = np.where(cosine > _SAME, 1.0, np.sin(angle))
    first = np.where(cosine > _SAME, 1 - part, np.sin((1 - part) * angle) / sine)
    second = np.where(cosine > _SAME, part, np.sin(part * angle) / sine)
    mixed = first[:, None] * start + second[:, None] * stop
    return mixed / np.sqrt(np.square(mixed).sum(axis=1))[:, None]

"""Places all around the listener, and ways from one to another: azimuth, elevation, distance and spread over time.

Coordinates are SOFA's (AES69), with the signs of :mod:`tas_core.conventions`: azimuth 0 is front, positive is left, 180
is behind; elevation is positive up; distance is from the middle of the head.

A way goes along the great circle at constant angular speed; distance goes linearly in its logarithm, hence level in
decibels, and spread linearly. A *circle* keeps its elevation and turns in azimuth. What stays in front, at ear level,
at no distance of its own and a point is a :class:`tas_core.timeline.places.AzimuthPath`, and no business of this
module.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np

from tas_core.conventions import FARTHEST_M, MAX_AZIMUTH_DEG, NEAREST_M, REFERENCE_M
from tas_core.errors import PromptError
from tas_core.timeline.places import AzimuthPath

_OPPOSITE_DEG: Final = 179.9
"""Directions further apart than this have no shortest way between them."""
_SAME_DEG: Final = 1e-9


class Trace(NamedTuple):
    """Where a sound is at some moments, each (time,): azimuth and elevation in degrees, distance in metres, spread.

    Azimuths go on counting beyond 180 degrees where the sound passes behind the listener.
    """

    azimuth_deg: np.ndarray
    elevation_deg: np.ndarray
    distance_m: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True)
class SpherePoint:
    """A place.

    Args:
        azimuth_deg: -180 to 180 degrees, positive left; what is beyond is turned back into that range, and -180 is 180.
        elevation_deg: -90 (below) to 90 (above) degrees.
        distance_m: metres from the middle of the head; the default is what no distance means, where a sound is as loud
            as it was.
        spread: 0 (a point) to 1 (all around).

    Raises:
        PromptError: a value is not a number within its range.
    """

    azimuth_deg: float
    elevation_deg: float = 0.0
    distance_m: float = REFERENCE_M
    spread: float = 0.0

    def __post_init__(self) -> None:
        for name in ("azimuth_deg", "elevation_deg", "distance_m", "spread"):
            object.__setattr__(self, name, float(getattr(self, name)) + 0.0)  # + 0.0 turns -0.0 into 0.0
        if not math.isfinite(self.azimuth_deg):
            raise PromptError(f"azimuth {self.azimuth_deg:g} is no angle")
        if not abs(self.elevation_deg) <= 90:
            raise PromptError(f"elevation {self.elevation_deg:g} is outside -90 (below) to 90 (above) degrees")
        if not NEAREST_M <= self.distance_m <= FARTHEST_M:
            inside = " is inside the head or touches it" if 0 <= self.distance_m < NEAREST_M else ""
            raise PromptError(
                f"a distance of {self.distance_m:g} m{inside}, expected {NEAREST_M:g} to {FARTHEST_M:g} m"
            )
        if not 0 <= self.spread <= 1:
            raise PromptError(f"spread {self.spread:g} is outside 0 (a point) to 1 (all around)")
        object.__setattr__(self, "azimuth_deg", wrapped_deg(self.azimuth_deg))

    @property
    def is_frontal(self) -> bool:
        """Whether azimuth says it all: in front, at ear level, a point at no distance of its own."""
        plain = (self.elevation_deg, self.distance_m, self.spread) == (0.0, REFERENCE_M, 0.0)
        return plain and abs(self.azimuth_deg) <= MAX_AZIMUTH_DEG

    @property
    def lateral_deg(self) -> float:
        """Azimuth in the frontal plane that is as far to a side: arcsin(cos elevation sin azimuth), degrees."""
        if not self.elevation_deg:
            beyond = abs(self.azimuth_deg) > MAX_AZIMUTH_DEG
            return math.copysign(180.0, self.azimuth_deg) - self.azimuth_deg if beyond else self.azimuth_deg
        return math.degrees(math.asin(max(-1.0, min(1.0, float(_vector(self)[1])))))

    def mirrored(self) -> SpherePoint:
        """The same with left and right exchanged."""
        return replace(self, azimuth_deg=-self.azimuth_deg)

    def angle_to_deg(self, other: SpherePoint) -> float:
        """Angle between two directions, 0 to 180 degrees."""
        a, b = _vector(self), _vector(other)
        return math.degrees(math.atan2(float(np.linalg.norm(np.cross(a, b))), float(a @ b)))


@dataclass(frozen=True)
class SpherePath:
    """A place that stays, or a way from one to another.

    Args:
        start: where it begins.
        end: where it ends; of a circle, its elevation, distance and spread at the end.
        via: a direction that it passes on the way, at constant angular speed; distance and spread are not those of it.
        turns: full circles in the time of the path, positive from front to left.
        turn_s: seconds for a full circle, positive from front to left; 0 for no such circle.

    Raises:
        PromptError: start and end are opposite each other, so that no way is the shortest; a circle with a direction
            to pass, or of two speeds.
    """

    start: SpherePoint
    end: SpherePoint
    via: SpherePoint | None = None
    turns: float = 0.0
    turn_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("turns", "turn_s"):
            value = float(getattr(self, name)) + 0.0
            if not math.isfinite(value):
                raise PromptError(f"a circle of {value:g} turns or seconds, expected a number")
            object.__setattr__(self, name, value)
        if self.is_circle:
            if self.via or (self.turns and self.turn_s):
                raise PromptError("a circle has one speed, and passes nothing")
            object.__setattr__(self, "end", replace(self.end, azimuth_deg=self.start.azimuth_deg))
            return
        for first, last in self._legs():
            if first.angle_to_deg(last) > _OPPOSITE_DEG:
                raise PromptError("the ends of a movement are opposite each other, and nothing says which way it goes")

    @classmethod
    def fixed(cls, point: SpherePoint) -> SpherePath:
        """A place that stays."""
        return cls(point, point)

    @classmethod
    def frontal(cls, path: AzimuthPath) -> SpherePath:
        """A path in the frontal plane; from one ear to the other it goes through the front."""
        ahead = SpherePoint(0.0) if abs(path.end_deg - path.start_deg) > _OPPOSITE_DEG else None
        return cls(SpherePoint(path.start_deg), SpherePoint(path.end_deg), ahead)

    @classmethod
    def gliding(cls, start: SpherePoint, end: SpherePoint) -> SpherePath:
        """The shortest way; between opposite directions it goes overhead, and between below and above in front."""
        if start.angle_to_deg(end) <= _OPPOSITE_DEG:
            return cls(start, end)
        upright = abs(start.elevation_deg) > 45
        return cls(start, end, SpherePoint(0.0, 0.0 if upright else 90.0))

    @property
    def is_circle(self) -> bool:
        """Whether it turns around the listener."""
        return bool(self.turns or self.turn_s)

    @property
    def is_moving(self) -> bool:
        """Whether anything changes."""
        return self.is_circle or self.via is not None or self.start != self.end

    @property
    def in_plane(self) -> AzimuthPath | None:
        """The same as a path in the frontal plane, None if it asks for more than that."""
        if self.is_circle or not (self.start.is_frontal and self.end.is_frontal):
            return None
        straight = self.via is None or (
            self.via == SpherePoint(0.0) and self.start.azimuth_deg * self.end.azimuth_deg <= 0
        )
        return AzimuthPath(self.start.azimuth_deg, self.end.azimuth_deg) if straight else None

    @property
    def lateral(self) -> AzimuthPath:
        """What the frontal plane has in its place: the same angles to the side at both ends."""
        return AzimuthPath(self.start.lateral_deg, self.end.lateral_deg)

    def mirrored(self) -> SpherePath:
        """The same with left and right exchanged."""
        via = self.via.mirrored() if self.via else None
        return SpherePath(self.start.mirrored(), self.end.mirrored(), via, -self.turns, -self.turn_s)

    def at(self, fraction: np.ndarray, duration_s: float) -> Trace:
        """Where it is after fractions (time) of the way, 0 to 1, which takes ``duration_s`` seconds."""
        fraction = np.asarray(fraction, np.float64)
        flat = np.atleast_1d(fraction)
        azimuth_deg, elevation_deg = self._directions(flat, duration_s)
        near, far = math.log(self.start.distance_m), math.log(self.end.distance_m)
        distance_m = np.exp(near + flat * (far - near)) if near != far else np.full(flat.shape, self.start.distance_m)
        distance_m = np.clip(distance_m, NEAREST_M, FARTHEST_M)
        spread = (1 - flat) * self.start.spread + flat * self.end.spread
        return Trace(*(value.reshape(fraction.shape) for value in (azimuth_deg, elevation_deg, distance_m, spread)))

    def point(self, fraction: float, duration_s: float) -> SpherePoint:
        """Where it is after a fraction of the way, 0 to 1, which takes ``duration_s`` seconds."""
        if fraction in (0.0, 1.0) and not self.is_circle:
            return self.end if fraction else self.start
        trace = self.at(np.array([fraction]), duration_s)
        return SpherePoint(*(float(value[0]) for value in trace))

    def part(self, first: float, last: float, duration_s: float) -> SpherePath:
        """The part of it from one fraction of the way to another; the whole takes ``duration_s`` seconds."""
        if not self.is_moving:
            return self
        ends = self.point(first, duration_s), self.point(last, duration_s)
        via = self.via if self.via and first < self._via_fraction < last else None
        return SpherePath(*ends, via, self.turns * (last - first), self.turn_s)

    @property
    def corners(self) -> tuple[float, ...]:
        """Fractions of the way at which it turns."""
        return (self._via_fraction,) if self.via else ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: azimuth, elevation, distance and spread at both ends, and what it passes or turns.

        Of a circle both azimuths are where it begins.
        """
        said: dict[str, Any] = {}
        for name, unit in (("azimuth", "_deg"), ("elevation", "_deg"), ("distance", "_m"), ("spread", "")):
            for end, point in (("start", self.start), ("end", self.end)):
                said[f"{name}_{end}{unit}"] = getattr(point, name + unit)
        if self.via:
            said |= {"azimuth_via_deg": self.via.azimuth_deg, "elevation_via_deg": self.via.elevation_deg}
        return said | {name: getattr(self, name) for name in ("turns", "turn_s") if getattr(self, name)}

    def _legs(self) -> list[tuple[SpherePoint, SpherePoint]]:
        stops = [self.start, *([self.via] if self.via else []), self.end]
        return list(zip(stops[:-1], stops[1:], strict=True))

    @property
    def _via_fraction(self) -> float:
        angles = [first.angle_to_deg(last) for first, last in self._legs()]
        return angles[0] / sum(angles) if sum(angles) else 0.5

    def _directions(self, fraction: np.ndarray, duration_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Azimuth and elevation (time) in degrees; azimuths go on counting."""
        if self.is_circle:
            turned = self.turns * fraction + (fraction * duration_s / self.turn_s if self.turn_s else 0.0)
            elevation = (1 - fraction) * self.start.elevation_deg + fraction * self.end.elevation_deg
            return self.start.azimuth_deg + 360 * turned, elevation
        if self.via is None:
            return _arc(self.start, self.end, fraction)
        border = self._via_fraction
        first, last = (
            _arc(*leg, part)
            for leg, part in zip(
                self._legs(), (fraction / (border or 1.0), (fraction - border) / (1 - border or 1.0)), strict=True
            )
        )
        (end_deg,), _ = _arc(*self._legs()[0], np.ones(1))
        around = 360 * np.round((end_deg - self.via.azimuth_deg) / 360)
        early = fraction < border
        return np.where(early, first[0], last[0] + around), np.where(early, first[1], last[1])


def wrapped_deg(azimuth_deg: float) -> float:
    """An azimuth in the range above -180 to 180 degrees."""
    if -180 < azimuth_deg <= 180:
        return azimuth_deg
    wrapped = math.remainder(azimuth_deg, 360.0)
    return 180.0 if wrapped == -180 else wrapped + 0.0


def _vector(point: SpherePoint) -> np.ndarray:
    """Direction (xyz): x front, y left, z up."""
    azimuth, elevation = math.radians(point.azimuth_deg), math.radians(point.elevation_deg)
    return np.array(
        [math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation)]
    )


def _arc(start: SpherePoint, end: SpherePoint, fraction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth and elevation (time) in degrees on the shortest way, after fractions (time) of it.

    With the angle w between two unit vectors: [sin((1 - t) w) a + sin(t w) b] / sin w.
    """
    turn_deg = wrapped_deg(end.azimuth_deg - start.azimuth_deg)
    angle_deg = start.angle_to_deg(end)
    if (start.elevation_deg == end.elevation_deg == 0) or angle_deg < _SAME_DEG or not turn_deg:
        # Along the horizon, or straight up and down, exactly so.
        up_deg = end.elevation_deg - start.elevation_deg
        turn_deg = turn_deg if abs(start.elevation_deg) < 90 else 0.0
        return start.azimuth_deg + fraction * turn_deg, start.elevation_deg + fraction * up_deg
    angle = math.radians(angle_deg)
    mixed = np.outer(np.sin((1 - fraction) * angle), _vector(start)) + np.outer(np.sin(fraction * angle), _vector(end))
    x, y, z = mixed.T / math.sin(angle)
    elevation_deg = np.degrees(np.arctan2(z, np.hypot(x, y)))
    # The whole way turns by less than half a circle, so that this is how far it has come.
    come_deg = np.degrees(np.arctan2(y, x)) - start.azimuth_deg
    come_deg -= 360 * np.round(come_deg / 360)
    return start.azimuth_deg + come_deg, elevation_deg

"""Ways of a sound on and through the sphere, as curves: along great circles, around, overhead, closer and away.

Each function takes where a sound is (a :class:`Spot`) and how long it goes, and gives a curve of 100 places a second;
before its beginning and after its end the sound stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tas_core.acoustics.hrtf import direction_vectors
from tas_core.acoustics.sphere.places import NEAREST_M, PlaceCurve
from tas_core.conventions import LEFT_SIGN
from tas_core.errors import InputError

RATE_HZ: Final = 100.0
_OPPOSITE_DEG: Final = 179.0
_LONGEST_S: Final = 86_400.0


@dataclass(frozen=True)
class Spot:
    """One place: azimuth (positive left) and elevation (positive up) in degrees, distance in metres."""

    azimuth_deg: float
    elevation_deg: float = 0.0
    distance_m: float = 1.4

    @property
    def xyz_m(self) -> np.ndarray:
        """From the middle of the head, x front, y left, z up."""
        return self.distance_m * direction_vectors(np.array(self.azimuth_deg), np.array(self.elevation_deg))


def along_great_circle(start: Spot, stop: Spot, duration_s: float, through: Spot | None = None) -> PlaceCurve:
    """The shortest way over the sphere, at an even pace; the distance changes evenly as well.

    Args:
        start: where it begins.
        stop: where it ends.
        duration_s: how long it takes, more than 0.
        through: a place on the way, such as one above, at which half of the time is over. It is needed where start and
            stop are opposite each other.

    Raises:
        InputError: no finite time of more than 0, or places opposite each other with nothing between them.
    """
    _check(duration_s)
    if through is not None:
        first, second = (
            along_great_circle(start, through, duration_s / 2),
            along_great_circle(through, stop, duration_s / 2),
        )
        time_s = _times(duration_s)
        halves = [
            first.at(time_s[time_s < duration_s / 2]),
            second.at(time_s[time_s >= duration_s / 2] - duration_s / 2),
        ]
        direction = np.concatenate([half.direction for half in halves])
        return _curve(direction, np.concatenate([half.distance_m for half in halves]))
    for spot in (start, stop):
        PlaceCurve(spot.azimuth_deg, spot.elevation_deg, spot.distance_m)  # refuses what is no place
    vectors = [spot.xyz_m / spot.distance_m for spot in (start, stop)]
    angle_deg = float(np.degrees(np.arccos(np.clip(vectors[0] @ vectors[1], -1, 1))))
    if angle_deg > _OPPOSITE_DEG:
        raise InputError(
            f"a way from azimuth {start.azimuth_deg:g}, elevation {start.elevation_deg:g} to {stop.azimuth_deg:g}, "
            f"{stop.elevation_deg:g} degrees, which is opposite: expected a place to go through"
        )
    ends = PlaceCurve(
        np.array([start.azimuth_deg, stop.azimuth_deg]),
        np.array([start.elevation_deg, stop.elevation_deg]),
        np.array([start.distance_m, stop.distance_m]),
        rate_hz=1 / duration_s,
    )
    place = ends.at(_times(duration_s))
    return _curve(place.direction, place.distance_m)


def around(start: Spot, duration_s: float, period_s: float, *, clockwise: bool = True) -> PlaceCurve:
    """Circles around the listener, level, seen from above clockwise (in front it goes to the right) or the other way.

    Args:
        start: where it begins; elevation and distance stay.
        duration_s: how long it goes, more than 0.
        period_s: of one turn, more than 0.
        clockwise: as seen from above.

    Raises:
        InputError: no finite times of more than 0.
    """
    _check(duration_s)
    _check(period_s, "a turn")
    turned = 360.0 * _times(duration_s) / period_s
    sign = -LEFT_SIGN if clockwise else LEFT_SIGN
    # Turns of more than half a circle from frame to frame are none.
    if 360.0 / period_s / RATE_HZ >= 180.0:
        raise InputError(f"a turn in {period_s:g} s, expected more than {2 / RATE_HZ:g} s")
    return PlaceCurve(start.azimuth_deg + sign * turned, start.elevation_deg, start.distance_m, rate_hz=RATE_HZ)


def overhead(start_azimuth_deg: float, duration_s: float, height_m: float, reach_m: float) -> PlaceCurve:
    """Straight over the head, level, from an azimuth to the opposite one: near when it is above, far at both ends.

    Args:
        start_azimuth_deg: where it comes from.
        duration_s: how long it takes, more than 0.
        height_m: over the middle of the head.
        reach_m: how far away along the ground it begins and ends.

    Raises:
        InputError: no finite values of more than 0, or so low that it hits the head.
    """
    for name, value in (("height", height_m), ("reach", reach_m)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"a way overhead with a {name} of {value:g} m, expected more than 0")
    elevation_deg, distance_m = float(np.degrees(np.arctan2(height_m, reach_m))), float(np.hypot(height_m, reach_m))
    ends = (
        Spot(start_azimuth_deg, elevation_deg, distance_m),
        Spot(start_azimuth_deg + 180, elevation_deg, distance_m),
    )
    return straight(*ends, duration_s)


def straight(start: Spot, stop: Spot, duration_s: float) -> PlaceCurve:
    """A straight line at an even speed: past the head, closer, or away.

    Args:
        start: where it begins.
        stop: where it ends.
        duration_s: how long it takes, more than 0.

    Raises:
        InputError: no finite time of more than 0, no places, or a way through the head.
    """
    _check(duration_s)
    for spot in (start, stop):
        PlaceCurve(spot.azimuth_deg, spot.elevation_deg, spot.distance_m)
    part = (_times(duration_s) / duration_s)[:, None]
    way_m = (1 - part) * start.xyz_m + part * stop.xyz_m
    step_m = stop.xyz_m - start.xyz_m
    nearest = np.clip(-(start.xyz_m @ step_m) / max(step_m @ step_m, 1e-12), 0, 1)
    nearest_m = float(np.linalg.norm(start.xyz_m + nearest * step_m))
    if nearest_m < NEAREST_M * (1 - 1e-9):
        raise InputError(
            f"a straight way {round(nearest_m, 4):g} m past the middle of the head, expected {NEAREST_M:g} or more"
        )
    distance_m = np.maximum(np.sqrt(np.square(way_m).sum(axis=1)), NEAREST_M)
    return _curve(way_m / distance_m[:, None], distance_m)


def _times(duration_s: float) -> np.ndarray:
    """Of frames, from 0; the last one is the first that is not before the end."""
    return np.minimum(np.arange(int(np.ceil(duration_s * RATE_HZ - 1e-9)) + 1) / RATE_HZ, duration_s)


def _curve(direction: np.ndarray, distance_m: np.ndarray) -> PlaceCurve:
    """A curve of unit vectors (frame, xyz) and distances (frame)."""
    azimuth_deg = np.degrees(np.arctan2(direction[:, 1], direction[:, 0])) * LEFT_SIGN
    elevation_deg = np.degrees(np.arctan2(direction[:, 2], np.hypot(direction[:, 0], direction[:, 1])))
    return PlaceCurve(azimuth_deg, elevation_deg, distance_m, rate_hz=RATE_HZ)


def _check(duration_s: float, what: str = "a way") -> None:
    if not (np.isfinite(duration_s) and 0 < duration_s <= _LONGEST_S):
        raise InputError(f"{what} of {duration_s:g} s, expected more than 0, and a day at most")

"""Where objects are over time: points in time, and straight lines between them.

Every format samples these lines in its own way, so all of them say the same. Azimuth and elevation go linearly in
degrees, distance in metres, and a gain as a factor of amplitude.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

import numpy as np

from tas_core.acoustics.hrtf import direction_vectors
from tas_core.conventions import db_to_amplitude
from tas_core.errors import InputError
from tas_core.timeline.segments import REST, Timeline, Track

DISTANCE_M: Final = 1.0
"""How far objects are of which nothing else is known, metres: the distance at which heads are measured."""

_STEP_S: Final = 0.02
"""How far points of a curve are apart."""
_STRAIGHT: Final = 1e-6
"""How far the inner points of a straight line may be off, degrees, metres or factors."""
_BEND_DEG, _HALVINGS = 0.2, 4
"""How far curves may be off the lines between their points, and how often those may be halved for it."""
_INNER: Final = np.array([0.25, 0.5, 0.75])


def wrapped_deg(azimuth_deg: float) -> float:
    """An azimuth that may have gone around, from -180 to 180 degrees; 180 itself stays."""
    return azimuth_deg if abs(azimuth_deg) <= 180 else (azimuth_deg + 180) % 360 - 180


class Places(NamedTuple):
    """Where an object is at some moments, each (time,)."""

    azimuth_deg: np.ndarray
    elevation_deg: np.ndarray
    distance_m: np.ndarray
    gain: np.ndarray
    """Factor of amplitude, 0 is silent."""


@dataclass(frozen=True)
class Trajectory:
    """One object over time, as points; between two of them it goes straight, and two at one time are a jump.

    Args:
        object: the object phrase.
        time_s: (point,), seconds from the beginning of the sound, not falling.
        azimuth_deg: (point,), degrees, positive is left; beyond 180 it has gone around.
        elevation_deg: (point,), degrees, -90 to 90, positive is up.
        distance_m: (point,), metres, above 0.
        gain: (point,), factor of amplitude, 0 is silent.
        active: (point,), bool, whether a prompt names the object from this point to the next; where none does, it is
            in the center.

    Raises:
        InputError: no points, times that fall, or a place that is none.
    """

    object: str
    time_s: np.ndarray
    azimuth_deg: np.ndarray
    elevation_deg: np.ndarray
    distance_m: np.ndarray
    gain: np.ndarray
    active: np.ndarray

    def __post_init__(self) -> None:
        shapes = {np.shape(getattr(self, field.name)) for field in fields(self) if field.name != "object"}
        if len(shapes) != 1 or not len(self.time_s):
            raise InputError(f"'{self.object}' has no place, expected one point or more of each kind")
        if not (np.isfinite(self.time_s).all() and (np.diff(self.time_s) >= 0).all()):
            raise InputError(f"'{self.object}': times of its places fall, expected them in order")
        wrong = ~np.isfinite(self.azimuth_deg) | ~(np.abs(self.elevation_deg) <= 90) | ~np.isfinite(self.distance_m)
        wrong |= ~(self.distance_m > 0) | ~np.isfinite(self.gain) | (self.gain < 0)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise InputError(
                f"'{self.object}' has no place at {self.time_s[at]:g} s (azimuth {self.azimuth_deg[at]:g}, elevation"
                f" {self.elevation_deg[at]:g}, distance {self.distance_m[at]:g}, gain {self.gain[at]:g}); expected"
                " an azimuth, an elevation of -90 to 90 degrees, a distance above 0 m and a gain"
            )

    def at(self, times_s: np.ndarray) -> Places:
        """Places at given moments (time,), seconds; at a jump, the one after it."""
        times_s = np.asarray(times_s, np.float64)
        last = len(self.time_s) - 1
        before = np.clip(np.searchsorted(self.time_s, times_s, side="right") - 1, 0, last)
        after = np.minimum(before + 1, last)
        length_s = self.time_s[after] - self.time_s[before]
        part = np.clip(np.divide(times_s - self.time_s[before], length_s, where=length_s > 0, out=0 * length_s), 0, 1)
        line = lambda values: values[before] + part * (values[after] - values[before])  # noqa: E731
        return Places(line(self.azimuth_deg), line(self.elevation_deg), line(self.distance_m), line(self.gain))

    def points(self, step_s: float = math.inf) -> tuple[np.ndarray, Places]:
        """Moments (time,) and places at them: both sides of jumps, and one each ``step_s`` seconds where it moves."""
        times: list[float] = []
        after: list[bool] = []
        for n in range(len(self.time_s) - 1):
            start_s, end_s = float(self.time_s[n]), float(self.time_s[n + 1])
            if start_s == end_s:
                continue
            kinds = (self.azimuth_deg, self.elevation_deg, self.distance_m, self.gain)
            moves = any(kind[n] != kind[n + 1] for kind in kinds)
            count = max(1, math.ceil((end_s - start_s) / step_s)) if moves else 1
            moments = np.linspace(start_s, end_s, count + 1).tolist()
            if times and not (n and self.time_s[n - 1] == start_s):  # no jump: the end of the line before is this point
                moments = moments[1:]
            times += moments
            after += [True] * (len(moments) - 1) + [False]
        moments_s = np.array(times)
        return moments_s, self.at(np.where(after, moments_s, np.nextafter(moments_s, -1.0)))

    @property
    def is_placed(self) -> bool:
        """Whether a prompt names the object at any time."""
        return bool(self.active.any())


def trajectories(
    timeline: Timeline, duration_s: float, passage_s: tuple[float, float], *, transition_s: float = 0.0
) -> tuple[Trajectory, ...]:
    """Where the objects of a timeline, and the rest, are in a passage, with times from its beginning.

    Args:
        timeline: of the whole sound.
        duration_s: length of the whole sound, seconds.
        passage_s: first moment and end, seconds.
        transition_s: as for :meth:`tas_core.timeline.segments.Timeline.tracks`.

    Returns:
        One per object, in the order in which they are first named, those that the passage does not name too, and
        last the rest, which stays in the center. Where the timeline asks for more than the frontal plane, what has no
        distance of its own is at that of the head's measurement.
    """

    def sample(times_s: np.ndarray) -> tuple[Track, ...]:
        tracks = timeline.tracks(times_s, duration_s, transition_s=transition_s)
        rest_db = timeline.rest_gain_db(times_s, duration_s, transition_s=transition_s)
        return (*tracks, Track.nowhere(REST, rest_db))

    corners_s = timeline.corners_s(duration_s, transition_s=transition_s)
    return sampled(sample, corners_s, passage_s, on_sphere=timeline.needs_sphere)


def sampled(
    sample: Callable[[np.ndarray], Sequence[Track]],
    corners_s: Sequence[float],
    passage_s: tuple[float, float],
    *,
    on_sphere: bool = False,
) -> tuple[Trajectory, ...]:
    """Trajectories of tracks that are known between corners.

    Args:
        sample: tracks of all objects at given times (time,), always of the same objects in one order.
        corners_s: moments at which a track may jump or turn, seconds.
        passage_s: first moment and end, seconds.
        on_sphere: whether tracks say how far objects are; if not, all are 1 m away.
    """
    start_s, end_s = passage_s
    borders = [start_s, *(time_s for time_s in corners_s if start_s < time_s < end_s), end_s]
    pieces = list(zip(borders[:-1], borders[1:], strict=True))
    # The first moment of every piece, three within it, and its last.
    inner = [np.array([a, *(a + _INNER * (b - a)), np.nextafter(b, a)]) for a, b in pieces]
    rows = [_values(track, on_sphere) for track in sample(np.concatenate(inner))]
    found = []
    for number, (name, values) in enumerate(rows):
        points: list[np.ndarray] = []
        for piece, (a, b) in enumerate(pieces):
            part = values[:, 5 * piece : 5 * piece + 5]
            times_s = np.array([a, b])
            if _is_straight(part):
                part = part[:, [0, 4]]
            else:
                times_s, part = _bent(lambda times_s, n=number: _values(sample(times_s)[n], on_sphere)[1], a, b)  # type: ignore[misc]
            points.append(np.vstack([times_s - start_s, part]))
        found.append(_trajectory(name, _joined(points)))
    return tuple(found)


def _bent(values: Callable[[np.ndarray], np.ndarray], a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Times (point) from a to b, and values (5, point), between which straight lines are near enough to a curve.

    A way past straight above or below turns so fast that there are more points then.
    """
    count = max(1, round((b - a) / _STEP_S))
    for finer in range(_HALVINGS + 1):
        times_s = np.linspace(a, b, 2 * count + 1)
        found = values(np.append(times_s[:-1], np.nextafter(b, a)))
        between = (found[:2, :-2:2] + found[:2, 2::2]) / 2
        off = direction_vectors(*between) - direction_vectors(*found[:2, 1::2])
        if finer == _HALVINGS or np.abs(off).max() < np.radians(_BEND_DEG):
            break
        count *= 2
    return times_s[::2], found[:, ::2]


def _values(track: Track, on_sphere: bool) -> tuple[str, np.ndarray]:
    """Name of a track, and azimuth, elevation, distance, gain and activity, (5, time)."""
    distance_m = track.distance_m if on_sphere else np.full(len(track.azimuth_deg), DISTANCE_M)
    gain = db_to_amplitude(track.gain_db)
    values = [track.azimuth_deg, track.elevation_deg, distance_m, gain, track.active]
    return track.object, np.array(values, np.float64)


def _is_straight(part: np.ndarray) -> bool:
    """Whether values at the ends of a piece and at quarters, (5, 5), lie on lines."""
    first, last = part[:, :1], part[:, -1:]
    return bool((np.abs(part[:, 1:-1] - (first + _INNER * (last - first))) <= _STRAIGHT).all())


def _joined(points: list[np.ndarray]) -> np.ndarray:
    """Points of pieces in a row, (6, point), of which none stands for nothing: what goes on unmoved is one piece."""
    kept = [points[0]]
    for piece in points[1:]:
        last = kept[-1]
        still = (last[1:, :1] == last[1:]).all() and (piece[1:, :1] == piece[1:]).all()
        if still and (last[1:, -1] == piece[1:, 0]).all():
            kept[-1] = np.stack([last[:, 0], piece[:, -1]], axis=1)
        elif (last[1:, -1] == piece[1:, 0]).all():
            kept.append(piece[:, 1:])
        else:
            kept.append(piece)
    return np.concatenate(kept, axis=1)


def _trajectory(name: str, points: np.ndarray) -> Trajectory:
    time_s, azimuth_deg, elevation_deg, distance_m, gain, active = points
    return Trajectory(name, time_s, azimuth_deg, elevation_deg, distance_m, gain, active > 0)

"""Ways that a hand draws around a head, as the nearest sentence that a person would write.

A drawing has its unit at the ring of sounds of which no distance is said (1.4 m). Seen *from above*, x is to the right
and y to the front; seen *from the side*, x is to the front and y up. A place at azimuth a, elevation e and distance d,
with r(d) of :func:`ring_radius`, is drawn at

    above: (-r cos e sin a, r cos e cos a)        side: (r cos e cos a, r sin e)

A drawn line is compared with what sentences would draw, by the mean distance of points at equal parts of both lines;
numbers in a sentence count a little against it, so that "from the left" is taken for what is nearly there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np

from tas_core.conventions import REFERENCE_M
from tas_core.errors import InputError, PromptError
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.plain_words import path_in_words
from tas_core.timeline.sphere import SpherePath, SpherePoint
from tas_core.timeline.sphere_words import sphere_words

View = Literal["above", "side"]
Kind = Literal["stays", "from-to", "clockwise", "counterclockwise", "overhead", "closer", "away", "other"]

FARTHER_PER_DOUBLE: Final = 0.1
NEARER_PER_DOUBLE: Final = 0.22
NEAREST_RADIUS: Final = 0.22
FARTHEST_RADIUS: Final = 1.62
MOST_POINTS: Final = 2000

_POINTS: Final = 48
_TAP: Final = 0.12
"""Lines that are shorter are no ways."""
_CIRCLE_DEG: Final = 300.0
_STEP_DEG: Final = 5
_NAMED_DEG: Final = (0.0, 55.0, -55.0, 90.0, -90.0, 125.0, -125.0, 180.0)
_NEAR_NAME_DEG: Final = 9.0
_SAME_RING: Final = 0.13
_OVER_HEAD: Final = 0.3
"""What is drawn from above and comes no nearer to the middle does not pass overhead."""
_PER_NUMBER: Final = 0.05
_PER_STOP: Final = 0.06
_ZENITH: Final = SpherePoint(0.0, 90.0)
_ASIDE: Final = (SpherePoint(90.0), SpherePoint(-90.0))
_LEVEL: Final = (SpherePoint(0.0), SpherePoint(180.0))
_DEFAULT_TURN_S: Final = 8.0


def scale_facts() -> dict[str, float]:
    """What a page needs to draw as this module reads: the reference distance, metres, and the scale of radii."""
    return {
        "reference_m": REFERENCE_M,
        "farther_per_double": FARTHER_PER_DOUBLE,
        "nearer_per_double": NEARER_PER_DOUBLE,
        "nearest_radius": NEAREST_RADIUS,
        "farthest_radius": FARTHEST_RADIUS,
    }


def ring_radius(distance_m: np.ndarray | float) -> np.ndarray:
    """How far from the middle a distance in metres is drawn: straight in its logarithm, within the drawing."""
    doubles = np.log2(np.asarray(distance_m, float) / REFERENCE_M)
    slope = np.where(doubles > 0, FARTHER_PER_DOUBLE, NEARER_PER_DOUBLE)
    return np.clip(1 + slope * doubles, NEAREST_RADIUS, FARTHEST_RADIUS)


def drawn(path: SpherePath, view: View, length_s: float) -> np.ndarray:
    """Points (point, 2) of a way that takes ``length_s`` seconds, as it is drawn."""
    trace = path.at(np.linspace(0.0, 1.0, 2 * _POINTS), length_s)
    azimuth, elevation = np.radians(trace.azimuth_deg), np.radians(trace.elevation_deg)
    radius = ring_radius(trace.distance_m)
    front = radius * np.cos(elevation) * np.cos(azimuth)
    if view == "side":
        return np.stack([front, radius * np.sin(elevation)], axis=1)
    return np.stack([-radius * np.cos(elevation) * np.sin(azimuth), front], axis=1)


def way_of_line(line: Sequence[Sequence[float]], view: View, before: SpherePath, length_s: float) -> SpherePath:
    """The way that a drawn line is nearest to.

    Args:
        line: points (x, y) in the units of a drawing, at least one.
        view: how it is seen.
        before: where the sound was; spread stays, and so does its height in a drawing from above.
        length_s: how long the way takes, seconds.

    Raises:
        InputError: no points, too many, or such as are no numbers.
    """
    points = np.array([tuple(point) for point in line], float)
    if not 0 < len(points) <= MOST_POINTS or points.shape[1:] != (2,) or not np.abs(points).max() < math.inf:
        raise InputError(f"a line of {len(points)} points, expected 1 to {MOST_POINTS} of two numbers each")
    if _length(points) < _TAP:
        return SpherePath.fixed(_place(points[-1], view, before.start))
    turned_deg = _turned_deg(points) if view == "above" else 0.0
    shape = _resampled(points)
    ways = _circles(points, turned_deg, before, length_s) if abs(turned_deg) >= _CIRCLE_DEG else None
    best, least = None, math.inf
    for way in ways or _ways(shape, view, before):
        off = np.linalg.norm(_resampled(drawn(way, view, length_s)) - shape, axis=1).mean()
        words = path_in_words(way)
        cost = float(off) + _PER_NUMBER * len(re.findall(r"[\d.]+", words)) + _PER_STOP * (" via " in words)
        if cost < least:
            best, least = way, cost
    assert best is not None
    return best


def straight_way(start: SpherePoint, end: SpherePoint) -> SpherePath:
    """The way from one place to another: in front, from ear to ear, past the front; else the shortest."""
    if start.is_frontal and end.is_frontal:
        return SpherePath.frontal(AzimuthPath(start.azimuth_deg, end.azimuth_deg))
    return SpherePath.gliding(start, end)


def kind_of(path: SpherePath) -> Kind:
    """Which of the ways that can be chosen a path is; "other" for what has a stop on its way that is not overhead."""
    if not path.is_moving:
        return "stays"
    if path.is_circle:
        return "counterclockwise" if path.turns + path.turn_s > 0 else "clockwise"
    if path.via is not None and path.in_plane is None:
        return "overhead" if path.via == _ZENITH else "other"
    same = (path.start.azimuth_deg, path.start.elevation_deg) == (path.end.azimuth_deg, path.end.elevation_deg)
    if same and path.start.distance_m != path.end.distance_m:
        return "closer" if path.end.distance_m < path.start.distance_m else "away"
    return "from-to"


def way_of_kind(kind: Kind, before: SpherePath) -> SpherePath:
    """A way of a kind that begins where a sound was, with the language's own numbers.

    Raises:
        InputError: a kind that none is made of.
    """
    start = before.start
    if kind == "stays":
        return SpherePath.fixed(start)
    if kind == "from-to":
        aside = abs(start.lateral_deg) >= _STEP_DEG
        end = start.mirrored() if aside else SpherePoint(55.0, start.elevation_deg, start.distance_m, start.spread)
        return straight_way(start, end)
    if kind in ("clockwise", "counterclockwise"):
        return SpherePath(start, start, turn_s=_DEFAULT_TURN_S if kind == "counterclockwise" else -_DEFAULT_TURN_S)
    ground = SpherePoint(start.azimuth_deg, 0.0, start.distance_m, start.spread)
    if kind == "overhead":
        return SpherePath(ground, SpherePoint(start.azimuth_deg + 180, 0.0, start.distance_m, start.spread), _ZENITH)
    if kind in ("closer", "away"):
        near_far = sphere_words().metres["comes" if kind == "closer" else "leaves"]
        first, last = (SpherePoint(start.azimuth_deg, start.elevation_deg, m, start.spread) for m in near_far)
        return SpherePath(first, last)
    raise InputError(f"a way of the kind '{kind}' cannot be chosen, expected one that has words of its own")


def _length(points: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def _resampled(points: np.ndarray) -> np.ndarray:
    """Points at equal parts of the length of a line."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    at = np.concatenate([[0.0], np.cumsum(steps)])
    where = np.linspace(0.0, at[-1], _POINTS)
    return np.stack([np.interp(where, at, points[:, axis]) for axis in (0, 1)], axis=1)


def _turned_deg(points: np.ndarray) -> float:
    """By how much a line from above turns around the head, positive from front to left."""
    around = points[np.linalg.norm(points, axis=1) > 1e-6]
    angles = np.unwrap(np.arctan2(-around[:, 0], around[:, 1]))
    return float(np.degrees(angles[-1] - angles[0])) if len(angles) else 0.0


def _metres(radius: float) -> float:
    """The distance that is drawn at a radius, as a person would say it."""
    doubles = (radius - 1) / (FARTHER_PER_DOUBLE if radius > 1 else NEARER_PER_DOUBLE)
    metres = REFERENCE_M * 2 ** min(max(doubles, -3.5), 6.0)
    digits = 1 if metres < 1 else 0
    return max(0.1, round(metres, digits) if metres < 10 else round(metres, -1))


def _place(point: np.ndarray, view: View, like: SpherePoint) -> SpherePoint:
    """The place that is drawn at a point (2), with what a drawing does not show as that of another."""
    x, y = float(point[0]), float(point[1])
    far = math.hypot(x, y)
    if view == "side":
        azimuth_deg = 0.0 if x >= 0 else 180.0
        elevation_deg = float(_rounded(math.degrees(math.atan2(y, abs(x)))))
    else:
        azimuth_deg = float(_rounded(math.degrees(math.atan2(-x, y)))) if far > 1e-6 else 0.0
        elevation_deg = like.elevation_deg if abs(like.elevation_deg) <= 60 else 0.0
        far /= math.cos(math.radians(elevation_deg))
    same = abs(far - float(ring_radius(like.distance_m))) < _SAME_RING
    distance_m = like.distance_m if same else REFERENCE_M if abs(far - 1) < _SAME_RING else _metres(far)
    return SpherePoint(azimuth_deg, elevation_deg, distance_m, like.spread)


def _rounded(degrees: float) -> float:
    return _STEP_DEG * round(degrees / _STEP_DEG) + 0.0


def _named(point: SpherePoint) -> SpherePoint:
    """The place with a plain name beside a place, if one is near."""
    apart = [abs(SpherePoint(name - point.azimuth_deg).azimuth_deg) for name in _NAMED_DEG]
    nearest = int(np.argmin(apart))
    azimuth_deg = _NAMED_DEG[nearest] if apart[nearest] <= _NEAR_NAME_DEG else point.azimuth_deg
    return SpherePoint(azimuth_deg, point.elevation_deg, point.distance_m, point.spread)


def _circles(points: np.ndarray, turned_deg: float, before: SpherePath, length_s: float) -> list[SpherePath]:
    """Circles that a line may be, one with a plain start and one with an exact one."""
    middle = points * (np.median(np.linalg.norm(points, axis=1)) / max(1e-6, float(np.linalg.norm(points[0]))))
    start = _place(middle[0], "above", before.start)
    period_s = length_s * 360 / abs(turned_deg)
    period_s = float(round(period_s)) if period_s >= 3 else max(0.5, round(2 * period_s) / 2)
    turn_s = math.copysign(period_s, turned_deg)
    return [SpherePath(each, each, turn_s=turn_s) for each in dict.fromkeys((start, _named(start)))]


def _ways(shape: np.ndarray, view: View, before: SpherePath) -> Iterator[SpherePath]:
    """Ways that a line may be."""
    first, last = (_place(shape[at], view, before.start) for at in (0, -1))
    over = view == "side" or float(np.linalg.norm(shape, axis=1).min()) < _OVER_HEAD
    stops = (*([_ZENITH] if over else []), *_LEVEL, *(_ASIDE if view == "above" else ()))
    firsts, lasts = (tuple(dict.fromkeys((each, _named(each)))) for each in (first, last))
    for start in firsts:
        for end in lasts:
            yield from _between(start, end, stops)
        if abs(SpherePoint(last.azimuth_deg - start.azimuth_deg).azimuth_deg) <= 3 * _STEP_DEG:
            turned = SpherePoint(start.azimuth_deg, start.elevation_deg, last.distance_m, start.spread)
            yield SpherePath(start, turned)
            for role in ("comes", "leaves"):
                ends = [SpherePoint(start.azimuth_deg, 0.0, m, start.spread) for m in sphere_words().metres[role]]
                yield SpherePath(ends[0], ends[1])


def _between(start: SpherePoint, end: SpherePoint, stops: Sequence[SpherePoint]) -> Iterator[SpherePath]:
    """The ways from one place to another that have words: the shortest, and past one of some places."""
    if _ZENITH in stops or start.angle_to_deg(end) < 180 - _STEP_DEG:
        yield straight_way(start, end)
    for via in stops:
        ends = start, end
        if via == _ZENITH:  # it passes over the head from ear level to ear level
            ends = tuple(SpherePoint(p.azimuth_deg, 0.0, p.distance_m, p.spread) for p in ends)  # type: ignore[assignment]
        try:
            yield SpherePath(*ends, via)
        except PromptError:  # opposite ends of a part of it: it is another of them
            continue

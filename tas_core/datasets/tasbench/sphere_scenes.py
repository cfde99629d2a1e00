"""What a clip of the 3D twin of TASBench-Sim holds: the same sources, splits and times, and places all around.

Places are drawn first, and captions say them as well as their style can. An object at rest is in one of the directions
that the head was measured in, the nearest to what was drawn, so that its truth is a plain convolution. Shares and
ranges are data, in ``prompts/tasbench.yaml`` under ``sphere``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from tas_core.acoustics.hrtf import direction_vectors
from tas_core.acoustics.rooms import Room, nearest_directions, position_inside
from tas_core.conventions import LEFT_SIGN, REFERENCE_M, numbered_seed
from tas_core.datasets.sources.catalogue import Category
from tas_core.datasets.sources.clips import source_rng
from tas_core.datasets.tasbench.captions import quoted
from tas_core.datasets.tasbench.scenes import (
    LENGTH_S,
    BesideObject,
    Scene,
    SceneObject,
    clip_split,
    draw_categories,
    draw_equal,
    draw_level_db,
    draw_peak_dbfs,
    draw_source,
    draw_style,
    draw_times,
)
from tas_core.datasets.tasbench.sphere_captions import ZENITH, related_point, sphere_data
from tas_core.errors import PromptError
from tas_core.timeline.rooms import named_rooms
from tas_core.timeline.sphere import SpherePath, SpherePoint
from tas_core.timeline.sphere_words import sphere_words

WAYS: Final = ("circle", "overhead", "moves", "comes", "leaves")
_LEAST_APART_DEG: Final = 20.0
_TURN_S: Final = (4, 10)
_WAY_DEG: Final = (40.0, 150.0)
_PASSES_DEG: Final = (0.0, 180.0, 90.0, -90.0)
_OPEN_M: Final = (40.0, 40.0, 40.0)
_PATH_STEP_S: Final = 0.5
_ATTEMPTS: Final = 60


def draw_sphere_scene(seed: int, number: int, rate_hz: int, measured: np.ndarray) -> Scene:
    """The scene of a clip all around; ``active`` and ``material`` of its objects are left open until it is rendered.

    Args:
        seed: of the data set.
        number: of the clip, from 1.
        rate_hz: sample rate that it is to be rendered at.
        measured: directions that the head was measured in, unit vectors (direction, xyz).
    """
    clip, split = f"{number:06d}", clip_split(number)
    rng = source_rng(seed, "sphere scene", number)
    chosen = draw_categories(rng)
    room_name, room = _draw_room(rng)
    equal = draw_equal(rng)
    lead = int(rng.integers(len(chosen)))
    objects: list[SceneObject] = []
    for i, category in enumerate(chosen):
        words = [w.lower() for w in category.words if quoted(w.lower()) == w.lower()]
        start_s, stop_s = draw_times(i == lead, rng)
        place, beside = _draw_place(category, objects, room, measured, rng)
        file = f"{i + 1}-{category.name.replace(' ', '-')}"
        item = SceneObject(
            category=category.name,
            phrase=words[int(rng.integers(len(words)))],
            file=f"{file}.flac",
            source=draw_source(category, split, rng),
            seed=numbered_seed(seed, number) * 8 + i,
            path=(),
            distance_m=place.start.distance_m,
            start_s=start_s,
            stop_s=stop_s,
            level_db=0.0 if equal else draw_level_db(rng),
            dry=f"{file}.dry.flac",
            place=place,
            beside=beside,
        )
        objects.append(replace(item, path=side_path(item)))
    return Scene(
        clip=clip,
        split=split,
        seed=seed,
        rate_hz=rate_hz,
        length_s=LENGTH_S,
        room=room,
        style=draw_style(rng),
        peak_dbfs=draw_peak_dbfs(rng),
        objects=tuple(objects),
        room_name=room_name,
    )


def side_path(item: SceneObject) -> tuple[tuple[float, float], ...]:
    """How far an object is to the side, (seconds, degrees): the azimuth in front that is as far."""
    assert item.place is not None
    if not item.place.is_moving:
        lateral_deg = round(item.place.start.lateral_deg, 1)
        return ((0.0, lateral_deg), (LENGTH_S, lateral_deg))
    times_s = np.append(np.arange(item.start_s, item.stop_s - _PATH_STEP_S / 2, _PATH_STEP_S), item.stop_s)
    times_s = np.unique(np.concatenate([[0.0], times_s, [LENGTH_S]]))
    trace = item.trace(times_s)
    lateral = direction_vectors(trace.azimuth_deg, trace.elevation_deg)[:, 1] * LEFT_SIGN
    angles_deg = np.degrees(np.arcsin(np.clip(lateral, -1, 1))).tolist()
    return tuple((round(t, 3), round(a, 1)) for t, a in zip(times_s.tolist(), angles_deg, strict=True))


def _drawn(shares: dict[str, float], rng: np.random.Generator) -> str:
    """One of several names by its share."""
    weights = np.array(list(shares.values()), float)
    return list(shares)[int(rng.choice(len(weights), p=weights / weights.sum()))]


def _draw_room(rng: np.random.Generator) -> tuple[str, Room]:
    """Name and room; an empty name where captions say none, which sounds as outdoors."""
    kind = _drawn(sphere_data()["rooms"], rng)
    name = kind if kind == "outdoors" else ""
    if kind == "room":
        rooms = [each for each, room in named_rooms().items() if not room.is_open]
        name = rooms[int(rng.integers(len(rooms)))]
    choice = named_rooms()[name] if name else None
    if choice is None or choice.size_m is None or choice.rt60_s is None:
        return name, Room.around(_OPEN_M, 0.0)
    return name, Room.around(choice.size_m, choice.rt60_s)


def _draw_point(rng: np.random.Generator) -> SpherePoint:
    """Any azimuth, and a height and a distance by their shares."""
    data = sphere_data()
    azimuth_deg = float(rng.uniform(-180, 180))
    elevation_deg = float(rng.uniform(*data["height_deg"][_drawn(data["heights"], rng)]))
    near, far = data["distance_m"][_drawn(data["distances"], rng)]
    distance_m = float(np.exp(rng.uniform(np.log(near), np.log(far))))
    return SpherePoint(azimuth_deg, elevation_deg, REFERENCE_M if near == far else round(distance_m, 2))


def _draw_place(
    category: Category, others: list[SceneObject], room: Room, measured: np.ndarray, rng: np.random.Generator
) -> tuple[SpherePath, BesideObject | None]:
    """Where an object is, and what it may be placed by."""
    data = sphere_data()
    if category.name in data["wide"] and rng.random() < data["wide_share"]:
        return SpherePath.fixed(SpherePoint(0.0, 0.0, REFERENCE_M, 1.0)), None
    if rng.random() < data["moving_share"]:
        return _draw_way(room, rng), None
    resting = [k for k, item in enumerate(others) if _is_reference(item)]
    if resting and rng.random() < data["relative_share"]:
        other = resting[int(rng.integers(len(resting)))]
        number = int(rng.integers(len(data["relations"])))
        beside = _beside(others[other], data["relations"][number][0])
        if beside is not None and _fits(beside, room):
            return SpherePath.fixed(_snapped(beside, measured)), BesideObject(other, number)
    taken = [item.place.start for item in others if item.place is not None and not item.is_moving]
    for _ in range(_ATTEMPTS):
        point = _snapped(_draw_point(rng), measured)
        if _fits(point, room) and all(point.angle_to_deg(each) >= _LEAST_APART_DEG for each in taken):
            break
    else:
        point = _snapped(replace(point, distance_m=_reach_m(point, room)), measured)
    return SpherePath.fixed(point), None


def _beside(other: SceneObject, relation: str) -> SpherePoint | None:
    """The place in a relation to another object; None where there is none."""
    assert other.place is not None
    try:
        return related_point(relation, other.place.start)
    except PromptError:
        return None


def _draw_way(room: Room, rng: np.random.Generator) -> SpherePath:
    """A way of one of :data:`WAYS`; in a room not from or to where its walls are."""
    ways = WAYS if room.rt60_s == 0 else WAYS[:3]
    way = ways[int(rng.integers(len(ways)))]
    start = replace(_draw_point(rng), distance_m=REFERENCE_M if room.rt60_s == 0 else min(REFERENCE_M, _least_m(room)))
    if way == "circle":
        level = sphere_data()["height_deg"]["level"]
        start = replace(start, elevation_deg=float(rng.uniform(*level)))
        turn_s = float(rng.integers(_TURN_S[0], _TURN_S[1] + 1)) * (1 if rng.random() < 0.5 else -1)
        return SpherePath(start, start, None, 0.0, turn_s)
    if way == "overhead":
        azimuth_deg = _PASSES_DEG[int(rng.integers(len(_PASSES_DEG)))]
        first = replace(start, azimuth_deg=azimuth_deg, elevation_deg=0.0)
        return SpherePath(first, replace(first, azimuth_deg=azimuth_deg + 180.0), ZENITH)
    if way in ("comes", "leaves"):
        near, far = sphere_words().metres[way]
        return SpherePath(replace(start, distance_m=near), replace(start, distance_m=far))
    while True:
        end = replace(_draw_point(rng), distance_m=start.distance_m)
        if _WAY_DEG[0] <= start.angle_to_deg(end) <= _WAY_DEG[1]:
            return SpherePath(start, end)


def _is_reference(item: SceneObject) -> bool:
    """Whether others can be placed by an object: a point at rest with a place of its own."""
    return item.place is not None and not item.is_moving and not item.place.start.spread and item.beside is None


def _snapped(point: SpherePoint, measured: np.ndarray) -> SpherePoint:
    """The nearest direction that the head was measured in."""
    direction = direction_vectors(np.array([point.azimuth_deg]), np.array([point.elevation_deg]))
    x, y, z = measured[nearest_directions(direction, measured)[0]]
    azimuth_deg, elevation_deg = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
    return replace(point, azimuth_deg=round(float(azimuth_deg), 3), elevation_deg=round(float(elevation_deg), 3))


def _reach_m(point: SpherePoint, room: Room) -> float:
    """How far away a sound in this direction can be in a room, the distance of sounds of which none is said at most."""
    direction = direction_vectors(np.array(point.azimuth_deg), np.array(point.elevation_deg))
    inside = position_inside(room, direction, REFERENCE_M) - np.array(room.listener_m)
    return round(float(np.linalg.norm(inside)), 2)


def _least_m(room: Room) -> float:
    """How far away a sound can be in every direction of a room."""
    sides = [min(at, size - at) for at, size in zip(room.listener_m, room.size_m, strict=True)]
    return round(max(0.2, min(sides) - 0.15), 2)


def _fits(point: SpherePoint, room: Room) -> bool:
    """Whether a place is inside of a room."""
    if room.rt60_s == 0:
        return True
    direction = direction_vectors(np.array(point.azimuth_deg), np.array(point.elevation_deg))
    inside = position_inside(room, direction, point.distance_m) - np.array(room.listener_m)
    return float(np.linalg.norm(inside)) > 0.99 * point.distance_m

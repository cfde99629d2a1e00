"""Places all around: what a path does between its ends, in a timeline, and in transitions."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tas_core.conventions import REFERENCE_M
from tas_core.errors import PromptError, TimelineError
from tas_core.timeline.files import format_timeline, parse_timeline
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.prompts import Clause, format_prompt, parse_prompt, read_prompt
from tas_core.timeline.segments import Timeline
from tas_core.timeline.sphere import SpherePath, SpherePoint, Trace

FRACTIONS = np.linspace(0, 1, 101)

azimuths = st.floats(-180, 180).map(lambda value: round(value, 3))
points = st.builds(
    SpherePoint,
    azimuths,
    st.floats(-90, 90).map(lambda value: round(value, 3)),
    st.sampled_from([REFERENCE_M, 0.5, 3.0, 40.0]),
    st.sampled_from([0.0, 0.25, 1.0]),
)


def vectors(trace: Trace) -> np.ndarray:
    azimuth, elevation = np.radians(trace.azimuth_deg), np.radians(trace.elevation_deg)
    return np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], 1)


@st.composite
def paths(draw: st.DrawFn) -> SpherePath:
    start, end = draw(points), draw(points)
    if draw(st.booleans()):
        turns = draw(st.sampled_from([-2.0, 0.5, 3.0]))
        return SpherePath(start, end, None, turns) if draw(st.booleans()) else SpherePath(start, end, None, 0, turns)
    via = draw(points.map(lambda point: SpherePoint(point.azimuth_deg, point.elevation_deg)) | st.none())
    stops = [start, *([via] if via else []), end]
    if any(a.angle_to_deg(b) > 179 for a, b in zip(stops, stops[1:], strict=False)):
        return SpherePath.fixed(start)
    return SpherePath(start, end, via)


@given(paths())
def test_a_path_is_exact_at_its_ends_and_its_mirror_image_is_mirrored(path: SpherePath) -> None:
    trace, mirrored = path.at(FRACTIONS, 4.0), path.mirrored().at(FRACTIONS, 4.0)
    np.testing.assert_allclose(vectors(mirrored), vectors(trace) * [1, -1, 1], atol=1e-12)
    assert path.mirrored().mirrored() == path
    for place, at in ((path.start, 0), (path.end, -1)):
        assert trace.distance_m[at] == pytest.approx(place.distance_m)
        assert trace.spread[at] == pytest.approx(place.spread)
        assert trace.elevation_deg[at] == pytest.approx(place.elevation_deg, abs=1e-6)
    assert np.abs(np.diff(np.log(trace.distance_m), 2)).max() < 1e-9  # even in decibels


@given(paths(), st.floats(0.01, 0.99))
def test_two_parts_of_a_path_are_the_whole(path: SpherePath, cut: float) -> None:
    first, last = path.part(0, cut, 4.0), path.part(cut, 1, 4.0)
    for piece, (a, b) in ((first, (0, cut)), (last, (cut, 1))):
        expected = path.at(a + FRACTIONS * (b - a), 4.0)
        found = piece.at(FRACTIONS, 4.0 * (b - a))
        np.testing.assert_allclose(vectors(found), vectors(expected), atol=1e-5)
        np.testing.assert_allclose(found.distance_m, expected.distance_m, rtol=1e-9)


@settings(deadline=None)  # the first reads the words
@given(paths())
def test_any_path_survives_being_written(path: SpherePath) -> None:
    clause = Clause.on_sphere("cello", path)
    assert parse_prompt(format_prompt([clause])) == (clause,)
    assert parse_prompt(format_prompt([clause.mirrored()])) == (clause.mirrored(),)


@given(points, points)
def test_a_great_circle_goes_at_constant_speed_the_short_way(start: SpherePoint, end: SpherePoint) -> None:
    if start.angle_to_deg(end) > 179:
        return
    there = vectors(SpherePath(start, end).at(FRACTIONS, 1.0))
    steps = np.degrees(np.linalg.norm(np.diff(there, axis=0), axis=1))
    np.testing.assert_allclose(steps, start.angle_to_deg(end) / 100, atol=1e-4)


def test_azimuths_count_on_behind_the_listener() -> None:
    trace = SpherePath(SpherePoint(135), SpherePoint(-135)).at(FRACTIONS, 1.0)
    np.testing.assert_allclose(trace.azimuth_deg, 135 + 90 * FRACTIONS)
    circle = SpherePath(SpherePoint(0), SpherePoint(0), turn_s=-8.0).at(FRACTIONS, 16.0)
    np.testing.assert_allclose(circle.azimuth_deg, -720 * FRACTIONS)


def test_overhead_from_front_to_back() -> None:
    (clause,) = parse_prompt("a helicopter passes overhead from front to back")
    assert clause.sphere is not None
    assert clause.sphere.corners == (0.5,)
    trace = clause.sphere.at(np.array([0, 0.25, 0.5, 0.75, 1.0]), 10.0)
    np.testing.assert_allclose(trace.elevation_deg, [0, 45, 90, 45, 0], atol=1e-9)
    assert trace.azimuth_deg[[0, 1, 3, 4]].tolist() == [0, 0, 180, 180]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ((0, 90.5), "elevation 90.5 is outside -90"),
        ((0, math.nan), "elevation nan"),
        ((math.inf,), "azimuth inf is no angle"),
        ((0, 0, 0.05), "0.05 m is inside the head"),
        ((0, 0, 0), "inside the head"),
        ((0, 0, -1), "a distance of -1 m, expected 0.1 to 10000 m"),
        ((0, 0, 1e9), "expected 0.1 to 10000 m"),
        ((0, 0, math.nan), "a distance of nan m"),
        ((0, 0, 1, 1.5), "spread 1.5 is outside 0"),
    ],
)
def test_a_place_that_is_none_is_refused(values: tuple[float, ...], why: str) -> None:
    with pytest.raises(PromptError, match=why):
        SpherePoint(*values)


def test_opposite_ends_need_a_way() -> None:
    with pytest.raises(PromptError, match="opposite each other"):
        SpherePath(SpherePoint(0), SpherePoint(180))
    over = SpherePath.gliding(SpherePoint(0), SpherePoint(180)).at(np.array([0.5]), 1.0)
    assert over.elevation_deg.tolist() == [90]
    up = SpherePath.gliding(SpherePoint(0, -90), SpherePoint(0, 90)).at(np.array([0.5]), 1.0)
    assert (up.azimuth_deg.tolist(), up.elevation_deg.tolist()) == ([0], [0])


@given(st.floats(-90, 90), st.floats(-90, 90))
def test_what_the_frontal_plane_can_say_stays_there(start_deg: float, end_deg: float) -> None:
    path = AzimuthPath(start_deg, end_deg)
    clause = Clause.on_sphere("cello", SpherePath.frontal(path))
    assert clause == Clause("cello", path)
    assert set(clause.as_dict()) == {"object", "azimuth_start_deg", "azimuth_end_deg"}


def test_the_frontal_plane_has_the_same_angle_to_the_side_in_its_place() -> None:
    assert Clause.on_sphere("dog", SpherePath.fixed(SpherePoint(125))).azimuth == AzimuthPath(55, 55)
    assert Clause.on_sphere("dog", SpherePath.fixed(SpherePoint(180))).azimuth == AzimuthPath(0, 0)
    above = Clause.on_sphere("dog", SpherePath.fixed(SpherePoint(90, 60))).azimuth
    assert above.start_deg == pytest.approx(30)


# ---------------------------------------------------------------------------- timelines

SCENE = """\
prompts:
  - {start: 0, end: 4, text: "dog behind me, cello left"}
  - {start: 4, end: 8, text: "the dog circles around clockwise every 2 seconds, cello 3 m away on the left"}
"""


def test_tracks_go_all_around_and_cost_nothing_on_the_plane() -> None:
    timeline = parse_timeline(SCENE)
    assert timeline.needs_sphere
    dog, cello = timeline.tracks(np.array([1.0, 4.5, 5.5, 7.75]), 8.0)
    assert dog.azimuth_deg.tolist() == [180, -90, -270, -675]
    assert cello.distance_m.tolist() == [REFERENCE_M, 3, 3, 3]
    part = dog.within(slice(1, 3))
    assert part.azimuth_deg.tolist() == [-90, -270]
    assert part.spread.tolist() == [0, 0]
    plane = Timeline.from_prompt("cello left, dog moves from left to right")
    assert not plane.needs_sphere
    track = plane.tracks(np.linspace(0, 1, 1000), 1.0)[0]
    assert {track.elevation_deg.strides, track.distance_m.strides, track.spread.strides} == {(0,)}
    assert (track.elevation_deg[0], track.distance_m[0], track.spread[0]) == (0, REFERENCE_M, 0)


def test_a_transition_goes_along_the_great_circle_in_decibels() -> None:
    timeline = Timeline(
        (
            *parse_timeline('prompts: [{start: 0, end: 4, text: "dog behind me, cello 2 m away"}]').segments,
            *parse_timeline('prompts: [{start: 4, end: 8, text: "dog left, cello 8 m away"}]').segments,
        )
    )
    dog, cello = timeline.tracks(np.array([3.0, 3.5, 4.0, 4.5, 4.999999]), 8.0, transition_s=2.0)
    np.testing.assert_allclose(dog.azimuth_deg, [180, 148.75, 117.5, 86.25, 55], atol=1e-3)
    np.testing.assert_allclose(cello.distance_m, 2 * 4 ** np.array([0, 0.25, 0.5, 0.75, 1]), rtol=1e-5)
    over = parse_timeline('prompts: [{start: 2, end: 6, text: "dog behind me"}]')
    (track,) = over.tracks(np.array([1.0, 1.5, 2.0, 2.5]), 8.0, transition_s=2.0)
    np.testing.assert_allclose(track.elevation_deg, [0, 45, 90, 45], atol=1e-9)  # from the center, where it was
    assert {1.0, 2.0, 3.0} <= set(over.corners_s(8.0, transition_s=2.0))


def test_corners_are_where_a_path_turns() -> None:
    timeline = Timeline.from_prompt("a helicopter passes overhead from front to back")
    assert timeline.corners_s(10.0) == (0, 5, 10)


def test_cuts_and_mirrors_keep_the_place() -> None:
    timeline = parse_timeline(SCENE).resolved(8.0)
    whole = timeline.tracks(np.array([4.5, 6.5]), 8.0)
    cut = timeline.cut_out(4.25, 7.0)
    assert cut is not None
    found = cut.tracks(np.array([0.25, 2.25]), 2.75)
    for before, after in zip(whole, found, strict=True):
        np.testing.assert_allclose((after.azimuth_deg - before.azimuth_deg) % 360, 0, atol=1e-9)
    mirrored = timeline.mirrored().tracks(np.array([1.0, 4.5]), 8.0)
    for before, after in zip(timeline.tracks(np.array([1.0, 4.5]), 8.0), mirrored, strict=True):
        np.testing.assert_allclose((before.azimuth_deg + after.azimuth_deg) % 360, 0)


def test_json_says_all_coordinates_where_they_are_asked_for() -> None:
    (segment,) = Timeline.from_prompt("dog 3 m behind me, cello left, in a church").segments
    dog, cello = segment.as_dict()["clauses"]
    assert dog == {
        "object": "dog",
        **{"azimuth_start_deg": 180, "azimuth_end_deg": 180, "elevation_start_deg": 0, "elevation_end_deg": 0},
        **{"distance_start_m": 3, "distance_end_m": 3, "spread_start": 0, "spread_end": 0},
    }
    assert set(cello) == {"object", "azimuth_start_deg", "azimuth_end_deg"}
    assert segment.as_dict()["room"] == {"name": "church", "rt60_s": 3.5, "size_m": (38, 18, 16)}
    assert json.dumps(segment.as_dict())


# ---------------------------------------------------------------------------- rooms

ROOMS = """\
room: church
prompts:
  - {start: 0, end: 2, text: "dog left"}
  - {start: 2, end: 4, text: "dog left, in a car"}
  - {start: 4, end: 6, text: "dog left", room: {rt60: 1.2, size: [9, 6, 3]}}
  - {start: 6, text: "dog left", room: outdoors}
"""


def test_rooms_of_scenes_and_segments() -> None:
    timeline = parse_timeline(ROOMS)
    rooms = [segment.room for segment in timeline.segments]
    assert [room.name for room in rooms if room] == ["church", "car", "", "outdoors"]
    assert (rooms[2].rt60_s, rooms[2].size_m) == (1.2, (9, 6, 3)) if rooms[2] else False
    assert [segment.needs_sphere for segment in timeline.segments] == [True, True, True, False]
    assert parse_timeline(format_timeline(timeline, "x.yaml")) == timeline
    assert timeline.mirrored().segments[0].room == rooms[0]
    with pytest.raises(TimelineError, match=r"no field for a room \(church, RT60 3.5 s"):
        format_timeline(timeline, "x.srt")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("room: chapel", 'no room is called "chapel", expected church, cathedral'),
        ("room: {rt60: 1}", "a room without `size`"),
        ("room: {rt60: 1, size: [1, 2]}", "not three lengths"),
        ("room: {rt60: 0, size: [4, 3, 2]}", "a reverberation time of 0 s"),
        ("room: {rt60: 1, size: [4, 3, 0.2]}", "a room of 4 x 3 x 0.2 m"),
        ("room: {rt60: x, size: [4, 3, 2]}", "`x` is no number"),
        ("room: [church]", "`room`|found a list"),
    ],
)
def test_a_room_that_is_none_is_refused_where_it_stands(line: str, why: str) -> None:
    with pytest.raises(TimelineError, match=why) as caught:
        parse_timeline(f"{line}\nprompts:\n  - {{start: 0, text: dog left}}\n", "scene.yaml")
    assert str(caught.value).startswith("scene.yaml:1:")


def test_two_rooms_at_once_are_refused() -> None:
    with pytest.raises(TimelineError, match="the text puts it in church, and `room` in car"):
        parse_timeline('prompts: [{start: 0, text: "dog left, in a church", room: car}]')
    cues = "1\n00:00:00,000 --> 00:00:04,000\n{}\n\n2\n00:00:01,000 --> 00:00:03,000\n{}\n"
    with pytest.raises(TimelineError, match=r"in another room \(car"):
        parse_timeline(cues.format("dog left, in a church", "cat right, in a car"), "x.srt")
    timeline = parse_timeline(cues.format("dog behind me, in a church", "cat 3 m away"), "x.srt")
    assert [s.room.name if s.room else "" for s in timeline.segments] == ["church"] * 3
    assert read_prompt(timeline.segments[1].text).clauses == timeline.segments[1].clauses


# ---------------------------------------------------------------------------- where only the plane is known


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("dog behind me", '"dog" at 180 degrees left: only the frontal plane'),
        ("cello left, dog moves from left to behind me", '"dog" at 180 degrees left: only'),
        ("rain everywhere", '"rain" at 0 degrees spread 1: only'),
        ("dog 3 m away", '"dog" at 0 degrees 3 m away: only'),
        ("the drums circle around every 8 seconds", '"drums" circles around, at 0 degrees: only'),
        ("dog left, in a church", r"a room \(church, RT60 3.5 s, 38 x 18 x 16 m\): none is known here"),
    ],
)
def test_what_the_plane_does_not_have_is_said_in_one_line(text: str, why: str) -> None:
    with pytest.raises(TimelineError, match=why) as caught:
        Timeline.from_prompt(text).require_plane()
    assert "\n" not in str(caught.value)
    Timeline.from_prompt("dog left, outdoors").require_plane()

"""Lines that a hand draws: the sentence that is nearest, mirrored where they are, and what is read is drawn again."""

from __future__ import annotations

import numpy as np
import pytest

from tas_core.errors import InputError
from tas_core.studio.drawing import View, drawn, kind_of, ring_radius, way_of_kind, way_of_line
from tas_core.studio.operations import read_operation
from tas_core.timeline.plain_words import path_in_words
from tas_core.timeline.segments import Timeline
from tas_core.timeline.sphere import SpherePath, SpherePoint

HERE = SpherePath.fixed(SpherePoint(20))
LENGTH_S = 10.0
OVER = [[1.0, 0.0], [0.7, 0.7], [0.0, 1.0], [-0.7, 0.7], [-1.0, 0.0]]


def arc(start_deg: float, end_deg: float, first: float = 1.0, last: float = 1.0) -> np.ndarray:
    """A line around the head, as somebody draws it: not quite steadily."""
    angle = np.radians(np.linspace(start_deg, end_deg, 40))
    radius = np.linspace(first, last, 40) + 0.02 * np.sin(np.arange(40))
    return np.stack([-radius * np.sin(angle), radius * np.cos(angle)], axis=1)


def line(*points: tuple[float, float]) -> np.ndarray:
    corners = np.array(points)
    at = np.linspace(0, len(points) - 1, 40)
    return np.stack([np.interp(at, range(len(points)), corners[:, axis]) for axis in (0, 1)], axis=1)


ABOVE = [
    (arc(60, -50), "moves from the left to the right"),
    (arc(30, -20), "moves from 30° left to 20° right"),
    (arc(0, -360), "circles around clockwise every 10 seconds"),
    (arc(92, 92 + 450), "circles around counterclockwise every 8 seconds, starting hard left"),
    (line((0.02, 1), (0, -1)), "passes overhead from front to back"),
    (line((-0.8, 0.6), (0.8, 0.55)), "moves from the left to the right"),
    (line((-1, 0), (0.05, 0.1), (1, 0)), "passes overhead from hard left to hard right"),
    (arc(5, 178), "moves from the center via hard left to behind me"),
    (arc(53, 57, 1.5, 0.9), "comes closer on the left"),
    (arc(-90, -91, 1.0, 1.5), "moves away hard right"),
    (arc(30, 31), "30° left"),
]


@pytest.mark.parametrize(("points", "words"), ABOVE, ids=[words for _, words in ABOVE])
def test_a_line_becomes_the_sentence_that_a_person_would_say(points: np.ndarray, words: str) -> None:
    way = way_of_line(points.tolist(), "above", HERE, LENGTH_S)
    assert path_in_words(way) == words
    mirrored = way_of_line((points * [-1, 1]).tolist(), "above", HERE.mirrored(), LENGTH_S)
    assert mirrored == way.mirrored()


def test_from_the_side_a_line_has_height() -> None:
    angle = np.radians(np.linspace(0, 180, 30))
    over = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert path_in_words(way_of_line(over.tolist(), "side", HERE, 5)) == "passes overhead from front to back"
    assert path_in_words(way_of_line(over[:12].tolist(), "side", HERE, 5)).endswith(" to straight ahead 70° up")
    assert way_of_line([(-0.5, 0.86)], "side", HERE, 5) == SpherePath.fixed(SpherePoint(180, 60))


@pytest.mark.parametrize("view", ["above", "side"])
@pytest.mark.parametrize("azimuth_deg", [0, 55, -90, 125, 180])
def test_what_is_drawn_of_a_sentence_is_read_as_that_sentence(view: View, azimuth_deg: float) -> None:
    point = SpherePoint(azimuth_deg)
    for kind in ("clockwise", "overhead", "closer", "away", "from-to"):
        way = way_of_kind(kind, SpherePath.fixed(point))
        if view == "side" and (kind == "clockwise" or azimuth_deg not in (0, 180)):
            continue  # from the side nobody sees left and right
        if kind == "from-to" and (azimuth_deg in (0, 180) or view == "side"):
            continue
        again = way_of_line(drawn(way, view, 8.0).tolist(), view, SpherePath.fixed(point), 8.0)
        assert (kind_of(again), again) == (kind, way)


def test_height_and_spread_that_a_drawing_does_not_show_stay() -> None:
    before = SpherePath.fixed(SpherePoint(20, 30, 3.0, 0.5))
    far = ring_radius(3.0) * np.cos(np.radians(30))
    way = way_of_line(arc(50, -50, far, far).tolist(), "above", before, LENGTH_S)
    assert (way.start.elevation_deg, way.end.distance_m, way.end.spread) == (30, 3.0, 0.5)


def test_radii_order_distances_within_the_drawing() -> None:
    radii = ring_radius(np.array([0.1, 0.25, 1.4, 2.0, 20.0, 40.0, 10_000.0]))
    assert radii[2] == 1
    assert (np.diff(radii[1:-1]) > 0).all()
    assert radii[-1] < 1.7


@pytest.mark.parametrize("points", [[], [(0.0, float("nan"))], [(0.0, 1.0)] * 2001, [(float("inf"), 0.0)]])
def test_what_is_no_line_is_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(InputError, match=r"a line of \d+ points, expected 1 to 2000 of two numbers each"):
        way_of_line(points, "above", HERE, LENGTH_S)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kind": "draw", "line": arc(58, -57).tolist()}, "dog moves from the left to the right, cat right"),
        ({"kind": "draw", "line": OVER, "view": "side"}, "dog passes overhead from front to back, cat"),
        ({"kind": "draw", "line": OVER[:3], "view": "side"}, "dog moves from the center to above me, cat"),
        ({"kind": "way", "way": "clockwise"}, "dog circles around clockwise every 8 seconds, starting on the left"),
        ({"kind": "way", "way": "counterclockwise"}, "dog circles around counterclockwise every 8 seconds"),
        ({"kind": "way", "way": "overhead"}, "dog passes overhead from the left to behind me on the right, cat"),
        ({"kind": "way", "way": "closer"}, "dog comes closer on the left, cat right"),
        ({"kind": "way", "way": "away"}, "dog moves away on the left, cat right"),
        ({"kind": "way", "way": "from-to"}, "dog moves from the left to the right, cat right"),
        ({"kind": "way", "way": "stays"}, "dog on the left, cat right"),
    ],
)
def test_ways_change_the_words_of_one_sound(change: dict[str, object], expected: str) -> None:
    timeline = read_operation({"segment": 0, "object": "dog", **change}).on(
        Timeline.from_prompt("dog on the left, cat right"), 8.0
    )
    assert timeline.segments[0].text.startswith(expected)
    assert timeline.segments[0].clauses[1].azimuth.start_deg == -55


def test_ways_that_are_none_are_refused() -> None:
    timeline = Timeline.from_prompt("dog left")
    for asked, said in (
        ({"kind": "way", "way": "other"}, "cannot be chosen"),
        ({"kind": "way", "way": "jumps"}, "must be one of"),
        ({"kind": "draw", "line": [[1, 2, 3]]}, "line"),
        ({"kind": "draw", "line": []}, "a line of 0 points"),
    ):
        with pytest.raises(InputError, match=said):
            read_operation({"segment": 0, "object": "dog", **asked}).on(timeline, 8.0)
    with pytest.raises(InputError, match="'cat' is not in the prompt"):
        read_operation({"kind": "way", "segment": 0, "object": "cat", "way": "stays"}).on(timeline, 8.0)

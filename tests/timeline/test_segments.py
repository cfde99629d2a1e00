"""Segments and timelines: times, open ends, tracks, and that they survive being written and mirrored."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings

from tas_core.errors import PromptError, TimelineError
from tas_core.timeline.files import format_timeline, parse_timeline
from tas_core.timeline.segments import Segment, Timeline, TimelineWarning, Track
from tests.timeline.conftest import SCENE, one, timelines, times


def test_two_open_segments_with_one_start_overlap() -> None:
    with pytest.raises(TimelineError, match="is open, expected no overlap"):
        Timeline((Segment.from_prompt(1, None, "dog left"), Segment.from_prompt(1, None, "cello left")))


@pytest.mark.parametrize(
    ("start", "end"), [(-1.0, None), (float("nan"), None), (0.0, 0.0), (2.0, 1.0), (0.0, float("inf"))]
)
def test_segment_refuses_impossible_times(start: float, end: float | None) -> None:
    with pytest.raises(TimelineError, match="expected"):
        Segment.from_prompt(start, end, "cello left")


def test_timeline_refuses_no_segments() -> None:
    with pytest.raises(TimelineError, match="at least one"):
        Timeline(())


def test_prompt_becomes_one_open_segment() -> None:
    timeline = Timeline.from_prompt("cello left")
    assert times(timeline) == [(0.0, None)]
    with pytest.raises(PromptError):
        Timeline.from_prompt("cello")


# ------------------------------------------------------------------ closing


def test_open_ends_close_at_the_next_start_or_the_end_of_the_audio() -> None:
    timeline = parse_timeline(
        "prompts:\n- {start: 0, text: cello left}\n- {start: 2, end: 3, text: dog left}\n"
        "- {start: 5, text: cello right}\n"
    )
    assert times(timeline.resolved(7.5)) == [(0.0, 2.0), (2.0, 3.0), (5.0, 7.5)]


def test_an_end_behind_the_audio_is_cut_with_a_warning() -> None:
    timeline = parse_timeline(one("start: 0, end: 10, text: cello left"), "s.yaml")
    with pytest.warns(TimelineWarning, match="^s.yaml:2:5: the segment ends at 10 s"):
        closed = timeline.resolved(9.0)
    assert times(closed) == [(0.0, 9.0)]


def test_an_end_within_one_label_frame_is_cut_quietly() -> None:
    timeline = parse_timeline(one("start: 0, end: 10, text: cello left"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert times(timeline.resolved(9.98)) == [(0.0, 9.98)]


@pytest.mark.parametrize("duration", [3.0, 2.0])
def test_a_start_at_or_behind_the_end_of_the_audio_is_an_error(duration: float) -> None:
    timeline = parse_timeline(one("start: 3, text: cello left"), "s.yaml")
    with pytest.raises(TimelineError, match="^s.yaml:2:5: the segment starts at 3 s"):
        timeline.resolved(duration)
    with pytest.raises(TimelineError, match="^s.yaml:2:5: the segment starts at 3 s"):
        timeline.tracks(np.zeros(1), duration)


@pytest.mark.parametrize("duration", [0.0, -1.0, float("nan"), float("inf")])
def test_audio_without_length_is_refused(duration: float) -> None:
    with pytest.raises(TimelineError, match="expected more than 0 s"):
        Timeline.from_prompt("cello left").resolved(duration)


# ------------------------------------------------------------------ tracks


def test_tracks_follow_the_example() -> None:
    timeline = parse_timeline(SCENE)
    cello, piano, man = timeline.tracks(np.array([0.0, 3.19, 3.2, 5.6, 7.999, 8.0, 9.0]), 10.0)
    assert (cello.object, piano.object, man.object) == ("cello", "piano", "man talking")
    np.testing.assert_array_equal(cello.active, [1, 1, 1, 1, 1, 0, 0])
    np.testing.assert_allclose(cello.azimuth_deg, [55, 55, 55, 0, -55, 0, 0], atol=0.05)
    np.testing.assert_array_equal(piano.azimuth_deg, [-55, -55, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(man.active, [0, 0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(man.azimuth_deg, [0, 0, 0, 0, 0, 30, 30])


def test_without_gaps_segments_meet_halfway() -> None:
    timeline = Timeline(
        (
            Segment.from_prompt(1.0, 2.0, "cello on the left"),
            Segment.from_prompt(2.0, 3.0, "rain moves from the left to the right"),
            Segment.from_prompt(4.0, 5.0, "dog on the right"),
        )
    )
    whole = timeline.without_gaps(7.5)
    assert [(s.start_s, s.end_s) for s in whole.segments] == [(0.0, 2.0), (2.0, 3.5), (3.5, 7.5)]
    assert [s.clauses for s in whole.segments] == [s.clauses for s in timeline.segments]
    assert whole.without_gaps(7.5) == whole
    # Open ends are closed first.
    assert Timeline.from_prompt("cello on the left").without_gaps(3.0).segments[0].end_s == 3.0
    with pytest.raises(TimelineError, match="starts at 4 s"):
        timeline.without_gaps(3.5)


def test_uncovered_time_has_no_active_track() -> None:
    timeline = parse_timeline(one("start: 1, end: 2, text: cello left"))
    (cello,) = timeline.tracks(np.array([0.0, 0.99, 1.0, 1.99, 2.0, 3.0]), 3.0)
    np.testing.assert_array_equal(cello.active, [0, 0, 1, 1, 0, 0])
    np.testing.assert_array_equal(cello.azimuth_deg, [0, 0, 55, 55, 0, 0])


def test_times_outside_the_audio_take_its_ends() -> None:
    (car,) = Timeline.from_prompt("car from left to right").tracks(np.array([-1.0, 0.0, 4.0, 9.0]), 4.0)
    assert car.active.all()
    np.testing.assert_allclose(car.azimuth_deg, [55, 55, -55, -55])


def test_movement_takes_the_whole_segment_also_when_the_end_is_open() -> None:
    timeline = parse_timeline(one("start: 2, text: car moves from 80 degrees left to 80 degrees right"))
    (car,) = timeline.tracks(np.array([2.0, 4.0, 6.0]), 10.0)
    np.testing.assert_allclose(car.azimuth_deg, [80, 40, 0])


# ------------------------------------------------------------------ round trips


@settings(max_examples=60, deadline=None)
@given(timelines())
def test_written_timelines_are_read_back(timeline: Timeline) -> None:
    assert parse_timeline(format_timeline(timeline, "scene.yaml")) == timeline


@settings(max_examples=40, deadline=None)
@given(timelines())
def test_mirrored_timeline_has_opposite_tracks_and_text(timeline: Timeline) -> None:
    mirrored = timeline.mirrored()
    assert parse_timeline(format_timeline(mirrored, "scene.yaml")) == mirrored
    assert [s.clauses for s in mirrored.mirrored().segments] == [s.clauses for s in timeline.segments]
    times_s = np.linspace(0, 1.1e5, 57)
    for track, opposite in zip(timeline.tracks(times_s, 1.1e5), mirrored.tracks(times_s, 1.1e5), strict=True):
        assert track.object == opposite.object
        np.testing.assert_array_equal(track.active, opposite.active)
        np.testing.assert_array_equal(track.azimuth_deg, -opposite.azimuth_deg)
        assert not track.azimuth_deg[~track.active].any()


# ------------------------------------------------------------------ parts


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"),
    [
        (0.0, 9.0, [0, 1, 2]),
        (0.5, 0.5, []),  # equal times are a moment; this one is before anything holds
        (1.0, 1.0, [0]),  # a start belongs to its segment
        (2.0, 2.0, [1]),  # and an end does not
        (3.0, 4.0, []),  # the gap, up to the third segment's start
        (3.0, 4.1, [2]),
        (1.5, 2.5, [0, 1]),
        (5.0, 9.0, []),
    ],
)
def test_overlapping_segments(start_s: float, end_s: float, expected: list[int]) -> None:
    spans = [(1.0, 2.0), (2.0, 3.0), (4.0, 5.0)]
    timeline = Timeline(tuple(Segment.from_prompt(a, b, "cello left") for a, b in spans))
    found = timeline.overlapping(start_s, end_s)
    assert times(found) == [spans[i] for i in expected] if expected else found is None


# ------------------------------------------------------------------ transitions


def track(timeline: Timeline, name: str, times_s: Sequence[float], transition_s: float, end_s: float = 11.0) -> Track:
    found = timeline.tracks(np.array(times_s), end_s, transition_s=transition_s)
    return next(each for each in found if each.object == name)

"""Transitions: how places glide around borders between segments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tas_core.timeline.segments import Segment, Timeline, Track
from tests.timeline.conftest import timelines

THROW = Timeline(
    (
        Segment.from_prompt(1.0, 3.0, "cello hard left, piano 40 degrees to the left"),
        Segment.from_prompt(3.0, 5.0, "cello hard right; drums 30 degrees to the right; piano 40 degrees to the left"),
        Segment.from_prompt(7.0, None, "the cello moves from the center to 80 degrees left"),
    )
)


def track(timeline: Timeline, name: str, times_s: Sequence[float], transition_s: float, end_s: float = 11.0) -> Track:
    found = timeline.tracks(np.array(times_s), end_s, transition_s=transition_s)
    return next(each for each in found if each.object == name)


def test_a_place_glides_around_a_border() -> None:
    cello = track(THROW, "cello", [2.0, 2.6, 2.8, 3.0, 3.2, 3.4, 4.0], 0.8)
    np.testing.assert_allclose(cello.azimuth_deg, [90, 90, 45, 0, -45, -90, -90], atol=1e-9)
    assert cello.active.all()


def test_what_is_named_on_one_side_only_comes_from_the_center_and_goes_back_there() -> None:
    times_s = [0.5, 0.7, 1.0, 1.3, 4.7, 4.85, 5.0, 5.15, 5.3]
    cello = track(THROW, "cello", times_s, 0.6)
    np.testing.assert_allclose(cello.azimuth_deg, [0, 0, 45, 90, -90, -67.5, -45, -22.5, 0], atol=1e-9)
    # At 0.7 s and 5.3 s it is in the center and as good as named.
    np.testing.assert_array_equal(cello.active, [0, 1, 1, 1, 1, 1, 1, 1, 0])
    drums = track(THROW, "drums", [2.69, 2.7, 2.85, 3.0, 3.3], 0.6)
    np.testing.assert_allclose(drums.azimuth_deg, [0, 0, -7.5, -15, -30], atol=1e-9)
    np.testing.assert_array_equal(drums.active, [0, 1, 1, 1, 1])


def test_what_is_at_the_border_where_it_goes_on_from_stays_untouched() -> None:
    times_s = np.linspace(0, 10.9, 1001)
    plain, glided = (track(THROW, "piano", times_s, s) for s in (0.0, 1.0))
    inside = (times_s > 1.6) & (times_s < 4.4)
    np.testing.assert_array_equal(glided.azimuth_deg[inside], plain.azimuth_deg[inside])
    # The cello begins its movement in the center, where it was before it was named.
    cello = track(THROW, "cello", [6.6, 6.99, 7.0, 7.5], 1.0)
    np.testing.assert_allclose(cello.azimuth_deg, [0, 0, 0, 10])
    np.testing.assert_array_equal(cello.active, [0, 0, 1, 1])


def test_a_glide_goes_on_from_where_a_movement_has_come_to() -> None:
    timeline = Timeline(
        (
            Segment.from_prompt(0.0, 4.0, "cello moves from the center to 80 degrees left"),
            Segment.from_prompt(4.0, 8.0, "cello moves from 40 degrees right to the center"),
        )
    )
    # From 70 degrees, at 3.5 s, to -35, at 4.5 s.
    cello = track(timeline, "cello", [3.0, 3.5, 4.0, 4.25, 4.5, 6.0], 1.0, 8.0)
    np.testing.assert_allclose(cello.azimuth_deg, [60, 70, 17.5, -8.75, -35, -20], atol=1e-9)


def test_a_short_segment_is_at_its_own_place_in_its_middle() -> None:
    timeline = Timeline(
        (
            Segment.from_prompt(0.0, 2.0, "cello hard left"),
            Segment.from_prompt(2.0, 2.1, "cello hard right"),
            Segment.from_prompt(2.1, 2.15, "cello 60 degrees to the left"),
            Segment.from_prompt(2.25, 5.0, "cello hard left"),
        )
    )
    # Glides are as long as the shorter side: 0.1 s, 0.05 s, 0.05 s into the gap, 0.1 s out of it.
    times_s = [1.94, 1.95, 2.0, 2.05, 2.075, 2.1, 2.125, 2.15, 2.175, 2.2, 2.25, 2.3]
    cello = track(timeline, "cello", times_s, 3.0, 6.0)
    np.testing.assert_allclose(cello.azimuth_deg, [90, 90, 0, -90, -90, -15, 60, 30, 0, 0, 45, 90], atol=1e-6)


def test_the_ends_of_the_audio_are_no_borders() -> None:
    for timeline in (Timeline.from_prompt("cello hard left"), Timeline.from_prompt("cello from left to right")):
        times_s = np.linspace(0, 3, 50)
        for plain, glided in zip(
            timeline.tracks(times_s, 3.0), timeline.tracks(times_s, 3.0, transition_s=2.0), strict=True
        ):
            np.testing.assert_array_equal(plain.azimuth_deg, glided.azimuth_deg)
            np.testing.assert_array_equal(plain.active, glided.active)


def test_gaps_that_are_rounding_are_no_gaps() -> None:
    parts = (Segment.from_prompt(0.0, 0.1 + 0.2, "cello left"), Segment.from_prompt(0.3 + 1e-9, 1.0, "cello left"))
    cello = track(Timeline(parts), "cello", [0.2, 0.29, 0.31, 0.4], 0.2, 1.0)
    np.testing.assert_array_equal(cello.azimuth_deg, 55)


@settings(max_examples=60, deadline=None)
@given(timelines(), st.floats(0, 2e5))
def test_mirrored_timelines_have_opposite_glides(timeline: Timeline, transition_s: float) -> None:
    times_s = np.linspace(0, 1.1e5, 57)
    pairs = (each.tracks(times_s, 1.1e5, transition_s=transition_s) for each in (timeline, timeline.mirrored()))
    for one_way, other in zip(*pairs, strict=True):
        np.testing.assert_array_equal(one_way.active, other.active)
        np.testing.assert_array_equal(one_way.azimuth_deg, -other.azimuth_deg)
        assert not one_way.azimuth_deg[~one_way.active].any()


@settings(max_examples=100, deadline=None)
@given(timelines(), st.floats(0, 1e5), st.floats(0, 1.1e5, exclude_max=True), st.floats(0, 3e4))
def test_a_part_of_a_timeline_has_the_glides_of_the_whole(
    timeline: Timeline, transition_s: float, start_s: float, length_s: float
) -> None:
    """Moments are compared that are not within rounding of where a glide begins or ends.

    A part that begins at the very end of the audio is empty, while tracks take its moments for the last before it.
    """
    whole = timeline.resolved(1.1e5)
    times_s = np.linspace(start_s, min(start_s + length_s, 1.1e5), 40)
    part = whole.overlapping(times_s[0], times_s[-1] + 1e-9, transition_s=transition_s)
    found = {t.object: t for t in part.tracks(times_s, 1.1e5, transition_s=transition_s)} if part else {}
    for expected in whole.tracks(times_s, 1.1e5, transition_s=transition_s):
        if expected.object not in found:
            assert not expected.active.any()
            continue
        np.testing.assert_array_equal(found[expected.object].active, expected.active)
        np.testing.assert_allclose(found[expected.object].azimuth_deg, expected.azimuth_deg, rtol=0, atol=1e-9)

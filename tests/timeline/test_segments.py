"""Timelines: reading, writing, refusing, and the tracks that they describe."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tas_core.errors import PromptError, TimelineError
from tas_core.timeline.files import format_timeline, load_timeline, parse_timeline
from tas_core.timeline.segments import Segment, Timeline, TimelineWarning, Track

SCENE = """\
# scene.yaml
prompts:
  - {start: 0.0,   end: 3.2, text: "cello on the left, piano on the right"}
  - {start: 3.2,   end: 8.0, text: "the cello moves from the left to the right; a piano in the center"}
  - {start: "0:08", text: "a man talking 30 degrees to the left"}
"""


def times(timeline: Timeline) -> list[tuple[float, float | None]]:
    return [(segment.start_s, segment.end_s) for segment in timeline.segments]


def one(fields: str) -> str:
    return f"prompts:\n  - {{{fields}}}\n"


def test_the_example_is_read() -> None:
    timeline = parse_timeline(SCENE)
    assert times(timeline) == [(0.0, 3.2), (3.2, 8.0), (8.0, None)]
    assert [[c.object for c in s.clauses] for s in timeline.segments] == [
        ["cello", "piano"],
        ["cello", "piano"],
        ["man talking"],
    ]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("8", 8.0),
        ("8.25", 8.25),
        ('"08"', 8.0),
        ("1:30", 90.0),  # YAML 1.1 agrees by accident
        ("01:30.5", 90.5),
        ("1:00:00", 3600.0),  # and here
        ("0:01:30.125", 90.125),
        ("'90:00'", 5400.0),
        ("010", 10.0),  # YAML 1.1: octal 8
        ("0.5", 0.5),
        ("7.", 7.0),
    ],
)
def test_times_mean_what_people_mean(written: str, seconds: float) -> None:
    timeline = parse_timeline(one(f"start: {written}, text: cello left"))
    assert times(timeline) == [(seconds, None)]


def test_scalars_stay_text() -> None:
    timeline = parse_timeline("prompts:\n  - start: 0\n    end:\n    text: no on the left\n")
    assert timeline.segments[0].clauses[0].object == "no"
    assert timeline.segments[0].end_s is None


def test_folded_text_and_disordered_segments_are_accepted() -> None:
    timeline = parse_timeline(
        "prompts:\n- start: 4\n  text: >\n    cello on the left,\n    piano right\n- {start: 0, text: dog left}\n"
    )
    assert times(timeline) == [(0.0, None), (4.0, None)]
    assert [c.object for c in timeline.segments[1].clauses] == ["cello", "piano"]


REFUSED = [
    # document, line:column, part of the message
    ("", "", "empty"),
    ("# nothing\n", "", "empty"),
    ("- a\n", "1:1", "found a list, expected `prompts:`"),
    ("hello\n", "1:1", "found text, expected `prompts:`"),
    ("promts: []\n", "1:1", "did you mean `prompts`?"),
    ("{}\n", "1:1", "`prompts:` is missing"),
    ("prompts: []\n", "1:10", "at least one segment"),
    ("prompts: 3\n", "1:10", "not a list"),
    ("prompts: {start: 0}\n", "1:10", "not a list"),
    ("prompts: [cello left]\n", "1:11", "expected a segment such as"),
    ("prompts:\n  - {start: 0, txt: cello left}\n", "2:16", "did you mean `text`?"),
    ("prompts:\n  - {start: 0, volume: 3, text: cello left}\n", "2:16", "expected start, end, text"),
    ("prompts:\n  - {start: 0, start: 1, text: cello left}\n", "2:16", "twice"),
    ("prompts: []\nprompts: []\n", "2:1", "twice"),
    ("prompts:\n  - {start: 0, [a]: 1, text: cello left}\n", "2:16", "unknown key"),
    ("prompts:\n  - {text: cello left}\n", "2:5", "`start` is missing"),
    ("prompts:\n  - {start: 0}\n", "2:5", "`text` is missing"),
    ("prompts:\n  - {start: 0, text: }\n", "2:21", "empty"),
    ("prompts:\n  - {start: 0, text: [cello left]}\n", "2:22", "not text"),
    ("prompts:\n  - {start: -1, text: cello left}\n", "2:13", '"-1"'),
    ("prompts:\n  - {start: .nan, text: cello left}\n", "2:13", '".nan"'),
    ("prompts:\n  - {start: .inf, text: cello left}\n", "2:13", '".inf"'),
    ("prompts:\n  - {start: nan, text: cello left}\n", "2:13", '"nan"'),
    ("prompts:\n  - {start: 1e400, text: cello left}\n", "2:13", "expected seconds"),
    (f"prompts:\n  - {{start: {'9' * 400}, text: cello left}}\n", "2:13", "expected seconds"),
    ("prompts:\n  - {start: 0:90, text: cello left}\n", "2:13", "MM:SS"),
    ("prompts:\n  - {start: '1:60:00', text: cello left}\n", "2:13", "MM:SS"),
    ("prompts:\n  - {start: soon, text: cello left}\n", "2:13", '"soon"'),
    ("prompts:\n  - {start: , text: cello left}\n", "2:12", "not a time"),
    ("prompts:\n  - {start: [1], text: cello left}\n", "2:13", "not a time"),
    ("prompts:\n  - {start: 2, end: 2, text: cello left}\n", "2:21", "after the start at 2 s"),
    ("prompts:\n  - {start: 2, end: 0:01, text: cello left}\n", "2:21", "after the start at 2 s"),
    ("prompts:\n  - &a {start: 0, text: cello left}\n", "2:5", "anchors and aliases"),
    ("prompts: *a\n", "1:10", "anchors and aliases"),
    ("prompts: !!python/object:os.system []\n", "1:10", "tags"),
    ("prompts: [[[[[[]]]]]]\n", "1:15", "lists within lists"),
    ("prompts: [\n", "2:1", "expected plain YAML"),
    ("prompts:\n\t- a\n", "2:1", "expected plain YAML"),
    ("a: 1\n---\nb: 2\n", "2:1", "expected plain YAML"),
    ("prompts: \x07\n", "1:10", "does not allow"),
]


@pytest.mark.parametrize(("document", "where", "what"), REFUSED, ids=[repr(r[0][:60]) for r in REFUSED])
def test_refusal_names_file_line_and_column(document: str, where: str, what: str) -> None:
    with pytest.raises(TimelineError) as caught:
        parse_timeline(document, "scene.yaml")
    message = str(caught.value)
    assert message.startswith(f"scene.yaml:{where}:" if where else "scene.yaml:")
    assert what in message
    assert "\n" not in message


def test_prompt_error_has_the_position_of_the_text_and_the_caret() -> None:
    with pytest.raises(TimelineError) as caught:
        parse_timeline("prompts:\n  - start: 0\n    text: cello left, dog behind me\n", "scene.yaml")
    first, shown, caret, *_ = str(caught.value).split("\n")
    assert first.startswith("scene.yaml:3:11: places behind the listener")
    assert shown[caret.index("^") : caret.rindex("^") + 1] == "behind"


@pytest.mark.parametrize("end", ["end: 5, ", ""])
def test_overlap_names_both_lines(end: str) -> None:
    document = (
        f"prompts:\n  - {{start: 4, end: 6, text: dog left}}\n  - {{start: 4, {end}text: cello left}}\n"
        if not end
        else f"prompts:\n  - {{start: 4, end: 6, text: dog left}}\n  - {{start: 0, {end}text: cello left}}\n"
    )
    with pytest.raises(TimelineError, match="expected no overlap") as caught:
        parse_timeline(document, "s.yaml")
    assert "s.yaml:2:5" in str(caught.value)
    assert "s.yaml:3:5" in str(caught.value)


def test_two_open_segments_with_one_start_overlap() -> None:
    with pytest.raises(TimelineError, match="is open, expected no overlap"):
        Timeline((Segment.from_prompt(1, None, "dog left"), Segment.from_prompt(1, None, "cello left")))


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("missing.yaml", None, "No such file"),
        ("latin.yaml", b"prompts:\n - \xe9\n", "latin.yaml:2:4: not a UTF-8 character"),
        ("huge.yaml", b"#" * 1_000_001, "more than 1000000 bytes"),
    ],
)
def test_load_refuses_a_file(tmp_path: Path, name: str, content: bytes | None, what: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TimelineError, match=name) as caught:
        load_timeline(path)
    assert what in str(caught.value)


def test_load_refuses_a_folder_and_a_name_that_cannot_be(tmp_path: Path) -> None:
    folder = tmp_path / "folder.yaml"
    folder.mkdir()
    with pytest.raises(TimelineError, match="Is a directory"):
        load_timeline(folder)
    with pytest.raises(TimelineError, match="null"):
        load_timeline("a\0b.yaml")


def test_load_reads_windows_files(tmp_path: Path) -> None:
    path = tmp_path / "scene.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SCENE.replace("\n", "\r\n").encode())
    assert load_timeline(path) == parse_timeline(SCENE)


def test_deep_nesting_and_long_files_end_quickly() -> None:
    with pytest.raises(TimelineError, match="lists within lists"):
        parse_timeline("[" * 900_000)
    with pytest.raises(TimelineError, match="more than"):
        parse_timeline("#" * 1_000_001)


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

PROMPTS = (
    "cello on the left",
    "cello moves from left to right; “piano: no” 12.5° right",
    "dog at 10:30\npiano in the center",
    "\N{VIOLIN} # far left, 'é' & \\n hard right",
)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    edges = sorted(draw(st.lists(st.floats(0, 1e5), min_size=2, max_size=8, unique=True)))
    segments = []
    for start, end in zip(edges, edges[1:], strict=False):
        if draw(st.booleans()):
            open_end = draw(st.booleans())
            segments.append(Segment.from_prompt(start, None if open_end else end, draw(st.sampled_from(PROMPTS))))
    return Timeline(tuple(segments or [Segment.from_prompt(edges[0], None, PROMPTS[0])]))


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


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="prompts:stardex[]{}-,'\"&*!|>#\n 0123456789", max_size=60))
def test_any_document_is_read_or_refused(document: str) -> None:
    try:
        parse_timeline(document)
    except TimelineError:
        return


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

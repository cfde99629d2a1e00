"""Cues and labels that overlap: what is joined, what is merged, and that it is said."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from tas_core.errors import TimelineError
from tas_core.timeline.doubts import timeline_doubts
from tas_core.timeline.files import convert_timeline, format_timeline, load_timeline, parse_timeline
from tas_core.timeline.formats.subtitles import cue_time
from tas_core.timeline.segments import Timeline
from tests.timeline.conftest import LEFT, RIGHT, spans

Entries = list[tuple[float, float, str]]
NAMES = ("a.srt", "a.vtt", "a.txt")


def _written(entries: Entries, name: str) -> Timeline:
    if name == "a.txt":
        return parse_timeline("".join(f"{start}\t{end}\t{text}\n" for start, end, text in entries), name)
    times = ((round(1000 * start), round(1000 * end), text) for start, end, text in entries)
    cues = (f"{cue_time(start)} --> {cue_time(end)}\n{text}\n" for start, end, text in times)
    return parse_timeline("WEBVTT\n\n" * (name == "a.vtt") + "\n".join(cues), name)


BOTH = f"{LEFT}\n{RIGHT}"
READ: dict[str, tuple[Entries, Entries]] = {
    "1 ms": ([(0, 2.001, LEFT), (2, 4, RIGHT)], [(0, 2, LEFT), (2, 4, RIGHT)]),
    "50 ms": ([(1, 1.1, LEFT), (1.05, 4, RIGHT)], [(1, 1.05, LEFT), (1.05, 4, RIGHT)]),
    "51 ms": ([(0, 2.051, LEFT), (2, 4, RIGHT)], [(0, 2, LEFT), (2, 2.051, BOTH), (2.051, 4, RIGHT)]),
    "same times": ([(0, 2, LEFT), (0, 2, RIGHT)], [(0, 2, BOTH)]),
    "same times, short": ([(0, 0.04, LEFT), (0, 0.04, RIGHT)], [(0, 0.04, BOTH)]),
    "partly": ([(0, 3, LEFT), (2, 5, RIGHT)], [(0, 2, LEFT), (2, 3, BOTH), (3, 5, RIGHT)]),
    "same start": ([(0, 3, LEFT), (0, 5, RIGHT)], [(0, 3, BOTH), (3, 5, RIGHT)]),
    "within": ([(0, 5, LEFT), (2, 3, RIGHT)], [(0, 2, LEFT), (2, 3, BOTH), (3, 5, LEFT)]),
    "within, short": ([(0, 5, LEFT), (2, 2.04, RIGHT)], [(0, 2, LEFT), (2, 2.04, BOTH), (2.04, 5, LEFT)]),
    "same words": ([(0, 3, LEFT), (2, 5, LEFT)], [(0, 2, LEFT), (2, 3, LEFT), (3, 5, LEFT)]),
    "across a join": (
        [(0, 5.02, LEFT), (1, 2, RIGHT), (5, 6, RIGHT)],
        [(0, 1, LEFT), (1, 2, BOTH), (2, 5, LEFT), (5, 6, RIGHT)],
    ),
    "three": (
        [(0, 4, LEFT), (1, 3, RIGHT), (2, 5, "dog left")],
        [(0, 1, LEFT), (1, 2, BOTH), (2, 3, f"{BOTH}\ndog left"), (3, 4, f"{LEFT}\ndog left"), (4, 5, "dog left")],
    ),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", READ)
def test_what_overlaps_is_joined_or_merged(name: str, case: str) -> None:
    written, expected = READ[case]
    timeline = _written(written, name)
    assert spans(timeline) == expected
    said = timeline_doubts(timeline)
    assert any("it ends where this begins" in note for note in said) == (case in ("1 ms", "50 ms", "across a join"))
    assert any("they are read as one" in note for note in said) == (case not in ("1 ms", "50 ms"))
    assert all(note.startswith(f"{name}:") for note in said)


def test_what_meets_or_lies_apart_is_left_alone() -> None:
    timeline = _written([(0, 2, LEFT), (2, 3, RIGHT), (3.04, 4, LEFT)], "a.srt")
    assert spans(timeline) == [(0, 2, LEFT), (2, 3, RIGHT), (3.04, 4, LEFT)]
    assert timeline_doubts(timeline) == ()


def test_notes_name_the_place_the_length_and_how_many() -> None:
    entries: Entries = [(n, n + 1.02, f"cello {n + 1} on the left") for n in range(4)]
    (said,) = timeline_doubts(_written(entries, "a.srt"))
    assert said == (
        "a.srt:4:1: the one before (a.srt:1:1) overlaps by 20 ms; it ends where this begins; so at 2 more places"
    )
    (said,) = timeline_doubts(_written([(0, 2, LEFT), (0.5, 2, RIGHT)], "a.srt"))
    assert said == "a.srt:4:1: several prompts hold at once, from 0.5 s to 2 s; they are read as one"


def test_a_movement_goes_on_through_the_pieces() -> None:
    """The car passes the center after half of its 4 s, where the dog begins."""
    timeline = _written([(0, 4, "car moves from left to right"), (2, 6, "dog on the left")], "a.srt")
    paths = [{c.object: (c.azimuth.start_deg, c.azimuth.end_deg) for c in s.clauses} for s in timeline.segments]
    assert paths == [{"car": (55, 0)}, {"car": (0, -55), "dog": (55, 55)}, {"dog": (55, 55)}]
    assert parse_timeline(format_timeline(timeline, "b.vtt"), "b.vtt") == timeline


def test_prompts_that_mean_another_thing_together_are_written_in_degrees() -> None:
    timeline = _written([(0, 1, "Geige links"), (0, 1, "cello on the right")], "a.srt")
    assert spans(timeline) == [(0, 1, "violin at 55 degrees left, cello at 55 degrees right")]


def test_one_sound_in_two_places_at_once_is_refused() -> None:
    with pytest.raises(TimelineError, match=r"^a.srt:4:1: \"cello\" is put in another place .*\(a.srt:1:1\), from 1 s"):
        _written([(0, 2, "cello on the left"), (1, 3, "cello on the right")], "a.srt")


def test_a_movement_to_the_end_of_the_audio_cannot_be_cut() -> None:
    labels = "0\t0\tcar moves from left to right\n0\t2\tdog left\n"
    with pytest.raises(TimelineError, match="a movement without an end of its own overlaps with another prompt"):
        parse_timeline(labels, "a.txt")


def test_open_ends_at_once_stay_open() -> None:
    timeline = parse_timeline(f"1\t1\t{LEFT}\n1\t1\t{RIGHT}\n", "a.txt")
    assert spans(timeline) == [(1, None, BOTH)]


def test_long_files_are_read_quickly() -> None:
    entries: Entries = [(n, n + 1.02, f"{LEFT if n % 2 else RIGHT}") for n in range(5000)]
    assert len(_written(entries, "a.txt").segments) == 5000


def test_converting_says_what_was_joined(tmp_path: Path) -> None:
    source, out = tmp_path / "a.srt", tmp_path / "b.yaml"
    source.write_text(format_timeline(_written([(0, 2, LEFT), (2, 4, RIGHT)], "a.txt"), source))
    source.write_text(source.read_text().replace("--> 00:00:02,000", "--> 00:00:02,040"))
    with pytest.warns(UserWarning, match=r"a.srt:6:1: the one before .* overlaps by 40 ms"):
        convert_timeline(source, out)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert spans(load_timeline(out)) == [(0, 2, LEFT), (2, 4, RIGHT)]


def test_in_yaml_an_overlap_is_a_slip_of_a_number() -> None:
    scene = f"prompts:\n- {{start: 1, end: 3.2, text: {LEFT}}}\n- {{start: 3.199, text: {RIGHT}}}\n"
    with pytest.raises(TimelineError, match=r"^a.yaml:3:3: .*\(a.yaml:2:3\).* expected no overlap"):
        parse_timeline(scene, "a.yaml")

"""Timelines from one format to another: every format reads what it writes, and nothing is lost on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tas_core.errors import InputError, TimelineError
from tas_core.timeline.files import EXTENSIONS, convert_timeline, format_timeline, load_timeline, parse_timeline
from tas_core.timeline.formats.lines import prompt_lines
from tas_core.timeline.segments import Segment, Timeline

LEFT, RIGHT = "cello on the left", "piano on the right"


AWKWARD = (
    LEFT,
    "cello moves from left to right; “piano: no” 12.5° right",
    "dog at 10:30\npiano in the center",
    "bass,\n  drums\ton the right;\n\ntabla 30 degrees left.\n",
    '"drum\nbass, <i>\n" left, piano right',
    "\N{VIOLIN} # far left, 'é' & \\n hard right",
    '"♪ violin ♪" on the left',
    '"R&amp;B" on the left --> "<b>dog</b> {\\an8}" on the right',
    'dog --> on the left,\n"00:00:01,000 --> 2 cats" on the right',
    '\\\t"3" left',
    "a\r\x0b\u2028b left, <br> &c right",
    "WEBVTT left\nNOTE right",
)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Segments of at least 2 ms, with gaps and open ends, at times that no format has as grid points."""
    lengths = st.floats(0.002, 2e4)
    now = draw(st.floats(0, 2e4))
    segments = []
    for _ in range(draw(st.integers(1, 6))):
        length = draw(lengths)
        end = draw(st.sampled_from([None, now + length]))
        segments.append(Segment.from_prompt(now, end, draw(st.sampled_from(AWKWARD))))
        now += length + draw(st.sampled_from([0.0, 0.0, 0.002, 7.0]))
    return Timeline(tuple(segments))


def write_and_read(timeline: Timeline, folder: Path, extension: str) -> Timeline:
    path = folder / f"scene{extension}"
    path.write_bytes(format_timeline(timeline, path).encode())
    return load_timeline(path)


@pytest.mark.parametrize("extension", EXTENSIONS)
@settings(max_examples=80, deadline=None)
@given(timeline=timelines())
def test_every_format_reads_what_it_writes(
    tmp_path_factory: pytest.TempPathFactory, timeline: Timeline, extension: str
) -> None:
    again = write_and_read(timeline, tmp_path_factory.getbasetemp(), extension)
    expected, found = timeline.resolved(2e5).segments, again.resolved(2e5).segments
    assert len(found) == len(expected)
    assert (again.segments[-1].end_s is None) == (timeline.segments[-1].end_s is None)
    for a, b in zip(expected, found, strict=True):
        # Half a step of the grid, and the rounding of numbers near 1e5.
        tolerance = 0 if extension in (".yaml", ".yml") else 0.5e-6 if extension == ".txt" else 0.5e-3
        assert abs(a.start_s - b.start_s) <= tolerance + 1e-10
        assert a.end_s is not None
        assert b.end_s is not None
        assert abs(a.end_s - b.end_s) <= tolerance + 1e-10
        assert b.clauses == a.clauses
        if extension != ".txt":
            assert prompt_lines(b.text) == prompt_lines(a.text)
        else:
            assert "".join(b.text.split()) in ("".join(a.text.split()), one_line(a.text))


def one_line(text: str) -> str:
    """The text without white space, line breaks as semicolons where no comma or semicolon stands before."""
    joined = ""
    for line in prompt_lines(text):
        joined += ("" if not joined or joined[-1] in ",;" else ";") + "".join(line.split())
    return joined


@pytest.mark.parametrize("source", EXTENSIONS)
@pytest.mark.parametrize("target", EXTENSIONS)
def test_there_and_back_changes_nothing(tmp_path: Path, source: str, target: str) -> None:
    """For times on the coarsest grid and ends that all formats can say."""
    timeline = Timeline(
        (
            Segment.from_prompt(0.001, 1.5, LEFT),
            Segment.from_prompt(1.5, 3600.125, f'{RIGHT}; R&B, "<3" and {{x}} left'),
            Segment.from_prompt(4000.007, None, LEFT),
        )
    )
    first, second, third = tmp_path / f"a{source}", tmp_path / f"b{target}", tmp_path / f"c{source}"
    first.write_bytes(format_timeline(timeline, first).encode())
    assert convert_timeline(first, second) == timeline
    assert convert_timeline(second, third) == timeline
    assert third.read_bytes() == first.read_bytes()


def test_written_subtitles_are_what_players_expect() -> None:
    timeline = Timeline(
        (
            Segment.from_prompt(0, None, f"{LEFT}\n{RIGHT}"),
            Segment.from_prompt(3661.5, None, "R&B <3 left"),
        )
    )
    assert format_timeline(timeline, "a.srt") == (
        f"1\n00:00:00,000 --> 01:01:01,500\n{LEFT}\n{RIGHT}\n\n2\n01:01:01,500 --> 99:59:59,999\nR&B <3 left\n"
    )
    assert format_timeline(timeline, "a.vtt") == (
        f"WEBVTT\n\n00:00:00.000 --> 01:01:01.500\n{LEFT}\n{RIGHT}\n"
        "\n01:01:01.500 --> 99:59:59.999\nR&amp;B &lt;3 left\n"
    )
    assert format_timeline(timeline, "a.txt") == (
        f"0.000000\t0.000000\t{LEFT}; {RIGHT}\n3661.500000\t3661.500000\tR&B <3 left\n"
    )


@pytest.mark.parametrize(("extension", "step"), [(".srt", 1e-3), (".vtt", 1e-3), (".txt", 1e-6)])
def test_what_is_shorter_than_a_step_is_refused(extension: str, step: float) -> None:
    document = f"prompts:\n- {{start: 1, end: {1 + 0.4 * step:.9f}, text: {LEFT}}}\n"
    timeline = parse_timeline(document, "a.yaml")
    with pytest.raises(TimelineError, match=r"a\.yaml:2:3: the segment at 1 s lasts less than a step"):
        format_timeline(timeline, f"b{extension}")


@pytest.mark.parametrize("end", [None, 360_001.0])
def test_subtitles_refuse_hundred_hours(end: float | None) -> None:
    timeline = Timeline((Segment.from_prompt(360_000.0, end, LEFT),))
    with pytest.raises(TimelineError, match="100 hours"):
        format_timeline(timeline, "a.srt")


# ------------------------------------------------------------------ conversion of files


def test_conversion_writes_nothing_where_it_must_not(tmp_path: Path) -> None:
    source, out = tmp_path / "a.srt", tmp_path / "b.vtt"
    source.write_text(f"00:00:00,000 --> 00:00:01,000\n{LEFT}\n")
    out.write_text("mine")
    with pytest.raises(InputError, match="the file exists"):
        convert_timeline(source, out)
    with pytest.raises(InputError, match="the output is the input"):
        convert_timeline(source, source, overwrite=True)
    source.write_text("nonsense")
    with pytest.raises(InputError, match="text outside of a cue"):
        convert_timeline(source, out, overwrite=True)
    assert out.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.srt", "b.vtt"]

"""Timelines in files: what subtitles and label tracks mean, what is refused, and that conversions lose nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tas_core.errors import InputError, TimelineError
from tas_core.timeline.files import format_timeline, load_timeline
from tas_core.timeline.prompts import parse_prompt
from tas_core.timeline.segments import Timeline

Load = Callable[[str, str | bytes], Timeline]
Spans = list[tuple[float, float | None, str]]

LEFT, RIGHT = "cello on the left", "piano on the right"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Reads content under a file name."""

    def read(name: str, content: str | bytes) -> Timeline:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return load_timeline(path)

    return read


def spans(timeline: Timeline) -> Spans:
    return [(segment.start_s, segment.end_s, segment.text) for segment in timeline.segments]


# ------------------------------------------------------------------ subtitles

SRT = f"""\
1
00:00:01,000 --> 00:00:03,200
{LEFT}

2
00:00:03,200 --> 01:02:03,004
{RIGHT}
"""
SRT_SPANS: Spans = [(1.0, 3.2, LEFT), (3.2, 3723.004, RIGHT)]

VTT = f"""\
WEBVTT - a title
Kind: captions

STYLE
::cue {{ color: lime }}

REGION
id:bottom

NOTE one line

first
00:01.000 --> 00:03.200 align:start position:10%,line-left
<v Somebody>{LEFT}</v>

NOTE
several lines
of it

00:00:03.200 --> 01:02:03.004
<c.loud.red>{RIGHT}</c>
"""


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(SRT, id="plain"),
        pytest.param(b"\xef\xbb\xbf" + SRT.encode(), id="byte order mark"),
        pytest.param(SRT.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(SRT.replace("\n", "\r"), id="CR"),
        pytest.param(SRT.rstrip(), id="no final newline"),
        pytest.param("\n\n" + SRT.replace("\n\n", "\n\n \n\t\n") + "\n\n", id="many blank lines"),
        pytest.param(SRT.replace("\n\n", "\n"), id="no blank line"),
        pytest.param(SRT.replace("1\n00", "00", 1).replace("\n2\n", "\n"), id="no numbers"),
        pytest.param(SRT.replace("1\n", "0001\n", 1).replace("\n2\n", "\nnext one\n"), id="odd numbers"),
        pytest.param(SRT.replace(",", "."), id="points"),
        pytest.param(SRT.replace(" --> ", "-->"), id="no white space"),
        pytest.param(SRT.replace(",200\n", ",200  X1:40 X2:600 Y1:20 Y2:50\n"), id="coordinates"),
        pytest.param(SRT.replace(LEFT, f'<font color="#fff"><i>{LEFT}</I></font>'), id="tags"),
        pytest.param(SRT.replace(LEFT, "{\\an8}{\\i1}" + LEFT + "{\\i0}"), id="Advanced SubStation"),
        pytest.param(SRT.replace("cello", "&#99;&#x65;llo&nbsp;"), id="entities"),
        pytest.param(SRT + "\n3\n02:00:00,000 --> 02:00:01,000\n\n\n", id="blank cue"),
        pytest.param(SRT + "\n3\n02:00:00,000 --> 02:00:01,000\n<i> </i>\n", id="cue of tags"),
        pytest.param(SRT + "\n3\n02:00:00,000 --> 02:00:01,000", id="cue without text at the end"),
        pytest.param("\n\n".join(reversed(SRT.rstrip().split("\n\n"))), id="disordered"),
        pytest.param(SRT.replace("00:00:0", "0:0:0"), id="short numbers"),
        pytest.param(SRT.replace("00:00:01,000", "00:01"), id="no hours, no fraction"),
        pytest.param(SRT.replace(",200", ",200000000"), id="long fraction"),
    ],
)
def test_subrip_of_every_kind_is_read(load: Load, content: str | bytes) -> None:
    assert spans(load("scene.srt", content)) == SRT_SPANS


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(VTT, id="with all"),
        pytest.param(b"\xef\xbb\xbf" + VTT.replace("\n", "\r\n").encode(), id="Windows"),
        pytest.param(VTT.rstrip(), id="no final newline"),
        pytest.param("WEBVTT\n" + SRT.partition("\n")[2].replace(",", "."), id="cue right below the header"),
        pytest.param("WEBVTT\n\n" + SRT, id="SubRip with a header"),
        pytest.param(VTT.replace("NOTE one line\n\nfirst\n", "NOTE one line\n"), id="comment right above a cue"),
        pytest.param(VTT.replace("cello", "<00:00:02.000>ce<b>ll</b>o"), id="times within"),
    ],
)
def test_webvtt_of_every_kind_is_read(load: Load, content: str | bytes) -> None:
    assert spans(load("scene.vtt", content)) == SRT_SPANS


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (f"{LEFT}\n{RIGHT}", f"{LEFT}\n{RIGHT}"),  # weak and strong places would not mix in one line
        ("cello left\npiano 30 degrees right", "cello left\npiano 30 degrees right"),
        (f"- {LEFT}\n- {RIGHT}", f"- {LEFT}\n- {RIGHT}"),
        (f"{LEFT}<br/>{RIGHT}", f"{LEFT}\n{RIGHT}"),
        ("the cello moves from the left\nto the right", "the cello moves from the left to the right"),
        ("acoustic\nguitar on\nthe left", "acoustic guitar on the left"),
        ('"drum and\nbass" on the left', '"drum and bass" on the left'),
    ],
)
@pytest.mark.parametrize("extension", ["srt", "vtt"])
def test_lines_are_clauses_or_else_one_sentence(load: Load, extension: str, lines: str, text: str) -> None:
    header = "WEBVTT\n\n" if extension == "vtt" else ""
    timeline = load(f"scene.{extension}", f"{header}00:00:00.000 --> 00:00:01.000\n{lines}\n")
    assert spans(timeline) == [(0.0, 1.0, text)]
    assert [c.object for c in timeline.segments[0].clauses] == [c.object for c in parse_prompt(text)]


def test_entities_without_a_semicolon_are_text(load: Load) -> None:
    """`html.unescape` alone would read "&notes" as "¬es"."""
    (segment,) = load("scene.srt", "00:00:00,000 --> 00:00:01,000\nR&B &notes left\n").segments
    assert segment.text == "R&B &notes left"


@pytest.mark.parametrize("end", ["99:59:59,999", "100:00:00,000"])
def test_a_subtitle_without_end_holds_to_the_end_of_the_audio(load: Load, end: str) -> None:
    assert spans(load("scene.srt", f"00:00:01,000 --> {end}\n{LEFT}\n")) == [(1.0, None, LEFT)]


REFUSED_SUBTITLES = [
    # file, content, position, part of the message
    ("a.srt", "", "", "no segments, expected at least one cue"),
    ("a.srt", "1\n00:00:00,000 --> 00:00:01,000\n\n", "", "no segments"),
    ("a.srt", "hello\n", "1:1", "text outside of a cue"),
    ("a.srt", SRT + "\nmore\ntext\n", "9:1", "text outside of a cue"),
    ("a.srt", SRT.replace("1\n", "1\n\n", 1), "1:1", "text outside of a cue"),
    ("a.srt", SRT.replace(LEFT, f"{LEFT}\n\n{RIGHT}"), "5:1", "text outside of a cue"),
    ("a.srt", SRT.replace("-->", "->"), "1:1", "text outside of a cue"),
    ("a.srt", "3\n", "1:1", "text outside of a cue"),
    ("a.srt", f"00:00:01,5 --> 00:00:03,000\n{LEFT}\n", "1:1", '"00:00:01,5" is not a time'),
    ("a.srt", f" 00:00:01,500 -->  00:61:03,000\n{LEFT}\n", "1:20", '"00:61:03,000" is not a time'),
    ("a.srt", f"00:00:01,500 --> 00:00:60,000\n{LEFT}\n", "1:18", '"00:00:60,000" is not a time'),
    ("a.srt", f"00:00:01,500 -->\n{LEFT}\n", "1:17", '"" is not a time'),
    ("a.srt", f"-00:00:01,500 --> 00:00:02,000\n{LEFT}\n", "1:1", "is not a time"),
    ("a.srt", f"{'9' * 5000}:00:01,500 --> 00:00:02,000\n{LEFT}\n", "1:1", "is not a time"),
    ("a.srt", f"٠٠:٠٠:٠١,٥٠٠ --> 00:00:02,000\n{LEFT}\n", "1:1", "is not a time"),
    (
        "a.srt",
        f"00:00:02,000 --> 00:00:02,000\n{LEFT}\n",
        "1:18",
        "the end is 2 s, expected a time after the start at 2 s",
    ),
    ("a.srt", SRT.replace(RIGHT, "  piano"), "7:3", "an object without a place"),
    ("a.srt", SRT.replace(RIGHT, f"{RIGHT}\ndog on the lefft"), "7:1", "did you mean"),
    ("a.vtt", "", "1:1", "the first line is not `WEBVTT`"),
    ("a.vtt", SRT, "1:1", "the first line is not `WEBVTT`"),
    ("a.vtt", "WEBVTTT\n", "1:1", "the first line is not `WEBVTT`"),
    ("a.vtt", "WEBVTT\n\nNOTE 00:01\n\nSTYLE\n\n", "", "no segments, expected at least one cue"),
    ("a.vtt", "WEBVTT\n\nNOTES\n", "3:1", "text outside of a cue"),
    ("a.vtt", VTT.replace("<v Somebody>cello", "<v Somebody>"), "14:1", "a place without an object"),
]


@pytest.mark.parametrize(
    ("name", "content", "where", "what"), REFUSED_SUBTITLES, ids=[f"{r[0]} {r[3][:40]}" for r in REFUSED_SUBTITLES]
)
def test_bad_subtitles_are_refused_with_their_position(
    load: Load, tmp_path: Path, name: str, content: str, where: str, what: str
) -> None:
    with pytest.raises(InputError) as caught:
        load(name, content)
    first_line = str(caught.value).split("\n")[0]
    assert first_line.startswith(f"{tmp_path / name}:{where}: " if where else f"{tmp_path / name}: ")
    assert what in first_line


@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.txt", "a.yaml"])
def test_overlap_names_both_lines(load: Load, tmp_path: Path, name: str) -> None:
    contents = {
        "a.srt": (SRT.replace("03,200 -->", "03,199 -->"), "6:1", "2:1"),
        "a.vtt": (VTT.replace("03.200 -->", "03.199 -->"), "20:1", "13:1"),
        "a.txt": (f"3.199\t5\t{RIGHT}\n1\t3.2\t{LEFT}\n", "1:1", "2:1"),
        "a.yaml": (
            f"prompts:\n- {{start: 1, end: 3.2, text: {LEFT}}}\n- {{start: 3.199, text: {RIGHT}}}\n",
            "3:3",
            "2:3",
        ),
    }
    content, later, earlier = contents[name]
    with pytest.raises(TimelineError, match="expected no overlap") as caught:
        load(name, content)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}:{later}: ")
    assert f"({tmp_path / name}:{earlier})" in message


# ------------------------------------------------------------------ label tracks


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"1.000000\t3.200000\t{LEFT}\n3.200000\t3723.004000\t{RIGHT}\n", id="as Audacity writes"),
        pytest.param(f"1\t3.2\t{LEFT}\r\n3.2\t3723.004\t{RIGHT}", id="CRLF, no final newline"),
        pytest.param(f"\ufeff1,0\t3,2\t{LEFT}\n\n3,2\t3723,004\t{RIGHT}\n", id="decimal commas, byte order mark"),
        pytest.param(f"1e0\t3.2\t {LEFT} \n+3.2\t3723.004\tpiano\ton the right\n", id="white space"),
        pytest.param(
            f"1\t3.2\t{LEFT}\n\\\t100.000000\t2000.000000\n3.2\t3723.004\t{RIGHT}\n\\\t-1.000000\t-1.000000\n",
            id="frequencies",
        ),
        pytest.param(f"0\t1\t\n1\t3.2\t{LEFT}\n3.2\t3723.004\t{RIGHT}\n4000\t4000\n", id="blank labels"),
        pytest.param(f"3.2\t3723.004\t{RIGHT}\n1\t3.2\t{LEFT}\n", id="disordered"),
    ],
)
def test_label_tracks_of_every_kind_are_read(load: Load, content: str) -> None:
    assert spans(load("labels.txt", content)) == SRT_SPANS


def test_a_label_without_length_holds_until_the_next_label(load: Load) -> None:
    timeline = load("labels.txt", f"1\t1\t{LEFT}\n3\t4\t{RIGHT}\n5\t5\t{LEFT}\n6\t6\t{RIGHT}\n")
    closed = timeline.resolved(10.0)
    assert spans(closed) == [(1.0, 3.0, LEFT), (3.0, 4.0, RIGHT), (5.0, 6.0, LEFT), (6.0, 10.0, RIGHT)]


def test_a_blank_label_ends_the_one_before(load: Load) -> None:
    timeline = load("labels.txt", f"1\t1\t{LEFT}\n3\t3\t\n4\t4\t{RIGHT}\n4\t4\n")
    assert spans(timeline) == [(1.0, 3.0, LEFT), (4.0, None, RIGHT)]


REFUSED_LABELS = [
    ("", "", "no segments, expected at least one label"),
    ("0\t1\t\n", "", "no segments"),
    ("  once upon a time\n", "1:3", "not a label"),
    (f"0\t1\t{LEFT}\n1 2 {RIGHT}\n", "2:1", "not a label"),
    (f"\\\t100\t200\n0\t1\t{LEFT}\n", "1:1", "frequencies without a label"),
    (f"0:00\t1\t{LEFT}\n", "1:1", '"0:00" is not a time in seconds'),
    (f"0\t  soon\t{LEFT}\n", "1:5", '"soon" is not a time in seconds'),
    (f"0\tinf\t{LEFT}\n", "1:3", '"inf" is not a time in seconds'),
    (f"0\t\t{LEFT}\n", "1:3", "is not a time in seconds"),
    (f"0\t1e400\t{LEFT}\n", "1:1", "expected a time after the start"),
    (f"-1\t1\t{LEFT}\n", "1:1", "the start is -1 s, expected 0 or more"),
    (f"2\t1\t{LEFT}\n", "1:1", "expected a time after the start at 2 s"),
    (f"0\t1\t{LEFT}\n1\t2\t  piano\n", "2:7", "an object without a place"),
]


@pytest.mark.parametrize(("content", "where", "what"), REFUSED_LABELS, ids=[repr(r[0][:30]) for r in REFUSED_LABELS])
def test_bad_label_tracks_are_refused_with_their_position(
    load: Load, tmp_path: Path, content: str, where: str, what: str
) -> None:
    with pytest.raises(InputError) as caught:
        load("a.txt", content)
    first_line = str(caught.value).split("\n")[0]
    assert first_line.startswith(f"{tmp_path / 'a.txt'}:{where}: " if where else f"{tmp_path / 'a.txt'}: ")
    assert what in first_line


# ------------------------------------------------------------------ files


@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.txt", "a.yaml", "a.yml"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"WEBVTT\n\n\xe9\n", "3:1: not a UTF-8 character"),
        ("WEBVTT\n".encode("utf-16"), "1:1: not a UTF-8 character"),
        (b"#" * 1_000_001, "more than 1000000 bytes"),
    ],
)
def test_what_is_no_short_utf8_text_is_refused(load: Load, name: str, content: bytes, what: str) -> None:
    with pytest.raises(TimelineError, match=name) as caught:
        load(name, content)
    assert what in str(caught.value)


@pytest.mark.parametrize("name", ["scene", "scene.json", "scene.ass", "scene.srt.bak", ".srt"])
def test_another_extension_names_the_known_ones(tmp_path: Path, name: str) -> None:
    """Before anything is read: the file is not even there."""
    for path in (tmp_path / name, tmp_path / "folder" / name):
        with pytest.raises(InputError, match=r"expected a timeline: \.yaml, \.yml, \.srt, \.vtt, \.txt$"):
            load_timeline(path)
        with pytest.raises(InputError, match=r"expected a timeline"):
            format_timeline(Timeline.from_prompt(LEFT), path)


def test_capitals_in_the_extension_are_fine(load: Load) -> None:
    assert spans(load("SCENE.SRT", SRT)) == SRT_SPANS


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TimelineError, match="cannot read the timeline: No such file"):
        load_timeline(tmp_path / "no.srt")


def test_large_files_are_read_quickly(load: Load) -> None:
    """Linear in the number of labels: quadratic would take minutes."""
    lines = (f"{i}\t{i}\t{'' if i % 2 else 'bell left'}\n" for i in range(40_000))
    assert len(load("labels.txt", "".join(lines)).segments) == 20_000


def test_no_heavy_library_is_imported() -> None:
    program = (
        "import sys, tas_core.timeline.files\n"
        "print(*[m for m in ('torch', 'soundfile', 'typer', 'rich', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(["a.srt", "a.vtt", "a.txt"]),
    lines=st.lists(
        st.sampled_from(
            [
                "WEBVTT",
                "NOTE",
                "1",
                "",
                " ",
                "00:01.000 --> 00:02.000",
                "-->",
                "0\t1\tbell left",
                "\\\t1\t2",
                "a left",
                "<i>",
            ]
        )
        | st.text(alphabet="0123456789:,.->\t a\\&#;<{}", max_size=20),
        max_size=12,
    ),
)
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str, lines: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_text("\n".join(lines))
    try:
        load_timeline(path)
    except InputError:
        return

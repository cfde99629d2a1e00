"""Subtitles: what they mean, and what is refused where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tas_core.errors import InputError
from tas_core.timeline.prompts import parse_prompt
from tests.timeline.conftest import LEFT, RIGHT, SRT, SRT_SPANS, Load, spans

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
        pytest.param(SRT.replace(LEFT, f"♪ {LEFT} ♪"), id="notes around a song"),
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

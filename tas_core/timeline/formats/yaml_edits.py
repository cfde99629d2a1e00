"""A changed timeline in the YAML that a person wrote: what did not change stays as it stands, comments and all."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tas_core.timeline.formats.yaml_lists import SegmentMarks, format_seconds, format_segment, quoted, yaml_marks
from tas_core.timeline.segments import Segment

_DASH = re.compile(r"[ \t]*-[ \t]+")
_Edit = tuple[int, int, str]


def edited_yaml(text: str, source: str, before: tuple[Segment, ...], after: tuple[Segment, ...]) -> str | None:
    """A YAML document in which some segments are others; None where it would have to be written anew.

    The caller reads it again: what comes out need not be what was meant, where the document is an odd one.

    Args:
        text: a document that was read.
        source: its name, for messages.
        before: its segments, in the order of time.
        after: those that it shall have; rooms of their own only where they had them.
    """
    marks = yaml_marks(text, source)
    if len(marks) != len(before) or any(a.first > b.first for a, b in zip(marks, marks[1:], strict=False)):
        return None
    same = _common(before, after)
    same_end = _common(before[same:][::-1], after[same:][::-1])
    old, new = range(same, len(before) - same_end), after[same : len(after) - same_end]
    edits: list[_Edit] = []
    for number, segment in zip(old, new, strict=False):
        edits += _changed(text, marks[number], before[number], segment)
    for number in old[len(new) :]:
        if (line := _line_of(text, marks[number])) is None:
            return None
        edits.append((*line, ""))
    if more := new[len(old) :]:
        beside = max(0, same + len(old) - 1)
        if (line := _line_of(text, marks[beside])) is None:
            return None
        dash = _DASH.match(text, line[0])
        lines = "".join(f"{dash.group() if dash else ''}{format_segment(segment)}\n" for segment in more)
        at = line[1] if same + len(old) else line[0]
        edits.append((at, at, lines if at == 0 or text[at - 1] == "\n" else f"\n{lines}"))
    if "\r\n" in text:
        edits = [(start, stop, words.replace("\n", "\r\n")) for start, stop, words in edits]
    for start, stop, words in sorted(edits, reverse=True):
        text = text[:start] + words + text[stop:]
    return text


def _common(a: tuple[Segment, ...], b: tuple[Segment, ...]) -> int:
    """How many segments are the same from the first on."""
    count = 0
    while count < min(len(a), len(b)) and a[count] == b[count] and a[count].text == b[count].text:
        count += 1
    return count


def _changed(text: str, marks: SegmentMarks, before: Segment, after: Segment) -> Iterator[_Edit]:
    """What to write where for one segment."""
    if before.text != after.text:
        first, stop = marks.values["text"]
        yield (
            first,
            stop,
            quoted(after.text) + "\n" * (text[stop - 1] == "\n"),
        )  # of a block, which holds its line break
    start, end = marks.values["start"], marks.values.get("end")
    moved = "" if before.start_s == after.start_s else format_seconds(after.start_s)
    ends = "null" if after.end_s is None else format_seconds(after.end_s)
    if end is not None:
        if before.end_s != after.end_s:
            yield (*end, ends)
    elif after.end_s is not None:
        gap = ", " if marks.in_braces else "\n" + " " * marks.column
        yield start[1], start[1], f"{gap}end: {ends}"
    if moved:
        yield (*start, moved)


def _line_of(text: str, marks: SegmentMarks) -> tuple[int, int] | None:
    """The lines of a segment, with the line break; None where it shares them with others."""
    first = text.rfind("\n", 0, marks.first) + 1
    stop = text.find("\n", marks.stop) + 1 or len(text)
    behind = text[marks.stop : stop].strip()
    if not re.fullmatch(_DASH, text[first : marks.first]) or (behind and not behind.startswith("#")):
        return None
    return first, stop

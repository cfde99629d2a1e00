r"""Audacity's label tracks, as text files: ``start<TAB>end<TAB>prompt``, in seconds.

A label without a length holds until the next label, a blank one included. A line that begins with a
backslash gives frequencies of the label above, which say nothing about places.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tas_core.errors import TimelineError
from tas_core.timeline.formats.lines import file_lines, first_column, on_grid, prompt_lines, segment_of_lines
from tas_core.timeline.segments import Segment, Timeline

_STEPS_PER_SECOND = 1_000_000  # Audacity writes six decimals
_EXPECTED = "expected start<TAB>end<TAB>prompt, such as 0.0<TAB>3.2<TAB>cello on the left"
_SECONDS = re.compile(r"[+-]?\d+(?:[.,]\d*)?(?:[eE][+-]?\d+)?", re.ASCII)  # a decimal comma in some languages

_TWO_TIMES = re.compile(r"\s*[+-]?\d[\d.,:e+-]* *\t\s*[+-]?\d[\d.,:e+-]*\s*(?:\t|$)", re.ASCII)
_TWO_NUMBERS = re.compile(r"\s*\d[\d.,:]* +\d[\d.,:]*\s", re.ASCII)


class _Label(NamedTuple):
    start_s: float
    end_s: float
    text: str
    where: str
    text_where: str


def read_labels(text: str, source: str) -> list[Segment]:
    """The segments of a label track, in the order of time; blank labels make none.

    Args:
        text: the file.
        source: its name, for messages.

    Raises:
        TimelineError: "source:line:column: what, expected what".
    """
    labels: list[_Label] = []
    for number, line in enumerate(file_lines(text), 1):
        if line.startswith("\\"):
            if not labels:
                raise TimelineError(f"{source}:{number}:1: frequencies without a label above, {_EXPECTED}")
        elif line.strip():
            labels.append(_label(line, f"{source}:{number}"))
    labels.sort(key=lambda label: label.start_s)
    segments: list[Segment] = []
    later: _Label | None = None
    for label, following in zip(reversed(labels), [None, *reversed(labels)], strict=False):
        if following and following.start_s > label.start_s:
            later = following
        end_s: float | None = label.end_s
        if label.end_s == label.start_s:  # until the next label; if that has a text, it closes an open end
            end_s = later.start_s if later and not later.text else None
        if label.text:
            segments.append(segment_of_lines(label.start_s, end_s, [label.text], label.where, label.text_where))
    segments.reverse()
    return segments


def has_labels(text: str) -> bool:
    """Whether a text is written as labels are: a line begins with two times and a tabulator, or the first with two."""
    lines = [line for line in file_lines(text) if line.strip()]
    return any(_TWO_TIMES.match(line) for line in lines) or bool(_TWO_NUMBERS.match("".join(lines[:1])))


def format_labels(timeline: Timeline) -> str:
    """A timeline as a label track; open ends become labels without a length.

    Line breaks of prompts become semicolons, which mean the same.

    Raises:
        TimelineError: a segment of less than a microsecond.
    """
    lines = []
    for segment in timeline.segments:
        start, end = on_grid(segment, segment.end_s, _STEPS_PER_SECOND)
        times = (f"{step / _STEPS_PER_SECOND:.6f}" for step in (start, start if end is None else end))
        lines.append("\t".join((*times, _one_line(segment.text))) + "\n")
    return "".join(lines)


def _label(line: str, where: str) -> _Label:
    fields = line.split("\t", 2)
    if len(fields) == 1:
        raise TimelineError(f"{where}:{first_column(line)}: not a label, {_EXPECTED}")
    columns, begin = [], 0
    for field in fields:
        columns.append(f"{where}:{begin + first_column(field)}")
        begin += len(field) + 1
    start_s, end_s = (_seconds(field.strip(), column) for field, column in zip(fields[:2], columns, strict=False))
    text = " ".join(fields[2].split()) if len(fields) == 3 else ""
    return _Label(start_s, end_s, text, columns[0], columns[-1])


def _seconds(text: str, where: str) -> float:
    if not _SECONDS.fullmatch(text):
        raise TimelineError(f'{where}: "{text}" is not a time in seconds, {_EXPECTED}')
    return float(text.replace(",", "."))


def _one_line(text: str) -> str:
    *first, last = prompt_lines(text)
    # A line break behind a comma or a semicolon separates nothing.
    return "".join(line + (" " if line[-1] in ",;" else "; ") for line in first) + last

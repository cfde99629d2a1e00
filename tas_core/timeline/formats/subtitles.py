r"""Subtitles: SubRip (.srt) and WebVTT (.vtt). Each cue is a segment, and its text the prompt.

Both are read leniently, as players do: either decimal mark, hours or not, a cue identifier or none, a missing
blank line before the next cue. Positions, styles, comments, tags (``<i>``, ``<v Name>``, ``{\an8}``) and the
notes that stand around songs say nothing about what sounds where, and are left out. Text that belongs to no cue
is an error.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

from tas_core.errors import TimelineError
from tas_core.timeline.formats.lines import file_lines, first_column, on_grid, prompt_lines, segment_of_lines
from tas_core.timeline.segments import Segment, Timeline

OPEN_END_S = 359_999.999
"""99:59:59.999, the largest time of two-digit hours: from there on an end means the end of the audio."""

_ARROW = "-->"
_TIME = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{3,9}))?", re.ASCII)
_HEADER = re.compile(r"WEBVTT(?:[ \t].*)?")
_NO_CUE = re.compile(r"NOTE(?:[ \t].*)?|(?:STYLE|REGION)[ \t]*")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}", re.IGNORECASE)
_NOTES = "♩♪♫♬"
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]*);", re.IGNORECASE)
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "{": "&#123;"} | {note: f"&#{ord(note)};" for note in _NOTES}
)
_NO_NOTES = str.maketrans("", "", _NOTES)


class _Cue(NamedTuple):
    times: int
    """Index of the line with the times; the text begins below."""
    stop: int
    """Index behind its last line."""


def read_subrip(text: str, source: str) -> list[Segment]:
    """The segments of a SubRip file; cues without text make none.

    Args:
        text: the file.
        source: its name, for messages.

    Raises:
        TimelineError: "source:line:column: what, expected what".
    """
    reader = _Reader(file_lines(text), source, "00:00:01,000 --> 00:00:03,500")
    return list(reader.segments(0))


def read_webvtt(text: str, source: str) -> list[Segment]:
    """The segments of a WebVTT file; as :func:`read_subrip`.

    A header, comment, style or region ends at a blank line or a line with an arrow.
    """
    reader = _Reader(file_lines(text), source, "00:01.000 --> 00:03.500", _NO_CUE)
    if not _HEADER.fullmatch(reader.lines[0]):
        raise reader.error(0, 0, "the first line is not `WEBVTT`, expected WebVTT")
    return list(reader.segments(reader.block_end(1)))


def format_subrip(timeline: Timeline) -> str:
    """A timeline as SubRip. Open ends close at the next start; the last becomes 99:59:59,999, which is read as open.

    Raises:
        TimelineError: a segment shorter than 1 ms, or with a time of 100 hours or more.
    """
    cues = []
    for number, (segment, start_ms, end_ms) in enumerate(_cues(timeline), 1):
        text = "\n".join(prompt_lines(segment.text))
        # No escapes where none are needed: not every player of SubRip knows them.
        if _ARROW in text or _prompt_of(text) != text.split("\n"):
            text = text.translate(_ESCAPES)
        cues.append(f"{number}\n{cue_time(start_ms, ',')} {_ARROW} {cue_time(end_ms, ',')}\n{text}\n")
    return "\n".join(cues)


def format_webvtt(timeline: Timeline) -> str:
    """A timeline as WebVTT; as :func:`format_subrip`."""
    cues = ["WEBVTT\n"]
    for segment, start_ms, end_ms in _cues(timeline):
        text = "\n".join(prompt_lines(segment.text)).translate(_ESCAPES)
        cues.append(f"{cue_time(start_ms)} {_ARROW} {cue_time(end_ms)}\n{text}\n")
    return "\n".join(cues)


def cue_time(milliseconds: int, mark: str = ".") -> str:
    """A time as ``HH:MM:SS.fff``, with a decimal mark."""
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{milliseconds:03d}"


def _cues(timeline: Timeline) -> Iterator[tuple[Segment, int, int]]:
    """Segments with their start and end in milliseconds."""
    starts = [segment.start_s for segment in timeline.segments]
    for segment, following_s in zip(timeline.segments, [*starts[1:], OPEN_END_S], strict=True):
        end_s = following_s if segment.end_s is None else segment.end_s
        if max(segment.start_s, end_s) > OPEN_END_S:
            raise segment.error("a time of 100 hours or more, expected less in subtitles")
        start_ms, end_ms = on_grid(segment, end_s, 1000)
        assert end_ms is not None
        yield segment, start_ms, end_ms


def _prompt_of(text: str) -> list[str]:
    """The lines of a cue's text without tags, entities and blank lines."""
    plain = _TAG.sub("", _BREAK.sub("\n", text.translate(_NO_NOTES)))
    return prompt_lines(_ENTITY.sub(lambda entity: html.unescape(entity.group()), plain))


class _Reader:
    """Lines of a file, cut into cues. `example` shows the times of a cue, `no_cue` begins a block without any."""

    def __init__(self, lines: list[str], source: str, example: str, no_cue: re.Pattern[str] | None = None) -> None:
        self.lines = lines
        self.source = source
        self.example = example
        self.no_cue = no_cue

    def segments(self, begin: int) -> Iterator[Segment]:
        """The segments of all cues from a line on."""
        for cue in self.cues(begin):
            start_s, end_s, where = self.times(cue.times)
            prompt = _prompt_of("\n".join(self.lines[cue.times + 1 : cue.stop]))
            if prompt:
                yield segment_of_lines(start_s, end_s, prompt, where, self.where(cue.times + 1, 0))

    def cues(self, i: int) -> Iterator[_Cue]:
        """All cues from line i on."""
        while i < len(self.lines):
            if not self.lines[i].strip():
                i += 1
            elif self.no_cue and self.no_cue.fullmatch(self.lines[i]):
                i = self.block_end(i + 1)
            else:
                times = i if _ARROW in self.lines[i] else i + 1
                if times == len(self.lines) or _ARROW not in self.lines[times]:
                    raise self.error(i, 0, f"text outside of a cue, expected times above it such as {self.example}")
                i = self.block_end(times + 1)
                if i < len(self.lines) and _ARROW in self.lines[i] and self.lines[i - 1].strip().isdecimal():
                    i -= 1  # the number of the next cue, and no blank line above it
                yield _Cue(times, i)

    def block_end(self, i: int) -> int:
        """Index of the next blank line, line with an arrow, or end of the file."""
        while i < len(self.lines) and self.lines[i].strip() and _ARROW not in self.lines[i]:
            i += 1
        return i

    def times(self, i: int) -> tuple[float, float | None, str]:
        """Start and end of a cue in seconds, and where they stand. Settings behind them are passed over."""
        line = self.lines[i]
        behind = line.index(_ARROW) + len(_ARROW)
        start_s = self.time(i, 0, line[: behind - len(_ARROW)].strip())
        end_s = self.time(i, behind, next(iter(line[behind:].split()), ""))
        if end_s <= start_s:
            raise self.error(i, behind, f"the end is {end_s:g} s, expected a time after the start at {start_s:g} s")
        return start_s, None if end_s >= OPEN_END_S else end_s, self.where(i, 0)

    def time(self, i: int, begin: int, text: str) -> float:
        """Seconds of a time that stands in line i from index ``begin`` on."""
        match = _TIME.fullmatch(text)
        if not match or int(match[2]) >= 60 or int(match[3]) >= 60:
            raise self.error(i, begin, f'"{text}" is not a time, expected times such as {self.example}')
        hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3])
        # Made from text, the number equals that of the same time in YAML.
        return float(f"{3600 * hours + 60 * minutes + seconds}.{match[4] or 0}")

    def where(self, i: int, begin: int) -> str:
        """Position of the first visible character of line i from index ``begin`` on."""
        return f"{self.source}:{i + 1}:{first_column(self.lines[i], begin)}"

    def error(self, i: int, begin: int, what: str) -> TimelineError:
        """An error at a line."""
        return TimelineError(f"{self.where(i, begin)}: {what}")

"""What the formats share: the text of a file, its lines, lines of a prompt, and times on a grid."""

from __future__ import annotations

import re
from pathlib import Path

from tas_core.errors import PromptError, TimelineError
from tas_core.timeline.segments import Segment
from tas_core.timeline.vocabulary import CHARACTERS

MAX_TIMELINE_BYTES = 1_000_000
"""Longer files are refused: they are no timelines (a day of prompts, one per minute, takes 0.1 MB)."""

_QUOTES = '"' + "".join(chr(code) for code, plain in CHARACTERS.items() if plain == ord('"'))
_QUOTED = re.compile(f"[{_QUOTES}][^{_QUOTES}]*[{_QUOTES}]")


def read_timeline_text(path: str | Path) -> str:
    """The text of a timeline file of any format, without a byte order mark.

    Raises:
        TimelineError: the file cannot be read, is larger than 1 MB, or is not UTF-8.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_TIMELINE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TimelineError(f"{path}: cannot read the timeline: {reason}") from error
    return timeline_text(data, path)


def timeline_text(data: bytes, name: str | Path) -> str:
    """The text of a timeline of any format from the bytes of a file, without a byte order mark.

    Args:
        data: the bytes.
        name: for messages.

    Raises:
        TimelineError: it is larger than 1 MB, or is not UTF-8.
    """
    if len(data) > MAX_TIMELINE_BYTES:
        raise TimelineError(f"{name}: more than {MAX_TIMELINE_BYTES} bytes, expected a short text file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise TimelineError(f"{name}:{line}:{column}: not a UTF-8 character, expected UTF-8 text") from error


def file_lines(text: str) -> list[str]:
    """Lines that end in LF, CRLF or CR, and in nothing else that Unicode takes for a line end."""
    return re.split(r"\r\n|\n|\r", text)


def first_column(line: str, start: int = 0) -> int:
    """Column, from 1 on, of the first character from index ``start`` on that is no white space."""
    rest = line[start:]
    return start + len(rest) - len(rest.lstrip()) + 1


def prompt_lines(text: str) -> list[str]:
    r"""The lines of a prompt, none of them blank, without needless white space.

    A line break separates clauses (:mod:`tas_core.timeline.prompts`), but within double quotes it is white space.
    Hence ``"\n".join(prompt_lines(text))`` means what the text means.
    """
    unbroken = _QUOTED.sub(lambda quoted: " ".join(quoted.group().split()), text)
    lines = (" ".join(line.split()) for line in unbroken.split("\n"))
    return [line for line in lines if line]


def segment_of_lines(start_s: float, end_s: float | None, lines: list[str], where: str, text_where: str) -> Segment:
    """A segment whose prompt stands on lines that nobody broke with the prompt language in mind.

    Line breaks separate clauses, as they do in YAML. Where this cannot be read, the lines are taken
    for one sentence that was wrapped.

    Args:
        start_s: start, seconds.
        end_s: end, seconds; None for an open end.
        lines: at least one, none blank.
        where: "file:line:column" of the times, for messages.
        text_where: the same of the text.

    Raises:
        TimelineError: for the times, and for a prompt that cannot be read either way.
    """
    try:
        return Segment.from_prompt(start_s, end_s, "\n".join(lines), where)
    except PromptError as error:
        try:
            return Segment.from_prompt(start_s, end_s, " ".join(lines), where)
        except PromptError:
            raise TimelineError(f"{text_where}: {error}") from error


def on_grid(segment: Segment, end_s: float | None, per_second: int) -> tuple[int, int | None]:
    """Start and end in the steps of a format, rounded.

    Rounding keeps the order of times, so that segments which touch go on touching and none overlap.

    Args:
        segment: whose start is meant, and what errors name.
        end_s: the end, seconds; None stays None.
        per_second: steps per second.

    Raises:
        TimelineError: nothing of the segment is left.
    """
    start = round(segment.start_s * per_second)
    end = None if end_s is None else round(end_s * per_second)
    if end is not None and end <= start:
        raise segment.error(
            f"the segment at {segment.start_s:g} s lasts less than a step of the format,"
            f" expected at least {1 / per_second:g} s"
        )
    return start, end

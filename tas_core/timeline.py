"""Timelines: which prompt holds when.

A timeline is a list of segments, each with a start, an end and a prompt. On disk::

    prompts:
      - {start: 0.0, end: 3.2, text: "cello on the left, piano on the right"}
      - {start: 3.2, end: 8.0, text: "the cello moves from the left to the right"}
      - {start: "0:08", text: "a man talking 30 degrees to the left"}   # open end

Times are seconds or ``[HH:]MM:SS[.fff]``, with or without quotes. An open end is the
start of the next segment, or the end of the audio. Time that no segment covers is
centered, and so is every object that the current segment does not name.
"""

from __future__ import annotations

import difflib
import math
import re
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tas_core.errors import PromptError, TimelineError
from tas_core.prompts import AzimuthPath, Clause, mirror_prompt_text, parse_prompt
from tas_core.transitions import REACH, Span, glides

MAX_TIMELINE_BYTES = 1_000_000
"""Longer files are refused: they are no timelines (a day of prompts, one per minute, takes 0.1 MB)."""

END_TOLERANCE_S = 0.1
"""A last segment may outlast the audio by this much without a warning: one frame of 10 fps labels."""

_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?)", re.ASCII)
_KEYS = ("start", "end", "text")
_SHORTEST_GAP_S = 1e-6
"""What is shorter between two segments is rounding."""


class TimelineWarning(UserWarning):
    """A timeline that can be used, though not quite as written."""


@dataclass(frozen=True)
class Segment:
    """A prompt and when it holds.

    Args:
        start_s: first moment, seconds, at least 0.
        end_s: end, seconds, not included and after the start; None for an open end.
        text: the prompt as it was written.
        clauses: what it says.
        where: "file:line:column" for messages, empty if the segment comes from no file.

    Raises:
        TimelineError: a time is negative or not finite, or the end is not after the start.
    """

    start_s: float
    end_s: float | None
    text: str
    clauses: tuple[Clause, ...]
    where: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_s", float(self.start_s) + 0.0)
        if not 0 <= self.start_s < math.inf:
            raise self.error(f"the start is {self.start_s:g} s, expected 0 or more")
        if self.end_s is not None:
            object.__setattr__(self, "end_s", float(self.end_s))
            if not self.start_s < self.end_s < math.inf:
                raise self.error(f"the end is {self.end_s:g} s, expected a time after the start at {self.start_s:g} s")

    @classmethod
    def from_prompt(cls, start_s: float, end_s: float | None, text: str, where: str = "") -> Segment:
        """A segment whose clauses are read from its text.

        Raises:
            TimelineError: for the times.
            PromptError: the text cannot be read.
        """
        return cls(start_s, end_s, text, parse_prompt(text), where)

    def error(self, what: str) -> TimelineError:
        """An error that names the place in the file, if there is one."""
        return TimelineError(f"{self.where}: {what}" if self.where else what)

    def mirrored(self) -> Segment:
        """The same segment with left and right exchanged, in the text as well."""
        clauses = tuple(clause.mirrored() for clause in self.clauses)
        return replace(self, text=mirror_prompt_text(self.text), clauses=clauses)


@dataclass(frozen=True)
class Track:
    """One object over time.

    Args:
        object: the object phrase.
        azimuth_deg: (time,), degrees, positive is left; 0 where the object is inactive.
        active: (time,), bool, whether a prompt names the object at that time, or a transition has it on its way.
    """

    object: str
    azimuth_deg: np.ndarray
    active: np.ndarray


@dataclass(frozen=True)
class Timeline:
    """Segments in the order of time, at least one, without overlap.

    Args:
        segments: in any order; sorted by their start.

    Raises:
        TimelineError: no segment, or two that overlap.
    """

    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        segments = tuple(sorted(self.segments, key=lambda segment: segment.start_s))
        if not segments:
            raise TimelineError("the timeline has no segments, expected at least one")
        object.__setattr__(self, "segments", segments)
        for before, segment in zip(segments, segments[1:], strict=False):
            # An open end stops at the next start, hence it overlaps only with a segment of the same start.
            end_s = math.nextafter(before.start_s, math.inf) if before.end_s is None else before.end_s
            if segment.start_s < end_s:
                until = "is open" if before.end_s is None else f"ends at {before.end_s:g} s"
                other = f" ({before.where})" if before.where else ""
                raise segment.error(
                    f"the segment starts at {segment.start_s:g} s, but the one before{other} started at"
                    f" {before.start_s:g} s and {until}, expected no overlap"
                )

    @classmethod
    def from_prompt(cls, text: str) -> Timeline:
        """One prompt for the whole audio.

        Raises:
            PromptError: the prompt cannot be read.
        """
        return cls((Segment.from_prompt(0.0, None, text),))

    @classmethod
    def from_yaml(cls, text: str, source: str = "<timeline>") -> Timeline:
        """Read a timeline from YAML text.

        Args:
            text: the document, at most 1 MB.
            source: name for messages.

        Raises:
            TimelineError: "source:line:column: what, expected what".
        """
        if len(text) > MAX_TIMELINE_BYTES:
            raise TimelineError(f"{source}: more than {MAX_TIMELINE_BYTES} bytes, expected a short text file")
        return cls(tuple(_Document(text, source).segments()))

    @classmethod
    def load(cls, path: str | Path) -> Timeline:
        """Read a timeline from a YAML file.

        Raises:
            TimelineError: as :func:`read_timeline_text` and :meth:`from_yaml`.
        """
        return cls.from_yaml(read_timeline_text(path), str(path))

    def to_yaml(self) -> str:
        """The timeline as text that :meth:`from_yaml` reads back."""
        lines = ["prompts:"]
        for segment in self.segments:
            quoted = yaml.safe_dump(segment.text, default_style='"', allow_unicode=True, width=math.inf).strip()
            end = "" if segment.end_s is None else f"end: {_format_seconds(segment.end_s)}, "
            lines.append(f"  - {{start: {_format_seconds(segment.start_s)}, {end}text: {quoted}}}")
        return "\n".join(lines) + "\n"

    def mirrored(self) -> Timeline:
        """The same timeline with left and right exchanged."""
        return Timeline(tuple(segment.mirrored() for segment in self.segments))

    def resolved(self, duration_s: float) -> Timeline:
        """The timeline for audio of a given length, with all ends closed.

        Args:
            duration_s: length of the audio, seconds, above 0.

        Warns:
            TimelineWarning: a segment outlasts the audio by more than 0.1 s; it is cut.

        Raises:
            TimelineError: a segment starts at or after the end of the audio.
        """
        for segment in self.segments:
            if segment.end_s is not None and segment.end_s > duration_s + END_TOLERANCE_S:
                message = f"the segment ends at {segment.end_s:g} s, after the audio of {duration_s:g} s; it is cut"
                warnings.warn(str(segment.error(message)), TimelineWarning, stacklevel=2)
        return self._closed(duration_s)

    def overlapping(self, start_s: float, end_s: float, *, transition_s: float = 0.0) -> Timeline | None:
        """The segments that hold at any moment from ``start_s`` to ``end_s``; None if there are none.

        All ends have to be closed, as by :meth:`resolved`. Equal arguments stand for that moment. With a transition,
        in seconds, segments around count too, as far as :meth:`tracks` with it depends on them.
        """
        start_s, end_s = start_s - REACH * transition_s, end_s + REACH * transition_s
        last = bisect_right(self._starts_s, max(start_s, math.nextafter(end_s, -math.inf)))
        first = max(0, bisect_right(self._starts_s, start_s) - 1)
        found = tuple(s for s in self.segments[first:last] if s.end_s is not None and s.end_s > start_s)
        return Timeline(found) if found else None

    @cached_property
    def _starts_s(self) -> list[float]:
        return [segment.start_s for segment in self.segments]

    def tracks(self, times_s: np.ndarray, duration_s: float, *, transition_s: float = 0.0) -> tuple[Track, ...]:
        """Where each object is at given times.

        A segment holds from its start to before its end. Times outside the audio take the values
        of its first or last moment.

        Args:
            times_s: (time,), seconds.
            duration_s: length of the audio, seconds, above 0.
            transition_s: how long places take to change where a segment begins or ends, seconds, at least 0, see
                :mod:`tas_core.transitions`.

        Returns:
            One track per object phrase, in the order in which they first appear.

        Raises:
            TimelineError: as :meth:`resolved`.
        """
        times_s = np.clip(np.asarray(times_s, dtype=np.float64), 0.0, math.nextafter(duration_s, 0.0))
        tracks: dict[str, Track] = {}
        closed = self._closed(duration_s).segments
        for segment in closed:
            assert segment.end_s is not None
            inside = (segment.start_s <= times_s) & (times_s < segment.end_s)
            fraction = (times_s[inside] - segment.start_s) / (segment.end_s - segment.start_s)
            for clause in segment.clauses:
                new = Track(clause.object, np.zeros(times_s.shape), np.zeros(times_s.shape, dtype=bool))
                track = tracks.setdefault(clause.object, new)
                track.azimuth_deg[inside] = _azimuths(clause.azimuth, fraction)
                track.active[inside] = True
        for glide in glides(_spans(closed, duration_s), transition_s) if transition_s > 0 else ():
            inside = (glide.start_s <= times_s) & (times_s < glide.end_s)
            fraction = (times_s[inside] - glide.start_s) / (glide.end_s - glide.start_s)
            for name, (from_deg, to_deg) in glide.azimuths_deg.items():
                tracks[name].azimuth_deg[inside] = from_deg + fraction * (to_deg - from_deg)
                tracks[name].active[inside] = True
        return tuple(tracks.values())

    def _closed(self, duration_s: float) -> Timeline:
        if not 0 < duration_s < math.inf:
            raise TimelineError(f"the audio is {duration_s:g} s long, expected more than 0 s")
        closed = []
        for i, segment in enumerate(self.segments):
            if segment.start_s >= duration_s:
                raise segment.error(
                    f"the segment starts at {segment.start_s:g} s, expected a start before the end"
                    f" of the audio at {duration_s:g} s"
                )
            following = self.segments[i + 1].start_s if i + 1 < len(self.segments) else duration_s
            end_s = following if segment.end_s is None else segment.end_s
            closed.append(replace(segment, end_s=min(end_s, duration_s)))
        return Timeline(tuple(closed))


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
    if len(data) > MAX_TIMELINE_BYTES:
        raise TimelineError(f"{path}: more than {MAX_TIMELINE_BYTES} bytes, expected a short text file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise TimelineError(f"{path}:{line}:{column}: not a UTF-8 character, expected UTF-8 text") from error


def _azimuths(path: AzimuthPath, fraction: np.ndarray) -> np.ndarray:
    if not path.is_moving:
        return np.full(fraction.shape, path.start_deg)
    return np.array([path.at(f) for f in fraction.tolist()])


def _spans(segments: tuple[Segment, ...], duration_s: float) -> Iterator[Span]:
    """Segments with closed ends, and the time between them, from the beginning of the audio to its end."""
    at_s = 0.0
    for segment in segments:
        assert segment.end_s is not None
        if segment.start_s - at_s > _SHORTEST_GAP_S:
            yield Span(at_s, segment.start_s, {})
        yield Span(segment.start_s, segment.end_s, {clause.object: clause.azimuth for clause in segment.clauses})
        at_s = segment.end_s
    if duration_s - at_s > _SHORTEST_GAP_S:
        yield Span(at_s, duration_s, {})


def clock_time(seconds: float) -> str:
    """Minutes and seconds for people: "0:03", "1:02.5", "1:02:03" from an hour on."""
    minutes, tenths = divmod(round(10 * seconds), 600)
    clock = f"{minutes // 60}:{minutes % 60:02d}" if minutes >= 60 else str(minutes)
    return f"{clock}:{tenths // 10:02d}" + (f".{tenths % 10}" if tenths % 10 else "")


def _format_seconds(seconds: float) -> str:
    return format(Decimal(repr(seconds)), "f")


class _Composer(yaml.SafeLoader):
    """YAML nodes without anchors, aliases, tags and depth, which a timeline does not need."""

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event = self.peek_event()
        if self.check_event(yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not supported", problem_mark=event.start_mark)
        if getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(problem="tags are not supported", problem_mark=event.start_mark)
        self.depth += 1
        if self.depth > 6:  # a timeline has four; two more let the reader say what it found instead
            raise yaml.MarkedYAMLError(problem="lists within lists", problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Document:
    """A timeline document. Scalars are read here, since to YAML `1:30` is 90 and `no` is false."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source

    def segments(self) -> Iterator[Segment]:
        """All segments in the order of the file."""
        root = self.compose()
        if root is None:
            raise TimelineError(f"{self.source}: the timeline is empty, expected `prompts:` and a list")
        top = self.mapping(root, ("prompts",), "`prompts:` and a list")
        if "prompts" not in top:
            raise self.error(root, "`prompts:` is missing, expected `prompts:` and a list")
        items = top["prompts"]
        if not isinstance(items, SequenceNode):
            raise self.error(items, "`prompts` is not a list, expected lines such as - {start: 0, text: ...}")
        if not items.value:
            raise self.error(items, "the list of prompts is empty, expected at least one segment")
        for item in items.value:
            yield self.segment(item)

    def segment(self, item: Node) -> Segment:
        """One entry of the list."""
        fields = self.mapping(item, _KEYS, "a segment such as {start: 0, end: 3.2, text: ...}")
        for key in ("start", "text"):
            if key not in fields:
                raise self.error(item, f"`{key}` is missing, expected a segment such as {{start: 0, text: ...}}")
        start_s = self.time(fields["start"], "start")
        end_s = None
        if "end" in fields and not self.is_null(fields["end"]):
            end_s = self.time(fields["end"], "end")
            if end_s <= start_s:
                what = f"the end is {end_s:g} s, expected a time after the start at {start_s:g} s"
                raise self.error(fields["end"], what)
        text = fields["text"]
        if not isinstance(text, ScalarNode) or not text.value.strip():
            raise self.error(text, "`text` is empty or not text, expected a prompt such as `cello on the left`")
        try:
            return Segment.from_prompt(start_s, end_s, text.value, self.where(item))
        except PromptError as error:
            raise self.error(text, str(error)) from error

    def time(self, node: Node, key: str) -> float:
        """Seconds of `8`, `8.25`, `1:30`, `00:01:30.5`."""
        value = node.value.strip() if isinstance(node, ScalarNode) else None
        match = _TIME.fullmatch(value) if value else None
        hours, minutes, seconds = (float(part or 0) for part in match.groups()) if match else (0, 0, math.inf)
        clock = match is not None and match[2] is not None
        total = 3600 * hours + 60 * minutes + seconds
        if not total < math.inf or (clock and seconds >= 60) or (match and match[1] and minutes >= 60):
            shown = f'"{value}"' if value else "not a time"
            raise self.error(node, f"`{key}` is {shown}, expected seconds of at least 0, or [HH:]MM:SS[.fff]")
        return total

    def mapping(self, node: Node, keys: tuple[str, ...], expected: str) -> dict[str, Node]:
        """Fields by their name, each known and there once."""
        if not isinstance(node, MappingNode):
            raise self.error(node, f"found {_KINDS.get(type(node), 'text')}, expected {expected}")
        fields: dict[str, Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, ScalarNode) else "?"
            if name not in keys:
                close = difflib.get_close_matches(name.lower(), keys, n=1, cutoff=0.5)
                hint = f"did you mean `{close[0]}`?" if close else f"expected {', '.join(keys)}"
                raise self.error(key, f"unknown key `{name}`, {hint}")
            if name in fields:
                raise self.error(key, f"`{name}` is given twice, expected it once")
            fields[name] = value
        return fields

    def compose(self) -> Node | None:
        """The YAML nodes of the only document, or None."""
        try:
            composer = _Composer(self.text)
            try:
                return composer.get_single_node()
            finally:
                composer.dispose()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"{self.source}:{mark.line + 1}:{mark.column + 1}" if mark else self.source
            raise TimelineError(f"{where}: {error.problem}, expected plain YAML") from error
        except yaml.reader.ReaderError as error:
            line = self.text.count("\n", 0, error.position) + 1
            column = error.position - self.text.rfind("\n", 0, error.position)
            raise TimelineError(
                f"{self.source}:{line}:{column}: a character that YAML does not allow, expected plain text"
            ) from error

    @staticmethod
    def is_null(node: Node) -> bool:
        """Whether a field is there without a value."""
        return isinstance(node, ScalarNode) and node.style is None and node.value in ("", "~", "null")

    def where(self, node: Node) -> str:
        """Position of a node, for messages."""
        return f"{self.source}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"

    def error(self, node: Node, what: str) -> TimelineError:
        """An error at a node."""
        return TimelineError(f"{self.where(node)}: {what}")


_KINDS: dict[type[Node], str] = {SequenceNode: "a list", MappingNode: "fields", ScalarNode: "text"}

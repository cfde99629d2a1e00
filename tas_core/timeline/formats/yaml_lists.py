"""YAML: a list of prompts with their times.

::

    prompts:
      - {start: 0.0, end: 3.2, text: "cello on the left, piano on the right"}
      - {start: 3.2, end: 8.0, text: "the cello moves from the left to the right"}
      - {start: "0:08", text: "a man talking 30 degrees to the left"}   # open end

Above or below them, ``sources:`` names files of the sounds of objects, relative to the timeline's folder::

    sources:
      cello: cello.wav
      piano: {file: piano.flac, start: 3.2, gain_db: -3}

and ``room:``, there for the whole scene or in a segment for it, says where all this sounds::

    room: church
    room: {rt60: 1.2, size: [9, 6, 3]}   # reverberation time in seconds; length, width and height in metres

Times are seconds or ``[HH:]MM:SS[.fff]``, with or without quotes.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tas_core.errors import PromptError, TimelineError
from tas_core.system.files import is_url
from tas_core.timeline.clock import EXPECTED, clock_seconds
from tas_core.timeline.formats.lines import file_lines
from tas_core.timeline.rooms import RoomChoice
from tas_core.timeline.segments import Segment, Timeline
from tas_core.timeline.sources import SourceFile

_KEYS = ("start", "end", "text", "room")
_ROOM = "a room by name, such as church, or fields such as {rt60: 1.2, size: [9, 6, 3]}"
_SOURCE_KEYS = ("file", "start", "gain_db")
_SOURCE = "a file, or fields such as {file: cello.wav, start: 3.2, gain_db: -3}"
_DECIBELS = re.compile(r"[-+]?\d+(?:\.\d*)?", re.ASCII)
_TEXT = re.compile(r"(?:^|[\s{,-])text:\s+(?P<text>\S.*)$")
_FIELD = re.compile(r"\s*(?:start|end|room):[^,}]*")
"""What may follow a text in braces."""
_WHOLE = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')\s*(?:#.*)?""")
_BLOCK = re.compile(r"[|>][+-]?\d?")
_NEEDS_QUOTES = re.compile(r"""^[-?:,\[\]{}#&*!|>'"%@`]|:(?:\s|$)|\s\#|[,\[\]{}]""")
"""What YAML takes for a sign of its own; a comma and brackets count in braces alone."""
_GLUED = re.compile(r"(?:^|[\s{,-])(start|end|text):[^\s]")
_COMMENT = re.compile(r"\s*#(\S.*)")


def read_yaml(text: str, source: str) -> list[Segment]:
    """The segments of a YAML document, at least one.

    Args:
        text: the document.
        source: its name, for messages.

    Raises:
        TimelineError: "source:line:column: what, expected what".
    """
    return list(_Document(text, source).segments())


def read_yaml_sources(text: str, source: str) -> tuple[SourceFile, ...]:
    """The sources of a YAML document; none if it names none. Arguments and errors as for :func:`read_yaml`."""
    return tuple(_Document(text, source).sources()) if "sources" in text else ()


class SegmentMarks(NamedTuple):
    """Where in a document the values of a segment stand: numbers of their first characters and of those behind."""

    first: int
    """Of the segment, behind its dash."""
    stop: int
    """Behind its last value, and a brace."""
    column: int
    """Of its first key, from 0 on."""
    in_braces: bool
    values: dict[str, tuple[int, int]]


def yaml_marks(text: str, source: str) -> list[SegmentMarks]:
    """Where the segments of a YAML document stand, in the order of the file.

    Arguments and errors as for :func:`read_yaml`; it has been read.
    """
    root = _Document(text, source).compose()
    (items,) = (v for k, v in root.value if k.value == "prompts") if isinstance(root, MappingNode) else (None,)
    found = []
    for item in items.value if isinstance(items, SequenceNode) else ():
        values = {key.value: (value.start_mark.index, value.end_mark.index) for key, value in item.value}
        stop = item.end_mark.index if item.flow_style else max(end for _, end in values.values())
        found.append(SegmentMarks(item.start_mark.index, stop, item.start_mark.column, bool(item.flow_style), values))
    return found


def format_yaml(timeline: Timeline) -> str:
    """A timeline as YAML, a line for each source and segment; its times are exact."""
    lines = ["sources:"] if timeline.sources else []
    for item in timeline.sources:
        gain = f", gain_db: {format_seconds(item.gain_db)}" if item.gain_db else ""
        start = f", start: {format_seconds(item.start_s)}" if item.start_s else ""
        lines.append(f"  {quoted(item.name)}: {{file: {quoted(str(item.file))}{start}{gain}}}")
    lines.append("prompts:")
    lines += [f"  - {format_segment(segment)}" for segment in timeline.segments]
    return "\n".join(lines) + "\n"


def format_segment(segment: Segment) -> str:
    """A segment as YAML in braces; its times are exact."""
    end = "" if segment.end_s is None else f"end: {format_seconds(segment.end_s)}, "
    room = "" if segment.room_in_text else f", room: {_format_room(segment.room)}"
    return f"{{start: {format_seconds(segment.start_s)}, {end}text: {quoted(segment.text)}{room}}}"


def _format_room(room: RoomChoice | None) -> str:
    if room is None or room.name:
        return quoted(room.name) if room else "null"
    size = ", ".join(map(format_seconds, room.size_m or ()))
    return f"{{rt60: {format_seconds(room.rt60_s or 0.0)}, size: [{size}]}}"


def quoted(text: str) -> str:
    """A text in double quotes, on one line."""
    return str(yaml.safe_dump(text, default_style='"', allow_unicode=True, width=math.inf)).strip()


def _without_fields(text: str) -> str:
    """A text without the fields and brackets that follow it."""
    bare = text.rstrip()
    inside = (bare[:-1].rstrip() if bare.endswith("]") else bare).removesuffix("}")
    if inside == bare or bare.endswith("]") and not bare[:-1].rstrip().endswith("}"):
        return bare
    stop = len(inside)
    while (comma := inside.rfind(",", 0, stop)) >= 0 and _FIELD.fullmatch(inside, comma + 1, stop):
        stop = comma
    return inside[:stop].rstrip()


def _in_quotes(text: str) -> str:
    """The text of a line in quotes; nothing if it needs none, or has them."""
    bare = _without_fields(text)
    if _WHOLE.fullmatch(bare) or _BLOCK.fullmatch(bare) or not _NEEDS_QUOTES.search(bare):
        return ""
    if bare[0] in "\"'" and bare.count(bare[0]) == 1:  # one that is not closed
        return ""
    if '"' not in bare and "\\" not in bare:
        return f'"{bare}"'
    return "'" + bare.replace("'", "''") + "'"


def format_seconds(seconds: float) -> str:
    """A number, exactly."""
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


@lru_cache(maxsize=1)
def _root(text: str) -> Node | None:
    """The YAML nodes of the only document, kept for the second look at it: for what it says, and for its sources."""
    composer = _Composer(text)
    try:
        return composer.get_single_node()
    finally:
        composer.dispose()


class _Document:
    """A timeline document. Scalars are read here, since to YAML `1:30` is 90 and `no` is false."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.lines = file_lines(text)
        self.source = source

    def segments(self) -> Iterator[Segment]:
        """All segments in the order of the file."""
        root = self.compose()
        if root is None:
            raise TimelineError(f"{self.source}: the timeline is empty, expected `prompts:` and a list")
        top = self.mapping(root, ("prompts", "sources", "room"), "`prompts:` and a list")
        if "prompts" not in top:
            raise self.error(root, "`prompts:` is missing, expected `prompts:` and a list")
        items = top["prompts"]
        if not isinstance(items, SequenceNode):
            raise self.error(items, "`prompts` is not a list, expected lines such as - {start: 0, text: ...}")
        if not items.value:
            raise self.error(items, "the list of prompts is empty, expected at least one segment")
        room = self.room(top["room"]) if "room" in top else None
        for item in items.value:
            segment = self.segment(item)
            yield replace(segment, room=segment.room or room)

    def sources(self) -> Iterator[SourceFile]:
        """All sources in the order of the file."""
        root = self.compose()
        for key, node in root.value if isinstance(root, MappingNode) else ():
            if not isinstance(key, ScalarNode) or key.value != "sources":
                continue
            if not isinstance(node, MappingNode) or not node.value:
                raise self.error(node, f"`sources` are not names with files, expected for each object {_SOURCE}")
            names: set[str] = set()
            for name, value in node.value:
                if not isinstance(name, ScalarNode) or not name.value.strip():
                    raise self.error(name, "the name of a source is not text, expected that of an object")
                if name.value in names:
                    raise self.error(name, f"the source `{name.value}` is given twice, expected it once")
                names.add(name.value)
                yield self.source_file(name, value)

    def source_file(self, name: ScalarNode, value: Node) -> SourceFile:
        """One entry of the sources."""
        fields = {"file": value} if isinstance(value, ScalarNode) else self.mapping(value, _SOURCE_KEYS, _SOURCE)
        file = fields.get("file", value)
        if not isinstance(file, ScalarNode) or not file.value.strip() or "\0" in file.value:
            raise self.error(file, f"source `{name.value}` has no file, expected {_SOURCE}")
        if is_url(file.value):
            raise self.error(file, f"source `{name.value}` is at an address, {file.value}, expected a path")
        gain = fields.get("gain_db")
        said = gain.value.strip() if isinstance(gain, ScalarNode) else ""
        if gain is not None and not _DECIBELS.fullmatch(said):
            raise self.error(gain, f"`gain_db` is no number of decibels, expected {_SOURCE}")
        start_s = self.time(fields["start"], "start") if "start" in fields else 0.0
        path = Path(self.source).parent / file.value
        return SourceFile(name.value, path, start_s, float(said or 0), self.where(name))

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
            expected = self.quotes(text) or "expected a prompt such as `cello on the left; piano on the right`"
            raise self.error(text, f"`text` is empty or not text, {expected}")
        try:
            segment = Segment.from_prompt(start_s, end_s, text.value, self.where(item))
        except PromptError as error:
            raise self.error(text, str(error)) from error
        if "room" in fields and not self.is_null(fields["room"]):
            room = self.room(fields["room"])
            if segment.room not in (None, room):
                what = (
                    f"the text puts it {_where(segment.room)}, and `room` {_where(room)}, expected one room at a time"
                )
                raise self.error(fields["room"], what)
            segment = replace(segment, room=room)
        comment = _COMMENT.match(self.line(text.end_mark.line), text.end_mark.column)
        if text.style is None and comment:
            said = (
                f'what follows # is a comment: "{comment[1].strip()}" is left out; if it belongs to the text, quote it'
            )
            segment = replace(segment, notes=(*segment.notes, said))
        return segment

    def room(self, node: Node) -> RoomChoice:
        """A room by its name, or by its reverberation time and size."""
        try:
            if isinstance(node, ScalarNode):
                return RoomChoice.by_name(node.value.strip().lower())
            fields = self.mapping(node, ("rt60", "size"), _ROOM)
            if set(fields) != {"rt60", "size"}:
                raise self.error(node, f"a room without `{'size' if 'rt60' in fields else 'rt60'}`, expected {_ROOM}")
            size = fields["size"].value if isinstance(fields["size"], SequenceNode) else []
            numbers = [self.number(each) for each in (fields["rt60"], *size)]
            if len(numbers) != 4:
                raise self.error(fields["size"], f"`size` is not three lengths in metres, expected {_ROOM}")
            return RoomChoice("", numbers[0], (numbers[1], numbers[2], numbers[3]))
        except PromptError as error:
            raise self.error(node, f"`room`: {error}") from error

    def number(self, node: Node) -> float:
        """A number."""
        value = node.value.strip() if isinstance(node, ScalarNode) else ""
        if not _DECIBELS.fullmatch(value):
            raise self.error(node, f"`{value}` is no number, expected {_ROOM}")
        return float(value)

    def quotes(self, node: Node) -> str:
        """How the text of a line would be quoted, if it is not; else nothing."""
        found = _TEXT.search(self.line(node.start_mark.line))
        quoted = _in_quotes(found["text"]) if found else ""
        return f"put the text in quotes: text: {quoted}" if quoted else ""

    def time(self, node: Node, key: str) -> float:
        """Seconds of a time, which YAML might take for a number."""
        value = node.value.strip() if isinstance(node, ScalarNode) else ""
        if (seconds := clock_seconds(value)) is None:
            shown = f'"{value}"' if value else "not a time"
            raise self.error(node, f"`{key}` is {shown}, expected {EXPECTED}")
        return seconds

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
                if "text" in fields and (quoted := self.quotes(key)):  # "text: cello left, piano right" in braces
                    hint = f"{hint}; or {quoted}"
                if name.split(":")[0] in keys:
                    hint = f"expected a space behind `{name.split(':')[0]}:`"
                raise self.error(key, f"unknown key `{name}`, {hint}")
            if name in fields:
                raise self.error(key, f"`{name}` is given twice, expected it once")
            fields[name] = value
        return fields

    def compose(self) -> Node | None:
        """The YAML nodes of the only document, or None."""
        try:
            return _root(self.text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"{self.source}:{mark.line + 1}:{mark.column + 1}" if mark else self.source
            expected = self.remedy(mark.line if mark else 0)
            raise TimelineError(f"{where}: {error.problem}, expected {expected}") from error
        except yaml.reader.ReaderError as error:
            line = self.text.count("\n", 0, error.position) + 1
            column = error.position - self.text.rfind("\n", 0, error.position)
            raise TimelineError(
                f"{self.source}:{line}:{column}: a character that YAML does not allow,"
                f" {self.text[error.position]}, expected plain text"
            ) from error

    def line(self, number: int) -> str:
        """A line, counted from 0; nothing where YAML counts more of them."""
        return self.lines[number] if number < len(self.lines) else ""

    def remedy(self, line: int) -> str:
        """What is expected where YAML cannot be read at or before a line, counted from 0."""
        lines = self.lines[: line + 1][-4:]
        if lines and "\t" in lines[-1][: len(lines[-1]) - len(lines[-1].lstrip())]:
            return "plain YAML: spaces in front of a line, not tabs"
        for written in reversed(lines[-3:]):
            if found := _GLUED.search(written):
                return f"plain YAML: a space behind `{found[1]}:`"
        for first in range(len(lines) - 1, max(-1, len(lines) - 4), -1):
            if found := _TEXT.search(lines[first]):
                quoted = _in_quotes(" ".join([found["text"], *map(str.strip, lines[first + 1 :])]))
                return f"plain YAML; put the text in quotes: text: {quoted}" if quoted else "plain YAML"
        return "plain YAML"

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


def _where(room: RoomChoice | None) -> str:
    return f"in {room.name or room.words()}" if room else "in none"


_KINDS: dict[type[Node], str] = {SequenceNode: "a list", MappingNode: "fields", ScalarNode: "text"}

"""What hands do to a timeline: words, places, times; each gives another timeline or says why not.

Segments are known by their number in the order of time, from 0 on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

from tas_core.conventions import REFERENCE_M
from tas_core.errors import InputError
from tas_core.studio.drawing import Kind, View, straight_way, way_of_kind, way_of_line
from tas_core.system.configs import config_from_dict
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.prompts import Clause, read_prompt
from tas_core.timeline.rewording import prompt_in_words, reworded
from tas_core.timeline.segments import Segment, Timeline
from tas_core.timeline.sphere import SpherePath, SpherePoint

SHORTEST_S: Final = 0.01
"""Parts of a split segment are at least this long, seconds."""


class Operation(Protocol):
    """One change of a timeline."""

    def on(self, timeline: Timeline | None, duration_s: float) -> Timeline:
        """The changed timeline.

        Args:
            timeline: None while there is none.
            duration_s: length of the sound, seconds.

        Raises:
            InputError: it cannot be changed so.
        """
        ...


@dataclass(frozen=True)
class SetText:
    """Other words for a segment."""

    segment: int
    text: str

    def on(self, timeline: Timeline | None, duration_s: float) -> Timeline:  # noqa: ARG002, D102
        old = _segment(timeline, self.segment)
        return _with(timeline, self.segment, _said(old, self.text))


@dataclass(frozen=True)
class SetTimes:
    """Another start and end for a segment, seconds; an end of None is open: the next start, or the end of the sound."""

    segment: int
    start_s: float
    end_s: float | None

    def on(self, timeline: Timeline | None, duration_s: float) -> Timeline:  # noqa: D102
        if self.start_s >= duration_s:
            raise InputError(
                f"the segment would start at {self.start_s:g} s, expected a start before the end of the sound at"
                f" {duration_s:g} s"
            )
        old = _segment(timeline, self.segment)
        return _with(timeline, self.segment, replace(old, start_s=self.start_s, end_s=self.end_s))


@dataclass(frozen=True)
class Split:
    """Two segments out of one; movements go on where they were, to a tenth of a degree."""

    segment: int
    at_s: float

    def on(self, timeline: Timeline | None, duration_s: float) -> Timeline:  # noqa: D102
        old, end_s = _segment(timeline, self.segment), _end(timeline, self.segment, duration_s)
        if not old.start_s + SHORTEST_S <= self.at_s <= end_s - SHORTEST_S:
            raise InputError(
                f"a split at {self.at_s:g} s, expected a time within the segment, from {old.start_s:g} to {end_s:g} s"
            )
        fraction = (self.at_s - old.start_s) / (end_s - old.start_s)
        texts = [_part_of(old, *part, end_s - old.start_s) for part in ((0.0, fraction), (fraction, 1.0))]
        first = replace(_said(old, texts[0]), end_s=self.at_s)
        second = replace(_said(old, texts[1]), start_s=self.at_s)
        return _with(timeline, self.segment, first, second)


@dataclass(frozen=True)
class Join:
    """One segment out of two that follow each other, with the words of one of them."""

    segment: int
    words: Literal["first", "second"] = "first"

    def on(self, timeline: Timeline | None, duration_s: float) -> Timeline:  # noqa: ARG002, D102
        first, second = (_segment(timeline, number) for number in (self.segment, self.segment + 1))
        said = first if self.words == "first" else second
        joined = replace(said, start_s=first.start_s, end_s=second.end_s)
        return _with(timeline, self.segment, joined, replaced=2)


@dataclass(frozen=True)
class Add:
    """One more segment, where there is none."""

    start_s: float
    end_s: float | None
    text: str

    def on(self, timeline: Timeline | None, duration_s: float) -> Timeline:  # noqa: D102
        if self.start_s >= duration_s:
            raise InputError(f"a segment from {self.start_s:g} s on, and the sound ends at {duration_s:g} s")
        new = Segment.from_prompt(self.start_s, self.end_s, self.text)
        return Timeline((new,)) if timeline is None else replace(timeline, segments=(*timeline.segments, new))


@dataclass(frozen=True)
class Remove:
    """One segment less; its time is centred."""

    segment: int

    def on(self, timeline: Timeline | None, duration_s: float) -> Timeline:  # noqa: ARG002, D102
        _segment(timeline, self.segment)
        if timeline is not None and len(timeline.segments) == 1:
            raise InputError("it is the only segment, expected one to be left; its words can be others")
        return _with(timeline, self.segment)


@dataclass(frozen=True)
class Point:
    """A place: degrees, positive left and up; metres; 0 (a point) to 1 (all around)."""

    azimuth_deg: float
    elevation_deg: float = 0.0
    distance_m: float = REFERENCE_M
    spread: float = 0.0


@dataclass(frozen=True)
class PutObject:
    """Another place for an object of a segment, or a way from one place to another, in words of a person."""

    segment: int
    object: str
    start: Point
    end: Point | None = None

    def on(self, timeline: Timeline | None, duration_s: float) -> Timeline:  # noqa: ARG002, D102
        old = _segment(timeline, self.segment)
        return _put(timeline, self.segment, self.object, self._path(_path_of(old, self.object)))

    def _path(self, before: SpherePath | None) -> SpherePath:
        """Where it is to be: what circles, or passes something on its way, still does unless it is to stay."""
        ends = (self.start, self.end or self.start)
        start, end = (SpherePoint(p.azimuth_deg, p.elevation_deg, p.distance_m, p.spread) for p in ends)
        if before is not None and self.end is not None and before.in_plane is None:
            if before.is_circle or before.via is not None:
                return replace(before, start=start, end=end)
        return straight_way(start, end)


@dataclass(frozen=True)
class DrawWay:
    """A line that a hand has drawn for an object, see :mod:`tas_core.studio.drawing`, as the nearest sentence."""

    segment: int
    object: str
    line: tuple[tuple[float, float], ...]
    view: View = "above"

    def on(self, timeline: Timeline | None, duration_s: float) -> Timeline:  # noqa: D102
        old = _segment(timeline, self.segment)
        length_s = _end(timeline, self.segment, duration_s) - old.start_s
        before = _path_of(old, self.object) or SpherePath.fixed(SpherePoint(0.0))
        path = way_of_line(self.line, self.view, before, length_s)
        return _put(timeline, self.segment, self.object, path)


@dataclass(frozen=True)
class ChooseWay:
    """A way of a kind for an object, from where it begins now."""

    segment: int
    object: str
    way: Kind

    def on(self, timeline: Timeline | None, duration_s: float) -> Timeline:  # noqa: ARG002, D102
        before = _path_of(_segment(timeline, self.segment), self.object) or SpherePath.fixed(SpherePoint(0.0))
        return _put(timeline, self.segment, self.object, way_of_kind(self.way, before))


KINDS: Final[Mapping[str, type]] = {
    "text": SetText,
    "times": SetTimes,
    "split": Split,
    "join": Join,
    "add": Add,
    "remove": Remove,
    "put": PutObject,
    "draw": DrawWay,
    "way": ChooseWay,
}
"""By the names that a page has for them."""


def read_operation(asked: Mapping[str, Any]) -> Operation:
    """The operation that parsed JSON asks for: ``kind``, one of :data:`KINDS`, and the fields of that.

    Raises:
        InputError: another kind, or other fields.
    """
    kind = asked.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"a change of the kind {kind!r}, expected one of {', '.join(KINDS)}")
    fields = {name: value for name, value in asked.items() if name != "kind"}
    operation: Operation = config_from_dict(KINDS[kind], fields, f"change '{kind}'", InputError)
    return operation


def _segment(timeline: Timeline | None, number: int) -> Segment:
    count = 0 if timeline is None else len(timeline.segments)
    if timeline is None or not 0 <= number < count:
        raise InputError(f"no segment {number + 1}: there are {count}")
    return timeline.segments[number]


def _end(timeline: Timeline | None, number: int, duration_s: float) -> float:
    """When a segment ends, seconds."""
    assert timeline is not None
    segment, following = timeline.segments[number], timeline.segments[number + 1 : number + 2]
    if segment.end_s is not None:
        return min(segment.end_s, duration_s)
    return following[0].start_s if following else duration_s


def _with(timeline: Timeline | None, number: int, *segments: Segment, replaced: int = 1) -> Timeline:
    """A timeline with others in place of some of its segments."""
    assert timeline is not None
    there = timeline.segments
    return replace(timeline, segments=(*there[:number], *segments, *there[number + replaced :]))


def _path_of(segment: Segment, name: str) -> SpherePath | None:
    """Where an object of a segment is; None if it is none of it."""
    return next((clause.path for clause in read_prompt(segment.text).clauses if clause.object == name), None)


def _put(timeline: Timeline | None, number: int, name: str, path: SpherePath) -> Timeline:
    """A timeline with an object of a segment elsewhere."""
    old = _segment(timeline, number)
    return _with(timeline, number, _said(old, reworded(old.text, name, path)))


def _said(segment: Segment, text: str) -> Segment:
    """A segment with other words; a room that no words said stays."""
    new = Segment.from_prompt(segment.start_s, segment.end_s, text, segment.where)
    return new if segment.room_in_text else replace(new, room=segment.room)


def _part_of(segment: Segment, first: float, last: float, duration_s: float) -> str:
    """The words of a part of a segment, as they are where nothing in it moves."""
    said = read_prompt(segment.text)
    if not any(clause.path.is_moving or clause.gain.is_moving for clause in said.clauses) and not said.rest.is_moving:
        return segment.text
    clauses = tuple(_rounded(clause.part(first, last, duration_s)) for clause in said.clauses)
    return prompt_in_words(clauses, replace(said, rest=said.rest.part(first, last)))


def _rounded(clause: Clause) -> Clause:
    """A clause with numbers that a person would write."""
    gain = replace(clause.gain, start_db=round(clause.gain.start_db, 1), end_db=round(clause.gain.end_db, 1))
    if clause.sphere is None:
        azimuth = AzimuthPath(round(clause.azimuth.start_deg, 1), round(clause.azimuth.end_deg, 1))
        return replace(clause, azimuth=azimuth, gain=gain)
    path = clause.sphere
    ends = (_rounded_point(path.start), _rounded_point(path.end))
    turns = round(path.turns, 4)
    return Clause.on_sphere(clause.object, replace(path, start=ends[0], end=ends[1], turns=turns), gain)


def _rounded_point(point: SpherePoint) -> SpherePoint:
    azimuth_deg, elevation_deg = round(point.azimuth_deg, 1), round(point.elevation_deg, 1)
    return SpherePoint(azimuth_deg, elevation_deg, round(point.distance_m, 2), round(point.spread, 2))

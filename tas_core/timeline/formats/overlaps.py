"""Cues and labels that overlap: those that only just do meet, and those that hold at once become one segment of both.

A timeline has one prompt at any time. Subtitle editors and label tracks do not: cues reach into the next by a frame,
two cues stand at one time, a label lies within another. Only who writes numbers by hand, in YAML, is held to them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from tas_core.errors import PromptError
from tas_core.timeline.gains import AS_IT_IS, GainPath
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.prompts import Clause, format_prompt, read_prompt
from tas_core.timeline.rooms import RoomChoice
from tas_core.timeline.segments import Segment

MOST_JOINED_S: Final = 0.05
"""Neighbours that overlap by no more than this meet where the later begins: a frame of 20 per second."""

MOST_AT_ONCE: Final = 100
"""More prompts than this are not read as one: each moment has to be compared with all of them."""

_ROUNDING_S: Final = 1e-6


class _Span(NamedTuple):
    """A segment with a closed end, which is infinite for the end of the audio."""

    start_s: float
    end_s: float
    segment: Segment


def without_overlaps(segments: Sequence[Segment]) -> list[Segment]:
    """Segments in the order of time of which no two hold at once; those that overlap with none are as they were.

    Args:
        segments: in any order. One with an open end holds until the next that starts later.

    Returns:
        What was joined and what was merged says so in its notes. A movement that others cut in pieces goes on
        through them at its own speed.

    Raises:
        TimelineError: two that hold at once put one object in two places.
    """
    ordered = sorted(segments, key=_start_s)
    joined = [_joined(segment, ordered) for segment in ordered]
    moved = [i for i, segment in enumerate(joined) if segment is not ordered[i]]
    if moved:
        first = ordered[moved[0]]
        at = bisect_left(ordered, joined[moved[0]].end_s or 0.0, key=_start_s)
        overlap_ms = 1000 * ((first.end_s or 0.0) - joined[at].start_s)
        note = f"the one before{_in(first)} overlaps by {overlap_ms:.0f} ms; it ends where this begins"
        joined[at] = _noted(joined[at], note, len(moved) - 1)
    found: list[Segment] = []
    together: list[int] = []
    for group in _groups([_Span(s.start_s, _end_s(s, joined), s) for s in joined]):
        for start_s, end_s, there in _pieces(group):
            together += [len(found)] if len(there) > 1 else []
            found.append(there[0].segment if len(group) == 1 else _merged(there, start_s, end_s))
    if together:
        i = together[0]
        end = "the end" if found[i].end_s is None else f"{found[i].end_s:g} s"
        said = f"several prompts hold at once, from {found[i].start_s:g} s to {end}; they are read as one"
        found[i] = _noted(found[i], said, len(together) - 1)
    return found


def _in(segment: Segment) -> str:
    return f" ({segment.where})" if segment.where else ""


def _noted(segment: Segment, note: str, others: int) -> Segment:
    """A segment with a note, which counts others of its kind in place of a line for each."""
    more = f"; so at {others} more place{'s' * (others > 1)}" if others else ""
    return replace(segment, notes=(*segment.notes, note + more))


def _joined(segment: Segment, ordered: Sequence[Segment]) -> Segment:
    """A segment that ends where the next begins if it reached into it by a little."""
    if segment.end_s is None:
        return segment
    first = bisect_left(ordered, segment.end_s - MOST_JOINED_S - _ROUNDING_S, key=_start_s)
    first = max(first, bisect_right(ordered, segment.start_s, key=_start_s))
    for later in ordered[first : bisect_left(ordered, segment.end_s, key=_start_s)]:
        if later.end_s is None or later.end_s >= segment.end_s:
            return replace(segment, end_s=later.start_s)
    return segment


def _start_s(segment: Segment) -> float:
    return segment.start_s


def _end_s(segment: Segment, ordered: Sequence[Segment]) -> float:
    if segment.end_s is not None:
        return segment.end_s
    following = bisect_right(ordered, segment.start_s, key=_start_s)
    return ordered[following].start_s if following < len(ordered) else math.inf


def _groups(spans: Sequence[_Span]) -> Iterator[list[_Span]]:
    """Spans that hang together by overlaps, in the order of time."""
    group: list[_Span] = []
    end_s = 0.0
    for span in spans:
        if group and span.start_s >= end_s:
            yield group
            group = []
        group.append(span)
        end_s = max(end_s, span.end_s)
    if group:
        yield group


def _pieces(group: Sequence[_Span]) -> Iterator[tuple[float, float, list[_Span]]]:
    """Each start or end in a group, the next, and what holds between them.

    Raises:
        TimelineError: more than :data:`MOST_AT_ONCE` hold.
    """
    edges_s = sorted({time_s for span in group for time_s in (span.start_s, span.end_s)})
    there: list[_Span] = []
    begun = 0
    for start_s, end_s in zip(edges_s, edges_s[1:], strict=False):
        there = [span for span in there if span.end_s > start_s]
        while begun < len(group) and group[begun].start_s <= start_s:
            there.append(group[begun])
            begun += 1
        if len(there) > MOST_AT_ONCE:
            raise there[-1].segment.error(
                f"{len(there)} prompts hold at once, from {start_s:g} s on, expected at most {MOST_AT_ONCE}"
            )
        yield start_s, end_s, there


def _merged(there: Sequence[_Span], start_s: float, end_s: float) -> Segment:
    """One segment of all that hold from ``start_s`` to ``end_s``."""
    clauses: dict[str, Clause] = {}
    for span in there:
        for clause in (_part(c, span, start_s, end_s) for c in span.segment.clauses):
            if clauses.setdefault(clause.object, clause) != clause:
                other = next(s.segment for s in there if clause.object in {c.object for c in s.segment.clauses})
                what = "put in another place" if clauses[clause.object].gain == clause.gain else "at another level"
                raise span.segment.error(
                    f'"{clause.object}" is {what} than at the same time before{_in(other)},'
                    f" from {start_s:g} s on, expected no overlap"
                )
    said, rest = tuple(clauses.values()), _rest(there, start_s, end_s)
    notes = tuple(note for span in there if span.start_s == start_s for note in span.segment.notes)
    room = _room(there, start_s)
    text = _text([span.segment.text for span in there], said, rest, room)
    end = None if end_s == math.inf else end_s
    return Segment(start_s, end, text, said, there[-1].segment.where, notes, rest, room)


def _room(there: Sequence[_Span], start_s: float) -> RoomChoice | None:
    """The room of segments which hold at once.

    Raises:
        TimelineError: two are in different ones.
    """
    found = None
    for span in there:
        room = span.segment.room
        if found and room and room != found:
            raise span.segment.error(
                f"in another room ({room.words()}) than at the same time before ({found.words()}),"
                f" from {start_s:g} s on, expected one room at a time"
            )
        found = found or room
    return found


def _rest(there: Sequence[_Span], start_s: float, end_s: float) -> GainPath:
    """The gain of all that segments which hold at once do not name: of those that give it one.

    Raises:
        TimelineError: two give it different ones.
    """
    found = AS_IT_IS
    for span in (span for span in there if span.segment.rest.changes_level):
        rest = _gain_part(span.segment.rest, span, start_s, end_s)
        if found.changes_level and found != rest:
            raise span.segment.error(
                f"all that is not named is at another level than at the same time before, from {start_s:g} s on,"
                " expected no overlap"
            )
        found = rest
    return found


def _part(clause: Clause, span: _Span, start_s: float, end_s: float) -> Clause:
    """The part of a clause that is gone from ``start_s`` to ``end_s``.

    Raises:
        TimelineError: nothing says when a movement, or a change of level, ends.
    """
    path, gain = clause.azimuth, _gain_part(clause.gain, span, start_s, end_s)
    if clause.sphere and clause.sphere.is_moving and (span.start_s, span.end_s) != (start_s, end_s):
        sphere = clause.sphere.part(*_fractions(span, start_s, end_s), span.end_s - span.start_s)
        return Clause.on_sphere(clause.object, sphere, gain)
    if path.is_moving and (span.start_s, span.end_s) != (start_s, end_s):
        path = AzimuthPath(*(round(path.at(f), 3) + 0.0 for f in _fractions(span, start_s, end_s)))
    return replace(clause, azimuth=path, gain=gain)


def _gain_part(gain: GainPath, span: _Span, start_s: float, end_s: float) -> GainPath:
    if not gain.is_moving or (span.start_s, span.end_s) == (start_s, end_s):
        return gain
    part = gain.part(*_fractions(span, start_s, end_s))
    return GainPath(round(part.start_db, 3), round(part.end_db, 3))


def _fractions(span: _Span, start_s: float, end_s: float) -> tuple[float, float]:
    if span.end_s == math.inf:
        raise span.segment.error("a movement without an end of its own overlaps with another prompt, expected an end")
    length_s = span.end_s - span.start_s
    return (start_s - span.start_s) / length_s, (end_s - span.start_s) / length_s


def _text(texts: Sequence[str], clauses: tuple[Clause, ...], rest: GainPath, room: RoomChoice | None) -> str:
    """Their own words where these mean the same together, else the same in degrees."""
    together = "\n".join(dict.fromkeys(texts))
    try:
        read = read_prompt(together)
        if (read.clauses, read.rest, read.room) == (clauses, rest, room):
            return together
    except PromptError:
        pass
    return format_prompt(clauses, rest, room)

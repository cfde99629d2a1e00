"""Timelines: which prompt holds when.

A timeline is a list of segments, each with a start, an end and a prompt; :mod:`tas_core.timeline.files` reads and
writes it. An open end is the start of the next segment, or the end of the audio. Time that no segment covers is
centered, and so is every object that the current segment does not name.
"""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from tas_core.conventions import LATEST_S, REFERENCE_M
from tas_core.errors import TimelineError
from tas_core.timeline.gains import AS_IT_IS, GainPath, between_db
from tas_core.timeline.matching import REST
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.prompts import Clause, mirror_prompt_text, read_prompt
from tas_core.timeline.rooms import RoomChoice
from tas_core.timeline.sources import SourceFile
from tas_core.timeline.sphere import Trace
from tas_core.timeline.sphere_words import format_point
from tas_core.timeline.transitions import REACH, Glide, Span, glides

END_TOLERANCE_S = 0.1
"""A last segment may outlast the audio by this much without a warning: one frame of 10 fps labels."""

SHORTEST_GAP_S = 1e-6
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
        notes: how doubtful words of the prompt were taken, one line each.
        rest: gain of all that it does not name.
        room: the room that it is in; None where none is said.

    Raises:
        TimelineError: a time is negative or not finite, or the end is not after the start.
    """

    start_s: float
    end_s: float | None
    text: str
    clauses: tuple[Clause, ...]
    where: str = field(default="", compare=False, repr=False)
    notes: tuple[str, ...] = field(default=(), compare=False, repr=False)
    rest: GainPath = AS_IT_IS
    room: RoomChoice | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_s", float(self.start_s) + 0.0)
        if not 0 <= self.start_s < math.inf:
            raise self.error(f"the start is {self.start_s:g} s, expected 0 or more")
        if self.end_s is not None:
            object.__setattr__(self, "end_s", float(self.end_s))
            if not self.start_s < self.end_s < math.inf:
                raise self.error(f"the end is {self.end_s:g} s, expected a time after the start at {self.start_s:g} s")
        for name, time_s in (("start", self.start_s), ("end", self.end_s)):
            if time_s is not None and time_s >= LATEST_S:
                raise self.error(f"the {name} is {time_s:g} s, expected less than {LATEST_S:g} s")

    @classmethod
    def from_prompt(cls, start_s: float, end_s: float | None, text: str, where: str = "") -> Segment:
        """A segment whose clauses are read from its text.

        Raises:
            TimelineError: for the times.
            PromptError: the text cannot be read.
        """
        said = read_prompt(text)
        return cls(start_s, end_s, text, said.clauses, where, said.notes, said.rest, said.room)

    def error(self, what: str) -> TimelineError:
        """An error that names the place in the file, if there is one."""
        return TimelineError(f"{self.where}: {what}" if self.where else what)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the end is None where it is open, gain of the rest and room are there if asked for."""
        rest = self.rest.as_dict() if self.rest.changes_level else {}
        return {
            "start_s": self.start_s,
            "end_s": self.end_s,
            "text": self.text,
            "clauses": tuple(clause.as_dict() for clause in self.clauses),
            **{f"rest_{name}": value for name, value in rest.items()},
            **({"room": self.room.as_dict()} if self.room else {}),
        }

    @property
    def changes_levels(self) -> bool:
        """Whether a gain other than 0 dB is asked for."""
        return self.rest.changes_level or any(clause.gain.changes_level for clause in self.clauses)

    @property
    def room_in_text(self) -> bool:
        """Whether its text says its room, so that a format without a field for it keeps it."""
        return self.room is None or read_prompt(self.text).room == self.room

    @property
    def needs_sphere(self) -> bool:
        """Whether anything in it asks for more than the frontal plane."""
        return (self.room is not None and not self.room.is_open) or any(clause.sphere for clause in self.clauses)

    def mirrored(self) -> Segment:
        """The same segment with left and right exchanged, in the text as well."""
        clauses = tuple(clause.mirrored() for clause in self.clauses)
        text = mirror_prompt_text(self.text)
        return replace(self, text=text, clauses=clauses, notes=read_prompt(text).notes)


@dataclass(frozen=True)
class Track:
    """One object over time.

    Args:
        object: the object phrase.
        azimuth_deg: (time,), degrees, positive is left; 0 where the object is inactive.
        active: (time,), bool, whether a prompt names the object at that time, or a transition has it on its way.
        gain_db: (time,), float64, dB, -inf is silence; where the object is inactive, the gain of all that is not named.
        placed: (time,), bool, whether a prompt gives the object a place at that time, rather than a gain alone.
        elevation_deg: (time,), degrees, -90 to 90, positive is up; None in a call means 0 throughout.
        distance_m: (time,), metres; None means that of sounds of which none is said.
        spread: (time,), 0 (a point) to 1 (all around); None means 0.

    Beyond the frontal plane azimuths are those of the whole circle, and go on counting while a sound goes around.
    """

    object: str
    azimuth_deg: np.ndarray
    active: np.ndarray
    gain_db: np.ndarray
    placed: np.ndarray
    elevation_deg: np.ndarray = None  # type: ignore[assignment]
    distance_m: np.ndarray = None  # type: ignore[assignment]
    spread: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        for name, value in (("elevation_deg", 0.0), ("distance_m", REFERENCE_M), ("spread", 0.0)):
            if getattr(self, name) is None:  # one number in memory, whatever the length
                object.__setattr__(self, name, np.broadcast_to(value, self.azimuth_deg.shape))

    @classmethod
    def nowhere(cls, name: str, rest_db: np.ndarray, *, on_sphere: bool = False) -> Track:
        """An object that no prompt names, at times of which ``rest_db`` (time) is the gain of such objects, dB.

        ``on_sphere`` makes room for elevations, distances and spreads to be set.
        """
        n = len(rest_db)
        beyond = (np.zeros(n), np.full(n, REFERENCE_M), np.zeros(n)) if on_sphere else ()
        return cls(name, np.zeros(n), np.zeros(n, bool), rest_db.copy(), np.zeros(n, bool), *beyond)

    def put(self, inside: np.ndarray, trace: Trace) -> None:
        """Set where the object is at some of its times."""
        self.azimuth_deg[inside] = trace.azimuth_deg
        self.elevation_deg[inside] = trace.elevation_deg
        self.distance_m[inside] = trace.distance_m
        self.spread[inside] = trace.spread

    def within(self, part: slice) -> Track:
        """The same at some of its times."""
        values = (self.azimuth_deg, self.active, self.gain_db, self.placed)
        beyond = (self.elevation_deg, self.distance_m, self.spread)
        return Track(self.object, *(value[part] for value in (*values, *beyond)))


@dataclass(frozen=True)
class Timeline:
    """Segments in the order of time, at least one, without overlap.

    Args:
        segments: in any order; sorted by their start.
        sources: files of the sounds of objects, where it names any.

    Raises:
        TimelineError: no segment, or two that overlap.
    """

    segments: tuple[Segment, ...]
    sources: tuple[SourceFile, ...] = ()

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

    @cached_property
    def objects(self) -> tuple[str, ...]:
        """Object phrases in the order in which they are first named."""
        return tuple(dict.fromkeys(clause.object for segment in self.segments for clause in segment.clauses))

    @cached_property
    def changes_levels(self) -> bool:
        """Whether a gain other than 0 dB is asked for anywhere."""
        return any(segment.changes_levels for segment in self.segments)

    @cached_property
    def needs_sphere(self) -> bool:
        """Whether anything asks for more than the frontal plane: behind, above, near, far, wide, or in a room."""
        return any(segment.needs_sphere for segment in self.segments)

    def require_plane(self) -> None:
        """See that the frontal plane is enough, where nothing else is measured, compared or drawn.

        Raises:
            TimelineError: something asks for more, and where.
        """
        way_out = "expected places in front, at ear level, without distances and rooms"
        for segment in self.segments if self.needs_sphere else ():
            for clause in segment.clauses:
                if clause.sphere:
                    where = format_point(clause.sphere.end if clause.sphere.start.is_frontal else clause.sphere.start)
                    around = " circles around," if clause.sphere.is_circle else ""
                    what = f'"{clause.object}"{around} at {where}: only the frontal plane is known here'
                    raise segment.error(f"{what}, {way_out}")
            if segment.room and not segment.room.is_open:
                raise segment.error(f"a room ({segment.room.words()}): none is known here, {way_out}")

    def mirrored(self) -> Timeline:
        """The same timeline with left and right exchanged."""
        return replace(self, segments=tuple(segment.mirrored() for segment in self.segments))

    def resolved(self, duration_s: float) -> Timeline:
        """The timeline for audio of a given length, with all ends closed.

        Args:
            duration_s: length of the audio, seconds, above 0.

        Warns:
            TimelineWarning: a segment outlasts the audio by more than 0.1 s; it is cut.

        Raises:
            TimelineError: a segment starts at or after the end of the audio.
        """
        closed = self._closed(duration_s)  # first, since a start after the end leaves nothing to be cut
        for segment in self.segments:
            if segment.end_s is not None and segment.end_s > duration_s + END_TOLERANCE_S:
                message = f"the segment ends at {segment.end_s:g} s, after the audio of {duration_s:g} s; it is cut"
                warnings.warn(str(segment.error(message)), TimelineWarning, stacklevel=2)
        return closed

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

    def cut_out(self, start_s: float, end_s: float) -> Timeline | None:
        """What holds from one time to another, with times from the first, and movements cut; None if nothing does.

        All ends have to be closed, as by :meth:`resolved`.
        """
        segments = []
        found = self.overlapping(start_s, end_s)
        for segment in found.segments if found is not None else ():
            assert segment.end_s is not None
            first_s, last_s = max(segment.start_s, start_s), min(segment.end_s, end_s)
            fractions = [(time_s - segment.start_s) / (segment.end_s - segment.start_s) for time_s in (first_s, last_s)]
            length_s = segment.end_s - segment.start_s
            first, last = fractions
            clauses = tuple(clause.part(first, last, length_s) for clause in segment.clauses)
            times_s, rest = (first_s - start_s, last_s - start_s), segment.rest.part(*fractions)
            segments.append(replace(segment, start_s=times_s[0], end_s=times_s[1], clauses=clauses, rest=rest))
        return Timeline(tuple(segments)) if segments else None

    def without_gaps(self, duration_s: float) -> Timeline:
        """Segments that meet halfway in the time between them, and reach from the beginning of the audio to its end.

        Args:
            duration_s: length of the audio, seconds, above 0.

        Returns:
            Which objects to listen for at any time. Places are not those of this timeline, since movements last as
            long as their segments.

        Raises:
            TimelineError: as :meth:`resolved`.
        """
        closed = self._closed(duration_s).segments
        ends_s, starts_s = [s.end_s or 0.0 for s in closed[:-1]], [s.start_s for s in closed[1:]]
        edges_s = [0.0, *((end_s + start_s) / 2 for end_s, start_s in zip(ends_s, starts_s, strict=True)), duration_s]
        return Timeline(
            tuple(
                replace(segment, start_s=start_s, end_s=end_s)
                for segment, start_s, end_s in zip(closed, edges_s[:-1], edges_s[1:], strict=True)
            )
        )

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
                :mod:`tas_core.timeline.transitions`.

        Returns:
            One track per object phrase, in the order in which they first appear.

        Raises:
            TimelineError: as :meth:`resolved`.
        """
        times_s = np.clip(np.asarray(times_s, dtype=np.float64), 0.0, math.nextafter(duration_s, 0.0))
        closed = self._closed(duration_s).segments
        gliding = tuple(glides(_spans(closed, duration_s), transition_s)) if transition_s > 0 else ()
        rest_db = _rest_gain_db(closed, gliding, times_s)
        tracks: dict[str, Track] = {}
        for segment in closed:
            inside, fraction = _within(segment.start_s, segment.end_s, times_s)
            for clause in segment.clauses:
                track = tracks.setdefault(clause.object, self._nowhere(clause.object, rest_db))
                if clause.sphere:
                    assert segment.end_s is not None
                    track.put(inside, clause.sphere.at(fraction, segment.end_s - segment.start_s))
                else:
                    track.azimuth_deg[inside] = _azimuths(clause.azimuth, fraction)
                track.active[inside] = True
                track.gain_db[inside] = clause.gain.at_db(fraction)
                track.placed[inside] = clause.is_placed
        for glide in gliding:
            inside, fraction = _within(glide.start_s, glide.end_s, times_s)
            for name, (from_deg, to_deg) in glide.azimuths_deg.items():
                tracks[name].azimuth_deg[inside] = from_deg + fraction * (to_deg - from_deg)
                tracks[name].active[inside] = tracks[name].placed[inside] = True
            for name, path in glide.paths.items():
                tracks[name].put(inside, path.at(fraction, glide.end_s - glide.start_s))
                tracks[name].active[inside] = tracks[name].placed[inside] = True
            for name, ends_db in glide.gains_db.items():
                tracks[name].gain_db[inside] = between_db(*ends_db, fraction)
                tracks[name].active[inside] = True
        return tuple(tracks.values())

    def corners_s(self, duration_s: float, *, transition_s: float = 0.0) -> tuple[float, ...]:
        """Moments at which a track of :meth:`tracks` may jump or turn, seconds, with both ends of the audio.

        Args:
            duration_s: length of the audio, seconds, above 0.
            transition_s: as for :meth:`tracks`.

        Raises:
            TimelineError: as :meth:`resolved`.
        """
        closed = self._closed(duration_s).segments
        spans = list(_spans(closed, duration_s))
        found = {0.0, duration_s, *(time_s for span in spans for time_s in (span.start_s, span.end_s))}
        for span in spans:
            for path in span.paths.values():
                found |= {span.start_s + corner * (span.end_s - span.start_s) for corner in path.corners}
        for glide in glides(spans, transition_s) if transition_s > 0 else ():
            found |= {glide.start_s, glide.end_s}
            for path in glide.paths.values():
                found |= {glide.start_s + corner * (glide.end_s - glide.start_s) for corner in path.corners}
        return tuple(sorted(found))

    def _nowhere(self, name: str, rest_db: np.ndarray) -> Track:
        return Track.nowhere(name, rest_db, on_sphere=self.needs_sphere)

    def rest_gain_db(self, times_s: np.ndarray, duration_s: float, *, transition_s: float = 0.0) -> np.ndarray:
        """Gain of all that no prompt names, (time) in dB; -inf is silence, 0 where no prompt holds.

        Arguments and errors as for :meth:`tracks`.
        """
        times_s = np.clip(np.asarray(times_s, dtype=np.float64), 0.0, math.nextafter(duration_s, 0.0))
        closed = self._closed(duration_s).segments
        gliding = glides(_spans(closed, duration_s), transition_s) if transition_s > 0 else ()
        return _rest_gain_db(closed, gliding, times_s)

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
        return replace(self, segments=tuple(closed))


def _azimuths(path: AzimuthPath, fraction: np.ndarray) -> np.ndarray:
    if not path.is_moving:
        return np.full(fraction.shape, path.start_deg)
    return np.array([path.at(f) for f in fraction.tolist()])


def _within(start_s: float, end_s: float | None, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which times (time) lie from a start to before an end, and how far in it those are, 0 to 1."""
    assert end_s is not None
    inside = (start_s <= times_s) & (times_s < end_s)
    return inside, (times_s[inside] - start_s) / (end_s - start_s)


def _rest_gain_db(segments: Iterable[Segment], gliding: Iterable[Glide], times_s: np.ndarray) -> np.ndarray:
    """Gain (time) of what no prompt names, dB."""
    gain_db = np.zeros(times_s.shape)
    for segment in segments:
        if segment.rest.changes_level:
            inside, fraction = _within(segment.start_s, segment.end_s, times_s)
            gain_db[inside] = segment.rest.at_db(fraction)
    for glide in gliding:
        if glide.rest_db is not None:
            inside, fraction = _within(glide.start_s, glide.end_s, times_s)
            gain_db[inside] = between_db(*glide.rest_db, fraction)
    return gain_db


def _spans(segments: tuple[Segment, ...], duration_s: float) -> Iterator[Span]:
    """Segments with closed ends, and the time between them, from the beginning of the audio to its end."""
    at_s = 0.0
    for segment in segments:
        assert segment.end_s is not None
        if segment.start_s - at_s > SHORTEST_GAP_S:
            yield Span(at_s, segment.start_s, {})
        places = {clause.object: clause.azimuth for clause in segment.clauses}
        gains = {clause.object: clause.gain for clause in segment.clauses}
        paths = {clause.object: clause.sphere for clause in segment.clauses if clause.sphere}
        yield Span(segment.start_s, segment.end_s, places, gains, segment.rest, paths)
        at_s = segment.end_s
    if duration_s - at_s > SHORTEST_GAP_S:
        yield Span(at_s, duration_s, {})


def stem_names(timeline: Timeline) -> tuple[str, ...]:
    """Names of stems: the objects in the order in which they are first named, then :data:`REST`."""
    return (*timeline.objects, REST)

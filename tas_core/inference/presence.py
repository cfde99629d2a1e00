"""Presence detection: which objects of a timeline are in the sound, and the fraction of its energy that each takes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from tas_core.timeline.clock import clock_time
from tas_core.timeline.segments import SHORTEST_GAP_S, Segment, Timeline

FOUND: Final = 0.4
"""An object counts as found from this presence on; low, since prompts mostly name what is there."""
_WINDOW_S: Final = 1.0


@dataclass(frozen=True)
class Detection:
    """Whether an object is in the sound, over a span in which the prompts name it without a break.

    Attributes:
        object: the object phrase.
        start_s: beginning of the span, seconds.
        end_s: its end.
        energy_share: fraction of the sound's energy in the object's estimated stem, 0 to 1; None in silence.
        presence: highest probability, over any second that is not silent, that the object sounds, 0 to 1; 0 in
            silence, None for a span too short to be looked at.
        confidence: calibrated probability that the object is in the sound and its estimated stem mostly it, 0 to 1,
            see :mod:`tas_core.models.calibration`; None in silence, for a span too short to be looked at, and from
            models without a calibration.
        doubtful: whether the confidence is so low that people should be told.
    """

    object: str
    start_s: float
    end_s: float
    energy_share: float | None
    presence: float | None
    confidence: float | None = None
    doubtful: bool = False

    @property
    def found(self) -> bool:
        """Whether the object is in the sound, as far as the model can tell."""
        return self.presence is None or self.presence >= FOUND

    @property
    def message(self) -> str:
        """What to say of an object that is not found, or that was and is doubtful."""
        span = f"from {clock_time(self.start_s)} to {clock_time(self.end_s)}"
        if not self.found or self.confidence is None:
            return f"no '{self.object}' found {span}"
        return (
            f"confidence of only {self.confidence:.2f} in '{self.object}' {span}: what was taken for it may be another"
            " sound; check that it is there, or name it in other words"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "found": self.found}


@dataclass
class _Energy:
    """Energy of an object's estimated stem, and of the whole sound."""

    taken: float = 0.0
    total: float = 0.0

    def add(self, taken: np.ndarray, total: np.ndarray) -> None:
        self.taken += float(taken.sum())
        self.total += float(total.sum())

    @property
    def fraction(self) -> float | None:
        return self.taken / self.total if self.total > 0 else None


class PresenceTracker:
    """Gathers presence and energy of every object, frame by frame and from beginning to end.

    Args:
        timeline: with all ends closed.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._segments = timeline.segments
        self._starts_s = [segment.start_s for segment in self._segments]
        self._by_segment: dict[tuple[int, str], _Energy] = {
            (number, clause.object): _Energy()
            for number, segment in enumerate(self._segments)
            for clause in segment.clauses
        }
        self._spans = object_spans(self._segments)
        self._span_starts_s = [start_s for _, start_s, _ in self._spans]
        self._by_span = [_Energy() for _ in self._spans]
        self._presence: list[list[np.ndarray]] = [[] for _ in self._spans]
        self._spacing_s = _WINDOW_S

    def add(
        self,
        times_s: np.ndarray,
        power: np.ndarray,
        taken: Mapping[str, np.ndarray],
        presence: Mapping[str, np.ndarray],
    ) -> None:
        """Take in the next frames.

        Args:
            times_s: middle of each frame (frame), evenly spaced, after those of the call before.
            power: of mid (frame), zero in silence.
            taken: power of each object's estimated stem, (frame) each.
            presence: probability that each object sounds around a frame, (frame) each.
        """
        if not len(times_s):
            return
        if len(times_s) > 1:
            self._spacing_s = float(times_s[1] - times_s[0])
        first_s, last_s = float(times_s[0]), float(times_s[-1])
        begin = max(0, bisect_right(self._starts_s, first_s) - 1)
        for number in range(begin, bisect_right(self._starts_s, last_s)):
            segment = self._segments[number]
            assert segment.end_s is not None
            inside = frames_inside(times_s, segment.start_s, segment.end_s)
            for clause in segment.clauses:
                if clause.object in taken:
                    self._by_segment[number, clause.object].add(taken[clause.object][inside], power[inside])
        for number in range(bisect_right(self._span_starts_s, last_s)):
            name, start_s, end_s = self._spans[number]
            if end_s <= first_s or name not in taken:
                continue
            inside = frames_inside(times_s, start_s, end_s)
            if inside.stop > inside.start:
                self._by_span[number].add(taken[name][inside], power[inside])
                sounds = power[inside] > 0
                self._presence[number].append(presence[name][inside][sounds].astype("f4"))

    def energy_share(self, segment: int, name: str) -> float | None:
        """Fraction of the energy of a segment (by its number) in an object's stem, 0 to 1; None in silence."""
        return self._by_segment[segment, name].fraction

    def detections(self) -> tuple[Detection, ...]:
        """One for each object and unbroken span, in the order of time."""
        size = max(1, round(_WINDOW_S / self._spacing_s))
        return tuple(
            Detection(name, start_s, end_s, energy.fraction, _highest_mean(parts, size))
            for (name, start_s, end_s), energy, parts in zip(self._spans, self._by_span, self._presence, strict=True)
        )


def within(items: Iterable[Detection], first_s: float, end_s: float) -> tuple[Detection, ...]:
    """Detections cut to a passage; those outside of it are left out."""
    return tuple(part for item in items if (part := part_within(item, first_s, end_s)))


def part_within(item: Detection, first_s: float, end_s: float) -> Detection | None:
    """A detection cut to a passage; None outside of it."""
    if item.start_s >= end_s or item.end_s <= first_s:
        return None
    return replace(item, start_s=max(item.start_s, first_s), end_s=min(item.end_s, end_s))


def frames_inside(times_s: np.ndarray, start_s: float, end_s: float) -> slice:
    """Frames whose middles (frame), in rising order, lie in a span."""
    return slice(bisect_left(times_s, start_s), bisect_left(times_s, end_s))


def _highest_mean(parts: list[np.ndarray], size: int) -> float | None:
    """Highest mean over ``size`` neighbours, or over all if there are fewer; 0 for none, None for no parts."""
    if not parts:
        return None
    values = np.concatenate(parts)
    if not len(values):
        return 0.0
    size = min(size, len(values))
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    return float(((sums[size:] - sums[:-size]) / size).max())


def object_spans(segments: tuple[Segment, ...]) -> list[tuple[str, float, float]]:
    """(object, start, end) of objects that segments without a gap between them name again and again.

    In the order in which the segments begin to name them.
    """
    found: list[tuple[str, float, float]] = []
    running: dict[str, int] = {}
    until_s = 0.0
    for segment in segments:
        assert segment.end_s is not None
        if segment.start_s > until_s + SHORTEST_GAP_S:
            running = {}
        before, running = running, {}
        for clause in segment.clauses:
            name = clause.object
            if name in running:
                continue
            number = before.get(name, len(found))
            if number == len(found):
                found.append((name, segment.start_s, segment.end_s))
            found[number] = (name, found[number][1], segment.end_s)
            running[name] = number
        until_s = segment.end_s
    return found

"""Where sounds are in what was heard: measured places beside those that were asked for.

On the frontal plane the measure is that of the report page (:mod:`tas_core.reporting.report.places`), all around it is
the ideal observer of :mod:`tas_core.evaluation.metrics.sphere`. Both know the stems, given or estimated; of what moves
they look at the first and the last quarter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tas_core.timeline.plain_words import point_in_words
from tas_core.timeline.prompts import Clause
from tas_core.timeline.segments import Segment, Timeline
from tas_core.timeline.sphere import SpherePoint

_PART: Final = 0.25
_NO_DIRECTION: Final = 0.5
"""Sounds that are at least so wide are nowhere in particular."""
_SWEEP_DEG: Final = 35.0


@dataclass(frozen=True)
class Heard:
    """A passage as it was rendered.

    Attributes:
        ears: (ear, time).
        mono: what it was made of (time).
        stems: object phrase -> (time), without what no prompt names.
        sample_rate_hz: of all of them.
        on_sphere: whether it was rendered all around.
    """

    ears: np.ndarray
    mono: np.ndarray
    stems: Mapping[str, np.ndarray]
    sample_rate_hz: int
    on_sphere: bool


@dataclass(frozen=True)
class Ghost:
    """A measured place.

    Attributes:
        object: the object phrase.
        part: "", or "first quarter" or "last quarter" of what moves.
        asked: the place that was asked for.
        azimuth_deg: measured, -180 to 180, positive left; None where nothing was.
        elevation_deg: measured; None on the plane, which has none.
        reason: why nothing was, or "".
    """

    object: str
    part: str
    asked: SpherePoint
    azimuth_deg: float | None = None
    elevation_deg: float | None = None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, both places in words as well."""
        measured = None
        if self.azimuth_deg is not None:
            measured = SpherePoint(round(self.azimuth_deg), round(self.elevation_deg or 0.0))
        direction = SpherePoint(round(self.asked.azimuth_deg), round(self.asked.elevation_deg))
        return {
            "object": self.object,
            "part": self.part,
            "asked": point_in_words(direction),
            "measured": None if measured is None else point_in_words(measured),
            "azimuth_deg": self.azimuth_deg,
            "elevation_deg": self.elevation_deg,
            "reason": self.reason,
        }


def measured(heard: Heard, timeline: Timeline) -> list[list[Ghost]]:
    """What is measured, for each segment of a timeline that begins and ends with the passage, all ends closed."""
    return _all_around(heard, timeline) if heard.on_sphere else _on_plane(heard, timeline)


def _on_plane(heard: Heard, timeline: Timeline) -> list[list[Ghost]]:
    from tas_core.reporting.report.places import measure_places

    found = []
    for said in measure_places(heard.ears, heard.sample_rate_hz, timeline, heard.mono, heard.stems):
        asked = [(place, SpherePoint(place.requested_deg)) for place in said.places]
        found.append([Ghost(p.object, p.part, at, p.measured_deg, None, p.reason) for p, at in asked])
    return found


def _all_around(heard: Heard, timeline: Timeline) -> list[list[Ghost]]:
    from tas_core.acoustics.hrtf import load_kemar
    from tas_core.evaluation.metrics.sphere import heard_sounds, sphere_observer
    from tas_core.reporting.report.places import NEEDS_STEMS, TOO_LITTLE

    names = list(heard.stems)
    spans: list[tuple[int, float, float]] = []
    found: list[list[Ghost | tuple[Ghost, int]]] = []
    for segment in timeline.segments:
        ghosts: list[Ghost | tuple[Ghost, int]] = []
        for clause in (clause for clause in segment.clauses if clause.is_placed):
            for part, start_s, end_s, asked in _parts(segment, clause):
                ghost = Ghost(clause.object, part, asked)
                length_s = (segment.end_s or 0.0) - segment.start_s
                shares = np.array([start_s - segment.start_s, end_s - segment.start_s]) / length_s
                reason = NEEDS_STEMS if clause.object not in names else _unmeasurable(segment, asked)
                if not reason and _sweeps(clause, shares, length_s):
                    reason = "too fast to be measured"
                if reason:
                    ghosts.append(Ghost(clause.object, part, asked, reason=reason))
                    continue
                ghosts.append((ghost, len(spans)))
                spans.append((names.index(clause.object), start_s, end_s))
        found.append(ghosts)
    if not spans:
        return [[each for each in ghosts if isinstance(each, Ghost)] for ghosts in found]
    rest = heard.mono - sum(heard.stems.values(), np.zeros(heard.mono.shape))
    sounds = np.stack([*heard.stems.values(), rest])
    observer = sphere_observer(load_kemar(), heard.sample_rate_hz)
    places = heard_sounds(observer, heard.ears, sounds, heard.sample_rate_hz, spans)

    def filled(each: Ghost | tuple[Ghost, int]) -> Ghost:
        if isinstance(each, Ghost):
            return each
        ghost, at = each
        place = places[at]
        if place is None:
            return Ghost(ghost.object, ghost.part, ghost.asked, reason=TOO_LITTLE)
        return Ghost(ghost.object, ghost.part, ghost.asked, place.azimuth_deg, place.elevation_deg)

    return [[filled(each) for each in ghosts] for ghosts in found]


def _unmeasurable(segment: Segment, asked: SpherePoint) -> str:
    if asked.spread >= _NO_DIRECTION:
        return "wide, and in no direction"
    if segment.room is not None and not segment.room.is_open:
        return "not measured in a room"
    return ""


def _sweeps(clause: Clause, shares: np.ndarray, length_s: float) -> bool:
    """Whether it turns so far between two shares of its way that no one direction stands for it."""
    trace = clause.path.at(np.linspace(float(shares[0]), float(shares[1]), 9), length_s)
    points = [SpherePoint(float(a), float(e)) for a, e in zip(trace.azimuth_deg, trace.elevation_deg, strict=True)]
    return max(points[4].angle_to_deg(point) for point in points) > _SWEEP_DEG


def _parts(segment: Segment, clause: Clause) -> Iterator[tuple[str, float, float, SpherePoint]]:
    """Name, start, end and asked place of what is measured by itself."""
    assert segment.end_s is not None
    start_s, length_s = segment.start_s, segment.end_s - segment.start_s
    if not clause.path.is_moving:
        yield "", start_s, segment.end_s, clause.path.start
        return
    for part, first in (("first quarter", 0.0), ("last quarter", 1 - _PART)):
        asked = clause.path.point(first + _PART / 2, length_s)
        yield part, start_s + first * length_s, start_s + (first + _PART) * length_s, asked

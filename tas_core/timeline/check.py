"""What a timeline says, before any audio is made: its segments, the time that no prompt covers, and doubts."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from tas_core.timeline.doubts import timeline_doubts, unknown_word_doubts
from tas_core.timeline.files import load_timeline
from tas_core.timeline.segments import Segment, Timeline, TimelineWarning
from tas_core.timeline.sources import SourceFile, sources_by_object

SHORT_GAP_S: Final = 0.25
"""Uncovered time shorter than this is doubted: in it every sound jumps to the center and back.

Subtitle editors leave gaps of two frames between cues, and ends set by hand miss the next start by a little.
"""


@dataclass(frozen=True)
class Gap:
    """A span without a prompt, seconds."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class TimelineCheck:
    """What was understood; ``as_dict`` is what ``tas timeline check --json`` prints.

    Args:
        timeline: path of the timeline.
        duration_s: length of the audio in seconds; None if none was named.
        segments: in the order of time.
        objects: object phrases in the order in which they first appear.
        uncovered: spans without a prompt, up to the end of the audio or of the last segment.
        uncovered_s: their length, seconds.
        warnings: doubts, one line each.
        sources: objects whose sounds it names, and their files.
    """

    timeline: str
    duration_s: float | None
    segments: tuple[Segment, ...]
    objects: tuple[str, ...]
    uncovered: tuple[Gap, ...]
    uncovered_s: float
    warnings: tuple[str, ...]
    sources: tuple[tuple[str, SourceFile], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; sources are there if it names any."""
        sources = tuple(
            {"object": name, "file": str(item.file), "start_s": item.start_s, "gain_db": item.gain_db}
            for name, item in self.sources
        )
        return {
            "timeline": self.timeline,
            "duration_s": self.duration_s,
            "segments": tuple(segment.as_dict() for segment in self.segments),
            "objects": self.objects,
            "uncovered": tuple(asdict(gap) for gap in self.uncovered),
            "uncovered_s": self.uncovered_s,
            "warnings": self.warnings,
            **({"sources": sources} if sources else {}),
        }


def check_timeline(
    path: str | Path,
    duration_s: float | None = None,
    *,
    strict: bool = False,
    knows: Callable[[str], bool] | None = None,
) -> TimelineCheck:
    """Read a timeline and say what was understood.

    Args:
        path: the timeline, as for :func:`tas_core.timeline.files.load_timeline`.
        duration_s: length of the audio that it is for, seconds; without it an open end stays open.
        strict: whether a name that looks misspelt, or is not known, is an error, rather than one of the warnings.
        knows: whether a word in lower case is one that the text encoder has whole; None looks for no such words.

    Raises:
        InputError: the timeline cannot be read, a segment starts after the end of the audio, a source is of no object,
            or a name looks misspelt and ``strict`` is set.
    """
    timeline = load_timeline(path)
    sources = sources_by_object(timeline.sources, timeline.objects)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TimelineWarning)
        closed = _closed(timeline, duration_s)
    gaps = _gaps(closed, duration_s)
    return TimelineCheck(
        timeline=str(path),
        duration_s=duration_s,
        segments=closed.segments,
        objects=closed.objects,
        uncovered=gaps,
        uncovered_s=math.fsum(gap.end_s - gap.start_s for gap in gaps),
        warnings=(
            *(str(warning.message) for warning in caught),
            *_doubts(closed, gaps),
            *timeline_doubts(timeline, strict=strict, given=sources),
            *(unknown_word_doubts(timeline, knows, strict=strict, given=sources) if knows else ()),
            *(str(item.error(f"{item.file}: no such file")) for item in sources.values() if not item.file.exists()),
        ),
        sources=tuple(sources.items()),
    )


def _closed(timeline: Timeline, duration_s: float | None) -> Timeline:
    """The timeline with its ends closed, but for the last one if nothing says where the audio ends."""
    last = timeline.segments[-1]
    if duration_s is not None or last.end_s is not None:
        return timeline.resolved(duration_s or last.end_s or math.inf)
    *others, last_closed = timeline.resolved(last.start_s + 1.0).segments
    return Timeline((*others, replace(last_closed, end_s=None)))


def _gaps(closed: Timeline, duration_s: float | None) -> tuple[Gap, ...]:
    gaps, covered_s = [], 0.0
    for segment in closed.segments:
        if segment.start_s > covered_s:
            gaps.append(Gap(covered_s, segment.start_s))
        covered_s = math.inf if segment.end_s is None else segment.end_s
    if duration_s is not None and duration_s > covered_s:
        gaps.append(Gap(covered_s, duration_s))
    return tuple(gaps)


def _doubts(closed: Timeline, gaps: tuple[Gap, ...]) -> list[str]:
    ends = {segment.end_s: segment for segment in closed.segments}
    starts = {segment.start_s for segment in closed.segments}
    return [
        str(
            ends[gap.start_s].error(
                f"no prompt for {gap.end_s - gap.start_s:.3g} s after the segment's end at {gap.start_s:g} s;"
                " every sound jumps to the center and back"
            )
        )
        for gap in gaps
        if gap.start_s in ends and gap.end_s in starts and gap.end_s - gap.start_s < SHORT_GAP_S
    ]

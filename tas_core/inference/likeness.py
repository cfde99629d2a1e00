"""Which objects of a segment have nearly the same masks: the model does not tell them apart, whatever places they get.

With m the masks of two objects and X the spectrum of mid, both over time and frequency, their likeness is the cosine

    sum m1 m2 |X|^2 / sqrt(sum m1^2 |X|^2  sum m2^2 |X|^2),

1 for masks that are proportional, 0 for masks that share no bin. It costs one small matrix product per frame.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np

from tas_core.timeline.clock import clock_time
from tas_core.timeline.segments import Timeline

ALIKE: Final = 0.8
"""From this likeness on two objects count as one to the model (docs/EXPERIMENTS.md, trial 51)."""

_SHORTEST_S: Final = 1.0


@dataclass(frozen=True)
class AlikePair:
    """Two objects with nearly the same masks and other places or levels, in the segment where that is worst.

    Attributes:
        objects: their phrases.
        start_s: beginning of the segment, seconds.
        end_s: its end.
        likeness: of their masks, 0 to 1.
        segments: in how many segments it is so.
    """

    objects: tuple[str, str]
    start_s: float
    end_s: float
    likeness: float
    segments: int

    @property
    def message(self) -> str:
        """What to say of them."""
        first, second = self.objects
        more = f" (and in {self.segments - 1} more segment{'s' * (self.segments > 2)})" if self.segments > 1 else ""
        return (
            f"'{first}' and '{second}' share {100 * self.likeness:.0f} % of their masks from {clock_time(self.start_s)}"
            f" to {clock_time(self.end_s)}{more}: the model does not tell them apart, and either may be where the other"
            " was requested; expected names of sounds that differ more, or in other words"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "objects": list(self.objects),
            "start_s": self.start_s,
            "end_s": self.end_s,
            "likeness": self.likeness,
            "segments": self.segments,
        }


class LikenessMeter:
    """Gathers how alike the masks of objects are, frame by frame and from beginning to end.

    Args:
        timeline: with all ends closed.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._segments = timeline.segments
        self._starts_s = [segment.start_s for segment in self._segments]
        self._products = [np.zeros((len(segment.clauses),) * 2) for segment in self._segments]

    def add(self, times_s: np.ndarray, names: Sequence[str], products: np.ndarray) -> None:
        """Take in the next frames.

        Args:
            times_s: middle of each frame (frame), after those of the call before.
            names: of the objects.
            products: of the masks of every two of them times the power of mid, summed over frequency,
                (frame, object, object).
        """
        if not len(times_s):
            return
        begin = max(0, bisect_right(self._starts_s, float(times_s[0])) - 1)
        for number in range(begin, bisect_right(self._starts_s, float(times_s[-1]))):
            segment = self._segments[number]
            assert segment.end_s is not None
            inside = slice(bisect_left(times_s, segment.start_s), bisect_left(times_s, segment.end_s))
            here = [i for i, clause in enumerate(segment.clauses) if clause.object in names]
            rows = [list(names).index(segment.clauses[i].object) for i in here]
            if rows:
                self._products[number][np.ix_(here, here)] += products[inside].sum(axis=0)[np.ix_(rows, rows)]

    def likeness(self, segment: int) -> np.ndarray:
        """Of the masks of every two clauses of a segment (by its number), (clause, clause), 0 to 1; 0 in silence."""
        lengths = np.sqrt(np.diag(self._products[segment]))
        return self._products[segment] / np.maximum(np.outer(lengths, lengths), np.finfo(float).tiny)

    def pairs(self, asked: Timeline | None = None) -> tuple[AlikePair, ...]:
        """Pairs that are alike somewhere, in the order in which they first are; none of them at one place together.

        Args:
            asked: where the timeline was laid flat, the one with all places: behind is not in front.
        """
        said = {
            (segment.start_s, clause.object): clause
            for segment in (asked.segments if asked else ())
            for clause in segment.clauses
        }
        found: dict[frozenset[str], AlikePair] = {}
        for number, segment in enumerate(self._segments):
            assert segment.end_s is not None
            if len(segment.clauses) < 2 or segment.end_s - segment.start_s < _SHORTEST_S:
                continue
            likeness = self.likeness(number)
            for (i, first), (j, second) in combinations(enumerate(segment.clauses), 2):
                value = min(float(likeness[i, j]), 1.0)
                if value < ALIKE:
                    continue
                one, other = (said.get((segment.start_s, clause.object), clause) for clause in (first, second))
                if (one.path, one.gain) == (other.path, other.gain):
                    continue
                names = first.object, second.object
                before = found.get(frozenset(names))
                count = 1 if before is None else before.segments + 1
                if before is None or value > before.likeness:
                    worst = AlikePair(names, segment.start_s, segment.end_s, value, count)
                else:
                    worst = AlikePair(before.objects, before.start_s, before.end_s, before.likeness, count)
                found[frozenset(names)] = worst
        return tuple(found.values())

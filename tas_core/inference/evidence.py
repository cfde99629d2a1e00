"""What a separating model shows of each object by itself, whether it is right or not; confidence is made of it.

With m the mask of an object and P the power of mid, both over time and frequency. A mask that was learned by least
squares is the model's own estimate of which part of P is the object's, so it expects m P of the object in a bin, and
m m P of that in the stem. So

    sharpness = sum m^2 P / sum m P

is at once the part of the stem that it expects to be the object, and the part of the object that it expects to be in
the stem: just what makes a stem right (:mod:`tas_core.evaluation.confidence`). What it cannot know is where it errs as
a whole, as with the name of something that is not there; presence tells some of that.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tas_core.inference.presence import frames_inside, object_spans
from tas_core.models.calibration import Evidence
from tas_core.timeline.segments import Timeline

_MOST_LOG_ODDS: Final = 10.0


@dataclass(frozen=True)
class FrameSums:
    """Sums over frequency, frame by frame, of objects in one order.

    Attributes:
        power: of mid, P, (frame), zero in silence.
        taken: of m P, (frame, object).
        squared: of m^2 P, (frame, object).
        log_odds: of presence, (frame, object).
    """

    power: np.ndarray
    taken: np.ndarray
    squared: np.ndarray
    log_odds: np.ndarray


class EvidenceMeter:
    """Gathers evidence of every object, frame by frame and from beginning to end.

    Args:
        timeline: with all ends closed.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._spans = object_spans(timeline.segments)
        self._starts_s = [start_s for _, start_s, _ in self._spans]
        self._alone = [_share_alone(timeline, name, start_s, end_s) for name, start_s, end_s in self._spans]
        # Of power, taken, squared, log odds, and frames that are not silent.
        self._sums = np.zeros((len(self._spans), 5))

    def add(self, times_s: np.ndarray, names: Sequence[str], sums: FrameSums) -> None:
        """Take in the next frames.

        Args:
            times_s: middle of each frame (frame), after those of the call before.
            names: of the objects.
            sums: of the frames.
        """
        if not len(times_s):
            return
        for number in range(bisect_right(self._starts_s, float(times_s[-1]))):
            name, start_s, end_s = self._spans[number]
            if end_s <= times_s[0] or name not in names:
                continue
            inside, k = frames_inside(times_s, start_s, end_s), list(names).index(name)
            sounds = sums.power[inside] > 0
            each = (sums.taken, sums.squared, sums.log_odds)
            totals = [float(values[inside, k][sounds].sum(dtype=np.float64)) for values in each]
            self._sums[number] += [float(sums.power[inside].sum(dtype=np.float64)), *totals, int(sounds.sum())]

    def evidence(self) -> tuple[Evidence | None, ...]:
        """One for each object and unbroken span, in the order of time; None where all was silent, or too short."""
        found: list[Evidence | None] = []
        for (power, taken, squared, log_odds, frames), alone in zip(self._sums, self._alone, strict=True):
            if not frames or taken <= 0 or squared <= 0:
                found.append(None)
                continue
            presence = float(np.clip(log_odds / frames, -_MOST_LOG_ODDS, _MOST_LOG_ODDS))
            found.append(
                Evidence(
                    sharpness=float(squared / taken),
                    presence=presence,
                    energy_share=float(taken / power),
                    alone=alone,
                    alone_presence=alone * presence,
                )
            )
        return tuple(found)


def _share_alone(timeline: Timeline, name: str, start_s: float, end_s: float) -> float:
    """Fraction of a span in which an object is the only one that the prompts name."""
    single = 0.0
    for segment in timeline.segments:
        assert segment.end_s is not None
        if [clause.object for clause in segment.clauses] == [name]:
            single += max(0.0, min(segment.end_s, end_s) - max(segment.start_s, start_s))
    return single / (end_s - start_s)

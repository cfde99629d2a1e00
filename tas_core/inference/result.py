"""What a rendering gives back: two ears, and what is known of every segment and object. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tas_core.inference.likeness import AlikePair
from tas_core.inference.presence import Detection
from tas_core.models.calibration import Evidence
from tas_core.timeline.segments import Segment


@dataclass(frozen=True)
class SegmentResult:
    """A segment as it came out.

    Attributes:
        segment: with its end closed.
        spl_difference_db: level of the left ear over that of the right, dB; nan in silence.
        energy_shares: fractions of the sound's energy in the estimated stems of its clauses, in their order, 0 to 1;
            None in silence and for models that do not separate.
    """

    segment: Segment
    spl_difference_db: float
    energy_shares: tuple[float | None, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a level difference in silence is None."""
        said = self.segment.as_dict()
        clauses = zip(said["clauses"], self.energy_shares, strict=True)
        level_db = self.spl_difference_db
        return {
            **said,
            "clauses": tuple({**clause, "energy_share": share} for clause, share in clauses),
            "spl_difference_db": level_db if math.isfinite(level_db) else None,
        }


@dataclass(frozen=True)
class Block:
    """A block of the result, float64 at the input's rate.

    Attributes:
        ears: (ear, time).
        stems: estimated stems (time), by their number in ``stem_names``, and the rest, summing to the input; objects
            that are named neither in the block nor nearby are silent and left out. None where no stems were requested.
            On their way to a renderer of the sphere, given sounds have their channels, (channel, time).
    """

    ears: np.ndarray
    stems: dict[int, np.ndarray] | None


@dataclass(frozen=True)
class Spatialized:
    """A whole result.

    Attributes:
        ears: (ear, time) float64 at the input's rate.
        segments: how each segment came out.
        detections: which objects are in the sound; empty from models that do not separate.
        stems: name and samples (time) of each object's estimated stem and of "rest", summing to the input; empty where
            they were not requested.
        alike: objects that the model does not tell apart, though they are to be at different places.
        evidence: what the model showed of each of ``detections``, in their order; None in silence.
        renderer: "plane", or "sphere", whose mono sum is not the input.
    """

    ears: np.ndarray
    segments: tuple[SegmentResult, ...]
    detections: tuple[Detection, ...]
    stems: tuple[tuple[str, np.ndarray], ...]
    alike: tuple[AlikePair, ...] = ()
    evidence: tuple[Evidence | None, ...] = ()
    renderer: str = "plane"


def complaints(detections: Iterable[Detection], alike: Iterable[AlikePair]) -> Iterator[str]:
    """What a person should be told of a result, a line each: objects that are not found, doubtful, or alike.

    Of two that are alike it is not said that each of them is doubtful, too.
    """
    pairs = tuple(alike)
    said = {name for pair in pairs for name in pair.objects}
    for item in detections:
        if not item.found or (item.doubtful and item.object not in said):
            yield item.message
    for pair in pairs:
        yield pair.message

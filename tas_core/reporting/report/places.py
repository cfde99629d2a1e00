"""Requested against measured places, segment by segment, as far as they can be measured in an output.

The measure is that of ``tas eval`` (:mod:`tas_core.evaluation.metrics.azimuth`): level and phase differences of the
ears, in the time-frequency bins that an object owns, against those of the measured head. Without stems these bins are
not known, so

* in a segment of one object the whole sound counts as that object;
* in a segment of several nothing is measured, except objects with a stem.

A stem is an object's estimated stem, a mono sound; an object owns the bins in which its stem is 10 dB above every other
one and above the rest of the input. This measures where a sound was placed, not whether it was separated well. Of an
object that moves, the first and the last quarter of the segment are measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from tas_core.audio.resampling import resample
from tas_core.evaluation.metrics import object_azimuth_spans_deg, side_of, spl_difference_db
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.segments import Segment, Timeline

NEEDS_STEMS: Final = "not measurable without stems"
TOO_LITTLE: Final = "too little sound"

_RATE_HZ: Final = 16_000  # cues above 7.8 kHz do not count
_LEAD_S: Final = 0.5
_PART: Final = 0.25

Basis = Literal["whole sound", "stem"]


@dataclass(frozen=True)
class MeasuredPlace:
    """Requested and measured place of one object.

    Attributes:
        object: the object phrase.
        part: "", or "first quarter" or "last quarter" of an object that moves.
        requested_deg: -90 to 90, positive left; the mean over the part.
        measured_deg: the same; None where nothing was measured.
        basis: what was measured; None where nothing was.
        reason: why nothing was, or "".
    """

    object: str
    part: str
    requested_deg: float
    measured_deg: float | None
    basis: Basis | None
    reason: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether it is on the requested side: left, right, or center (within 15 degrees). None: not measured."""
        if self.measured_deg is None:
            return None
        return bool(side_of(self.measured_deg) == side_of(self.requested_deg))


@dataclass(frozen=True)
class SegmentPlaces:
    """A segment with closed ends, its level difference (dB, positive left, None in silence), and its places."""

    segment: Segment
    spl_difference_db: float | None
    places: tuple[MeasuredPlace, ...]


def measure_places(
    ears: np.ndarray, sample_rate_hz: int, timeline: Timeline, mono: np.ndarray, stems: Mapping[str, np.ndarray]
) -> tuple[SegmentPlaces, ...]:
    """Places of all objects of a timeline.

    Args:
        ears: the output, (ear, time).
        sample_rate_hz: of all signals, at least 8000.
        timeline: with all ends closed, none after the end of the output.
        mono: what the output was made of, (time), as long as ``ears``.
        stems: object phrase -> (time), as long as ``ears``.
    """
    rate_hz = min(sample_rate_hz, _RATE_HZ)
    coarse = resample(ears, sample_rate_hz, rate_hz)
    sounds = {name: resample(stem, sample_rate_hz, rate_hz) for name, stem in stems.items()}
    rest = resample(mono, sample_rate_hz, rate_hz) - sum(sounds.values(), np.zeros(coarse.shape[-1]))
    found = []
    for segment in timeline.segments:
        assert segment.end_s is not None
        own = ears[:, round(segment.start_s * sample_rate_hz) : round(segment.end_s * sample_rate_hz)]
        difference_db = spl_difference_db(own)
        first = max(0, round((segment.start_s - _LEAD_S) * rate_hz))
        around = slice(first, max(first + 1, round(segment.end_s * rate_hz)))
        measured = _measured(segment, coarse, around, {**sounds, "": rest}, rate_hz)
        found.append(SegmentPlaces(segment, None if math.isnan(difference_db) else difference_db, tuple(measured)))
    return tuple(found)


def _measured(
    segment: Segment, ears: np.ndarray, around: slice, sounds: Mapping[str, np.ndarray], rate_hz: int
) -> list[MeasuredPlace]:
    """Places of one segment; ``sounds`` are the stems, and under "" what they leave of the input."""
    mixture = ears[:, around]
    names = list(sounds)
    objects = np.repeat(np.stack([sounds[name][around] for name in names])[:, None], 2, axis=1)
    alone = len(segment.clauses) == 1 and segment.clauses[0].object not in sounds
    if alone:
        names, objects = [segment.clauses[0].object], mixture[None]
    places = []
    for clause in (clause for clause in segment.clauses if clause.is_placed):
        for part, start_s, end_s, requested_deg in _parts(segment, clause.azimuth):
            if clause.object not in names:
                places.append(MeasuredPlace(clause.object, part, requested_deg, None, None, NEEDS_STEMS))
                continue
            offset_s = around.start / rate_hz
            span_s = (max(0.0, start_s - offset_s), end_s - offset_s)
            degrees = object_azimuth_spans_deg(mixture, objects, rate_hz, [span_s])[0, names.index(clause.object)]
            if math.isnan(degrees):
                places.append(MeasuredPlace(clause.object, part, requested_deg, None, None, TOO_LITTLE))
            else:
                basis: Basis = "whole sound" if alone else "stem"
                places.append(MeasuredPlace(clause.object, part, requested_deg, float(degrees), basis))
    return places


def _parts(segment: Segment, path: AzimuthPath) -> list[tuple[str, float, float, float]]:
    """Name, start, end and mean requested azimuth of what is measured by itself."""
    assert segment.end_s is not None
    start_s, end_s = segment.start_s, segment.end_s
    if not path.is_moving:
        return [("", start_s, end_s, path.start_deg)]
    length_s = _PART * (end_s - start_s)
    return [
        ("first quarter", start_s, start_s + length_s, path.at(_PART / 2)),
        ("last quarter", end_s - length_s, end_s, path.at(1 - _PART / 2)),
    ]

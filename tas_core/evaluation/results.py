"""From measures per clip to a comparison: means with intervals, differences, and JSON."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from tas_core.datasets.sources.catalogue import SOUND_KINDS
from tas_core.evaluation.confidence import confidence_measures, reliability
from tas_core.evaluation.metrics import Interval, ReliabilityBin, bootstrap_interval, paired_difference
from tas_core.evaluation.scoring import GROUPED, MEASURES
from tas_core.system.machine import package_versions, processor_name

REPORT_FORMAT: Final = 1
LEVEL: Final = 0.95
CLIP_GROUPS: Final = ("1 object", "2 objects", "3 objects or more", "dry", "reverberant", "recorded mixture")
"""Kinds of simulated clips, which some measures are also given for.

Dry is a room without reflections; a recorded mixture has objects that are parts of one recording.
"""
GROUPS: Final = (*CLIP_GROUPS, *SOUND_KINDS)
"""And kinds of objects: what a clip gets there is of its objects of that kind alone."""


@dataclass(frozen=True)
class RowResult:
    """What one system got.

    Attributes:
        name: of the row.
        about: kind, weights, steps.
        measures: mean over clips and its interval, by measure.
        groups: the same for clips of one kind, of some measures; see :data:`GROUPS`.
        differences: this row minus the first, over clips that have both, by measure; empty for the first.
        folds: mean over the clips of each fold, where several are requested: measure by fold.
        values: measures by clip.
        objects: by clip, where each object is and is perceived.
        excluded: clips that this row alone is not judged on, and why.
        confidence: by clip, objects with the model's confidence and whether it was right.
        places: by clip of the 3D twin, where each object is all around and is heard.
        reliability: the curve of all of these.
    """

    name: str
    about: Mapping[str, Any]
    measures: Mapping[str, Interval]
    groups: Mapping[str, Mapping[str, Interval]]
    differences: Mapping[str, Interval]
    folds: Mapping[str, Mapping[str, float]]
    values: Mapping[str, Mapping[str, float]]
    objects: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)
    confidence: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    places: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    reliability: tuple[ReliabilityBin, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """A comparison of systems, or of files; :meth:`as_dict` is what ``--json`` writes (docs/EVALUATION.md).

    Attributes:
        settings: everything that was requested.
        rows: the systems, in the order requested.
        clips: names of the clips that were judged.
        excluded: clips that were not judged at all, and why.
        notes: what a reader should know.
        computed: pairs of row and clip that were computed in this run, rather than in an earlier one.
        machine: device, threads, versions, date.
    """

    settings: Mapping[str, Any]
    rows: tuple[RowResult, ...]
    clips: tuple[str, ...]
    excluded: Mapping[str, str]
    notes: tuple[str, ...] = ()
    computed: int = 0
    machine: Mapping[str, Any] = field(default_factory=dict)

    def row(self, name: str) -> RowResult:
        """A row by its name; KeyError for another."""
        for found in self.rows:
            if found.name == name:
                return found
        raise KeyError(name)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not known is None."""
        return {
            "format": REPORT_FORMAT,
            "settings": dict(self.settings),
            "machine": dict(self.machine),
            "clips": list(self.clips),
            "excluded": {"count": len(self.excluded), "clips": dict(self.excluded)},
            "notes": list(self.notes),
            "rows": [_row_dict(row) for row in self.rows],
        }


@dataclass(frozen=True)
class RowValues:
    """What was measured of one system.

    Attributes:
        name: of the row.
        about: plain values for the results.
        values: measures by clip; a clip without a measure does not count in it.
        objects: by clip, plain values for the results.
        excluded: clips that this row could not be judged on, and why.
        confidence: by clip, plain values of :class:`tas_core.evaluation.confidence.JudgedObject`.
        places: by clip, plain values of :class:`tas_core.evaluation.scoring.PlaceSpan`.
    """

    name: str
    about: Mapping[str, Any]
    values: Mapping[str, Mapping[str, float]]
    objects: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)
    confidence: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    places: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def row_result(
    row: RowValues,
    first: Mapping[str, Mapping[str, float]] | None,
    seed: int,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    kinds: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None,
    folds: Mapping[int, Sequence[str]] | None = None,
) -> RowResult:
    """Summarise one row.

    Args:
        row: what was measured.
        first: values of the row to compare with; None for that row itself.
        seed: of the bootstrap; the same clips are drawn for every row and measure with as many clips.
        groups: clips by group.
        kinds: measures by clip of the objects of a kind alone, by kind.
        folds: clips by fold.
    """
    values = row.values
    measures, differences = {}, {}
    by_group: dict[str, dict[str, Interval]] = {}
    for measure in _present(values):
        known = {clip: found[measure] for clip, found in values.items() if measure in found}
        measures[measure] = bootstrap_interval(list(known.values()), seed, LEVEL)
        if first is not None:
            both = [clip for clip in known if measure in first.get(clip, {})]
            if both:
                ours, theirs = [known[c] for c in both], [first[c][measure] for c in both]
                differences[measure] = paired_difference(ours, theirs, seed, LEVEL)
        if measure in GROUPED:
            for group, clips in (groups or {}).items():
                if some := [known[clip] for clip in clips if clip in known]:
                    by_group.setdefault(group, {})[measure] = bootstrap_interval(some, seed, LEVEL)
    for kind, found_by_clip in (kinds or {}).items():
        for measure in _present(found_by_clip):
            some = [found[measure] for found in found_by_clip.values() if measure in found]
            by_group.setdefault(kind, {})[measure] = bootstrap_interval(some, seed, LEVEL)
    judged = row.confidence.values()
    measures |= confidence_measures(judged, seed)
    by_fold = {}
    for number, clips in (folds or {}).items():
        inside = {clip: values[clip] for clip in clips if clip in values}
        by_fold[str(number)] = {
            measure: float(np.mean([found[measure] for found in inside.values() if measure in found]))
            for measure in _present(inside)
        }
    return RowResult(
        name=row.name,
        about=dict(row.about),
        measures=measures,
        groups=by_group,
        differences=differences,
        folds=by_fold,
        values=dict(values),
        objects=row.objects,
        excluded=row.excluded,
        confidence=row.confidence,
        places=row.places,
        reliability=reliability(judged),
    )


def describe_machine(device: str, threads: int, jobs: int) -> dict[str, Any]:
    """Device, threads of each process, processes, versions and date."""
    found = package_versions(("tas", "torch", "numpy", "soxr", "soundfile"))
    versions = {"python": platform.python_version()} | {name: version or "unknown" for name, version in found.items()}
    return {
        "device": device,
        "threads": threads,
        "jobs": jobs,
        "platform": platform.platform(),
        "processor": processor_name(),
        "versions": versions,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _present(values: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Measures that at least one clip has, in the order of :data:`MEASURES`."""
    found = {measure for clip in values.values() for measure in clip}
    return [measure for group in MEASURES.values() for measure in group if measure in found]


def _row_dict(row: RowResult) -> dict[str, Any]:
    intervals = lambda found: {name: _interval(value) for name, value in found.items()}  # noqa: E731
    return {
        "name": row.name,
        **row.about,
        "measures": intervals(row.measures),
        "groups": {group: intervals(found) for group, found in row.groups.items()},
        "differences": intervals(row.differences),
        "folds": {fold: dict(means) for fold, means in row.folds.items()},
        "excluded": {"count": len(row.excluded), "clips": dict(row.excluded)},
        **({"reliability": [asdict(item) for item in row.reliability]} if row.reliability else {}),
        "clips": {
            clip: {
                "measures": dict(values),
                "objects": list(row.objects.get(clip, ())),
                **({"places": list(row.places[clip])} if clip in row.places else {}),
                **({"confidence": list(row.confidence[clip])} if clip in row.confidence else {}),
            }
            for clip, values in row.values.items()
        },
    }


def _interval(value: Interval) -> dict[str, float | int | None]:
    return {key: None if number != number else number for key, number in asdict(value).items()}

"""What an evaluation has to do: rows on clips, and the keys under which their results are kept.

A key is a digest of all that a result depends on: weights and steps (or the baseline's name, or a command), recording,
timeline and scene of the clip, captions, names, seed, normalisation, transform, kind of device; PESQ and STOI on their
packages' versions, confidence on the calibration, too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import torch

from tas_core.datasets.tasbench.layout import TasBench
from tas_core.datasets.tasbench.scenes import Scene
from tas_core.errors import InputError
from tas_core.evaluation.clips import can_swap, clip_digest, has_stems
from tas_core.evaluation.metrics.speech import SPEECH_PACKAGES
from tas_core.evaluation.scoring import ALSO
from tas_core.evaluation.settings import EvaluationSettings
from tas_core.evaluation.systems import System, SystemSpec, has_steps
from tas_core.system.machine import package_versions

RESULTS_FORMAT: Final = 2
"""To be raised whenever a measure or a baseline changes: older results are then computed anew."""

Kind = Literal["score", "cited", "speech", "confidence", "mirror", "swap", "presence"]


@dataclass(frozen=True)
class Task:
    """A row on a clip: what to measure, and the keys under which the results are kept."""

    row: int
    clip: str
    keys: Mapping[Kind, str]


@dataclass(frozen=True)
class Outcome:
    """What came of a task: results by kind, or why the clip, or this row on it, cannot be judged."""

    task: Task
    results: Mapping[Kind, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    clip_excluded: str | None = None
    row_excluded: str | None = None


def named_rows(rows: Sequence[str | SystemSpec], settings: EvaluationSettings) -> list[SystemSpec]:
    """Rows as they were requested, each with a name of its own; a text is the name and the source in one.

    Raises:
        InputError: no rows, or two of one name.
    """
    found = [
        SystemSpec(row, row, settings.steps if has_steps(row) else None) if isinstance(row, str) else row
        for row in rows
    ]
    if not found:
        raise InputError("no systems to compare, expected at least one")
    seen: set[str] = set()
    for row in found:
        if file_name(row.name) in seen:
            raise InputError(f"two rows are called '{row.name}'; give one another name", remedy="system_name")
        seen.add(file_name(row.name))
    return found


def fold_clips(data: TasBench, settings: EvaluationSettings) -> dict[int, tuple[str, ...]]:
    """Clips of each fold.

    Raises:
        InputError: a fold is missing, or there are no clips in any.
    """
    numbers = settings.folds or data.split_numbers()
    if not numbers:
        raise InputError(f"{data.root}: no folder splits/split1 in it, expected lists of clips")
    folds = {number: data.split_clips(settings.split, number) for number in numbers}
    if not any(folds.values()):
        raise InputError(f"{data.split_path(settings.split, numbers[0])}: the part '{settings.split}' has no clips")
    return folds


def drawn_clips(folds: Mapping[int, Sequence[str]], settings: EvaluationSettings) -> list[str]:
    """Clips in the order in which they are drawn; fewer are the first of more."""
    clips = sorted({clip for members in folds.values() for clip in members})
    order = np.random.default_rng([settings.seed, 20]).permutation(len(clips))
    return [clips[i] for i in order][: settings.clips]


def without_stems(
    data: TasBench, rows: list[SystemSpec], systems: list[System], clips: Sequence[str]
) -> tuple[list[SystemSpec], list[System], list[str]]:
    """Rows that can be run, and notes on what is left out.

    Raises:
        InputError: no row is left.
    """
    with_stems = sum(has_stems(data, clip) for clip in clips)
    if with_stems == len(clips):
        return rows, systems, []
    if with_stems:
        return (
            rows,
            systems,
            [f"{len(clips) - with_stems} of {len(clips)} clips have no stems: no directions for those"],
        )
    kept = [(row, system) for row, system in zip(rows, systems, strict=True) if not system.needs_stems]
    notes = ["no clip has stems: directions of objects are not measured"]
    notes += [f"{row.name} left out: it needs stems" for row, s in zip(rows, systems, strict=True) if s.needs_stems]
    if not kept:
        raise InputError(f"{data.root}: no clip has stems, which {', '.join(row.name for row in rows)} need")
    return [row for row, _ in kept], [system for _, system in kept], notes


def list_tasks(
    data: TasBench,
    systems: Sequence[System],
    clips: Sequence[str],
    settings: EvaluationSettings,
    device: torch.device,
    excluded: dict[str, str],
) -> tuple[list[Task], dict[str, Scene]]:
    """All there is to do, clip by clip, and the scenes of simulated clips; ``excluded`` gets the clips without hope."""
    digests: dict[str, str] = {}
    scenes: dict[str, Scene] = {}
    for clip in clips:
        try:
            digests[clip] = clip_digest(data, clip)
            if has_stems(data, clip):
                scenes[clip] = Scene.from_json(data.scene(clip), str(data.scene_path(clip)))
        except InputError as error:
            excluded[clip] = str(error)
    usable = [clip for clip in clips if clip not in excluded]
    mirrored = set(usable[: settings.control_clips])
    exchanged = set([c for c in usable if c in scenes and can_swap(scenes[c])][: settings.control_clips])
    common = [RESULTS_FORMAT, settings.captions, settings.names, settings.normalise, settings.stft, settings.seed]
    more: dict[Kind, list[Any]] = {"speech": [package_versions(SPEECH_PACKAGES)]}
    tasks = []
    for clip in usable:
        for number, system in enumerate(systems):
            kinds: list[Kind] = ["score", *(group for group in ALSO if group in settings.also)]
            calibration = system.about.get("calibration")
            if "confidence" in kinds and (calibration is None or clip not in scenes):
                kinds.remove("confidence")
            if settings.control and system.follows_text:
                kinds += ["mirror"] if clip in mirrored else []
                kinds += ["swap"] if clip in exchanged else []
                kinds += ["presence"] if system.separates and clip in mirrored and clip in scenes else []
            known = [*common, system.identity, digests[clip]]
            own = system.depends_on(clip)
            needs = more | {"confidence": [calibration]}
            keys = {kind: _digest([*known, kind, device.type, *needs.get(kind, ()), *own]) for kind in kinds}
            tasks.append(Task(number, clip, keys))
    return tasks, scenes


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def file_name(name: str) -> str:
    """The name of a row as a folder has it."""
    return re.sub(r"[^\w.@+-]+", "_", name)

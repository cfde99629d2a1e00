"""Systems over the clips of a data set: a task per row and clip, in processes; results outlive an interruption.

With a folder to write to, results of finished tasks are lines of ``results.jsonl`` there, under keys that stand for
all they depend on (:mod:`tas_core.evaluation.tasks`). A later run with the same folder computes only what it does not
find. Results do not depend on the number of processes: each computes on one thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from tas_core.datasets.sources.catalogue import SOUND_KINDS, SoundKind, load_categories
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.datasets.tasbench.scenes import Scene
from tas_core.errors import InputError
from tas_core.evaluation.cache import Cache
from tas_core.evaluation.clips import RATE_HZ
from tas_core.evaluation.metrics.speech import check_speech_packages
from tas_core.evaluation.results import CLIP_GROUPS, Evaluation, RowResult, RowValues, describe_machine, row_result
from tas_core.evaluation.scoring import ObjectSpan, direction_measures
from tas_core.evaluation.settings import EvaluationSettings
from tas_core.evaluation.systems import SystemSpec, build_system
from tas_core.evaluation.tasks import Task, drawn_clips, fold_clips, list_tasks, named_rows, without_stems
from tas_core.evaluation.workers import Job, computed
from tas_core.system.devices import choose_device, keep_freed_memory, one_thread
from tas_core.system.files import make_folder
from tas_core.system.processes import usable_cores
from tas_core.system.progress import Progress, ignore


def evaluate(
    data: TasBench,
    rows: Sequence[str | SystemSpec],
    settings: EvaluationSettings | None = None,
    *,
    out: Path | None = None,
    progress: Progress = ignore,
) -> Evaluation:
    """Run systems over a data set and measure what comes out.

    A clip whose files cannot be used is excluded for all rows, a clip on which one system fails (its output is
    not finite, or a program fails or takes too long) for that row; both are named and counted in the result.

    Args:
        data: the data set.
        rows: systems, as :class:`tas_core.evaluation.systems.SystemSpec`, or the source of one by itself, which
            names it as well; differences are to the first.
        settings: what to evaluate on, and how; by default :class:`EvaluationSettings` as it is.
        out: folder for results that a later run can go on from; made if missing. None keeps nothing.
        progress: told the fraction done, 0 to 1.

    Raises:
        InputError: no rows or two of one name, unknown models or programs, an empty or missing split, no clip that can
            be used, a folder that cannot be written, or packages that requested measures need are missing.
        TasError: a process died, or the disk is full; finished results stay.
    """
    settings = settings or EvaluationSettings()
    wanted = named_rows(rows, settings)
    if settings.save_audio and out is None:
        raise InputError("audio can be saved only with a folder to write to", remedy="out")
    if "speech" in settings.also:
        check_speech_packages()
    folds = fold_clips(data, settings)
    chosen = drawn_clips(folds, settings)
    excluded: dict[str, str] = {}
    device = choose_device(settings.device)
    keep_freed_memory()
    cache = Cache(out)
    # Results are those of any number of processes.
    with one_thread() if device.type == "cpu" else nullcontext():
        systems = [build_system(row, device, timeout_s=settings.timeout_s) for row in wanted]
        wanted, systems, notes = without_stems(data, wanted, systems, chosen)
        needs_timeline = any(system.follows_text for system in systems)
        tasks, scenes = list_tasks(data, systems, chosen, settings, device, excluded)
        identities = tuple(system.identity for system in systems)
        job = Job(data.root, tuple(wanted), identities, settings, needs_timeline, device.type, out)
        for folder in filter(None, {job.audio_folder(number) for number in range(len(wanted))}):
            make_folder(folder)
        if "confidence" in settings.also:
            notes += [
                f"{row.name}: its model has no calibration, so no confidence in what it finds is known"
                for row, s in zip(wanted, systems, strict=True)
                if s.separates and "calibration" not in s.about
            ]
        jobs = 1 if device.type == "cuda" else min(settings.jobs or usable_cores(), max(1, len(tasks)))
        left = [task for task in (cache.without_known(task, job.audio_path(task)) for task in tasks) if task.keys]
        outcomes = []
        with closing(computed(job, systems, left, jobs)) as coming:
            for outcome in coming:
                cache.add(outcome)
                outcomes.append(outcome)
                progress((len(tasks) - len(left) + len(outcomes)) / len(tasks))
    for outcome in outcomes:
        notes += [note for note in outcome.notes if note not in notes]
        if outcome.clip_excluded is not None:
            excluded[outcome.task.clip] = outcome.clip_excluded
    rows_excluded = {(o.task.row, o.task.clip): o.row_excluded for o in outcomes if o.row_excluded is not None}
    judged = [clip for clip in sorted(chosen) if clip not in excluded]
    if not judged:
        clip, why = next(iter(excluded.items()))
        more = f" (and {len(excluded) - 1} more)" if len(excluded) > 1 else ""
        raise InputError(f"{data.root}: no clip can be used; {clip}: {why}{more}")
    if len(folds) > 1:
        notes.append("intervals are over distinct clips; 'folds' in the JSON has the mean over each fold's clips")
    groups = _groups(judged, scenes)
    results: list[RowResult] = []
    for number, (row, system) in enumerate(zip(wanted, systems, strict=True)):
        mine = [task for task in tasks if task.row == number and task.clip not in excluded]
        refused = {c: why for (n, c), why in rows_excluded.items() if n == number and c not in excluded}
        found = _row_values(row.name, system.about, mine, cache, refused)
        first = results[0].values if results else None
        several = folds if len(folds) > 1 else None
        kinds = _by_kind(found, scenes)
        results.append(row_result(found, first, settings.seed, groups=groups, kinds=kinds, folds=several))
    threads = 1 if device.type == "cpu" else torch.get_num_threads()
    return Evaluation(
        {"mode": "data", "data": str(data.root), **asdict(settings), "rate_hz": RATE_HZ},
        tuple(results),
        tuple(judged),
        excluded,
        tuple(notes),
        sum(1 for outcome in outcomes if outcome.results),
        describe_machine(_device_name(device), threads, jobs),
    )


def _groups(clips: Sequence[str], scenes: Mapping[str, Scene]) -> dict[str, list[str]]:
    """Clips by how many objects they have, by whether they are in a room, and those that were recorded together."""
    groups: dict[str, list[str]] = {group: [] for group in CLIP_GROUPS}
    for clip in (clip for clip in clips if clip in scenes):
        groups[CLIP_GROUPS[min(len(scenes[clip].objects), 3) - 1]].append(clip)
        groups["dry" if scenes[clip].room.rt60_s == 0 else "reverberant"].append(clip)
        if scenes[clip].is_recorded_mixture:
            groups["recorded mixture"].append(clip)
    return groups


def _by_kind(row: RowValues, scenes: Mapping[str, Scene]) -> dict[str, dict[str, dict[str, float]]]:
    """Where the objects of each kind of sound are perceived to be, as measures by clip, by kind."""
    known: dict[str, SoundKind] = {category.name: category.sound_kind for category in load_categories()}
    found: dict[str, dict[str, dict[str, float]]] = {kind: {} for kind in SOUND_KINDS}
    for clip, spans in row.objects.items():
        kinds = [item.kind or known.get(item.category) for item in scenes[clip].objects] if clip in scenes else []
        for kind in SOUND_KINDS:
            mine = tuple(ObjectSpan(**span) for span in spans if kinds and kinds[span["object"]] == kind)
            if mine:
                measures = direction_measures(mine, degrees="azimuth_error_deg" in row.values[clip])
                measures.pop("rank_audio", None)
                found[kind][clip] = measures
    return found


def _row_values(
    name: str, about: Mapping[str, Any], tasks: Sequence[Task], cache: Cache, excluded: Mapping[str, str]
) -> RowValues:
    """What the tasks of one system found, clip by clip in the order of names."""
    values: dict[str, dict[str, float]] = {}
    objects: dict[str, Sequence[Any]] = {}
    confidence: dict[str, Sequence[Any]] = {}
    places: dict[str, Sequence[Any]] = {}
    for task in tasks:
        if task.clip in excluded:  # an output was made, but not the one for other prompts
            continue
        found = [record for record in map(cache.get, task.keys.values()) if record is not None]
        if found:
            values[task.clip] = {name: value for record in found for name, value in record["measures"].items()}
            objects[task.clip] = [span for record in found for span in record.get("objects", ())]
            if around := [span for record in found for span in record.get("places", ())]:
                places[task.clip] = around
            if judged := [item for record in found for item in record.get("confidence", ())]:
                confidence[task.clip] = judged
    by_clip = {clip: values[clip] for clip in sorted(values)}
    return RowValues(name, about, by_clip, objects, excluded, confidence, places)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"

"""Systems over the clips of a data set: a task per row and clip, in processes; results outlive an interruption.

With a folder to write to, results of finished tasks are lines of ``results.jsonl`` there, under a key that is a digest
of all they depend on: weights and steps (or the baseline's name), recording, timeline and scene of the clip, captions,
names, seed, normalisation, transform, kind of device. A later run with the same folder computes only what it does not
find. Results do not depend on the number of processes: each computes on one thread.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch

from tas_core.audio import write_audio
from tas_core.checkpoints import CONFIG_FILE, WEIGHTS_FILE
from tas_core.datasets.catalogue import SPLITS, Split
from tas_core.datasets.scenes import Scene
from tas_core.datasets.tasbench import TasBench
from tas_core.errors import InputError, TasError
from tas_core.evaluation.clips import (
    CAPTIONS,
    NAMES,
    RATE_HZ,
    Captions,
    EvalClip,
    Names,
    can_swap,
    clip_digest,
    has_stems,
    read_clip,
)
from tas_core.evaluation.report import GROUPS, Evaluation, RowResult, describe_machine, row_result
from tas_core.evaluation.scoring import (
    STFTS,
    check_output,
    clip_measures,
    mirror_measures,
    presence_measures,
    swap_measures,
)
from tas_core.evaluation.systems import ModelSystem, Row, System, build_system, parse_row
from tas_core.machine import usable_cores
from tas_core.models.registry import shipped_models
from tas_core.runtime import choose_device, keep_freed_memory

RESULTS_FILE: Final = "results.jsonl"
AUDIO_FOLDER: Final = "audio"
RESULTS_FORMAT: Final = 1
"""To be raised whenever a measure or a baseline changes: older results are then computed anew."""

Kind = Literal["score", "mirror", "swap", "presence"]
Progress = Callable[[float], None]


@dataclass(frozen=True)
class EvaluationSettings:
    """What to evaluate on, and how.

    Attributes:
        split: part of the data set.
        folds: numbers of its splits, 1 to 10 in FAIR-Play; empty for all. Clips of several count once.
        captions: "own", or how to word simulated clips anew: "coarse" (left, center, right), "words", "degrees".
        names: "held-out" to name objects by synonyms that training never sees.
        steps: diffusion steps of models that do not say theirs; None is the model's own default.
        clips: how many, drawn by the seed (fewer are the first of more); None for all.
        normalise: whether each signal is divided by its own peak before the six measures of the paper.
        stft: transform behind ``amp`` and ``pha``, "short" or "long".
        control: whether to run again with mirrored, centred and exchanged prompts, and with a name too many.
        control_clips: on how many clips at most; exchanges on as many of those clips that can be exchanged.
        jobs: processes; None is one per core. A GPU is used by one.
        device: "auto", "cpu" or "cuda".
        seed: of the choice of clips, of the models' noise and of the intervals.
        save_audio: whether to keep the outputs under ``--out``.

    Raises:
        InputError: a value out of range.
    """

    split: Split = "test"
    folds: tuple[int, ...] = (1,)
    captions: Captions = "own"
    names: Names = "trained"
    steps: int | None = None
    clips: int | None = None
    normalise: bool = True
    stft: str = "short"
    control: bool = False
    control_clips: int = 24
    jobs: int | None = None
    device: str = "auto"
    seed: int = 0
    save_audio: bool = False

    def __post_init__(self) -> None:
        for name, known in (("split", SPLITS), ("captions", CAPTIONS), ("names", NAMES), ("stft", tuple(STFTS))):
            if getattr(self, name) not in known:
                raise InputError(f"unknown {name} '{getattr(self, name)}'; expected one of {', '.join(known)}")
        for name in ("steps", "clips", "control_clips", "jobs"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")


@dataclass(frozen=True)
class _Task:
    """A row on a clip: what to measure, and the keys under which the results are kept."""

    row: int
    clip: str
    keys: Mapping[Kind, str]


@dataclass(frozen=True)
class _Outcome:
    """What came of a task: results by kind, or why the clip, or this row on it, cannot be judged."""

    task: _Task
    results: Mapping[Kind, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    clip_excluded: str | None = None
    row_excluded: str | None = None


def evaluate(
    data: TasBench,
    rows: Sequence[str | Row],
    settings: EvaluationSettings | None = None,
    *,
    out: Path | None = None,
    progress: Progress = lambda share: None,
) -> Evaluation:
    """Run systems over a data set and measure what comes out.

    A clip whose files cannot be used is excluded for all rows, a clip on which one system fails (its output is
    not finite) for that row; both are named and counted in the result.

    Args:
        data: the data set.
        rows: systems, ``[NAME=]SOURCE[@STEPS]`` or :class:`tas_core.evaluation.systems.Row`; differences are to the
            first.
        settings: what to evaluate on, and how; by default :class:`EvaluationSettings` as it is.
        out: folder for results that a later run can go on from; made if missing. None keeps nothing.
        progress: told the share done, 0 to 1.

    Raises:
        InputError: no rows or two of one name, unknown models, an empty or missing split, no clip that can be used,
            or a folder that cannot be written.
        TasError: a process died, or the disk is full; finished results stay.
    """
    settings = settings or EvaluationSettings()
    wanted = _rows(rows, settings)
    if settings.save_audio and out is None:
        raise InputError("audio can be saved only with a folder to write to (--out)")
    folds = _folds(data, settings)
    chosen, excluded = _choose(data, folds, settings)
    device = choose_device(settings.device)
    keep_freed_memory()
    cache = _Cache(out)
    with _one_thread(device):
        systems = [build_system(row, device) for row in wanted]
        wanted, systems, notes = _without_stems(data, wanted, systems, chosen)
        needs_timeline = any(system.follows_text for system in systems)
        tasks, scenes = _tasks(data, systems, chosen, settings, device, excluded)
        identities = tuple(system.identity for system in systems)
        job = _Job(data.root, tuple(wanted), identities, settings, needs_timeline, device.type, out)
        jobs = 1 if device.type == "cuda" else min(settings.jobs or usable_cores(), max(1, len(tasks)))
        left = [task for task in (cache.without_known(task, job.audio_path(task)) for task in tasks) if task.keys]
        outcomes = []
        with closing(_computed(job, systems, left, jobs)) as computed:
            for outcome in computed:
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
    groups: dict[str, list[str]] = {group: [] for group in GROUPS}
    for clip in (clip for clip in judged if clip in scenes):
        groups[GROUPS[min(len(scenes[clip].objects), 3) - 1]].append(clip)
        groups["dry" if scenes[clip].room.rt60_s == 0 else "reverberant"].append(clip)
    results: list[RowResult] = []
    for number, (row, system) in enumerate(zip(wanted, systems, strict=True)):
        values: dict[str, dict[str, float]] = {}
        objects: dict[str, Sequence[Any]] = {}
        for task in tasks:
            if task.row != number or task.clip in excluded:
                continue
            found = [record for record in map(cache.get, task.keys.values()) if record is not None]
            if found:
                values[task.clip] = {name: value for record in found for name, value in record["measures"].items()}
                objects[task.clip] = [span for record in found for span in record.get("objects", ())]
        results.append(
            row_result(
                row.name,
                system.about,
                {clip: values[clip] for clip in sorted(values)},
                results[0].values if results else None,
                settings.seed,
                groups=groups,
                folds=folds if len(folds) > 1 else None,
                objects=objects,
                excluded={c: why for (n, c), why in rows_excluded.items() if n == number and c not in excluded},
            )
        )
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


# ---------------------------------------------------------------------------- what to do


def _rows(rows: Sequence[str | Row], settings: EvaluationSettings) -> list[Row]:
    found = [parse_row(row, settings.steps) if isinstance(row, str) else row for row in rows]
    if not found:
        raise InputError("no systems to compare, expected at least one")
    seen: set[str] = set()
    for row in found:
        if _file_name(row.name) in seen:
            raise InputError(f"two rows are called '{row.name}'; give one another name, as in NAME={row.source}")
        seen.add(_file_name(row.name))
    return found


def _folds(data: TasBench, settings: EvaluationSettings) -> dict[int, tuple[str, ...]]:
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


def _choose(
    data: TasBench, folds: Mapping[int, Sequence[str]], settings: EvaluationSettings
) -> tuple[list[str], dict[str, str]]:
    """Clips in the order in which they are drawn, and an empty account of those that turn out useless."""
    del data
    clips = sorted({clip for members in folds.values() for clip in members})
    order = np.random.default_rng([settings.seed, 20]).permutation(len(clips))
    return [clips[i] for i in order][: settings.clips], {}


def _without_stems(
    data: TasBench, rows: list[Row], systems: list[System], clips: Sequence[str]
) -> tuple[list[Row], list[System], list[str]]:
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


def _tasks(
    data: TasBench,
    systems: Sequence[System],
    clips: Sequence[str],
    settings: EvaluationSettings,
    device: torch.device,
    excluded: dict[str, str],
) -> tuple[list[_Task], dict[str, Scene]]:
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
    tasks = []
    for clip in usable:
        for number, system in enumerate(systems):
            kinds: list[Kind] = ["score"]
            if settings.control and system.follows_text:
                kinds += ["mirror"] if clip in mirrored else []
                kinds += ["swap"] if clip in exchanged else []
                kinds += ["presence"] if system.hears and clip in mirrored and clip in scenes else []
            keys = {kind: _digest([*common, system.identity, digests[clip], kind, device.type]) for kind in kinds}
            tasks.append(_Task(number, clip, keys))
    return tasks, scenes


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.@+-]+", "_", name)


# ---------------------------------------------------------------------------- doing it


@dataclass(frozen=True)
class _Job:
    """What every process has to know."""

    root: Path
    rows: tuple[Row, ...]
    identities: tuple[list[Any], ...]
    settings: EvaluationSettings
    needs_timeline: bool
    device: str
    out: Path | None

    def audio_path(self, task: _Task) -> Path | None:
        """Where the output of a task is kept, if it is."""
        if self.out is None or not self.settings.save_audio:
            return None
        return self.out / AUDIO_FOLDER / _file_name(self.rows[task.row].name) / f"{task.clip}.wav"


class _Worker:
    """Does tasks; systems are built when they are first needed, and the latest clips stay in memory."""

    def __init__(self, job: _Job, systems: Sequence[System] | None = None) -> None:
        self.job = job
        self._systems: dict[int, System] = dict(enumerate(systems or ()))
        self._clip = lru_cache(maxsize=4)(self._read)

    def __call__(self, task: _Task) -> _Outcome:
        """Carry out one task; InputError where the system refuses the request itself."""
        settings = self.job.settings
        try:
            clip = self._clip(task.clip)
        except InputError as error:
            return _Outcome(task, clip_excluded=str(error))
        if task.row not in self._systems:
            system = build_system(self.job.rows[task.row], torch.device(self.job.device))
            if system.identity != self.job.identities[task.row]:
                name = self.job.rows[task.row].name
                raise TasError(f"{name}: its checkpoint was written to while it was read; run it again")
            self._systems[task.row] = system
        system = self._systems[task.row]
        if system.needs_stems and clip.stems is None:
            return _Outcome(task, row_excluded="no stems", notes=clip.notes)
        output, seconds = system(clip, clip.timeline, settings.seed)
        try:
            check_output(output, clip)
        except InputError as error:
            return _Outcome(task, row_excluded=str(error), notes=clip.notes)
        if (path := self.job.audio_path(task)) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_audio(path, output, RATE_HZ, "FLOAT", overwrite=True)
        results: dict[Kind, dict[str, Any]] = {}
        if "score" in task.keys:  # noqa: SIM118 (a field of that name)
            measures, spans = clip_measures(output, clip, normalise=settings.normalise, stft=settings.stft)
            if seconds is not None:
                measures["real_time_factor"] = seconds / clip.duration_s
            results["score"] = {"measures": measures, "objects": [asdict(span) for span in spans]}
        if "mirror" in task.keys:  # noqa: SIM118
            results["mirror"] = {"measures": mirror_measures(system, clip, output, settings.seed)}
        if "swap" in task.keys:  # noqa: SIM118
            results["swap"] = {"measures": swap_measures(system, clip, output, settings.seed)}
        if "presence" in task.keys:  # noqa: SIM118
            results["presence"] = {"measures": presence_measures(system, clip)}
        return _Outcome(task, results, clip.notes)

    def _read(self, name: str) -> EvalClip:
        settings = self.job.settings
        data = TasBench(self.job.root)
        return read_clip(data, name, settings.captions, settings.names, needs_timeline=self.job.needs_timeline)


_WORKER: _Worker | None = None


def _start(job: _Job) -> None:
    """Make this process a worker."""
    global _WORKER
    # Ctrl-C reaches all processes of a terminal; the one that was started by hand has the word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(1)
    keep_freed_memory()
    _WORKER = _Worker(job)


def _do(task: _Task) -> _Outcome:
    assert _WORKER is not None
    return _WORKER(task)


def _computed(
    job: _Job, systems: Sequence[System], tasks: Sequence[_Task], jobs: int
) -> Generator[_Outcome, None, None]:
    """Outcomes as they come."""
    if jobs == 1 or len(tasks) < 2:
        worker = _Worker(job, systems)
        for task in tasks:
            yield worker(task)
        return
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    context = get_context("spawn")
    others = set(active_children())
    try:
        with (
            _copied(job, systems) as copy,
            ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(copy,)) as pool,
        ):
            try:
                for future in as_completed([pool.submit(_do, task) for task in tasks]):
                    yield future.result()
            except BrokenProcessPool as error:
                raise TasError(
                    "a process ended without a result (out of memory?); try fewer --jobs, results so far are kept"
                ) from error
            except BaseException:
                # What they are at may take minutes, and nobody is left to receive it.
                pool.shutdown(wait=False, cancel_futures=True)
                for process in set(active_children()) - others:
                    process.terminate()
                raise
    finally:
        if before is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = before


@contextmanager
def _copied(job: _Job, systems: Sequence[System]) -> Iterator[_Job]:
    """The job with copies of its checkpoints, since a training run may write to them before a process reads them."""
    with tempfile.TemporaryDirectory(prefix="tas-eval-") as folder:
        rows = []
        for number, (row, system) in enumerate(zip(job.rows, systems, strict=True)):
            source = row.source
            if isinstance(system, ModelSystem) and source not in shipped_models():
                copy = Path(folder) / str(number)
                copy.mkdir()
                for name in (CONFIG_FILE, WEIGHTS_FILE):
                    shutil.copyfile(Path(source) / name, copy / name)
                source = str(copy)
            rows.append(replace(row, source=source))
        yield replace(job, rows=tuple(rows))


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    """On a CPU, compute on one thread here too, so that results are those of any number of processes."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


# ---------------------------------------------------------------------------- keeping it


class _Cache:
    """Results by key, in memory and, with a folder, in ``results.jsonl`` there.

    Args:
        folder: made if missing; None keeps results in memory only.

    Raises:
        InputError: the folder cannot be used.
    """

    def __init__(self, folder: Path | None) -> None:
        self._known: dict[str, dict[str, Any]] = {}
        self._path = None if folder is None else folder / RESULTS_FILE
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            text = self._path.read_bytes() if self._path.exists() else b""
            with open(self._path, "ab") as file:
                # A line that an interruption cut off must not swallow the next one.
                file.write(b"\n" if text and not text.endswith(b"\n") else b"")
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written: {error.strerror}") from error
        for line in text.splitlines():
            try:
                record = json.loads(line)
                self._known[record["key"]] = record["result"]
            except (ValueError, KeyError, TypeError):
                continue

    def get(self, key: str) -> dict[str, Any] | None:
        """A result, if it is known."""
        return self._known.get(key)

    def without_known(self, task: _Task, audio: Path | None) -> _Task:
        """The task with only those keys left whose results are not known; all of them if its audio is missing."""
        if audio is not None and not audio.is_file():
            return task
        return replace(task, keys={kind: key for kind, key in task.keys.items() if key not in self._known})

    def add(self, outcome: _Outcome) -> None:
        """Keep the results of a task.

        Raises:
            TasError: they cannot be written.
        """
        lines = []
        for kind, result in outcome.results.items():
            key = outcome.task.keys[kind]
            self._known[key] = dict(result)
            record = {"key": key, "clip": outcome.task.clip, "kind": kind, "result": result}
            lines.append(json.dumps(record, allow_nan=False) + "\n")
        if self._path is not None and lines:
            try:
                with open(self._path, "a", encoding="utf-8") as file:
                    file.write("".join(lines))
            except OSError as error:
                raise TasError(f"{self._path}: cannot be written: {error.strerror}; is the disk full?") from error

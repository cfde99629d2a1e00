"""Tasks of an evaluation, in this process or in several; each computes on one thread."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import torch

from tas_core.audio.writer import write_audio
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.errors import InputError, TasError
from tas_core.evaluation.clips import RATE_HZ, EvalClip, OutputError, read_clip
from tas_core.evaluation.commands import is_command
from tas_core.evaluation.confidence import judged_objects
from tas_core.evaluation.scoring import (
    check_output,
    cited_measures,
    clip_measures,
    mirror_measures,
    presence_measures,
    speech_measures,
    swap_measures,
)
from tas_core.evaluation.settings import EvaluationSettings
from tas_core.evaluation.systems import System, SystemSpec, build_system
from tas_core.evaluation.tasks import Kind, Outcome, Task, file_name
from tas_core.system.devices import keep_freed_memory
from tas_core.system.processes import KILLED, in_processes

AUDIO_FOLDER: Final = "audio"
_CLIPS_KEPT: Final = 4
_OTHER_PROMPTS: Final = frozenset({"presence", "confidence"})
"""What needs no output for a clip's own prompts."""


@dataclass(frozen=True)
class Job:
    """What every process has to know."""

    root: Path
    rows: tuple[SystemSpec, ...]
    identities: tuple[list[Any], ...]
    settings: EvaluationSettings
    needs_timeline: bool
    device: str
    out: Path | None

    def audio_folder(self, row: int) -> Path | None:
        """Where the outputs of a row are kept, if they are."""
        if self.out is None or not self.settings.save_audio:
            return None
        return self.out / AUDIO_FOLDER / file_name(self.rows[row].name)

    def audio_path(self, task: Task) -> Path | None:
        """Where the output of a task is kept, if it is."""
        folder = self.audio_folder(task.row)
        return None if folder is None else folder / f"{task.clip}.wav"


class Worker:
    """Does tasks; systems are built when they are first needed, and the latest clips stay in memory.

    Without systems, before its first task, it can be sent to another process.
    """

    def __init__(self, job: Job, systems: Sequence[System] | None = None) -> None:
        self.job = job
        self._systems: dict[int, System] = dict(enumerate(systems or ()))
        self._clips: dict[str, EvalClip] = {}

    def __call__(self, task: Task) -> Outcome:
        """Carry out one task; InputError where the system refuses the request itself."""
        settings = self.job.settings
        try:
            clip = self._clip(task.clip)
        except InputError as error:
            return Outcome(task, clip_excluded=str(error))
        if task.row not in self._systems:
            row = self.job.rows[task.row]
            system = build_system(row, torch.device(self.job.device), timeout_s=settings.timeout_s)
            if system.identity != self.job.identities[task.row]:
                what = "program" if is_command(row.source) else "checkpoint"
                raise TasError(f"{row.name}: its {what} was written to while it was read; run it again")
            self._systems[task.row] = system
        system = self._systems[task.row]
        if system.needs_stems and clip.stems is None:
            return Outcome(task, row_excluded="no stems", notes=clip.notes)
        results: dict[Kind, dict[str, Any]] = {}
        try:
            if task.keys.keys() <= _OTHER_PROMPTS and self.job.audio_path(task) is None:
                return Outcome(task, _under_other_prompts(system, clip, task), clip.notes)
            output, seconds = system(clip, clip.timeline, settings.seed)
            check_output(output, clip)
            if (path := self.job.audio_path(task)) is not None:
                write_audio(path, output, RATE_HZ, "FLOAT", overwrite=True)
            if "score" in task.keys:  # noqa: SIM118 (a field of that name)
                measures, spans, places = clip_measures(output, clip, normalise=settings.normalise, stft=settings.stft)
                if seconds is not None:
                    measures["real_time_factor"] = seconds / clip.duration_s
                results["score"] = {"measures": measures, "objects": [asdict(span) for span in spans]}
                if places:
                    results["score"]["places"] = [asdict(span) for span in places]
            if "cited" in task.keys:  # noqa: SIM118
                results["cited"] = {"measures": cited_measures(output, clip.truth)}
            if "speech" in task.keys:  # noqa: SIM118
                results["speech"] = {"measures": speech_measures(output, clip.truth)}
            if "mirror" in task.keys:  # noqa: SIM118
                results["mirror"] = {"measures": mirror_measures(system, clip, output, settings.seed)}
            if "swap" in task.keys:  # noqa: SIM118
                results["swap"] = {"measures": swap_measures(system, clip, output, settings.seed)}
            results |= _under_other_prompts(system, clip, task)
        except OutputError as error:
            return Outcome(task, results, clip.notes, row_excluded=str(error))
        return Outcome(task, results, clip.notes)

    def _clip(self, name: str) -> EvalClip:
        settings, known = self.job.settings, self._clips
        clip = known.pop(name, None) or read_clip(
            TasBench(self.job.root), name, settings.captions, settings.names, needs_timeline=self.job.needs_timeline
        )
        known[name] = clip  # as the latest
        while len(known) > _CLIPS_KEPT:
            del known[next(iter(known))]
        return clip


def _under_other_prompts(system: System, clip: EvalClip, task: Task) -> dict[Kind, dict[str, Any]]:
    """What a task asks of :data:`_OTHER_PROMPTS`."""
    results: dict[Kind, dict[str, Any]] = {}
    if "presence" in task.keys:  # noqa: SIM118
        results["presence"] = {"measures": presence_measures(system, clip)}
    if "confidence" in task.keys:  # noqa: SIM118
        judged = [asdict(item) for item in judged_objects(system, clip)]
        results["confidence"] = {"measures": {}, "confidence": judged}
    return results


def computed(job: Job, systems: Sequence[System], tasks: Sequence[Task], jobs: int) -> Generator[Outcome, None, None]:
    """Outcomes as they come.

    A process that is killed fails the task that it was at. Where outcomes are kept, all others are computed before
    that is said, so that a later run has only those left to do.

    Args:
        job: what holds for all tasks.
        systems: its rows, loaded; other processes load their own.
        tasks: what to do.
        jobs: processes; with one, or one task, this one.

    Raises:
        InputError: a system refuses a request.
        TasError: a process was killed, or a checkpoint or program was written to before a process read it.
    """
    if jobs == 1 or len(tasks) < 2:
        worker = Worker(job, systems)
        for task in tasks:
            yield worker(task)
        return
    lost: list[Task] = []
    killed = lost.append if job.out is not None else lambda task: _fail(job, [task])
    with closing(
        in_processes(Worker(job), tasks, jobs, killed=killed, setup=_use_one_thread, modules=["torch"])
    ) as results:
        for _, outcome in results:
            if outcome is not None:
                yield outcome
    if lost:
        _fail(job, lost)


def _fail(job: Job, lost: Sequence[Task]) -> NoReturn:
    """Say which tasks have no outcome since their processes were killed."""
    first = f"{job.rows[lost[0].row].name}, clip {lost[0].clip}"
    more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
    kept = "" if job.out is None else f"; all other results are kept in {job.out}, run it again for the rest"
    raise TasError(f"{first}{more}: {KILLED}{kept}", remedy="jobs")


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()

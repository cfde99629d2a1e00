"""Tasks of an evaluation, in this process or in several; each computes on one thread."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import torch

from tas_core.audio.writer import write_audio
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.errors import InputError, TasError
from tas_core.evaluation.clips import RATE_HZ, EvalClip, read_clip
from tas_core.evaluation.scoring import (
    check_output,
    clip_measures,
    mirror_measures,
    presence_measures,
    swap_measures,
)
from tas_core.evaluation.settings import EvaluationSettings
from tas_core.evaluation.systems import ModelSystem, Row, System, build_system
from tas_core.evaluation.tasks import Kind, Outcome, Task, file_name
from tas_core.models.description import CONFIG_FILE, WEIGHTS_FILE
from tas_core.models.pretrained import shipped_models
from tas_core.system.devices import keep_freed_memory
from tas_core.system.processes import worker_pool

AUDIO_FOLDER: Final = "audio"


@dataclass(frozen=True)
class Job:
    """What every process has to know."""

    root: Path
    rows: tuple[Row, ...]
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
    """Does tasks; systems are built when they are first needed, and the latest clips stay in memory."""

    def __init__(self, job: Job, systems: Sequence[System] | None = None) -> None:
        self.job = job
        self._systems: dict[int, System] = dict(enumerate(systems or ()))
        self._clip = lru_cache(maxsize=4)(self._read)

    def __call__(self, task: Task) -> Outcome:
        """Carry out one task; InputError where the system refuses the request itself."""
        settings = self.job.settings
        try:
            clip = self._clip(task.clip)
        except InputError as error:
            return Outcome(task, clip_excluded=str(error))
        if task.row not in self._systems:
            system = build_system(self.job.rows[task.row], torch.device(self.job.device))
            if system.identity != self.job.identities[task.row]:
                name = self.job.rows[task.row].name
                raise TasError(f"{name}: its checkpoint was written to while it was read; run it again")
            self._systems[task.row] = system
        system = self._systems[task.row]
        if system.needs_stems and clip.stems is None:
            return Outcome(task, row_excluded="no stems", notes=clip.notes)
        output, seconds = system(clip, clip.timeline, settings.seed)
        try:
            check_output(output, clip)
        except InputError as error:
            return Outcome(task, row_excluded=str(error), notes=clip.notes)
        if (path := self.job.audio_path(task)) is not None:
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
        return Outcome(task, results, clip.notes)

    def _read(self, name: str) -> EvalClip:
        settings = self.job.settings
        data = TasBench(self.job.root)
        return read_clip(data, name, settings.captions, settings.names, needs_timeline=self.job.needs_timeline)


_WORKER: Worker | None = None


def _start(job: Job) -> None:
    """Make this process a worker."""
    global _WORKER
    # Ctrl-C reaches all processes of a terminal; the one that was started by hand has the word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(1)
    keep_freed_memory()
    _WORKER = Worker(job)


def _do(task: Task) -> Outcome:
    assert _WORKER is not None
    return _WORKER(task)


def computed(job: Job, systems: Sequence[System], tasks: Sequence[Task], jobs: int) -> Generator[Outcome, None, None]:
    """Outcomes as they come.

    Args:
        job: what holds for all tasks.
        systems: its rows, loaded; other processes load their own.
        tasks: what to do.
        jobs: processes; with one, or one task, this one.

    Raises:
        InputError: a system refuses a request.
        TasError: a process died.
    """
    if jobs == 1 or len(tasks) < 2:
        worker = Worker(job, systems)
        for task in tasks:
            yield worker(task)
        return
    with _copied(job, systems) as copy, worker_pool(jobs, _start, copy) as pool:
        futures = [pool.submit(_do, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise TasError(
                "a process ended without a result (out of memory?); try fewer --jobs, results so far are kept"
            ) from error


@contextmanager
def _copied(job: Job, systems: Sequence[System]) -> Iterator[Job]:
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

"""Files of a batch by several processes, each with a model of its own."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from functools import partial

from tas_core.jobs.batch.worker import FileOutcome, FileTask, attempt
from tas_core.jobs.spatialize import FileWorker
from tas_core.system.processes import KILLED, in_processes, usable_cores


def compute_in_processes(
    tasks: Sequence[FileTask], worker: FileWorker, jobs: int
) -> Generator[tuple[int, FileOutcome], None, None]:
    """Numbers of the tasks, from 0, and outcomes as they come; what is under way is ended where this is closed.

    A process that is killed fails the file that it was at. The processes share the cores.

    Args:
        tasks: what to do.
        worker: what makes them; a copy in each process.
        jobs: processes.

    Raises:
        InputError: the model cannot be used.
    """
    threads = share_of_cores(jobs)
    work, setup = partial(attempt, worker), partial(use_threads, threads)
    return in_processes(work, tasks, jobs, killed=_killed, setup=setup, threads=threads, modules=["torch"])


def _killed(task: FileTask) -> FileOutcome:
    return FileOutcome(task.request, error=f"{task.request.source}: {KILLED}", remedy="jobs")


def share_of_cores(jobs: int) -> int:
    """Threads for each of some processes, no more than ``OMP_NUM_THREADS`` allows."""
    threads = max(1, usable_cores() // jobs)
    if (allowed := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
        threads = max(1, min(threads, int(allowed)))
    return threads


def use_threads(threads: int) -> None:
    """Let this process compute with so many."""
    import torch

    torch.set_num_threads(threads)

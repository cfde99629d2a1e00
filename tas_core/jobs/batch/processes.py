"""Tasks of a batch by several processes, each with a model of its own.

A process that dies fails the file that it was at, and another takes its place. Processes do not hear Ctrl-C; the one
that was started by hand does, and ends them so that they remove what they have begun.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Generator
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from typing import Any

from tas_core.errors import TasError
from tas_core.jobs.batch.worker import FileOutcome, FileTask, attempt
from tas_core.jobs.spatialize import FileWorker, JobSettings
from tas_core.system.processes import child_threads, usable_cores

_PATIENCE_S = 10.0
"""How long a process may take to leave; torch hears signals between two operations only."""

_PR_SET_PDEATHSIG = 1


def compute_in_processes(
    todo: dict[int, FileTask], settings: JobSettings, jobs: int
) -> Generator[tuple[int, FileOutcome], None, None]:
    """Numbers and outcomes as they come; what is under way is ended where this is closed.

    Args:
        todo: tasks by their numbers.
        settings: what holds for all.
        jobs: processes.

    Raises:
        TasError: the model cannot be loaded.
    """
    threads = max(1, usable_cores() // jobs)
    if (allowed := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
        threads = max(1, min(threads, int(allowed)))
    waiting = list(reversed(todo.items()))
    processes: list[_Process] = []
    try:
        while waiting or any(process.number is not None for process in processes):
            while waiting and len(processes) < jobs:
                processes.append(_Process(settings, threads))
            for process in processes:
                if process.number is None and waiting:
                    process.give(*waiting.pop())
            ready = connection.wait([process.pipe for process in processes if process.number is not None])
            for process in [process for process in processes if process.pipe in ready]:
                number = process.number
                assert number is not None
                outcome = process.take(todo[number])
                if outcome is None:
                    processes.remove(process)
                    process.end()
                    outcome = FileOutcome(
                        todo[number].request,
                        error=f"{todo[number].request.source}: the process that worked on it was killed"
                        " (out of memory? try fewer --jobs)",
                    )
                yield number, outcome
    finally:
        for process in processes:
            process.leave()
        for process in processes:
            process.end()


class _Process:
    """A process as its owner sees it; ``number`` is that of the task that it is at."""

    def __init__(self, settings: JobSettings, threads: int) -> None:
        context = get_context("spawn")
        self.number: int | None = None
        self.pipe, other = context.Pipe()
        self._process: BaseProcess = context.Process(target=_serve, args=(other, settings, threads), daemon=True)
        with child_threads(threads):
            self._process.start()
        other.close()

    def give(self, number: int, task: FileTask) -> None:
        self.number = number
        with contextlib.suppress(OSError):  # it has died, which take() will find
            self.pipe.send(task)

    def take(self, task: FileTask) -> FileOutcome | None:
        """The outcome of its task; None if the process died."""
        self.number = None
        try:
            answer: Any = self.pipe.recv()
        except (EOFError, OSError):
            return None
        if isinstance(answer, TasError):
            raise answer
        # The request is the one that was given, so that its owner finds it again.
        assert isinstance(answer, FileOutcome)
        assert answer.request == task.request
        return answer

    def leave(self) -> None:
        """Tell it to stop: at once if it is at a task."""
        if self.number is not None:
            self._process.terminate()
        self.pipe.close()

    def end(self) -> None:
        """Wait until it is gone."""
        self.pipe.close()
        self._process.join(_PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def _serve(pipe: connection.Connection, settings: JobSettings, threads: int) -> None:
    """Be a process: do what comes through the pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if sys.platform.startswith("linux"):
        # Whatever ends the owner, its processes do not go on for nobody.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    import torch

    torch.set_num_threads(threads)
    worker = FileWorker(settings)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            task = pipe.recv()
            try:
                answer: FileOutcome | TasError = attempt(worker, task)
            except TasError as error:
                answer = error
            pipe.send(answer)

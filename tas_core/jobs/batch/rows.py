"""Rows of a data set, each a file to make: what a worker of a cluster does with them, and how often it may try.

A cluster does a row again whose worker was killed, as often as it takes. So workers say when they begin a file: what
comes again is made as a run with leave to skip would make it, and what comes too often fails.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from tas_core.errors import InputError
from tas_core.jobs.batch.plan import plan_requests
from tas_core.jobs.batch.processes import use_threads
from tas_core.jobs.batch.worker import FileOutcome, FileTask, attempt
from tas_core.jobs.spatialize import FileWorker
from tas_core.system.processes import KILLED, sendable

MOST_ATTEMPTS: Final = 3
"""How many workers a file may cost before it fails: one that is too large for them would be tried forever."""


class Attempts:
    """How often each file of a run was begun; one for all workers, which lives where the run was started.

    Args:
        was_lost: tells whether this one follows another that was killed, and all that it knew is forgotten; then every
            file may have been begun before.
    """

    def __init__(self, was_lost: Callable[[], bool] = lambda: False) -> None:
        self._before = int(was_lost())
        self._begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        """Count the beginning of a file; how often it was begun, with this time."""
        self._begun[number] += 1
        return self._begun[number] + self._before


class RowWorker:
    """Makes the files of rows, with one model that is loaded for the first and kept.

    Args:
        worker: makes a file.
        folder: that relative names are relative to.
        threads: to compute with.
        begin: told the number of each file before it is made; gives how often it was begun, with this time.
        wanted: the version of this package where the run was started; None is any.
    """

    def __init__(
        self, worker: FileWorker, folder: str, threads: int, begin: Callable[[int], int], wanted: str | None = None
    ) -> None:
        self._worker, self._folder, self._threads, self._begin = worker, folder, threads, begin
        self._wanted = wanted
        self._is_set_up = False

    def __call__(self, rows: Mapping[str, Sequence[Any]]) -> dict[str, np.ndarray]:
        """The outcomes of some files.

        Args:
            rows: ``number``, and ``task``, a :class:`FileTask`, of each.

        Returns:
            ``number``, and ``answer``, a :class:`FileOutcome`, or the exception that ends the whole batch.
        """
        numbers = [int(number) for number in rows["number"]]
        answers = np.empty(len(numbers), dtype=object)  # of which NumPy shall make no array of more axes
        for at, (number, task) in enumerate(zip(numbers, rows["task"], strict=True)):
            try:
                answers[at] = self._make(number, task)
            except Exception as error:
                answers[at] = sendable(error)
        return {"number": np.array(numbers, dtype=np.int64), "answer": answers}

    def _make(self, number: int, task: FileTask) -> FileOutcome:
        if not self._is_set_up:
            self._set_up()
        times = self._begin(number)
        if times > MOST_ATTEMPTS:
            tried = f"tried {MOST_ATTEMPTS} times, and each time {KILLED}"
            return FileOutcome(task.request, error=f"{task.request.source}: {tried}", remedy="jobs", code=1)
        if times > 1:
            task = after_a_kill(task, self._worker.writes_sidecars)
        return attempt(self._worker, task)

    def _set_up(self) -> None:
        if self._wanted is not None and (here := version("tas")) != self._wanted:
            raise InputError(f"a worker of the cluster has version {here} of tas, expected {self._wanted} as here")
        try:
            os.chdir(self._folder)
        except OSError as error:
            raise InputError(
                f"{self._folder}: a worker of the cluster cannot work there ({error.strerror}), expected a folder that"
                " all of them share"
            ) from error
        use_threads(self._threads)
        self._is_set_up = True


def after_a_kill(task: FileTask, sidecar: bool) -> FileTask:
    """The task of a file whose worker was killed, which may have made it, or a part of what belongs to it.

    Args:
        task: as it was first.
        sidecar: whether each output gets a sidecar beside it.
    """
    if task.overwrite or task.only_measured:
        return task
    if task.stores is not None:  # which are asked again in its turn
        return replace(task, unless_there=True)
    found = plan_requests([task.request], sidecar=sidecar, skip_existing=True)
    return replace(task, overwrite=bool(found.again), unless_there=True)

"""Many files with one model, one after the other, by several processes, or by workers of a cluster.

What is wrong with the whole batch is found first, see :func:`tas_core.jobs.batch.plan.plan_batch`. What is wrong with
one file fails that file, and the others go on. Where all files are to be turned down by one gain, all are measured
before the first is made (:mod:`tas_core.jobs.batch.shared_gain`), and what cannot be measured fails then.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from tas_core.errors import InputError
from tas_core.jobs.batch.cluster import RayCluster
from tas_core.jobs.batch.plan import BatchPlan
from tas_core.jobs.batch.processes import compute_in_processes
from tas_core.jobs.batch.shared_gain import compared, shared_gain_db
from tas_core.jobs.batch.worker import FileOutcome, FileTask, attempt
from tas_core.jobs.output_checks import check_outputs
from tas_core.jobs.spatialize import FileWorker, JobSettings
from tas_core.system.partial_files import remove_stale
from tas_core.system.processes import usable_cores
from tas_core.system.progress import Progress, ignore

_Compute: TypeAlias = Callable[[Sequence[FileTask], FileWorker], Generator[tuple[int, FileOutcome], None, None]]
"""Gives numbers of tasks and outcomes as they come."""


def run_batch(
    plan: BatchPlan,
    settings: JobSettings,
    *,
    jobs: int = 1,
    fail_fast: bool = False,
    progress: Progress = ignore,
    on_outcome: Callable[[FileOutcome], None] = ignore,
    cluster: RayCluster | None = None,
) -> list[FileOutcome]:
    """Make all files of a plan.

    Folders of outputs are made; those that stay empty are removed again. Partial files that killed runs left in them
    are removed.

    Args:
        plan: see :func:`tas_core.jobs.batch.plan.plan_batch`.
        settings: what holds for all files.
        jobs: processes, at most one for every core and file, which share the cores; with one, all is done in this one.
        fail_fast: whether the first failure ends it.
        progress: told the fraction of the files done.
        on_outcome: told how each file ended, as they end; first the files that are skipped or refused.
        cluster: whose workers make the files, in place of processes; they reach the folders that this one reaches.

    Returns:
        Outcomes in the order of the plan, without the files that were not tried after a failure.

    Raises:
        InputError: an output that cannot be written, a model or a head that cannot be used; nothing was made then.
        TasError: the cluster cannot be used.
    """
    settings = settings.with_head()
    stores, share = plan.stores, settings.options.levels.clip == "rescale-all"
    in_stores = {n for n, request in enumerate(plan.requests) if stores is not None and stores.concern(request)}
    if share and in_stores:
        raise InputError("one gain for all files takes reading each twice, and some are in stores; expected paths")
    as_named = lambda outcome: outcome if stores is None else stores.told_outcome(outcome)  # noqa: E731
    todo = {
        number: FileTask(
            request,
            settings.options.overwrite or number in plan.again,
            unless_there=plan.skips_existing and number not in plan.again and not settings.options.overwrite,
            stores=stores if number in in_stores else None,
        )
        for number, request in plan.tasks()
    }
    outcomes = {number: FileOutcome(plan.requests[number], skipped=True) for number in sorted(plan.skipped)}
    outcomes |= {number: FileOutcome(plan.requests[number], error=why) for number, why in plan.refused.items()}
    with contextlib.ExitStack() as stack:
        if stores is not None:
            stack.enter_context(stores.in_messages())
        stack.enter_context(_folders(plan.folders(), plan.stem_folders()))
        for task in todo.values():
            inputs = [task.request.source, *(item.file for item in task.request.objects)]
            may_be_there = task.overwrite or task.unless_there
            check_outputs(task.request, inputs, overwrite=may_be_there, subtype=settings.options.subtype)
        if plan.refused and fail_fast:
            todo = {}
        total = len(plan.requests)
        jobs = max(1, min(jobs, usable_cores(), len(todo)))
        compute: _Compute | None = partial(compute_in_processes, jobs=jobs) if jobs > 1 else None
        if cluster is not None and todo:
            device = settings.device
            compute = stack.enter_context(cluster.joined(len(todo), device, fail_fast=fail_fast)).compute
        worker = FileWorker(settings)
        if share and todo:
            before = {n: FileTask(plan.requests[n], True, only_measured=True) for n in sorted({*todo, *plan.skipped})}
            ending = todo.keys() if fail_fast else ()
            measured = _measured(before, worker, compute, lambda done: progress(done / 2), ending)
            failed = {n: outcome for n, outcome in measured.items() if outcome.error and n in todo}
            if failed and fail_fast:
                todo, measured = {}, {}
            gain_db = shared_gain_db(measured)
            outcomes |= {n: compared(outcomes[n], measured[n], gain_db) for n in plan.skipped if n in measured} | failed
            todo = {n: task for n, task in todo.items() if n not in failed}
            worker = worker.sharing(gain_db)
        for number in sorted(outcomes):
            on_outcome(as_named(outcomes[number]))
        half = share / 2
        told = lambda done: progress(half + (1 - half) * done)  # noqa: E731
        within = lambda fraction: told((len(outcomes) + fraction) / total)  # noqa: E731
        with contextlib.closing(_computed(todo, worker, compute, within)) as computed:
            for number, outcome in computed:
                outcomes[number] = outcome
                on_outcome(as_named(outcome))
                told(len(outcomes) / total)
                if outcome.error and fail_fast:
                    break
    return [as_named(outcomes[number]) for number in sorted(outcomes)]


def _measured(
    tasks: dict[int, FileTask],
    worker: FileWorker,
    compute: _Compute | None,
    progress: Progress,
    ending: Collection[int],
) -> dict[int, FileOutcome]:
    """How files are before any is made; nothing after the first failure of one of those whose failure ends it."""
    measured: dict[int, FileOutcome] = {}
    within = lambda fraction: progress((len(measured) + fraction) / len(tasks))  # noqa: E731
    with contextlib.closing(_computed(tasks, worker, compute, within)) as computed:
        for number, outcome in computed:
            measured[number] = outcome
            progress(len(measured) / len(tasks))
            if outcome.error and number in ending:
                break
    return measured


def _computed(
    todo: dict[int, FileTask], worker: FileWorker, compute: _Compute | None, progress: Progress
) -> Generator[tuple[int, FileOutcome], None, None]:
    """Numbers and outcomes as they come; stopped where it is closed."""
    if compute is not None:
        numbers = list(todo)
        with contextlib.closing(compute(list(todo.values()), worker)) as computed:
            for at, outcome in computed:
                yield numbers[at], outcome
        return
    for number, task in todo.items():
        yield number, attempt(worker, task, progress)


@contextlib.contextmanager
def _folders(folders: Sequence[Path], others: Sequence[Path]) -> Iterator[None]:
    """Folders to write to, made if they are missing; at the end, empty ones made here are removed.

    Also removes what killed programs left in them and in the others.
    """
    made: list[Path] = []
    try:
        for folder in folders:
            missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
            for path in reversed(missing):
                try:
                    path.mkdir()
                except OSError as error:
                    raise InputError(f"{path}: the folder cannot be made ({error.strerror})") from error
                made.append(path)
            if not folder.is_dir():
                raise InputError(f"{folder}: not a folder, expected one for the outputs")
        for folder in (*folders, *others):
            remove_stale(folder)
        yield
    finally:
        for folder in (*folders, *others):
            remove_stale(folder)
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir()

"""Processes that share out independent work, and end at once when it is broken off."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from typing import Any


@contextmanager
def worker_pool(
    jobs: int, initializer: Callable[..., None] | None = None, *arguments: Any
) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes of one thread each; whatever is raised inside ends what they are at.

    Results have to be small, some kilobytes (larger ones go by way of files): one that is handed over in pieces,
    by a process that is ended meanwhile, is waited for in vain.

    Fresh, for a fork would inherit locks held by threads of this process (torch, FluidSynth) and wait forever. One
    thread, for several in each would only fight over the cores.

    Args:
        jobs: processes, at least 1.
        initializer: called in each process before its first task.
        arguments: of ``initializer``.
    """
    others = set(active_children())
    context = get_context("spawn")
    with (
        child_threads(1),
        ProcessPoolExecutor(jobs, mp_context=context, initializer=initializer, initargs=arguments) as pool,
    ):
        try:
            yield pool
        except BaseException:
            # What they are at may take minutes, and nobody is left to receive it. The pool sees them end, and gives up.
            for process in set(active_children()) - others:
                process.terminate()
            raise


def usable_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def child_threads(threads: int) -> Iterator[None]:
    """Tell processes that are started meanwhile how many threads to use; what reads this does so when it is loaded."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = before

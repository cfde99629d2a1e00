"""A function mapped over the clips of a data set, in several processes where starting them pays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TypeVar

from tas_core.system.processes import in_order, in_processes
from tas_core.system.progress import Progress, ignore

T = TypeVar("T")

MIN_CLIPS = 128
"""Fewer clips are done before other processes have started."""


def map_clips(
    work: Callable[[str], T],
    clips: Sequence[str],
    jobs: int = 1,
    progress: Progress = ignore,
) -> list[T]:
    """Results of ``work`` for every clip, in the order of the clips.

    Args:
        work: takes the name of a clip; for more than one job a function that can be pickled, as can its results.
        clips: names.
        jobs: processes, at least 1.
        progress: told the fraction done, 0 to 1.

    Raises:
        TasError: whatever ``work`` raises, or a process was killed.
    """
    results: list[T] = []

    def take(result: T) -> None:
        results.append(result)
        progress(len(results) / len(clips))

    if jobs == 1 or len(clips) < MIN_CLIPS:
        for clip in clips:
            take(work(clip))
        return results
    with closing(in_processes(work, clips, jobs, modules=["numpy"])) as found:
        for result in in_order(found):
            take(result)
    return results

from __future__ import annotations

import os
import time
from concurrent.futures import as_completed
from multiprocessing import active_children
from pathlib import Path

import pytest

from tas_core.system.processes import worker_pool

_started_with: str | None = None


def _start(name: str) -> None:
    global _started_with
    _started_with = name


def _environment(number: int) -> tuple[int, str | None, str | None, int]:
    return number, os.environ.get("OMP_NUM_THREADS"), _started_with, os.getpid()


def _sleep(folder: Path) -> None:
    (folder / f"{os.getpid()}").touch()
    time.sleep(600)


def test_processes_have_one_thread_each_and_the_caller_keeps_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with worker_pool(2, _start, "violin") as pool:
        futures = [pool.submit(_environment, number) for number in range(4)]
        found = [future.result() for future in as_completed(futures)]
    assert sorted(number for number, *_ in found) == [0, 1, 2, 3]
    assert {(threads, name) for _, threads, name, _ in found} == {("1", "violin")}
    assert os.getpid() not in {pid for *_, pid in found}
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_breaking_off_ends_what_processes_are_at(tmp_path: Path) -> None:
    """As Ctrl-C does: tasks of ten minutes, under way and waiting, are not waited for, and no process is left."""
    before = set(active_children())
    began = time.monotonic()

    def work() -> None:
        with worker_pool(2) as pool:
            for _ in range(4):
                pool.submit(_sleep, tmp_path)
            while len(list(tmp_path.iterdir())) < 2:
                assert time.monotonic() - began < 120
                time.sleep(0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert time.monotonic() - began < 300  # half of one task; it takes some seconds
    assert set(active_children()) == before
    for path in tmp_path.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.name), 0)

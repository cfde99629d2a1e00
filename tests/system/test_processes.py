from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import pytest

from tas_core.errors import InputError, TasError
from tas_core.system.partial_files import remove_stale
from tas_core.system.processes import (
    KILLED,
    KeptProcess,
    ProcessEndedError,
    child_environment,
    in_order,
    in_processes,
)
from tests.support.processes import wait_for_end

_started_with: str | None = None


def _start(name: str) -> None:
    global _started_with
    assert _started_with is None
    _started_with = name


def _environment(number: int) -> tuple[int, str | None, str | None, int]:
    return number, os.environ.get("OMP_NUM_THREADS"), _started_with, os.getpid()


def _sleep(folder: Path, number: int) -> None:
    begun = folder / f"{os.getpid()}"
    begun.touch()
    try:
        time.sleep(600 + number)
    finally:
        begun.rename(begun.with_suffix(".left"))


def _double(number: int) -> int:
    return 2 * number


def _killed_at(bad: set[int], number: int) -> int:
    if number in bad:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


class _Peculiar(Exception):
    """Cannot be made from what it holds."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one + other)


def _raise(error: Exception | None, number: int) -> int:
    if number == 1:
        raise error or _Peculiar("pecu", "liar")
    return number


class _Counting:
    """How many tasks one process has done."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self, size: int) -> tuple[int, bytes]:
        self.done += 1
        return self.done, bytes(size)


def test_processes_have_one_thread_each_and_the_caller_keeps_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = list(in_processes(_environment, range(10, 14), 2, setup=partial(_start, "violin")))
    assert sorted((number, task) for number, (task, *_) in found) == [(0, 10), (1, 11), (2, 12), (3, 13)]
    assert {(threads, name) for _, (_, threads, name, _) in found} == {("1", "violin")}
    assert os.getpid() not in {pid for _, (*_, pid) in found}
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_work_keeps_what_it_holds_and_results_may_be_large() -> None:
    """Megabytes do not fit into a pipe at once."""
    results = list(in_order(in_processes(_Counting(), [0, 10**7, 5], 1, threads=2)))
    assert results == [(1, b""), (2, bytes(10**7)), (3, bytes(5))]


def test_results_come_in_order_where_they_are_wanted_so() -> None:
    assert list(in_order([(2, "c"), (0, "a"), (3, "d"), (1, "b")])) == ["a", "b", "c", "d"]
    assert list(in_order(in_processes(_double, range(20), 2))) == list(range(0, 40, 2))
    assert list(in_processes(_double, [], 2)) == []


def test_a_process_that_is_killed_fails_its_task_and_the_others_are_done() -> None:
    before = set(active_children())
    found = dict(in_processes(partial(_killed_at, {1, 4}), range(6), 2, killed=lambda number: -number))
    assert found == {0: 0, 1: -1, 2: 2, 3: 3, 4: -4, 5: 5}
    assert set(active_children()) == before


def test_a_process_that_is_killed_ends_it_where_nobody_says_otherwise() -> None:
    with pytest.raises(TasError) as caught:
        list(in_processes(partial(_killed_at, {1}), range(3), 1))
    assert str(caught.value) == f"1: {KILLED}"


@pytest.mark.parametrize("error", [InputError("no such thing"), ZeroDivisionError("division by zero")])
def test_what_is_raised_there_is_raised_here_and_says_where(error: Exception) -> None:
    before = set(active_children())
    with pytest.raises(type(error), match=str(error)) as caught:
        list(in_processes(partial(_raise, error), range(3), 2))
    assert "in _raise" in caught.value.__notes__[0]
    assert set(active_children()) == before


def test_processes_that_cannot_start_are_said_once(tmp_path: Path) -> None:
    """As where a script has no guard, so that each process would start others."""
    script = tmp_path / "script.py"
    script.write_text(
        "from tas_core.errors import TasError\n"
        "from tas_core.system.processes import in_processes\n"
        "try:\n"
        "    print(list(in_processes(abs, range(9), 2)))\n"
        "except TasError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=240)
    said = "a process ended before it could begin; a script that uses several needs the usual 'if __name__"
    assert done.stdout.splitlines() == [f'{said} == "__main__":\'']
    assert done.returncode == 0


def test_an_exception_that_cannot_be_sent_is_told() -> None:
    with pytest.raises(RuntimeError, match="_Peculiar: peculiar"):
        list(in_processes(partial(_raise, None), range(3), 1))


def test_breaking_off_ends_what_processes_are_at(tmp_path: Path) -> None:
    """As Ctrl-C does: tasks of ten minutes, under way and waiting, are not waited for, and no process is left.

    What a process has begun, it clears away.
    """
    before = set(active_children())
    began = time.monotonic()

    def work() -> None:
        with closing(in_processes(partial(_sleep, tmp_path), range(4), 2)) as results:
            for _ in results:
                raise AssertionError

    def interrupt(*_: object) -> None:
        if len(list(tmp_path.iterdir())) == 2:
            raise KeyboardInterrupt
        assert time.monotonic() - began < 120
        signal.setitimer(signal.ITIMER_REAL, 0.05)

    earlier = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)
    assert time.monotonic() - began < 300  # half of one task; it takes some seconds
    assert set(active_children()) == before
    left = list(tmp_path.iterdir())
    assert [path.suffix for path in left] == [".left"] * 2
    for path in left:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.stem), 0)


@pytest.mark.parametrize("before", [None, "7"])
def test_processes_that_are_started_meanwhile_are_told_their_threads(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    if before is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", before)
    with child_environment(3):
        said = subprocess.run(["printenv", "OMP_NUM_THREADS"], capture_output=True, text=True).stdout
        assert said == "3\n"
    assert os.environ.get("OMP_NUM_THREADS") == before


_OWNER = """
import os, sys, time
from contextlib import closing
from pathlib import Path
from tas_core.system.processes import in_processes

def wait(number):
    Path(f"{os.getpid()}.pid").touch()
    time.sleep(600)

if __name__ == "__main__":
    with closing(in_processes(wait, range(2), 2)) as results:
        next(results)
"""


def test_processes_whose_owner_is_killed_do_not_go_on_for_nobody(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "owner.py").write_text(_OWNER)
    temporary = tmp_path_factory.mktemp("t")  # short, as the address of a socket has to be
    owner = subprocess.Popen([sys.executable, "owner.py"], cwd=tmp_path, env=os.environ | {"TMPDIR": str(temporary)})
    began = time.monotonic()
    while len(list(tmp_path.glob("*.pid"))) < 2:
        assert time.monotonic() - began < 120
        time.sleep(0.02)
    assert remove_stale(temporary) == 0  # what it uses is its own
    owner.kill()
    owner.wait()
    wait_for_end(int(path.stem) for path in tmp_path.glob("*.pid"))
    assert len(list(temporary.iterdir())) == 1  # with the socket at which it asked for processes
    assert remove_stale(temporary) == 1
    assert not list(temporary.iterdir())


def test_no_module_of_the_working_folder_is_loaded(tmp_path: Path) -> None:
    """Which holds sounds of anybody: a file named like a module would be run."""
    for name in ("multiprocessing", "signal", "random", "socket", "numpy", "torch", "tas_core"):
        (tmp_path / f"{name}.py").write_text("open('was run', 'w').close()\nraise SystemExit(3)\n")
    code = "from tas_core.system.processes import in_processes; print(sorted(in_processes(abs, [-3, -4], 2)))"
    script = tmp_path / "elsewhere" / "script.py"
    script.parent.mkdir()
    script.write_text(f"if __name__ == '__main__':\n    {code}\n")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert (done.stdout, done.returncode) == ("[(0, 3), (1, 4)]\n", 0), done.stderr
    assert not (tmp_path / "was run").exists()


def test_temporary_files_may_be_at_a_long_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than the address of a socket may be, which is what processes are asked for at."""
    long = tmp_path / ("t" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    assert dict(in_processes(_double, range(3), 2)) == {0: 0, 1: 2, 2: 4}


def _variable(name: str) -> str | None:
    return os.environ.get(name)


@pytest.mark.parametrize("value", ["one", "other"])
def test_processes_have_the_environment_of_their_owner(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TAS_TEST_VARIABLE", value)
    found = list(in_processes(_variable, ["TAS_TEST_VARIABLE", "PYTHONSAFEPATH"], 1))
    assert found == [(0, value), (1, os.environ.get("PYTHONSAFEPATH"))]


# ------------------------------------------------------------------ a process that is kept

_done: list[str] = []


def _count_or_end(task: str) -> tuple[int, int]:
    """How many tasks this process has done, and its number; or the end of it."""
    if task == "sleep":
        time.sleep(600)
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "raise":
        raise InputError("no such thing", remedy="jobs")
    _done.append(task)
    return len(_done), os.getpid()


def test_a_kept_process_does_one_task_after_another_and_is_replaced_when_it_is_lost() -> None:
    kept: KeptProcess[str, tuple[int, int]] = KeptProcess(_count_or_end)
    try:
        first, second = kept.do("a"), kept.do("b", 60.0)
        assert (first[0], second[0]) == (1, 2)
        assert first[1] == second[1] != os.getpid()
        with pytest.raises(InputError, match="no such thing") as error:
            kept.do("raise")
        assert error.value.remedy == "jobs"
        assert kept.do("c") == (3, first[1])  # what a task raises ends nothing
        with pytest.raises(ProcessEndedError, match="was killed"):
            kept.do("die")
        again = kept.do("d")
        assert again[0] == 1
        assert again[1] != first[1]
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            kept.do("sleep", 0.1)
        assert time.monotonic() - began < 5.0
        with pytest.raises(ProcessLookupError):
            os.kill(again[1], 0)
        assert kept.started == 2
    finally:
        kept.close()
    assert not active_children()

"""Processes that share out independent tasks; one that is killed fails the task that it was at, and no other.

They are not forks of this process, which would inherit locks held by its threads (torch, FluidSynth) and wait forever,
but of one that has loaded modules and started nothing, so that torch is loaded once for all of them.
They do not hear Ctrl-C; the one that was started by hand does, and ends them so that they remove what they have begun.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from multiprocessing import connection, current_process, get_all_start_methods, get_context, parent_process
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, Final, Generic, NoReturn, TypeVar

from tas_core.errors import TasError
from tas_core.system.partial_files import PartialFolder

KILLED: Final = "the process that worked on it was killed (out of memory?), try fewer processes"
"""What to say of a task whose process did not live to give a result."""

_NOT_STARTED: Final = (
    "a process ended before it could begin; a script that uses several needs the usual 'if __name__ == \"__main__\":'"
)

_PATIENCE_S: Final = 10.0
"""How long a process may take to leave; compiled code hears signals only between two calls."""

_LONGEST_TEMPORARY: Final = 107 - len("/.tas-0123456789ab.parts/listener-01234567")
"""Bytes of the folder for temporary files: the socket below it has a path of at most 107."""

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")


def _refuse(task: object) -> NoReturn:
    raise TasError(f"{task}: {KILLED}", remedy="jobs")


def in_processes(
    work: Callable[[TaskT], ResultT],
    tasks: Sequence[TaskT],
    jobs: int,
    *,
    killed: Callable[[TaskT], ResultT] = _refuse,
    setup: Callable[[], None] | None = None,
    threads: int = 1,
    modules: Sequence[str] = (),
) -> Generator[tuple[int, ResultT], None, None]:
    """Results with the numbers of their tasks, counted from 0, as they come.

    Closing the generator, hence also an exception of who iterates within :func:`contextlib.closing`, ends at once what
    the processes are at.

    Args:
        work: does a task. It is sent to each process once, so what it holds on to there is at hand for its next task.
            It, the tasks and the results are pickled.
        tasks: what to do, begun in this order.
        jobs: processes, at least 1; no more are started than there are tasks. Another one takes the place of one that
            was killed.
        killed: the result of a task whose process was killed; what it raises ends it all.
        setup: called in each process before its first task.
        threads: for each process to compute with.
        modules: as of :func:`process_context`.

    Raises:
        TasError: a process was killed, unless ``killed`` gives a result; or it cannot be started at all.
        Exception: whatever ``work`` or ``setup`` raises.
    """
    waiting = list(enumerate(tasks))[::-1]
    processes: list[_Process[TaskT]] = []
    try:
        while True:
            for process in processes:
                if process.number is None and waiting:
                    process.give(*waiting.pop())
            while waiting and len(processes) < jobs:
                processes.append(_Process(work, setup, threads, process_context(modules)))
                processes[-1].give(*waiting.pop())
            busy = {process.pipe: process for process in processes if process.number is not None}
            if not busy:
                return
            ended: list[tuple[int, Any]] = []
            for pipe in connection.wait(list(busy)):
                process = busy[pipe]  # type: ignore[index]
                number = process.number
                assert number is not None
                try:
                    answer: tuple[Any, Exception | None] | None = process.pipe.recv()
                except (EOFError, OSError):
                    processes.remove(process)
                    if process.end() > 0 and not process.started:  # by itself: the next one would do the same
                        raise TasError(_NOT_STARTED) from None
                    ended.append((number, killed(tasks[number])))
                    continue
                process.started = True
                if answer is not None:
                    process.number = None
                    result, error = answer
                    if error is not None:
                        raise error
                    ended.append((number, result))
            yield from ended
    finally:
        for process in processes:
            process.leave()
        for process in processes:
            process.end()


class ProcessEndedError(TasError):
    """A process died of itself or by somebody's hand, or was ended for what it took, before it gave a result."""


class KeptProcess(Generic[TaskT, ResultT]):
    """A process that does one task after another and keeps what it has loaded for them; another follows one that ends.

    Args:
        work: does a task, as for :func:`in_processes`.
        threads: for the process to compute with.
        modules: as of :func:`process_context`.

    Attributes:
        started: how many processes there have been.
    """

    def __init__(self, work: Callable[[TaskT], ResultT], *, threads: int = 1, modules: Sequence[str] = ()) -> None:
        self._work, self._threads, self._modules = work, threads, modules
        self._process: _Process[TaskT] | None = None
        self.started = 0

    def do(self, task: TaskT, limit_s: float | None = None) -> ResultT:
        """Do a task.

        Args:
            task: what to do.
            limit_s: how long it may take, seconds; the process of one that takes longer is ended.

        Raises:
            TimeoutError: it took longer.
            ProcessEndedError: the process ended meanwhile.
            Exception: whatever the work raises.
        """
        if self._process is None:
            self._process = _Process(self._work, None, self._threads, process_context(self._modules))
            self.started += 1
        process = self._process
        process.give(0, task)
        until = None if limit_s is None else time.monotonic() + limit_s
        try:
            while True:
                if not process.pipe.poll(None if until is None else max(0.0, until - time.monotonic())):
                    raise TimeoutError
                answer: tuple[Any, Exception | None] | None = process.pipe.recv()
                if answer is not None:  # it has started
                    break
        except TimeoutError:
            self.close()
            raise
        except (EOFError, OSError) as error:
            self.close()
            raise ProcessEndedError(KILLED, remedy="jobs") from error
        process.number = None
        result, problem = answer
        if problem is not None:
            raise problem
        return result

    def close(self) -> None:
        """End the process, whatever it is at; the next task gets another."""
        process, self._process = self._process, None
        if process is not None:
            process.leave()
            process.end()


def in_order(results: Iterable[tuple[int, ResultT]]) -> Iterator[ResultT]:
    """Results of :func:`in_processes` in the order of their tasks; those that come early wait in memory."""
    early: dict[int, ResultT] = {}
    following = 0
    for number, result in results:
        early[number] = result
        while following in early:
            yield early.pop(following)
            following += 1


def usable_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def process_context(modules: Sequence[str]) -> ForkServerContext | SpawnContext:
    """How to start processes that inherit nothing but modules, as Python does by itself from version 3.14 on.

    Args:
        modules: names of modules of other packages that they need and that take long to load. They are loaded once, by
            the process that all are forked from; the first call decides, for there is one such process. Where there is
            none (Windows, or a path for temporary files that is too long for its socket), each process loads what it
            needs. None of this package's: that process does not know the owner's search path, and could load another
            version.
    """
    there = len(os.fsencode(tempfile.gettempdir())) <= _LONGEST_TEMPORARY
    if "forkserver" not in get_all_start_methods() or not there:
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    _keep_sockets_in_a_folder_that_goes()
    return context


def _keep_sockets_in_a_folder_that_goes() -> None:
    """Give multiprocessing a folder for its sockets that goes with the next run where this one is killed.

    Its own, ``pymp-...``, is removed by nobody then. Where none can be made, it tries for itself.
    """
    config: dict[str, Any] = current_process()._config  # type: ignore[attr-defined]
    if config.get("tempdir") is None:
        with contextlib.suppress(OSError):
            config["tempdir"] = str(PartialFolder(Path(tempfile.gettempdir()), 0o700).path)


@contextlib.contextmanager
def child_environment(threads: int) -> Iterator[None]:
    """What processes of Python that are started meanwhile are told.

    They compute with so many threads, as far as libraries read that when they are loaded. And they load no module from
    the working folder, which may hold anything: a file named like a module would be run.
    """
    settings = {"OMP_NUM_THREADS": str(threads), "PYTHONSAFEPATH": "1"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _Process(Generic[TaskT]):
    """A process as its owner sees it: ``number`` of the task that it is at, and whether it has ``started``."""

    def __init__(
        self,
        work: Callable[[TaskT], Any],
        setup: Callable[[], None] | None,
        threads: int,
        context: ForkServerContext | SpawnContext,
    ) -> None:
        self.number: int | None = None
        self.started = False
        self.pipe, other = context.Pipe()
        environment = dict(os.environ) | {"OMP_NUM_THREADS": str(threads)}
        self._process: BaseProcess = context.Process(target=_serve, args=(other, work, setup, environment), daemon=True)
        with child_environment(threads):
            self._process.start()
        other.close()

    def give(self, number: int, task: TaskT) -> None:
        self.number = number
        with contextlib.suppress(OSError):  # it has died, as whoever waits for its answer will find
            self.pipe.send(task)

    def leave(self) -> None:
        """Tell it to stop: at once if it is at a task."""
        if self.number is not None:
            self._process.terminate()
        self.pipe.close()

    def end(self) -> int:
        """Wait until it is gone; its exit code, negative if it was killed."""
        self.pipe.close()
        self._process.join(_PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        code = self._process.exitcode or 0
        self._process.close()
        return code


def _serve(
    pipe: connection.Connection,
    work: Callable[[Any], Any],
    setup: Callable[[], None] | None,
    environment: Mapping[str, str],
) -> None:
    """Do what comes through the pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    threading.Thread(target=_end_with_owner, daemon=True).start()
    os.environ.clear()  # of the process that this one was forked from
    os.environ.update(environment)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send(None)  # it has started
        while True:
            task = pipe.recv()
            answer: tuple[Any, Exception | None]
            try:
                if setup is not None:
                    setup()
                    setup = None
                answer = work(task), None
            except Exception as error:
                answer = None, sendable(error)
            pipe.send(answer)


def _end_with_owner() -> None:
    """Whatever ends the owner, its processes do not go on for nobody."""
    owner = parent_process()
    if owner is not None:
        owner.join()
        os.kill(os.getpid(), signal.SIGTERM)


def sendable(error: Exception) -> Exception:
    """An exception that another process can raise, with a note that says where it came from."""
    where = "".join(traceback.format_exception(error)).rstrip()
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))  # what the pipe does
    except Exception:  # made from other arguments than it holds
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(where)
    return error

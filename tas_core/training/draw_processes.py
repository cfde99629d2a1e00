"""Decisions of scenes, drawn ahead by processes.

Of n processes the one numbered k draws every n-th step from the k-th on, and writes it into a pipe of its own, which
holds a batch or two; so each is a little ahead, and none needs to be told what to do. What a step draws depends on
(seed, step) only: not on how many processes there are, nor on where a run was stopped and gone on with.

Nothing waits for a process for ever: what has not come in time is drawn by who asks for it, and a process that ended
or stands still is replaced, a few times, and then done without.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import warnings
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Final

import torch

from tas_core.datasets.mixing.draws import SceneDrawer, SceneDraws
from tas_core.system.processes import child_environment, process_context

_FIRST_S: Final = 120.0
"""How long a new process may take for its first batch: it has to import torch."""
_NEXT_S: Final = 20.0
_LOOK_S: Final = 0.2
_LIVES: Final = 3
"""Processes that take one number, one after another."""


@dataclass
class _Worker:
    """A process, the end of the pipe that its batches come from, and whether any has come."""

    process: BaseProcess
    pipe: connection.Connection
    patience_s: float = _FIRST_S


class DrawProcesses:
    """Draws steps in order, in processes of their own.

    Args:
        drawer: what draws; it is sent to each process once.
        batch_size: scenes in a batch.
        processes: at least 1.
        first: number of the first step.
    """

    def __init__(self, drawer: SceneDrawer, batch_size: int, processes: int, first: int) -> None:
        self._drawer, self._batch_size, self._first = drawer, batch_size, first
        # Safetensors travel through the pipes.
        self._context = process_context(["torch"])
        self._closed = threading.Event()
        self._left = [_LIVES] * processes
        self._workers: list[_Worker | None] = [self._start(first + number) for number in range(processes)]

    def get(self, step: int) -> SceneDraws:
        """The decisions of a step; steps come in order, from the first on."""
        number = (step - self._first) % len(self._workers)
        worker = self._workers[number]
        if worker is not None:
            try:
                if self._comes(worker):
                    found = SceneDraws.from_bytes(worker.pipe.recv_bytes())
                    worker.patience_s = _NEXT_S
                    return found
                fate = f"gave nothing for {worker.patience_s:g} s"
            except (EOFError, OSError):
                fate = f"ended with exit code {self._code(worker)}"
            if not self._closed.is_set():
                self._replace(number, step + len(self._workers), fate)
        return self._drawer.draw(step, self._batch_size)

    def stop(self) -> None:
        """Let :meth:`get`, which may be waiting in another thread, wait no longer."""
        self._closed.set()

    def close(self) -> None:
        """End the processes."""
        self.stop()
        for number, worker in enumerate(self._workers):
            if worker is not None:
                _end(worker)
            self._workers[number] = None

    def _comes(self, worker: _Worker) -> bool:
        """Whether a batch comes while there is patience, and anyone who wants it."""
        until = time.monotonic() + worker.patience_s
        while not self._closed.is_set() and time.monotonic() < until:
            if worker.pipe.poll(_LOOK_S):
                return True
        return False

    def _start(self, first: int) -> _Worker:
        ours, theirs = self._context.Pipe(duplex=False)
        task = (theirs, self._drawer, self._batch_size, first, len(self._left))
        process = self._context.Process(target=_serve, args=task, daemon=True)
        with child_environment(1):
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _code(self, worker: _Worker) -> int | None:
        worker.process.join(1.0)
        return worker.process.exitcode

    def _replace(self, number: int, first: int, fate: str) -> None:
        """Put another process in the place of one, from a step on, as long as there is hope."""
        worker = self._workers[number]
        assert worker is not None
        _end(worker)
        self._left[number] -= 1
        hope = self._left[number] > 0
        self._workers[number] = self._start(first) if hope else None
        after = "another takes its place" if hope else "its scenes are drawn by the training itself from now on"
        warnings.warn(f"a process that draws scenes {fate}; {after}", stacklevel=2)


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    with contextlib.suppress(OSError, ValueError):
        worker.process.kill()  # it holds nothing that could be lost
        worker.process.join(5.0)
        worker.process.close()


def _serve(pipe: connection.Connection, drawer: SceneDrawer, batch_size: int, first: int, stride: int) -> None:
    """Draw steps until nobody reads them any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    step = first
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while True:
            pipe.send_bytes(drawer.draw(step, batch_size).to_bytes())
            step += stride

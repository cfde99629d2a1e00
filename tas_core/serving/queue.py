"""Requests in a row: some are worked on, some wait, and what is beyond that is refused at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Protocol

from tas_core.errors import TasError
from tas_core.jobs.batch.worker import FileOutcome
from tas_core.serving.maker import Loaded, Order

_RECENT: Final = 0.2
"""Share of the latest request in the mean of how long they take."""


class FullError(TasError):
    """As many requests are there as are taken.

    Args:
        retry_s: in so many seconds there is probably a place.
    """

    def __init__(self, message: str, retry_s: int) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class StoppingError(TasError):
    """The server is about to end, and what has not begun is refused."""


class Hands(Protocol):
    """What does the work, such as a :class:`tas_core.system.processes.KeptProcess`; one for each thread."""

    def do(self, task: Order | None, limit_s: float | None = None) -> FileOutcome | Loaded:
        """Make a file, or load the model."""
        ...

    def close(self) -> None:
        """End what it has begun."""
        ...


class Place:
    """A place in the row, from the first byte of a request to the end of its work; a context manager."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *exception: object) -> None:
        self._queue._leave()


class JobQueue:
    """The row, and the threads that work on it.

    Args:
        make_hands: called in each thread for what does its work.
        jobs: threads.
        waiting: requests that may wait beside those that are worked on.
        limit_s: how long one may be worked on, seconds.
    """

    def __init__(self, make_hands: Callable[[], Hands], jobs: int, waiting: int, limit_s: float | None = None) -> None:
        self._make_hands, self._limit_s = make_hands, limit_s
        self.jobs, self.capacity = jobs, jobs + waiting
        self._local = threading.local()
        self._all: list[Hands] = []
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="tas-serve")
        self._lock = threading.Lock()
        self._taken, self._working = 0, 0
        self._mean_s = 1.0
        self.stopping = False

    @property
    def working(self) -> int:
        """Requests that are worked on."""
        return self._working

    @property
    def waiting(self) -> int:
        """Requests that have a place and are not worked on yet."""
        return max(0, self._taken - self._working)

    def load(self) -> Loaded:
        """Have every thread load its model before there are requests; what is wrong with it is raised here.

        Raises:
            InputError: the model cannot be used.
        """
        together = threading.Barrier(self.jobs)  # or one thread would do it for all

        def first() -> Loaded:
            together.wait()
            found = self._hands().do(None)
            assert isinstance(found, Loaded)
            return found

        return [future.result() for future in [self._pool.submit(first) for _ in range(self.jobs)]][0]

    def reserve(self) -> Place:
        """A place in the row.

        Raises:
            FullError: there is none.
            StoppingError: the server is about to end.
        """
        with self._lock:
            if self.stopping:
                raise StoppingError("the server is stopping, expected another one, or this one when it is back")
            if self._taken >= self.capacity:
                rounds = -(-self.capacity // self.jobs)
                retry_s = max(1, min(3600, round(self._mean_s * rounds)))
                raise FullError(
                    f"{self._taken} requests are being worked on or wait, which is all that are taken;"
                    f" expected another try in {retry_s} s",
                    retry_s,
                )
            self._taken += 1
        return Place(self)

    def _leave(self) -> None:
        with self._lock:
            self._taken -= 1

    def submit(self, order: Order) -> Future[FileOutcome]:
        """Have an order made in its turn; until then the future can be cancelled.

        The future raises :class:`TimeoutError` where it took too long, and
        :class:`tas_core.system.processes.ProcessEndedError` where the process that worked on it was lost.

        Raises:
            StoppingError: the server is about to end.
        """
        try:
            return self._pool.submit(self._do, order)
        except RuntimeError as error:
            raise StoppingError("the server is stopping, expected another one, or this one when it is back") from error

    def stop(self) -> None:
        """Refuse what waits and what comes; what is worked on goes on."""
        with self._lock:
            self.stopping = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Wait for what is worked on, and end the processes."""
        self.stop()
        self._pool.shutdown(wait=True)
        for hands in self._all:
            hands.close()

    def abandon(self) -> None:
        """End the processes, whatever they are at."""
        self.stop()
        for hands in self._all:
            hands.close()

    def _hands(self) -> Hands:
        if not hasattr(self._local, "hands"):
            self._local.hands = self._make_hands()
            with self._lock:
                self._all.append(self._local.hands)
        hands: Hands = self._local.hands
        return hands

    def _do(self, order: Order) -> FileOutcome:
        began = time.monotonic()
        with self._lock:
            self._working += 1
        try:
            outcome = self._hands().do(order, self._limit_s)
            assert isinstance(outcome, FileOutcome)
            return outcome
        finally:
            with self._lock:
                self._working -= 1
                self._mean_s += _RECENT * (time.monotonic() - began - self._mean_s)

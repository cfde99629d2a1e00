"""A service in this process: the queue with a worker of the small model, or one that does as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs tas[serve]")

from tas_core.jobs.batch.worker import FileOutcome
from tas_core.jobs.request import FileOptions
from tas_core.jobs.spatialize import JobSettings
from tas_core.serving.app import Service, build_app
from tas_core.serving.maker import Loaded, Maker, Order
from tas_core.serving.queue import JobQueue
from tas_core.serving.settings import Folders, Limits


class InThread:
    """Hands that work in the thread itself."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker

    def do(self, task: Order | None, limit_s: float | None = None) -> FileOutcome | Loaded:  # noqa: ARG002
        return self._maker(task)

    def close(self) -> None:
        pass


@dataclass
class Scripted:
    """Hands that wait until they are let go, and then raise what they are told to, or fail the file."""

    raises: Exception | None = None
    go: threading.Event = field(default_factory=threading.Event)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    orders: list[Order] = field(default_factory=list)

    def do(self, task: Order | None, limit_s: float | None = None) -> FileOutcome | Loaded:  # noqa: ARG002
        if task is None:
            return Loaded("scripted", "", "cpu")
        self.orders.append(task)
        self.begun.release()
        assert self.go.wait(20)
        if self.raises is not None:
            raise self.raises
        return FileOutcome(task.request, error="made", code=2)

    def close(self) -> None:
        self.go.set()


@pytest.fixture(scope="session")
def maker(tiny_model: Path) -> Maker:
    """Of the small model, loaded once."""
    made = Maker(JobSettings(FileOptions(), str(tiny_model), "cpu"))
    made(None)
    return made


@dataclass
class Served:
    """An application with what it is made of, and what it said on its own side."""

    app: Any
    queue: JobQueue
    temporary: Path
    said: list[str]

    def left(self) -> list[str]:
        """What lies in the temporary folder."""
        return sorted(str(path.relative_to(self.temporary)) for path in self.temporary.rglob("*"))


@pytest.fixture
def served(maker: Maker, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Makes an application; its keywords are limits, and ``hands``, ``read``, ``write``."""
    made: list[JobQueue] = []

    def build(**more: Any) -> Served:
        hands = more.pop("hands", None) or InThread(maker)
        folders = Folders.of(more.pop("read", ()), more.pop("write", ()))
        local = more.pop("only_local_names", True)
        limits = Limits(**more)
        queue = JobQueue(lambda: hands, limits.jobs, limits.waiting, limits.work_s)
        made.append(queue)
        temporary = tmp_path / "temporary"
        temporary.mkdir(exist_ok=True)
        said: list[str] = []
        options = replace(FileOptions(), longest_s=limits.sound_s)
        loaded = Loaded("tiny", "digest", "cpu")
        service = Service(queue, limits, folders, options, loaded, temporary, local, said.append)
        return Served(build_app(service), queue, temporary, said)

    yield build
    for queue in made:
        queue.abandon()

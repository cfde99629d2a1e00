"""The process that has the model: makes one file after another, within what a request may take."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tas_core.errors import TasError
from tas_core.jobs.batch.worker import FileOutcome, FileTask, attempt
from tas_core.jobs.request import FileOptions, FileRequest
from tas_core.jobs.spatialize import FileWorker, JobSettings

TOO_MUCH_MEMORY: Final = "it takes more memory than a request may"
_SIGNS: Final = ("MemoryError", "can't allocate memory", "bad_alloc", "Cannot allocate memory")
_STATUS: Final = Path("/proc/self/status")
_LARGEST_RATE_HZ: Final = 192_000
_MOST_CHANNELS: Final = 16
_SAMPLE_BYTES: Final = 4


@dataclass(frozen=True)
class Order:
    """A request that was read: the file, and the options that it has for itself."""

    request: FileRequest
    options: FileOptions


@dataclass(frozen=True)
class Loaded:
    """The model that a process has: its name, digest and device."""

    model: str
    digest: str
    device: str


class Maker:
    """Makes files, with the model of the settings; sent to a process, which loads the model when it is asked to.

    Args:
        settings: model and device; options come with each order.
        memory_bytes: that an order may take beside the model; None is any.
        sound_s: of the longest sound that is taken, seconds, which limits the size of temporary files; None is any.
    """

    def __init__(self, settings: JobSettings, memory_bytes: int | None = None, sound_s: float | None = None) -> None:
        self._worker = FileWorker(settings)
        self._memory_bytes, self._sound_s = memory_bytes, sound_s
        self._ready = False

    def __call__(self, order: Order | None) -> FileOutcome | Loaded:
        """Make a file; nothing but load the model where there is no order.

        Raises:
            InputError: the model cannot be used.
        """
        if not self._ready:
            _ = self._worker.model
            if self._sound_s is not None:
                most = int(self._sound_s * _LARGEST_RATE_HZ * _MOST_CHANNELS * _SAMPLE_BYTES) + 2**28
                _limit(resource.RLIMIT_FSIZE, most)
            self._ready = True
        if order is None:
            model = self._worker.model
            return Loaded(model.name, model.digest, model.device.type)
        with self._within_memory():
            outcome = attempt(self._worker.with_options(order.options), FileTask(order.request, overwrite=False))
        if outcome.code == TasError.exit_code and any(sign in outcome.error for sign in _SIGNS):
            return replace(outcome, error=TOO_MUCH_MEMORY)
        return outcome

    @contextlib.contextmanager
    def _within_memory(self) -> Iterator[None]:
        """Let the process have so much more than it has now, where the system can see to that."""
        used = _data_bytes()
        if self._memory_bytes is None or used is None:
            yield
            return
        before = resource.getrlimit(resource.RLIMIT_DATA)
        _limit(resource.RLIMIT_DATA, used + self._memory_bytes)
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, before)


def _limit(kind: int, value: int) -> None:
    """Lower what this process, and what it starts, may have of something."""
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _data_bytes() -> int | None:
    """Memory of this process that is its own, as Linux counts it for RLIMIT_DATA; None elsewhere."""
    with contextlib.suppress(OSError, ValueError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmData:"):
                return 1024 * int(line.split()[1])
    return None

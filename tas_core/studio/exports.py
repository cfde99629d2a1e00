"""The final file of a scene, made by the job that the command runs, while the scene can still be looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tas_core.errors import InputError, TasError
from tas_core.inference.engine import LoadedModel
from tas_core.jobs.batch.worker import FileOutcome, FileTask, attempt
from tas_core.jobs.request import FileRequest
from tas_core.jobs.spatialize import FileWorker, JobSettings
from tas_core.system.configs import one_line


class _CancelledError(BaseException):
    """Ends a job from within its reports of progress; no error, so that nobody takes it for one of the file's."""


@dataclass(frozen=True)
class ExportState:
    """How the latest export is.

    Attributes:
        state: "none", "running", "done", "failed" or "cancelled".
        out: name of its file.
        fraction: done, 0 to 1.
        error: what was wrong, one line.
        warnings: what there is to say of the file, a line each.
    """

    state: str = "none"
    out: str = ""
    fraction: float = 0.0
    error: str = ""
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.__dict__, "warnings": list(self.warnings)}


class Exporter:
    """Makes one file at a time, on a thread of its own.

    Args:
        settings: of the job.
        load: gives the model.
    """

    def __init__(self, settings: JobSettings, load: Callable[[], LoadedModel]) -> None:
        self._settings = settings
        self._load = lambda: replace(load(), separations=None)  # a whole file would drive out the passage
        self._lock = threading.Lock()
        self._state = ExportState()
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> ExportState:
        """How it is."""
        return self._state

    def start(self, request: FileRequest, *, overwrite: bool) -> None:
        """Begin with a file.

        Raises:
            InputError: one is being made.
        """
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                raise InputError(f"{self._state.out} is being made, expected its end, or that it is cancelled")
            self._cancelled.clear()
            self._state = ExportState("running", request.main_out.name)
            self._thread = threading.Thread(target=self._make, args=(FileTask(request, overwrite),), daemon=True)
            self._thread.start()

    def cancel(self, *, wait_s: float = 0.0) -> None:
        """End what is being made at its next report of progress; nothing of it stays."""
        self._cancelled.set()
        if self._thread is not None:
            self._thread.join(wait_s)

    def _progress(self, fraction: float) -> None:
        if self._cancelled.is_set():
            raise _CancelledError
        self._state = replace(self._state, fraction=fraction)

    def _make(self, task: FileTask) -> None:
        try:
            outcome = attempt(FileWorker(self._settings, self._load), task, self._progress)
        except _CancelledError:
            self._state = replace(self._state, state="cancelled")
        except Exception as error:  # such as a model that cannot be used: it must not look as if it went on
            said = "" if isinstance(error, TasError) else f"unexpected {type(error).__name__}: "
            self._state = replace(self._state, state="failed", error=said + one_line(error))
        else:
            self._state = _ended(self._state, outcome)


def _ended(state: ExportState, outcome: FileOutcome) -> ExportState:
    said = tuple(str(warning) for warning in outcome.warnings)
    if outcome.error:
        return replace(state, state="failed", error=outcome.error.splitlines()[0], warnings=said)
    return replace(state, state="done", fraction=1.0, warnings=said)


def export_path(folder: Path, name: str) -> Path:
    """Where a file of a name goes.

    Args:
        folder: of all exports.
        name: of the file alone.

    Raises:
        InputError: it would lie in another folder.
    """
    if not name.strip() or name in (".", "..", "-") or "/" in name or "\\" in name or "\0" in name:
        raise InputError(f"{name!r}: expected the name of a file, which goes to the folder of the scene")
    return folder / name

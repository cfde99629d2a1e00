"""The log of a run, ``log.jsonl``: an object per logged step, with the step and its metrics."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tas_core.system.files import write_files
from tas_core.system.json_values import json_value
from tas_core.system.write_errors import write_error

Report = Callable[[int, dict[str, float]], None]
"""Takes the number of a step and its metrics by name."""


class RunLog:
    """The open log of a run; a context manager.

    Args:
        path: the file; made if missing.
        start: step that the run goes on from. What an interrupted run logged after its last saved state is dropped,
            since it will be logged again.
        progress: is given each step's metrics too.

    Raises:
        TasError: what was logged before cannot be rewritten, or the file cannot be made.
    """

    def __init__(self, path: Path, start: int, progress: Report) -> None:
        self._path = path
        if path.exists():
            write_files({path: b"".join(line + b"\n" for line in path.read_bytes().splitlines() if _upto(line, start))})
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise write_error(path, error) from error
        self._progress = progress

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Log the metrics of a step.

        Raises:
            TasError: they cannot be written.
        """
        try:
            self._file.write(json.dumps({"step": step, **metrics}) + "\n")
            self._file.flush()
        except OSError as error:
            raise write_error(self._path, error) from error
        self._progress(step, metrics)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._file.close()
        except OSError as error:  # what could not be written is tried once more
            if exception[0] is None:
                raise write_error(self._path, error) from error


class NoLog:
    """What a process writes that leaves the log of its run to another one: nothing."""

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Log nothing."""

    def __enter__(self) -> NoLog:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def _upto(line: bytes, step: int) -> bool:
    """Whether a line logs a step up to this one; not so a line that a kill cut off, or one of something else."""
    try:
        return bool(json_value(line, not_numbers=True)["step"] <= step)
    except (ValueError, TypeError, KeyError):
        return False

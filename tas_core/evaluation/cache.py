"""Results that outlive an interruption, by the keys of :mod:`tas_core.evaluation.tasks`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tas_core.errors import InputError
from tas_core.evaluation.tasks import Outcome, Task
from tas_core.system.files import make_folder
from tas_core.system.json_values import json_value
from tas_core.system.write_errors import write_error

RESULTS_FILE: Final = "results.jsonl"


class Cache:
    """Results by key, in memory and, with a folder, in ``results.jsonl`` there.

    Args:
        folder: made if missing; None keeps results in memory only.

    Raises:
        InputError: the folder cannot be used.
    """

    def __init__(self, folder: Path | None) -> None:
        self._known: dict[str, dict[str, Any]] = {}
        self._path = None if folder is None else folder / RESULTS_FILE
        if self._path is None:
            return
        make_folder(self._path.parent)
        try:
            text = self._path.read_bytes() if self._path.exists() else b""
            with open(self._path, "ab") as file:
                # A line that an interruption cut off must not swallow the next one.
                file.write(b"\n" if text and not text.endswith(b"\n") else b"")
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written: {error.strerror}") from error
        for line in text.splitlines():
            try:
                record = json_value(line)
                if _is_result(record["result"]):
                    self._known[record["key"]] = record["result"]
            except (ValueError, KeyError, TypeError):
                continue

    def get(self, key: str) -> dict[str, Any] | None:
        """A result, if it is known."""
        return self._known.get(key)

    def without_known(self, task: Task, audio: Path | None) -> Task:
        """The task with only those keys left whose results are not known; all of them if its audio is missing."""
        if audio is not None and not audio.is_file():
            return task
        return replace(task, keys={kind: key for kind, key in task.keys.items() if key not in self._known})

    def add(self, outcome: Outcome) -> None:
        """Keep the results of a task.

        Raises:
            TasError: they cannot be written.
        """
        lines = []
        for kind, result in outcome.results.items():
            key = outcome.task.keys[kind]
            self._known[key] = dict(result)
            record = {"key": key, "clip": outcome.task.clip, "kind": kind, "result": result}
            lines.append(json.dumps(record, allow_nan=False) + "\n")
        if self._path is not None and lines:
            try:
                with open(self._path, "a", encoding="utf-8") as file:
                    file.write("".join(lines))
            except OSError as error:
                raise write_error(self._path, error) from error


def _is_result(value: Any) -> bool:
    """Whether a record is one that an evaluation has kept: measures by name, and lists of what else is known."""
    if not isinstance(value, dict) or not isinstance(value.get("measures"), dict):
        return False
    numbers = all(isinstance(number, int | float) for number in value["measures"].values())
    return numbers and all(isinstance(value.get(name, []), list) for name in ("objects", "confidence"))

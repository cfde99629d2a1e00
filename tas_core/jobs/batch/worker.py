"""One task of a batch after another with one model, in this process or in another."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

from tas_core.errors import TasError
from tas_core.inference.engine import Engine, load_engine
from tas_core.jobs.request import FileOptions, FileRequest, prepare_file
from tas_core.jobs.result import FileReport
from tas_core.jobs.spatialize import process_file
from tas_core.system.progress import Progress


@dataclass(frozen=True)
class Outcome:
    """How one file ended.

    Attributes:
        request: what was asked for.
        report: of a file that was made.
        error: why it failed, one line; empty if it did not.
        skipped: whether it was complete already.
        warnings: what there is to say about it.
    """

    request: FileRequest
    report: FileReport | None = None
    error: str = ""
    skipped: bool = False
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the report, or ``input`` with ``error`` or ``skipped``."""
        if self.report is not None:
            return self.report.as_dict()
        given: dict[str, Any] = {"input": str(self.request.source)}
        return given | ({"output": str(self.request.out), "skipped": True} if self.skipped else {"error": self.error})


@dataclass(frozen=True)
class BatchSettings:
    """What holds for all files of a batch; can be sent to a process.

    Args:
        options: for each file.
        model_name: shipped name or checkpoint folder.
        device: auto, cpu or cuda.
        command: words of the command line, for the reports beside outputs.
    """

    options: FileOptions = FileOptions()
    model_name: str = "slots"
    device: str = "auto"
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """A request and whether what there is of its outputs may be replaced."""

    request: FileRequest
    overwrite: bool


class BatchWorker:
    """Does tasks; loads the model when it is first needed, and once."""

    def __init__(self, settings: BatchSettings) -> None:
        self._settings = settings
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The model.

        Raises:
            InputError: as :func:`tas_core.inference.engine.load_engine`.
        """
        if self._engine is None:
            self._engine = load_engine(self._settings.model_name, self._settings.device)
        return self._engine

    def __call__(self, task: Task, progress: Progress = lambda share: None) -> Outcome:
        """Make one file; what goes wrong with it is in the outcome."""
        options = replace(self._settings.options, overwrite=task.overwrite)
        engine = self.engine
        report, error = None, ""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", category=UserWarning, module=r"tas_core(\..*)?")
            try:
                with prepare_file(task.request, options) as prepared:
                    report = process_file(prepared, engine, progress=progress, command=self._settings.command)
            except TasError as problem:
                error = str(problem)
            except Exception as problem:  # one file must not end a night's work
                error = f"unexpected {type(problem).__name__}: {' '.join(str(problem).split())}"
        source = str(task.request.source)
        if error and source not in error:
            error = f"{source}: {error}"
        return Outcome(task.request, report, error, warnings=tuple(str(warning.message) for warning in caught))

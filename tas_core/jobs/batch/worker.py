"""One file of a batch: made, or what went wrong with it, as a value that can be sent between processes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tas_core.audio.ear_meter import Reach
from tas_core.errors import TasError, visible
from tas_core.jobs.batch.plan import is_complete
from tas_core.jobs.request import FileRequest
from tas_core.jobs.result import FileResult
from tas_core.jobs.spatialize import FileWorker
from tas_core.system.progress import Progress, ignore

if TYPE_CHECKING:
    from tas_core.jobs.batch.in_stores import Stores


@dataclass(frozen=True)
class FileOutcome:
    """How one file ended.

    Attributes:
        request: what was requested.
        result: of a file that was made.
        error: why it failed, one line; empty if it did not.
        remedy: what would help, see :class:`tas_core.errors.TasError`.
        skipped: whether it was complete already.
        warnings: what there is to say about it.
        code: of the error, as :attr:`tas_core.errors.TasError.exit_code` has it: 2 for a request that cannot be carried
            out, 1 for all else, 0 without one.
        names: what input and output are called where the request has only local names for them.
    """

    request: FileRequest
    result: FileResult | None = None
    error: str = ""
    skipped: bool = False
    warnings: tuple[Warning | str, ...] = ()
    remedy: str | None = None
    reach: Reach | None = None
    code: int = 0
    names: tuple[str, str] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the result, or ``input`` with ``error`` or ``skipped``."""
        if self.result is not None:
            return self.result.as_dict()
        source, out = self.names or (str(self.request.source), str(self.request.main_out))
        given: dict[str, Any] = {"input": source}
        return given | ({"output": out, "skipped": True} if self.skipped else {"error": self.error})


@dataclass(frozen=True)
class FileTask:
    """A request.

    Attributes:
        request: the file.
        overwrite: whether what there is of its outputs may be replaced.
        only_measured: whether its levels are measured and nothing is made.
        unless_there: whether it is left out where another run has made it by the time of its turn, or of its end.
        stores: where some of its files are, if they are in object stores.
    """

    request: FileRequest
    overwrite: bool
    only_measured: bool = False
    unless_there: bool = False
    stores: Stores | None = None


def attempt(worker: FileWorker, task: FileTask, progress: Progress = ignore) -> FileOutcome:
    """Make one file; what goes wrong with it is in the outcome.

    Raises:
        InputError: the model cannot be used, which is wrong with the whole batch.
    """
    if task.stores is not None:
        here = lambda inner: attempt(worker, inner, progress)  # noqa: E731
        return task.stores.attempt(replace(task, stores=None), here, sidecar=worker.writes_sidecars)
    if task.unless_there and is_complete(task.request, worker.writes_sidecars):
        return FileOutcome(task.request, skipped=True)
    if task.request.has_input and worker.may_need_model:
        _ = worker.model
    result, reach, error, remedy, code = None, None, "", None, 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module=r"tas_core(\..*)?")
        try:
            if task.only_measured:
                reach = worker.measure(task.request, progress)
            else:
                result = worker.make(task.request, overwrite=task.overwrite, progress=progress)
        except TasError as problem:
            if task.unless_there and problem.remedy == "overwrite":  # it appeared while this one was made
                return FileOutcome(task.request, skipped=True)
            error, remedy, code = str(problem), problem.remedy, problem.exit_code
        except Exception as problem:  # one file must not end a night's work
            error, code = f"unexpected {type(problem).__name__}: {' '.join(str(problem).split())}", 1
    source = visible(str(task.request.source))
    if error and source not in error:
        error = f"{source}: {error}"
    said = tuple(warning.message for warning in caught)
    return FileOutcome(task.request, result, error, warnings=said, remedy=remedy, reach=reach, code=code)

"""Several files in the making of which all appear, or none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

_Writer = TypeVar("_Writer", bound=AbstractContextManager[object])
_NOTHING: Final = (None, None, None)


class AllOrNone:
    """Writers that are left one after another; where one fails, what the others have made is removed.

    What replaced something stays, since that cannot be had back.

    Args:
        paths: files and folders that are going to be made; what is there of them now is never removed.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._new = [path for path in paths if not os.path.lexists(path)]
        self._writers: list[tuple[AbstractContextManager[object], tuple[Path, ...]]] = []

    def enter(self, writer: _Writer, files: Iterable[Path]) -> _Writer:
        """Enter a writer, that is going to be left with the others.

        Args:
            writer: a context manager that makes its files when it is left without an error, or none.
            files: that it makes.
        """
        writer.__enter__()
        self._writers.append((writer, tuple(files)))
        return writer

    def __enter__(self) -> AllOrNone:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        problem, finished = error, list[Path]()
        for writer, files in self._writers:
            try:
                writer.__exit__(*(_NOTHING if problem is None else (type(problem), problem, problem.__traceback__)))
            except BaseException as found:
                problem = found if problem is None else problem
            else:
                finished += files if problem is None else ()
        if problem is None:
            return
        for path in finished:
            if path in self._new:
                path.unlink(missing_ok=True)
        for path in self._new:
            with contextlib.suppress(OSError):  # no folder, one with something in it, or none
                path.rmdir()
        if problem is not error:
            raise problem

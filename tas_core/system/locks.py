"""One program at a time: a file that is locked while something is worked on, and gone afterwards.

The kernel releases the lock when the program ends in whatever way, so one that was killed holds up nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tas_core.errors import InputError

LOCK_FILE: Final = ".lock"
"""In a folder that one program works in at a time."""


@contextlib.contextmanager
def holding(path: Path) -> Iterator[str | None]:
    """Hold a lock until the end.

    Args:
        path: the file of the lock, which is made, and removed at the end.

    Yields:
        None while it is held, also where it cannot be: a folder that takes no files, a file system without locks. Where
        another program holds it, what that has written in it: the number of its process, or nothing.
    """
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError:
            yield None
            return
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield os.pread(handle, 20, 0).decode("ascii", "replace").strip()
                return
            except OSError:
                yield None
                return
            if not _is_at(handle, path):  # removed by who held it, between our opening and our locking
                continue
            with contextlib.suppress(OSError):  # a full disk takes a name, and no number
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            try:
                yield None
            finally:
                with contextlib.suppress(OSError):
                    path.unlink()
            return
        finally:
            os.close(handle)


@contextlib.contextmanager
def alone(path: Path, refusal: Callable[[str], InputError]) -> Iterator[None]:
    """Hold a lock until the end, or refuse.

    Args:
        path: the file of the lock.
        refusal: the error where another program holds it, by words for who that is, such as " (process 12)" or "".

    Raises:
        InputError: the refusal.
    """
    with holding(path) as holder:
        if holder is not None:
            raise refusal(f" (process {holder})" if holder else "")
        yield


def alone_in(folder: Path, work: str) -> contextlib.AbstractContextManager[None]:
    """Work in a folder where two programs at once would take away or replace what each other makes.

    Args:
        folder: where.
        work: what is done there, as in "another program trains there".

    Raises:
        InputError: on entering, where another program does it.
    """
    refused = lambda who: InputError(  # noqa: E731
        f"{folder}: another program {work} there{who}; expected to be alone", remedy="out"
    )
    return alone(folder / LOCK_FILE, refused)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False

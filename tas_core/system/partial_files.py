"""Hidden files and folders that outputs grow in, and what a killed program left of them.

Who writes one holds a lock on it, which the kernel releases when the program ends in whatever way. So what can be
locked belongs to nobody, and goes when a process first makes one of its own in that folder. A process that ends by
itself, interrupted or not, removes its own.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Final

from tas_core.system.write_errors import flush_to_disk

_NAME = re.compile(r"\.tas-[0-9a-f]{12}\.part")
_FOLDER_NAME = re.compile(r"\.tas-[0-9a-f]{12}\.parts")
_mine: set[Path] = set()
"""What this process may have made: noted before, so that an interruption right after the making loses nothing."""
_tidied: set[Path] = set()
_MOST_TIDIED: Final = 1024
"""Folders that a process remembers to have tidied; one that lives for long does so anew now and then."""


@atexit.register
def remove_own() -> None:
    """Remove every partial file and folder of this process that is still there."""
    while _mine:
        path = _mine.pop()
        with contextlib.suppress(OSError):
            path.unlink() if path.suffix == ".part" else shutil.rmtree(path)


os.register_at_fork(after_in_child=_mine.clear)  # what the parent makes is not the child's to remove


class PartialFile:
    """An empty hidden file with a name of its own, locked until :meth:`remove`.

    Args:
        folder: where it is made, with the permissions that the umask gives.

    Attributes:
        path: the file, to be opened by name; :meth:`move` puts it in its place when it is complete.

    Raises:
        OSError: no file can be made there.
    """

    def __init__(self, folder: Path) -> None:
        _tidy(folder)
        while True:
            self.path = folder / f".tas-{secrets.token_hex(6)}.part"
            _mine.add(self.path)
            try:
                self._file = open(self.path, "xb")
            except OSError:
                _mine.discard(self.path)
                raise
            try:
                # Some file systems know no locks; then nobody can take the file for a stale one either.
                with contextlib.suppress(OSError):
                    fcntl.flock(self._file, fcntl.LOCK_EX)
                if self.path.exists():  # not removed between its making and its locking
                    return
            except BaseException:
                self.remove()
                raise
            self._file.close()
            _mine.discard(self.path)

    def move(self, target: Path, *, overwrite: bool) -> None:
        """Put the complete file in its place.

        Args:
            target: the place, in the same file system.
            overwrite: whether what is there by then may be replaced. If not, the file system itself sees to that,
                where it knows hard links.

        Raises:
            FileExistsError: there is something, and it may not be replaced.
            OSError: it cannot be put there.
        """
        if not overwrite:
            try:
                os.link(self.path, target)
            except FileExistsError:
                raise
            except OSError:  # such as FAT and some network drives: no hard links
                if os.path.lexists(target):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
            else:
                self.path.unlink()
                return
        os.replace(self.path, target)

    def remove(self) -> None:
        """Remove the file, if it was not moved, and release it."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        with contextlib.suppress(OSError):  # nothing was written by this handle, so nothing is lost
            self._file.close()
        _mine.discard(self.path)


class EarlierFile:
    """A second, hidden name of a file that is about to be replaced, so that it can be had back.

    Args:
        target: the file.

    Raises:
        OSError: there is none, or the file system knows no second names.
    """

    def __init__(self, target: Path) -> None:
        self._target, self._kept = target, target.with_name(f".tas-{secrets.token_hex(6)}.part")
        _mine.add(self._kept)
        try:
            os.link(target, self._kept)
        except BaseException:
            self.remove()
            raise

    @classmethod
    def of(cls, target: Path) -> EarlierFile | None:
        """That of a file; None where there is none, or it cannot be had back."""
        try:
            return cls(target)
        except OSError:
            return None

    def put_back(self) -> None:
        """Give it its name again, as far as the file system lets us."""
        with contextlib.suppress(OSError):
            os.replace(self._kept, self._target)

    def remove(self) -> None:
        """Give up the second name."""
        with contextlib.suppress(OSError):
            self._kept.unlink()
        _mine.discard(self._kept)


class PartialFolder:
    """An empty hidden folder with a name of its own, locked until :meth:`remove`.

    Args:
        folder: where it is made.
        mode: its permissions, of which the umask takes some away.

    Attributes:
        path: the folder; :meth:`move` puts it in its place when it is complete.

    Raises:
        OSError: no folder can be made there.
    """

    def __init__(self, folder: Path, mode: int = 0o777) -> None:
        _tidy(folder)
        while True:
            self.path = folder / f".tas-{secrets.token_hex(6)}.parts"
            _mine.add(self.path)
            try:
                self.path.mkdir(mode)
            except OSError:
                _mine.discard(self.path)
                raise
            try:
                self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:  # taken for a stale one between its making and its opening
                _mine.discard(self.path)
                continue
            try:
                with contextlib.suppress(OSError):  # a file system without locks, as for files
                    fcntl.flock(self._lock, fcntl.LOCK_EX)
                if self.path.exists():
                    return
            except BaseException:
                self.remove()
                raise
            os.close(self._lock)
            _mine.discard(self.path)

    def move(self, target: Path, *, overwrite: bool) -> None:
        """Put the complete folder in its place, after all that is in it is on disk.

        Args:
            target: the place, in the same file system.
            overwrite: whether a folder that is there by then is removed first.

        Raises:
            FileExistsError: there is something, and it may not be replaced.
            OSError: it cannot be put there.
        """
        for here, folders, names in os.walk(self.path):
            for name in (*folders, *names):
                _flush(os.path.join(here, name))
        _flush(self.path)
        if os.path.lexists(target):
            if not overwrite:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
            shutil.rmtree(target)
        os.rename(self.path, target)

    def remove(self) -> None:
        """Remove the folder with all that is in it, if it was not moved, and release it."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)
        _mine.discard(self.path)


def remove_stale(folder: Path) -> int:
    """Remove the partial files and folders in a folder that no program writes any more; how many there were."""
    removed = 0
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            path = folder / name
            if _NAME.fullmatch(name):
                with contextlib.suppress(OSError), open(path, "rb+") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                    removed += 1
            elif _FOLDER_NAME.fullmatch(name):
                with contextlib.suppress(OSError):
                    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        shutil.rmtree(path)
                        removed += 1
                    finally:
                        os.close(lock)
    return removed


def _tidy(folder: Path) -> None:
    """Remove what killed programs left in a folder, when this process first comes to it."""
    if folder in _tidied:
        return
    if len(_tidied) >= _MOST_TIDIED:
        _tidied.clear()
    _tidied.add(folder)
    remove_stale(folder)


def _flush(path: str | Path) -> None:
    """Have what was written to a file, or the entries of a folder, on disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        flush_to_disk(opened)
    finally:
        os.close(opened)

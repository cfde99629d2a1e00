"""Hidden files that outputs grow in, and what a killed program left of them.

Who writes one holds a lock on it, which the kernel releases when the program ends in whatever way. So a file that can
be locked belongs to nobody.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
from pathlib import Path

_NAME = re.compile(r"\.tas-[0-9a-f]{12}\.part")


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
        while True:
            self.path = folder / f".tas-{secrets.token_hex(6)}.part"
            self._file = open(self.path, "xb")
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
        self._file.close()


def remove_stale(folder: Path) -> int:
    """Remove the partial files in a folder that no program writes any more; returns how many there were."""
    removed = 0
    with contextlib.suppress(OSError):
        for name in filter(_NAME.fullmatch, os.listdir(folder)):
            with contextlib.suppress(OSError), open(folder / name, "rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                (folder / name).unlink()
                removed += 1
    return removed

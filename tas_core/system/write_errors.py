"""Why a file could not be written, in words that fit the reason; and what to do with file systems that cannot flush."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from tas_core.errors import TasError

_ADVICE: Final = {
    errno.ENOSPC: "is the disk full?",
    errno.EDQUOT: "the disk space that is allowed here is used up",
    errno.EFBIG: "the file system or a limit of this process allows no larger files",
    errno.EROFS: "this file system can only be read, expected a folder that can be written to",
    errno.ESTALE: "the network drive lost the folder; it has to be connected again",
    errno.EXDEV: "the place lies in another file system than the folder it seems to be in; expected one file system",
    errno.EIO: "the disk or the connection to it fails",
    errno.ENOTCONN: "the network drive is not connected",
    errno.ENODEV: "the disk was removed",
    errno.EACCES: "there is no permission",
    errno.EPERM: "there is no permission",
}
_CANNOT_FLUSH: Final = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def write_error(path: object, error: OSError, what: str = "the file") -> TasError:
    """What to raise where writing failed.

    Args:
        path: the output, for the message.
        error: what the system said.
        what: could not be written.
    """
    reason = error.strerror or str(error)
    advice = _ADVICE.get(error.errno or 0)
    return TasError(f"{path}: cannot write {what} ({reason})" + (f"; {advice}" if advice else ""))


def temporary_file_error(folder: str | Path, what: str, error: OSError) -> TasError:
    """What to raise where a temporary file could not be written: names its folder, and how to choose another."""
    said = str(write_error(folder, error, what))
    return TasError(f"{said}{'' if said.endswith('?') else ';'} TMPDIR in the environment names another folder")


def flush_to_disk(descriptor: int) -> None:
    """Have what was written to a file on disk; where the file system knows no such thing, as SMB and FUSE, go on.

    Raises:
        OSError: it could not be written.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise

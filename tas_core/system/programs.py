"""Other people's programs: run to their end, or stopped with whatever they started."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tas_core.errors import InputError
from tas_core.system.partial_files import PartialFolder
from tas_core.system.write_errors import temporary_file_error, write_error

_C_LIBRARY: Final = ctypes.CDLL(None)
"""Loaded here, since the moment between a fork and a program is none for it."""
_PR_SET_PDEATHSIG: Final = 1
"""Asks the kernel of Linux for a signal at the death of whoever started this process."""
_LAST_BYTES: Final = 4096
_QUOTED: Final = 200


def run_program(
    words: list[str],
    log: Path,
    *,
    timeout_s: float | None = None,
    error: type[InputError] = InputError,
    variables: dict[str, str] | None = None,
) -> None:
    """Run a program to its end, and stop it with whatever it started if it has to be.

    Its standard input is empty, and what it prints is kept back. On Linux it ends with the thread that runs it, also
    where this process is killed; what it started in turn does not.

    Args:
        words: the program and its arguments.
        log: file for what it prints, whose last line is quoted if it fails.
        timeout_s: how long it may take; None is without end.
        error: class of the error that it fails with.
        variables: of its environment, beside those of this program.

    Raises:
        InputError: of class ``error``: it does not run, fails, or takes too long.
        TasError: the log cannot be written.
    """
    program = Path(words[0]).name
    try:
        said = open(log, "wb")  # noqa: SIM115 (closed below)
    except OSError as problem:
        raise write_error(log, problem) from problem
    with said:
        try:
            # A session of its own, so that what it starts in turn can be stopped with it.
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | (variables or {}),
                preexec_fn=END_WITH_OWNER,
            )
        except (OSError, ValueError) as problem:
            raise error(f"{program} does not run: {problem}") from problem
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired as problem:
            raise error(f"{program} was stopped after {timeout_s:g} s, its limit{_last_line(log)}") from problem
        finally:
            if process.returncode is None:
                _stop(process)
    if code < 0:
        raise error(f"{program} was ended by signal {-code}{_last_line(log)}")
    if code:
        raise error(f"{program} failed with exit code {code}{_last_line(log)}")


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for one run that nobody else can read; that of a killed run goes when another one comes.

    What a program still writes there as it goes away does not matter.

    Raises:
        TasError: no folder can be made where temporary files are.
    """
    place = Path(tempfile.gettempdir())
    try:
        folder = PartialFolder(place, 0o700)
    except OSError as error:
        raise temporary_file_error(place, "a temporary folder", error) from error
    try:
        yield folder.path
    finally:
        folder.remove()


def file_digest(name: str | Path, most_bytes: float = math.inf) -> str | None:
    """SHA-256 of a file; None if it is none, or larger."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: no path at all
        if Path(name).is_file() and Path(name).stat().st_size <= most_bytes:
            with open(name, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _end_with_owner() -> None:
    """Have the kernel end this process with the thread that started it: a program may go on for hours."""
    _C_LIBRARY.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


END_WITH_OWNER: Final = _end_with_owner if sys.platform.startswith("linux") else None
"""For ``preexec_fn`` of a program that is waited for by the thread that starts it."""


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a program that leads a session, and what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _last_line(log: Path) -> str:
    """The last line of what a program said, for a message; nothing if it said nothing."""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - _LAST_BYTES))
        lines = file.read().decode(errors="replace").split("\n")
    said = [" ".join(line.split()) for line in lines if line.strip()]
    return f"; it said: {said[-1][-_QUOTED:]}" if said else ""

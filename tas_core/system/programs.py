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
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, Final

from tas_core.errors import InputError
from tas_core.system.partial_files import PartialFolder
from tas_core.system.write_errors import temporary_file_error, write_error

_C_LIBRARY: Final = ctypes.CDLL(None)
"""Loaded here, since the moment between a fork and a program is none for it."""
_PR_SET_PDEATHSIG: Final = 1
"""Asks the kernel of Linux for a signal at the death of whoever started this process."""
_INTERRUPTS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
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

    Its standard input is empty, and what it prints is kept back.

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
    with _closed_without_a_word(said):
        how = {"stdin": subprocess.DEVNULL, "stdout": said, "stderr": subprocess.STDOUT}
        try:
            # A session of its own, so that what it starts in turn can be stopped with it.
            with running(words, start_new_session=True, env=os.environ | (variables or {}), **how) as process:
                code = process.wait(timeout_s)
        except subprocess.TimeoutExpired as problem:
            raise error(f"{program} was stopped after {timeout_s:g} s, its limit{_last_line(log)}") from problem
        except (OSError, ValueError) as problem:
            raise error(f"{program} does not run: {problem}") from problem
    if code < 0:
        raise error(f"{program} was ended by signal {-code}{_last_line(log)}")
    if code:
        raise error(f"{program} failed with exit code {code}{_last_line(log)}")


@contextlib.contextmanager
def _closed_without_a_word(file: BinaryIO) -> Iterator[None]:
    """Close a file that another program wrote to: what fails then, as on a full network drive, is its own."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            file.close()


def captured(
    words: Sequence[str],
    *,
    stdin: BinaryIO | int = subprocess.DEVNULL,
    said: bytes | None = None,
    timeout_s: float | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """What a program writes, once it has ended.

    Args:
        words: the program and its arguments.
        stdin: its standard input; empty by default.
        said: what its standard input holds instead.
        timeout_s: how long it may take; None is without end.

    Raises:
        OSError: it does not run.
        subprocess.TimeoutExpired: it took too long, and was stopped.
    """
    taken = stdin if said is None else subprocess.PIPE
    with running(words, stdin=taken, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(said, timeout_s)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


@contextlib.contextmanager
def running(words: Sequence[str], *, start_new_session: bool = False, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program while somebody waits for it: it is stopped if that is left before its end, or by an error.

    An interrupt that comes while it is being started is raised as soon as it can be stopped. On Linux it ends with
    the thread that runs it, also where this process is killed; what it started in turn does not.

    Args:
        words: the program and its arguments.
        start_new_session: it leads a session, so that what it starts can be stopped with it.
        how: as of :class:`subprocess.Popen`: its streams and environment.

    Raises:
        OSError: it does not run.
    """
    process = None
    try:
        with _interrupts_later():
            process = subprocess.Popen(words, start_new_session=start_new_session, preexec_fn=_END_WITH_OWNER, **how)
        yield process
    finally:
        if process is not None:
            if process.poll() is None:
                _stop(process, with_group=start_new_session)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):  # what could not be written to a program that has ended
                        stream.close()


@contextlib.contextmanager
def temporary_folder(place: Path | None = None) -> Iterator[Path]:
    """A folder for one run that nobody else can read; that of a killed run goes when another one comes.

    What a program still writes there as it goes away does not matter.

    Args:
        place: where it is made; None is where temporary files are.

    Raises:
        TasError: no folder can be made there.
    """
    place = place or Path(tempfile.gettempdir())
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


_END_WITH_OWNER: Final = _end_with_owner if sys.platform.startswith("linux") else None
"""For ``preexec_fn`` of a program that is waited for by the thread that starts it."""


@contextlib.contextmanager
def _interrupts_later() -> Iterator[None]:
    """Have signals that Python handles wait: an exception inside ``Popen`` would lose what it has just started."""
    if threading.current_thread() is not threading.main_thread():  # signals are handled in the main thread
        yield
        return
    came: list[int] = []
    waits = True
    before = {number: handler for number in _INTERRUPTS if callable(handler := signal.getsignal(number))}

    def hear(number: int, frame: FrameType | None) -> None:
        if waits:
            came.append(number)
        else:  # an interrupt came while the handlers were being put back
            before[signal.Signals(number)](number, frame)

    for number in before:
        signal.signal(number, hear)
    try:
        yield
    finally:
        waits = False
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            before[signal.Signals(came[0])](came[0], None)


def _stop(process: subprocess.Popen[bytes], *, with_group: bool) -> None:
    """End a program, and what it started if it leads a session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if with_group and hasattr(os, "killpg"):
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

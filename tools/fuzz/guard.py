"""What must not happen when an input is read, watched while it is."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

from tas_core.errors import TasError
from tools.fuzz.door import Door

LONGEST_S = 5.0
"""Of the processor, for one input."""
_GIVEN_UP_S = 20.0
MOST_BYTES = 2**30
LONGEST_MESSAGE = 12_000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    **{name: () for name in ("os.truncate", "os.symlink", "shutil.rmtree", "shutil.move", "shutil.copyfile")},
    **{"os.remove": (1,), "os.rmdir": (1,), "os.mkdir": (2,), "os.chmod": (2,), "os.rename": (2, 3), "os.link": (2, 3)},
}
"""Where in its arguments each has the folders, as descriptors, that its paths are relative to."""
_PROGRAMS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"}
_CODE = {"pickle.find_class", "ctypes.dlopen"}


class _HangError(BaseException):
    """An input takes so long that it is not waited for."""


class Guard:
    """Watches the process while an input is read.

    Args:
        door: whose inputs these are.
        folder: the only one that may be written to, besides that of temporary files.
        bounded: whether the process may take :data:`MOST_BYTES` more than it has now, and no more.
    """

    _now: ClassVar[Guard | None] = None
    _is_hooked: ClassVar[bool] = False

    def __init__(self, door: Door, folder: Path, *, bounded: bool = True) -> None:
        self._door, self._folder = door, Path(os.path.realpath(folder))
        self._allowed = (str(self._folder), os.path.realpath(tempfile.gettempdir()))
        self._seen: list[str] = []
        if not Guard._is_hooked:  # a hook cannot be taken off again
            Guard._is_hooked = True
            sys.addaudithook(_audit)
        if bounded:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            most = pages * resource.getpagesize() + MOST_BYTES
            resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))

    def attack(self, data: bytes) -> str:
        """What is wrong about how an input was read, one line for one kind of fault; nothing if all is well."""
        self._seen.clear()
        begun_s = time.process_time()
        with warnings.catch_warnings(record=True) as caught, self._watch():
            # As the program sets them.
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", module=r"tas_(core|cli)(\..*)?")
            found = self._enter(data)
        took_s = time.process_time() - begun_s
        if found:
            return found
        if self._seen:
            return self._seen[0]
        for warning in caught:
            if not issubclass(warning.category, UserWarning):
                return f"{warning.category.__name__} at {Path(warning.filename).name}:{warning.lineno}"
        return f"{took_s:.1f} s for {len(data)} bytes" if took_s > LONGEST_S else ""

    def _enter(self, data: bytes) -> str:
        try:
            self._door.enter(data, self._folder)
        except TasError as error:
            if len(str(error)) > LONGEST_MESSAGE:
                return f"a message of more than {LONGEST_MESSAGE} characters at {_place(error)}"
        except _HangError as error:
            return f"more than {_GIVEN_UP_S:g} s at {_place(error)}"
        except Exception as error:
            return f"{type(error).__name__} at {_place(error)}"
        return ""

    @contextlib.contextmanager
    def _watch(self) -> Iterator[None]:
        before = signal.signal(signal.SIGPROF, _give_up)
        Guard._now = self
        signal.setitimer(signal.ITIMER_PROF, _GIVEN_UP_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            Guard._now = None
            signal.signal(signal.SIGPROF, before)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An event of an audit (PEP 578), if it is one that must not be."""
        if event == "open":
            path, mode, flags = arguments
            wanted = isinstance(mode, str) and set(mode) & set("wax+") or isinstance(flags, int) and flags & _WRITING
            if wanted and not isinstance(path, int) and not self._is_inside(path):
                self._seen.append(f"written outside: {os.fsdecode(path)}")
        elif event in _CHANGES:
            paths = [path for path in arguments[:2] if isinstance(path, str | bytes | os.PathLike)]
            bases = [_folder_of(arguments[at]) for at in _CHANGES[event] if at < len(arguments)]
            bases += [""] * (len(paths) - len(bases))
            named = [os.path.join(*pair) for pair in zip(bases, map(os.fsdecode, paths), strict=False)]
            if not all(map(self._is_inside, named)):
                self._seen.append(f"{event} outside: {paths}")
        elif event in _PROGRAMS:
            if not self._door.runs_programs:
                self._seen.append(f"a program started: {event}")
        elif event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname"):
            self._seen.append(f"a socket used: {event}")
        elif event in _CODE or event == "exec" and _is_text(arguments[0]):
            self._seen.append(f"code run: {event}")

    def _is_inside(self, path: str | bytes | os.PathLike[Any]) -> bool:
        where = os.path.realpath(os.fsdecode(path))
        return (
            where == os.devnull
            or any(where.startswith(folder + os.sep) for folder in self._allowed)
            or where in self._allowed
        )


def _folder_of(descriptor: Any) -> str:
    """The path of an open folder; nothing for none, which is the working folder."""
    return os.readlink(f"/proc/self/fd/{descriptor}") if isinstance(descriptor, int) and descriptor >= 0 else ""


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if Guard._now is not None:
        Guard._now.note(event, arguments)


def _is_text(code: Any) -> bool:
    """Whether code was made of a text, other than by what reads the types of fields."""
    caller = sys._getframe(3)
    return getattr(code, "co_filename", "") == "<string>" and "typing.py" not in caller.f_code.co_filename


def _give_up(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise _HangError


def _place(error: BaseException) -> str:
    """Where an exception comes from: the last line of the program's own."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/tas_c" in frame.filename] or list(frames)
    return f"{Path(own[-1].filename).name}:{own[-1].lineno} ({own[-1].name}): {' '.join(str(error).split())[:120]}"

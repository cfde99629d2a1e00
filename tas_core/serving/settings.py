"""Where a server listens and what it grants: how many requests, how large, how long, and which folders."""

from __future__ import annotations

import ipaddress
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from tas_core.conventions import LATEST_S
from tas_core.errors import InputError

DEFAULT_ADDRESS: Final = "127.0.0.1:8765"
_UNIX: Final = "unix:"
_LONGEST_SOCKET_NAME: Final = 107
"""Bytes of the path of a Unix socket that Linux has room for."""
_EXPECTED: Final = "unix:PATH, or a port of this machine alone, such as 127.0.0.1:8765, [::1]:8765 or localhost:8765"


@dataclass(frozen=True)
class Address:
    """A Unix socket, or a port that only programs of this machine reach.

    Attributes:
        path: of the Unix socket; None for a port.
        host: 127.0.0.1, another address of the loopback, or ::1; empty for a Unix socket.
        port: 0 to 65535, 0 is any that is free.
    """

    path: Path | None = None
    host: str = ""
    port: int = 0

    @classmethod
    def read(cls, text: str) -> Address:
        """An address as people write it.

        Raises:
            InputError: another form, or one that other machines reach.
        """
        if text.startswith(_UNIX):
            path = text.removeprefix(_UNIX)
            if not path or len(os.fsencode(path)) > _LONGEST_SOCKET_NAME:
                length = f"{len(os.fsencode(path))} bytes, " if path else ""
                raise InputError(
                    f"address {text!r}: {length}expected a path of 1 to {_LONGEST_SOCKET_NAME} bytes after unix:"
                )
            return cls(Path(path))
        host, separator, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
        if not separator or not port.isascii() or not port.isdecimal() or not 0 <= int(port) <= 65_535:
            raise InputError(f"address {text!r}: expected {_EXPECTED}")
        try:
            found = ipaddress.ip_address("127.0.0.1" if host.lower() == "localhost" else host)
        except ValueError as error:
            raise InputError(f"address {text!r}: expected {_EXPECTED}") from error
        if not found.is_loopback:
            raise InputError(
                f"address {text!r}: other machines reach {found}, and whoever connects is served; expected {_EXPECTED}"
            )
        return cls(None, str(found), int(port))

    def __str__(self) -> str:
        if self.path is not None:
            return f"{_UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Limits:
    """What a server takes on; checked when it is made.

    Args:
        jobs: requests that are worked on at once, each by a process with a model of its own.
        waiting: further requests that are taken and wait; those beyond are refused.
        request_bytes: of one request, sound and all.
        sound_s: of one request, seconds.
        work_s: how long one request may be worked on, seconds.
        memory_bytes: that one request may take, beside the model.
        upload_s: how long the bytes of a request may take to come, seconds.

    Raises:
        InputError: a number below what makes sense, or one that is none.
    """

    jobs: int = 1
    waiting: int = 8
    request_bytes: int = 256 * 2**20
    sound_s: float = 600.0
    work_s: float = 600.0
    memory_bytes: int = 2 * 2**30
    upload_s: float = 60.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, least = getattr(self, field.name), _LEAST.get(field.name, _LEAST_SECONDS)
            if not least <= value < math.inf:
                raise InputError(f"{field.name} of a server is {value:g}; expected {least:g} or more")
            most = _MOST if field.name in _LEAST else LATEST_S
            if value > most:
                raise InputError(f"{field.name} of a server is {value:g}; expected {most:g} or less")


_LEAST: Final = {"jobs": 1, "waiting": 0, "request_bytes": 1024, "memory_bytes": 64 * 2**20}
_LEAST_SECONDS: Final = 0.01
_MOST: Final = 2**50
"""Bytes, and anything else that is counted; the system knows no limits beyond."""


@dataclass(frozen=True)
class Folders:
    """Which folders requests may name files in; none by default, so that sounds have to come with the request.

    Args:
        read: of inputs.
        write: of outputs.
    """

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()

    @classmethod
    def of(cls, read: Sequence[Path], write: Sequence[Path]) -> Folders:
        """Folders that are there, with links in their names followed once, now.

        Raises:
            InputError: one is no folder.
        """
        for path in (*read, *write):
            if not path.is_dir():
                raise InputError(f"{path}: no such folder, expected one that requests may name files in")
        return cls(tuple(path.resolve() for path in read), tuple(path.resolve() for path in write))

    def may_read(self, path: Path) -> bool:
        """Whether a file, links followed, lies in a folder of inputs."""
        return _lies_in(path, self.read)

    def may_write(self, path: Path) -> bool:
        """Whether a file that there is or will be, links followed, lies in a folder of outputs."""
        return _lies_in(path, self.write)


def _lies_in(path: Path, folders: Sequence[Path]) -> bool:
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(folder) and real != folder for folder in folders)

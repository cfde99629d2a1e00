"""Object stores, such as S3: whether something is there, and files that come from them and go to them as a whole.

Through fsspec, which takes credentials and endpoints from the environment and its own configuration; nothing here does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tas_core.errors import AudioError, InputError, TasError
from tas_core.system.files import split_url

PACKAGES: Final = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
"""Kinds of stores, and the packages by which fsspec reaches them. Web sites are none: they are not written to."""

_LONGEST_NAME: Final = 200
"""Bytes of a part of a key, which becomes the name of a file."""


def url_parts(url: str) -> tuple[str, PurePosixPath]:
    """The kind of store, and bucket and key as a path.

    Raises:
        InputError: a kind that is not known, or a key that no file can be called by.
    """
    kind, rest = split_url(url)
    if kind not in PACKAGES:
        known = ", ".join(f"{name}://" for name in PACKAGES)
        raise InputError(f"{url}: expected a path, or an address that begins with one of {known}")
    parts = rest.split("/")
    if len(parts) < 2 or any(part in ("", ".", "..") for part in parts):
        raise InputError(f"{url}: expected {kind}://BUCKET/KEY, whose parts are neither empty nor dots")
    if any(len(part.encode("utf-8", "surrogateescape")) > _LONGEST_NAME for part in parts):
        raise InputError(f"{url}: expected parts of at most {_LONGEST_NAME} bytes")
    if not rest.isprintable() or any(sign in rest for sign in "?#*[]:\\"):
        raise InputError(f"{url}: expected a key without control characters and ? # * [ ] : \\")
    return kind, PurePosixPath(rest)


def names_in(folder_url: str) -> frozenset[str]:
    """Names of the files in a folder of a store; none where there is no such folder.

    Raises:
        InputError: it cannot be listed.
    """
    with _trouble(folder_url, "cannot be listed"):
        system = _system(folder_url)
        try:
            found = system.ls(folder_url, detail=True, refresh=True)
        except FileNotFoundError:
            return frozenset()
        return frozenset(PurePosixPath(item["name"]).name for item in found if item["type"] == "file")


def is_there(url: str) -> bool:
    """Whether a file is in its store.

    Raises:
        InputError: the store cannot be asked.
    """
    with _trouble(url, "cannot be looked at"):
        system = _system(url)
        system.invalidate_cache()
        try:
            return bool(system.info(url)["type"] == "file")
        except FileNotFoundError:
            return False


def download(url: str, path: Path) -> None:
    """Copy a file from its store.

    Raises:
        AudioError: it is not there.
        InputError: it cannot be read, or came in part.
    """
    with _trouble(url, "cannot be read"):
        system = _system(url)
        try:
            size = system.info(url)["size"]
            system.get_file(url, str(path))
        except FileNotFoundError as error:
            raise AudioError(f"{url}: no such file") from error
    if (came := path.stat().st_size) != size:
        raise InputError(f"{url}: {came} of {size} bytes came from the store, expected all; try again")


def upload(path: Path, url: str, *, overwrite: bool) -> None:
    """Copy a whole file to a store, where it appears under its name when all of it is there.

    Raises:
        InputError: it is there, and may not be replaced.
        TasError: it cannot be written, or is not there as a whole afterwards.
    """
    size = path.stat().st_size
    with _trouble(url, "cannot be written", TasError):
        system = _system(url)
        try:
            system.put_file(str(path), url, mode="overwrite" if overwrite else "create")
        except FileExistsError as error:
            raise exists(url) from error
        except FileNotFoundError as error:
            raise TasError(f"{url}: cannot be written: no such bucket") from error
        system.invalidate_cache()
        there = system.info(url)["size"]
    if there != size:
        raise TasError(f"{url}: {there} of {size} bytes are in the store, expected all; try again")


def exists(url: str) -> InputError:
    """What to raise where an output is there."""
    return InputError(f"{url}: the file exists, expected another name, or permission to overwrite", remedy="overwrite")


def _system(url: str) -> Any:
    kind = url.partition("://")[0]
    package = PACKAGES[kind]
    import fsspec

    try:
        return fsspec.filesystem(kind)
    except ImportError as error:
        missing = f"{url}: {kind}:// needs the package {package}, which is not installed"
        raise InputError(missing, remedy="s3_packages") if kind == "s3" else InputError(missing) from error


@contextmanager
def _trouble(url: str, what: str, kind: type[TasError] = InputError) -> Iterator[None]:
    """What goes wrong with a store, in one line; its libraries raise what they like."""
    try:
        yield
    except TasError:
        raise
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise kind(f"{url}: {what} ({said})") from error

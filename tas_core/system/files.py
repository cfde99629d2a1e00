"""Output files and folders of any kind: checks before any work, and never half of one."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tas_core.errors import InputError
from tas_core.system.partial_files import EarlierFile, PartialFile, PartialFolder
from tas_core.system.write_errors import flush_to_disk, write_error

STANDARD_STREAM: Final = "-"
"""In place of a file name: standard input or standard output, where that is allowed."""

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_PATH_OF_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(.+)", re.DOTALL)
"""What a path is that was made of an address: paths have one stroke where addresses have two."""


def is_url(name: str) -> bool:
    """Whether a name is that of something elsewhere, rather than a path; also if nobody can reach it."""
    return _URL.fullmatch(name) is not None


def split_url(url: str) -> tuple[str, str]:
    """What stands before and behind ``://``; nothing and the whole of what is no address."""
    found = _URL.fullmatch(url)
    return (found[1], found[2]) if found else ("", url)


def check_path(path: str | Path) -> None:
    """See that a name is a path: an address would become a folder here that is called ``s3:``.

    Args:
        path: a name as somebody gave it, or what became of it as a path, where a folder of such a name is not there.

    Raises:
        InputError: it is an address.
    """
    text = str(path)
    collapsed = _PATH_OF_URL.fullmatch(text)
    if is_url(text) or (collapsed and not os.path.lexists(f"{collapsed[1]}:")):
        url = text if is_url(text) or not collapsed else f"{collapsed[1]}://{collapsed[2]}"
        raise InputError(
            f"{url}: an address, expected a path; addresses in object stores are taken in the lines of a manifest",
            remedy="manifest",
        )


def input_name(path: str | Path) -> str:
    """An input in messages."""
    return "standard input" if str(path) == STANDARD_STREAM else str(path)


def same_file(a: str | Path, b: str | Path) -> bool:
    """Whether two paths lead to one file, also through links, and whether or not it exists."""
    try:
        return os.path.samefile(a, b)
    except OSError:
        return os.path.realpath(a) == os.path.realpath(b)


def check_within(path: str | Path, folders: Sequence[str | Path], remedy: str | None = None) -> None:
    """See that what is written under a name lies below one of some folders, also where links lead elsewhere.

    Args:
        path: the output.
        folders: those that are meant.
        remedy: what would help, see :class:`tas_core.errors.TasError`.

    Raises:
        InputError: it lies elsewhere.
    """
    target = os.path.realpath(path)
    if any(Path(os.path.realpath(folder)) in Path(target).parents for folder in folders):
        return
    where = f"it leads to {target}, " if target != os.path.abspath(path) else ""
    raise InputError(f"{path}: {where}out of {' and '.join(map(str, folders))}; expected a name within", remedy=remedy)


def check_new_file(path: str | Path, inputs: Sequence[str | Path] = (), overwrite: bool = False) -> None:
    """Find out before any work whether a file can be written.

    Args:
        path: the output.
        inputs: files that must not be overwritten.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: an address, a folder, a missing or read-only folder, an existing file, or an input.
    """
    check_path(path)
    for source in inputs:
        if same_file(path, source):
            raise InputError(f"{path}: the output is the input {source}, expected another file")
    target = Path(os.path.realpath(path))
    try:
        os.lstat(target)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:  # such as a name that is too long
        raise InputError(f"{path}: no file can be made under this name ({error.strerror})") from error
    if target.is_dir():
        raise InputError(f"{path}: a folder, expected a file name")
    if os.path.lexists(target) and not target.is_file():
        raise InputError(f"{path}: not a regular file")
    if target.exists() and not overwrite:
        raise file_exists(path)
    if not target.parent.is_dir():
        raise InputError(f"{path}: the folder {target.parent} does not exist")
    _check_writable(path, target.parent)


def file_exists(path: str | Path) -> InputError:
    """What to raise where an output exists and may not be replaced."""
    return InputError(f"{path}: the file exists, expected a new name or permission to overwrite it", remedy="overwrite")


def make_folder(path: Path) -> None:
    """Make a folder for outputs, with those above it; one that is there stays as it is.

    Raises:
        InputError: it is an address, it cannot be made, or files cannot be made in it.
    """
    check_path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise InputError(f"{path}: not a folder, expected one or a new name") from error
    except OSError as error:
        raise InputError(f"{path}: no folder can be made under this name ({error.strerror})") from error
    _check_writable(path, path)


def _check_writable(path: str | Path, folder: Path) -> None:
    """See that files can be made in the folder of an output."""
    if os.access(folder, os.W_OK | os.X_OK):
        return
    with contextlib.suppress(OSError):
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            raise InputError(f"{path}: the file system of the folder {folder} can only be read")
    raise InputError(f"{path}: no permission to write to the folder {folder}")


def partial_file(path: str | Path, folder: Path) -> PartialFile:
    """A hidden file in ``folder``, for what is to become ``path``.

    Raises:
        InputError: the folder takes no files.
    """
    try:
        return PartialFile(folder)
    except OSError as error:
        raise InputError(f"{path}: no file can be made in {folder} ({error.strerror})") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A hidden file to write, which takes the place of ``path`` when the block ends without an error.

    For contents that should not be in memory as a whole; else :func:`write_files`.

    Raises:
        InputError: the folder takes no files.
        TasError: writing failed, for example because the disk is full.
    """
    target = Path(os.path.realpath(path))
    partial = partial_file(path, target.parent)
    try:
        yield partial.path
        with open(partial.path, "rb+") as file:
            flush_to_disk(file.fileno())
        partial.move(target, overwrite=True)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        partial.remove()


@contextmanager
def whole_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A hidden folder to fill, which takes the place of ``path`` when the block ends without an error.

    It grows beside its own place; what killed programs left there of theirs is removed by
    :func:`tas_core.system.partial_files.remove_stale`.

    Args:
        path: the folder to make.
        overwrite: whether a folder that is there is removed when the new one is complete.

    Raises:
        InputError: something is there already and may not be replaced, or no folder can be made beside it.
        TasError: writing failed, for example because the disk is full.
    """
    check_path(path)
    if os.path.lexists(path) and not overwrite:
        raise _folder_exists(path)
    try:
        partial = PartialFolder(path.parent)
    except OSError as error:
        raise InputError(f"{path}: no folder can be made in {path.parent} ({error.strerror})") from error
    try:
        try:
            yield partial.path
        except OSError as error:
            named = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if name is not None]
            if not named or any(name.is_relative_to(partial.path) for name in named):
                raise write_error(path, error, "the folder") from error
            raise  # of another file, which it names
        try:
            partial.move(path, overwrite=overwrite)
        except FileExistsError as error:  # it appeared while this one was made
            raise _folder_exists(path) from error
        except OSError as error:
            raise write_error(path, error, "the folder") from error
    finally:
        partial.remove()


def _folder_exists(path: Path) -> InputError:
    return InputError(f"{path}: exists; expected the name of a new folder")


def write_files(contents: Mapping[Path, bytes], *, overwrite: bool = True) -> None:
    """Write files so that each appears under its name complete or not at all, and none before all are on disk.

    Where one of several cannot be put in its place, those before it are taken back: what was there is there again.

    Args:
        contents: file -> what is to be in it.
        overwrite: whether existing files are replaced, also those that appeared since :func:`check_new_file`; where a
            name is a link, what it leads to is.

    Raises:
        InputError: a folder takes no files, or a file exists and may not be replaced.
        TasError: writing failed, for example because the disk is full.
    """
    written: list[tuple[PartialFile, Path]] = []
    try:
        for path, data in contents.items():
            target = Path(os.path.realpath(path))
            partial = partial_file(path, target.parent)
            written.append((partial, target))
            try:
                with open(partial.path, "wb") as file:
                    file.write(data)
                    file.flush()
                    flush_to_disk(file.fileno())
            except OSError as error:
                raise write_error(path, error) from error
        _place(written, overwrite)
    finally:
        for partial, _ in written:
            partial.remove()


def _place(written: Sequence[tuple[PartialFile, Path]], overwrite: bool) -> None:
    """Put complete files in their places, all or none."""
    earlier: list[EarlierFile | None] = []
    is_new = [not (overwrite and os.path.lexists(target)) for _, target in written]
    try:
        for (partial, target), new in zip(written, is_new, strict=True):
            earlier.append(None if new or len(written) == 1 else EarlierFile.of(target))
            try:
                partial.move(target, overwrite=overwrite)
            except FileExistsError as error:
                raise file_exists(target) from error
            except OSError as error:
                raise write_error(target, error) from error
    except BaseException:
        for (partial, target), new, before in zip(written, is_new, earlier, strict=False):
            if before is not None:
                before.put_back()
            elif new and not partial.path.exists():  # then it is in its place
                target.unlink(missing_ok=True)
        raise
    finally:
        for before in filter(None, earlier):
            before.remove()

"""Which files a batch is about: named ones, folders, lists and manifests."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tas_core.audio.formats import is_readable
from tas_core.errors import InputError, PromptError
from tas_core.system.configs import config_from_dict
from tas_core.system.files import STANDARD_STREAM, check_path, input_name, is_url, same_file
from tas_core.system.json_values import json_value
from tas_core.timeline.segments import Timeline
from tas_core.timeline.sources import SourceFile

if TYPE_CHECKING:
    from tas_core.jobs.batch.in_stores import Stores, StoresOnDemand


@dataclass(frozen=True)
class BatchInput:
    """One file to be made binaural.

    Attributes:
        source: the file.
        folder: where its output goes below the output folder; "." but for files found in folders.
        timeline_path: its own timeline, if one was named.
        prompt: its own prompt, if one was given.
        out: its output, if one was named.
        out_folder: what that output may not lead out of: the folder that names in the manifest are relative to.
        where: "manifest:line" for messages, empty if it comes from no manifest.
        objects: files of the sounds of objects.
        has_input: whether ``source`` is an input, rather than what a line of given sounds is named after.
    """

    source: Path
    folder: Path = Path(".")
    timeline_path: Path | None = None
    prompt: str | None = None
    out: Path | None = None
    out_folder: Path | None = None
    where: str = ""
    objects: tuple[SourceFile, ...] = ()
    has_input: bool = True


def find_inputs(
    sources: Sequence[Path] = (),
    *,
    input_list: Path | None = None,
    manifest: Path | None = None,
    without: Sequence[Path] = (),
    stores: Stores | StoresOnDemand | None = None,
) -> tuple[BatchInput, ...]:
    """All inputs, in the order in which they are named; those of a folder sorted by name.

    Args:
        sources: files, and folders that are searched for audio files, also in the folders in them; hidden files and
            folders are passed over.
        input_list: text file with such a path on each line; ``-`` is standard input.
        manifest: see :func:`read_manifest`; in place of the two others.
        without: folders that are passed over where they lie in a folder, such as that of the outputs.
        stores: see :func:`read_manifest`.

    Raises:
        InputError: no input, standard input among them, a folder without audio files, a list or manifest that cannot
            be read, one of ``without`` that is itself to be searched.
    """
    if manifest is not None:
        if sources or input_list is not None:
            raise InputError("a manifest and other inputs were given, expected one of them")
        return read_manifest(manifest, stores)
    named = [*sources, *([] if input_list is None else read_list(input_list))]
    found: list[BatchInput] = []
    for source in named:
        if str(source) == STANDARD_STREAM:
            raise InputError(
                "standard input is one of several inputs, or has no output of its own; expected files and folders",
                remedy="output",
            )
        found += _find_audio(source, without) if os.path.isdir(source) else [BatchInput(source)]
    if not found:
        where = "no input" if input_list is None else f"{input_name(input_list)}: no paths"
        raise InputError(f"{where}, expected files, folders, a list or a manifest", remedy="input")
    return tuple(found)


def read_list(path: Path) -> list[Path]:
    """Paths of a text file, one on each line, relative to the working folder; empty lines mean nothing.

    Raises:
        InputError: the file cannot be read, or holds a zero byte or an address.
    """
    paths = []
    for number, line in _lines(path):
        if b"\0" in line:
            raise InputError(f"{input_name(path)}:{number}: a zero byte, expected a text file with a path on each line")
        try:
            check_path(os.fsdecode(line))
        except InputError as error:
            raise InputError(f"{input_name(path)}:{number}: {error}", remedy=error.remedy) from error
        paths.append(Path(os.fsdecode(line)))
    return paths


@dataclass(frozen=True)
class _ManifestLine:
    audio: str | None = None
    timeline: str | None = None
    prompt: str | None = None
    out: str | None = None
    objects: dict[str, str] | None = None

    def __post_init__(self) -> None:
        if self.audio is None and not self.objects and self.timeline is None:
            raise ValueError("missing key 'audio', or 'objects' with files by their names")
        for name, file in (self.objects or {}).items():
            if not name.strip() or not file or any(c in file for c in "\0\r\n") or file == STANDARD_STREAM:
                raise ValueError(f"object {name!r} is {file!r}, expected the name of a file")
            _check_name(file)
        if self.timeline is not None and self.prompt is not None:
            raise ValueError("'timeline' and 'prompt' are given, expected one of them")
        for key in ("audio", "timeline", "out"):
            value = getattr(self, key)
            if value is not None and (not value or any(c in value for c in "\0\r\n") or value == STANDARD_STREAM):
                raise ValueError(f"{key!r} is {value!r}, expected the name of a file")
            _check_name(value or "")


def _check_name(name: str) -> None:
    """See that a file can be called so: JSON has characters that no name of a file has."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError as error:
        raise ValueError(f"{name!a} is the name of no file") from error


def read_manifest(path: Path, stores: Stores | StoresOnDemand | None = None) -> tuple[BatchInput, ...]:
    """Inputs of a file of JSON objects, one on each line.

    An object has ``audio``, or ``objects``, files by the names of the objects whose sounds they are, or both; and
    optionally ``timeline`` or ``prompt``, and ``out``. A timeline may name sources in place of ``objects``. Relative
    paths are relative to the manifest's folder, for standard input to the working folder; names may be addresses in
    object stores.

    Args:
        path: the manifest; ``-`` is standard input.
        stores: gives addresses local names; None takes no addresses.

    Raises:
        InputError: "path:line: what", also for an unknown key and for a prompt that cannot be understood.
    """
    folder = Path(".") if str(path) == STANDARD_STREAM else path.parent
    found = []
    for number, line in _lines(path):
        where = f"{input_name(path)}:{number}"
        try:
            value = json_value(line.decode("utf-8"), pairs=_without_repetition)
        except ValueError as error:
            what = getattr(error, "msg", None) or getattr(error, "reason", None) or str(error)
            raise InputError(f"{where}: not a JSON object on one line ({what})") from error
        entry = config_from_dict(_ManifestLine, value, where, InputError)
        if entry.prompt is not None:
            try:
                Timeline.from_prompt(entry.prompt)
            except PromptError as error:
                raise InputError(f"{where}: {error}") from error
        within = partial(_located, folder, where, stores)
        objects = tuple(SourceFile(name, within(file)) for name, file in (entry.objects or {}).items())
        first = entry.audio or next((str(item.file) for item in objects), None) or entry.timeline
        assert first is not None
        found.append(
            BatchInput(
                source=within(first) if entry.audio or not objects else Path(first),
                objects=objects,
                has_input=entry.audio is not None,
                timeline_path=None if entry.timeline is None else within(entry.timeline),
                prompt=entry.prompt,
                out=None if entry.out is None else within(entry.out),
                out_folder=_out_folder(folder, entry.out, stores),
                where=where,
            )
        )
    if not found:
        raise InputError(f"{input_name(path)}: no entries, expected a JSON object with 'audio' on each line")
    return tuple(found)


def _located(folder: Path, where: str, stores: Stores | StoresOnDemand | None, name: str) -> Path:
    """The path of a name in a manifest: below its folder, or the local name of an address."""
    if not is_url(name):
        return folder / name
    if stores is None:
        raise InputError(f"{where}: {name}: an address, expected a path")
    try:
        return stores.local(name)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _out_folder(folder: Path, name: str | None, stores: Stores | StoresOnDemand | None) -> Path | None:
    """What an output that a manifest names may not lead out of."""
    if name is None:
        return None
    return stores.folder if stores is not None and is_url(name) else folder


def _find_audio(root: Path, without: Sequence[Path]) -> list[BatchInput]:
    """The audio files in a folder and the folders in it."""

    def fail(error: OSError) -> NoReturn:
        raise InputError(f"{error.filename}: the folder cannot be read ({error.strerror})") from error

    for other in without:
        if same_file(root, other):
            raise InputError(f"{root}: the folder of inputs is that of outputs, expected another, such as one in it")
    found = []
    for here, folders, files in os.walk(root, onerror=fail):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not any(same_file(os.path.join(here, name), other) for other in without)
        )
        for name in sorted(files):
            if not name.startswith(".") and is_readable(name):
                source = Path(here, name)
                found.append(BatchInput(source, folder=source.parent.relative_to(root)))
    if not found:
        raise InputError(f"{root}: no audio files in the folder")
    return found


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbers, from 1, and content of the lines that are not empty, without their ends and a byte order mark."""
    try:
        if str(path) != STANDARD_STREAM:
            with open(path, "rb") as file:
                yield from _filled(file)
        elif sys.stdin is None or sys.stdin.isatty():
            raise InputError("standard input is a terminal, expected a pipe or a file")
        else:
            yield from _filled(sys.stdin.buffer)
    except OSError as error:
        raise InputError(f"{input_name(path)}: cannot be read ({error.strerror})") from error


def _filled(file: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(file, start=1):
        line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        if line.strip():
            yield number, line


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name!r} is there twice")
        found[name] = value
    return found

"""What is in a folder: its files, by their names without endings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tas_core.errors import InputError

_NAMED: Final = 5
"""Endings that a message names; the most common come first in a list of them."""


def files_by_stem(folder: Path, endings: Sequence[str], kind: str) -> dict[str, Path]:
    """Files of a folder by their stems, sorted by name; hidden files, folders and other endings are passed over.

    Args:
        folder: where to look; folders in it are not looked into.
        endings: of the files, in lower case and with the dot, such as ``.wav``.
        kind: what the files are, in one word, for messages: "audio".

    Raises:
        InputError: the folder cannot be read, holds none of these files, or two of one stem.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}, expected a folder of {kind} files") from error
    files: dict[str, Path] = {}
    for path in entries:
        if path.suffix.lower() not in endings or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in files:
            names = f"{files[path.stem].name} and {path.name}"
            raise InputError(f"{folder}: {names} have the same stem, expected one {kind} file of each")
        files[path.stem] = path
    if not files:
        named = ", ".join([*endings[:_NAMED], *(["..."] if len(endings) > _NAMED else [])])
        raise InputError(f"{folder}: no {kind} files in the folder, expected {named}")
    return files

"""Names of outputs from a template."""

from __future__ import annotations

import os
import re
import string
from pathlib import Path, PurePosixPath
from typing import Final

from tas_core.audio.formats import KEPT_ENDINGS
from tas_core.errors import InputError

DEFAULT_TEMPLATE: Final = "{stem}.binaural.{ext}"
FIELDS: Final = ("stem", "ext", "parent", "index")

_LONGEST_NAME: Final = 200
"""Bytes; file systems allow 255, and what lies beside an output adds some."""


class NameTemplate:
    """A template for names of outputs, with :data:`FIELDS` in braces.

    Args:
        text: the template; ``index`` takes a width such as ``{index:03}``.

    Raises:
        InputError: braces that do not fit, an unknown field or width, or a character that no name can have.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        what = f"output template {text!r}"
        expected = f"expected some of {', '.join(f'{{{name}}}' for name in FIELDS)}"
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError as error:
            raise InputError(f"{what}: {error}") from error
        for _, key, width, conversion in parts:
            if key is None:
                continue
            if key not in FIELDS or conversion:
                raise InputError(f"{what}: unknown field {{{key}{'!' + conversion if conversion else ''}}}, {expected}")
            if width and not (key == "index" and re.fullmatch(r"0?[1-9]d?", width, re.ASCII)):
                raise InputError(f"{what}: {{{key}:{width}}}, expected {{{key}}}, or a width such as {{index:03}}")
        if complaint := _complaint("".join(literal for literal, *_ in parts)):
            raise InputError(f"{what}: {complaint}")
        self._parts = [(literal, key, width or "") for literal, key, width, _ in parts]

    def fill(self, source: Path, number: int) -> tuple[PurePosixPath, str]:
        """Name of the output of an input, by its number, below the folder of outputs, and why it is none, if so.

        Raises:
            InputError: the template leads out of the folder, whatever the input.
        """
        extension = source.suffix if source.suffix.lower() in KEPT_ENDINGS else ".wav"
        values = {"stem": source.stem, "ext": extension[1:], "parent": Path(os.path.abspath(source)).parent.name}
        name = "".join(
            literal + ("" if key is None else values[key] if key != "index" else format(number, width))
            for literal, key, width in self._parts
        )
        what = f"{str(source)!r}: the output template {self._text!r} gives {name!r}"
        complaint = _complaint(name)
        if _leads_elsewhere(name):
            complaint = "expected the name of a file in the output folder"
            if _leads_elsewhere("".join(literal + ("x" if key else "") for literal, key, _ in self._parts)):
                raise InputError(f"{what}, {complaint}")
        return PurePosixPath(name), f"{what}, {complaint}" if complaint else ""


def _leads_elsewhere(name: str) -> bool:
    return any(part in ("", ".", "..") for part in name.split("/"))


def _complaint(name: str) -> str:
    """What is wrong with the characters or the length of a name, nothing if it can be written and told in a line."""
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        return "expected a name without control characters"
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in name.split("/")):
        return f"expected names of at most {_LONGEST_NAME} bytes"
    return ""

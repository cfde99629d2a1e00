"""Files of pictures: their formats, and how a figure becomes one.

Matplotlib is imported only when something is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tas_core.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS: Final = ("png", "svg", "pdf")
"""Formats of pictures, each with the ending of that name."""

STYLE: Final[dict[Any, Any]] = {
    "text.parse_math": False,  # a dollar sign in a name is no formula
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "tas",  # the same identifiers each time
}
"""Settings of matplotlib that every picture is drawn with."""

_DPI: Final = 150
_DATES: Final = {"svg": "Date", "pdf": "CreationDate"}


def picture_format(path: Path) -> str:
    """The format that the ending of a file names.

    Raises:
        InputError: none of :data:`FORMATS`.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        shown = f"the extension {path.suffix}" if path.suffix else "no extension"
        raise InputError(f"{path}: {shown}, expected one of {', '.join(f'.{each}' for each in FORMATS)}")
    return ending


def check_format(format: str) -> None:
    """Refuse what is none of :data:`FORMATS`.

    Raises:
        InputError: unknown format.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r}; expected one of {', '.join(FORMATS)}")


def picture_bytes(figure: Figure, format: str, metadata: Mapping[str, str] | None = None) -> bytes:
    """The file of a figure, without a date, so that the same figure gives the same bytes.

    Args:
        figure: what is drawn.
        format: one of :data:`FORMATS`.
        metadata: by matplotlib's names for the format, such as "Title".
    """
    buffer = io.BytesIO()
    undated = {_DATES[format]: None} if format in _DATES else {}
    figure.savefig(buffer, format=format, dpi=_DPI, metadata={**(metadata or {}), **undated})
    return buffer.getvalue()

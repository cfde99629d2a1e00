"""Options of a name and a file, such as ``--stem cello=cello.wav``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tas_core.errors import InputError


def named_paths(texts: Sequence[str], option: str, form: str, what: str) -> dict[str, Path]:
    """Paths by their names.

    Args:
        texts: each ``NAME=PATH``.
        option: what they were given by, for messages.
        form: how one is written, for messages.
        what: what the name is of, for messages.

    Raises:
        InputError: a text of another form, or two of one name.
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not name.strip() or not path:
            raise InputError(f"{option} {text!r}: expected {form}")
        if name in found:
            raise InputError(f"{option} {text!r}: the {what} {name!r} is given twice")
        found[name] = Path(path)
    return found

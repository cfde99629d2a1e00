"""Safetensors files of training material, whose damage is one clear error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open

from tas_core.errors import InputError
from tas_core.system.configs import one_line

_FAULTS: Final = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
"""What code meets that takes contents for what they are not."""


@contextmanager
def open_tensors(path: Path, fault: str, remedy: str = "") -> Iterator[tuple[safe_open, dict[str, str]]]:
    """An open safetensors file and its metadata, whose contents are read inside the ``with`` block.

    Args:
        path: the file.
        fault: what a file that cannot be used is, such as "not a readable stem bank".
        remedy: what to do about it, behind a semicolon; nothing by default.

    Raises:
        InputError: no such file, no safetensors file, or reading its contents failed: a tensor or a key is missing, or
            a value is not what it should be.
    """
    try:
        with safe_open(str(path), "pt") as file:
            yield file, file.metadata() or {}
    except (SafetensorError, OSError, *_FAULTS) as error:
        raise InputError(f"{path}: {fault} ({one_line(error)}){f'; {remedy}' if remedy else ''}") from error

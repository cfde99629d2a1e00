"""Names and folders of checkpoints, without torch: what ships with the package, and what a name leads to."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tas_core.errors import InputError

WEIGHTS_FOLDER: Final = Path(__file__).resolve().parent / "weights"
"""Holds one checkpoint folder per shipped model."""

DEFAULT_MODEL: Final = "slots"


def shipped_models() -> tuple[str, ...]:
    """Names of the checkpoints that come with the package."""
    if not WEIGHTS_FOLDER.is_dir():
        return ()
    return tuple(sorted(p.name for p in WEIGHTS_FOLDER.iterdir() if (p / "config.json").is_file()))


def find_checkpoint(name: str) -> Path:
    """Folder of a shipped model by name, or of a checkpoint by path.

    Raises:
        InputError: neither.
    """
    if name in shipped_models():
        return WEIGHTS_FOLDER / name
    folder = Path(name)
    if folder.is_dir():
        return folder
    raise InputError(
        f"unknown model '{name}'; expected one of {', '.join(shipped_models()) or '(none shipped)'}, "
        "or a checkpoint folder"
    )

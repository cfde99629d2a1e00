"""Where the data that ships with the program lies."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def prompts_dir() -> Path:
    """Folder of the prompt vocabulary: ``tas_core/_data/prompts``, or ``<repo>/prompts`` in a checkout.

    Raises:
        FileNotFoundError: neither folder exists, so the installation is damaged.
    """
    candidates = (_PACKAGE / "_data" / "prompts", _PACKAGE.parent / "prompts")
    for folder in candidates:
        if (folder / "directions.yaml").is_file():
            return folder
    raise FileNotFoundError(
        f"the prompt vocabulary is missing: expected directions.yaml in {candidates[0]}; reinstall tas"
    )

"""Requests of the command line that are refused: one line, exit code 2, and nothing in the folder changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.conftest import Finished


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder, hidden files as well, with its content."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def refused(run: Callable[..., Finished], folder: Path, *arguments: object) -> str:
    """The error line of a refused request, after making sure that nothing in the folder changed."""
    before = tree(folder)
    done = run(*arguments)
    assert done.code == 2, done
    assert done.out == ""
    assert tree(folder) == before
    return done.error_line

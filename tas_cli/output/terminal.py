"""What stdout and stderr are, and the shortest thing to print there."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream, such as ``sys.stdout``, is a terminal; a closed one (None) is not."""
    return stream is not None and stream.isatty()


def print_paths(*paths: Path | None) -> None:
    """Say what was made: each file or folder on a line of stdout."""
    for path in paths:
        if path is not None:
            print(path)

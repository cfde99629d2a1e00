"""Where printed words go."""

from __future__ import annotations

from typing import TextIO


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream, such as ``sys.stdout``, is a terminal; a closed one (None) is not."""
    return stream is not None and stream.isatty()

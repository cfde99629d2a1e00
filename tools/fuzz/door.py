"""What a door is: a function of the program that reads something, and small valid inputs to begin with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Door:
    """A way in.

    Attributes:
        name: on the command line and in the table of docs/ROBUSTNESS.md.
        enter: hands bytes to the program as a command does. Its second argument is an empty folder that may be written.
        seeds: makes small valid inputs, and some that are not.
        words: parts that a mutation may put in.
        modules: of the program, whose branches lead the search.
        runs_programs: whether it may start ffmpeg and ffprobe.
    """

    name: str
    enter: Callable[[bytes, Path], None]
    seeds: Callable[[], Sequence[bytes]]
    words: tuple[bytes, ...] = ()
    modules: tuple[str, ...] = ()
    runs_programs: bool = False

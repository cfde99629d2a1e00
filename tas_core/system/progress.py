"""Progress reports of long work."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float], None]
"""Told the fraction of a job that is done, 0 to 1, again and again."""


def ignore(_: object) -> None:
    """Do nothing with a progress report; the default of functions that give some."""

"""How far a job is: what long work is given to report with."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float], None]
"""Told the fraction of a job that is done, 0 to 1, again and again."""


def ignore(_: object) -> None:
    """Take in a report and do nothing: for who is not told."""

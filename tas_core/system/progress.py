"""How far a job is: what long work is given to report with."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float], None]
"""Told the share of a job that is done, 0 to 1, again and again."""

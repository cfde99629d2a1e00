"""Settings of a rendering and their ranges; imports no torch."""

from __future__ import annotations

from typing import Final

from tas_core.errors import InputError

MAX_SEED: Final = 2**32 - 1
"""Seeds are whole numbers from 0 to this, so that what is derived from them fits 64 bits."""


MAX_WIDTH: Final = 2.0
"""Factors of the difference between the ears go from 0 (mono) to this."""


def check_seed(seed: int) -> None:
    """Refuse a seed out of range.

    Raises:
        InputError: below 0 or above :data:`MAX_SEED`.
    """
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"seed is {seed}; expected 0 to {MAX_SEED}")


def check_steps(steps: int | None) -> None:
    """Refuse a number of sampler steps out of range; None leaves it to the model.

    Raises:
        InputError: below 1.
    """
    if steps is not None and steps < 1:
        raise InputError(f"steps is {steps}; expected 1 or more")


def check_width(width: float) -> None:
    """Refuse a width out of range.

    Raises:
        InputError: below 0, above :data:`MAX_WIDTH`, or nan.
    """
    if not 0 <= width <= MAX_WIDTH:
        raise InputError(f"width is {width:g}; expected 0 (mono) to {MAX_WIDTH:g}")

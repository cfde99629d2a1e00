"""Vocabulary that every module shares: axes, ears, and the sign of left.

Axis words, in the order in which they appear in shapes:
``batch clause ear channel band freq frame time``.

**The sign of left is stated here and nowhere else.** Azimuth is in degrees, 0 is
straight ahead and *positive is to the listener's left* (the SOFA convention,
AES69). Ear 0 is the left ear. ``mid = left + right`` and ``side = left - right``
(paper, Eq. 1 and 2), so a sound on the left has a positive correlation of side
with mid, and a positive level difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from tas_core.errors import InputError

LEFT_EAR: Final = 0
RIGHT_EAR: Final = 1
LEFT_SIGN: Final = 1.0
"""Sign of an azimuth, a level difference and a side-to-mid ratio that mean *left*."""

MAX_AZIMUTH_DEG: Final = 90.0
"""Azimuths lie in the frontal half plane, -90 (right) to 90 (left) degrees."""

MAX_SEED: Final = 2**32 - 1
"""Seeds are whole numbers from 0 to this, so that what is derived from them fits 64 bits."""

MAX_WIDTH: Final = 2.0
"""Factors of the difference between the ears go from 0 (mono) to this."""

Progress = Callable[[float], None]
"""Told the share of a job that is done, 0 to 1, again and again."""

Side = Literal["left", "center", "right"]

CENTER_DEG: Final = 15.0
"""Azimuths up to this far from straight ahead, this one included, are called the center."""


def side_name(azimuth_deg: float) -> Side:
    """Left, center or right, of an azimuth in degrees."""
    if abs(azimuth_deg) <= CENTER_DEG:
        return "center"
    return "left" if azimuth_deg * LEFT_SIGN > 0 else "right"


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

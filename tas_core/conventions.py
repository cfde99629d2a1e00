"""Vocabulary that every module shares: axes, ears, the sign of left, decibels, and numbered seeds.

Axis words, in the order in which they appear in shapes:
``batch clause ear channel band freq frame time``.

**The sign of left is stated here and nowhere else.** Azimuth is in degrees, 0 is
straight ahead and *positive is to the listener's left* (the SOFA convention,
AES69). Ear 0 is the left ear. ``mid = left + right`` and ``side = left - right``
(paper, Eq. 1 and 2), so a sound on the left has a positive correlation of side
with mid, and a positive level difference.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    _Value = TypeVar("_Value", float, np.ndarray, Tensor)

LEFT_EAR: Final = 0
RIGHT_EAR: Final = 1
LEFT_SIGN: Final = 1.0
"""Sign of an azimuth, a level difference and a side-to-mid ratio that mean *left*."""

MAX_AZIMUTH_DEG: Final = 90.0
"""Azimuths lie in the frontal half plane, -90 (right) to 90 (left) degrees."""

REFERENCE_M: Final = 1.4
"""Distance of a sound of which none is said, metres: that at which the head was measured, where sounds stay as loud."""

NEAREST_M: Final = 0.1
FARTHEST_M: Final = 10_000.0
"""Distances lie from one to the other, metres; what is nearer is inside the head or touches it."""


LATEST_S: Final = 1e9
"""Times lie before it, seconds (31 years): a later one is a slip, and would overflow where samples are counted."""

Side = Literal["left", "center", "right"]

CENTER_DEG: Final = 15.0
"""Azimuths up to this far from straight ahead, this one included, are called the center."""


def side_name(azimuth_deg: float) -> Side:
    """Left, center or right, of an azimuth in degrees."""
    if abs(azimuth_deg) <= CENTER_DEG:
        return "center"
    return "left" if azimuth_deg * LEFT_SIGN > 0 else "right"


def to_ears(x: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Two ears (ear, time) float64 of a mono signal and a side signal, (time) each; their mean is x exactly."""
    import numpy as np

    ears = np.empty((2, len(x)))
    ears[LEFT_EAR] = x + side / 2
    ears[RIGHT_EAR] = x - side / 2
    return ears


# ---------------------------------------------------------------------------- decibels


def amplitude_to_db(amplitude: _Value) -> _Value:
    """Level of an amplitude, or of a ratio of two: 20 log10, dB; -inf for 0.

    Args:
        amplitude: at least 0, a number, an array or a tensor; so is the result, of the same shape.
    """
    return 20 * _log10(amplitude)


def power_to_db(power: _Value) -> _Value:
    """Level of a power, or of a ratio of two: 10 log10, dB; otherwise as :func:`amplitude_to_db`."""
    return 10 * _log10(power)


def db_to_amplitude(level_db: _Value) -> _Value:
    """Amplitude, or ratio of two, of a level: 10^(dB / 20)."""
    return 10 ** (level_db / 20)


def db_to_power(level_db: _Value) -> _Value:
    """Power, or ratio of two, of a level: 10^(dB / 10)."""
    return 10 ** (level_db / 10)


def _log10(value: Any) -> Any:
    # Each by its own library: the three differ in the last bit.
    if type(value) in (float, int):
        return math.log10(value) if value else -math.inf
    if hasattr(value, "log10"):
        return value.log10()
    import numpy as np

    with np.errstate(divide="ignore"):
        return np.log10(value)


# ---------------------------------------------------------------------------- seeds


def numbered_seed(seed: int, number: int) -> int:
    """Seed of one of many parts of what ``seed`` is for, such as a step or a piece: far from those of other seeds.

    Args:
        seed: at least 0.
        number: of the part; fewer than a million parts are told apart for all seeds.
    """
    return seed * 1_000_003 + number

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

from typing import Final, Literal

LEFT_EAR: Final = 0
RIGHT_EAR: Final = 1
LEFT_SIGN: Final = 1.0
"""Sign of an azimuth, a level difference and a side-to-mid ratio that mean *left*."""

MAX_AZIMUTH_DEG: Final = 90.0
"""Azimuths lie in the frontal half plane, -90 (right) to 90 (left) degrees."""


Side = Literal["left", "center", "right"]

CENTER_DEG: Final = 15.0
"""Azimuths up to this far from straight ahead, this one included, are called the center."""


def side_name(azimuth_deg: float) -> Side:
    """Left, center or right, of an azimuth in degrees."""
    if abs(azimuth_deg) <= CENTER_DEG:
        return "center"
    return "left" if azimuth_deg * LEFT_SIGN > 0 else "right"

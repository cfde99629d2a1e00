"""Loudspeakers of ITU-R BS.2051 and the order in which WAVE files hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tas_core.audio.formats import ChannelLayout

LFE: Final = "LFE1"

_SPEAKERS: Final = {
    "M+030": (0x1, 30.0, 0.0),
    "M-030": (0x2, -30.0, 0.0),
    "M+000": (0x4, 0.0, 0.0),
    LFE: (0x8, 0.0, 0.0),
    "M+110": (0x10, 110.0, 0.0),
    "M-110": (0x20, -110.0, 0.0),
    "M+135": (0x10, 135.0, 0.0),
    "M-135": (0x20, -135.0, 0.0),
    "M+090": (0x200, 90.0, 0.0),
    "M-090": (0x400, -90.0, 0.0),
    "U+030": (0x1000, 30.0, 30.0),
    "U-030": (0x4000, -30.0, 30.0),
    "U+045": (0x1000, 45.0, 30.0),
    "U-045": (0x4000, -45.0, 30.0),
    "U+110": (0x8000, 110.0, 30.0),
    "U-110": (0x20000, -110.0, 30.0),
    "U+135": (0x8000, 135.0, 30.0),
    "U-135": (0x20000, -135.0, 30.0),
}
"""By the labels of BS.2051: bit of the channel mask of WAVE_FORMAT_EXTENSIBLE, azimuth and elevation in degrees."""

_SIDE_WEIGHT: Final = 1.41
_SIDE_DEG: Final = (60.0, 120.0)
"""Azimuths at which a channel counts more in the loudness (BS.1770-4, Table 4), below 30 degrees of elevation."""


@dataclass(frozen=True)
class SpeakerLayout:
    """Loudspeakers in the order of the channels of a file.

    Args:
        name: as people call it.
        itu_name: of the sound system in BS.2051: loudspeakers above, at ear height and below.
        labels: of the loudspeakers in BS.2051, in the order of the bits of their mask.
    """

    name: str
    itu_name: str
    labels: tuple[str, ...]

    @property
    def places_deg(self) -> tuple[tuple[float, float] | None, ...]:
        """Azimuth and elevation of each; None of that for low frequencies, where nothing is placed."""
        return tuple(None if label == LFE else _SPEAKERS[label][1:] for label in self.labels)

    @property
    def channels(self) -> ChannelLayout:
        """What a file says of them, and how they count in the loudness."""
        masks = [_SPEAKERS[label][0] for label in self.labels]
        return ChannelLayout(sum(masks), tuple(map(_weight, self.labels)))


def _weight(label: str) -> float:
    _, azimuth_deg, elevation_deg = _SPEAKERS[label]
    if label == LFE:
        return 0.0
    is_side = _SIDE_DEG[0] <= abs(azimuth_deg) <= _SIDE_DEG[1] and elevation_deg < 30
    return _SIDE_WEIGHT if is_side else 1.0


_FRONT: Final = ("M+030", "M-030", "M+000", LFE)
LAYOUTS: Final = {
    layout.name: layout
    for layout in (
        SpeakerLayout("5.1", "0+5+0", (*_FRONT, "M+110", "M-110")),
        SpeakerLayout("5.1.4", "4+5+0", (*_FRONT, "M+110", "M-110", "U+030", "U-030", "U+110", "U-110")),
        SpeakerLayout(
            "7.1.4",
            "4+7+0",
            (*_FRONT, "M+135", "M-135", "M+090", "M-090", "U+045", "U-045", "U+135", "U-135"),
        ),
    )
}

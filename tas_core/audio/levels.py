"""How loud a sound is and how far it goes, measured together while it comes in block by block."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from tas_core.audio.loudness import LoudnessMeter
from tas_core.audio.resampling import to_mono
from tas_core.audio.true_peak import PeakMeter

_BLOCK_FRAMES: Final = 2**18


@dataclass(frozen=True)
class MeasuredLevels:
    """What was measured of the levels of a sound.

    Attributes:
        loudness_lufs: integrated loudness, as it is played, in both ears; None if too short or too quiet.
        true_peak_dbtp: over all channels; None for digital silence.
        clipped: samples at full scale next to another one, over all channels.
    """

    loudness_lufs: float | None
    true_peak_dbtp: float | None
    clipped: int


class LevelMeter:
    """Loudness, true peak and clipped samples of a sound that comes in blocks.

    Args:
        sample_rate_hz: 8000 to 192000.
        num_channels: channels of the sound.
        mix_down: whether the loudness is that of the mean of the channels, played in both ears.
    """

    def __init__(self, sample_rate_hz: int, num_channels: int, *, mix_down: bool = False) -> None:
        self._loudness = LoudnessMeter(sample_rate_hz, 2 if mix_down else num_channels)
        self._peaks = PeakMeter(sample_rate_hz, num_channels)
        self._mix_down = mix_down

    def add(self, samples: np.ndarray) -> None:
        """Take in the next samples, (channel, time), 1.0 is full scale."""
        self._peaks.add(samples)
        self._loudness.add(np.stack([to_mono(samples)] * 2) if self._mix_down else samples)

    def levels(self) -> MeasuredLevels:
        """Levels of all that was added, once nothing more is."""
        loudness_lufs = self._loudness.integrated_lufs()
        known = loudness_lufs if math.isfinite(loudness_lufs) else None
        return MeasuredLevels(known, self._peaks.true_peak_dbtp, self._peaks.clipped)


def levels_of(samples: np.ndarray, sample_rate_hz: int) -> MeasuredLevels:
    """Levels of a whole sound, (channel, time), 1.0 is full scale."""
    meter = LevelMeter(sample_rate_hz, len(samples))
    for start in range(0, samples.shape[-1], _BLOCK_FRAMES):
        meter.add(samples[:, start : start + _BLOCK_FRAMES])
    return meter.levels()

"""The direction filter G(azimuth, freq): what turns a mid signal into the side signal of a place.

A table over azimuths 0, 5 .. 90 degrees, interpolated linearly, continued to the right as an odd
function and zero in front. So a mirrored azimuth gives exactly the mirrored filter, and a centred object no
side signal. The table is the measured head's ratio (see :mod:`tas_core.geometry`) and stays so: trained on rooms it
would shrink towards what is left of a direction after reverberation, and be wrong for dry sound. How much of a
sound is direct is for the network to see (``Separation.directness``).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tas_core.geometry import direction_ratio
from tas_core.types import MAX_AZIMUTH_DEG

_STEP_DEG = 5.0


class DirectionFilter(nn.Module):
    """G(azimuth, freq), odd in azimuth by construction; without parameters."""

    def __init__(self, n_fft: int, sample_rate_hz: int) -> None:
        super().__init__()
        freqs_hz = np.arange(n_fft // 2 + 1) * sample_rate_hz / n_fft
        azimuth_deg = np.arange(_STEP_DEG, MAX_AZIMUTH_DEG + 1, _STEP_DEG)
        ratio = torch.from_numpy(direction_ratio(azimuth_deg, freqs_hz))
        self.table: Tensor
        self.register_buffer("table", torch.view_as_real(ratio).float())

    def forward(self, azimuth_deg: Tensor) -> Tensor:
        """Complex filters (..., freq) for azimuths (...) in -90..90 degrees."""
        table = torch.view_as_complex(self.table)
        table = torch.cat([torch.zeros_like(table[:1]), table])
        position = azimuth_deg.abs().clamp(max=MAX_AZIMUTH_DEG) / _STEP_DEG
        low = position.floor().clamp(max=len(table) - 2)
        weight = (position - low)[..., None]
        low = low.long()
        return torch.sign(azimuth_deg)[..., None] * (table[low] * (1 - weight) + table[low + 1] * weight)

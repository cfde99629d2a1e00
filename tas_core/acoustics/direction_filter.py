"""The direction filter G(azimuth, freq): what turns a mid signal into the side signal of a place.

A table over azimuths 0, 5 .. 90 degrees, interpolated linearly, continued to the right as an odd
function and zero in front. So a mirrored azimuth gives exactly the mirrored filter, and a centred object no
side signal. The table is the measured head's ratio (see :mod:`tas_core.acoustics.hrtf`) and stays so: trained on
rooms it would shrink towards what is left of a direction after reverberation, and be wrong for dry sound. How much of a
sound is direct is for the network to see (``Separation.directness``).

:class:`PersonalDirectionFilter` has a table for both sides, of a head that need not be symmetric; it takes the place of
a model's own, which is that of a symmetric head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tas_core.acoustics.hrtf import HrirSet
from tas_core.acoustics.placing import STEP_DEG, ratio_table
from tas_core.conventions import MAX_AZIMUTH_DEG


class DirectionFilter(nn.Module):
    """G(azimuth, freq), odd in azimuth by construction; without parameters."""

    def __init__(self, n_fft: int, sample_rate_hz: int) -> None:
        super().__init__()
        self.table: Tensor
        self.register_buffer("table", _ratios(n_fft, sample_rate_hz))

    def forward(self, azimuth_deg: Tensor) -> Tensor:
        """Complex filters (..., freq) for azimuths (...) in -90..90 degrees."""
        table = torch.view_as_complex(self.table)
        table = torch.cat([torch.zeros_like(table[:1]), table])
        position = azimuth_deg.abs().clamp(max=MAX_AZIMUTH_DEG) / STEP_DEG
        return torch.sign(azimuth_deg)[..., None] * _between(table, position)


class PersonalDirectionFilter(nn.Module):
    """G(azimuth, freq) of one person's head: left, front and right as they were measured.

    A real head is not symmetric, so the filter is odd in azimuth only as far as the head is, and in front it is what
    was measured there. :func:`tas_core.acoustics.fidelity.head_fidelity` says by how much.

    Args:
        n_fft: length of the model's transform, samples.
        sample_rate_hz: of the model.
        head: the head.
    """

    def __init__(self, n_fft: int, sample_rate_hz: int, head: HrirSet) -> None:
        super().__init__()
        self.table: Tensor
        self.register_buffer("table", _ratios(n_fft, sample_rate_hz, head))

    def forward(self, azimuth_deg: Tensor) -> Tensor:
        """Complex filters (..., freq) for azimuths (...) in -90..90 degrees."""
        position = (azimuth_deg.clamp(-MAX_AZIMUTH_DEG, MAX_AZIMUTH_DEG) + MAX_AZIMUTH_DEG) / STEP_DEG
        return _between(torch.view_as_complex(self.table), position)


def _ratios(n_fft: int, sample_rate_hz: int, head: HrirSet | None = None) -> Tensor:
    """Table (azimuth, freq, real and imaginary part) float32."""
    return torch.view_as_real(torch.from_numpy(ratio_table(n_fft, sample_rate_hz, head))).float()


def _between(table: Tensor, position: Tensor) -> Tensor:
    """Rows (..., freq) of a table (row, freq) at positions (...) between its rows."""
    low = position.floor().clamp(max=len(table) - 2)
    weight = (position - low)[..., None]
    low = low.long()
    return table[low] * (1 - weight) + table[low + 1] * weight

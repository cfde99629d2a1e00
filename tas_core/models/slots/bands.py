"""Splitting a spectrogram into bands of equal importance, and joining them again.

Low bands are two bins wide, high ones 32: roughly the resolution of hearing, and the same number of
features for each. Weights are per band.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

BAND_GROUPS: tuple[tuple[int, int], ...] = ((16, 2), (8, 4), (8, 8), (8, 16), (8, 32))
"""(number of bands, bins per band), from low to high; for 512 bins of 15.6 Hz."""


def band_count(groups: tuple[tuple[int, int], ...] = BAND_GROUPS) -> int:
    """Number of bands."""
    return sum(n for n, _ in groups)


def bin_count(groups: tuple[tuple[int, int], ...] = BAND_GROUPS) -> int:
    """Number of bins that the bands cover."""
    return sum(n * width for n, width in groups)


def band_sums(x: Tensor, groups: tuple[tuple[int, int], ...] = BAND_GROUPS) -> Tensor:
    """Sums over the bins of each band: (..., freq) -> (..., band); bins beyond the last band are ignored."""
    start, out = 0, []
    for bands, width in groups:
        out.append(x[..., start : start + bands * width].unflatten(-1, (bands, width)).sum(dim=-1))
        start += bands * width
    return torch.cat(out, dim=-1)


class _PerBand(nn.Module):
    """One linear map per band of a group: (..., band, in) -> (..., band, out)."""

    def __init__(self, bands: int, size_in: int, size_out: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(size_in)
        self.weight = nn.Parameter(torch.empty(bands, size_in, size_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(bands, 1, size_out))

    def forward(self, x: Tensor) -> Tensor:
        """(rows, band, in) -> (rows, band, out)."""
        return torch.baddbmm(self.bias, x.transpose(0, 1), self.weight).transpose(0, 1)


class BandSplit(nn.Module):
    """Features per bin to features per band: (batch, freq, frame, feature) -> (batch, band, frame, channel)."""

    def __init__(self, features: int, channels: int, groups: tuple[tuple[int, int], ...] = BAND_GROUPS) -> None:
        super().__init__()
        self.groups = groups
        self.maps = nn.ModuleList(_PerBand(n, width * features, channels) for n, width in groups)

    def forward(self, x: Tensor) -> Tensor:
        """Features beyond the last band are ignored."""
        batch, _, frames, features = x.shape
        start, out = 0, []
        for (bands, width), each in zip(self.groups, self.maps, strict=True):
            part = x[:, start : start + bands * width].reshape(batch, bands, width, frames, features)
            part = part.permute(0, 3, 1, 2, 4).reshape(batch * frames, bands, width * features)
            out.append(each(part).reshape(batch, frames, bands, -1))
            start += bands * width
        return torch.cat(out, dim=2).transpose(1, 2)


class BandMerge(nn.Module):
    """Features per band to features per bin: (batch, band, frame, channel) -> (batch, frame, freq, feature)."""

    def __init__(self, channels: int, features: int, groups: tuple[tuple[int, int], ...] = BAND_GROUPS) -> None:
        super().__init__()
        self.groups = groups
        self.features = features
        self.maps = nn.ModuleList(_PerBand(n, channels, width * features) for n, width in groups)

    def forward(self, x: Tensor) -> Tensor:
        """One feature vector per bin that the bands cover."""
        batch, _, frames, channels = x.shape
        start, out = 0, []
        for (bands, width), each in zip(self.groups, self.maps, strict=True):
            part = x[:, start : start + bands].transpose(1, 2).reshape(batch * frames, bands, channels)
            out.append(each(part).reshape(batch, frames, bands * width, self.features))
            start += bands
        return torch.cat(out, dim=2)

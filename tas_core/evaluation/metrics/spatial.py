"""Interaural cues of an output against those of the truth: coherence, level difference, time difference.

**Tiles.** Both ears are cut into Hann windows of 50 ms every 25 ms (the last one padded with zeros), transformed at
twice that length, and the bins gathered into bands one equivalent rectangular bandwidth wide: bin f is in band
floor(21.4 log10(1 + 0.00437 f)) (Glasberg and Moore, 1990), from number 2 (55 Hz) up. In a tile, with
sums over its bins,

    P_L = sum |L|^2    P_R = sum |R|^2    X = sum L conj(R)    E = P_L + P_R
    coherence = max over |t| <= 1 ms, every 20 us, of  Re sum L conj(R) exp(-2 pi i f t) / sqrt(P_L P_R)
    level difference = 10 log10[(P_L + 1e-4 E) / (P_R + 1e-4 E)]   (at most 40 dB)

which is the normalised cross-correlation at its best lag (Faller and Merimaa, 2004). The three errors are means over
tiles, weighted by the truth's E. A band B hertz wide has some 0.05 B independent samples in 50 ms, so even independent
ears have a coherence well above zero in the lowest bands; compare figures, do not read them as absolute.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tas_core.conventions import LEFT_EAR, RIGHT_EAR, power_to_db
from tas_core.evaluation.metrics.checks import Signal, check_ears, check_pair

_WINDOW_S = 0.05
_FIRST_BAND = 2
_LARGEST_LAG_S = 1e-3
_LAG_STEP_S = 2e-5
_LEVEL_FLOOR = 1e-4
_PHASE_LIMIT_HZ = 1500.0


@dataclass(frozen=True)
class _Tiles:
    """Spectra (..., ear, window, bin) with ``bins_hz`` (bin), and the slice of bins of each band."""

    spectra: Tensor
    bins_hz: Tensor
    bands: tuple[slice, ...]

    def power(self) -> Tensor:
        """P_L and P_R, (..., ear, band, window)."""
        power = self.spectra.real.square() + self.spectra.imag.square()
        return torch.stack([power[..., b].sum(dim=-1) for b in self.bands], dim=-2)

    def cross(self) -> Tensor:
        """L conj(R) of every bin, (..., window, bin)."""
        return self.spectra[..., LEFT_EAR, :, :] * self.spectra[..., RIGHT_EAR, :, :].conj()


def interaural_coherence(ears: Signal, sample_rate_hz: int, *, window_s: float = _WINDOW_S) -> Tensor:
    """Interaural coherence per tile, (..., band, window), -1 to 1; what a tile is: see the module.

    Args:
        ears: (..., ear, time).
        sample_rate_hz: at least 4000.
        window_s: length of a tile; the hop is half of it.

    Returns:
        1 for equal (or merely delayed) ears; 0 where one ear is silent, nan where both are.

    Raises:
        ValueError: not two ears, no samples, non-finite samples, or too low a rate.
    """
    return _coherence(_tiles(check_ears(ears, "ears"), sample_rate_hz, window_s))


def ic_error(output: Signal, truth: Signal, sample_rate_hz: int) -> Tensor:
    """Mean absolute difference of interaural coherence (...), 0 to 2, weighted by the truth's energy per tile.

    Args:
        output: (..., ear, time).
        truth: the same shape.
        sample_rate_hz: at least 4000.

    Returns:
        Tiles in which only the output is silent count with coherence 0; nan where the truth is silent throughout.

    Raises:
        ValueError: unequal shapes, not two ears, no samples, non-finite samples, or too low a rate.
    """
    ours, theirs = _tile_pair(output, truth, sample_rate_hz)
    apart = (_coherence(ours).nan_to_num(0.0) - _coherence(theirs).nan_to_num(0.0)).abs()
    return _weighted(apart, theirs.power().sum(dim=-3))


def ild_error_db(output: Signal, truth: Signal, sample_rate_hz: int) -> Tensor:
    """Mean absolute difference of the interaural level difference (...), dB, 0 to 80, energy-weighted.

    Level differences stop at +-40 dB, and a tile in which the output is silent has 0 dB.
    Shapes, silence of the truth, errors: :func:`ic_error`.
    """
    ours, theirs = _tile_pair(output, truth, sample_rate_hz)
    return _weighted((_level_db(ours) - _level_db(theirs)).abs(), theirs.power().sum(dim=-3))


def itd_error_us(output: Signal, truth: Signal, sample_rate_hz: int) -> Tensor:
    """Mean absolute difference of the interaural time difference (...), microseconds, 0 to 1000, energy-weighted.

    Of bands that end below 1.5 kHz, where hearing follows the fine structure. Per tile it is the wrapped angle between
    the two signals' X over 2 pi f, f the centre of gravity of the truth's E in the band, and at most 1 ms, as no
    head gives more. Where X of the output is zero its phase counts as 0.
    Shapes, silence of the truth, errors: :func:`ic_error`.
    """
    ours, theirs = _tile_pair(output, truth, sample_rate_hz)
    power = (theirs.spectra.real.square() + theirs.spectra.imag.square()).sum(dim=-3)
    cross, true_cross = ours.cross(), theirs.cross()
    errors, weights = [], []
    for band in theirs.bands:
        if float(theirs.bins_hz[band][-1]) >= _PHASE_LIMIT_HZ:
            break
        energy = power[..., band].sum(dim=-1)
        centre_hz = (power[..., band] * theirs.bins_hz[band]).sum(dim=-1) / energy.clamp_min(1e-30)
        first, second = cross[..., band].sum(dim=-1), true_cross[..., band].sum(dim=-1)
        angle = _phase(first) - _phase(second)
        wrapped = math.pi - ((angle.abs()) - math.pi).abs()
        errors.append((wrapped / (2 * math.pi * centre_hz.clamp_min(1.0))).clamp_max(_LARGEST_LAG_S))
        weights.append(energy)
    return 1e6 * _weighted(torch.stack(errors, dim=-2), torch.stack(weights, dim=-2))


def _tiles(ears: Tensor, sample_rate_hz: int, window_s: float = _WINDOW_S) -> _Tiles:
    if sample_rate_hz < 4000:
        raise ValueError(f"interaural measures need a rate of at least 4000 Hz, got {sample_rate_hz}")
    size = max(2, 2 * round(window_s * sample_rate_hz / 2))
    hop = size // 2
    count = max(1, math.ceil((ears.shape[-1] - size) / hop) + 1)
    padded = torch.nn.functional.pad(ears, (0, (count - 1) * hop + size - ears.shape[-1]))
    window = torch.hann_window(size, dtype=ears.dtype, device=ears.device)
    spectra = torch.fft.rfft(padded.unfold(-1, size, hop) * window, 2 * size)
    bins_hz = torch.arange(size + 1, dtype=ears.dtype) * (sample_rate_hz / (2 * size))
    number = torch.floor(21.4 * torch.log10(1 + 0.00437 * bins_hz)).long()
    bands = []
    for band in range(_FIRST_BAND, int(number[-1]) + 1):
        inside = torch.nonzero(number == band)[:, 0]
        if len(inside):
            bands.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return _Tiles(spectra, bins_hz.to(ears.device), tuple(bands))


def _tile_pair(output: Signal, truth: Signal, sample_rate_hz: int) -> tuple[_Tiles, _Tiles]:
    ours, theirs = check_pair(output, truth)
    return _tiles(ours, sample_rate_hz), _tiles(theirs, sample_rate_hz)


def _coherence(tiles: _Tiles) -> Tensor:
    steps = round(_LARGEST_LAG_S / _LAG_STEP_S)
    lags_s = torch.arange(-steps, steps + 1, dtype=tiles.bins_hz.dtype, device=tiles.bins_hz.device) * _LAG_STEP_S
    cross, power = tiles.cross(), tiles.power()
    found = []
    for band in tiles.bands:
        angle = 2 * math.pi * tiles.bins_hz[band, None] * lags_s
        # Re[X exp(-i angle)], as two real products.
        correlation = cross.real[..., band] @ angle.cos() + cross.imag[..., band] @ angle.sin()
        found.append(correlation.amax(dim=-1))
    best = torch.stack(found, dim=-2)
    left, right = power[..., LEFT_EAR, :, :], power[..., RIGHT_EAR, :, :]
    scale = left.sqrt() * right.sqrt()
    value = torch.where(scale > 0, (best / torch.where(scale > 0, scale, 1.0)).clamp(-1, 1), 0.0)
    return torch.where(left + right > 0, value, torch.nan)


def _level_db(tiles: _Tiles) -> Tensor:
    power = tiles.power()
    left, right = power[..., LEFT_EAR, :, :], power[..., RIGHT_EAR, :, :]
    floor = _LEVEL_FLOOR * (left + right)
    value = power_to_db((left + floor).clamp_min(1e-35) / (right + floor).clamp_min(1e-35))
    return torch.where(left + right > 0, value, 0.0)


def _phase(value: Tensor) -> Tensor:
    return torch.where(value == 0, torch.zeros_like(value.real), value.angle())


def _weighted(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of (..., band, window) under weights; nan where all weights are zero."""
    return (values * weights).sum(dim=(-2, -1)) / weights.sum(dim=(-2, -1))

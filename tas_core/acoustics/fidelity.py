"""Fidelity of rendered ears to the measured head that they are rendered with.

The program keeps (L + R) / 2 = x. A source s that a head hears as H_L s and H_R s comes out as

    L = 2 H_L / (H_L + H_R) s        R = 2 H_R / (H_L + H_R) s,

with the interaural differences of the head and another colour, the same in both ears. Three things are lost beside:
what the limit of :func:`tas_core.acoustics.hrtf.direction_ratio` cuts off, what lies between the steps of the table,
and, above the model's band, phase.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from tas_core.acoustics.direction_filter import PersonalDirectionFilter
from tas_core.acoustics.hrtf import HrirSet, level_panning
from tas_core.conventions import LEFT_EAR, MAX_AZIMUTH_DEG, RIGHT_EAR, power_to_db

LOWEST_HZ: Final = 200.0
HIGHEST_HZ: Final = 16000.0
_STEP_DEG = 2.5
_FFT = 4096
_NO_DIFFERENCE_DB = -120.0


@dataclass(frozen=True)
class HeadFidelity:
    """Deviations of the ears made from the head's own, root mean squares in dB.

    Levels in third octaves from 200 Hz to 16 kHz, directions every 2.5 degrees from -90 to 90, both ears.

    Attributes:
        ear_deviation_db: of the ears' levels, one gain for all of them left out.
        directional_deviation_db: the same without what all directions have in common (which a headphone's
            diffuse-field equalisation does not want in either).
        level_difference_error_db: of the level difference between the ears.
        asymmetry_db: level of G(a) + G(-a) over that of G(a) in the model's band: how far mirrored prompts are from
            mirrored ears; -120 or less means not at all.
        front_db: level of the side signal of a sound in front over that of mid, in the model's band; -120 or less
            for a symmetric head.
    """

    ear_deviation_db: float
    directional_deviation_db: float
    level_difference_error_db: float
    asymmetry_db: float
    front_db: float


def head_fidelity(head: HrirSet, n_fft: int = 1024, sample_rate_hz: int = 16000) -> HeadFidelity:
    """Deviations of what a model with this transform renders from the head itself.

    Args:
        head: the head.
        n_fft: length of the model's transform, samples.
        sample_rate_hz: of the model.
    """
    azimuth_deg = np.arange(-MAX_AZIMUTH_DEG, MAX_AZIMUTH_DEG + 1, _STEP_DEG)
    with torch.no_grad():
        own = PersonalDirectionFilter(n_fft, sample_rate_hz, head)(torch.from_numpy(azimuth_deg).float())
    ratio = own.numpy().astype(complex)
    freqs_hz = np.arange(n_fft // 2 + 1) * sample_rate_hz / n_fft
    end_hz = sample_rate_hz / 2
    above_hz = np.arange(end_hz, HIGHEST_HZ * 2 ** (1 / 6), head.sample_rate_hz / _FFT)
    above_hz = above_hz[above_hz < head.sample_rate_hz / 2]
    grid_hz = np.concatenate([freqs_hz[:-1], above_hz])
    panned = level_panning(azimuth_deg, above_hz, head=head)
    factor = np.concatenate([ratio[:, :-1], panned], axis=1)
    ours = np.empty((2, *factor.shape))
    ours[LEFT_EAR], ours[RIGHT_EAR] = np.abs(1 + factor) ** 2, np.abs(1 - factor) ** 2
    truth = np.abs(head.horizontal(azimuth_deg, grid_hz)).transpose(1, 0, 2) ** 2
    # Bins below and above the end of the band are not equally far apart.
    spacing_hz = np.where(grid_hz < end_hz, sample_rate_hz / n_fft, head.sample_rate_hz / _FFT)
    deviation = _third_octaves_db(ours * spacing_hz, grid_hz) - _third_octaves_db(truth * spacing_hz, grid_hz)
    deviation -= deviation.mean()
    in_band = freqs_hz >= LOWEST_HZ
    middle = len(azimuth_deg) // 2
    return HeadFidelity(
        _rms(deviation),
        _rms(deviation - deviation.mean(axis=(0, 1))),
        _rms(deviation[LEFT_EAR] - deviation[RIGHT_EAR]),
        _level_db((ratio + ratio[::-1])[:, in_band], ratio[:, in_band]),
        _level_db(ratio[middle, in_band], np.ones(int(in_band.sum()))),
    )


def _third_octaves_db(power: np.ndarray, freqs_hz: np.ndarray) -> np.ndarray:
    """Levels (..., band) of powers (..., freq)."""
    count = math.floor(3 * math.log2(min(HIGHEST_HZ, freqs_hz[-1]) / LOWEST_HZ)) + 1
    centres = LOWEST_HZ * 2 ** (np.arange(count) / 3)
    bands = [power[..., (freqs_hz >= c / 2 ** (1 / 6)) & (freqs_hz < c * 2 ** (1 / 6))].sum(axis=-1) for c in centres]
    return power_to_db(np.stack(bands, axis=-1) + 1e-20)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


def _level_db(signal: np.ndarray, reference: np.ndarray) -> float:
    power = np.square(np.abs(signal)).sum() / np.square(np.abs(reference)).sum()
    return float(max(_NO_DIFFERENCE_DB, power_to_db(power + 1e-30)))

"""Directions and the head: measured head-related impulse responses (HRIRs) and what follows from them.

Azimuth convention: see :mod:`tas_core.conventions` (0 is front, positive is left). The HRIRs are
Gardner and Martin's measurements of a KEMAR dummy head (MIT Media Lab, 1994).

**Direction ratio.** A source s at azimuth a reaches the ears as L = H_L s and R = H_R s, so

    side = L - R = [(H_L - H_R) / (H_L + H_R)] (L + R) = G(a, f) mid.

G is zero in front, and odd in a for a symmetric head. It is what a mono signal has to be multiplied with
to get the side signal that puts it at azimuth a and keeps L + R as it was.

**Level panning** is the same for levels alone, p = (|H_L| - |H_R|) / (|H_L| + |H_R|), real and between -1 and 1: what
is used above the band in which phases between the ears say anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from safetensors import safe_open

from tas_core.conventions import LEFT_EAR, RIGHT_EAR

SPEED_OF_SOUND_M_S = 343.0
_LOWEST_MEASURED_HZ = 200.0
_FINE_FFT = 2048
_HIGHEST_HZ = 20000.0
_HIGHEST_FRACTION = 0.45
"""Above 20 kHz, and above 0.45 of its rate, a measurement is that of a filter."""


@dataclass(frozen=True, eq=False)
class HrirSet:
    """Head-related impulse responses; two are the same if they are one object, so that results can be kept by them.

    ``hrir`` float64 (direction, ear, tap); ``azimuth_deg`` (direction) in -180..180, positive left;
    ``elevation_deg`` (direction), positive up.
    """

    hrir: np.ndarray
    azimuth_deg: np.ndarray
    elevation_deg: np.ndarray
    sample_rate_hz: int

    def unit_vectors(self) -> np.ndarray:
        """Directions as vectors (direction, xyz): x front, y left, z up."""
        return direction_vectors(self.azimuth_deg, self.elevation_deg)

    @cached_property
    def _horizontal_grid(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Measured azimuths with a neighbour on each end, their rows, frequencies, log magnitude and phase."""
        flat = np.abs(self.elevation_deg) < 0.5
        order = np.argsort(self.azimuth_deg[flat])
        grid_deg = self.azimuth_deg[flat][order]
        # Phase is unwrapped on a fine grid that starts at 0 Hz, then read off at the wanted frequencies.
        # Unwrapping needs less than half a turn from bin to bin, whatever the delay in the response.
        size = max(_FINE_FFT, 4 << (self.hrir.shape[-1] - 1).bit_length())
        fine_hz = np.fft.rfftfreq(size, 1 / self.sample_rate_hz)
        spectrum = np.fft.rfft(self.hrir[flat][order], size)
        log_magnitude = np.log(np.maximum(np.abs(spectrum), 1e-6))
        phase = np.unwrap(np.angle(spectrum), axis=-1)
        # Below 200 Hz the measurement's loudspeaker was mute: there a head is a pure delay.
        low = int(np.searchsorted(fine_hz, _LOWEST_MEASURED_HZ))
        rise = int(np.searchsorted(fine_hz, 4 * _LOWEST_MEASURED_HZ))
        slope = (phase[..., rise] - phase[..., low]) / (fine_hz[rise] - fine_hz[low])
        offset = phase[..., low] - slope * fine_hz[low]
        phase -= (2 * np.pi * np.round(offset / (2 * np.pi)))[..., None]
        phase[..., :low] = phase[..., low : low + 1] * fine_hz[:low] / fine_hz[low]
        log_magnitude[..., :low] = log_magnitude[..., low : low + 1]
        grid_deg = np.concatenate([grid_deg[-1:] - 360.0, grid_deg, grid_deg[:1] + 360.0])
        around = np.r_[len(grid_deg) - 3, np.arange(len(grid_deg) - 2), 0]
        return grid_deg, around, fine_hz, log_magnitude, phase

    def horizontal(self, azimuth_deg: np.ndarray, freqs_hz: np.ndarray) -> np.ndarray:
        """Head-related transfer functions on the horizontal plane, complex128 (azimuth, ear, freq).

        Between measured directions, log magnitude and unwrapped phase are interpolated linearly.

        Args:
            azimuth_deg: (azimuth), -180..180.
            freqs_hz: (freq), 0 to half the sample rate.
        """
        grid_deg, around, fine_hz, log_magnitude, phase = self._horizontal_grid
        wanted = np.asarray(azimuth_deg, float)
        upper = np.clip(np.searchsorted(grid_deg, wanted), 1, len(grid_deg) - 1)
        weight = (wanted - grid_deg[upper - 1]) / (grid_deg[upper] - grid_deg[upper - 1])
        lower_row, upper_row = around[upper - 1], around[upper]
        weight = weight[:, None, None]
        magnitude = (1 - weight) * log_magnitude[lower_row] + weight * log_magnitude[upper_row]
        angle = (1 - weight) * phase[lower_row] + weight * phase[upper_row]
        out = np.empty((len(wanted), 2, len(freqs_hz)), complex)
        for row in range(len(wanted)):
            for ear in range(2):
                m = np.interp(freqs_hz, fine_hz, magnitude[row, ear])
                p = np.interp(freqs_hz, fine_hz, angle[row, ear])
                out[row, ear] = np.exp(m + 1j * p)
        return out


def direction_vectors(azimuth_deg: np.ndarray, elevation_deg: np.ndarray) -> np.ndarray:
    """Unit vectors (..., xyz) with x front, y left, z up."""
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    return np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], axis=-1
    )


@lru_cache(maxsize=1)
def load_kemar() -> HrirSet:
    """The KEMAR dummy head that ships with the package: 710 directions, 256 taps, 44.1 kHz."""
    path = Path(__file__).with_name("kemar.safetensors")
    with safe_open(str(path), "np") as file:
        meta = file.metadata()
        return HrirSet(
            hrir=file.get_tensor("hrir").astype(float) * float(meta["scale"]),
            azimuth_deg=file.get_tensor("azimuth_deg").astype(float),
            elevation_deg=file.get_tensor("elevation_deg").astype(float),
            sample_rate_hz=int(meta["sample_rate_hz"]),
        )


def direction_ratio(
    azimuth_deg: np.ndarray, freqs_hz: np.ndarray, *, head: HrirSet | None = None, limit: float = 3.0
) -> np.ndarray:
    """G = (H_L - H_R) / (H_L + H_R), complex128 (azimuth, freq), of a head, by default KEMAR.

    Where the ears are nearly in antiphase the ratio has poles; its magnitude is therefore compressed
    softly below ``limit``. An ear is 1 + G or 1 - G times the mono input, so with a limit of 3 it gets less than
    4 times as much, 12.04 dB, at any frequency.
    """
    ears = (head or load_kemar()).horizontal(azimuth_deg, freqs_hz)
    total = ears[:, LEFT_EAR] + ears[:, RIGHT_EAR]
    difference = ears[:, LEFT_EAR] - ears[:, RIGHT_EAR]
    ratio = difference / np.where(np.abs(total) < 1e-9, 1e-9, total)
    return ratio / (1.0 + (np.abs(ratio) / limit) ** 4) ** 0.25


def level_panning(azimuth_deg: np.ndarray, freqs_hz: np.ndarray, *, head: HrirSet | None = None) -> np.ndarray:
    """Level panning p = (|H_L| - |H_R|) / (|H_L| + |H_R|), float64 (azimuth, freq), -1..1, of a head, by default KEMAR.

    Above 20 kHz, or 0.45 of the head's sample rate, it stays as it is there.
    """
    head = head or load_kemar()
    highest_hz = min(_HIGHEST_HZ, _HIGHEST_FRACTION * head.sample_rate_hz)
    level = np.abs(head.horizontal(azimuth_deg, np.minimum(freqs_hz, highest_hz)))
    return (level[:, LEFT_EAR] - level[:, RIGHT_EAR]) / level.sum(axis=1)

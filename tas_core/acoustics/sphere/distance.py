"""What distance does to a sound: level, air absorption, and the level difference of a head that is near.

**Level.** Sound pressure of a point source falls as 1 / r. A stem sounds as it is at ``REFERENCE_M``, the distance at
which KEMAR was measured.

**Air** takes away alpha(f) decibels per metre, after ISO 9613-1:1993, equations 3 to 5:

    alpha = 8.686 f^2 { 1.84e-11 (pr / pa) (T / T0)^(1/2) + (T / T0)^(-5/2)
            [ 0.01275 exp(-2239.1 / T) / (frO + f^2 / frO) + 0.1068 exp(-3352 / T) / (frN + f^2 / frN) ] }.

**Near the head** the ear that is turned to a sound gets more, and the other less, than a farther head-related transfer
function says. Both are those of a rigid sphere (Duda and Martens, "Range dependence of the response of a spherical
head model", J. Acoust. Soc. Am. 104, 1998): with the source at r = rho a, the angle t between ear and source, and mu =
2 pi f a / c,

    H(rho, mu, t) = -(rho / mu) exp(-i mu rho) sum_m (2 m + 1) P_m(cos t) h_m(mu rho) / h'_m(mu),

relative to the free field in the middle of the head. What is applied is H(rho) / H(rho of the reference) in minimum
phase, the "distance variation function" of Kan, Jin and van Schaik (J. Acoust. Soc. Am. 125, 2009).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tas_core.acoustics.hrtf import SPEED_OF_SOUND_M_S
from tas_core.acoustics.sphere.minimum_phase import minimum_phase_log
from tas_core.acoustics.sphere.places import HEAD_RADIUS_M
from tas_core.conventions import NEAREST_M, REFERENCE_M

_ORDERS = 160
_DISTANCES = 24
_ANGLE_STEP_DEG = 10.0
_POINTS = 48
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 20_000.0


def air_absorption_db_per_m(
    freqs_hz: np.ndarray, *, temperature_c: float = 20.0, humidity_percent: float = 50.0, pressure_kpa: float = 101.325
) -> np.ndarray:
    """Attenuation of pure tones in air, dB per metre (freq), ISO 9613-1.

    Args:
        freqs_hz: (freq), 0 or more.
        temperature_c: of the air, -20 to 50.
        humidity_percent: relative, 10 to 100.
        pressure_kpa: of the air, up to 200.
    """
    kelvin = temperature_c + 273.15
    pressure, warmth = pressure_kpa / 101.325, kelvin / 293.15
    saturation = 10 ** (-6.8346 * (273.16 / kelvin) ** 1.261 + 4.6151)
    vapour = humidity_percent * saturation / pressure
    oxygen_hz = pressure * (24 + 4.04e4 * vapour * (0.02 + vapour) / (0.391 + vapour))
    nitrogen_hz = pressure * warmth**-0.5 * (9 + 280 * vapour * np.exp(-4.170 * (warmth ** (-1 / 3) - 1)))
    squared = np.square(np.asarray(freqs_hz, float))
    classical = 1.84e-11 / pressure * np.sqrt(warmth)
    oxygen = 0.01275 * np.exp(-2239.1 / kelvin) / (oxygen_hz + squared / oxygen_hz)
    nitrogen = 0.1068 * np.exp(-3352.0 / kelvin) / (nitrogen_hz + squared / nitrogen_hz)
    return 8.686 * squared * (classical + warmth**-2.5 * (oxygen + nitrogen))


def spherical_head_response(distance_m: np.ndarray, cosine: np.ndarray, freqs_hz: np.ndarray) -> np.ndarray:
    """Pressure on a rigid sphere of 8.75 cm over that in its middle without it, complex128 (distance, angle, freq).

    Ratios of spherical Hankel functions h_m / h_(m-1) are found one from the other, which does not overflow:
    r_(m+1)(x) = (2 m + 1) / x - 1 / r_m(x), r_1 = 1 / x - i, and h'_m / h_m = 1 / r_m - (m + 1) / x.

    Args:
        distance_m: of the source from the middle, more than the radius (distance).
        cosine: of the angle between source and ear, as seen from the middle (angle).
        freqs_hz: more than 0 (freq).
    """
    rho = np.asarray(distance_m, float)[:, None] / HEAD_RADIUS_M
    mu = 2 * np.pi * np.asarray(freqs_hz, float)[None] * HEAD_RADIUS_M / SPEED_OF_SOUND_M_S
    near, far = 1 / mu - 1j, 1 / (mu * rho) - 1j
    quotient = np.exp(1j * (mu * rho - mu)) / rho
    before, legendre = np.ones_like(cosine), np.asarray(cosine, float)
    # h'_0 = -h_1.
    total = before[None, :, None] * (-quotient / near)[:, None, :]
    for m in range(1, _ORDERS):
        quotient = quotient * far / near
        slope = 1 / near - (m + 1) / mu
        total = total + legendre[None, :, None] * ((2 * m + 1) * quotient / slope)[:, None, :]
        near, far = (2 * m + 1) / mu - 1 / near, (2 * m + 1) / (mu * rho) - 1 / far
        before, legendre = legendre, ((2 * m + 1) * cosine * legendre - m * before) / (m + 1)
    return -(rho / mu * np.exp(-1j * mu * rho))[:, None, :] * total


class NearField:
    """Log spectra of what nearness adds to a head's ears, by distance and by the angle to the ear.

    Args:
        num_bins: frequencies from 0 to half the rate, both included.
        sample_rate_hz: of the sound.
    """

    def __init__(self, num_bins: int, sample_rate_hz: int) -> None:
        # Smooth curves over the logarithm of the frequency, known by few points and even below and above them.
        octaves = np.linspace(np.log(_LOWEST_HZ), np.log(_HIGHEST_HZ), _POINTS)
        self._log_step = np.log(REFERENCE_M / NEAREST_M) / (_DISTANCES - 1)
        distance_m = NEAREST_M * np.exp(self._log_step * np.arange(_DISTANCES))
        angle_deg = np.arange(0, 180 + _ANGLE_STEP_DEG, _ANGLE_STEP_DEG)
        response = np.abs(spherical_head_response(distance_m, np.cos(np.radians(angle_deg)), np.exp(octaves)))
        log_gain = np.log(response / response[-1:])
        freqs_hz = np.clip(np.linspace(0, sample_rate_hz / 2, num_bins), _LOWEST_HZ, _HIGHEST_HZ)
        position = np.log(freqs_hz / _LOWEST_HZ) / (octaves[1] - octaves[0])
        lower = np.minimum(position.astype(int), _POINTS - 2)
        part = position - lower
        fine = (1 - part) * log_gain[..., lower] + part * log_gain[..., lower + 1]
        self._table = minimum_phase_log(fine).astype(np.complex64)

    def log_response(self, direction: np.ndarray, distance_m: np.ndarray) -> np.ndarray:
        """Complex log spectra (place, ear, freq) to add to those of the head; 0 from the reference distance on.

        Args:
            direction: unit vectors (place, xyz).
            distance_m: (place).
        """
        near = np.log(np.maximum(distance_m, NEAREST_M) / NEAREST_M) / self._log_step
        row = np.minimum(near.astype(int), _DISTANCES - 2)
        down = np.minimum(near - row, 1.0)[:, None, None]
        # The ears lie on the y axis, left and right.
        lateral = np.clip(np.stack([direction[:, 1], -direction[:, 1]], axis=1), -1, 1)
        angle = np.degrees(np.arccos(lateral)) / _ANGLE_STEP_DEG
        column = np.minimum(angle.astype(int), self._table.shape[1] - 2)
        across = (angle - column)[..., None].astype(np.float32)
        down = np.where(near[:, None, None] >= _DISTANCES - 1, 1.0, down).astype(np.float32)
        row = row[:, None]
        table = self._table
        upper = (1 - across) * table[row, column] + across * table[row, column + 1]
        lower = (1 - across) * table[row + 1, column] + across * table[row + 1, column + 1]
        return (1 - down) * upper + down * lower


@lru_cache(maxsize=4)
def near_field(num_bins: int, sample_rate_hz: int) -> NearField:
    """The table of a rate, made once."""
    return NearField(num_bins, sample_rate_hz)


@lru_cache(maxsize=4)
def air_log_response(num_bins: int, sample_rate_hz: int) -> np.ndarray:
    """Complex log spectrum (freq) of one metre of air, in minimum phase."""
    attenuation_db = air_absorption_db_per_m(np.linspace(0, sample_rate_hz / 2, num_bins))
    return minimum_phase_log(-attenuation_db * np.log(10) / 20)

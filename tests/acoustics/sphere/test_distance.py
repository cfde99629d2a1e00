"""Air after the standard's table, and nearness after the series of Duda and Martens, summed by another library."""

from __future__ import annotations

import numpy as np
import pytest

from tas_core.acoustics.hrtf import direction_vectors
from tas_core.acoustics.sphere.distance import (
    REFERENCE_M,
    air_absorption_db_per_m,
    air_log_response,
    near_field,
    spherical_head_response,
)


@pytest.mark.parametrize(
    ("temperature_c", "humidity_percent", "db_per_km"),
    [
        # ISO 9613-2:1996, table 2, which rounds to a tenth.
        (10, 70, {125: 0.4, 250: 1.0, 500: 1.9, 1000: 3.7, 2000: 9.7, 4000: 32.8, 8000: 117.0}),
        (20, 70, {125: 0.3, 250: 1.1, 500: 2.8, 1000: 5.0, 2000: 9.0, 4000: 22.9, 8000: 76.6}),
    ],
)
def test_air_takes_what_the_standard_says(
    temperature_c: float, humidity_percent: float, db_per_km: dict[int, float]
) -> None:
    # Octaves by their exact frequencies, 10^(3 k / 10).
    exact_hz = 10 ** (np.round(10 * np.log10(list(db_per_km))) / 10)
    found = 1000 * air_absorption_db_per_m(exact_hz, temperature_c=temperature_c, humidity_percent=humidity_percent)
    np.testing.assert_allclose(found, list(db_per_km.values()), rtol=0.01, atol=0.055)


def test_a_metre_of_air_is_its_attenuation_in_minimum_phase() -> None:
    found = air_log_response(257, 48000)
    freqs_hz = np.linspace(0, 24000, 257)
    np.testing.assert_allclose(found.real * 20 / np.log(10), -air_absorption_db_per_m(freqs_hz), atol=1e-9)
    # Nothing comes before its time: the response of 100 m is all in the first half.
    response = np.fft.irfft(np.exp(100 * found))
    assert np.square(response[256:]).sum() < 1e-6 * np.square(response).sum()


def test_pressure_on_the_sphere_is_that_of_the_series() -> None:
    """By scipy's spherical Bessel functions, where those do not overflow."""
    special = pytest.importorskip("scipy.special")
    distance_m, cosine = np.array([0.12, 0.3, 1.4]), np.array([1.0, 0.4, -0.3, -1.0])
    freqs_hz = np.array([800.0, 5000.0])
    found = spherical_head_response(distance_m, cosine, freqs_hz)
    orders = np.arange(60)
    for i, j, k in np.ndindex(found.shape):
        mu, rho = 2 * np.pi * freqs_hz[k] * 0.0875 / 343, distance_m[i] / 0.0875

        def hankel(x: float, derivative: bool = False) -> np.ndarray:
            return special.spherical_jn(orders, x, derivative) + 1j * special.spherical_yn(orders, x, derivative)

        with np.errstate(all="ignore"):
            terms = (2 * orders + 1) * special.eval_legendre(orders, cosine[j]) * hankel(mu * rho) / hankel(mu, True)
        expected = -rho / mu * np.exp(-1j * mu * rho) * np.nansum(terms)
        assert abs(found[i, j, k] - expected) < 2e-3 * abs(expected)


def test_far_away_and_low_the_sphere_is_not_there_and_high_it_is_a_wall() -> None:
    far = np.abs(spherical_head_response(np.array([20.0]), np.array([1.0, 0.0, -1.0]), np.array([20.0, 15000.0])))[0]
    np.testing.assert_allclose(far[:, 0], 1, atol=0.05)
    assert far[0, 1] == pytest.approx(2, rel=0.03)  # pressure doubles at a wall


def test_nearness_grows_the_level_difference_at_low_frequencies() -> None:
    """Of a source at the side, where a farther one has next to none; what Duda and Martens found."""
    near = near_field(257, 48000)
    direction = direction_vectors(np.full(4, 90.0), np.zeros(4))
    found = near.log_response(direction, np.array([0.125, 0.25, 0.5, REFERENCE_M])).real * 20 / np.log(10)
    bin_500 = round(500 / 24000 * 256)
    difference_db = found[:, 0, bin_500] - found[:, 1, bin_500]
    assert (np.diff(difference_db) < 0).all()
    assert difference_db[-1] == 0
    assert difference_db[0] > 14
    # One by one the formula, as the table has it between its points.
    for row, distance_m in enumerate((0.125, 0.25, 0.5)):
        both = np.array([distance_m, REFERENCE_M])
        exact = np.abs(spherical_head_response(both, np.array([1.0, -1.0]), np.array([500.0])))
        expected = 20 * np.log10(exact[0] / exact[1])[:, 0]
        np.testing.assert_allclose(found[row, :, bin_500], expected, atol=0.3)


def test_from_the_reference_on_nearness_adds_nothing() -> None:
    near = near_field(257, 48000)
    direction = direction_vectors(np.array([30.0, 90.0]), np.zeros(2))
    np.testing.assert_array_equal(near.log_response(direction, np.array([REFERENCE_M, 50.0])), 0)
    # And there is no step on the way there.
    close = near.log_response(direction, np.array([REFERENCE_M * 0.9999, REFERENCE_M * 0.9999]))
    assert np.abs(close).max() < 1e-3


def test_mirrored_places_have_mirrored_nearness() -> None:
    near = near_field(257, 48000)
    left = near.log_response(direction_vectors(np.array([35.0]), np.array([20.0])), np.array([0.3]))
    right = near.log_response(direction_vectors(np.array([-35.0]), np.array([20.0])), np.array([0.3]))
    np.testing.assert_array_equal(left, right[:, ::-1])

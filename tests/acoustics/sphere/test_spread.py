"""Width: energy is kept, ears grow unlike each other, and the fold to mono stays whole."""

from __future__ import annotations

import numpy as np
import pytest

from tas_core.acoustics.sphere.places import PlaceCurve
from tas_core.acoustics.sphere.renderer import SphereRenderer
from tas_core.acoustics.sphere.spread import decorrelator

RATE_HZ = 16_000
SPREADS = (0.0, 0.25, 0.5, 0.75, 1.0)


@pytest.fixture(scope="module")
def rendered() -> dict[tuple[float, float], np.ndarray]:
    """Impulse responses (ear, time) by azimuth and spread."""
    renderer = SphereRenderer(None, RATE_HZ)
    click = np.zeros((1, 64))
    click[0, 0] = 1.0
    return {(a, s): renderer.render(click, [PlaceCurve(a, 10, 1.4, s)]) for a in (0, 60, 180) for s in SPREADS}


def _bands(response: np.ndarray) -> np.ndarray:
    """Powers (..., band) in third octaves from 250 Hz to 6.3 kHz."""
    freqs_hz = np.fft.rfftfreq(8192, 1 / RATE_HZ)
    power = np.abs(np.fft.rfft(response, 8192)) ** 2
    centres = 250 * 2 ** (np.arange(15) / 3)
    inside = [(freqs_hz >= c / 2 ** (1 / 6)) & (freqs_hz < c * 2 ** (1 / 6)) for c in centres]
    return np.stack([power[..., band].mean(axis=-1) for band in inside], axis=-1)


def test_energy_is_kept_at_every_spread_and_frequency(rendered: dict) -> None:
    """Of both ears together: in front exactly at every one, to the side on the whole."""
    front = np.array([np.abs(np.fft.rfft(rendered[0, s], 8192)) ** 2 for s in SPREADS]).sum(axis=1)
    weight = slice(128, 3500)
    point = front[0, weight]
    for spread, power in zip(SPREADS, front[:, weight], strict=True):
        change_db = 10 * np.log10(power / point ** (1 - spread) / 2**spread)
        assert np.abs(change_db).max() < 0.5, spread
    for azimuth_deg in (0, 60, 180):
        energy_db = 10 * np.log10([_bands(rendered[azimuth_deg, s]).sum(axis=0).mean() for s in SPREADS])
        assert np.abs(energy_db - energy_db[0]).max() < 1.5


def test_ears_grow_unlike_with_spread_until_they_are_as_in_a_diffuse_field(rendered: dict) -> None:
    """Coherence of the ears in bands against 1 - s (1 - sin(x) / x), x = 2 pi f 0.17 m / c."""
    freqs_hz = np.fft.rfftfreq(8192, 1 / RATE_HZ)
    for spread in SPREADS:
        left, right = np.fft.rfft(rendered[0, spread], 8192)
        for low_hz, high_hz in ((100, 300), (400, 700), (900, 1400), (2000, 3000), (4000, 7000)):
            band = (freqs_hz >= low_hz) & (freqs_hz < high_hz)
            cross = (left[band] * right[band].conj()).sum().real
            found = cross / np.sqrt((np.abs(left[band]) ** 2).sum() * (np.abs(right[band]) ** 2).sum())
            expected = 1 - spread * (1 - np.sinc(2 * freqs_hz[band] * 0.17 / 343)).mean()
            assert found == pytest.approx(expected, abs=0.12), (spread, low_hz)


def test_the_fold_to_mono_has_no_trace_of_the_decorrelation(rendered: dict) -> None:
    """In front, bin by bin, it is a H^(1 - s); to the side no band is 3 dB weaker than the ears' powers."""
    freqs_hz = np.fft.rfftfreq(8192, 1 / RATE_HZ)
    inside = (freqs_hz > 250) & (freqs_hz < 6500)
    point = np.abs(np.fft.rfft(rendered[0, 0.0].sum(axis=0), 8192))[inside]
    for spread in SPREADS:
        mono = np.abs(np.fft.rfft(rendered[0, spread].sum(axis=0), 8192))[inside]
        coherence = 1 - spread * (1 - np.sinc(2 * freqs_hz[inside] * 0.17 / 343))
        expected = (point / 2) ** (1 - spread) * 2 * np.sqrt((1 + coherence) / 2)
        assert np.abs(20 * np.log10(mono / expected)).max() < 0.7, spread
    for azimuth_deg in (60, 180):
        for spread in (0.5, 0.75, 1.0):
            ears = rendered[azimuth_deg, spread]
            folded_db = 10 * np.log10(_bands(ears.sum(axis=0)) / _bands(ears).sum(axis=0))
            assert folded_db.min() > -3
            assert folded_db.max() < 3.1


def test_a_wide_sound_still_comes_from_its_side(rendered: dict) -> None:
    difference_db = [10 * np.log10(np.divide(*np.square(rendered[60, s]).sum(axis=1))) for s in SPREADS]
    assert (np.diff(difference_db) < 0).all()
    assert difference_db[2] > 1
    assert abs(difference_db[-1]) < 0.5


def test_all_around_is_the_same_from_everywhere(rendered: dict) -> None:
    np.testing.assert_allclose(rendered[60, 1.0], rendered[180, 1.0], rtol=0, atol=1e-6)


def test_the_decorrelator_is_flat_short_and_unlike_an_impulse() -> None:
    found = decorrelator(48_000)
    assert found.shape == (1152,)
    level_db = 20 * np.log10(np.abs(np.fft.rfft(found, 4096)))
    assert np.sqrt(np.square(level_db).mean()) < 0.5
    assert np.square(found[:576]).sum() > 0.8
    assert np.abs(found).max() < 0.3

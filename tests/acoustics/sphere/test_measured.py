"""Plain convolution with what was measured: it keeps the measurement's cues, and has theory's distances and rooms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tas_core.acoustics.hrtf import direction_vectors, load_kemar
from tas_core.acoustics.rooms import Room
from tas_core.acoustics.sphere.distance import air_absorption_db_per_m
from tas_core.acoustics.sphere.measured import MeasuredHead, measured_head
from tas_core.acoustics.sphere.places import PlaceCurve
from tas_core.acoustics.sphere.renderer import SphereRenderer
from tas_core.conventions import LEFT_EAR, RIGHT_EAR

RATE_HZ = 44_100


@pytest.fixture(scope="module")
def measured() -> MeasuredHead:
    return measured_head(load_kemar(), RATE_HZ)


def row_of(measured: MeasuredHead, azimuth_deg: float, elevation_deg: float = 0.0) -> int:
    direction = direction_vectors(np.array([azimuth_deg]), np.array([elevation_deg]))
    return int(measured.nearest(direction)[0])


def levels_db(response: np.ndarray, freqs_hz: np.ndarray) -> np.ndarray:
    size = 8192
    return 20 * np.log10(np.abs(np.fft.rfft(response, size)))[..., np.round(freqs_hz * size / RATE_HZ).astype(int)]


def test_level_differences_of_the_ears_are_those_that_were_measured(measured: MeasuredHead) -> None:
    """At the measurement's own rate, straight from its file: what is done is the same for both ears of a far sound."""
    freqs_hz = np.array([500.0, 1000.0, 4000.0, 9000.0, 14000.0])
    kemar = load_kemar()
    for azimuth_deg, elevation_deg in ((60, 0), (180, 0), (-120, 30), (90, -40)):
        row = row_of(measured, azimuth_deg, elevation_deg)
        own = levels_db(measured.response(row, 1.4), freqs_hz)
        files = levels_db(kemar.hrir[row], freqs_hz)
        np.testing.assert_allclose(
            own[LEFT_EAR] - own[RIGHT_EAR], files[LEFT_EAR] - files[RIGHT_EAR], atol=0.6, err_msg=f"{azimuth_deg}"
        )


def test_no_colour_is_shared_by_all_directions(measured: MeasuredHead) -> None:
    """The mean power over a fair sample of the sphere is 1 at every frequency, to 1 dB."""
    elevation_deg, azimuth_deg = np.meshgrid(np.arange(-40, 81, 20), np.arange(0, 360, 30), indexing="ij")
    directions = direction_vectors(azimuth_deg.ravel(), elevation_deg.ravel())
    weights = np.cos(np.radians(elevation_deg.ravel()))
    power = np.abs(np.fft.rfft(measured.responses[measured.nearest(directions)], 4096)) ** 2
    mean = (weights[:, None] * power.mean(axis=1)).sum(axis=0) / weights.sum()
    freqs_hz = np.fft.rfftfreq(4096, 1 / RATE_HZ)
    bands = [10 * np.log10(mean[(freqs_hz > f / 1.12) & (freqs_hz < f * 1.12)].mean()) for f in (500, 1000, 4000, 8000)]
    assert np.abs(bands).max() < 1.5


def test_distance_is_level_air_and_nearness(measured: MeasuredHead) -> None:
    row = row_of(measured, 90)
    freqs_hz = np.array([500.0, 2000.0, 8000.0])
    here = levels_db(measured.response(row, 1.4), freqs_hz)
    far = levels_db(measured.response(row, 14.0), freqs_hz)
    expected = -20 - 12.6 * air_absorption_db_per_m(freqs_hz)
    np.testing.assert_allclose(far - here, np.tile(expected, (2, 1)), atol=0.1)
    near = levels_db(measured.response(row, 0.3), freqs_hz) - here
    assert (near[LEFT_EAR] - near[RIGHT_EAR]).min() > 3  # the ear that is turned to it gets more


def test_a_room_has_the_direct_sound_the_critical_distance_and_the_decay_of_its_theory(measured: MeasuredHead) -> None:
    """Direct over reverberant energy, 250 to 4000 Hz, at 0.057 sqrt(V / RT60) is 1, to 3 dB; 60 dB in RT60."""
    room = Room.around((12.0, 9.0, 4.0), 0.8)
    critical_m = 0.057 * np.sqrt(12 * 9 * 4 / 0.8)
    row = row_of(measured, 30)
    whole = measured.room_response(row, critical_m, room, np.random.default_rng(0))
    direct = measured.response(row, critical_m)
    rest = whole.copy()
    rest[:, : direct.shape[1]] -= direct
    freqs_hz = np.fft.rfftfreq(1 << 16, 1 / RATE_HZ)
    band = (freqs_hz > 250) & (freqs_hz < 4000)
    energy = [float(np.square(np.abs(np.fft.rfft(each, 1 << 16)[:, band])).sum()) for each in (direct, rest)]
    assert abs(10 * np.log10(energy[0] / energy[1])) < 3
    level_db = [10 * np.log10(np.square(rest[:, round(t * RATE_HZ) :][:, :4410]).mean()) for t in (0.15, 0.55)]
    assert level_db[0] - level_db[1] == pytest.approx(60 * 0.4 / 0.8, abs=2)
    outdoors = measured.room_response(row, 1.4, replace(room, rt60_s=0.0), np.random.default_rng(0))
    np.testing.assert_array_equal(outdoors, measured.response(row, 1.4))


def test_it_is_in_step_with_what_renders_the_sphere(measured: MeasuredHead) -> None:
    """Noise below 3 kHz in front and behind, to a sample and a half of the rendering, once ``late`` is taken off."""
    size = RATE_HZ // 4
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(size))
    spectrum[np.fft.rfftfreq(size, 1 / RATE_HZ) > 3000] = 0
    noise = np.fft.irfft(spectrum, size)
    renderer = SphereRenderer(load_kemar(), RATE_HZ)
    for azimuth_deg in (0, 180):
        response = measured.response(row_of(measured, azimuth_deg), 1.4)[LEFT_EAR]
        truth = np.convolve(noise, response)[measured.late : measured.late + size]
        made = renderer.render(noise[None], [PlaceCurve(azimuth_deg)])[LEFT_EAR, :size]
        lags = np.arange(-20, 21)
        likeness = [float(truth[20:-20] @ np.roll(made, lag)[20:-20]) for lag in lags]
        assert abs(lags[int(np.argmax(likeness))]) <= 1.5

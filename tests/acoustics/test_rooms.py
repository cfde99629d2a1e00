from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import signal as scipy_signal

from tas_core.acoustics.hrtf import HrirSet
from tas_core.acoustics.rooms import Room, binaural_response, direct_response, random_room, source_position
from tests.support.sofa_files import uneven_head

RATE_HZ = 16000


def _room(rt60_s: float, listener_m: tuple[float, float, float] = (2.0, 2.5, 1.5)) -> Room:
    return Room((6.0, 5.0, 3.0), rt60_s, listener_m)


def _response(room: Room, azimuth_deg: float, *, length_s: float = 0.6, seed: int = 0, rate_hz: int = RATE_HZ):
    return binaural_response(room, azimuth_deg, 2.0, rate_hz, length_s, np.random.default_rng(seed))


def _rt60_s(response: np.ndarray, rate_hz: int) -> float:
    """Reverberation time from Schroeder's backward integration, -5 to -25 dB (T20, ISO 3382)."""
    left = np.cumsum(np.square(response).sum(axis=0)[::-1])[::-1]
    level_db = 10 * np.log10(left / left[0] + 1e-12)
    part = (level_db <= -5) & (level_db >= -25)
    slope, _ = np.polyfit(np.flatnonzero(part) / rate_hz, level_db[part], 1)
    return float(-60 / slope)


@pytest.mark.parametrize("rt60_s", [0.2, 0.35, 0.5])
def test_sound_decays_as_asked(rt60_s: float) -> None:
    # Sabine's formula is itself good to some 20 % in a box whose walls are alike, and the early part is
    # built from discrete images; hence 30 % for the mean over directions.
    found = [_rt60_s(_response(_room(rt60_s), a, seed=a % 7, length_s=1.0), RATE_HZ) for a in (-60, -20, 0, 45, 80)]
    assert abs(np.mean(found) / rt60_s - 1) < 0.3


def test_longer_reverberation_means_more_late_energy() -> None:
    late = []
    for rt60_s in (0.0, 0.15, 0.3, 0.6):
        response = _response(_room(rt60_s), 30)
        energy = np.square(response).sum(axis=0)
        late.append(energy[round(0.05 * RATE_HZ) :].sum() / energy.sum())
    assert np.all(np.diff(late) > 0)
    assert late[0] < 1e-4


def test_a_dry_room_is_the_direct_sound_alone() -> None:
    response = _response(_room(0.0), 35)
    direct = direct_response(35, RATE_HZ)
    np.testing.assert_array_equal(response[:, 4 : 4 + 256], direct)
    assert not response[:, :4].any()
    assert not response[:, 4 + 256 :].any()


def test_the_direct_sound_is_the_same_in_every_room() -> None:
    # The first reflection travels at least the way to the floor and back: 2 * sqrt(1.5^2 + 1) - 2 m, 4.7 ms.
    until = 4 + round(0.0046 * RATE_HZ)
    dry, wet = _response(_room(0.0), -50), _response(_room(0.5), -50)
    np.testing.assert_array_equal(wet[:, :until], dry[:, :until])
    assert np.abs(wet[:, until:]).max() > 0


def test_late_sound_is_diffuse() -> None:
    """Coherence between the ears falls like sin(x) / x, x = 2 pi f 0.17 m / c (Cook et al. 1955)."""
    size = 256
    left_power, right_power, cross = 0.0, 0.0, 0.0
    for seed in range(8):
        response = _response(_room(1.5), 40, length_s=1.6, seed=seed)[:, round(0.12 * RATE_HZ) : round(1.3 * RATE_HZ)]
        response = response * 10 ** (3 * np.arange(response.shape[1]) / RATE_HZ / 1.5)  # undo the decay
        _, _, spectrum = scipy_signal.stft(response, fs=RATE_HZ, nperseg=size, boundary=None)
        left_power = left_power + (np.abs(spectrum[0]) ** 2).sum(axis=-1)
        right_power = right_power + (np.abs(spectrum[1]) ** 2).sum(axis=-1)
        cross = cross + (spectrum[0] * spectrum[1].conj()).sum(axis=-1)
    coherence = (cross / np.sqrt(left_power * right_power)).real
    freqs_hz = np.arange(size // 2 + 1) * RATE_HZ / size
    x = 2 * np.pi * freqs_hz * 0.17 / 343
    expected = np.sinc(x / np.pi)
    at = [round(f * size / RATE_HZ) for f in (250, 500, 1000, 1500, 2000, 4000, 6000)]
    # 1200 half-overlapping segments: standard error 0.04; twice that, and the width of a bin.
    np.testing.assert_allclose(coherence[at], expected[at], atol=0.1)
    # Both ears hear as much.
    assert abs(10 * np.log10(left_power.sum() / right_power.sum())) < 0.5


@pytest.mark.parametrize("azimuth_deg", [-80, -40, -15, 15, 40, 80])
def test_direct_sound_comes_from_its_side(azimuth_deg: int) -> None:
    """By energy and by time of arrival in the first 4 ms; ear 0 and positive mean left."""
    ears = _response(_room(0.4), azimuth_deg)[:, : round(0.004 * RATE_HZ)]
    energy = np.square(ears).sum(axis=1)
    louder = 0 if azimuth_deg > 0 else 1
    assert energy[louder] > 1.2 * energy[1 - louder]
    correlation = scipy_signal.correlate(ears[1], ears[0])
    lag = scipy_signal.correlation_lags(ears.shape[1], ears.shape[1])[np.argmax(correlation)]
    assert np.sign(lag) == np.sign(azimuth_deg)


def test_mirrored_source_in_a_symmetric_room_exchanges_the_ears() -> None:
    # The listener in the middle of the width; before the noise tail starts at 40 ms, all is geometry.
    room = _room(0.4, (2.0, 2.5, 1.4))
    left, right = _response(room, 37, seed=1), _response(room, -37, seed=2)
    until = round(0.039 * RATE_HZ)
    np.testing.assert_allclose(left[:, :until], right[::-1, :until], rtol=0, atol=1e-9 * np.abs(left).max())


def test_same_seed_same_room_another_seed_another_tail() -> None:
    room = _room(0.4)
    np.testing.assert_array_equal(_response(room, 20, seed=3), _response(room, 20, seed=3))
    early = round(0.039 * RATE_HZ)
    other = _response(room, 20, seed=4)
    np.testing.assert_array_equal(_response(room, 20, seed=3)[:, :early], other[:, :early])
    assert np.abs(_response(room, 20, seed=3)[:, early:] - other[:, early:]).max() > 0


def test_sources_stay_inside_the_room_in_their_direction() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        room = random_room(rng)
        azimuth_deg = rng.uniform(-90, 90)
        at = source_position(room, azimuth_deg, rng.uniform(0.7, 8.0))
        assert np.all(at > 0.09)
        assert np.all(at < np.array(room.size_m) - 0.09)
        offset = at - np.array(room.listener_m)
        assert np.degrees(np.arctan2(offset[1], offset[0])) == pytest.approx(azimuth_deg, abs=1e-6)
    near = source_position(_room(0.3), 30, 1.0) - np.array((2.0, 2.5, 1.5))
    assert np.linalg.norm(near) == pytest.approx(1.0)


def test_reflection_falls_with_absorption() -> None:
    values = [_room(rt60_s).reflection for rt60_s in (0.05, 0.2, 0.5, 2.0)]
    assert np.all(np.diff(values) > 0)
    # Sabine at 0.5 s: 0.161 * 90 / (126 * 0.5) = 0.23 absorbed.
    assert values[2] == pytest.approx(np.sqrt(1 - 0.161 * 90 / 126 / 0.5))
    assert 0 < values[0] < values[-1] < 1


def test_images_add_up_as_one_after_another() -> None:
    """Pulses of every image, delayed by linear interpolation between two taps, against a plain loop."""
    from tas_core.acoustics.rooms import add_pulses

    rng = np.random.default_rng(2)
    heads = rng.standard_normal((9, 2, 20))
    direction, at = rng.integers(9, size=50), rng.uniform(0, 300, 50)
    gain, fade = rng.standard_normal(50), rng.uniform(0, 1, 50)
    full, early = np.zeros((2, 330)), np.zeros((2, 330))
    for row, time, factor, faded in zip(direction, at, gain, fade, strict=True):
        for tap in range(20):
            first, share = int(time) + tap, time - int(time)
            for out, level in ((full, factor), (early, factor * faded)):
                out[:, first] += (1 - share) * level * heads[row, :, tap]
                out[:, first + 1] += share * level * heads[row, :, tap]
    found = add_pulses(heads, direction, at, gain, fade, 290)
    np.testing.assert_allclose(found[0], full[:, :290], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[1], early[:, :290], rtol=0, atol=1e-12)


def test_reflections_come_from_thenearest_directions_measured_direction() -> None:
    from tas_core.acoustics.rooms import nearest_directions

    rng = np.random.default_rng(0)
    measured, directions = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rng.standard_normal((2, 150, 3)))
    found = nearest_directions(directions, measured)
    for row, direction in zip(found, directions, strict=True):
        assert np.linalg.norm(measured[row] - direction) == pytest.approx(
            np.linalg.norm(measured - direction, axis=1).min()
        )
    assert len(nearest_directions(directions[:0], measured)) == 0


@pytest.mark.parametrize("rate_hz", [16000, 22050, 48000])
def test_the_head_is_resampled_as_by_a_resampler(rate_hz: int) -> None:
    """Within 1e-3 of the peak of soxr's best quality; the first tap, where soxr has yet to start up, within 5e-3."""
    soxr = pytest.importorskip("soxr")
    from tas_core.acoustics.hrtf import load_kemar
    from tas_core.acoustics.rooms import head_at_rate

    kemar = load_kemar()
    flat = kemar.hrir.reshape(-1, kemar.hrir.shape[-1]).T
    expected = soxr.resample(flat, kemar.sample_rate_hz, rate_hz, quality="VHQ") * kemar.sample_rate_hz / rate_hz
    heads, vectors = head_at_rate(rate_hz)
    found = heads.reshape(-1, heads.shape[-1]).T
    assert vectors.shape == (len(heads), 3)
    size = min(len(found), len(expected))
    assert abs(len(found) - len(expected)) <= 1
    error = np.abs(found[:size] - expected[:size]).max(axis=1) / np.abs(expected).max()
    assert error[1:].max() < 1e-3
    assert error[0] < 5e-3


@pytest.mark.parametrize("rate_hz", [16000, 22050, 48000])
def test_the_head_is_resampled_by_its_formula(rate_hz: int) -> None:
    """Against torchaudio's resampler with the same filter, which stands for the formula in the docstring."""
    torchaudio = pytest.importorskip("torchaudio")
    from tas_core.acoustics.hrtf import load_kemar
    from tas_core.acoustics.rooms import _CUT, _KAISER_BETA, _LOBES, head_at_rate

    kemar = load_kemar()
    expected = torchaudio.functional.resample(
        torch.from_numpy(kemar.hrir),
        kemar.sample_rate_hz,
        rate_hz,
        lowpass_filter_width=_LOBES * _CUT,
        rolloff=_CUT,
        resampling_method="sinc_interp_kaiser",
        beta=_KAISER_BETA,
    )
    expected = expected.numpy() * kemar.sample_rate_hz / rate_hz
    # torchaudio keeps its kernel in single precision.
    np.testing.assert_allclose(head_at_rate(rate_hz)[0], expected, rtol=0, atol=1e-7 * np.abs(expected).max())


def test_another_head_hears_the_direct_sound_and_the_reflections(tmp_path: Path) -> None:
    """What the right ear of a head cannot hear, it does not hear in a room either."""
    head = uneven_head(tmp_path, (1.0, 1.0))
    deaf = HrirSet(
        head.hrir * np.array([1.0, 1e-6])[:, None], head.azimuth_deg, head.elevation_deg, head.sample_rate_hz
    )
    room = Room((6.0, 5.0, 3.0), 0.4, (2.0, 2.5, 1.5))
    rng = np.random.default_rng(0)
    found = binaural_response(room, 30.0, 1.5, 16000, 0.04, rng, deaf)
    kemar = binaural_response(room, 30.0, 1.5, 16000, 0.04, np.random.default_rng(0))
    early = slice(0, 640)
    left, right = np.square(found[:, early]).sum(axis=1)
    # The tail, which knows no head, begins at 40 ms.
    assert right < 1e-6 * left
    assert np.square(kemar[1, early]).sum() > 0.05 * np.square(kemar[0, early]).sum()
    direct = direct_response(30.0, 16000, head=deaf)
    dry = binaural_response(Room(room.size_m, 0.0, room.listener_m), 30.0, 1.5, 16000, 0.1, rng, deaf)
    np.testing.assert_allclose(dry[:, 4 : 4 + direct.shape[-1]], direct)

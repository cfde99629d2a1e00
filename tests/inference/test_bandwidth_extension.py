"""Above the model's band. Ear 0 and positive values mean left in literal numbers here, not by the code's constants."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import signal as scipy_signal

from tas_core.acoustics.hrtf import load_kemar
from tas_core.acoustics.stft import stft
from tas_core.audio.resampling import resample
from tas_core.inference.bandwidth_extension import (
    EDGE_FRACTION,
    BandSources,
    FullBand,
    LevelPanning,
    ModelBand,
    extend_bandwidth,
    sources_by_level,
)

RATE_HZ, MODEL_HZ, SECONDS = 48000, 16000, 3


def _db(error: np.ndarray, reference: np.ndarray) -> float:
    return float(10 * np.log10((error**2).sum() / (reference**2).sum() + 1e-30))


# ------------------------------------------------------------------ side signals alone


def _panned(samples: int, pan: float) -> tuple[np.ndarray, np.ndarray]:
    """Noise over the model's band and the side signal that a pan between -1 and 1 gives it."""
    low = scipy_signal.sosfilt(
        scipy_signal.butter(6, 7000, fs=16000, output="sos"), np.random.default_rng(0).standard_normal(samples)
    )
    return 0.1 * low, 2 * pan * 0.1 * low


@pytest.mark.parametrize("pan", [-0.8, -0.3, 0.0, 0.5, 0.9])
def test_a_tone_above_the_band_follows_the_band_below(pan: float) -> None:
    rate_hz, seconds = 48000, 2
    low, side_low = _panned(16000 * seconds, pan)
    time_s = np.arange(rate_hz * seconds) / rate_hz
    tone = 0.05 * np.sin(2 * np.pi * 12000 * time_s)
    x = scipy_signal.resample_poly(low, 3, 1) + tone
    side = extend_bandwidth(x, rate_hz, ModelBand(low, side_low, 16000)).side
    ears = np.stack([x + side / 2, x - side / 2])
    middle = slice(rate_hz // 4, -rate_hz // 4)
    amplitude = np.abs(ears[:, middle] @ np.exp(-2j * np.pi * 12000 * time_s[middle])) * 2 / len(time_s[middle])
    # Level panning: the ears carry (1 + p) and (1 - p) of the tone.
    np.testing.assert_allclose(amplitude, 0.05 * np.array([1 + pan, 1 - pan]), rtol=0, atol=5e-4)


def test_panning_above_the_band_follows_in_time() -> None:
    rate_hz = 48000
    low, side_low = _panned(32000, 0.7)
    side_low = np.concatenate([side_low[:16000], -side_low[16000:]])
    time_s = np.arange(2 * rate_hz) / rate_hz
    x = scipy_signal.resample_poly(low, 3, 1) + 0.05 * np.sin(2 * np.pi * 12000 * time_s)
    side = extend_bandwidth(x, rate_hz, ModelBand(low, side_low, 16000)).side
    ears = np.stack([x + side / 2, x - side / 2])
    for part, louder in ((slice(12000, 40000), 0), (slice(56000, 84000), 1)):
        turn = np.exp(-2j * np.pi * 12000 * time_s[part])
        amplitude = np.abs(ears[:, part] @ turn)
        assert amplitude[louder] > 4 * amplitude[1 - louder]


def test_the_band_below_is_left_alone() -> None:
    low, side_low = _panned(16000, 0.6)
    np.testing.assert_array_equal(extend_bandwidth(low, 16000, ModelBand(low, side_low, 16000)).side, side_low)
    x = scipy_signal.resample_poly(low, 3, 1)
    side = extend_bandwidth(x, 48000, ModelBand(low, side_low, 16000)).side
    expected = 2 * 0.6 * x
    # What the resampler cuts near 8 kHz is panned by level instead, to the same place.
    assert _db((side - expected)[4000:-4000], expected) < -30


def test_silence_below_and_a_tone_above_stay_centred() -> None:
    """Without anything in the model's band there is nothing that says left or right."""
    time_s = np.arange(48000) / 48000
    x = 0.1 * np.sin(2 * np.pi * 14000 * time_s)
    side = extend_bandwidth(x, 48000, ModelBand(np.zeros(16000), np.zeros(16000), 16000)).side
    assert np.abs(side).max() < 1e-6


# ------------------------------------------------------------------ objects


def _band_noise(low_hz: float, high_hz: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(RATE_HZ * SECONDS)
    sos = scipy_signal.butter(8, [low_hz, high_hz], "bandpass", fs=RATE_HZ, output="sos")
    return 0.05 * scipy_signal.sosfiltfilt(sos, noise)


def _low(signal: np.ndarray) -> np.ndarray:
    return resample(signal, RATE_HZ, MODEL_HZ)


def _sources(stems: list[np.ndarray], azimuth_deg: list[float], direct: float = 1.0) -> BandSources:
    """What a model that knows the stems would say."""
    first, last = (round(fraction * 512) for fraction in EDGE_FRACTION)
    power = stft(torch.from_numpy(np.stack([2 * _low(s) for s in stems])), 1024, 256).abs().square()
    panning = LevelPanning()
    weights = panning.weights(np.array(azimuth_deg), direct)[:, None].repeat(power.shape[-1], 1)
    return BandSources(0.0, 256 / MODEL_HZ, power[:, first:last].sum(dim=1).numpy(), weights, panning)


def _above(signal: np.ndarray) -> np.ndarray:
    sos = scipy_signal.butter(8, 8500, "highpass", fs=RATE_HZ, output="sos")
    return scipy_signal.sosfiltfilt(sos, signal)


def _gate(rate_per_s: float, phase: float) -> np.ndarray:
    """On and off, with soft edges."""
    time_s = np.arange(RATE_HZ * SECONDS) / RATE_HZ
    return 1 / (1 + np.exp(-20 * np.sin(2 * np.pi * (rate_per_s * time_s + phase))))


def _extended(
    parts: list[np.ndarray], sources: BandSources, stems_low: np.ndarray | None = None
) -> tuple[np.ndarray, FullBand]:
    x = np.sum(parts, axis=0)
    low = _low(x)
    silent = np.zeros(len(low))
    return x, extend_bandwidth(x, RATE_HZ, ModelBand(low, silent, MODEL_HZ, stems_low), sources)


@pytest.mark.parametrize("azimuth_deg", [-75.0, -20.0, 0.0, 45.0, 62.5])
@pytest.mark.parametrize("centre_hz", [10000.0, 14000.0, 18000.0])
def test_a_single_object_has_the_level_difference_of_the_head_at_that_frequency(
    azimuth_deg: float, centre_hz: float
) -> None:
    sound = _band_noise(4000, 20000, 1)
    nothing = np.zeros_like(sound)
    x, found = _extended([sound, nothing], _sources([sound, nothing], [azimuth_deg]))
    sos = scipy_signal.butter(4, [centre_hz - 500, centre_hz + 500], "bandpass", fs=RATE_HZ, output="sos")
    left, right = (scipy_signal.sosfiltfilt(sos, e)[12000:-12000] for e in (x + found.side / 2, x - found.side / 2))
    heard_db = 10 * np.log10((left**2).sum() / (right**2).sum())
    freqs_hz = np.arange(centre_hz - 500, centre_hz + 501, 50.0)
    ears = np.abs(load_kemar().horizontal(np.array([azimuth_deg]), freqs_hz))[0]
    head_db = np.mean(20 * np.log10(ears[0] / ears[1]))
    # The head's notches are averaged over the band in another way; the table has steps of 5 degrees.
    assert heard_db == pytest.approx(head_db, abs=1.5)


def test_the_root_of_directness_pulls_towards_the_centre() -> None:
    sound = _band_noise(4000, 20000, 1)
    nothing = np.zeros_like(sound)
    _, full = _extended([sound, nothing], _sources([sound, nothing], [60.0]))
    _, half = _extended([sound, nothing], _sources([sound, nothing], [60.0], 0.25))
    np.testing.assert_allclose(half.side, full.side / 2, rtol=0, atol=1e-12)


def test_objects_in_turn_are_told_apart_in_time() -> None:
    left = _band_noise(4000, 20000, 1) * _gate(2, 0)
    right = _band_noise(4000, 20000, 2) * _gate(2, 0.5)
    nothing = np.zeros_like(left)
    stems = np.zeros((2, len(_low(left))))
    _, found = _extended([left, right], _sources([left, right, nothing], [60, -60]), stems_low=stems)
    assert found.stems is not None
    for stem, truth in zip(found.stems, (left, right), strict=True):
        truth = _above(truth)
        # 85 dB apart in time but for the edges, which last 40 ms of every 500.
        assert _db(_above(stem) - truth, truth) < -12


def test_what_sounds_above_goes_to_the_object_that_moves_with_it() -> None:
    """A steady object without anything above 8 kHz, and beside it bursts as loud below, with a bright top."""
    time_s = np.arange(RATE_HZ * SECONDS) / RATE_HZ
    dull = _band_noise(3000, 7600, 1)
    bright = _band_noise(3000, 20000, 2) * (time_s % 0.4 < 0.1)
    nothing = np.zeros_like(dull)
    stems = np.zeros((2, len(_low(dull))))
    placement = _sources([dull, bright, nothing], [60, -60])
    x, found = _extended([dull, bright], placement, stems_low=stems)
    assert found.stems is not None
    power = np.square(_above(found.stems)).sum(axis=1)
    # In the bursts each is half of what sounds just below; with equal weights it would be half of it above, too.
    part = placement.power[1] / placement.power.sum(axis=0)
    assert part.max() < 0.65
    # The bursts last a quarter of the time, so that one step of the regression gives them some four times the weight.
    assert 0.75 < power[1] / power.sum() < 0.95
    ears = np.square(_above(np.stack([x + found.side / 2, x - found.side / 2]))).sum(axis=1)
    assert 10 * np.log10(ears[1] / ears[0]) > 5


def test_stems_and_the_rest_have_shares_of_one() -> None:
    sounds = [_band_noise(4000, 20000, seed) for seed in range(3)]
    stems = np.zeros((2, len(_low(sounds[0]))))
    x, found = _extended(sounds, _sources(sounds, [30, -30]), stems_low=stems)
    assert found.stems is not None
    rest = _above(x - found.stems.sum(axis=0))
    # Three alike get a third each.
    for part in (*_above(found.stems), rest):
        assert _db(part, _above(x)) == pytest.approx(-9.5, abs=1)


def test_silence_below_leaves_everything_above_in_the_centre() -> None:
    time_s = np.arange(RATE_HZ * SECONDS) / RATE_HZ
    tone = 0.1 * np.sin(2 * np.pi * 14000 * time_s)
    nothing = np.zeros_like(tone)
    _, found = _extended([tone], _sources([nothing, nothing], [60]))
    assert np.abs(found.side).max() < 1e-12


def test_the_side_signal_is_never_more_than_mid() -> None:
    parts = [_band_noise(4000, 20000, 1) * _gate(2, 0), _band_noise(4000, 20000, 2)]
    x, found = _extended(parts, _sources([*parts, 0 * parts[0]], [90, -90]))
    assert np.square(_above(found.side)).sum() <= np.square(_above(2 * x)).sum()


# ------------------------------------------------------------------ stretches


@pytest.mark.parametrize("rate_hz", [22050, 44100, 48000])
def test_stretches_of_a_signal_are_as_the_whole(rate_hz: int) -> None:
    rng = np.random.default_rng(3)
    x = 0.1 * rng.standard_normal(rate_hz * 6)
    low = resample(x, rate_hz, MODEL_HZ)
    side_low = low * np.repeat(rng.uniform(-1.5, 1.5, 12), MODEL_HZ // 2)
    whole = extend_bandwidth(x, rate_hz, ModelBand(low, side_low, MODEL_HZ)).side
    begin, end = 2, 6
    low_part = slice(begin * MODEL_HZ, end * MODEL_HZ)
    part = extend_bandwidth(
        x[begin * rate_hz : end * rate_hz],
        rate_hz,
        ModelBand(low[low_part], side_low[low_part], MODEL_HZ),
        first=begin * rate_hz,
    ).side
    kept = slice(3 * rate_hz, 5 * rate_hz)
    # The resampler's filter is cut at the ends of the chunk.
    assert _db(part[rate_hz : 3 * rate_hz] - whole[kept], whole[kept]) < -90


def test_bins_lie_where_their_levels_say() -> None:
    rng = np.random.default_rng(4)
    low = 0.1 * rng.standard_normal(MODEL_HZ)
    for pan in (-1.0, -0.4, 0.0, 0.3, 0.75):
        found = sources_by_level(low, 2 * pan * low, MODEL_HZ)
        mean = (found.power[:-1] * found.weights[..., 0]).sum(axis=0) / found.power.sum(axis=0)
        np.testing.assert_allclose(mean, pan, rtol=0, atol=1e-6)  # single precision


def test_places_between_those_of_the_table_are_mixed() -> None:
    panning = LevelPanning()
    weights = panning.weights(np.array([[-90.0, 0.0], [12.5, 90.0]]))
    np.testing.assert_allclose(weights.sum(axis=-1), 1)
    table = panning(np.array([10000.0]))[:, 0]
    assert weights[1, 0] @ table == pytest.approx((table[20] + table[21]) / 2)
    np.testing.assert_array_equal(table, -table[::-1])

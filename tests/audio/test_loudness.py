"""Integrated loudness against the standard's own numbers, EBU's test signals and another implementation."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pyloudnorm
import pytest

from tas_core.audio.loudness import LoudnessMeter, weighting_filters


def measure(samples: np.ndarray, rate_hz: int, pieces: np.random.Generator | None = None) -> float:
    """Loudness of samples (channel, time), given in one piece, or in many of random lengths."""
    meter = LoudnessMeter(rate_hz, len(samples))
    at = 0
    while at < samples.shape[1]:
        size = samples.shape[1] if pieces is None else int(pieces.integers(0, rate_hz))
        meter.add(samples[:, at : at + size])
        at += size
    return meter.integrated_lufs()


def sine(level_dbfs: float, seconds: float, rate_hz: int = 48_000) -> np.ndarray:
    """(ear, time): 1 kHz in both ears."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.tile(10 ** (level_dbfs / 20) * np.sin(2 * np.pi * 1000 * t), (2, 1))


def test_at_48_khz_the_filters_are_those_of_the_standard() -> None:
    """ITU-R BS.1770-4, tables 1 and 2, all digits that are printed there."""
    expected = [
        [[1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -1.69065929318241, 0.73248077421585]],
        [[1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621]],
    ]
    np.testing.assert_allclose(weighting_filters(48_000), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_another_implementation_says_the_same(rate_hz: int) -> None:
    rng = np.random.default_rng(rate_hz)
    t = np.arange(6 * rate_hz) / rate_hz
    samples = 0.1 * rng.standard_normal((2, len(t))) * (0.02 + np.sin(2 * np.pi * 0.15 * t) ** 8)
    expected = pyloudnorm.Meter(rate_hz, filter_class="DeMan").integrated_loudness(samples.T)
    # The same filters and blocks: only rounding differs, and at 11,025 Hz the borders of blocks by half a sample.
    assert measure(samples, rate_hz, rng) == pytest.approx(expected, abs=1e-6)


def test_the_other_filters_of_the_other_implementation_are_close() -> None:
    """pyloudnorm's default shelf is a fit, up to 0.1 LU away at 48 kHz."""
    samples = 0.1 * np.random.default_rng(1).standard_normal((2, 48_000 * 3))
    assert measure(samples, 48_000) == pytest.approx(pyloudnorm.Meter(48_000).integrated_loudness(samples.T), abs=0.1)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
@pytest.mark.parametrize(
    ("parts", "expected_lufs"),
    [
        ([(-23, 20)], -23.0),
        ([(-33, 20)], -33.0),
        ([(-36, 10), (-23, 60), (-36, 10)], -23.0),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23.0),
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23.0),
    ],
)
def test_signals_of_the_ebu_have_the_loudness_it_says(
    parts: list[tuple[float, float]], expected_lufs: float, rate_hz: int
) -> None:
    """EBU Tech 3341, minimum requirements 1 to 5, with its tolerance of 0.1 LU."""
    samples = np.concatenate([sine(level, seconds, rate_hz) for level, seconds in parts], axis=1)
    assert measure(samples, rate_hz) == pytest.approx(expected_lufs, abs=0.1)


def test_silence_and_next_to_silence_have_no_loudness() -> None:
    assert measure(np.zeros((2, 48_000)), 48_000) == -math.inf
    assert measure(sine(-80, 2), 48_000) == -math.inf
    assert LoudnessMeter(48_000).integrated_lufs() == -math.inf


def test_a_sound_of_less_than_a_block_counts_as_one() -> None:
    # The filters have hardly begun to ring at 1 kHz: within 0.3 LU of the same tone for long.
    assert measure(sine(-23, 0.15), 48_000) == pytest.approx(-23, abs=0.3)
    assert measure(sine(-23, 0.35), 48_000) == pytest.approx(-23, abs=0.3)


def test_a_longer_sound_hardly_takes_more_memory() -> None:
    """80 bytes per second of sound, where its samples are 256,000."""
    piece = 0.1 * np.random.default_rng(0).standard_normal((2, 16_000))
    meter = LoudnessMeter(16_000)
    meter.add(piece)
    tracemalloc.start()
    for _ in range(300):
        meter.add(piece)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 300 * 80 * 1.3 + 600_000  # lists grow in advance; one block of spectra may be alive

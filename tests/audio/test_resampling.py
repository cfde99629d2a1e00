"""Resampling: length, level and time are kept, and what the lower rate cannot hold is removed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tas_core.audio.reader import Audio
from tas_core.audio.resampling import resample, resampled_length, to_mono
from tas_core.audio.writer import peak
from tests.conftest import noise

RATE = 16_000


# ------------------------------------------------------------------ what is written is read


def test_mono_is_the_mean_of_the_channels() -> None:
    samples = noise(3)
    audio = Audio(samples, RATE, "PCM_16", "WAV")
    np.testing.assert_allclose(to_mono(audio.samples), samples.mean(axis=0), atol=1e-7)
    assert to_mono(audio.samples).dtype == np.float32
    np.testing.assert_array_equal(to_mono(samples[:1]), samples[0])


# ------------------------------------------------------------------ resampling


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 3000),
    st.sampled_from([8000, 11_025, 16_000, 44_100, 48_000]),
    st.sampled_from([8000, 16_000, 22_050, 48_000]),
)
def test_resampling_has_the_promised_length_and_comes_back(frames: int, from_hz: int, to_hz: int) -> None:
    samples = np.ones((2, frames), dtype=np.float32)
    there = resample(samples, from_hz, to_hz)
    assert there.shape == (2, resampled_length(frames, from_hz, to_hz))
    assert abs(there.shape[1] - frames * to_hz / from_hz) <= (0.5 if frames > 10 else 1)
    assert there.dtype == np.float32
    assert resample(there, to_hz, from_hz, num_frames=frames).shape == samples.shape


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48_000, 16_000), (16_000, 44_100), (44_100, 16_000)])
def test_resampling_keeps_a_tone_in_level_and_time(from_hz: int, to_hz: int) -> None:
    def tone(rate: int, frames: int) -> np.ndarray:
        return np.sin(2 * np.pi * 997 * np.arange(frames) / rate)[None]

    result = resample(tone(from_hz, from_hz // 2), from_hz, to_hz)
    middle = slice(to_hz // 8, -to_hz // 8)
    np.testing.assert_allclose(result[:, middle], tone(to_hz, to_hz // 2)[:, middle], atol=1e-5)


def test_resampling_removes_what_the_lower_rate_cannot_hold() -> None:
    high = np.sin(2 * np.pi * 12_000 * np.arange(24_000) / 48_000)
    assert peak(resample(high, 48_000, 16_000)[2000:-2000]) < 1e-5


def test_resampling_to_the_same_rate_is_a_copy() -> None:
    samples = noise()
    same = resample(samples, RATE, RATE)
    np.testing.assert_array_equal(same, samples)
    assert not np.shares_memory(same, samples)

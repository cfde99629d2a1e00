"""All levels of a sound together are those of the single meters."""

from __future__ import annotations

import numpy as np
import pytest

from tas_core.audio.levels import LevelMeter, MeasuredLevels, levels_of
from tas_core.audio.loudness import LoudnessMeter
from tas_core.audio.true_peak import PeakMeter

RATE = 16_000


def _sound(channels: int) -> np.ndarray:
    sound = 0.3 * np.random.default_rng(3).standard_normal((channels, 3 * RATE))
    sound[0, 100:103] = 1.0
    return sound


def test_levels_are_those_of_the_single_meters() -> None:
    sound = _sound(3)
    loudness, peaks = LoudnessMeter(RATE, 3), PeakMeter(RATE, 3)
    loudness.add(sound)
    peaks.add(sound)
    expected = MeasuredLevels(loudness.integrated_lufs(), peaks.true_peak_dbtp, peaks.clipped)
    assert expected.clipped >= 3
    assert levels_of(sound, RATE) == expected
    meter = LevelMeter(RATE, 3)
    for start in range(0, sound.shape[1], 7777):
        meter.add(sound[:, start : start + 7777])
    found = meter.levels()
    assert found.clipped == expected.clipped
    assert found.loudness_lufs == pytest.approx(expected.loudness_lufs, abs=1e-9)
    assert found.true_peak_dbtp == pytest.approx(expected.true_peak_dbtp, abs=1e-9)


def test_a_sound_that_is_mixed_down_is_as_loud_as_it_is_in_both_ears() -> None:
    """Its peaks are those of its channels all the same."""
    sound = _sound(2)
    meter, both = LevelMeter(RATE, 2, mix_down=True), LoudnessMeter(RATE, 2)
    meter.add(sound)
    both.add(np.stack([sound.mean(axis=0)] * 2))
    assert meter.levels().loudness_lufs == pytest.approx(both.integrated_lufs(), abs=1e-9)
    assert meter.levels().clipped == levels_of(sound, RATE).clipped


def test_silence_has_no_levels() -> None:
    assert levels_of(np.zeros((2, RATE)), RATE) == MeasuredLevels(None, None, 0)

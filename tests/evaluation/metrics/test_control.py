"""Levels of control: mirrored prompts, the mono sum, silence and the centre, in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tas_core.evaluation.metrics import (
    center_spl_db,
    mirror_db,
    mono_sum_error_db,
    silence_floor_db,
)

RATE = 16_000
NAN = math.nan


def noise(seed: int, *shape: int) -> np.ndarray:
    return 0.2 * np.random.default_rng(seed).standard_normal(shape)


def test_the_mirror_is_a_level_of_the_two_sides() -> None:
    ears = noise(1, 2, 4000)
    side = ears[0] - ears[1]
    assert mirror_db(ears, ears[::-1]) == -math.inf
    assert mirror_db(ears, ears) == pytest.approx(20 * math.log10(2))
    off = ears[::-1].copy()
    off[0] += 0.01 * side
    assert mirror_db(ears, off) == pytest.approx(-40.0)
    flat = np.stack([ears[0], ears[0]])
    assert math.isnan(mirror_db(flat, flat))
    assert mirror_db(flat, ears) == math.inf


def test_the_mono_sum_is_a_level_of_what_is_off() -> None:
    mono, side = noise(2, 3000), noise(3, 3000)
    exact = np.stack([mono + side, mono - side])
    assert mono_sum_error_db(exact, mono) < -250
    assert mono_sum_error_db(1.001 * exact, mono) == pytest.approx(-60.0, abs=1e-6)
    assert mono_sum_error_db(np.stack([mono, mono]), mono) == -math.inf
    assert math.isnan(mono_sum_error_db(0 * exact, 0 * mono))
    assert mono_sum_error_db(exact, 0 * mono) == math.inf


def test_the_floor_is_measured_only_where_the_input_is_silent() -> None:
    mono = noise(4, RATE)
    mono[RATE // 2 :] = 0.0
    ears = np.stack([mono, mono])
    assert silence_floor_db(ears, mono, RATE) == -math.inf
    ears[:, RATE // 2 :] += 0.001 * np.where(np.arange(RATE // 2) % 2, 1, -1)
    assert silence_floor_db(ears, mono, RATE) == pytest.approx(-60.0)
    ears[1, RATE // 2 :] = 0.0
    assert silence_floor_db(ears, mono, RATE) == pytest.approx(-60 - 10 * math.log10(2))
    assert math.isnan(silence_floor_db(ears, mono + 0.1, RATE))
    # A single sound in the last window keeps that window out.
    mono[-1], ears[:, -700:] = 0.5, 0.9
    assert silence_floor_db(ears, mono, RATE) == pytest.approx(-60 - 10 * math.log10(2))


def test_the_centre_is_a_mean_of_absolute_differences() -> None:
    x = noise(5, RATE)
    assert center_spl_db(np.stack([x, x]), RATE) == 0.0
    halves = np.stack([x, x])
    halves[0, : RATE // 2] *= 2
    halves[1, RATE // 2 :] *= 2
    # All windows but the one across the middle are off by 6 dB, half to each side.
    assert center_spl_db(halves, RATE) == pytest.approx(6.02 * 18 / 19, abs=0.05)
    assert math.isnan(center_spl_db(np.zeros((2, RATE)), RATE))


def test_control_refuses_what_does_not_fit() -> None:
    ears, mono = noise(6, 2, 900), noise(7, 900)
    bad = ears.copy()
    bad[0, 0] = NAN
    for call in (
        lambda: mirror_db(ears, bad),
        lambda: mirror_db(ears, ears[:, 1:]),
        lambda: mirror_db(ears[None], ears[None]),
        lambda: mono_sum_error_db(bad, mono),
        lambda: mono_sum_error_db(ears, mono[1:]),
        lambda: silence_floor_db(bad, mono, RATE),
        lambda: silence_floor_db(ears, mono[1:], RATE),
        lambda: center_spl_db(bad, RATE),
        lambda: center_spl_db(ears[None], RATE),
    ):
        with pytest.raises(ValueError, match=r"nan|shape|expected"):
            call()

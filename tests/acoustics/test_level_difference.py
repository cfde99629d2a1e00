"""Level differences in closed form, and against independent NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tas_core.conventions import LEFT_EAR, LEFT_SIGN, RIGHT_EAR
from tas_core.evaluation.metrics import SILENCE_DBFS, spl_difference_curve_db, spl_difference_db

RATE = 16_000


def ears(left: np.ndarray | float, right: np.ndarray | float, frames: int = 1600) -> np.ndarray:
    """(ear, time) of two constant or given signals."""
    out = np.empty((2, frames))
    out[LEFT_EAR], out[RIGHT_EAR] = left, right
    return out


def level(dbfs: float) -> float:
    return 10 ** (dbfs / 20)


def test_a_factor_of_two_is_six_decibels() -> None:
    assert spl_difference_db(ears(0.5, 0.25)) == pytest.approx(6.0206, abs=1e-4)
    assert spl_difference_db(ears(0.3, 0.3)) == 0.0


def test_the_louder_left_ear_is_positive() -> None:
    assert LEFT_SIGN * spl_difference_db(ears(0.2, 0.1)) > 0
    assert LEFT_SIGN * spl_difference_db(ears(0.1, 0.2)) < 0


def test_it_compares_powers_not_peaks() -> None:
    """A full-scale sine has the power of a constant of 1 / sqrt 2."""
    sine = np.sin(2 * np.pi * np.arange(1600) / 16)
    assert spl_difference_db(ears(sine, math.sqrt(0.5))) == pytest.approx(0.0, abs=1e-9)
    click = np.zeros(1600)
    click[0] = 1.0
    assert spl_difference_db(ears(click, 0.25)) == pytest.approx(20 * math.log10(1 / 40 / 0.25), abs=1e-9)


def test_one_silent_ear_is_infinite_and_two_are_nothing() -> None:
    assert spl_difference_db(ears(0.1, 0.0)) == math.inf
    assert spl_difference_db(ears(0.0, 0.1)) == -math.inf
    assert math.isnan(spl_difference_db(ears(0.0, 0.0)))
    assert math.isnan(spl_difference_db(np.zeros((2, 0))))


def test_silence_ends_at_minus_sixty_decibels_in_the_louder_ear() -> None:
    assert SILENCE_DBFS == -60.0
    below, above = level(-60.01), level(-59.99)
    assert math.isnan(spl_difference_db(ears(below, below / 2)))
    assert spl_difference_db(ears(above, above / 2)) == pytest.approx(6.0206, abs=1e-4)
    assert spl_difference_db(ears(above / 100, above)) == pytest.approx(-40.0, abs=1e-6)


def test_single_precision_loses_nothing_that_counts() -> None:
    """Squares of 16-bit samples summed over minutes would drift in float32."""
    long = np.full((2, 3_000_000), 1e-3, np.float32)
    long[LEFT_EAR] *= 2
    assert spl_difference_db(long) == pytest.approx(6.0206, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), gain=st.floats(0.05, 1.0), ratio=st.floats(0.01, 100))
def test_it_is_odd_and_blind_to_the_overall_level(seed: int, gain: float, ratio: float) -> None:
    signal = np.random.default_rng(seed).uniform(-1, 1, (2, 500)) * np.array([[1.0], [ratio]]) / max(1, ratio)
    value = spl_difference_db(signal)
    power = (signal**2).sum(axis=1)
    assert value == pytest.approx(10 * math.log10(power[LEFT_EAR] / power[RIGHT_EAR]), abs=1e-9)
    assert spl_difference_db(signal[::-1]) == pytest.approx(-value, abs=1e-9)
    assert spl_difference_db(gain * signal) == pytest.approx(value, abs=1e-9)


def test_windows_are_centred_where_they_say() -> None:
    centres_s, values_db = spl_difference_curve_db(ears(0.2, 0.1, RATE), RATE, window_s=0.1, hop_s=0.05)
    np.testing.assert_allclose(centres_s, 0.05 + 0.05 * np.arange(19), atol=1e-12)
    np.testing.assert_allclose(values_db, 6.0206, atol=1e-4)


def test_the_curve_follows_a_sound_that_jumps() -> None:
    """Left for half a second, silent for a tenth, then right: no window mixes more than it covers."""
    signal = ears(0.05, 0.05, RATE)
    signal[LEFT_EAR, : RATE // 2] = 0.5
    signal[:, RATE // 2 : RATE * 6 // 10] = 0.0
    signal[RIGHT_EAR, RATE * 6 // 10 :] = 0.5
    centres_s, values_db = spl_difference_curve_db(signal, RATE)
    np.testing.assert_allclose(values_db[centres_s < 0.451], 20.0, atol=1e-6)
    assert np.isnan(values_db[np.argmin(np.abs(centres_s - 0.55))])
    np.testing.assert_allclose(values_db[centres_s > 0.649], -20.0, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 799, 1600])
def test_short_signals_have_one_window(frames: int) -> None:
    centres_s, values_db = spl_difference_curve_db(ears(0.2, 0.1, frames), RATE)
    assert centres_s.shape == values_db.shape == (1,)
    assert values_db[0] == pytest.approx(6.0206, abs=1e-4)


def test_what_is_no_pair_of_ears_is_refused() -> None:
    bad = ears(0.2, 0.1)
    bad[0, 3] = math.nan
    for signal in (bad, np.zeros(9), np.zeros((3, 9))):
        with pytest.raises(ValueError, match="ears"):
            spl_difference_db(signal)
        with pytest.raises(ValueError, match="ears"):
            spl_difference_curve_db(signal, RATE)

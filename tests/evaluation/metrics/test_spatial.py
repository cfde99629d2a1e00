"""Interaural coherence, level and time: loops in NumPy as the reference, and sounds whose cues are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import signal as scipy_signal

from tas_core.evaluation.metrics import ic_error, ild_error_db, interaural_coherence, itd_error_us

RATE = 16_000


def noise(seed: int, *shape: int, level: float = 0.2) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(shape)


def delayed(x: np.ndarray, seconds: float) -> np.ndarray:
    """Band-limited delay, circular in time."""
    freqs_hz = np.fft.rfftfreq(len(x), 1 / RATE)
    return np.fft.irfft(np.fft.rfft(x) * np.exp(-2j * np.pi * freqs_hz * seconds), n=len(x))


class Reference:
    """One tile at a time, straight from the definitions; the cross-correlation is taken in the time domain."""

    def __init__(self, ears: np.ndarray) -> None:
        size, hop = 800, 400
        windows = max(1, math.ceil((ears.shape[1] - size) / hop) + 1)
        padded = np.zeros((2, (windows - 1) * hop + size))
        padded[:, : ears.shape[1]] = ears
        shape = scipy_signal.get_window("hann", size)
        freqs_hz = np.arange(size + 1) * RATE / (2 * size)
        number = np.floor(21.4 * np.log10(1 + 0.00437 * freqs_hz))
        rows = sorted(set(number[number >= 2]))
        self.ic, self.ild, self.phase, self.energy, self.centre = (np.zeros((len(rows), windows)) for _ in range(5))
        for w in range(windows):
            left, right = (np.fft.rfft(padded[e, w * hop : w * hop + size] * shape, 2 * size) for e in range(2))
            for b, row in enumerate(rows):
                at = number == row
                pl, pr = np.sum(np.abs(left[at]) ** 2), np.sum(np.abs(right[at]) ** 2)
                best = -math.inf
                for lag_us in range(-1000, 1001, 20):
                    turn = np.exp(-2j * np.pi * freqs_hz[at] * lag_us * 1e-6)
                    best = max(best, float(np.sum(left[at] * right[at].conj() * turn).real))
                self.ic[b, w] = best / math.sqrt(pl * pr)
                floor = 1e-4 * (pl + pr)
                self.ild[b, w] = 10 * math.log10((pl + floor) / (pr + floor))
                self.phase[b, w] = np.angle(np.sum(left[at] * right[at].conj()))
                self.energy[b, w] = pl + pr
                power = np.abs(left[at]) ** 2 + np.abs(right[at]) ** 2
                self.centre[b, w] = np.sum(freqs_hz[at] * power) / (pl + pr)
        self.low = [freqs_hz[number == row].max() < 1500 for row in rows]


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two partly coherent signals of a length that fills no whole number of windows."""
    return tuple(  # type: ignore[return-value]
        np.stack([x := noise(s, 3333), 0.5 * delayed(x, 2e-4) + noise(s + 10, 3333, level=0.1)]) for s in (1, 2)
    )


def test_all_four_are_their_formulas(pair: tuple[np.ndarray, np.ndarray]) -> None:
    ours, theirs = Reference(pair[0]), Reference(pair[1])
    weight = theirs.energy
    np.testing.assert_allclose(interaural_coherence(pair[0], RATE), ours.ic, rtol=1e-7)
    assert float(ic_error(*pair, RATE)) == pytest.approx(np.average(np.abs(ours.ic - theirs.ic), weights=weight))
    assert float(ild_error_db(*pair, RATE)) == pytest.approx(np.average(np.abs(ours.ild - theirs.ild), weights=weight))
    turn = np.abs(np.angle(np.exp(1j * (ours.phase - theirs.phase))))
    late = np.minimum(turn / (2 * np.pi * theirs.centre), 1e-3)
    expected = 1e6 * np.average(late[theirs.low], weights=weight[theirs.low])
    assert float(itd_error_us(*pair, RATE)) == pytest.approx(expected, rel=1e-6)


def test_coherence_of_equal_delayed_and_independent_ears() -> None:
    x = noise(20, RATE)
    np.testing.assert_allclose(interaural_coherence(np.stack([x, x]), RATE), 1.0, atol=1e-9)
    np.testing.assert_allclose(interaural_coherence(np.stack([x, 0.3 * x]), RATE), 1.0, atol=1e-9)
    late = interaural_coherence(np.stack([x, delayed(x, 4e-4)]), RATE)[:, 1:-1]
    assert float(late.mean()) > 0.98
    apart = interaural_coherence(np.stack([x, noise(21, RATE)]), RATE, window_s=1.0)
    assert float(apart[15:].mean()) < 0.15
    assert float(interaural_coherence(np.stack([x, -x]), RATE)[0].max()) < -0.7


def test_coherence_where_an_ear_is_silent() -> None:
    x = noise(22, 4000)
    np.testing.assert_array_equal(interaural_coherence(np.stack([x, 0 * x]), RATE), 0.0)
    assert interaural_coherence(np.zeros((2, 4000)), RATE).isnan().all()


@pytest.mark.parametrize("measure", [ic_error, ild_error_db, itd_error_us])
def test_equal_signals_differ_in_nothing_and_a_silent_truth_in_nan(measure, pair) -> None:
    assert float(measure(pair[0], pair[0], RATE)) == pytest.approx(0.0, abs=1e-9)
    assert math.isnan(float(measure(pair[0], 0 * pair[0], RATE)))
    assert math.isfinite(float(measure(0 * pair[0], pair[0], RATE)))
    batch = measure(np.stack(pair), np.stack(pair[::-1]), RATE)
    assert batch.shape == (2,)
    assert float(batch[0]) == pytest.approx(float(measure(pair[0], pair[1], RATE)))


def test_a_gain_is_a_level_difference_of_its_size() -> None:
    x = noise(23, RATE)
    equal, louder_left, one_ear = np.stack([x, x]), np.stack([x, x / 2]), np.stack([x, 0 * x])
    assert float(ild_error_db(louder_left, equal, RATE)) == pytest.approx(6.02, abs=0.01)
    assert float(ild_error_db(louder_left, louder_left[::-1], RATE)) == pytest.approx(12.04, abs=0.02)
    assert float(ild_error_db(one_ear, one_ear[::-1], RATE)) == pytest.approx(80.0, abs=0.01)
    assert float(itd_error_us(louder_left, equal, RATE)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("late_us", [-250.0, 50.0, 300.0])
def test_a_delay_is_a_time_difference_of_its_size(late_us: float) -> None:
    x = noise(24, RATE)
    # A delay beyond half a period would wrap: bands that end below 1.5 kHz leave room for 333 us.
    late = np.stack([x, delayed(x, late_us * 1e-6)])
    assert float(itd_error_us(late, np.stack([x, x]), RATE)) == pytest.approx(abs(late_us), rel=0.02)
    assert float(ild_error_db(late, np.stack([x, x]), RATE)) < 0.5


def test_mono_is_too_coherent() -> None:
    """A diffuse truth has little coherence; the mono estimate of it has all, and pays for it."""
    truth = noise(25, 2, RATE)
    mono = np.repeat(truth.mean(axis=0, keepdims=True), 2, axis=0)
    assert float(ic_error(mono, truth, RATE)) > 0.6
    assert float(ic_error(noise(26, 2, RATE), truth, RATE)) < 0.2


@pytest.mark.parametrize("measure", [ic_error, ild_error_db, itd_error_us])
def test_what_is_no_signal_is_refused(measure) -> None:
    good = noise(27, 2, 900)
    bad = good.copy()
    bad[0, 0] = math.inf
    with pytest.raises(ValueError, match="infinite"):
        measure(good, bad, RATE)
    with pytest.raises(ValueError, match="shape"):
        measure(good, good[:, :-1], RATE)
    with pytest.raises(ValueError, match="4000"):
        measure(good, good, 2000)

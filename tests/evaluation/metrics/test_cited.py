"""BINAQUAL, GCC-PHAT and the multi-resolution STFT: their authors' programs as the reference, and closed forms.

auraloss, the reference of the multi-resolution STFT, is a package of ``tas[dev]``. BINAQUAL's and StereoCRW's programs
are no packages: of the first there are figures that it gave; the delay of the second is found by a transcription of its
own, and there are figures of a third program.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tas_core.evaluation.metrics import binaqual, cited, gcc_itd_error_us, mrstft_error

RATE = 16_000


def noise(seed: int, *shape: int, level: float = 0.2) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(shape)


def delayed(x: np.ndarray, seconds: float, rate_hz: int = RATE) -> np.ndarray:
    """Band-limited delay, circular in time."""
    freqs_hz = np.fft.rfftfreq(x.shape[-1], 1 / rate_hz)
    return np.fft.irfft(np.fft.rfft(x) * np.exp(-2j * np.pi * freqs_hz * seconds), n=x.shape[-1])


# ------------------------------------------------------------------ BINAQUAL


def chirps(seed: int, seconds: float = 1.6, rate_hz: int = 48_000) -> np.ndarray:
    """Two ears by formula alone: three gliding tones with harmonics each, no two alike, and no moment of silence."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    ears = np.zeros((2, len(t)))
    for ear in range(2):
        for k in range(1, 10):
            start_hz = 70.0 * k * (1 + 0.13 * ((seed * 7 + ear * 3 + k) % 11))
            bend_hz = 90.0 * math.sin(seed + 2.0 * ear + k)
            ears[ear] += np.sin(2 * np.pi * (start_hz * t + bend_hz * t**2) + seed * k + ear) / k
    return 0.1 * ears


WITNESS = {
    "another sound": 0.03302277085699967,
    "a late right ear": 0.39297671660110794,
    "a mix": 0.44320519991032137,
    "a mix, 27 bands": 0.42088670137593426,
    "mono": 0.20008937885174416,
}
"""LS by the authors' program (Apache-2.0, commit 6c9f726, OpenCV 4.10), which read the sounds from 64-bit files."""


def binaqual_pairs() -> dict[str, tuple[np.ndarray, np.ndarray, int]]:
    """Outputs and truths at 48 kHz, and the program's ``--ignorefreqbands``; 30 leaves it 27 bands."""
    truth = chirps(1)
    late = np.stack([truth[0], np.roll(truth[1], 24)])
    mixed = truth + 0.3 * chirps(2)
    return {
        "another sound": (chirps(2), truth, 0),
        "a late right ear": (late, truth, 0),
        "a mix": (mixed, truth, 0),
        "a mix, 27 bands": (mixed, truth, 30),
        "mono": (np.stack([truth.mean(axis=0)] * 2), truth, 0),
    }


@pytest.mark.parametrize("name", WITNESS)
def test_binaqual_by_the_program_of_its_authors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    output, truth, ignored = binaqual_pairs()[name]
    if ignored:
        all_bands = cited._bands_below(24_000)
        low_bands = cited._bands_below(8000)
        assert (len(all_bands), len(low_bands)) == (32, 27)
        monkeypatch.setattr(cited, "_bands_below", lambda limit_hz: low_bands)
    assert float(binaqual(output, truth, 48_000)) == pytest.approx(WITNESS[name], abs=1e-9)


def test_binaqual_of_equal_signals_is_one() -> None:
    truth = noise(0, 2, RATE)
    assert float(binaqual(truth, truth, RATE)) == pytest.approx(1, abs=1e-12)
    # Phases alone: no level changes them.
    assert float(binaqual(truth * [[0.01], [3.0]], truth, RATE)) == pytest.approx(1, abs=1e-6)


def test_binaqual_is_a_product_of_two_ears() -> None:
    """Both ears as the one, hence its square; and a sound that shares nothing is far from it."""
    truth, other = noise(1, RATE), noise(2, RATE)
    one = float(binaqual(np.stack([other, truth]), np.stack([truth, truth]), RATE))
    both = float(binaqual(np.stack([other, other]), np.stack([truth, truth]), RATE))
    assert both == pytest.approx(one**2, rel=1e-9)
    assert 0 < both < one < 0.4


def test_binaqual_falls_with_the_delay_of_an_ear() -> None:
    truth = noise(3, 2, RATE)
    found = [
        float(binaqual(np.stack([truth[0], delayed(truth[1], late_s)]), truth, RATE))
        for late_s in (0, 2e-5, 1e-4, 6e-4)
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] - found[-1] > 0.3
    # Whatever delays both ears moves nothing, and is heard all the same.
    assert float(binaqual(delayed(truth, 6e-4), truth, RATE)) < 0.7


def test_binaqual_needs_a_patch() -> None:
    truth = noise(4, 2, RATE)
    assert math.isnan(float(binaqual(truth[:, :7680], truth[:, :7680], RATE)))
    assert float(binaqual(truth[:, :7681], truth[:, :7681], RATE)) == pytest.approx(1, abs=1e-12)


# ------------------------------------------------------------------ GCC-PHAT


def phat_delay_s(left: np.ndarray, right: np.ndarray, rate_hz: int) -> float:
    """How far the left ear is late, by an inverse transform sixteen times as long."""
    size = 2 * len(left)
    cross = np.fft.rfft(left, size) * np.conj(np.fft.rfft(right, size))
    found = np.abs(np.fft.irfft(cross / (np.abs(cross) + 1e-20), 16 * size))
    most = 16 * rate_hz // 1000
    lags = np.arange(-most, most + 1)
    return float(lags[np.argmax(found[lags])]) / (16 * rate_hz)


def test_gcc_by_the_inverse_transform() -> None:
    """Ears in which two sounds with delays of their own come and go."""
    x, y = noise(5, 2 * RATE), noise(6, 2 * RATE) * (np.sin(np.arange(2 * RATE) / 2000) > 0)
    truth = np.stack([x + y, delayed(x, 3e-4) + delayed(y, -5e-4)])
    output = np.stack([x + 0.7 * y, delayed(x, 1e-4) + delayed(y, -7e-4)]) + noise(7, 2, 2 * RATE, level=0.02)
    errors = []
    for start in range(0, 2 * RATE - 3840 + 1600, 1600):
        pieces = [
            np.pad(s[:, start : start + 3840], ((0, 0), (0, max(0, start + 3840 - 2 * RATE)))) for s in (output, truth)
        ]
        errors.append(abs(phat_delay_s(*pieces[0], RATE) - phat_delay_s(*pieces[1], RATE)))
    assert len(errors) == 19
    assert float(gcc_itd_error_us(output, truth, RATE)) == pytest.approx(1e6 * np.mean(errors), rel=1e-9)


@pytest.mark.parametrize(("delay_s", "found_us"), [(-5e-4, -500.0), (1.3e-4, 128.90625), (7e-4, 699.21875)])
def test_gcc_by_another_program(delay_s: float, found_us: float) -> None:
    """What ``tdoa`` of pyroomacoustics 0.10 finds in one window of a delayed sound in noise, with ``interp=16``."""
    x = noise(1, 3840)
    late = delayed(x, delay_s) + 0.3 * noise(2, 3840)
    assert float(gcc_itd_error_us(np.stack([late, x]), np.stack([x, x]), RATE)) == pytest.approx(
        abs(found_us), abs=1e-6
    )


@pytest.mark.parametrize("delay_us", [-812.5, -50.0, 0.0, 62.5, 437.5])
def test_gcc_of_a_delay_is_the_delay(delay_us: float) -> None:
    x = noise(8, RATE)
    truth = np.stack([x, x])
    # To a sixteenth of a sample, 3.9 us.
    found = float(gcc_itd_error_us(np.stack([delayed(x, delay_us * 1e-6), x]), truth, RATE))
    assert found == pytest.approx(abs(delay_us), abs=2.0)
    # Levels, and the sign of an ear, change nothing.
    assert float(gcc_itd_error_us(np.stack([0.01 * x, -x]), truth, RATE)) == 0


def test_gcc_counts_where_the_truth_sounds() -> None:
    x = noise(9, 2 * RATE)
    x[RATE:] *= 1e-4  # 80 dB below
    truth = np.stack([x, x])
    late = np.stack([np.concatenate([x[:RATE], delayed(x[RATE:], 5e-4)]), x])
    assert float(gcc_itd_error_us(late, truth, RATE)) < 15  # but for the windows at the change
    assert float(gcc_itd_error_us(0 * truth, truth, RATE)) == 0
    silent_left = np.stack([0 * x, x])
    assert float(gcc_itd_error_us(silent_left, truth, RATE)) == 0
    assert math.isnan(float(gcc_itd_error_us(truth, 0 * truth, RATE)))


# ------------------------------------------------------------------ multi-resolution STFT


def test_mrstft_by_auraloss() -> None:
    auraloss = pytest.importorskip("auraloss", reason="auraloss is not installed: pip install 'tas[dev]'")
    loss = auraloss.freq.MultiResolutionSTFTLoss()
    truth = noise(10, 2, 5000)
    for output in (noise(11, 2, 5000), truth * [[0.5], [2.0]], 0 * truth, truth[::-1].copy(), truth + 1e-5):
        expected = loss(torch.from_numpy(output)[None].float(), torch.from_numpy(truth)[None].float())
        assert float(mrstft_error(output, truth)) == pytest.approx(float(expected), rel=1e-5, abs=1e-6)


def test_mrstft_of_levels_is_their_logarithm() -> None:
    """Where no bin is at the floor: |1 - g| + |ln g|."""
    truth = noise(12, 2, RATE, level=1.0)
    for gain in (0.5, 1.0, 3.0):
        expected = abs(1 - gain) + abs(math.log(gain))
        assert float(mrstft_error(gain * truth, truth)) == pytest.approx(expected, abs=1e-3)
    assert float(mrstft_error(-truth, truth)) == 0


def test_mrstft_needs_ends_to_reflect() -> None:
    truth = noise(13, 2, 1025)
    assert float(mrstft_error(truth, truth)) == 0
    assert math.isnan(float(mrstft_error(truth[:, :1024], truth[:, :1024])))


# ------------------------------------------------------------------ all


MEASURES = {
    "binaqual": lambda output, truth: binaqual(output, truth, RATE),
    "gcc_itd_error_us": lambda output, truth: gcc_itd_error_us(output, truth, RATE),
    "mrstft_error": mrstft_error,
}


@pytest.mark.parametrize("name", MEASURES)
def test_batches_and_tensors(name: str) -> None:
    output, truth = noise(14, 3, 2, 9000), noise(15, 3, 2, 9000)
    together = MEASURES[name](torch.from_numpy(output), torch.from_numpy(truth))
    assert together.shape == (3,)
    for k in range(3):
        assert float(together[k]) == pytest.approx(float(MEASURES[name](output[k], truth[k])), rel=1e-9)


@pytest.mark.parametrize("name", MEASURES)
def test_what_is_no_pair_is_refused(name: str) -> None:
    truth = noise(16, 2, 9000)
    spoilt = truth.copy()
    spoilt[1, 5] = np.nan
    for output, said in ((truth[:, :-1], "differ in shape"), (spoilt, "nan or infinite")):
        with pytest.raises(ValueError, match=said):
            MEASURES[name](output, truth)
    with pytest.raises(ValueError, match="two ears"):
        MEASURES[name](truth[:1], truth[:1])

"""The six measures of the paper's table against NumPy and SciPy transcriptions of their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import signal as scipy_signal

from tas_core.evaluation.metrics import (
    LONG_STFT,
    SHORT_STFT,
    PaperMetrics,
    StftSettings,
    amp_error,
    env_error,
    mono_mono,
    paper_metrics,
    peak_normalised,
    pha_error,
    snr_db,
    stft_error,
    wav_error_x1000,
)

NAMES = ("stft", "env", "wav_x1000", "amp", "pha", "snr_db")


def noise(seed: int, *shape: int, level: float = 0.2) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(shape)


def reference_spectrum(x: np.ndarray, n_fft: int, hop: int, size: int) -> np.ndarray:
    """(freq, frame), frame by frame: zeros around, a periodic Hann in the middle of each frame."""
    window = np.zeros(n_fft)
    start = (n_fft - size) // 2
    window[start : start + size] = scipy_signal.get_window("hann", size, fftbins=True)
    padded = np.concatenate([np.zeros(n_fft // 2), x, np.zeros(n_fft // 2)])
    frames = [padded[i * hop : i * hop + n_fft] * window for i in range(1 + len(x) // hop)]
    return np.array([np.fft.rfft(frame) for frame in frames]).T


def reference(p: np.ndarray, g: np.ndarray, n_fft: int = 512, size: int = 400) -> dict[str, float]:
    """The formulas, ear by ear."""
    small = [[reference_spectrum(x[e], 512, 160, 400) for e in range(2)] for x in (p, g)]
    phase_p, phase_g = (np.array([reference_spectrum(x[e], n_fft, 160, size) for e in range(2)]) for x in (p, g))
    stft = env = 0.0
    for e in range(2):
        difference = small[0][e] - small[1][e]
        stft += np.mean(np.concatenate([difference.real, difference.imag]) ** 2)
        env += np.sqrt(np.mean((np.abs(scipy_signal.hilbert(g[e])) - np.abs(scipy_signal.hilbert(p[e]))) ** 2))
    energy_p, energy_g = (np.abs(s.real) + np.abs(s.imag) for s in (phase_p, phase_g))
    kept = (energy_p > 0.2 * energy_g.mean()) & (energy_g > 0.2 * energy_g.mean())
    apart = np.abs(np.angle(phase_p[kept]) - np.angle(phase_g[kept]))
    return {
        "stft": stft,
        "env": env,
        "wav_x1000": 1000 * np.mean((p - g) ** 2),
        "amp": np.mean(np.abs(np.abs(phase_p) - np.abs(phase_g))),
        "pha": np.mean(np.pi - np.abs(apart - np.pi)),
        "snr_db": 10 * math.log10((np.mean(g**2) + 1e-4) / (np.mean((p - g) ** 2) + 1e-4)),
    }


@pytest.mark.parametrize("frames", [4000, 4321])
@pytest.mark.parametrize(("settings", "n_fft", "size"), [(SHORT_STFT, 512, 400), (LONG_STFT, 2048, 640)])
def test_every_measure_is_its_formula(frames: int, settings: StftSettings, n_fft: int, size: int) -> None:
    truth = noise(1, 2, frames)
    prediction = 0.6 * truth + noise(2, 2, frames, level=0.1)
    found = paper_metrics(prediction, truth, normalise=False, phase_stft=settings)
    for name, value in reference(prediction, truth, n_fft, size).items():
        assert float(getattr(found, name)) == pytest.approx(value, rel=1e-9), name
    scaled = reference(prediction / np.abs(prediction).max(), truth / np.abs(truth).max(), n_fft, size)
    for name, value in scaled.items():
        result = paper_metrics(prediction, truth, phase_stft=settings)
        assert float(getattr(result, name)) == pytest.approx(value, rel=1e-9), name


def test_our_transcription_agrees_with_scipys_transform() -> None:
    """Where window and transform are of one size, SciPy's own spectrogram can be compared."""
    x = noise(3, 3200)
    _, _, theirs = scipy_signal.stft(x, nperseg=640, noverlap=480, boundary="zeros", padded=False)
    scale = scipy_signal.get_window("hann", 640).sum()
    ours = reference_spectrum(x, 640, 160, 640)
    np.testing.assert_allclose(theirs * scale, ours[:, : theirs.shape[1]], atol=1e-12)


def test_single_precision_and_batches_give_the_same_figures() -> None:
    truth = noise(4, 3, 2, 5000)
    prediction = noise(5, 3, 2, 5000)
    single = paper_metrics(torch.from_numpy(prediction).float(), torch.from_numpy(truth).float())
    for name in NAMES:
        values = getattr(single, name)
        assert values.shape == (3,)
        assert values.dtype == torch.float32
        for clip in range(3):
            alone = getattr(paper_metrics(prediction[clip], truth[clip]), name)
            assert float(values[clip]) == pytest.approx(float(alone), rel=1e-4, abs=1e-6), name


def test_single_measures_are_the_table_without_normalisation() -> None:
    prediction, truth = noise(6, 2, 3000), noise(7, 2, 3000)
    table = paper_metrics(prediction, truth, normalise=False)
    alone = PaperMetrics(
        stft_error(prediction, truth),
        env_error(prediction, truth),
        wav_error_x1000(prediction, truth),
        amp_error(prediction, truth),
        pha_error(prediction, truth),
        snr_db(prediction, truth),
    )
    assert alone == table


def test_equal_signals_have_no_error() -> None:
    truth = noise(8, 2, 4000)
    found = paper_metrics(truth, truth.copy(), normalise=False)
    for name in NAMES[:-1]:
        assert float(getattr(found, name)) == 0.0
    assert float(found.snr_db) == pytest.approx(10 * math.log10(1 + 1e4 * np.mean(truth**2)), rel=1e-12)


def test_stft_is_the_windows_energy_times_the_mean_square_error() -> None:
    """White noise spreads its power evenly; the energy of a Hann window of 400 samples is 3/8 * 400 = 150."""
    truth, prediction = noise(9, 2, 160_000), noise(10, 2, 160_000)
    found = paper_metrics(prediction, truth, normalise=False)
    assert float(found.stft) == pytest.approx(150 * float(found.wav_x1000) / 1000, rel=0.02)


def test_a_hard_left_tone_against_mono_mono() -> None:
    """Each ear is off by half the tone: mean square a^2 / 8, envelopes off by a / 2 each."""
    time = np.arange(16_000) / 16_000
    ears = np.zeros((2, 16_000))
    ears[0] = 0.8 * np.sin(2 * np.pi * 500 * time)
    flat = mono_mono(ears)
    np.testing.assert_allclose(flat[0], ears[0] / 2)
    np.testing.assert_allclose(flat[1], ears[0] / 2)
    raw = paper_metrics(flat, ears, normalise=False)
    assert float(raw.wav_x1000) == pytest.approx(1000 * 0.8**2 / 8, rel=1e-9)
    assert float(raw.env) == pytest.approx(0.8, rel=1e-9)
    assert float(raw.snr_db) == pytest.approx(10 * math.log10((0.16 + 1e-4) / (0.08 + 1e-4)), rel=1e-9)
    # Normalised, Mono-Mono is right in the left ear, and a full tone in the right one, which should be silent.
    scaled = paper_metrics(flat, ears)
    assert float(scaled.wav_x1000) == pytest.approx(250.0, rel=1e-9)
    assert float(scaled.env) == pytest.approx(1.0, rel=1e-9)


def test_normalisation_takes_one_factor_for_both_ears() -> None:
    ears = np.array([[0.1, -0.5, 0.2], [0.05, 0.25, -0.1]])
    np.testing.assert_allclose(peak_normalised(ears), ears / 0.5)
    np.testing.assert_array_equal(peak_normalised(np.zeros((2, 5))), 0.0)
    truth = noise(11, 2, 2000)
    assert float(paper_metrics(0.1 * truth, truth).wav_x1000) == pytest.approx(0.0, abs=1e-20)
    assert float(paper_metrics(0.1 * truth, truth, normalise=False).wav_x1000) > 1


def test_phase_knows_a_sign_and_an_angle() -> None:
    truth = noise(12, 2, 8000)
    assert float(pha_error(-truth, truth)) == pytest.approx(math.pi, rel=1e-9)
    time = np.arange(16_000) / 16_000
    tone = np.tile(np.sin(2 * np.pi * 1000 * time), (2, 1))
    late = np.tile(np.sin(2 * np.pi * 1000 * time - 0.7), (2, 1))
    assert float(pha_error(late, tone)) == pytest.approx(0.7, rel=0.02)


def test_silence_is_stated() -> None:
    silent = np.zeros((2, 2000))
    both = paper_metrics(silent, silent)
    assert math.isnan(float(both.pha))
    assert all(float(getattr(both, name)) == 0 for name in NAMES if name != "pha")
    truth = noise(13, 2, 2000)
    one = paper_metrics(silent, truth, normalise=False)
    assert math.isnan(float(one.pha))
    assert float(one.snr_db) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    "measure", [stft_error, env_error, wav_error_x1000, amp_error, pha_error, snr_db, paper_metrics]
)
def test_what_is_no_signal_is_refused(measure) -> None:
    good = noise(14, 2, 500)
    bad = good.copy()
    bad[1, 7] = math.nan
    for prediction, truth, says in (
        (bad, good, "nan"),
        (good, bad, "nan"),
        (good, good[:, 1:], "shape"),
        (good[0], good[0], "two ears"),
        (np.zeros((2, 0)), np.zeros((2, 0)), "sample"),
        (np.zeros((2, 9), np.int16), np.zeros((2, 9), np.int16), "floating"),
    ):
        with pytest.raises(ValueError, match=says):
            measure(prediction, truth)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_figures() -> None:
    prediction, truth = (torch.from_numpy(noise(s, 4, 2, 16_000)).float() for s in (15, 16))
    here, there = paper_metrics(prediction, truth), paper_metrics(prediction.cuda(), truth.cuda())
    for name in NAMES:
        torch.testing.assert_close(getattr(there, name).cpu(), getattr(here, name), rtol=1e-4, atol=1e-5)

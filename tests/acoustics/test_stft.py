from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import signal as scipy_signal

from tas_core.acoustics.stft import istft, local_level, stft

N_FFT, HOP = 1024, 256


def _noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("length", [1, 255, 256, 1000, 1024, 4097])
@pytest.mark.parametrize("overlap", [2, 4, 8])
def test_istft_returns_the_signal(length: int, overlap: int) -> None:
    x = _noise(2, length)
    hop = N_FFT // overlap
    back = istft(stft(x, N_FFT, hop), N_FFT, hop, length)
    # A few hundred additions of numbers near 1, in float64.
    torch.testing.assert_close(back, x, rtol=0, atol=1e-12)


def test_single_precision_is_good_for_single_precision() -> None:
    x = _noise(16000).float()
    torch.testing.assert_close(istft(stft(x, N_FFT, HOP), N_FFT, HOP, 16000), x, rtol=0, atol=3e-6)


def test_stft_is_its_definition() -> None:
    n_fft, hop, length = 16, 4, 37
    x = _noise(length).numpy()
    n = np.arange(n_fft)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / n_fft)
    frames = 1 + length // hop
    expected = np.zeros((n_fft // 2 + 1, frames), complex)
    for t in range(frames):
        # Centred: sample t * hop is under the middle of the window; zeros beyond the ends.
        at = t * hop - n_fft // 2 + n
        piece = np.where((at >= 0) & (at < length), x[np.clip(at, 0, length - 1)], 0.0)
        for k in range(n_fft // 2 + 1):
            expected[k, t] = (window * piece * np.exp(-2j * np.pi * k * n / n_fft)).sum()
    np.testing.assert_allclose(stft(torch.from_numpy(x), n_fft, hop).numpy(), expected, rtol=0, atol=1e-12)


def test_stft_agrees_with_scipy() -> None:
    x = _noise(5000)
    _, _, theirs = scipy_signal.stft(
        x.numpy(), nperseg=N_FFT, noverlap=N_FFT - HOP, boundary="zeros", padded=False, detrend=False
    )
    theirs = theirs * scipy_signal.get_window("hann", N_FFT).sum()  # SciPy divides by the sum of the window
    ours = stft(x, N_FFT, HOP).numpy()
    assert ours.shape[-1] == 1 + 5000 // HOP
    np.testing.assert_allclose(ours[:, : theirs.shape[1]], theirs, rtol=0, atol=1e-10)


def test_stft_is_torchaudios_to_the_bit() -> None:
    functional = pytest.importorskip("torchaudio").functional
    x = _noise(2, 5000)
    window = torch.hann_window(800, dtype=x.dtype)
    theirs = functional.spectrogram(x, 0, window, N_FFT, HOP, 800, None, False, True, "constant", True)
    assert torch.equal(stft(x, N_FFT, HOP, 800), theirs)
    back = functional.inverse_spectrogram(theirs, 5000, 0, window, N_FFT, HOP, 800, False, True, "constant", True)
    assert torch.equal(istft(theirs, N_FFT, HOP, 5000, 800), back)


def test_leading_axes_are_separate_signals() -> None:
    x = _noise(2, 3, 2000)
    whole = stft(x, N_FFT, HOP)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(whole[i, j], stft(x[i, j], N_FFT, HOP), rtol=0, atol=1e-12)
    assert istft(whole, N_FFT, HOP, 2000).shape == x.shape


@pytest.mark.parametrize("radius", [0, 1, 5, 200])
def test_level_of_a_constant_is_its_root_up_to_the_ends(radius: int) -> None:
    level = local_level(torch.full((2, 3, 21), 9.0, dtype=torch.float64), radius)
    torch.testing.assert_close(level, torch.full((2, 3, 21), 3.0, dtype=torch.float64), rtol=1e-12, atol=0)


def test_level_averages_what_is_there() -> None:
    power = torch.tensor([6.0, 0.0, 0.0, 0.0, 12.0], dtype=torch.float64)
    # Two frames count at the ends, three in the middle.
    expected = torch.tensor([6 / 2, 6 / 3, 0, 12 / 3, 12 / 2], dtype=torch.float64).sqrt()
    torch.testing.assert_close(local_level(power, 1), expected, rtol=1e-12, atol=0)


def test_level_is_the_plain_mean_over_the_window() -> None:
    power = _noise(50).square()
    for radius in (3, 12, 80):
        expected = [np.sqrt(power[max(0, t - radius) : t + radius + 1].mean().item()) for t in range(50)]
        np.testing.assert_allclose(local_level(power, radius).numpy(), expected, rtol=1e-12)

"""Short-time Fourier transform with one set of conventions, for all model families.

Frames are centred (frame t is centred on sample t * hop), zero padded at the ends, with a periodic Hann
window, which may be shorter than the transform; the inverse divides by the sum of its squares, so that
``istft(stft(x))`` returns x to rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor


def stft(signal: Tensor, n_fft: int, hop: int, win_length: int | None = None) -> Tensor:
    """Complex spectrogram (..., freq, frame) of a real signal (..., time); frame = 1 + time // hop.

    Args:
        signal: (..., time).
        n_fft: length of the transform, samples.
        hop: between frames, samples.
        win_length: length of the window in the middle of each frame, at most n_fft, which None stands for.
    """
    window = torch.hann_window(win_length or n_fft, device=signal.device, dtype=signal.dtype)
    flat = signal.reshape(-1, signal.shape[-1])
    out = torch.stft(flat, n_fft, hop, win_length, window, center=True, pad_mode="constant", return_complex=True)
    return out.reshape(*signal.shape[:-1], *out.shape[-2:])


def istft(spectrum: Tensor, n_fft: int, hop: int, length: int, win_length: int | None = None) -> Tensor:
    """Real signal (..., time) of ``length`` samples from a complex spectrogram (..., freq, frame)."""
    window = torch.hann_window(win_length or n_fft, device=spectrum.device, dtype=spectrum.real.dtype)
    flat = spectrum.reshape(-1, *spectrum.shape[-2:])
    out = torch.istft(flat, n_fft, hop, win_length, window, center=True, length=length)
    return out.reshape(*spectrum.shape[:-2], length)


def mean_square_scale(n_fft: int) -> float:
    """Divisor that turns the sum of a squared spectrogram over the bins 0 to n_fft / 2 into a mean square.

    The squares of a periodic Hann window sum to 3/8 of its length; half of the spectrum is there.
    """
    return 3 / 16 * n_fft**2


def local_mean(power: Tensor, radius: int) -> Tensor:
    """Mean of ``power`` (..., frame), at least 0, over 2 * radius + 1 frames; the ends average what is there."""
    flat = power.reshape(-1, 1, power.shape[-1])
    mean = torch.nn.functional.avg_pool1d(flat, 2 * radius + 1, 1, radius, count_include_pad=False)
    return mean.reshape(power.shape).clamp_min(0)


def local_level(power: Tensor, radius: int) -> Tensor:
    """Root of :func:`local_mean`."""
    return local_mean(power, radius).sqrt()

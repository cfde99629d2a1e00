"""Short-time Fourier transform with the conventions of the ``slots`` family, in one place.

Frames are centred (frame t is centred on sample t * hop), zero padded at the ends, with a periodic Hann
window; at 75 % overlap its squares sum to a constant, so ``istft(stft(x))`` returns x to rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor


def stft(signal: Tensor, n_fft: int, hop: int) -> Tensor:
    """Complex spectrogram (..., freq, frame) of a real signal (..., time); frame = 1 + time // hop."""
    window = torch.hann_window(n_fft, device=signal.device, dtype=signal.dtype)
    flat = signal.reshape(-1, signal.shape[-1])
    out = torch.stft(flat, n_fft, hop, window=window, center=True, pad_mode="constant", return_complex=True)
    return out.reshape(*signal.shape[:-1], *out.shape[-2:])


def istft(spectrum: Tensor, n_fft: int, hop: int, length: int) -> Tensor:
    """Real signal (..., time) of ``length`` samples from a complex spectrogram (..., freq, frame)."""
    window = torch.hann_window(n_fft, device=spectrum.device, dtype=spectrum.real.dtype)
    flat = spectrum.reshape(-1, *spectrum.shape[-2:])
    out = torch.istft(flat, n_fft, hop, window=window, center=True, length=length)
    return out.reshape(*spectrum.shape[:-2], length)


def local_level(power: Tensor, radius: int) -> Tensor:
    """Root of the mean of ``power`` (..., frame) over 2 * radius + 1 frames; the ends average what is there."""
    size = 2 * radius + 1
    flat = power.reshape(-1, 1, power.shape[-1])
    mean = torch.nn.functional.avg_pool1d(flat, size, 1, radius, count_include_pad=False)
    return mean.clamp_min(0).sqrt().reshape(power.shape)

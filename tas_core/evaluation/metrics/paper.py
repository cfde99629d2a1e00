"""The six measures of the paper's table, as the public code of its predecessors defines them.

With P and G the short-time spectra of prediction and truth at 16 kHz, p and g their samples:

    stft       sum over ears of mean over (real, imaginary; frequency; frame) of (P - G)^2
    env        sum over ears of the root mean square of |analytic(g)| - |analytic(p)|
    wav_x1000  1000 * mean over ears and time of (p - g)^2
    amp        mean over ears, frequency and frame of | |P| - |G| |
    pha        mean wrapped |angle P - angle G|, rad, over bins with energy in both
    snr_db     10 log10[(mean g^2 + 1e-4) / (mean (p - g)^2 + 1e-4)]

For white noise ``stft`` is 150 times the mean square error, 150 being the energy of the window.
Leading axes are batch axes; everything runs on the device of its input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from tas_core.conventions import LEFT_EAR, RIGHT_EAR, power_to_db
from tas_core.evaluation.metrics.checks import Signal, check_ears, check_pair

PAPER_RATE_HZ: Final = 16_000
_TINY_PEAK = 1e-20
_SNR_FLOOR = 1e-4
_PHASE_GATE = 0.2


@dataclass(frozen=True)
class StftSettings:
    """Size of the transform, samples between frames, and length of the window, in samples."""

    n_fft: int
    hop: int
    window: int


SHORT_STFT: Final = StftSettings(512, 160, 400)
LONG_STFT: Final = StftSettings(2048, 160, 640)


@dataclass(frozen=True)
class PaperMetrics:
    """The six measures, each (...) over the batch axes of the input. Lower is better, but for ``snr_db``."""

    stft: Tensor
    env: Tensor
    wav_x1000: Tensor
    amp: Tensor
    pha: Tensor
    snr_db: Tensor


def peak_normalised(ears: Signal) -> Tensor:
    """Ears (..., ear, time) divided by their largest magnitude, one factor for both ears; silence stays silent.

    Raises:
        ValueError: not two ears, no samples, or non-finite samples.
    """
    signal = check_ears(ears, "ears")
    return signal / signal.abs().amax(dim=(-2, -1), keepdim=True).clamp_min(_TINY_PEAK)


def mono_mono(ears: Signal) -> Tensor:
    """The Mono-Mono baseline (..., ear, time): (L + R) / 2 in both ears. ValueError as :func:`peak_normalised`."""
    signal = check_ears(ears, "ears")
    middle = (signal[..., LEFT_EAR, :] + signal[..., RIGHT_EAR, :]) / 2
    return torch.stack([middle, middle], dim=-2)


def spectrum(signal: Signal, settings: StftSettings = SHORT_STFT) -> Tensor:
    """Complex spectrogram (..., freq, frame) of a real signal (..., time); frame = 1 + time // hop.

    The window is a periodic Hann in the middle of the transform; frames are centred and the ends padded with zeros.
    """
    tensor = torch.as_tensor(signal)
    window = torch.hann_window(settings.window, periodic=True, dtype=tensor.dtype, device=tensor.device)
    found = torch.stft(
        tensor.reshape(-1, tensor.shape[-1]),
        settings.n_fft,
        settings.hop,
        settings.window,
        window,
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    return found.reshape(*tensor.shape[:-1], *found.shape[-2:])


def envelope(signal: Tensor) -> Tensor:
    """Magnitude (..., time) of the analytic signal: negative frequencies removed, positive ones doubled."""
    size = signal.shape[-1]
    gain = torch.zeros(size, dtype=signal.dtype, device=signal.device)
    gain[0] = 1
    gain[1 : (size + 1) // 2] = 2
    if size % 2 == 0:
        gain[size // 2] = 1
    return torch.fft.ifft(torch.fft.fft(signal) * gain).abs()


def stft_error(prediction: Signal, truth: Signal) -> Tensor:
    """STFT distance (...), squared full scale; 0 for equal signals. Shapes, errors: :func:`paper_metrics`."""
    first, second = check_pair(prediction, truth)
    return _stft_error(spectrum(first), spectrum(second))


def env_error(prediction: Signal, truth: Signal) -> Tensor:
    """Envelope distance (...), full scale; 0 for equal signals. Shapes, errors: :func:`paper_metrics`."""
    first, second = check_pair(prediction, truth)
    return (envelope(second) - envelope(first)).square().mean(dim=-1).sqrt().sum(dim=-1)


def wav_error_x1000(prediction: Signal, truth: Signal) -> Tensor:
    """1000 times the mean square error (...); 0 for equal signals. Shapes, errors: :func:`paper_metrics`."""
    first, second = check_pair(prediction, truth)
    return 1000 * (first - second).square().mean(dim=(-2, -1))


def amp_error(prediction: Signal, truth: Signal, settings: StftSettings = SHORT_STFT) -> Tensor:
    """Magnitude distance (...), full scale; 0 for equal signals. Shapes, errors: :func:`paper_metrics`."""
    first, second = check_pair(prediction, truth)
    return _amp_error(spectrum(first, settings), spectrum(second, settings))


def pha_error(prediction: Signal, truth: Signal, settings: StftSettings = SHORT_STFT) -> Tensor:
    """Phase distance (...), rad, 0 to pi; nan where no bin counts. Shapes, errors: :func:`paper_metrics`.

    A bin counts where |real| + |imaginary| of both spectra exceeds 0.2 times its mean over the truth (both ears).
    """
    first, second = check_pair(prediction, truth)
    return _pha_error(spectrum(first, settings), spectrum(second, settings))


def snr_db(prediction: Signal, truth: Signal) -> Tensor:
    """Signal-to-noise ratio (...), dB. Shapes, errors: :func:`paper_metrics`.

    The floors of 1e-4 make it 0 for two silent signals, and 10 log10(1 + 1e4 mean g^2) for equal ones.
    """
    first, second = check_pair(prediction, truth)
    signal, noise = second.square().mean(dim=(-2, -1)), (first - second).square().mean(dim=(-2, -1))
    return power_to_db((signal + _SNR_FLOOR) / (noise + _SNR_FLOOR))


def paper_metrics(
    prediction: Signal, truth: Signal, *, normalise: bool = True, phase_stft: StftSettings = SHORT_STFT
) -> PaperMetrics:
    """All six measures of one clip, or of a batch of clips of one length.

    Args:
        prediction: (..., ear, time) at 16 kHz, full scale 1.
        truth: the same shape.
        normalise: divide each signal by its own peak first, as the paper's table does. Errors of level are lost.
        phase_stft: transform behind ``amp`` and ``pha``, which the paper leaves open; :data:`LONG_STFT` is in use too.

    Returns:
        Silence on both sides gives zeros, and nan for ``pha``; silence on one side gives finite values but for ``pha``.

    Raises:
        ValueError: unequal shapes, not two ears, no samples, or non-finite samples.
    """
    first, second = check_pair(prediction, truth)
    if normalise:
        first, second = peak_normalised(first), peak_normalised(second)
    short = spectrum(first), spectrum(second)
    phase = short if phase_stft == SHORT_STFT else (spectrum(first, phase_stft), spectrum(second, phase_stft))
    return PaperMetrics(
        stft=_stft_error(*short),
        env=env_error(first, second),
        wav_x1000=wav_error_x1000(first, second),
        amp=_amp_error(*phase),
        pha=_pha_error(*phase),
        snr_db=snr_db(first, second),
    )


def _stft_error(first: Tensor, second: Tensor) -> Tensor:
    return torch.view_as_real(first - second).square().mean(dim=(-3, -2, -1)).sum(dim=-1)


def _amp_error(first: Tensor, second: Tensor) -> Tensor:
    return (first.abs() - second.abs()).abs().mean(dim=(-3, -2, -1))


def _pha_error(first: Tensor, second: Tensor) -> Tensor:
    ours, theirs = (x.real.abs() + x.imag.abs() for x in (first, second))
    gate = _PHASE_GATE * theirs.mean(dim=(-3, -2, -1), keepdim=True)
    counts = (ours > gate) & (theirs > gate)
    apart = (first.angle() - second.angle()).abs()
    wrapped = math.pi - (apart - math.pi).abs()
    return (wrapped * counts).sum(dim=(-3, -2, -1)) / counts.sum(dim=(-3, -2, -1))

"""Measures that other papers give: BINAQUAL, the ears' time difference by GCC-PHAT, and the multi-resolution STFT.

They are here so that figures can stand beside published ones, not because they say more than the others; what each of
them cannot hear is in its docstring. Leading axes are batch axes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from tas_core.audio.resampling import resample
from tas_core.conventions import LEFT_EAR, RIGHT_EAR, db_to_power
from tas_core.evaluation.metrics.checks import Signal, check_pair

_BINAQUAL_RATE_HZ: Final = 48_000
_PHASE_WINDOW: Final = 1536
_PHASE_HOP: Final = 768
_PHASE_FFT: Final = 2048
_PHASE_BINS: Final = slice(1, 641)
_SILENCE_BEFORE: Final = 11_520
_PATCH_FRAMES: Final = 30
_FIRST_FRAME: Final = 15
_BINS_PER_BAND: Final = (
    *(2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 6, 6, 7, 8, 9, 10),
    *(11, 14, 14, 17, 19, 22, 25, 28, 32, 36, 41, 47, 53, 60, 68, 78),
)
_NEIGHBOURS: Final = ((0.0113, 0.0838, 0.0113), (0.0838, 0.6193, 0.0838), (0.0113, 0.0838, 0.0113))
_INTENSITY_FLOOR: Final = (0.01 * 2 * math.pi) ** 2
_STRUCTURE_FLOOR: Final = (0.03 * 2 * math.pi) ** 2 / 2

_GCC_WINDOW_S: Final = 0.24
_GCC_HOP_S: Final = 0.1
_GCC_LIMIT_S: Final = 1e-3
_GCC_STEPS: Final = 16
_GCC_RANGE_DB: Final = 40.0
_WINDOWS_AT_ONCE: Final = 64

_RESOLUTIONS: Final = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
_SMALLEST_POWER: Final = 1e-8


def binaqual(output: Signal, truth: Signal, sample_rate_hz: int) -> Tensor:
    """BINAQUAL's localisation similarity LS (...), 1 for equal signals and about 0 for unrelated ones.

    Each ear's *phase* is compared with the same ear's of the truth, and LS is the product of both ears' similarities
    (Shariat Panah, Barry, Ragano, Skoglund and Hines, arXiv 2505.11915, with the constants of the authors' program):

    * At 48 kHz, behind 0.24 s of silence: Hamming windows of 32 ms every 16 ms, transformed at 2048 samples; the angles
      of bins 1 to 640, 23 Hz to 15 kHz, -pi to pi. Patches of 30 frames side by side, from frame 15 on.
    * Between the patches r and d of an ear, with means, variances and covariance under a Gaussian of 3 by 3 points,

          NSIM = (2 m_r m_d + c1) / (m_r^2 + m_d^2 + c1) * (s_rd + c3) / (s_r s_d + c3)

      where c1 = (0.01 * 2 pi)^2 and c3 = (0.03 * 2 pi)^2 / 2 (Hines and Harte, 2012; Narbutt et al., AMBIQUAL, 2020).
    * NSIM is averaged over the bins of each of 32 bands, over time, over bands, over patches.

    Of a rate below 30 kHz only bands below half of it are averaged, 27 at 16 kHz, as with the program's own limit; such
    figures compare with each other, not with those of 48 kHz. The program's mask of tiles below -180 dB is left out: it
    acts only where a sound has just ended in digital silence.

    It hears nothing of levels, so a place made by level alone, or an ear that is 20 dB too soft, changes nothing; loud
    and soft moments count alike, the last half second of a sound may not count, and a delay of both ears, which moves
    nothing, counts as an error.

    Args:
        output: (..., ear, time).
        truth: the same shape.
        sample_rate_hz: of both.

    Returns:
        nan for signals of up to 0.48 s, which fill no patch.

    Raises:
        ValueError: unequal shapes, not two ears, no samples, or non-finite samples.
    """
    signals = check_pair(output, truth)
    device = signals[0].device
    framed = [_phase_frames(signal, sample_rate_hz) for signal in signals]
    bands = _bands_below(sample_rate_hz / 2)
    kernel = torch.tensor(_NEIGHBOURS, dtype=torch.float64)
    kernel = kernel / kernel.sum()
    patches = []
    for start in range(_FIRST_FRAME, framed[0].shape[-2] - _PATCH_FRAMES - 2, _PATCH_FRAMES):
        ours, theirs = (_phases(frames[..., start : start + _PATCH_FRAMES, :]) for frames in framed)
        similarity = _nsim(theirs, ours, kernel).mean(dim=-1)
        patches.append(torch.stack([similarity[..., band].mean(dim=-1) for band in bands], dim=-1).mean(dim=-1))
    if not patches:
        return torch.full(signals[0].shape[:-2], torch.nan, dtype=torch.float64, device=device)
    return torch.stack(patches).mean(dim=0).prod(dim=-1).to(device)


def gcc_itd_error_us(output: Signal, truth: Signal, sample_rate_hz: int) -> Tensor:
    """Mean absolute difference of the ears' delay by GCC-PHAT (...), microseconds, 0 to 2000; lower is better.

    In windows of 240 ms every 100 ms (the last one padded with zeros), with L and R the spectra at twice that length,
    the delay is the t within 1 ms, at a sixteenth of a sample, at which

        | sum L conj(R) / |L conj(R)| exp(2 pi i f t) |

    is largest (Knapp and Carter, 1976; windows and step: StereoCRW, Chen, Fouhey and Owens, 2022, as used for "GCC MAE"
    by Sun et al., "Both Ears Wide Open", 2025). Windows of the truth more than 40 dB below its loudest do not count; an
    output that is silent in one has no delay, 0.

    The paper last named compares the mean delays of whole clips, at one sample; this compares window by window, so that
    what moves is followed. It hears nothing of levels and has one delay for everything that sounds at a time, the
    strongest one's, so a mix may jump between its sounds. ``itd_error_us`` has no such jumps.

    Args:
        output: (..., ear, time).
        truth: the same shape.
        sample_rate_hz: of both.

    Returns:
        nan where the truth is silent throughout.

    Raises:
        ValueError: unequal shapes, not two ears, no samples, or non-finite samples.
    """
    ours, theirs = (signal.double().cpu() for signal in check_pair(output, truth))
    size, hop = round(_GCC_WINDOW_S * sample_rate_hz), round(_GCC_HOP_S * sample_rate_hz)
    delay_s = _DelayFinder(size, sample_rate_hz)
    errors, powers = [], []
    for first, second in zip(_windows(ours, size, hop), _windows(theirs, size, hop), strict=True):
        errors.append((delay_s(first) - delay_s(second)).abs())
        powers.append(second.square().mean(dim=-1).sum(dim=-2))
    error_s, power = torch.cat(errors, dim=-1), torch.cat(powers, dim=-1)
    counts = (power > power.amax(dim=-1, keepdim=True) * db_to_power(-_GCC_RANGE_DB)) & (power > 0)
    return 1e6 * (error_s * counts).sum(dim=-1) / counts.sum(dim=-1)


def mrstft_error(output: Signal, truth: Signal) -> Tensor:
    """Multi-resolution STFT distance (...), 0 for equal signals, no upper limit; lower is better.

    Mean over three resolutions of spectral convergence and log-magnitude distance, with P and G the magnitudes of both
    ears together, at least 1e-4,

        ||G - P|| / ||G||  +  mean |ln P - ln G|

    as auraloss (Steinmetz and Reiss, 2020) computes it of one stereo signal, with transforms of 1024, 2048 and 512
    samples every 120, 240 and 50, Hann windows of 600, 1200 and 240, and reflected ends (after Yamamoto, Song and Kim,
    "Parallel WaveGAN", 2020). Those are samples: figures of another rate, or of other resolutions, do not compare.

    It hears nothing of phase, so a place made by time alone changes nothing; the logarithm lets the softest bins count
    as much as the loudest, and levels count as they are.

    Args:
        output: (..., ear, time).
        truth: the same shape.

    Returns:
        nan for signals of less than 1025 samples, which have no ends to reflect.

    Raises:
        ValueError: unequal shapes, not two ears, no samples, or non-finite samples.
    """
    ours, theirs = check_pair(output, truth)
    if ours.shape[-1] <= max(n_fft for n_fft, _, _ in _RESOLUTIONS) // 2:
        return torch.full(ours.shape[:-2], torch.nan, dtype=ours.dtype, device=ours.device)
    found = []
    for resolution in _RESOLUTIONS:
        first, second = _magnitudes(ours, *resolution), _magnitudes(theirs, *resolution)
        axes = (-3, -2, -1)
        convergence = (second - first).square().sum(dim=axes).sqrt() / second.square().sum(dim=axes).sqrt()
        found.append(convergence + (first.log() - second.log()).abs().mean(dim=axes))
    return torch.stack(found).mean(dim=0)


def _phase_frames(signal: Tensor, sample_rate_hz: int) -> Tensor:
    """Overlapping stretches (..., ear, frame, sample) at 48 kHz of a signal (..., ear, time), silence before it."""
    samples = resample(signal.double().cpu().numpy(), sample_rate_hz, _BINAQUAL_RATE_HZ)
    before = _SILENCE_BEFORE + _PHASE_HOP + _PHASE_WINDOW // 2
    size = before + samples.shape[-1] + _PHASE_WINDOW // 2
    padded = torch.nn.functional.pad(
        torch.from_numpy(samples), (before, _PHASE_WINDOW // 2 + -(size - _PHASE_WINDOW) % _PHASE_HOP)
    )
    return padded.unfold(-1, _PHASE_WINDOW, _PHASE_HOP)


def _phases(frames: Tensor) -> Tensor:
    """Angles (..., frame, bin) of stretches (..., frame, sample), -pi to pi."""
    window = torch.hamming_window(_PHASE_WINDOW, periodic=True, dtype=frames.dtype)
    return torch.fft.rfft(frames * window, _PHASE_FFT)[..., _PHASE_BINS].angle().transpose(-1, -2)


def _bands_below(limit_hz: float) -> list[slice]:
    """Bins of each band, counted from the first that is compared, of the bands that end below a frequency."""
    bands, first = [], 0
    for count in _BINS_PER_BAND:
        last_hz = (_PHASE_BINS.start + first + count - 1) * _BINAQUAL_RATE_HZ / _PHASE_FFT
        if last_hz < limit_hz:
            bands.append(slice(first, first + count))
        first += count
    return bands


def _nsim(reference: Tensor, test: Tensor, kernel: Tensor) -> Tensor:
    """Similarity at each point of two patches (..., bin, frame); edges are repeated beyond the patch."""

    def smooth(value: Tensor) -> Tensor:
        flat = value.reshape(-1, 1, *value.shape[-2:])
        padded = torch.nn.functional.pad(flat, (1, 1, 1, 1), mode="replicate")
        return torch.nn.functional.conv2d(padded, kernel[None, None]).reshape(value.shape)

    mean_r, mean_d = smooth(reference), smooth(test)
    # Rounding must not make a variance negative.
    variance_r = (smooth(reference.square()) - mean_r.square()).clamp_min(0)
    variance_d = (smooth(test.square()) - mean_d.square()).clamp_min(0)
    covariance = smooth(reference * test) - mean_r * mean_d
    intensity = (2 * mean_r * mean_d + _INTENSITY_FLOOR) / (mean_r.square() + mean_d.square() + _INTENSITY_FLOOR)
    structure = (covariance + _STRUCTURE_FLOOR) / ((variance_r * variance_d).sqrt() + _STRUCTURE_FLOOR)
    return intensity * structure


def _windows(ears: Tensor, size: int, hop: int) -> Iterator[Tensor]:
    """Stretches (..., ear, window, sample) of a signal (..., ear, time), some at a time."""
    count = max(1, math.ceil((ears.shape[-1] - size) / hop) + 1)
    padded = torch.nn.functional.pad(ears, (0, (count - 1) * hop + size - ears.shape[-1]))
    yield from padded.unfold(-1, size, hop).split(_WINDOWS_AT_ONCE, dim=-2)


class _DelayFinder:
    """Delay of the left ear by GCC-PHAT in windows of one length; the tables of its transform are made once."""

    def __init__(self, size: int, sample_rate_hz: int) -> None:
        self._size = 2 * size
        steps = math.floor(_GCC_LIMIT_S * sample_rate_hz * _GCC_STEPS)
        self._lags_s = torch.arange(-steps, steps + 1, dtype=torch.float64) / (_GCC_STEPS * sample_rate_hz)
        bins_hz = torch.fft.rfftfreq(self._size, 1 / sample_rate_hz, dtype=torch.float64)
        angle = 2 * math.pi * bins_hz[:, None] * self._lags_s
        self._cos, self._sin = angle.cos(), angle.sin()

    def __call__(self, windows: Tensor) -> Tensor:
        """Seconds (..., window) of (..., ear, window, sample); 0 where an ear is silent."""
        spectra = torch.fft.rfft(windows, self._size)
        cross = spectra[..., LEFT_EAR, :, :] * spectra[..., RIGHT_EAR, :, :].conj()
        strength = cross.abs()
        cross = torch.where(strength > 0, cross / strength.clamp_min(1e-300), 0)
        # The real part of a spectrum's other half is the same; its first bin has none.
        cross[..., 1:] *= 2
        best, number = (cross.real @ self._cos - cross.imag @ self._sin).abs().max(dim=-1)
        return torch.where(best > 0, self._lags_s[number], 0.0)


def _magnitudes(ears: Tensor, n_fft: int, hop: int, window: int) -> Tensor:
    """Magnitudes (..., ear, freq, frame), at least 1e-4."""
    shape = torch.hann_window(window, periodic=True, dtype=ears.dtype, device=ears.device)
    spectra = torch.stft(
        ears.reshape(-1, ears.shape[-1]), n_fft, hop, window, shape, pad_mode="reflect", return_complex=True
    )
    power = spectra.real.square() + spectra.imag.square()
    return power.clamp_min(_SMALLEST_POWER).sqrt().reshape(*ears.shape[:-1], *spectra.shape[-2:])

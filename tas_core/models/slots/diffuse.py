"""The diffuse part of the side signal: what masks and direction filters cannot know, sampled by diffusion.

Reverberation reaches the ears from everywhere and is largely incoherent between them; its least-squares estimate is
zero. :class:`DiffuseResidual` models r = side - directional part in units of the local level s of mid,

    u = r / (scale * s),      noisy_n = sqrt(abar_n) u + sqrt(1 - abar_n) noise,

with the residual stack of the paper's model on spectrogram frames. For Gaussian u of unit variance the best
estimate of u is sqrt(abar_n) noisy_n; the network predicts the correction to it,

    u0 = sqrt(abar_n) noisy_n + sqrt(1 - abar_n) network(noisy_n, n, conditioner).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tas_core.acoustics.stft import stft
from tas_core.models.diffusion.samplers import ddim
from tas_core.models.diffusion.schedule import cosine_schedule, diffuse
from tas_core.models.diffwave import ResidualStack, StepEmbedding

# Makes the parts of u about unit variance in a room of medium reverberation.
_SCALE = 0.35
NUM_STEPS = 50
_PER_BAND = 8
_SMOOTH_BINS, _SMOOTH_FRAMES = 9, 5


def mid_level(spectrum: Tensor) -> Tensor:
    """Local level of mid, real (batch, freq, frame): root mean square over 9 bins and 5 frames."""
    power = spectrum.abs().square()[:, None]
    size, around = (_SMOOTH_BINS, _SMOOTH_FRAMES), (_SMOOTH_BINS // 2, _SMOOTH_FRAMES // 2)
    mean = F.avg_pool2d(power, size, 1, around, count_include_pad=False)
    return mean[:, 0].clamp_min(0).sqrt()


def unit_noise(noise: Tensor, n_fft: int, hop: int) -> Tensor:
    """Spectrogram (batch, freq, frame) of white noise (batch, time), real and imaginary parts of unit variance."""
    # The squares of a periodic Hann window sum to 3/8 of its length; half of that goes to either part.
    return stft(noise, n_fft, hop) / math.sqrt(3 / 16 * n_fft)


class DiffuseResidual(nn.Module):
    """Diffusion model of the diffuse side signal, in the spectrogram domain.

    Args:
        freqs: bins of the spectrogram.
        bands: bands of the separation network's features.
        band_channels: channels of a band.
        channels: width of the residual stack.
        layers: dilated layers in each of the two blocks; dilations 1, 2, 4, ...
    """

    def __init__(self, freqs: int, bands: int, band_channels: int, channels: int = 128, layers: int = 4) -> None:
        super().__init__()
        self.squeeze = nn.Linear(band_channels, _PER_BAND)
        self.layers = layers
        self.schedule = cosine_schedule(NUM_STEPS)
        self.step = StepEmbedding(256)
        self.into = nn.Conv1d(4 * freqs, channels, 1)
        self.stack = ResidualStack(channels, 2, layers, bands * _PER_BAND, step_width=256)
        self.out = nn.Conv1d(channels, 2 * freqs, 1)
        nn.init.zeros_(self.out.weight)
        assert self.out.bias is not None
        nn.init.zeros_(self.out.bias)

    @property
    def reach(self) -> int:
        """Frames on each side that one evaluation depends on."""
        return 2 * (2**self.layers - 1) + _SMOOTH_FRAMES // 2

    def project(self, features: Tensor) -> list[Tensor]:
        """What the stack needs of the separation network's features (batch, band, frame, channel), for all steps."""
        conditioner = self.squeeze(features).transpose(2, 3).flatten(1, 2)
        return self.stack.project_conditioner(conditioner)

    def estimate(self, noisy: Tensor, step: Tensor, seen: Tensor, projected: list[Tensor]) -> Tensor:
        """Estimate u.

        Args:
            noisy: real and imaginary parts, (batch, 2 freq, frame).
            step: (batch), steps of the training schedule.
            seen: mid in units of its level, as real and imaginary parts, (batch, 2 freq, frame).
            projected: from :meth:`project`.
        """
        alpha_bar = self.schedule.alpha_bar_at(step).to(noisy)[:, None, None]
        hidden = self.into(torch.cat([noisy, seen], dim=1))
        skips = self.stack(hidden, self.step(step), projected).skips
        correction = self.out(F.relu(skips))
        return alpha_bar.sqrt() * noisy + (1 - alpha_bar).sqrt() * correction

    def training_loss(
        self, residual: Tensor, spectrum: Tensor, features: Tensor, noise: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Mean squared error of the estimate of u at a random step, per scene (batch).

        Args:
            residual: side less its directional part, complex (batch, freq, frame).
            spectrum: mid, complex (batch, freq, frame).
            features: of the separation network (batch, band, frame, channel).
            noise: from :func:`unit_noise`.
            generator: source of the random steps.
        """
        level = mid_level(spectrum) + 1e-5
        clean = _parts(residual / (_SCALE * level))
        step = torch.randint(NUM_STEPS, (len(residual),), generator=generator, device=generator.device)
        step = step.to(residual.device)
        noisy = diffuse(clean, _parts(noise), step, self.schedule)
        projected = self.project(features)
        found = self.estimate(noisy, step, _parts(spectrum / level), projected)
        # Bins in which nothing sounds have no level to be measured in.
        audible = (level > 1e-3 * level.amax(dim=(1, 2), keepdim=True)).repeat(1, 2, 1)
        error = (found.float() - clean).square() * audible
        return error.sum(dim=(1, 2)) / audible.sum(dim=(1, 2)).clamp_min(1)

    def sample(self, spectrum: Tensor, features: Tensor, noise: Tensor, steps: int) -> Tensor:
        """Draw a residual, complex (batch, freq, frame), by deterministic DDIM from the given noise.

        Args:
            spectrum: mid, complex (batch, freq, frame).
            features: of the separation network (batch, band, frame, channel).
            noise: from :func:`unit_noise`.
            steps: network evaluations, 1 to :data:`NUM_STEPS`.
        """
        level = mid_level(spectrum)
        seen = _parts(spectrum / (level + 1e-5))
        projected = self.project(features)
        drawn = ddim(
            lambda noisy, step: self.estimate(noisy, step, seen, projected),
            _parts(noise),
            self.schedule.respaced(steps),
        )
        real, imaginary = drawn.chunk(2, dim=1)
        return torch.complex(real, imaginary) * (_SCALE * level)


def _parts(spectrum: Tensor) -> Tensor:
    """Real and imaginary parts along the frequency axis, (batch, 2 freq, frame)."""
    return torch.cat([spectrum.real, spectrum.imag], dim=1)

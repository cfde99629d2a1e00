"""Samplers: from noise to signal by repeated denoising (paper, Eq. 4).

A denoiser is any function (noisy, step) -> estimate of the clean signal, where noisy is (batch, ...) and step
(batch), int64, counts in steps of the *training* schedule. Samplers clamp nothing: what range a signal has is
the denoiser's to know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from tas_core.models.diffusion.parameterisation import noise_from_x0
from tas_core.models.diffusion.schedule import NoiseSchedule

Denoiser = Callable[[Tensor, Tensor], Tensor]


def ddpm(denoise: Denoiser, noisy: Tensor, schedule: NoiseSchedule, generator: torch.Generator | None = None) -> Tensor:
    """Sample by ancestry (Ho et al. 2020, Eq. 7): each step draws from q(a_{n-1} | a_n, x0).

        mean      (sqrt(abar_{n-1}) beta_n x0 + sqrt(alpha_n) (1 - abar_{n-1}) a_n) / (1 - abar_n)
        variance  (1 - abar_{n-1}) / (1 - abar_n) beta_n

    with x0 as estimated from a_n. The last step gives its mean, which is x0 itself.

    Args:
        denoise: estimate of the clean signal.
        noisy: start, standard normal, (batch, ...).
        schedule: noise levels, the training schedule or :meth:`NoiseSchedule.respaced` from it.
        generator: source of randomness, on any device.
    """
    alpha_bars = [1.0, *schedule.alpha_bars.tolist()]
    for index in range(schedule.num_steps - 1, 0, -1):
        before, now, beta = alpha_bars[index], alpha_bars[index + 1], float(schedule.betas[index])
        x0 = denoise(noisy, _steps(schedule, index, noisy))
        mean = (before**0.5 * beta * x0 + (1 - beta) ** 0.5 * (1 - before) * noisy) / (1 - now)
        noisy = mean + ((1 - before) / (1 - now) * beta) ** 0.5 * standard_normal(noisy, generator)
    return denoise(noisy, _steps(schedule, 0, noisy))


def ddim(
    denoise: Denoiser,
    noisy: Tensor,
    schedule: NoiseSchedule,
    eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Sample implicitly (Song et al. 2021, Eq. 12 and 16): keep the noise e that the estimate implies.

        a_{n-1} = sqrt(abar_{n-1}) x0 + sqrt(1 - abar_{n-1} - sigma^2) e + sigma z,
        sigma   = eta sqrt((1 - abar_{n-1}) / (1 - abar_n) beta_n)

    With one step the result is the estimate of x0 itself.

    Args:
        denoise: estimate of the clean signal.
        noisy: start, standard normal, (batch, ...).
        schedule: noise levels, the training schedule or :meth:`NoiseSchedule.respaced` from it.
        eta: 0 is deterministic, a first-order solver of the probability-flow equation; 1 is
            ancestral sampling.
        generator: source of randomness, on any device; not used when `eta` is 0.
    """
    alpha_bars = [1.0, *schedule.alpha_bars.tolist()]
    for index in range(schedule.num_steps - 1, 0, -1):
        before, now, beta = alpha_bars[index], alpha_bars[index + 1], float(schedule.betas[index])
        x0 = denoise(noisy, _steps(schedule, index, noisy))
        implied = noise_from_x0(x0, noisy, now)
        variance = eta**2 * (1 - before) / (1 - now) * beta
        noisy = before**0.5 * x0 + (1 - before - variance) ** 0.5 * implied
        if eta:
            noisy = noisy + variance**0.5 * standard_normal(noisy, generator)
    return denoise(noisy, _steps(schedule, 0, noisy))


SAMPLERS: Final = ("ddpm", "ddim")


def sample(
    name: str,
    denoise: Denoiser,
    noisy: Tensor,
    schedule: NoiseSchedule,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Run the sampler called `name`, "ddpm" or (deterministic) "ddim"."""
    if name == "ddpm":
        return ddpm(denoise, noisy, schedule, generator)
    if name == "ddim":
        return ddim(denoise, noisy, schedule)
    raise ValueError(f"unknown sampler {name!r}, expected one of {', '.join(SAMPLERS)}")


def standard_normal(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw noise of the shape, type and device of `like`.

    It is drawn where the generator lives: one on the CPU gives the same noise for every device.
    """
    device = like.device if generator is None else generator.device
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=device).to(like.device)


def _steps(schedule: NoiseSchedule, index: int, noisy: Tensor) -> Tensor:
    return torch.full((noisy.shape[0],), int(schedule.train_steps[index]), device=noisy.device)

"""How much noise there is at each diffusion step (paper, Eq. 3).

With alpha_n = 1 - beta_n and abar_n = alpha_0 ... alpha_n, a step is

    q(a_n | a_{n-1}) = N(sqrt(1 - beta_n) a_{n-1}, beta_n I)
    q(a_n | a_0)     = N(sqrt(abar_n) a_0, (1 - abar_n) I)

Steps count from 0 (least noise) to `num_steps` - 1 here, where the paper counts from 1 to N.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """Noise levels of a diffusion process.

    All tensors are float64 on the CPU: 1 - abar_0 is about 1e-4, of which float32 would keep three digits.

    Attributes:
        betas: (step), each in (0, 1); the last may be 1, and then nothing of the signal is left at the last step.
        train_steps: (step), int64, increasing: the step of the training schedule that each step is, which is
            what a network must be told.
        alpha_bars: (step), falling, derived.
    """

    betas: Tensor
    train_steps: Tensor
    alpha_bars: Tensor = field(init=False)

    def __post_init__(self) -> None:
        betas = self.betas.to("cpu", torch.float64)
        inside = (betas > 0) & (betas < 1)
        if betas.ndim != 1 or len(betas) == 0 or not bool(inside[:-1].all()) or not bool(inside[-1] | (betas[-1] == 1)):
            raise ValueError(
                "betas must be a non-empty vector of values between 0 and 1, both excluded, but for a last one of 1"
            )
        if self.train_steps.shape != betas.shape:
            raise ValueError(f"{len(betas)} betas need as many train_steps, not {tuple(self.train_steps.shape)}")
        object.__setattr__(self, "betas", betas)
        object.__setattr__(self, "alpha_bars", torch.cumprod(1.0 - betas, dim=0))

    @property
    def num_steps(self) -> int:
        """Number of steps N."""
        return len(self.betas)

    @property
    def ends_in_noise(self) -> bool:
        """Whether the last step holds nothing of the signal: abar is 0 there, exactly."""
        return float(self.alpha_bars[-1]) == 0.0

    def alpha_bar_at(self, step: Tensor) -> Tensor:
        """Give abar (batch), float64 on the CPU, for `step` (batch), int64, of *this* schedule."""
        return self.alpha_bars[step.cpu()]

    def respaced(self, num_steps: int) -> NoiseSchedule:
        """Schedule over `num_steps` of these steps, evenly spaced, for faster sampling.

        The noisiest step is always among them, so sampling starts from the noise level at which training
        ended, and every level is one that the network was trained at. The betas are the products
        beta'_k = 1 - abar_k / abar_{k-1} over the chosen steps.

        Args:
            num_steps: 1 to `self.num_steps`.

        Raises:
            ValueError: `num_steps` out of range.
        """
        if not 1 <= num_steps <= self.num_steps:
            raise ValueError(f"num_steps must lie between 1 and {self.num_steps}, not {num_steps}")
        chosen = torch.tensor([(k + 1) * self.num_steps // num_steps - 1 for k in range(num_steps)])
        return _with_levels(self.alpha_bars[chosen], self.train_steps[chosen])


def linear_schedule(num_steps: int = 50, beta_min: float = 1e-4, beta_max: float = 0.05) -> NoiseSchedule:
    """Betas evenly spaced from `beta_min` to `beta_max`; the defaults are DiffWave's (Kong et al. 2021).

    With these defaults the last abar is 0.280: the noisiest training example still holds 53 % of the
    amplitude of the signal, while sampling starts from none.
    """
    return NoiseSchedule(torch.linspace(beta_min, beta_max, num_steps, dtype=torch.float64), torch.arange(num_steps))


def cosine_schedule(num_steps: int = 50, offset: float = 0.008, max_beta: float = 0.999) -> NoiseSchedule:
    """Let abar follow cos^2 from 1 to almost 0 (Nichol and Dhariwal 2021, Eq. 17).

    Args:
        num_steps: number of steps N.
        offset: keeps the first betas from vanishing.
        max_beta: limit of the last betas. With 1 nothing is cut and the last step is pure noise, abar = 0 exactly
            (cos^2 of a right angle is 4e-33 in float64, so that the last beta rounds to 1).
    """
    time = torch.arange(num_steps + 1, dtype=torch.float64) / num_steps
    alpha_bar = torch.cos((time + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=max_beta)
    return NoiseSchedule(betas, torch.arange(num_steps))


def rescaled_to_noise(schedule: NoiseSchedule) -> NoiseSchedule:
    """A schedule whose last step is pure noise, by shifting and scaling sqrt(abar) of another one.

        sqrt(abar'_n) = (sqrt(abar_n) - sqrt(abar_last)) sqrt(abar_0) / (sqrt(abar_0) - sqrt(abar_last))

    The first level stays, the last becomes 0 exactly (zero terminal signal-to-noise ratio), and those between keep
    their order. Sampling starts from pure noise; only under such a schedule has training seen what it starts from.

    Source: Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", Algorithm 1.

    Args:
        schedule: of two steps or more.

    Raises:
        ValueError: a single step, which cannot keep its level and lose it.
    """
    _refuse_single_step(schedule.num_steps)
    root = schedule.alpha_bars.sqrt()
    return _with_levels(((root - root[-1]) * (root[0] / (root[0] - root[-1]))).square(), schedule.train_steps)


def _refuse_single_step(num_steps: int) -> None:
    if num_steps < 2:
        raise ValueError(f"a schedule that ends in noise needs two steps or more, not {num_steps}")


def _with_levels(alpha_bars: Tensor, train_steps: Tensor) -> NoiseSchedule:
    """The schedule that has these levels, falling, float64: beta_n = 1 - abar_n / abar_{n-1}."""
    before = torch.cat([torch.ones(1, dtype=torch.float64), alpha_bars[:-1]])
    return NoiseSchedule(1.0 - alpha_bars / before, train_steps)


ScheduleName = Literal["linear", "rescaled", "cosine"]
"""``linear``: :func:`linear_schedule`; ``rescaled``: the same, :func:`rescaled_to_noise`; ``cosine``:
:func:`cosine_schedule` up to a beta of 1. The last two end in noise."""


def build_schedule(name: str, num_steps: int, beta_min: float, beta_max: float) -> NoiseSchedule:
    """The schedule of a name.

    Args:
        name: a :data:`ScheduleName`.
        num_steps: number of steps N.
        beta_min: noise added in the first step; ``cosine`` has no use for it.
        beta_max: noise added in the last step, before rescaling; ``cosine`` has no use for it.

    Raises:
        ValueError: unknown name, or a schedule that ends in noise in a single step.
    """
    if name not in get_args(ScheduleName):
        raise ValueError(f"schedule must be one of {', '.join(get_args(ScheduleName))}, not {name!r}")
    if name == "cosine":
        _refuse_single_step(num_steps)
        return cosine_schedule(num_steps, max_beta=1.0)
    linear = linear_schedule(num_steps, beta_min, beta_max)
    return linear if name == "linear" else rescaled_to_noise(linear)


def diffuse(x0: Tensor, noise: Tensor, step: Tensor, schedule: NoiseSchedule) -> Tensor:
    """Draw from q(a_n | a_0): sqrt(abar_n) x0 + sqrt(1 - abar_n) noise.

    Args:
        x0: clean signal, (batch, ...).
        noise: standard normal, same shape.
        step: (batch), int64, steps of `schedule`.
        schedule: noise levels.
    """
    signal, sigma = coefficients(schedule.alpha_bar_at(step), x0)
    return signal * x0 + sigma * noise


def coefficients(alpha_bar: Tensor | float, like: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(abar) and sqrt(1 - abar), computed in float64, then shaped to multiply `like` (batch, ...).

    Args:
        alpha_bar: (batch) or a scalar, in [0, 1].
        like: tensor that gives dtype, device and number of axes.
    """
    exact = torch.as_tensor(alpha_bar, dtype=torch.float64)
    if exact.ndim:
        exact = exact.reshape(-1, *[1] * (like.ndim - 1))
    return exact.sqrt().to(like.dtype).to(like.device), (1 - exact).sqrt().to(like.dtype).to(like.device)

"""Control of an output by its prompt: mirrored prompts, the mono sum, silence and the centre, as levels in dB."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from tas_core.acoustics.level_difference import spl_difference_curve_db
from tas_core.conventions import LEFT_EAR, RIGHT_EAR, db_to_amplitude, power_to_db
from tas_core.evaluation.metrics.checks import Signal, check_ears, check_signal

INPUT_SILENCE_DBFS = -90.0


def mirror_db(ears: Signal, mirrored: Signal) -> float:
    """Level of side(prompt) + side(mirrored prompt) over that of side(prompt), dB; lower is better.

    Args:
        ears: (ear, time), the output for a prompt.
        mirrored: (ear, time), the output for the prompt with left and right exchanged.

    Returns:
        -inf where the mirror is perfect; 6.02 where the prompt changed nothing; nan where neither has a
        side signal, inf where only ``mirrored`` has one.

    Raises:
        ValueError: unequal shapes, wrong axes, no samples, or non-finite samples.
    """
    if ears.shape != mirrored.shape:
        raise ValueError(f"ears and mirrored differ in shape: {tuple(ears.shape)} and {tuple(mirrored.shape)}")
    side, opposite = _side(check_ears(ears, "ears")), _side(check_ears(mirrored, "mirrored"))
    return _relative_db(side + opposite, side)


def mono_sum_error_db(ears: Signal, mono: Signal) -> float:
    """Level of (L + R) / 2 - x over that of the input x, dB; lower is better.

    Args:
        ears: (ear, time).
        mono: x, (time).

    Returns:
        -inf where the sum is exact; nan where input and sum are silent, inf where only the input is.

    Raises:
        ValueError: unequal lengths, wrong axes, no samples, or non-finite samples.
    """
    both, x = check_ears(ears, "ears").double(), check_signal(mono, "mono").double()
    _same_time(both, x)
    return _relative_db((both[LEFT_EAR] + both[RIGHT_EAR]) / 2 - x, x)


def silence_floor_db(ears: Signal, mono: Signal, sample_rate_hz: int, *, window_s: float = 0.05) -> float:
    """Output level where the input is silent, dBFS (root mean square over both ears); lower is better.

    Args:
        ears: (ear, time).
        mono: the input, (time).
        sample_rate_hz: of both.
        window_s: the input is silent in those windows of this length, side by side, without a sample above -90 dBFS.

    Returns:
        -inf where the output is zero there; nan where the input is nowhere silent.

    Raises:
        ValueError: unequal lengths, wrong axes, no samples, or non-finite samples.
    """
    both, x = check_ears(ears, "ears").double(), check_signal(mono, "mono").double()
    _same_time(both, x)
    size = max(1, round(window_s * sample_rate_hz))
    loud = x.abs() > db_to_amplitude(INPUT_SILENCE_DBFS)
    quiet = torch.ones_like(loud)
    for start in range(0, len(x), size):
        quiet[start : start + size] = not bool(loud[start : start + size].any())
    if not bool(quiet.any()):
        return float("nan")
    return power_to_db(float(both[:, quiet].square().mean()))


def center_spl_db(ears: Signal, sample_rate_hz: int) -> float:
    """Mean absolute level difference of the ears for an all-centre prompt, dB, over 100 ms windows every 50 ms.

    Args:
        ears: (ear, time).
        sample_rate_hz: of the ears.

    Returns:
        0 is perfect. Windows with both ears below -60 dBFS are left out, nan where all are; inf where one ear
        is silent.

    Raises:
        ValueError: wrong axes, no samples, or non-finite samples.
    """
    both = check_ears(ears, "ears")
    if both.ndim != 2:
        raise ValueError(f"ears: expected (ear, time), got {tuple(both.shape)}")
    _, values = spl_difference_curve_db(both.cpu().numpy(), sample_rate_hz)
    values = np.abs(values[~np.isnan(values)])
    return float(values.mean()) if len(values) else float("nan")


def _side(ears: Tensor) -> Tensor:
    if ears.ndim != 2:
        raise ValueError(f"expected (ear, time), got {tuple(ears.shape)}")
    return ears[LEFT_EAR].double() - ears[RIGHT_EAR].double()


def _same_time(ears: Tensor, mono: Tensor) -> None:
    if ears.ndim != 2 or mono.ndim != 1 or ears.shape[-1] != len(mono):
        raise ValueError(
            f"expected ears (ear, time) and mono (time) of one length, got {tuple(ears.shape)} and {tuple(mono.shape)}"
        )


def _relative_db(error: Tensor, reference: Tensor) -> float:
    wrong, right = float(error.square().sum()), float(reference.square().sum())
    if right == 0:
        return math.inf if wrong > 0 else math.nan
    return power_to_db(wrong / right)

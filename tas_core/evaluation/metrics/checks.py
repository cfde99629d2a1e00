"""What every measure asks of a signal before it looks at it."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

Signal: TypeAlias = Tensor | np.ndarray
"""Samples at full scale 1, floating point, time on the last axis. Results live on the device of a tensor."""


def check_signal(signal: Signal, name: str) -> Tensor:
    """A signal (..., time) as a tensor of single or double precision (half precision becomes single).

    Args:
        signal: (..., time), at least one sample.
        name: what an error calls it.

    Raises:
        ValueError: no samples, not floating point, or not finite.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(signal)) if isinstance(signal, np.ndarray) else signal
    if not tensor.is_floating_point():
        raise ValueError(f"{name}: expected floating-point samples, got {tensor.dtype}")
    if tensor.ndim == 0 or tensor.shape[-1] == 0:
        raise ValueError(f"{name}: expected (..., time) with at least one sample, got {tuple(tensor.shape)}")
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{name}: holds nan or infinite samples")
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def check_ears(signal: Signal, name: str) -> Tensor:
    """As :func:`check_signal` for (..., ear, time); raises ValueError too where there are not two ears."""
    if signal.ndim < 2 or signal.shape[-2] != 2:
        raise ValueError(f"{name}: expected (..., ear, time) with two ears, got {tuple(signal.shape)}")
    return check_signal(signal, name)


def check_pair(prediction: Signal, truth: Signal) -> tuple[Tensor, Tensor]:
    """Two signals (..., ear, time) of one shape, in the wider of their precisions; raises ValueError."""
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction and truth differ in shape: {tuple(prediction.shape)} and {tuple(truth.shape)}")
    first, second = check_ears(prediction, "prediction"), check_ears(truth, "truth")
    kind = torch.promote_types(first.dtype, second.dtype)
    return first.to(kind), second.to(kind)

"""Weights in 8 bits: a quarter of the size, for checkpoints that are kept and not trained.

A large weight w is stored as whole numbers q = round(w / s) from -127 to 127, beside scales s = max |w| / 127. What is
summed up has one scale: the maximum is over axis 1, the inputs of a linear map (out, in), of a convolution
(out, in, tap), of a map per band (band, in, out). So each output channel has scales of its own, and no number is
further than s / 2 from what it was. What is small, as biases, gains of norms and offsets are, stays in half precision.

In the file, `name` is of 8 bits and `name.int8_scale` is float32, of the same shape but 1 along axis 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from tas_core.errors import CheckpointError
from tas_core.models.description import SCALE_SUFFIX

_LARGEST: Final = 127
_FEWEST_INPUTS: Final = 32
"""With fewer numbers to a scale of four bytes, half precision is hardly larger."""
_FEWEST_NUMBERS: Final = 8192
"""All that is smaller makes up less than a hundredth of a model."""


def in_eight_bits(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict as it is stored: large float32 weights as int8 and their scales, other float32 in half precision.

    Raises:
        CheckpointError: a weight that is not finite, or too large for half precision; or a name that ends as those of
            scales do.
    """
    stored: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith(SCALE_SUFFIX):
            raise CheckpointError(f"the weight {name!r} cannot be stored in 8 bits: its name is one of a scale")
        if value.dtype != torch.float32:
            stored[name] = value
            continue
        small = value.to(torch.float16)
        if not small.isfinite().all():
            raise CheckpointError(f"the weight {name!r} cannot be stored in 8 bits: not finite, or above 65504")
        if value.dim() < 2 or value.shape[1] < _FEWEST_INPUTS or value.numel() < _FEWEST_NUMBERS:
            stored[name] = small
            continue
        # Never zero or subnormal, so that nothing is divided by it: where all are zero, any scale will do.
        scale = (value.abs().amax(dim=1, keepdim=True) / _LARGEST).clamp_min(torch.finfo(torch.float32).tiny)
        stored[name] = (value / scale).round().clamp(-_LARGEST, _LARGEST).to(torch.int8)
        stored[name + SCALE_SUFFIX] = scale
    return stored


def from_eight_bits(stored: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The state dict that was stored: what is of 8 bits as float32, everything else as it is.

    Args:
        stored: the tensors of the file; one without weights of 8 bits comes back unchanged.
        path: of the file, for errors.

    Raises:
        CheckpointError: 8 bits without their scales, scales without them or of a wrong type or shape, or a scale that
            is not above zero and finite.
    """
    state = {name: value for name, value in stored.items() if not name.endswith(SCALE_SUFFIX)}
    for name in stored.keys() - state.keys():
        coded = state.get(name.removesuffix(SCALE_SUFFIX))
        if coded is None or coded.dtype != torch.int8:
            raise CheckpointError(f"{path}: {name!r} is the scale of a weight that is not there in 8 bits")
    for name, coded in state.items():
        if coded.dtype == torch.int8:
            state[name] = coded.float() * _scale(stored, name, path)
    return state


def _scale(stored: Mapping[str, Tensor], name: str, path: Path) -> Tensor:
    """Checked scale of a weight of 8 bits."""
    coded, scale = stored[name], stored.get(name + SCALE_SUFFIX)
    where = f"{path}: the weight {name!r} is of 8 bits, but its scale"
    if scale is None:
        raise CheckpointError(f"{where} {name + SCALE_SUFFIX!r} is missing")
    expected = [*coded.shape[:1], 1, *coded.shape[2:]]
    if scale.dtype != torch.float32 or list(scale.shape) != expected or coded.dim() < 2:
        found = f"{str(scale.dtype).removeprefix('torch.')} {list(scale.shape)}"
        raise CheckpointError(f"{where} is {found}, expected float32 {expected} for {list(coded.shape)}")
    if not (scale.isfinite() & (scale > 0)).all():
        raise CheckpointError(f"{where} is not above zero and finite everywhere")
    return scale

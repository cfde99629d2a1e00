"""Networks that were trained on from another one, stored as what they differ by.

A checkpoint may hold several networks of one shape, `networks.0...`, `networks.1...`, of which the later ones were
trained on from the first, and lie in a second file. A large weight W of theirs is stored there as its difference to the
first one's, B, and that as two factors, W - B = out x in, by the largest singular values, which make up most of it. All
else is stored as it is.

In the file, the factors of `name` are `name.difference_out` (row, rank) and `name.difference_in` (rank, column), where
the rows of a weight are its first axis and its columns all the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from tas_core.errors import CheckpointError

_OUT: Final = ".difference_out"
_IN: Final = ".difference_in"
_LATER: Final = re.compile(r"networks\.[1-9][0-9]*\.")
_FIRST: Final = "networks.0."
_WORTH: Final = 0.5
"""Factors of more numbers than this fraction of the weight's are not worth what is lost."""


def as_differences(later: Mapping[str, Tensor], first: Mapping[str, Tensor], rank: int) -> dict[str, Tensor]:
    """Weights of later networks as they are stored.

    Args:
        later: float32 weights of `networks.1` and so on, and whatever else goes with them.
        first: those of `networks.0`, as they will be read back.
        rank: of the differences, at least 1.
    """
    stored: dict[str, Tensor] = {}
    for name, value in later.items():
        base = first.get(_base_of(name))
        if base is None or value.dim() < 2 or rank * sum(_matrix(value)) > _WORTH * value.numel():
            stored[name] = value
            continue
        left, sizes, right = torch.linalg.svd((value - base).double().reshape(_matrix(value)), full_matrices=False)
        root = sizes[:rank].sqrt()
        stored[name + _OUT] = (left[:, :rank] * root).float()
        stored[name + _IN] = (root[:, None] * right[:rank]).float()
    return stored


def from_differences(stored: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The state dict that was stored.

    Args:
        stored: the tensors of both files, as floating point numbers; those without differences come back unchanged.
        path: of the second file, for errors.

    Raises:
        CheckpointError: a factor without the other, of another shape, of a weight that is there as well, or of one
            that no first network has.
    """
    state = {name: value for name, value in stored.items() if not name.endswith((_OUT, _IN))}
    for name in stored.keys() - state.keys():
        whole = name.removesuffix(_OUT).removesuffix(_IN)
        base, out, into = stored.get(_base_of(whole)), stored.get(whole + _OUT), stored.get(whole + _IN)
        if base is None or out is None or into is None or whole in stored:
            raise CheckpointError(
                f"{path}: {name!r} is half of a difference; expected both halves, the weight of the first network that "
                "they change, and not the changed weight itself"
            )
        rows, columns = _matrix(base) if base.dim() > 1 else (0, 0)
        rank = out.shape[-1] if out.dim() else 0
        if out.shape != (rows, rank) or into.shape != (rank, columns):
            raise CheckpointError(
                f"{path}: {whole!r} differs by {list(out.shape)} times {list(into.shape)}, "
                f"expected {[rows, 'rank']} times {['rank', columns]}"
            )
        state[whole] = base.float() + (out.float() @ into.float()).reshape(base.shape)
    return state


def _base_of(name: str) -> str:
    """The name in the first network of a weight of a later one; nothing is called "" ."""
    return _LATER.sub(_FIRST, name, count=1) if _LATER.match(name) else ""


def _matrix(value: Tensor) -> tuple[int, int]:
    """Rows and columns of a weight."""
    return value.shape[0], value.numel() // max(1, value.shape[0])

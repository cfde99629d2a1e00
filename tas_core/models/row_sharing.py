"""Who computes which rows of a batch: one process all of them, unless several processes train together.

Losses compare rows of a batch with each other, and take means over what differs from batch to batch. So a model names
the part of its work in which a row depends on no other, and only that is shared out; the losses are taken of all rows,
in every process, and are the same as those of one process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

RowWork = Callable[..., tuple[Tensor, ...]]
"""Takes and gives tensors whose first axis is the batch; a row of what it gives depends on that row alone."""


class RowSharing(Protocol):
    """Does the work on all rows of a batch, or on some, and has the others from elsewhere."""

    def __call__(self, work: RowWork, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What ``work`` gives for all rows of ``inputs``."""
        ...


def every_row(work: RowWork, *inputs: Tensor) -> tuple[Tensor, ...]:
    """All rows here."""
    return work(*inputs)

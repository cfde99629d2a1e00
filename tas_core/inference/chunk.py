"""A chunk of a longer signal, and what renders it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from tas_core.inference.bandwidth_extension import Placement
from tas_core.system.progress import Progress


@dataclass(frozen=True)
class Stretch:
    """A stretch of a signal at the model's rate.

    Attributes:
        mid: samples (time).
        offset: number of the first of them in the whole signal, a multiple of the model's stride.
        keep: numbers of the samples, in the stretch, that are told of to the listener.
        wanted: those that the result is wanted for, the same and some around.
        total: samples in the whole signal.
    """

    mid: Tensor
    offset: int
    keep: slice
    wanted: slice
    total: int


@dataclass(frozen=True)
class Placed:
    """What a model made of the wanted part of a stretch.

    Attributes:
        side: side signal (time), at the model's rate.
        objects: that were listened for in the stretch; nothing from models that do not tell objects apart.
        placement: what it put where at the end of its band, by object; None from models that do not tell them apart.
        stems: what it took each object to be, (object, time), where that was asked for.
    """

    side: Tensor
    objects: tuple[str, ...] = ()
    placement: Placement | None = None
    stems: Tensor | None = None


class SideSignal(Protocol):
    """A model that was given a timeline."""

    @property
    def stride(self) -> int:
        """Samples that the beginning of a stretch has to be a multiple of."""
        ...

    @property
    def margin(self) -> int:
        """Samples on each side of what is wanted that the result depends on."""
        ...

    def __call__(self, stretch: Stretch, progress: Progress) -> Placed:
        """What becomes of what is wanted, right where the stretch goes on for a margin or to the signal's ends."""
        ...

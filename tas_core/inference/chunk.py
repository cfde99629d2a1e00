"""A chunk of a longer signal at a model's rate, and what renders it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from tas_core.inference.bandwidth_extension import BandSources
from tas_core.inference.evidence import EvidenceMeter
from tas_core.inference.likeness import LikenessMeter
from tas_core.inference.presence import PresenceTracker
from tas_core.system.progress import Progress


@dataclass(frozen=True)
class Chunk:
    """A chunk of a signal at the model's rate, with context on both sides of what is rendered.

    Attributes:
        mid: samples (time).
        offset: number of the first of them in the whole signal, a multiple of the renderer's stride.
        keep: which samples of the chunk count for presence detection; chunks of one signal share none of them.
        wanted: which samples are rendered: ``keep`` and some around it.
        total: samples in the whole signal.
        image: side signal (time) of an input of two channels, whose parts are wanted; None of a mono one.
    """

    mid: Tensor
    offset: int
    keep: slice
    wanted: slice
    total: int
    image: Tensor | None = None


@dataclass(frozen=True)
class RenderedChunk:
    """What a model made of the ``wanted`` samples of a chunk.

    Attributes:
        side: side signal (time), at the model's rate.
        objects: objects that the timeline names in or near the chunk; none from models that do not separate.
        sources: what sounds where at the upper end of the model's band; None from models that do not separate.
        stems: estimated stems (object, time), where they were requested.
        images: side signals of the stems (object, time), of an input of two channels.
    """

    side: Tensor
    objects: tuple[str, ...] = ()
    sources: BandSources | None = None
    stems: Tensor | None = None
    images: Tensor | None = None


class ChunkRenderer(Protocol):
    """A model under a timeline; made of timeline, duration, model and settings."""

    @property
    def tracker(self) -> PresenceTracker | None:
        """Presence and energy of the objects, over all chunks so far; None from models that do not separate."""
        ...

    @property
    def likeness(self) -> LikenessMeter | None:
        """How alike the masks of the objects are, the same."""
        ...

    @property
    def evidence(self) -> EvidenceMeter | None:
        """Of whether the objects were separated rightly, the same."""
        ...

    @property
    def stride(self) -> int:
        """Samples that the offset of a chunk has to be a multiple of."""
        ...

    @property
    def margin(self) -> int:
        """Samples of context, on each side of those wanted, that the result depends on."""
        ...

    def __call__(self, chunk: Chunk, progress: Progress) -> RenderedChunk:
        """Render a chunk that has a margin of context on each side, or reaches the signal's ends."""
        ...

"""Batches made ahead of the optimiser."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import torch
from torch import Tensor

from tas_core.models.scene_batch import SceneBatch


class SceneSource(Protocol):
    """Where batches come from; the same (seed, step) gives the same batch."""

    device: torch.device

    def compose(self, step: int, batch_size: int) -> SceneBatch:
        """The scenes of one training step."""
        ...

    def source_names(self) -> list[str]:
        """What the scenes are made of."""
        ...


class Prefetcher:
    """Composes the next batches in other threads, one step each, while the present one is used.

    Args:
        composer: where batches come from.
        batch_size: scenes in a batch.
        workers: threads, and batches ahead.
    """

    def __init__(self, composer: SceneSource, batch_size: int, workers: int) -> None:
        self._composer, self._batch_size, self._ahead = composer, batch_size, workers
        self._pool = ThreadPoolExecutor(workers)
        self._coming: dict[int, Future[SceneBatch]] = {}
        # On a graphics processor composing has a queue of its own, or it would wait for the training step.
        self._stream = torch.cuda.Stream(composer.device) if composer.device.type == "cuda" else None

    def get(self, step: int) -> SceneBatch:
        """The batch of a step; steps come in order."""
        for number in range(step, step + self._ahead + 1):
            if number not in self._coming:
                self._coming[number] = self._pool.submit(self._compose, number)
        batch = self._coming.pop(step).result()
        if self._stream is not None:
            # Their memory is not given to other batches before what now uses them is done.
            for value in vars(batch).values():
                if isinstance(value, Tensor):
                    value.record_stream(torch.cuda.current_stream(value.device))
        return batch

    def _compose(self, step: int) -> SceneBatch:
        with torch.cuda.stream(self._stream):
            batch = self._composer.compose(step, self._batch_size)
        if self._stream is not None:
            self._stream.synchronize()
        return batch

    def close(self) -> None:
        """Stop composing."""
        self._pool.shutdown(cancel_futures=True)

"""Batches made ahead of the optimiser."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Protocol

import torch
from torch import Tensor

from tas_core.datasets.mixing.composition import SceneComposer
from tas_core.datasets.mixing.draws import SceneDraws
from tas_core.models.scene_batch import SceneBatch
from tas_core.training.draw_processes import DrawProcesses

_AHEAD: Final = 2
"""Rendered batches that wait for the optimiser where processes draw them."""


class SceneSource(Protocol):
    """Where batches come from; the same (seed, step) gives the same batch."""

    device: torch.device

    def compose(self, step: int, batch_size: int) -> SceneBatch:
        """The scenes of one training step."""
        ...

    def source_names(self) -> list[str]:
        """What the scenes are made of."""
        ...

    def captions(self, count: int) -> list[str]:
        """Prompts such as scenes have, the same at every call: at most so many, as many as there are."""
        ...


class Prefetcher:
    """Makes the next batches while the present one is used.

    Scenes of stems are drawn by processes and rendered by one thread, where there are several workers. Recordings,
    which are read and not drawn, are read by as many threads.

    Args:
        source: where batches come from.
        batch_size: scenes in a batch.
        workers: processes that draw, or threads that read; with one, a thread does all.
    """

    def __init__(self, source: SceneSource, batch_size: int, workers: int) -> None:
        self._source, self._batch_size = source, batch_size
        self._draws: DrawProcesses | None = None
        self._processes = workers if isinstance(source, SceneComposer) and workers > 1 else 0
        # Processes give steps in order, so one thread asks for them.
        self._pool = ThreadPoolExecutor(1 if self._processes else workers)
        self._ahead = _AHEAD if self._processes else workers
        self._coming: dict[int, Future[SceneBatch]] = {}
        # On a graphics processor composing has a queue of its own, or it would wait for the training step.
        self._stream = torch.cuda.Stream(source.device) if source.device.type == "cuda" else None

    def get(self, step: int) -> SceneBatch:
        """The batch of a step; steps come in order."""
        if self._processes and self._draws is None:
            assert isinstance(self._source, SceneComposer)
            self._draws = DrawProcesses(self._source.drawer, self._batch_size, self._processes, step)
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
            if self._draws is None:
                batch = self._source.compose(step, self._batch_size)
            else:
                assert isinstance(self._source, SceneComposer)
                batch = self._source.render(self._draws.get(step))
        if self._stream is not None:
            self._stream.synchronize()
        return batch

    def close(self) -> None:
        """Stop composing."""
        if self._draws is not None:
            self._draws.stop()
        self._pool.shutdown(cancel_futures=True)
        if self._draws is not None:
            self._draws.close()


class FixedScenes:
    """Scenes that are used again and again: what is decided about them is drawn once.

    Args:
        source: where they come from.
    """

    def __init__(self, source: SceneSource) -> None:
        self._source = source
        self.device = source.device
        self._drawn: dict[tuple[int, int], SceneDraws] = {}

    def compose(self, step: int, batch_size: int) -> SceneBatch:
        """The scenes with a number."""
        if not isinstance(self._source, SceneComposer):
            return self._source.compose(step, batch_size)
        if (step, batch_size) not in self._drawn:
            self._drawn[step, batch_size] = self._source.draw(step, batch_size)
        return self._source.render(self._drawn[step, batch_size])

    def source_names(self) -> list[str]:
        """What the scenes are made of."""
        return self._source.source_names()

    def captions(self, count: int) -> list[str]:
        """Prompts such as the scenes have."""
        return self._source.captions(count)

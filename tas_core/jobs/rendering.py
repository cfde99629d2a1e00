"""What renders a prepared file: a network, given sounds placed as they are, or both side by side."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from tas_core.audio.mixdown import MixdownMeter
from tas_core.inference.engine import LoadedModel
from tas_core.inference.given import GivenSpatializer, others
from tas_core.inference.on_sphere import SpherePlan, SphereSpatializer
from tas_core.inference.result import Block
from tas_core.jobs.request import PreparedFile, input_pieces
from tas_core.system.progress import Progress

if TYPE_CHECKING:
    from tas_core.inference.stream import Spatializer


class Rendering:
    """A prepared file on its way to two ears.

    Args:
        prepared: the file.
        model: for what is not given; None where nothing is left for one.

    Attributes:
        job: what renders it, which knows what there is to say of it after all blocks; on the sphere, behind what makes
            the stems.
        meter: of what is lost where channels are mixed down.

    Raises:
        InputError: as :class:`tas_core.inference.stream.Spatializer` and
            :class:`tas_core.inference.given.GivenSpatializer`.
    """

    def __init__(self, prepared: PreparedFile, model: LoadedModel | None) -> None:
        self._prepared = prepared
        self.meter = MixdownMeter(prepared.reader.num_channels)
        self._network: Spatializer | None = None
        render, given, timeline, passage = prepared.render, prepared.given, prepared.timeline, prepared.passage
        size, rate_hz = prepared.num_samples, prepared.reader.sample_rate_hz
        plan = None
        if render.on_sphere:
            plan = SpherePlan(size, rate_hz, timeline, render, passage)
            render, timeline, passage = plan.stem_settings, plan.flat, plan.stem_passage
        separated = timeline if given is None else others(timeline, given.channels)
        if separated is not None:
            assert model is not None
            from tas_core.inference.stream import Spatializer

            self._network = Spatializer(size, rate_hz, separated, model, render, passage=passage)
        self._maker: Spatializer | GivenSpatializer
        if given is None:
            assert self._network is not None
            self._maker = self._network
        else:
            self._maker = GivenSpatializer(
                size, rate_hz, timeline, given.channels, render, passage=passage, network=self._network
            )
        self.job: Spatializer | GivenSpatializer | SphereSpatializer = self._maker
        if plan is not None:
            self.job = SphereSpatializer(plan, self._maker, {} if given is None else given.channels)

    def blocks(self, progress: Progress) -> Iterator[Block]:
        """Ears and stems, block by block; arguments and errors as for a ``Spatializer``."""
        made = self._made(progress)
        return self.job.blocks(made) if isinstance(self.job, SphereSpatializer) else made

    def _made(self, progress: Progress) -> Iterator[Block]:
        """The blocks of what places on the plane, or makes the stems for the sphere."""
        reader, given, job = self._prepared.reader, self._prepared.given, self._maker
        if given is None or not isinstance(job, GivenSpatializer):
            assert self._network is not None
            reader.seek(self._network.first_sample)
            yield from self._network.blocks(input_pieces(self._prepared, self.meter), progress)
            return
        size, stereo = self._prepared.num_samples, self._prepared.render.keeps_stereo
        if not self._prepared.request.has_input:
            yield from job.blocks(given.rows(job.first_sample, None, size, stereo=stereo), progress)
            return
        firsts = [job.first_sample, *([self._network.first_sample] if self._network else [])]
        first = min(firsts)
        reader.seek(first)
        rows = given.rows(first, input_pieces(self._prepared, self.meter), size, stereo=stereo)
        if self._network is None:
            yield from job.blocks(rows, progress)
            return
        # Both look at the same sound, the network some seconds further ahead.
        mine, theirs = itertools.tee(rows)
        rest = (piece[-2:] if stereo else piece[-1] for piece in _behind(theirs, firsts[-1] - first))
        yield from job.blocks(_behind(mine, job.first_sample - first), progress, rest=rest)


def _behind(pieces: Iterable[np.ndarray], skip: int) -> Iterator[np.ndarray]:
    """Pieces (row, time) without the first samples of all."""
    for piece in pieces:
        kept = piece[:, min(skip, piece.shape[1]) :]
        skip -= piece.shape[1] - kept.shape[1]
        if kept.shape[1]:
            yield kept

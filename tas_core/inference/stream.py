"""From a mono signal and a timeline to two ears.

The network works at its own rate (16 kHz). Its side signal is brought back to the input's rate, and above the
model's band what the model does not hear goes where it put what sounds just below, see
:mod:`tas_core.inference.bandwidth_extension`. In the end

    left = x + width side / 2,  right = x - width side / 2,

so that (left + right) / 2 is the input x exactly (mid = 2 x), for any width. Where a prompt changes levels, the sum of
the estimated stems and of the rest, each times its gain, takes the place of x (:mod:`tas_core.inference.levels`).

Signals go through in blocks of some seconds, each with as much sound before and after it as the model looks at, so
that blocks do not show and memory does not depend on the length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from tas_core.audio.resampling import resample
from tas_core.conventions import LEFT_EAR, RIGHT_EAR, to_ears
from tas_core.errors import InputError
from tas_core.inference.bandwidth_extension import REACH_S, FullBand, ModelBand, StereoImage, extend_bandwidth
from tas_core.inference.blocks import gathered, overlapping
from tas_core.inference.chunk import Chunk, ChunkRenderer
from tas_core.inference.engine import LoadedModel
from tas_core.inference.levels import GainCurves
from tas_core.inference.likeness import AlikePair
from tas_core.inference.on_sphere import SpherePlan, SphereSpatializer
from tas_core.inference.presence import Detection, part_within
from tas_core.inference.result import Block, SegmentResult, Spatialized
from tas_core.inference.segment_levels import SegmentLevels
from tas_core.inference.settings import RenderSettings
from tas_core.inference.slots import SlotsRenderer
from tas_core.inference.windows import WindowRenderer
from tas_core.models.base import SpatialModel
from tas_core.models.calibration import Evidence
from tas_core.models.registry import separating_families
from tas_core.system.progress import Progress, ignore
from tas_core.timeline.segments import Timeline, stem_names

_BLOCK_S = 20
_EDGE_S = 0.25 + REACH_S
"""What resampling and the band above need beyond the model's own margin."""
_LONGEST_GRID_S = 64

_RENDERERS: Final[dict[str, Callable[[Timeline, float, LoadedModel, RenderSettings], ChunkRenderer]]] = {
    "clauses": SlotsRenderer,
    "prompts": WindowRenderer,
}
"""What renders chunks, by what a model is conditioned on."""


class Spatializer:
    """Puts each named sound of one signal where the timeline says, while the signal comes in.

    Args:
        num_samples: length of the signal.
        sample_rate_hz: 8000 to 192000.
        timeline: prompts; uncovered time is centred.
        model: a loaded model of any family.
        settings: of the rendering.
        passage: number of the first sample that ears are wanted for, and of the end; None is the whole signal.

    Attributes:
        first_sample: number of the sample that :meth:`blocks` wants first, 0 for the whole signal.
        separates: whether the model tells objects apart.
        stem_names: names of the stems of blocks, by number: the objects in the order in which they are first named, and
            "rest"; nothing where stems were not requested.

    Raises:
        InputError: more steps than the model can make use of, no samples, the timeline does not fit the signal, or a
            head, stems, levels or a transition were requested of a model that does not separate.
    """

    def __init__(
        self,
        num_samples: int,
        sample_rate_hz: int,
        timeline: Timeline,
        model: LoadedModel,
        settings: RenderSettings = RenderSettings(),  # noqa: B008 - frozen
        *,
        passage: tuple[int, int] | None = None,
    ) -> None:
        _check_request(model.network, settings, timeline)
        if num_samples < 1:
            raise InputError("the signal has no samples")
        self.num_samples, self.sample_rate_hz = num_samples, sample_rate_hz
        self.separates = model.network.separates
        duration_s = num_samples / sample_rate_hz
        self.timeline = timeline.resolved(duration_s)
        self._model_rate_hz = int(model.network.config.sample_rate_hz)
        self._width = settings.width
        self.stem_names: tuple[str, ...] = stem_names(self.timeline) if settings.stems else ()
        self._numbers = {name: number for number, name in enumerate(self.timeline.objects)}
        self._levels = None
        self._keeps_stereo = settings.keeps_stereo
        if self.timeline.changes_levels or self._keeps_stereo:
            self._levels = GainCurves(self.timeline, duration_s, sample_rate_hz, settings.transition_s)
            settings = replace(settings, stems=True)
        renderer = _RENDERERS[model.network.conditions_on]
        self._renderer = renderer(self.timeline, duration_s, model.encoding(self.timeline), settings)
        self._calibration = model.calibration
        self._passage = passage or (0, num_samples)
        self._meter = SegmentLevels(self.timeline, sample_rate_hz, self._passage)
        self._block, self._margin, self._edge = self._plan()
        # Blocks are multiples of the model's stride, and so has to be the beginning of the first.
        self._begin = self._passage[0] // self._edge * self._edge
        self.first_sample = max(0, self._begin - self._margin)

    def ears(self, pieces: Iterable[np.ndarray], progress: Progress = ignore) -> Iterator[np.ndarray]:
        """Ears (ear, time) float64, block by block; arguments and errors as for :meth:`blocks`."""
        return (block.ears for block in self.blocks(pieces, progress))

    def blocks(self, pieces: Iterable[np.ndarray], progress: Progress = ignore) -> Iterator[Block]:
        """Ears and stems, block by block.

        Args:
            pieces: the signal (time), full scale 1, from :attr:`first_sample` on, in pieces of any length; (channel,
                time), left and right, where stereo is to stay.
            progress: told the fraction done, 0 to 1.

        Raises:
            InputError: the pieces are not mono, or shorter together than was said.
        """
        total, (passage_start, passage_end) = self.num_samples, self._passage
        done = lambda at: progress((at - passage_start) / (passage_end - passage_start))  # noqa: E731
        rows = 2 if self._keeps_stereo else None
        for first, block_start, block_stop, signal in overlapping(
            pieces, total, self._block, self._margin, self._begin, passage_end, rows
        ):
            x = signal.mean(axis=0) if self._keeps_stereo else signal
            image = signal[LEFT_EAR] - signal[RIGHT_EAR] if self._keeps_stereo else None
            start, stop = max(block_start, passage_start), min(block_stop, passage_end)
            report = lambda fraction, a=start, b=stop: done(a + fraction * (b - a))  # noqa: E731
            keep = slice(start - first, stop - first)
            around = slice(max(block_start - self._edge, first) - first, min(block_stop + self._edge - first, len(x)))
            objects, full = self._full_band(x, image, first, keep, around, report)
            kept = keep
            x, keep = x[keep], slice(keep.start - around.start, keep.stop - around.start)
            stems = None
            if full.stems is not None:
                stems = {self._numbers[name]: stem[keep] for name, stem in zip(objects, full.stems, strict=True)}
                stems[len(self._numbers)] = x - full.stems[:, keep].sum(axis=0)
            side = self._width * full.side[keep]
            if image is not None and stems is not None:
                assert full.images is not None
                images = {self._numbers[name]: part[keep] for name, part in zip(objects, full.images, strict=True)}
                ears = self._in_place(signal[:, kept], side, stems, images, start)
            else:
                mono = x if self._levels is None or stems is None else x + self._change(stems, start)
                ears = to_ears(mono, side)
            self._meter.add(ears, start)
            yield Block(ears, stems if self.stem_names else None)
            done(stop)

    def segments(self) -> tuple[SegmentResult, ...]:
        """How each segment came out, after all blocks; those outside the passage are left out."""
        tracker = self._renderer.tracker
        return self._meter.results(tracker.energy_share if tracker else lambda number, name: None)

    def detections(self) -> tuple[Detection, ...]:
        """Which objects are in the sound, after all blocks; nothing from models that do not separate.

        Spans are cut to the passage: nothing is said of what was not rendered.
        """
        return tuple(item for item, _ in self._heard())

    def evidence(self) -> tuple[Evidence | None, ...]:
        """What the model showed of each of :meth:`detections`, in their order; None where nothing is known."""
        return tuple(evidence for _, evidence in self._heard())

    def _heard(self) -> Iterator[tuple[Detection, Evidence | None]]:
        """Objects in the passage, and what the model showed of them."""
        tracker, meter, calibration = self._renderer.tracker, self._renderer.evidence, self._calibration
        if tracker is None or meter is None:
            return
        for whole, evidence in zip(tracker.detections(), meter.evidence(), strict=True):
            item = part_within(whole, *self._passage_s)
            if item is None:
                continue
            if calibration is not None and evidence is not None:
                confidence = calibration.confidence(evidence)
                item = replace(item, confidence=confidence, doubtful=confidence < calibration.low)
            yield item, evidence

    def alike(self, asked: Timeline | None = None) -> tuple[AlikePair, ...]:
        """Objects that the model does not tell apart, after all blocks; nothing from models that do not separate.

        Args:
            asked: as for :meth:`tas_core.inference.likeness.LikenessMeter.pairs`.
        """
        return self._renderer.likeness.pairs(asked) if self._renderer.likeness else ()

    def _change(self, stems: Mapping[int, np.ndarray], start: int, *, in_place: bool = False) -> np.ndarray | float:
        """What the gains of stems (time), by their number, and of the rest add to their sum; 0 if they change nothing.

        Args:
            stems: objects and, last, the rest.
            start: number of their first sample.
            in_place: as for :meth:`tas_core.inference.levels.GainCurves.at`.
        """
        assert self._levels is not None
        rest = stems[len(self._numbers)]
        gains, rest_gain = self._levels.at(start, start + len(rest), in_place=in_place)
        change: np.ndarray | float = 0.0
        for name, gain in gains.items():
            if (number := self._numbers[name]) in stems:
                change = change + (gain - 1) * stems[number]
        return change if rest_gain is None else change + (rest_gain - 1) * rest

    def _in_place(
        self,
        signal: np.ndarray,
        side: np.ndarray,
        stems: Mapping[int, np.ndarray],
        images: Mapping[int, np.ndarray],
        start: int,
    ) -> np.ndarray:
        """Ears (ear, time) of a signal (channel, time) that stays but for what prompts place or make louder.

        Args:
            signal: left and right.
            side: of what is placed.
            stems: of the mono sum, the rest last.
            images: side signals of the stems, without the rest.
            start: number of the first sample.
        """
        image = signal[LEFT_EAR] - signal[RIGHT_EAR]
        rest = image - sum(images.values())
        mono = self._change(stems, start)
        side = side + self._change({**images, len(self._numbers): rest}, start, in_place=True)
        # Added to the signal, so that it is as it was, to the bit, where there is nothing to add.
        ears = signal.astype(np.float64)
        ears[LEFT_EAR] += mono + side / 2
        ears[RIGHT_EAR] += mono - side / 2
        return ears

    @property
    def _passage_s(self) -> tuple[float, float]:
        """Begin and end of the passage, in seconds."""
        first, end = self._passage
        return first / self.sample_rate_hz, end / self.sample_rate_hz

    def _plan(self) -> tuple[int, int, int]:
        """Length of a block, of the margins on its sides, and of the part of these that is computed, too, in samples.

        All are multiples of the model's stride at its rate.
        """
        rate_hz, model_rate_hz = self.sample_rate_hz, self._model_rate_hz
        grid = math.lcm(self._renderer.stride * rate_hz, model_rate_hz) // model_rate_hz
        if grid > _LONGEST_GRID_S * rate_hz:
            return self.num_samples, self.num_samples, self.num_samples
        whole = lambda seconds: math.ceil(seconds * rate_hz / grid) * grid  # noqa: E731
        edge = whole(_EDGE_S)
        return whole(_BLOCK_S), edge + whole(self._renderer.margin / model_rate_hz), edge

    def _full_band(
        self, x: np.ndarray, image: np.ndarray | None, first: int, keep: slice, wanted: slice, progress: Progress
    ) -> tuple[tuple[str, ...], FullBand]:
        """Objects, side signal and stems of the wanted samples of a chunk (time) that begins with sample ``first``.

        ``image`` is the side signal of an input of two channels, (time).
        """
        rate_hz, model_rate_hz = self.sample_rate_hz, self._model_rate_hz
        at_model = lambda signal: signal if rate_hz == model_rate_hz else resample(signal, rate_hz, model_rate_hz)  # noqa: E731
        low, low_image = at_model(x), None if image is None else at_model(image)
        scaled = lambda samples: -(-samples * model_rate_hz // rate_hz)  # noqa: E731
        low_of = lambda part: slice(scaled(part.start), min(scaled(part.stop), len(low)))  # noqa: E731
        chunk = Chunk(
            mid=torch.from_numpy(2 * low).float(),
            offset=scaled(first),
            keep=low_of(keep),
            wanted=low_of(wanted),
            total=scaled(self.num_samples),
            image=None if low_image is None else torch.from_numpy(low_image).float(),
        )
        rendered = self._renderer(chunk, progress)
        parts = None
        if image is not None and low_image is not None and rendered.images is not None:
            parts = StereoImage(image[wanted], low_image[chunk.wanted], rendered.images.double().numpy())
        band = ModelBand(
            low[chunk.wanted],
            rendered.side.double().numpy(),
            model_rate_hz,
            None if rendered.stems is None else rendered.stems.double().numpy(),
            parts,
        )
        return rendered.objects, extend_bandwidth(
            x[wanted], rate_hz, band, rendered.sources, first=first + wanted.start
        )


def _check_request(network: SpatialModel, settings: RenderSettings, timeline: Timeline) -> None:
    """Refuse settings and levels that a model cannot follow, and places beyond the frontal plane."""
    timeline.require_plane()
    family = network.family
    if settings.steps is not None and settings.steps > network.max_steps:
        raise InputError(f"steps is {settings.steps}; a {family} model takes at most {network.max_steps}")
    if network.separates:
        return
    others = " and ".join(separating_families())
    if settings.on_sphere:
        raise InputError(f"a {family} model does not tell objects apart; only {others} models place them all around")
    if settings.head is not None:
        raise InputError(f"a {family} model has learned one head; only {others} models take another")
    if settings.stems:
        raise InputError(f"a {family} model does not tell objects apart; only {others} models give stems")
    if settings.keeps_stereo:
        raise InputError(f"a {family} model does not tell objects apart; only {others} models keep stereo")
    if timeline.changes_levels:
        raise InputError(f"a {family} model does not tell objects apart; only {others} models change levels")
    if settings.transition_s:
        length_s = network.config.window_s
        raise InputError(f"a {family} model averages windows of {length_s:g} s; only {others} models take a transition")


def render(
    samples: np.ndarray,
    sample_rate_hz: int,
    timeline: Timeline,
    model: LoadedModel,
    settings: RenderSettings = RenderSettings(),  # noqa: B008 - frozen
    progress: Progress = ignore,
) -> Spatialized:
    """Render a whole signal: a :class:`Spatializer` whose blocks are put together.

    Args:
        samples: mono signal (time), full scale 1.
        sample_rate_hz: 8000 to 192000.
        timeline: prompts; uncovered time is centred.
        model: a loaded model of any family.
        settings: of the rendering.
        progress: told the fraction done, 0 to 1.

    Raises:
        InputError: the samples are not mono; as :class:`Spatializer`.
    """
    if samples.shape[:-1] != ((2,) if settings.keeps_stereo else ()) or samples.shape[-1] == 0:
        expected = "two channels (channel, time)" if settings.keeps_stereo else "a mono signal (time)"
        raise InputError(f"expected {expected}, got shape {samples.shape}")
    if settings.on_sphere:
        plan = SpherePlan(samples.shape[-1], sample_rate_hz, timeline, settings)
        job = Spatializer(plan.num_samples, sample_rate_hz, plan.flat, model, plan.stem_settings)
        around = SphereSpatializer(plan, job)
        found = gathered(around, around.blocks(job.blocks([samples], progress)))
        return replace(found, evidence=job.evidence(), renderer=around.renderer)
    job = Spatializer(samples.shape[-1], sample_rate_hz, timeline, model, settings)
    return replace(gathered(job, job.blocks([samples], progress)), evidence=job.evidence())

"""From a mono signal and a timeline to two ears.

The network works at its own rate (16 kHz). Its side signal is brought back to the input's rate, and above the
model's band what the model does not hear goes where it put what sounds just below, see
:mod:`tas_core.inference.bandwidth_extension`. In the end

    left = x + width side / 2,  right = x - width side / 2,

so that (left + right) / 2 is the input x exactly (mid = 2 x), for any width.

Signals go through in blocks of some seconds, each with as much sound before and after it as the model looks at, so
that blocks do not show and memory does not depend on the length.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from tas_core.acoustics.hrtf import HrirSet
from tas_core.acoustics.level_difference import spl_of_energies_db
from tas_core.audio.resampling import resample
from tas_core.conventions import LEFT_EAR, RIGHT_EAR
from tas_core.errors import InputError
from tas_core.inference.bandwidth_extension import REACH_S, Extended, extend_band
from tas_core.inference.chunk import SideSignal, Stretch
from tas_core.inference.presence import Finding, Listener
from tas_core.inference.settings import check_seed, check_steps, check_width
from tas_core.inference.slots import SlotsSide
from tas_core.inference.windows import WindowedSide
from tas_core.models.base import PromptModel
from tas_core.models.slots.model import SlotsModel
from tas_core.models.text_encoders.base import CachedEncoder, TextEncoder
from tas_core.system.progress import Progress
from tas_core.timeline.segments import Segment, Timeline, stem_names
from tas_core.timeline.transitions import check_transition

_BLOCK_S = 20
_EDGE_S = 0.25 + REACH_S
"""What resampling and the band above need beyond the model's own margin."""
_LONGEST_GRID_S = 64


def encode_timeline(timeline: Timeline, model: SlotsModel | PromptModel, encoder: TextEncoder) -> CachedEncoder:
    """An encoder that already knows what a model reads of a timeline: whole prompts, or object phrases."""
    cached = CachedEncoder(encoder)
    if isinstance(model, PromptModel):
        cached(sorted({s.text for s in timeline.segments}))
    else:
        cached(sorted({c.object for s in timeline.segments for c in s.clauses}))
    return cached


@dataclass(frozen=True)
class SegmentResult:
    """A segment as it came out.

    Attributes:
        segment: with its end closed.
        spl_difference_db: level of the left ear over that of the right, dB; nan in silence.
        energy_shares: of its clauses, in their order, 0 to 1; None in silence and for models that do not tell objects
            apart.
    """

    segment: Segment
    spl_difference_db: float
    energy_shares: tuple[float | None, ...]


@dataclass(frozen=True)
class Spatialized:
    """Ears (ear, time) float64 at the input's rate, how each segment came out, and which objects were found.

    ``findings`` is empty for models that do not tell objects apart. ``stems`` are what each object was taken to be and
    "rest", (time) each, summing to the input; empty where they were not asked for.
    """

    ears: np.ndarray
    segments: tuple[SegmentResult, ...]
    findings: tuple[Finding, ...]
    stems: tuple[tuple[str, np.ndarray], ...]


@dataclass(frozen=True)
class Block:
    """A block of the result, float64 at the input's rate.

    Attributes:
        ears: (ear, time).
        stems: what each object was taken to be, (time), by its number in ``stem_names``, and the rest, summing to the
            input; objects that are named neither in the block nor nearby are silent and left out. None where they were
            not asked for.
    """

    ears: np.ndarray
    stems: dict[int, np.ndarray] | None


class Spatializer:
    """Puts each named sound of one signal where the timeline says, while the signal comes in.

    Args:
        num_samples: length of the signal.
        sample_rate_hz: 8000 to 192000.
        timeline: prompts; uncovered time is centred.
        model: a trained model of any family, on its device.
        encoder: the text encoder that the model was trained with.
        steps: diffusion steps; None is the model's own default.
        seed: of the noise, for models that use any.
        passage: number of the first sample that ears are wanted for, and of the end; None is the whole signal.
        head: whose ears to make, as :func:`tas_core.acoustics.sofa.read_sofa` gives them; by default KEMAR's.
        width: factor of the side signal, 0 (mono) to 2.
        transition_s: how long places take to change where a prompt begins or ends, seconds, see
            :mod:`tas_core.timeline.transitions`; with 0 it takes the model's own analysis window.
        stems: whether blocks come with what each object was taken to be, see ``stem_names``.

    Attributes:
        first_sample: number of the sample that :meth:`blocks` wants first, 0 for the whole signal.
        stem_names: of the stems of blocks, by number: the objects in the order in which they are first named, and
            "rest"; nothing where stems were not asked for.

    Raises:
        InputError: ``steps`` below 1 or above what the model can make use of, a seed, a width or a transition out of
            range, no samples, the timeline does not fit the signal, or a head, stems or a transition were asked of a
            model of whole prompts.
    """

    def __init__(
        self,
        num_samples: int,
        sample_rate_hz: int,
        timeline: Timeline,
        model: SlotsModel | PromptModel,
        encoder: TextEncoder,
        *,
        steps: int | None = None,
        seed: int = 0,
        passage: tuple[int, int] | None = None,
        head: HrirSet | None = None,
        width: float = 1.0,
        transition_s: float = 0.0,
        stems: bool = False,
    ) -> None:
        check_width(width)
        check_transition(transition_s)
        check_steps(steps)
        if steps is not None and steps > model.max_steps:
            raise InputError(f"steps is {steps}; a {model.family} model takes at most {model.max_steps}")
        check_seed(seed)
        if num_samples < 1:
            raise InputError("the signal has no samples")
        self.num_samples, self.sample_rate_hz = num_samples, sample_rate_hz
        self.timeline = timeline.resolved(num_samples / sample_rate_hz)
        self._model_rate_hz = int(model.config.sample_rate_hz)
        self._width = width
        self.stem_names: tuple[str, ...] = stem_names(self.timeline) if stems else ()
        self._numbers = {name: number for number, name in enumerate(self.stem_names[:-1])}
        self._listener: Listener | None = None
        steps = steps or model.default_steps
        self._side: SideSignal
        if isinstance(model, PromptModel):
            if head is not None:
                raise InputError(f"a {model.family} model has learned one head; only slots models take another")
            if stems:
                raise InputError(f"a {model.family} model does not tell objects apart; only slots models give stems")
            if transition_s:
                raise InputError(
                    f"a {model.family} model averages windows of {model.config.window_s:g} s; only slots models take a"
                    " transition"
                )
            self._side = WindowedSide(self.timeline, model, encoder, steps, seed)
        else:
            self._listener = Listener(self.timeline)
            self._side = SlotsSide(
                self.timeline,
                num_samples / sample_rate_hz,
                model,
                encoder,
                steps,
                seed,
                self._listener,
                head=head,
                stems=stems,
                transition_s=transition_s,
            )
        ends_s = [(segment.start_s, segment.end_s or 0.0) for segment in self.timeline.segments]
        self._edges = np.array([[round(t * sample_rate_hz) for t in ends] for ends in ends_s])
        self._energies = np.zeros((len(self.timeline.segments), 2))
        self._counts = np.zeros(len(self.timeline.segments), np.int64)
        self._passage = passage or (0, num_samples)
        self._block, self._margin, self._edge = self._plan()
        # Blocks are multiples of the model's stride, and so has to be the beginning of the first.
        self._begin = self._passage[0] // self._edge * self._edge
        self.first_sample = max(0, self._begin - self._margin)

    def ears(self, pieces: Iterable[np.ndarray], progress: Progress = lambda share: None) -> Iterator[np.ndarray]:
        """Ears (ear, time) float64, block by block; arguments and errors as for :meth:`blocks`."""
        return (block.ears for block in self.blocks(pieces, progress))

    def blocks(self, pieces: Iterable[np.ndarray], progress: Progress = lambda share: None) -> Iterator[Block]:
        """Ears and stems, block by block.

        Args:
            pieces: the signal (time), full scale 1, from :attr:`first_sample` on, in pieces of any length.
            progress: told the share done.

        Raises:
            InputError: the pieces are not mono, or shorter together than was said.
        """
        total, (passage_start, passage_end) = self.num_samples, self._passage
        done = lambda at: progress((at - passage_start) / (passage_end - passage_start))  # noqa: E731
        for first, block_start, block_stop, x in overlapping(
            pieces, total, self._block, self._margin, self._begin, passage_end
        ):
            start, stop = max(block_start, passage_start), min(block_stop, passage_end)
            report = lambda share, a=start, b=stop: done(a + share * (b - a))  # noqa: E731
            keep = slice(start - first, stop - first)
            around = slice(max(block_start - self._edge, first) - first, min(block_stop + self._edge - first, len(x)))
            objects, extended = self._extended(x, first, keep, around, report)
            x, keep = x[keep], slice(keep.start - around.start, keep.stop - around.start)
            side = self._width * extended.side[keep]
            ears = np.empty((2, stop - start))
            ears[LEFT_EAR] = x + side / 2
            ears[RIGHT_EAR] = x - side / 2
            edges = self._edges.clip(start, stop)
            for number in np.flatnonzero(edges[:, 1] > edges[:, 0]):
                begin, end = edges[number]
                self._energies[number] += np.square(ears[:, begin - start : end - start]).sum(axis=1)
                self._counts[number] += end - begin
            stems = None
            if extended.stems is not None:
                stems = {self._numbers[name]: stem[keep] for name, stem in zip(objects, extended.stems, strict=True)}
                stems[len(self._numbers)] = x - extended.stems[:, keep].sum(axis=0)
            yield Block(ears, stems)
            done(stop)

    def segments(self) -> tuple[SegmentResult, ...]:
        """How each segment came out, after all blocks; those outside the passage are left out."""
        results = []
        first_s, end_s = self._heard_s
        for number, segment in enumerate(self.timeline.segments):
            if segment.start_s >= end_s or (segment.end_s is not None and segment.end_s <= first_s):
                continue
            left, right = self._energies[number, LEFT_EAR], self._energies[number, RIGHT_EAR]
            level = spl_of_energies_db(left, right, int(self._counts[number]))
            shares = tuple(
                self._listener.energy_share(number, clause.object) if self._listener else None
                for clause in segment.clauses
            )
            results.append(SegmentResult(segment, level, shares))
        return tuple(results)

    def findings(self) -> tuple[Finding, ...]:
        """Which objects were found, after all blocks; nothing from models that do not tell objects apart.

        What was not listened to is not spoken of: stretches are cut to the passage.
        """
        first_s, end_s = self._heard_s
        heard = self._listener.findings() if self._listener else ()
        return tuple(
            replace(item, start_s=max(item.start_s, first_s), end_s=min(item.end_s, end_s))
            for item in heard
            if item.start_s < end_s and item.end_s > first_s
        )

    @property
    def _heard_s(self) -> tuple[float, float]:
        """Begin and end of the passage, in seconds."""
        first, end = self._passage
        return first / self.sample_rate_hz, end / self.sample_rate_hz

    def _plan(self) -> tuple[int, int, int]:
        """Length of a block, of the margins on its sides, and of the part of these that is computed, too, in samples.

        All are multiples of the model's stride at its rate.
        """
        rate_hz, model_rate_hz = self.sample_rate_hz, self._model_rate_hz
        grid = math.lcm(self._side.stride * rate_hz, model_rate_hz) // model_rate_hz
        if grid > _LONGEST_GRID_S * rate_hz:
            return self.num_samples, self.num_samples, self.num_samples
        whole = lambda seconds: math.ceil(seconds * rate_hz / grid) * grid  # noqa: E731
        edge = whole(_EDGE_S)
        return whole(_BLOCK_S), edge + whole(self._side.margin / model_rate_hz), edge

    def _extended(
        self, x: np.ndarray, first: int, keep: slice, wanted: slice, progress: Progress
    ) -> tuple[tuple[str, ...], Extended]:
        """Objects, side signal and stems of what is wanted of a stretch (time) that begins with sample ``first``."""
        rate_hz, model_rate_hz = self.sample_rate_hz, self._model_rate_hz
        low = x if rate_hz == model_rate_hz else resample(x, rate_hz, model_rate_hz)
        scaled = lambda samples: -(-samples * model_rate_hz // rate_hz)  # noqa: E731
        low_of = lambda part: slice(scaled(part.start), min(scaled(part.stop), len(low)))  # noqa: E731
        stretch = Stretch(
            mid=torch.from_numpy(2 * low).float(),
            offset=scaled(first),
            keep=low_of(keep),
            wanted=low_of(wanted),
            total=scaled(self.num_samples),
        )
        placed = self._side(stretch, progress)
        return placed.objects, extend_band(
            x[wanted],
            low[stretch.wanted],
            placed.side.double().numpy(),
            rate_hz,
            model_rate_hz,
            placement=placed.placement,
            stems_low=None if placed.stems is None else placed.stems.double().numpy(),
            first=first + wanted.start,
        )


def spatialize(
    samples: np.ndarray,
    sample_rate_hz: int,
    timeline: Timeline,
    model: SlotsModel | PromptModel,
    encoder: TextEncoder,
    *,
    steps: int | None = None,
    seed: int = 0,
    head: HrirSet | None = None,
    width: float = 1.0,
    transition_s: float = 0.0,
    stems: bool = False,
    progress: Progress = lambda share: None,
) -> Spatialized:
    """Put each named sound where the timeline says.

    Args:
        samples: mono signal (time), full scale 1.
        progress: told the share done.

    The other arguments, and errors: see :class:`Spatializer`.
    """
    if samples.ndim != 1 or len(samples) == 0:
        raise InputError(f"expected a mono signal (time), got shape {samples.shape}")
    job = Spatializer(
        len(samples),
        sample_rate_hz,
        timeline,
        model,
        encoder,
        steps=steps,
        seed=seed,
        head=head,
        width=width,
        transition_s=transition_s,
        stems=stems,
    )
    blocks = list(job.blocks([samples], progress))
    ears = np.concatenate([block.ears for block in blocks], axis=1)
    parts = np.zeros((len(job.stem_names), len(samples)))
    at = 0
    for block in blocks:
        stop = at + block.ears.shape[1]
        for number, stem in (block.stems or {}).items():
            parts[number, at:stop] = stem
        at = stop
    named = tuple(zip(job.stem_names, parts, strict=True))
    return Spatialized(ears, job.segments(), job.findings(), named)


def overlapping(
    pieces: Iterable[np.ndarray], total: int, block: int, margin: int, begin: int = 0, end: int | None = None
) -> Iterator[tuple[int, int, int, np.ndarray]]:
    """Cut a signal that comes in pieces into blocks with margins.

    Args:
        pieces: of the signal (time), of any length.
        total: samples in all.
        block: samples in a block; a last one of less than half of that is joined to the one before.
        margin: samples before and after a block, as far as there are any.
        begin: number of the first sample of the first block; the pieces begin with its margin.
        end: of the last block; None is that of the signal.

    Yields:
        Number of the first sample, of the first of the block, of the end of the block, and the samples
        (time) float64.

    Raises:
        InputError: a piece is not mono, or there are fewer samples than ``total``.
    """
    end = total if end is None else end
    starts = list(range(begin, end, block))
    if len(starts) > 1 and end - starts[-1] < block / 2:
        starts.pop()
    source = iter(pieces)
    held, at = np.zeros(0), max(0, begin - margin)
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        first, last = max(0, start - margin), min(total, stop + margin)
        parts = [held[first - at :]]
        have = at + len(held)
        while have < last:
            piece = next(source, None)
            if piece is None:
                raise InputError(f"the signal ends after {have} samples, expected {total}")
            if piece.ndim != 1:
                raise InputError(f"expected a mono signal (time), got shape {piece.shape}")
            parts.append(np.asarray(piece, np.float64))
            have += len(piece)
        held, at = np.concatenate(parts), first
        yield first, start, stop, held[: last - first]

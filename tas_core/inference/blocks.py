"""Signals that come in pieces, cut into blocks with margins; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from tas_core.errors import InputError
from tas_core.inference.likeness import AlikePair
from tas_core.inference.presence import Detection
from tas_core.inference.result import Block, SegmentResult, Spatialized
from tas_core.timeline.segments import Timeline


class Rendering(Protocol):
    """What makes blocks of a result, and knows what there is to say of it after all of them."""

    @property
    def num_samples(self) -> int: ...  # noqa: D102

    @property
    def stem_names(self) -> tuple[str, ...]: ...  # noqa: D102

    def segments(self) -> tuple[SegmentResult, ...]: ...  # noqa: D102

    def detections(self) -> tuple[Detection, ...]: ...  # noqa: D102

    def alike(self, asked: Timeline | None = None) -> tuple[AlikePair, ...]: ...  # noqa: D102


def gathered(job: Rendering, blocks: Iterable[Block]) -> Spatialized:
    """All blocks of a rendering of a whole signal, put together."""
    done = list(blocks)
    ears = np.concatenate([block.ears for block in done], axis=1)
    parts = np.zeros((len(job.stem_names), job.num_samples))
    at = 0
    for block in done:
        stop = at + block.ears.shape[1]
        for number, stem in (block.stems or {}).items():
            parts[number, at:stop] = stem
        at = stop
    named = tuple(zip(job.stem_names, parts, strict=True))
    return Spatialized(ears, job.segments(), job.detections(), named, job.alike())


def overlapping(
    pieces: Iterable[np.ndarray],
    total: int,
    block: int,
    margin: int,
    begin: int = 0,
    end: int | None = None,
    rows: int | None = None,
) -> Iterator[tuple[int, int, int, np.ndarray]]:
    """Cut a signal that comes in pieces into blocks with margins.

    Args:
        pieces: of the signal (time), or of several alike (row, time), of any length.
        total: samples in all.
        block: samples in a block; a last one of less than half of that is joined to the one before.
        margin: samples before and after a block, as far as there are any.
        begin: number of the first sample of the first block; the pieces begin with its margin.
        end: of the last block; None is that of the signal.
        rows: how many signals a piece has; None is a mono one (time).

    Yields:
        Number of the first sample, of the first of the block, of the end of the block, and the samples
        (time) or (row, time) float64.

    Raises:
        InputError: a piece is not mono, or there are fewer samples than ``total``.
    """
    end = total if end is None else end
    starts = list(range(begin, end, block))
    if len(starts) > 1 and end - starts[-1] < block / 2:
        starts.pop()
    source = iter(pieces)
    held, at = np.zeros(0 if rows is None else (rows, 0)), max(0, begin - margin)
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        first, last = max(0, start - margin), min(total, stop + margin)
        parts = [held[..., first - at :]]
        have = at + held.shape[-1]
        while have < last:
            piece = next(source, None)
            if piece is None:
                raise InputError(f"the signal ends after {have} samples, expected {total}")
            if piece.shape[:-1] != held.shape[:-1]:
                raise InputError(f"expected a mono signal (time), got shape {piece.shape}")
            parts.append(np.asarray(piece, np.float64))
            have += piece.shape[-1]
        held, at = np.concatenate(parts, axis=-1), first
        yield first, start, stop, held[..., : last - first]


def in_lengths(pieces: Iterable[np.ndarray], lengths: Iterable[int]) -> Iterator[np.ndarray]:
    """Pieces (..., time) of a signal in other lengths.

    Args:
        pieces: of any length, all together at least as long as is asked for.
        lengths: of the pieces that are wanted, asked for one by one.
    """
    source = iter(pieces)
    held = next(source)
    for length in lengths:
        parts = [held]
        have = held.shape[-1]
        while have < length:
            parts.append(next(source))
            have += parts[-1].shape[-1]
        held = np.concatenate(parts, axis=-1) if len(parts) > 1 else held
        yield held[..., :length]
        held = held[..., length:]

"""Levels of both ears in every segment, gathered block by block; imports no torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tas_core.acoustics.level_difference import spl_of_energies_db
from tas_core.conventions import LEFT_EAR, RIGHT_EAR
from tas_core.inference.result import SegmentResult
from tas_core.timeline.segments import Timeline


class SegmentLevels:
    """Energies of the ears in the segments of a timeline.

    Args:
        timeline: with all ends closed.
        sample_rate_hz: of the ears.
        passage: numbers of the first sample that there are ears of, and of the end.
    """

    def __init__(self, timeline: Timeline, sample_rate_hz: int, passage: tuple[int, int]) -> None:
        self._segments = timeline.segments
        self._passage_s = passage[0] / sample_rate_hz, passage[1] / sample_rate_hz
        ends_s = [(segment.start_s, segment.end_s or 0.0) for segment in self._segments]
        self._edges = np.array([[round(t * sample_rate_hz) for t in ends] for ends in ends_s])
        self._energies = np.zeros((len(self._segments), 2))
        self._counts = np.zeros(len(self._segments), np.int64)

    def add(self, ears: np.ndarray, start: int) -> None:
        """Take in ears (ear, time) from sample ``start`` on."""
        for number, part in self.parts(start, start + ears.shape[1]):
            self._energies[number] += np.square(ears[:, part]).sum(axis=1)
            self._counts[number] += part.stop - part.start

    def parts(self, start: int, stop: int) -> list[tuple[int, slice]]:
        """Segments, by their number, that hold within some samples, and where in these they do."""
        edges = self._edges.clip(start, stop)
        held = np.flatnonzero(edges[:, 1] > edges[:, 0])
        return [(int(number), slice(edges[number, 0] - start, edges[number, 1] - start)) for number in held]

    def results(self, energy_share: Callable[[int, str], float | None]) -> tuple[SegmentResult, ...]:
        """How each segment came out; those outside the passage are left out.

        Args:
            energy_share: fraction of the energy of a segment, by its number, that an object takes.
        """
        results = []
        first_s, end_s = self._passage_s
        for number, segment in enumerate(self._segments):
            if segment.start_s >= end_s or (segment.end_s is not None and segment.end_s <= first_s):
                continue
            left, right = self._energies[number, LEFT_EAR], self._energies[number, RIGHT_EAR]
            level = spl_of_energies_db(left, right, int(self._counts[number]))
            shares = tuple(energy_share(number, clause.object) for clause in segment.clauses)
            results.append(SegmentResult(segment, level, shares))
        return tuple(results)

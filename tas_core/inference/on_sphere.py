"""Stems, given or estimated, all around the head: what makes stems, and the renderer of the sphere behind it.

A ``Spatializer`` or a ``GivenSpatializer`` makes stems of a timeline that is laid flat; their ears are not used. Stems
times their gains go through :class:`tas_core.acoustics.sphere.renderer.SphereRenderer` at the places of the timeline.
What no prompt names is in front, like everything that is not placed. Of a sound of two channels, each stands 30 degrees
beside its place, on its own side of the listener, less where the ear is nearer.

Every room has a renderer of its own; where the room changes, sounds are faded from one to the other, while what sounded
in the first one rings on. Times that no segment covers are in a room if the segments on both sides are.

Reverberation has no sides, nor has what makes a sound wide. So that mirrored prompts mirror the ears, a scene whose
first side is the right is rendered mirrored, and its ears exchanged; not with a head whose ears differ.

(left + right) / 2 is not the input here. The ears are as long as the input: what rings on after its end is cut.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Final, Protocol

import numpy as np

from tas_core.acoustics.hrtf import direction_vectors
from tas_core.acoustics.rooms import Room
from tas_core.acoustics.sphere.places import Curve, Placement
from tas_core.acoustics.sphere.renderer import SphereRenderer
from tas_core.conventions import LEFT_EAR, LEFT_SIGN, MAX_AZIMUTH_DEG, REFERENCE_M, RIGHT_EAR, to_ears
from tas_core.inference.blocks import Rendering
from tas_core.inference.given import WIDTH_DEG
from tas_core.inference.levels import GainCurves
from tas_core.inference.likeness import AlikePair
from tas_core.inference.presence import Detection, within
from tas_core.inference.renderer_choice import flattened
from tas_core.inference.result import Block, SegmentResult
from tas_core.inference.segment_levels import SegmentLevels
from tas_core.inference.settings import RenderSettings
from tas_core.timeline.segments import Timeline, Track, stem_names

_PIECE_S: Final = 1.0
_FADE_S: Final = 0.05
"""How long a room takes to give way to another, at least."""
_STEPS_KEPT: Final = 64


class StemMaker(Rendering, Protocol):
    """What makes stems: a ``Spatializer`` or a ``GivenSpatializer``."""

    @property
    def first_sample(self) -> int: ...  # noqa: D102


class SpherePlan:
    """What is to be made, before there is anything that makes stems.

    Args:
        num_samples: length of the signal.
        sample_rate_hz: 8000 to 192000.
        timeline: prompts; uncovered time is in front.
        settings: of the rendering.
        passage: number of the first sample that ears are wanted for, and of the end; None is the whole.

    Attributes:
        timeline: with all ends closed.
        flat: the same laid flat, for what makes the stems.
        stem_settings: for what makes the stems.
        stem_passage: the passage that stems are needed of: it begins with what still rings in the passage.
        flipped: whether it is rendered mirrored, with its ears exchanged.

    Raises:
        PlaneOnlyError: the head was measured on a plane only.
    """

    def __init__(
        self,
        num_samples: int,
        sample_rate_hz: int,
        timeline: Timeline,
        settings: RenderSettings,
        passage: tuple[int, int] | None = None,
    ) -> None:
        self.num_samples, self.sample_rate_hz, self.settings = num_samples, sample_rate_hz, settings
        self.duration_s = num_samples / sample_rate_hz
        self.timeline = timeline.resolved(self.duration_s)
        self.flat = flattened(self.timeline)
        self.passage = passage or (0, num_samples)
        self.stem_settings = replace(settings, stems=True, renderer="sphere")
        self.renderers = {
            room: SphereRenderer(settings.head, sample_rate_hz, room) for room in dict.fromkeys(self._rooms.values())
        }
        longest = max(one.tail for one in self.renderers.values())
        one = next(iter(self.renderers.values()))
        self.flipped = one.head.symmetric and _first_side(self.timeline) < 0
        start, end = self.passage
        # On the grid of the steps, so that a passage is a part of the whole.
        warm_up = max(0, start - longest - one.latency) // one.step * one.step
        self.stem_passage = warm_up, min(num_samples, end + one.latency)

    @cached_property
    def _rooms(self) -> dict[tuple[float, float], Room | None]:
        """Rooms by the times from and to which they hold, from the beginning of the signal to its end."""
        spans: list[tuple[float, float, Room | None]] = []
        at_s = 0.0
        for segment in self.timeline.segments:
            room = None
            if segment.room is not None and segment.room.size_m is not None and segment.room.rt60_s is not None:
                room = Room.around(segment.room.size_m, segment.room.rt60_s)
            if segment.start_s > at_s:
                before = spans[-1][2] if spans else None
                spans.append((at_s, segment.start_s, room if before == room or not spans else None))
            at_s = segment.end_s or self.duration_s
            spans.append((segment.start_s, at_s, room))
        if at_s < self.duration_s:
            spans.append((at_s, self.duration_s, spans[-1][2]))
        return {(start_s, end_s): room for start_s, end_s, room in spans}

    @cached_property
    def _room_knots(self) -> tuple[np.ndarray, dict[Room | None, np.ndarray]]:
        """Times (knot), seconds, between which the shares of rooms (knot), 0 to 1, go straight."""
        spans = list(self._rooms.items())
        times_s, rooms = [0.0], [spans[0][1]]
        fade_s = max(_FADE_S, self.settings.transition_s)
        for ((start_s, border_s), room), ((_, end_s), following) in zip(spans[:-1], spans[1:], strict=True):
            if room != following:
                half_s = min(fade_s, border_s - start_s, end_s - border_s) / 2
                times_s += [border_s - half_s, border_s + half_s]
                rooms += [room, following]
        return np.array(times_s), {room: np.array([float(there == room) for there in rooms]) for room in self.renderers}

    def room_share(self, room: Room | None, start: int, stop: int) -> np.ndarray | None:
        """How much of the sounds is in a room (time), 0 to 1; None for all of them throughout."""
        if len(self.renderers) == 1:
            return None
        times_s, shares = self._room_knots
        return np.interp(np.arange(start, stop) / self.sample_rate_hz, times_s, shares[room])


class _Places:
    """Where all objects are, step by step; each step is worked out once for all objects and rooms."""

    def __init__(self, plan: SpherePlan) -> None:
        self._plan = plan
        self._begin_s = plan.stem_passage[0] / plan.sample_rate_hz
        self._step = lru_cache(maxsize=_STEPS_KEPT)(self._tracks)

    def at(self, time_s: np.ndarray, name: str) -> Track | None:
        """The track of an object at times (time), in seconds since the first sample; None where nothing names it."""
        return self._step(tuple(time_s.tolist())).get(name)

    def _tracks(self, times_s: tuple[float, ...]) -> Mapping[str, Track]:
        plan = self._plan
        at_s = np.clip(np.array(times_s) + self._begin_s, 0.0, np.nextafter(plan.duration_s, 0.0))
        glide_s = plan.settings.transition_s
        near = plan.timeline.overlapping(float(at_s[0]), float(at_s[-1]) + 1e-9, transition_s=glide_s)
        tracks = near.tracks(at_s, plan.duration_s, transition_s=glide_s) if near is not None else ()
        return {track.object: track for track in tracks}


class _TrackCurve:
    """The places of one object, or of one of its two channels, as a renderer asks for them.

    Args:
        places: of all objects.
        name: of the object; None is what is always in front.
        side: 1 or -1 for the left or right one of two channels, 0 for one alone.
        plan: of the rendering, whose left and right may be exchanged, and whose listener may be turned.
    """

    def __init__(self, places: _Places, name: str | None, side: int, plan: SpherePlan) -> None:
        self._places, self._name, self._side, self._flipped = places, name, side, plan.flipped
        self._turned_deg = plan.settings.listener_deg

    def at(self, time_s: np.ndarray) -> Placement:
        """Places at times (time) in seconds since the first sample."""
        track = None if self._name is None else self._places.at(time_s, self._name)
        count = len(time_s)
        if track is None:
            azimuth_deg, elevation_deg, spread = np.zeros((3, count))
            distance_m = np.full(count, REFERENCE_M)
        else:
            azimuth_deg, elevation_deg = track.azimuth_deg, track.elevation_deg
            distance_m, spread = track.distance_m, track.spread
        azimuth_deg = azimuth_deg - self._turned_deg
        if self._side:
            around_deg = np.abs(azimuth_deg - 360 * np.round(azimuth_deg / 360))
            apart_deg = np.clip(MAX_AZIMUTH_DEG - around_deg, -WIDTH_DEG, WIDTH_DEG)
            azimuth_deg = azimuth_deg + LEFT_SIGN * self._side * apart_deg
        direction = direction_vectors(azimuth_deg, elevation_deg)
        if self._flipped:
            direction[:, 1] *= -1
        return Placement(direction, distance_m, spread)


class SphereSpatializer:
    """Puts stems all around the head; like a ``Spatializer``, whose work it needs.

    Args:
        plan: what is to be made.
        maker: makes the stems of the plan's ``flat``, ``stem_settings`` and ``stem_passage``.
        channels: of sounds that are given, by object; others have one.
    """

    renderer: Final = "sphere"

    def __init__(self, plan: SpherePlan, maker: StemMaker, channels: Mapping[str, int] = {}) -> None:  # noqa: B006
        self._plan, self._maker = plan, maker
        self.num_samples, self.sample_rate_hz = plan.num_samples, plan.sample_rate_hz
        self.timeline = plan.timeline
        self.first_sample = maker.first_sample
        self.stem_names: tuple[str, ...] = stem_names(plan.timeline) if plan.settings.stems else ()
        self._names = (*plan.timeline.objects, None)
        self._channels = [channels.get(name, 1) if name is not None else 1 for name in self._names]
        self._levels = None
        if plan.timeline.changes_levels:
            self._levels = GainCurves(plan.flat, plan.duration_s, plan.sample_rate_hz, plan.settings.transition_s)
        self._meter = SegmentLevels(plan.timeline, plan.sample_rate_hz, plan.passage)

    def blocks(self, made: Iterable[Block]) -> Iterator[Block]:
        """Ears and stems, block by block, of the blocks that the maker makes."""
        plan, width = self._plan, self._plan.settings.width
        places = _Places(plan)
        curves: list[Curve] = []
        for name, channels in zip(self._names, self._channels, strict=True):
            sides = (1, -1) if channels == 2 else (0,)
            curves += [_TrackCurve(places, name, side, plan) for side in sides]
        streams = {room: one.stream(curves) for room, one in plan.renderers.items()}
        waiting: deque[tuple[int, int, dict[int, np.ndarray]]] = deque()
        ready = np.zeros((2, 0))
        for start, stop, stems in _pieces(made, plan.stem_passage[0], round(_PIECE_S * plan.sample_rate_hz)):
            waiting.append((start, stop, stems))
            rows = self._rows(stems, start, stop)
            shares = {room: plan.room_share(room, start, stop) for room in streams}
            found = [stream.feed(_shared(rows, shares[room])) for room, stream in streams.items()]
            ready = np.concatenate([ready, np.sum(found, axis=0)], axis=1)
            while waiting and ready.shape[1] >= (size := waiting[0][1] - waiting[0][0]):
                ears, ready = ready[:, :size], ready[:, size:]
                yield from self._block(ears, *waiting.popleft(), width)
        missing = sum(stop - start for start, stop, _ in waiting) - ready.shape[1]
        if missing > 0:
            last = [stream.finish()[:, :missing] for stream in streams.values()]
            ready = np.concatenate([ready, np.sum(last, axis=0)], axis=1)
        while waiting:
            size = waiting[0][1] - waiting[0][0]
            ears, ready = ready[:, :size], ready[:, size:]
            yield from self._block(ears, *waiting.popleft(), width)

    def segments(self) -> tuple[SegmentResult, ...]:
        """How each segment came out, after all blocks; those outside the passage are left out."""
        shares = {
            (result.segment.start_s, clause.object): share
            for result in self._maker.segments()
            for clause, share in zip(result.segment.clauses, result.energy_shares, strict=True)
        }
        segments = self.timeline.segments
        return self._meter.results(lambda number, name: shares.get((segments[number].start_s, name)))

    def detections(self) -> tuple[Detection, ...]:
        """Which objects are in the sound, after all blocks, cut to the passage."""
        span_s = (self._plan.passage[0] / self.sample_rate_hz, self._plan.passage[1] / self.sample_rate_hz)
        return within(self._maker.detections(), *span_s)

    def alike(self, asked: Timeline | None = None) -> tuple[AlikePair, ...]:
        """Objects that are not told apart and are not at one place: behind is not in front, nor is far near."""
        return self._maker.alike(asked or self.timeline)

    def _rows(self, stems: Mapping[int, np.ndarray], start: int, stop: int) -> np.ndarray:
        """Sounds (row, time) with their gains: the channels of all objects, and the rest last."""
        gains: dict[str, np.ndarray] = {}
        rest_gain: np.ndarray | None = None
        if self._levels is not None:
            gains, rest_gain = self._levels.at(start, stop)
        rows = np.zeros((sum(self._channels), stop - start))
        at = 0
        for number, (name, channels) in enumerate(zip(self._names, self._channels, strict=True)):
            if number in stems:
                gain = gains.get(name, rest_gain) if name is not None else rest_gain
                # Two channels are two sounds, and their mean is the object's.
                sound = stems[number] / channels
                rows[at : at + channels] = sound if gain is None else sound * gain
            at += channels
        return rows

    def _block(
        self, ears: np.ndarray, start: int, stop: int, stems: Mapping[int, np.ndarray], width: float
    ) -> Iterator[Block]:
        """The part of a block that lies in the passage, if there is one."""
        first, end = max(start, self._plan.passage[0]), min(stop, self._plan.passage[1])
        if first >= end:
            return
        keep = slice(first - start, end - start)
        ears = ears[::-1, keep] if self._plan.flipped else ears[:, keep]
        if width != 1:
            ears = to_ears(ears.mean(axis=0), width * (ears[LEFT_EAR] - ears[RIGHT_EAR]))
        self._meter.add(ears, first)
        kept = {number: np.atleast_2d(stem)[:, keep].mean(axis=0) for number, stem in stems.items()}
        yield Block(ears, kept if self.stem_names else None)


def _first_side(timeline: Timeline) -> float:
    """Sign of the first side that a timeline asks for, 1 for left; 1 if there is none."""
    for segment in timeline.segments:
        for clause in segment.clauses:
            path = clause.path
            points = (path.start, *([path.via] if path.via else []), path.end)
            sides = [LEFT_SIGN * point.azimuth_deg for point in points if abs(point.azimuth_deg) not in (0.0, 180.0)]
            sides += [LEFT_SIGN * turn for turn in (path.turns, path.turn_s) if turn]
            if sides:
                return math.copysign(1.0, sides[0])
    return 1.0


def _shared(rows: np.ndarray, share: np.ndarray | None) -> np.ndarray:
    """Sounds (row, time) times a share (time), if there is one."""
    return rows if share is None else rows * share


def _pieces(made: Iterable[Block], start: int, size: int) -> Iterator[tuple[int, int, dict[int, np.ndarray]]]:
    """Stems of blocks in pieces, with the numbers of their first sample and of their end."""
    for block in made:
        length = block.ears.shape[1]
        for at in range(0, length, size):
            stop = min(at + size, length)
            yield start + at, start + stop, {n: stem[..., at:stop] for n, stem in (block.stems or {}).items()}
        start += length

"""A scene while it is rendered: objects with their places, and blocks of their sounds.

The objects' sounds and the rest sum to the mono input (but for gains that prompts ask for). What no prompt of a passage
names is a part of the rest, which is in the center.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tas_core.delivery.trajectory import DISTANCE_M, Trajectory

REST_DEG: Final = ((0.0,), (30.0, -30.0))
"""Azimuths of the channels of the rest: of one, and of two, left and right."""
_PIECE_FRAMES: Final = 2**16


@dataclass(frozen=True)
class Scene:
    """What is delivered, whatever it is delivered as.

    Args:
        title: what the scene is called.
        objects: where each object is.
        rest: what is no object: a gain over time, in the center.
        sample_rate_hz: of the sounds.
        num_frames: samples of each.
        rest_channels: 1 or 2.
        loud_m: the distance at which sounds are as loud as they are, metres.
    """

    title: str
    objects: tuple[Trajectory, ...]
    rest: Trajectory
    sample_rate_hz: int
    num_frames: int
    rest_channels: int = 1
    loud_m: float = DISTANCE_M

    def loudness_of(self, distance_m: np.ndarray) -> np.ndarray:
        """What distances (time), metres, do to the level of a sound, factors: it falls as 1 / distance."""
        return self.loud_m / distance_m

    @property
    def duration_s(self) -> float:
        """Length, seconds."""
        return self.num_frames / self.sample_rate_hz

    @property
    def reference_m(self) -> float:
        """The distance that counts as 1 where distances have no unit: the largest, and 1 m at least."""
        return max(1.0, *(float(place.distance_m.max()) for place in (*self.objects, self.rest)))

    @property
    def nearest_m(self) -> float:
        """The smallest distance: renderers of BS.2127 widen what is nearer than 1."""
        return min(float(place.distance_m.min()) for place in (*self.objects, self.rest))

    @property
    def rest_deg(self) -> tuple[float, ...]:
        """Azimuths of the channels of the rest."""
        return REST_DEG[self.rest_channels - 1]


@dataclass(frozen=True)
class SceneBlock:
    """A piece of a scene, float64.

    Args:
        first: number of its first sample.
        stems: (object, time), without gain.
        rest: (channel, time).
    """

    first: int
    stems: np.ndarray
    rest: np.ndarray

    @property
    def num_frames(self) -> int:
        """Samples of each sound."""
        return self.rest.shape[1]

    def pieces(self) -> Iterator[SceneBlock]:
        """The block in pieces, so that many channels of it take little memory."""
        for at in range(0, self.num_frames, _PIECE_FRAMES):
            part = slice(at, at + _PIECE_FRAMES)
            yield SceneBlock(self.first + at, self.stems[:, part], self.rest[:, part])


class SceneSounds:
    """Puts blocks of a scene together from stems by their number.

    Args:
        trajectories: of all objects, and last of the rest; objects that no prompt places are counted to it.

    Attributes:
        placed: the others.
        rest: where the rest is.
        unplaced: names of those that are counted to the rest.
    """

    def __init__(self, trajectories: Sequence[Trajectory]) -> None:
        *objects, self.rest = trajectories
        self._numbers = [number for number, one in enumerate(objects) if one.is_placed]
        self._others = [number for number, one in enumerate(objects) if not one.is_placed]
        self._rest = len(objects)
        self._at = 0
        self.placed = tuple(trajectories[number] for number in self._numbers)
        self.unplaced = tuple(trajectories[number].object for number in self._others)

    def next(self, stems: Mapping[int, np.ndarray], num_frames: int) -> SceneBlock:
        """The next block.

        Args:
            stems: (time), by the number of their objects, and the rest, (time) or (channel, time), after the last;
                what is missing is silent.
            num_frames: samples of each.
        """
        silence = np.zeros(num_frames)
        rest = np.atleast_2d(stems.get(self._rest, silence))
        for number in self._others:
            if number in stems:
                rest = rest + stems[number]
        block = SceneBlock(
            self._at, np.array([stems.get(n, silence) for n in self._numbers]).reshape(-1, num_frames), rest
        )
        self._at += num_frames
        return block

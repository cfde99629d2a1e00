"""Gains that put a mono sound at a place: between two loudspeakers, into ambisonics, into a layout of loudspeakers.

With x to the front, y to the left and z up, a place is the unit vector

    x = cos(azimuth) cos(elevation),   y = sin(azimuth) cos(elevation),   z = sin(elevation).

Gains are known every 10 ms and go linearly between, so that nothing clicks where an object jumps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Final

import numpy as np

from tas_core.acoustics.hrtf import direction_vectors
from tas_core.delivery.layouts import SpeakerLayout
from tas_core.delivery.scene import Scene, SceneBlock
from tas_core.delivery.trajectory import Trajectory

GainLaw = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Azimuth and elevation, degrees, (time,) each -> gains, (time, channel)."""

STEP_S: Final = 0.01
MAX_ORDER: Final = 3
_TOUCHES: Final = 1e-9


def stereo_gains(azimuth_deg: np.ndarray, elevation_deg: np.ndarray) -> np.ndarray:
    """Gains of left and right, (time, 2): 1 + y and 1 - y, whose mean is 1 wherever the sound is.

    This is the sine law (Bauer, J. Audio Eng. Soc. 9, 1961) with all places between hard left and hard right. Since the
    mean is 1, (left + right) / 2 is the mono sound; a sound at one side is 3 dB louder than one in the center.
    """
    y = direction_vectors(azimuth_deg, elevation_deg)[..., 1]
    return np.stack([1 + y, 1 - y], axis=-1)


def ambisonic_gains(azimuth_deg: np.ndarray, elevation_deg: np.ndarray, order: int = MAX_ORDER) -> np.ndarray:
    """Real spherical harmonics, (time, (order + 1)^2), in the order ACN with the norm SN3D (AmbiX).

    Nachbar, Zotter, Deleflie and Sontacchi, "ambiX: a suggested ambisonics format", Ambisonics Symposium 2011. Their
    squares sum to 1 in each order, and the first is 1 for all places.
    """
    x, y, z = np.moveaxis(direction_vectors(azimuth_deg, elevation_deg), -1, 0)
    found = [np.ones_like(x), y, z, x]
    found += [
        np.sqrt(3) * x * y,
        np.sqrt(3) * y * z,
        (3 * z * z - 1) / 2,
        np.sqrt(3) * x * z,
        np.sqrt(3 / 4) * (x * x - y * y),
    ]
    found += [
        np.sqrt(5 / 8) * y * (3 * x * x - y * y),
        np.sqrt(15) * x * y * z,
        np.sqrt(3 / 8) * y * (5 * z * z - 1),
        z * (5 * z * z - 3) / 2,
        np.sqrt(3 / 8) * x * (5 * z * z - 1),
        np.sqrt(15 / 4) * z * (x * x - y * y),
        np.sqrt(5 / 8) * x * (x * x - 3 * y * y),
    ]
    return np.stack(found[: (order + 1) ** 2], axis=-1)


class Vbap:
    """Vector base amplitude panning: of the loudspeakers around a place, those gains of energy 1 that point there.

    Pulkki, J. Audio Eng. Soc. 45, 1997. The loudspeakers' convex hull consists of triangles; in that which holds a
    direction p, gains g with g_1 l_1 + g_2 l_2 + g_3 l_3 = p are scaled to g_1^2 + g_2^2 + g_3^2 = 1. Where no
    loudspeaker is above or below, one is imagined there, whose energy its neighbours get in equal parts. Faces of
    four loudspeakers are cut into triangles in both ways and the mean is taken, so that left and right are alike.

    Args:
        layout: the loudspeakers; that for low frequencies gets nothing.
    """

    def __init__(self, layout: SpeakerLayout) -> None:
        self._num_channels = len(layout.labels)
        self._channels = [n for n, place in enumerate(layout.places_deg) if place is not None]
        places = np.array([place for place in layout.places_deg if place is not None])
        real = direction_vectors(places[:, 0], places[:, 1])
        self._points = np.vstack([real, [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]])
        self._faces = [_ways_to_cut(face) for face in _faces(self._points)]
        # What each point sends to the real loudspeakers: itself, or if it is imagined, its neighbours alike.
        self._sends = np.eye(len(self._points), len(real))
        corners = [{*triangle} for face in self._faces for way in face for triangle in way]
        for imagined in (len(real), len(real) + 1):
            near = sorted({n for triangle in corners if imagined in triangle for n in triangle if n < len(real)})
            self._sends[imagined, near] = 1 / np.sqrt(len(near))

    def __call__(self, azimuth_deg: np.ndarray, elevation_deg: np.ndarray) -> np.ndarray:
        """Gains (time, channel)."""
        towards = direction_vectors(np.asarray(azimuth_deg, float), np.asarray(elevation_deg, float))
        found = np.zeros((len(towards), len(self._points)))
        open_ = np.ones(len(towards), bool)  # faces that meet in a place have the same gains there: the first counts
        for face in self._faces:
            for way in face:
                held = open_.copy()
                for triangle in way:
                    weights = towards[held] @ np.linalg.inv(self._points[list(triangle)])
                    inside = np.flatnonzero(held)[weights.min(axis=1) >= -_TOUCHES]
                    own = np.clip(weights[weights.min(axis=1) >= -_TOUCHES], 0, None)
                    found[np.ix_(inside, triangle)] += own / np.linalg.norm(own, axis=1, keepdims=True)
                    held[inside] = False
            open_ &= ~found.any(axis=1)
        gains = np.zeros((len(towards), self._num_channels))
        gains[:, self._channels] = found @ self._sends
        return gains / np.linalg.norm(gains, axis=1, keepdims=True)


def _faces(points: np.ndarray) -> list[list[int]]:
    """Faces of the convex hull of points (point, 3) around the origin, each the numbers of its corners in a row."""
    found: dict[frozenset[int], np.ndarray] = {}
    for triangle in combinations(range(len(points)), 3):
        corners = points[list(triangle)]
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        height = (points - corners[0]) @ normal
        if (height <= _TOUCHES).all() or (height >= -_TOUCHES).all():
            found[frozenset(np.flatnonzero(np.abs(height) <= _TOUCHES).tolist())] = normal
    faces = []
    for numbers, normal in found.items():
        face = sorted(numbers)
        middle = points[face].mean(axis=0)
        across = points[face[0]] - middle
        along = np.cross(normal, across) / np.linalg.norm(normal)
        faces.append(
            sorted(face, key=lambda n: np.arctan2((points[n] - middle) @ along, (points[n] - middle) @ across))
        )
    return faces


def _ways_to_cut(face: list[int]) -> list[list[tuple[int, ...]]]:
    """The ways to cut a face of three or four corners in a row into triangles."""
    if len(face) == 3:
        return [[tuple(face)]]
    a, b, c, d = face
    return [[(a, b, c), (a, c, d)], [(a, b, d), (b, c, d)]]


class Panner:
    """Sums the sounds of a scene into channels.

    Args:
        scene: with the places of its objects.
        law: gains for places.
        rest: what of each channel of the rest goes into each channel, (rest channel, channel); None has it at its
            azimuths by the same law.
    """

    def __init__(self, scene: Scene, law: GainLaw, rest: np.ndarray | None = None) -> None:
        self._scene, self._law = scene, law
        beside = np.array(scene.rest_deg)
        self._rest = law(beside, np.zeros(len(beside))) if rest is None else np.asarray(rest, float)

    def channels(self, block: SceneBlock) -> np.ndarray:
        """The sum of all sounds, (channel, time)."""
        times_s, knots = _knots(block, self._scene.sample_rate_hz)
        rest_gain = self._scene.rest.at(times_s).gain[:, None]
        sounds = [(rest_gain * into, sound) for into, sound in zip(self._rest, block.rest, strict=True)]
        for place, stem in zip(self._scene.objects, block.stems, strict=True):
            at = place.at(times_s)
            gain = at.gain * self._scene.loudness_of(at.distance_m)
            sounds.append((self._law(at.azimuth_deg, at.elevation_deg) * gain[:, None], stem))
        total = np.zeros((self._rest.shape[1], block.num_frames))
        for gains, sound in sounds:
            for channel, own in zip(total, gains.T, strict=True):
                channel += _between(own, knots, block) * sound
        return total


def gain_over(place: Trajectory, block: SceneBlock, sample_rate_hz: int) -> np.ndarray:
    """The gain of an object in a block, (time)."""
    times_s, knots = _knots(block, sample_rate_hz)
    return np.broadcast_to(_between(place.at(times_s).gain, knots, block), block.num_frames)


def _knots(block: SceneBlock, sample_rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """Moments around a block at which gains are known, seconds, and their sample numbers, (time) each."""
    step = max(1, round(STEP_S * sample_rate_hz))
    first, last = block.first // step, (block.first + block.num_frames - 1) // step + 1
    knots = np.arange(first, last + 1) * float(step)
    return knots / sample_rate_hz, knots


def _between(gains: np.ndarray, knots: np.ndarray, block: SceneBlock) -> np.ndarray | float:
    """Gains (time) for the samples of a block, straight between knots; one number where they stay."""
    if (gains == gains[0]).all():
        return float(gains[0])
    return np.interp(np.arange(block.first, block.first + block.num_frames), knots, gains)


def ambisonic_law(order: int) -> GainLaw:
    """Gains of ambisonics of an order."""
    return lambda azimuth_deg, elevation_deg: ambisonic_gains(azimuth_deg, elevation_deg, order)


def ambisonic_rest(order: int, rest_deg: Sequence[float]) -> np.ndarray:
    """Where the rest goes: a mono one is all around, in the first channel alone; two channels are at their places."""
    beside = np.array(rest_deg)
    gains = ambisonic_gains(beside, np.zeros(len(beside)), order)
    if len(beside) == 1:
        gains[:, 1:] = 0
    return gains

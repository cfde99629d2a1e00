"""What a room adds to the sounds in it: reflections from their directions, then one diffuse tail for all.

Reflections are image sources up to a stated order (Allen and Berkley, 1979), each through the head's response of the
nearest measured direction, by distance as loud as they are. Around the mixing time, about sqrt(V / m^3) ms (Polack,
1993), they are faded over to noise that decays by 60 dB in the reverberation time, whose coherence between the ears is
that of a diffuse field.

**Level of the tail.** Images lie in space with one in every V, so that per second 4 pi c^3 t^2 / V of them arrive,
each with a power of (r0 / c t)^2 times what walls have left of it. With r0 the distance at which a source has power 1,

    p(t) = 4 pi c r0^2 / V 10^(-6 t / RT60)     per second.

All of it together is as strong as the direct sound at sqrt(13.8 V / (4 pi c RT60)) = 0.057 sqrt(V / RT60), which is
the textbook's critical distance. It does not depend on where the source is: what is farther away is more reverberant.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tas_core.acoustics.hrtf import SPEED_OF_SOUND_M_S
from tas_core.acoustics.rooms import (
    Room,
    diffuse_noise,
    image_sources,
    nearest_directions,
    position_inside,
    sum_pulses,
)
from tas_core.acoustics.sphere.distance import REFERENCE_M
from tas_core.acoustics.sphere.head import SphereHead
from tas_core.errors import InputError

IMAGE_ORDER: Final = 3
"""Reflections that are rendered one by one are those off at most so many walls."""

_SIZE_M = (1.0, 1000.0)
_RT60_S = (0.02, 20.0)
_WALL_M = 0.15
_MIXING_S = (0.02, 0.12)
_HIGHEST_ORDER = 12
_TAIL_SEED = 19
_FRACTIONS = 4
_MIDDLE_M = 1e-9


def check_room(room: Room) -> None:
    """Refuse a room that cannot be.

    Raises:
        InputError: a side not from 1 to 1000 m, a reverberation time not from 0.02 to 20 s, a listener outside of it or
            in a wall.
    """
    for name, values, (low, high), unit in (
        ("sides", room.size_m, _SIZE_M, "m"),
        ("reverberation time", (room.rt60_s,), _RT60_S, "s"),
    ):
        if not all(np.isfinite(value) and low <= value <= high for value in values):
            shown = " x ".join(f"{value:g}" for value in values)
            raise InputError(f"room: {name} of {shown} {unit}, expected {low:g} to {high:g}")
    if not all(_WALL_M < at < size - _WALL_M for at, size in zip(room.listener_m, room.size_m, strict=True)):
        raise InputError(
            f"room: the listener is at {room.listener_m} m, expected more than {_WALL_M} m inside of {room.size_m}"
        )


class Reflections:
    """A room around a head.

    Args:
        room: the room.
        head: whose ears.
        image_order: reflections on the way of an image, at most; 0 to 12.

    Attributes:
        taps: length of :meth:`early`.
        symmetric: whether mirrored places have mirrored reflections.
        mixing_s: when the tail begins and when it has taken over, after the direct sound.

    Raises:
        InputError: see :func:`check_room`, or another order.
    """

    def __init__(self, room: Room, head: SphereHead, image_order: int = IMAGE_ORDER) -> None:
        check_room(room)
        if not 0 <= image_order <= _HIGHEST_ORDER:
            raise InputError(f"room: images of order {image_order}, expected 0 to {_HIGHEST_ORDER}")
        self._room, self._order = room, image_order
        self._volume = float(np.prod(room.size_m))
        end_s = float(np.clip(0.001 * np.sqrt(self._volume), *_MIXING_S))
        self.mixing_s = (end_s / 2, end_s)
        self._rate_hz = head.sample_rate_hz
        self._origin = np.array(room.listener_m)
        self._vectors = head.vectors
        fractions = [head.measured_responses(step / _FRACTIONS) for step in range(_FRACTIONS)]
        # A pulse of half the length is enough for what comes after the direct sound.
        self._pulse = head.taps // 2
        fade = np.ones(self._pulse, np.float32)
        fade[-head.hop // 2 :] = np.linspace(1, 0, head.hop // 2)
        self._responses = np.stack(fractions, axis=1).reshape(-1, 2, head.taps)[..., : self._pulse] * fade
        self.taps = int(np.ceil(end_s * self._rate_hz)) + self._pulse
        self.symmetric = head.symmetric and abs(room.listener_m[1] - room.size_m[1] / 2) < _MIDDLE_M

    def early(self, direction: np.ndarray, distance_m: float) -> np.ndarray:
        """Impulse response (ear, tap) of the reflections, without the direct sound; late as the head's responses are.

        Args:
            direction: of the source, a unit vector (xyz).
            distance_m: of the source; where it lies outside of the room, it is pulled in.
        """
        source = position_inside(self._room, direction, distance_m)
        direct_m = float(np.linalg.norm(source - self._origin))
        position, order = image_sources(self._room, source, self._order)
        offset = position - self._origin
        reach_m = np.sqrt(np.square(offset).sum(axis=1))
        delay_s = np.maximum(reach_m - direct_m, 0.0) / SPEED_OF_SOUND_M_S
        heard = delay_s < self.mixing_s[1]
        offset, reach_m, delay_s, order = offset[heard], reach_m[heard], delay_s[heard], order[heard]
        fade = np.clip((self.mixing_s[1] - delay_s) / (self.mixing_s[1] - self.mixing_s[0]), 0, 1)
        gain = self._room.reflection**order * REFERENCE_M / reach_m * fade
        nearest = nearest_directions(offset / reach_m[:, None], self._vectors)
        # To a quarter of a sample, by filters and not by the mean of two samples, which would take the treble.
        steps = np.round(delay_s * self._rate_hz * _FRACTIONS).astype(int)
        rows = nearest * _FRACTIONS + steps % _FRACTIONS
        pulses = self._responses[rows] * gain.astype(np.float32)[:, None, None]
        return sum_pulses(steps // _FRACTIONS, pulses, self.taps)

    def tail(self) -> np.ndarray:
        """Impulse response (ear, tap) of the diffuse tail, the same for all sources and every time."""
        rate_hz, rt60_s = self._rate_hz, self._room.rt60_s
        taps = round((rt60_s + self.mixing_s[1]) * rate_hz)
        noise = diffuse_noise(rt60_s, taps, rate_hz, np.random.default_rng(_TAIL_SEED))
        level = REFERENCE_M * np.sqrt(4 * np.pi * SPEED_OF_SOUND_M_S / (self._volume * rate_hz))
        time_s = np.arange(taps) / rate_hz
        rise = np.clip((time_s - self.mixing_s[0]) / (self.mixing_s[1] - self.mixing_s[0]), 0, 1)
        end = np.clip((taps - np.arange(taps)) / (taps / 8), 0, 1)
        return noise * level * np.sqrt(rise) * np.sin(np.pi / 2 * end) ** 2

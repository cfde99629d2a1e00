"""What was measured on a head, by plain convolution: the reference that what renders the sphere is judged by.

Nothing is interpolated, and no response is taken apart into filter and delay as in
:mod:`tas_core.acoustics.sphere.head`: a place is one of the measured directions. What is done to its response is one
filter in minimum phase for each ear,

    h = h_measured * [colour^-1 x near field x air] * 1.4 m / r,

with the colour that all directions share (the root of the mean power over the sphere and both ears, from 60 Hz on, at
most 20 dB), and the formulas of :mod:`tas_core.acoustics.sphere.distance` for the rest, evaluated for this place. All
responses are early by the same time, so that the first ear of all hears at the beginning.

**Rooms** are image sources up to order 7, each through the response that was measured nearest to its direction, and
then a diffuse tail of the sound's own, at the level of the theory in :mod:`tas_core.acoustics.sphere.reflections`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from tas_core.acoustics.hrtf import SPEED_OF_SOUND_M_S, HrirSet
from tas_core.acoustics.rooms import (
    Room,
    add_pulses,
    diffuse_noise,
    head_at_rate,
    image_sources,
    nearest_directions,
    position_inside,
)
from tas_core.acoustics.sphere.distance import air_absorption_db_per_m, spherical_head_response
from tas_core.acoustics.sphere.head import SphereHead, sphere_head
from tas_core.acoustics.sphere.minimum_phase import minimum_phase_log
from tas_core.acoustics.sphere.triangles import Triangles
from tas_core.conventions import REFERENCE_M

_LENGTH_S: Final = 0.02
_LOWEST_HZ, _HIGHEST_HZ, _HIGHEST_FRACTION = 60.0, 20_000.0, 0.45
_MOST: Final = 10.0
"""Factor by which a frequency is raised at most where the measurement has little of it."""
_ALIGNED_HZ: Final = (300.0, 3000.0)
_FINE: Final = 2
_ORDER: Final = 7
_MIXING_S: Final = (0.02, 0.12)


def mixing_s(room: Room) -> float:
    """When, after the direct sound, the tail of a room has taken over from single reflections, seconds."""
    return float(np.clip(0.001 * np.sqrt(np.prod(room.size_m)), *_MIXING_S))


class MeasuredHead:
    """A head at a rate, in the directions that it was measured in and in no others.

    Args:
        head: measured all around.
        rate_hz: of the sound, 8000 to 192000.

    Attributes:
        vectors: measured directions, unit vectors (direction, xyz).
        responses: their impulse responses without the colour that all share, float32 (direction, ear, tap).
        late: samples by which they are later than those of :class:`tas_core.acoustics.sphere.head.SphereHead`, which
            begin with the first ear of all; one number for the head.
    """

    def __init__(self, head: HrirSet, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        measured, self.vectors = head_at_rate(rate_hz, head)
        self._taps = max(round(_LENGTH_S * rate_hz), measured.shape[-1])
        self._size = 1 << (_FINE * self._taps - 1).bit_length()
        highest_hz = min(_HIGHEST_HZ, _HIGHEST_FRACTION * min(rate_hz, head.sample_rate_hz))
        self._freqs_hz = np.clip(np.fft.rfftfreq(self._size, 1 / rate_hz), _LOWEST_HZ, highest_hz)
        self._spectra = np.fft.rfft(measured, self._size)
        self._log_colour = self._common_colour()
        self.responses = self._shaped(self._spectra, -self._log_colour).astype(np.float32)
        self.late = self._lateness(sphere_head(head, rate_hz))

    def nearest(self, direction: np.ndarray) -> np.ndarray:
        """Rows of the measured directions that are nearest to unit vectors (place, xyz)."""
        return nearest_directions(direction, self.vectors)

    def response(self, row: int, distance_m: float) -> np.ndarray:
        """Impulse response (ear, tap) of the direct sound from a measured direction.

        Args:
            row: of :attr:`vectors`.
            distance_m: 0.1 or more; 1.4 has a gain of 1.
        """
        lateral = float(self.vectors[row, 1])
        log_gain = np.log(REFERENCE_M / distance_m) - np.tile(self._log_colour, (2, 1))
        if distance_m < REFERENCE_M:
            cosine = np.clip(np.array([lateral, -lateral]), -1, 1)
            near = np.abs(spherical_head_response(np.array([distance_m, REFERENCE_M]), cosine, self._freqs_hz))
            log_gain += np.log(near[0] / near[1])
        elif distance_m > REFERENCE_M:
            taken_db = air_absorption_db_per_m(self._freqs_hz) * (distance_m - REFERENCE_M)
            log_gain -= taken_db * np.log(10) / 20
        return self._shaped(self._spectra[row], log_gain)

    def room_response(self, row: int, distance_m: float, room: Room, rng: np.random.Generator) -> np.ndarray:
        """Impulse response (ear, tap) of a sound in a room: direct, reflections, and a tail of its own.

        Args:
            row: of :attr:`vectors`.
            distance_m: as for :meth:`response`; reflections are those of a place inside of the room.
            room: what is around the listener; a reverberation time of 0 is none.
            rng: of the tail.
        """
        direct = self.response(row, distance_m)
        if room.rt60_s <= 0:
            return direct
        volume, mixed_s = float(np.prod(room.size_m)), mixing_s(room)
        taps = round((room.rt60_s + mixed_s) * self.rate_hz) + direct.shape[-1]
        out, direct_m = self.reflections(row, distance_m, room, taps, _ORDER)
        out[:, : direct.shape[-1]] += direct
        return out + self._tail(room, volume, direct_m / SPEED_OF_SOUND_M_S, mixed_s, taps, rng)

    def reflections(self, row: int, distance_m: float, room: Room, taps: int, order: int) -> tuple[np.ndarray, float]:
        """Reflections of a sound (ear, tap) before the tail has taken over, and how far away it is inside of the room.

        Args:
            row: of :attr:`vectors`.
            distance_m: as for :meth:`response`.
            room: with walls that reflect.
            taps: length of the result.
            order: walls on the way, at most.
        """
        end_s = min(mixing_s(room), taps / self.rate_hz)
        origin = np.array(room.listener_m)
        source = position_inside(room, self.vectors[row], distance_m)
        direct_m = float(np.linalg.norm(source - origin))
        position, walls = image_sources(room, source, order)
        offset = position - origin
        reach_m = np.linalg.norm(offset, axis=1)
        late_s = np.maximum(reach_m - direct_m, 0.0) / SPEED_OF_SOUND_M_S
        heard = late_s < end_s
        offset, reach_m, late_s, walls = offset[heard], reach_m[heard], late_s[heard], walls[heard]
        gain = room.reflection**walls * REFERENCE_M / reach_m
        fade = np.clip(2 * (mixing_s(room) - late_s) / mixing_s(room), 0, 1)
        rows = self.nearest(offset / reach_m[:, None])
        return add_pulses(self.responses, rows, late_s * self.rate_hz, gain, fade, taps)[1], direct_m

    def _tail(
        self, room: Room, volume: float, sent_s: float, mixed_s: float, taps: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Diffuse tail (ear, tap) of what was sent ``sent_s`` before the direct sound arrived."""
        noise = diffuse_noise(room.rt60_s, taps, self.rate_hz, rng)
        power = 4 * np.pi * SPEED_OF_SOUND_M_S * REFERENCE_M**2 / (volume * self.rate_hz)
        power *= 10 ** (-6 * sent_s / room.rt60_s)
        rise = np.clip(2 * np.arange(taps) / (mixed_s * self.rate_hz) - 1, 0, 1)
        end = np.clip((taps - np.arange(taps)) / (taps / 8), 0, 1)
        return noise * np.sqrt(power * rise) * np.sin(np.pi / 2 * end) ** 2

    def _lateness(self, rendered: SphereHead) -> int:
        """Where what is in front is most like what is rendered there, in whole samples."""
        row = int(self.nearest(np.array([[1.0, 0.0, 0.0]]))[0])
        azimuth_deg = np.degrees(np.arctan2(self.vectors[row, 1], self.vectors[row, 0]))
        elevation_deg = np.degrees(np.arcsin(np.clip(self.vectors[row, 2], -1, 1)))
        theirs = rendered.response(np.array([azimuth_deg]), np.array([elevation_deg]))[0]
        size = 2 * self._size + 2 * theirs.shape[-1]
        freqs_hz = np.fft.rfftfreq(size, 1 / self.rate_hz)
        band = (freqs_hz >= _ALIGNED_HZ[0]) & (freqs_hz <= _ALIGNED_HZ[1])
        cross = np.fft.rfft(self.responses[row], size) * np.fft.rfft(theirs, size).conj()
        shift = int(np.fft.irfft((cross * band).sum(axis=0), size).argmax())
        return (shift - size if shift > size // 2 else shift) + rendered.lead

    def _common_colour(self) -> np.ndarray:
        """Natural logarithm (freq) of the root of the mean power in all directions, held within 20 dB of its median."""
        areas = Triangles(self.vectors).areas()
        power = np.einsum("d,def->f", areas / areas.sum(), np.abs(self._spectra) ** 2) / 2
        plain_hz = np.fft.rfftfreq(self._size, 1 / self.rate_hz)
        log_colour = np.interp(self._freqs_hz, plain_hz, 0.5 * np.log(np.maximum(power, 1e-20)))
        return np.maximum(log_colour, np.median(log_colour) - np.log(_MOST))

    def _shaped(self, spectra: np.ndarray, log_gain: np.ndarray) -> np.ndarray:
        """Impulse responses (..., tap) of spectra (..., freq) through filters in minimum phase, ended smoothly."""
        found = np.fft.irfft(spectra * np.exp(minimum_phase_log(log_gain)), self._size)[..., : self._taps]
        end = np.arange(self._taps // 4)
        found[..., -len(end) :] *= np.cos(np.pi / 2 * (end + 0.5) / len(end)) ** 2
        return found


@lru_cache(maxsize=2)
def measured_head(head: HrirSet, rate_hz: int) -> MeasuredHead:
    """A head at a rate, made once."""
    return MeasuredHead(head, rate_hz)

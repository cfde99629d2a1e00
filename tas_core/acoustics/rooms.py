"""Simulated rooms: image sources, diffuse tails, and binaural impulse responses of both and a measured head.

The direct sound and every early reflection arrive through the head-related impulse response of their direction, by
default KEMAR's (Allen and Berkley's image method, 1979). After some 50 ms a diffuse tail takes over:
exponentially decaying noise whose interaural coherence is that of a diffuse field at two points
17 cm apart, sin(kd)/(kd) (Cook et al., 1955). Rooms are shoeboxes with one absorption for all walls.

What simulates TASBench-Sim and what renders the whole sphere (:mod:`tas_core.acoustics.sphere.reflections`) are made of
the same parts: :func:`image_sources`, :func:`nearest_directions`, :func:`sum_pulses`, :func:`diffuse_noise`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tas_core.acoustics.hrtf import SPEED_OF_SOUND_M_S, HrirSet, load_kemar

EAR_DISTANCE_M = 0.17
_MAX_ORDER = 7
_MIXING_S = (0.04, 0.08)
_FRONT_TAPS = 4
_CUT, _LOBES, _KAISER_BETA = 0.9556, 133, 18.0
"""Resampling filter: middle of its slope over half the lower rate, its samples on a side at that rate, its window."""


@dataclass(frozen=True)
class Room:
    """A shoebox room. Lengths in metres, RT60 in seconds; 0 s means no reflections at all."""

    size_m: tuple[float, float, float]
    rt60_s: float
    listener_m: tuple[float, float, float]

    @classmethod
    def around(cls, size_m: tuple[float, float, float], rt60_s: float) -> Room:
        """A room whose listener is in the middle of its width, a little behind its middle, ears at most 1.5 m high."""
        length, width, height = size_m
        return cls(size_m, rt60_s, (0.45 * length, 0.5 * width, min(1.5, 0.55 * height)))

    @property
    def reflection(self) -> float:
        """Pressure reflection coefficient of the walls, from Sabine's formula."""
        x, y, z = self.size_m
        surface = 2 * (x * y + y * z + x * z)
        absorption = min(0.97, 0.161 * x * y * z / (surface * max(self.rt60_s, 1e-3)))
        return float(np.sqrt(1 - absorption))


def random_room(rng: np.random.Generator, *, dry_fraction: float = 0.12) -> Room:
    """A room of 3 to 9 m with RT60 0.1 to 0.6 s, or, for ``dry_fraction`` of them, no reflections."""
    size = (float(rng.uniform(4, 9)), float(rng.uniform(4, 8)), float(rng.uniform(2.5, 3.6)))
    rt60 = 0.0 if rng.random() < dry_fraction else float(rng.uniform(0.1, 0.6))
    listener = (
        float(size[0] * rng.uniform(0.15, 0.4)),
        float(size[1] * rng.uniform(0.4, 0.6)),
        float(rng.uniform(1.2, 1.7)),
    )
    return Room(size, rt60, listener)


def source_position(room: Room, azimuth_deg: float, distance_m: float) -> np.ndarray:
    """Point (xyz) at listener height; the listener looks along x. Pulled in where a wall is nearer."""
    angle = np.radians(azimuth_deg)
    return position_inside(room, np.array([np.cos(angle), np.sin(angle), 0.0]), distance_m)


def position_inside(room: Room, direction: np.ndarray, distance_m: float) -> np.ndarray:
    """Point (xyz) in a direction (xyz, a unit vector) from the listener. Pulled in where a wall is nearer."""
    origin = np.array(room.listener_m)
    reach = distance_m
    for axis in range(3):
        if direction[axis] > 1e-9:
            reach = min(reach, (room.size_m[axis] - 0.1 - origin[axis]) / direction[axis])
        elif direction[axis] < -1e-9:
            reach = min(reach, (0.1 - origin[axis]) / direction[axis])
    return origin + reach * direction


@lru_cache(maxsize=4)
def head_at_rate(rate_hz: int, head: HrirSet | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A head, by default KEMAR, at a rate: impulse responses (direction, ear, tap) and unit vectors (direction, xyz).

    A band-limited signal is x(t) = sum_n x[n] sinc(t - n), n and t in samples. Low-pass filtered and windowed,

        y(t) = sum_n x[n] c sinc(c (t - n)) w(t - n),

    read off at the new times t. ``c`` leaves 0.91 of the new band untouched, the Kaiser window ``w`` stops what
    would alias by 170 dB: the passband of a good resampler, without needing one.
    """
    head = head or load_kemar()
    step = head.sample_rate_hz / rate_hz
    taps = head.hrir.shape[-1]
    narrowing = min(1.0, 1 / step)
    half = _LOBES / narrowing
    lag = np.arange(int(np.ceil(taps / step)))[:, None] * step - np.arange(taps)
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (lag / half) ** 2, 0, None))) / np.i0(_KAISER_BETA)
    cut = _CUT * narrowing
    kernel = cut * np.sinc(cut * lag) * np.where(np.abs(lag) < half, window, 0.0)
    # An impulse response is a density: its samples grow with the distance between them.
    return head.hrir @ kernel.T * step, head.unit_vectors()


def direct_response(azimuth_deg: float, rate_hz: int, taps: int = 256, *, head: HrirSet | None = None) -> np.ndarray:
    """Impulse response (ear, tap) of the direct sound at any azimuth on the horizontal plane, by default KEMAR's."""
    # Twice as long as wanted, so that what wraps around in time is not heard.
    freqs_hz = np.fft.rfftfreq(2 * taps, 1 / rate_hz)
    ears = (head or load_kemar()).horizontal(np.array([azimuth_deg]), np.minimum(freqs_hz, 22000.0))[0]
    response = np.fft.irfft(ears, axis=-1)[:, :taps]
    fade = np.ones(taps)
    fade[-taps // 4 :] = 0.5 + 0.5 * np.cos(np.pi * np.arange(taps // 4) / (taps // 4))
    return response * fade


def image_sources(room: Room, source: np.ndarray, max_order: int = _MAX_ORDER) -> tuple[np.ndarray, np.ndarray]:
    """Image sources: positions (image, xyz) and numbers of reflections (image), without the source itself.

    Args:
        room: the room.
        source: where the source is in it (xyz), metres.
        max_order: reflections on the way, at most.
    """
    cell, order = _cells(max_order)
    size = np.array(room.size_m)
    even = cell % 2 == 0
    position = np.where(even, cell * size + source, (cell + 1) * size - source)
    return position, order


def binaural_response(
    room: Room,
    azimuth_deg: float,
    distance_m: float,
    rate_hz: int,
    length_s: float,
    rng: np.random.Generator,
    head: HrirSet | None = None,
) -> np.ndarray:
    """Binaural room impulse response (ear, tap), scaled so that the direct sound has unit distance gain.

    ``head`` is by default KEMAR; another should have been measured all around, or reflections come from the nearest
    direction that it has.
    """
    taps = round(length_s * rate_hz)
    out = np.zeros((2, taps))
    direct = direct_response(azimuth_deg, rate_hz, head=head)
    size = min(direct.shape[-1], taps - _FRONT_TAPS)
    out[:, _FRONT_TAPS : _FRONT_TAPS + size] = direct[:, :size]
    if room.rt60_s <= 0:
        return out
    source = source_position(room, azimuth_deg, distance_m)
    origin = np.array(room.listener_m)
    direct_m = max(0.1, float(np.linalg.norm(source - origin)))
    position, order = image_sources(room, source)
    offset = position - origin
    reach = np.linalg.norm(offset, axis=1)
    delay_s = (reach - direct_m) / SPEED_OF_SOUND_M_S
    near = delay_s < _MIXING_S[1]
    offset, reach, delay_s, order = offset[near], reach[near], delay_s[near], order[near]
    heads, vectors = head_at_rate(rate_hz, head)
    nearest = nearest_directions(offset / reach[:, None], vectors)
    gain = room.reflection**order * direct_m / reach
    fade = np.clip((_MIXING_S[1] - delay_s) / (_MIXING_S[1] - _MIXING_S[0]), 0, 1)
    exact = delay_s * rate_hz + _FRONT_TAPS
    audible = exact < taps
    full, early = add_pulses(heads, nearest[audible], exact[audible], gain[audible], fade[audible], taps)
    out += early
    out += _diffuse_tail(room, full, rate_hz, rng)
    end = np.ones(taps)
    fade_taps = taps // 8
    end[taps - fade_taps :] = np.cos(np.pi / 2 * np.arange(fade_taps) / fade_taps) ** 2
    return out * end


@lru_cache(maxsize=4)
def _cells(max_order: int) -> tuple[np.ndarray, np.ndarray]:
    """Mirrored rooms by their number in each direction (image, xyz), and how many walls lie between (image)."""
    steps = np.arange(-max_order, max_order + 1)
    cell = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    order = np.abs(cell).sum(axis=1)
    return cell[(order > 0) & (order <= max_order)], order[(order > 0) & (order <= max_order)]


def nearest_directions(directions: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Row of the nearest of ``measured`` (direction, xyz) for each unit vector of ``directions`` (image, xyz)."""
    # In pieces that stay in the cache, and that the linear algebra library does not spread over threads.
    found = [np.argmax(directions[at : at + 64] @ measured.T, axis=1) for at in range(0, len(directions), 64)]
    return np.concatenate(found) if found else np.zeros(0, int)


def add_pulses(
    heads: np.ndarray, direction: np.ndarray, at: np.ndarray, gain: np.ndarray, fade: np.ndarray, taps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of all images (ear, tap) as they are, and faded.

    Args:
        heads: impulse responses (direction, ear, tap).
        direction: row of ``heads`` for each image, (image).
        at: arrival in samples, 0 or more, (image).
        gain: factor, (image).
        fade: 0..1, (image).
        taps: length of the result.
    """
    start = np.floor(at).astype(int)
    fraction = (at - start)[:, None, None]
    # Fractional delay by linear interpolation between two taps.
    pulse = heads[direction] * gain[:, None, None]
    delayed = np.zeros((*pulse.shape[:2], pulse.shape[2] + 1))
    delayed[..., :-1] = (1 - fraction) * pulse
    delayed[..., 1:] += fraction * pulse
    return sum_pulses(start, delayed, taps), sum_pulses(start, delayed * fade[:, None, None], taps)


def sum_pulses(start: np.ndarray, pulses: np.ndarray, taps: int) -> np.ndarray:
    """Sum (ear, tap) of pulses (image, ear, tap) that begin at samples (image)."""
    room_for = taps + pulses.shape[-1]
    index = (start[:, None] + np.arange(pulses.shape[-1])).ravel()
    sums = [np.bincount(index, pulses[:, ear].ravel(), minlength=room_for)[:taps] for ear in range(2)]
    return np.stack(sums)


def diffuse_noise(rt60_s: float, taps: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Decaying noise (ear, tap) with the interaural coherence of a diffuse field; it begins at a power of about 1.

    Above 6 kHz it falls by 6 dB per octave, for the air and the walls.
    """
    time_s = np.arange(taps) / rate_hz
    decay = 10 ** (-3 * time_s / rt60_s)
    noise = rng.standard_normal((2, 2 * taps))
    spectrum = np.fft.rfft(noise, axis=-1)
    freqs_hz = np.fft.rfftfreq(2 * taps, 1 / rate_hz)
    coherence = np.sinc(2 * freqs_hz * EAR_DISTANCE_M / SPEED_OF_SOUND_M_S)
    common, own = np.sqrt((1 + coherence) / 2), np.sqrt((1 - coherence) / 2)
    # Sum and difference of the ears have powers 1 + c and 1 - c, which gives coherence c.
    shaped = np.stack([common * spectrum[0] + own * spectrum[1], common * spectrum[0] - own * spectrum[1]])
    shaped /= np.sqrt(1 + (freqs_hz / 6000.0) ** 2)
    return np.fft.irfft(shaped, axis=-1)[:, :taps] * decay


def _diffuse_tail(room: Room, images: np.ndarray, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Decaying diffuse noise (ear, tap) at the level that the image sources have around 50 ms."""
    taps = images.shape[-1]
    time_s = np.arange(taps) / rate_hz
    tail = diffuse_noise(room.rt60_s, taps, rate_hz, rng)
    window = (time_s >= 0.03) & (time_s < 0.06)
    target = np.mean(images[:, window] ** 2)
    level = np.sqrt(target / max(1e-20, np.mean(tail[:, window] ** 2)))
    rise = np.clip((time_s - _MIXING_S[0]) / (_MIXING_S[1] - _MIXING_S[0]), 0, 1)
    return tail * level * np.sqrt(rise)

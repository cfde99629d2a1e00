"""A measured head in every direction: filters in minimum phase and delays, continuous over the sphere.

Each measured response is taken apart into a delay and a minimum-phase filter. Measured directions are the corners of
triangles that cover the sphere (:mod:`tas_core.acoustics.sphere.triangles`); between them, levels in decibels and
delays are weighted means of those at the corners. That is exact where it was measured and continuous everywhere, and
mixing logarithms keeps minimum phase (:mod:`tas_core.acoustics.sphere.minimum_phase`).

**Delay.** That of an ear is where the response is most like its minimum-phase part, from 200 to 3000 Hz (Nam, Abel and
Smith, "A method for estimating interaural time difference for binaural synthesis", AES 125, 2008).

**Colour and loudness.** What all directions have in common (the measurement's loudspeaker, the ear canal's resonance)
is taken out: the mean power over the sphere and both ears is made 1 at every frequency. Then the loudness of pink
noise, both ears together, is made the same in all directions by one gain for each. ``equalised=False`` leaves both as
measured.

**Below and above** the measured directions (KEMAR ends at -40 degrees) a corner at the pole is put in, with the mean
of the last ring for both ears.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tas_core.acoustics.hrtf import HrirSet, direction_vectors
from tas_core.acoustics.sphere.minimum_phase import minimum_phase_log
from tas_core.acoustics.sphere.triangles import Triangles
from tas_core.conventions import LEFT_EAR, RIGHT_EAR
from tas_core.errors import InputError

_LOWEST_HZ = 200.0
_HIGHEST_HZ, _HIGHEST_FRACTION = 20_000.0, 0.45
_DELAY_HZ = (200.0, 3000.0)
_DELAY_STEPS = 4
_LONGEST_DELAY_S = 1.5e-3
_FADE_FROM = 0.45
_SPAN = 6
"""Length of a transform in hops: two for a piece of sound, the rest for a response."""
_FINE = 4
_FLOOR = 1e-4
_ROWS = 256
_SAME_DEG = 0.05
_POLE_DEG = 88.0
_LOWEST_ABOVE_DEG, _HIGHEST_BELOW_DEG, _WIDEST_GAP_DEG = 5.0, 30.0, 60.0
_MEDIAN = 1e-9
_SYMMETRIC = 1e-6
_SHELF_HZ, _SHELF_DB = 1682.0, 4.0
"""Middle and height of the shelf of ITU-R BS.1770's weighting."""


class PlaneOnlyError(InputError):
    """A head that was measured on or near one plane only: nothing is known of what it hears from elsewhere."""


@dataclass(frozen=True)
class Coverage:
    """Which directions a head was measured in.

    ``lowest_deg`` and ``highest_deg`` elevations; ``widest_gap_deg`` is the longest side of a triangle between
    measured directions, those to an added pole not counted.
    """

    directions: int
    lowest_deg: float
    highest_deg: float
    widest_gap_deg: float


def hop_samples(sample_rate_hz: int) -> int:
    """How many samples apart filters change: a power of two, 2 to 4 ms."""
    return 1 << int(np.ceil(np.log2(0.0026 * sample_rate_hz)))


class SphereHead:
    """A head at a rate.

    Args:
        head: measured responses of many directions.
        sample_rate_hz: of the sound, 8000 to 192000.
        equalised: whether the colour that all directions share is taken out and all are made equally loud.

    Attributes:
        coverage: the directions it was measured in.
        symmetric: whether mirrored directions were measured with mirrored ears; then they are rendered so, to the bit.
        middle_s: mean delay of all directions and both ears.
        hop, size, taps, lead: samples from filter to filter, of a transform, of a response, and by which it is late.

    Raises:
        PlaneOnlyError: the directions do not cover the sphere.
        InputError: the ears' delays are not those of a head.
    """

    def __init__(self, head: HrirSet, sample_rate_hz: int, *, equalised: bool = True) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.hop = hop_samples(sample_rate_hz)
        self.size = _SPAN * self.hop
        self.lead = 3 * self.hop // 4
        self.taps = self.size - 2 * self.hop
        head = _each_direction_once(head)
        vectors = head.unit_vectors()
        lowest, highest = float(head.elevation_deg.min()), float(head.elevation_deg.max())
        if lowest > _LOWEST_ABOVE_DEG or highest < _HIGHEST_BELOW_DEG:
            raise PlaneOnlyError(
                f"the head was measured at elevations of {lowest:g} to {highest:g} degrees only, expected "
                f"{_LOWEST_ABOVE_DEG:g} or lower to {_HIGHEST_BELOW_DEG:g} or higher"
            )
        self.symmetric = _is_symmetric(head, vectors)
        log_magnitude, delay_s = _taken_apart(head, sample_rate_hz, (_FINE * self.size) // 2 + 1)
        vectors, log_magnitude, delay_s = _with_poles(vectors, log_magnitude, delay_s)
        self.vectors = vectors
        try:
            self._triangles = Triangles(vectors)
        except ValueError as error:
            raise PlaneOnlyError("the head was measured on one plane only, expected directions all around") from error
        gap_deg = self._triangles.longest_side_deg(len(head.azimuth_deg))
        self.coverage = Coverage(len(head.azimuth_deg), lowest, highest, gap_deg)
        if gap_deg > _WIDEST_GAP_DEG:
            raise PlaneOnlyError(
                f"the head was measured in {len(head.azimuth_deg)} directions with gaps of {gap_deg:.0f} degrees, "
                f"expected {_WIDEST_GAP_DEG:g} at most"
            )
        if equalised:
            freqs_hz = np.linspace(0, sample_rate_hz / 2, log_magnitude.shape[-1])
            log_magnitude = _equalised(log_magnitude, self._triangles.areas(), freqs_hz)
        delay_s = delay_s - delay_s.min()
        if delay_s.max() > _LONGEST_DELAY_S:
            raise InputError(
                f"the head's responses differ by {1000 * delay_s.max():.1f} ms between ears and directions, "
                f"expected {1000 * _LONGEST_DELAY_S:g} at most"
            )
        keep = self.taps - 2 * self.lead - int(np.ceil(delay_s.max() * sample_rate_hz))
        self.delay_s = delay_s
        self.middle_s = float(delay_s.mean())
        self.log_filters = np.empty((len(vectors), 2, self.size // 2 + 1), np.complex64)
        for at in range(0, len(vectors), _ROWS):
            rows = slice(at, at + _ROWS)
            self.log_filters[rows] = _shortened(log_magnitude[rows], keep)[..., ::_FINE]
        fraction = np.arange(self.size // 2 + 1) / self.size
        self._fade = np.cos(np.pi / 2 * np.clip((fraction - _FADE_FROM) / (0.5 - _FADE_FROM), 0, 1)) ** 2
        self._radians_per_s = 2 * np.pi * sample_rate_hz * fraction
        self._late = self._radians_per_s * self.lead / sample_rate_hz

    def folded(self, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Directions (place, xyz) to look up, and whether their ears are to be exchanged (place).

        Those on the right of a symmetric head are looked up on its left.
        """
        mirrored = self.symmetric & (direction[:, 1] < -_MEDIAN)
        folded = direction.copy()
        folded[mirrored, 1] *= -1.0
        if self.symmetric:
            folded[np.abs(folded[:, 1]) <= _MEDIAN, 1] = 0.0
        return folded, mirrored

    def log_response(self, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Complex log spectra (place, ear, freq), and delays in seconds (place, ear), as looked up, not exchanged."""
        rows, weights = self._triangles.corners(direction)
        single = weights.astype(np.float32)[:, :, None, None]
        table = self.log_filters
        found = single[:, 0] * table[rows[:, 0]]
        found += single[:, 1] * table[rows[:, 1]]
        found += single[:, 2] * table[rows[:, 2]]
        delay_s = (weights[:, :, None] * self.delay_s[rows]).sum(axis=1)
        if self.symmetric:
            middle = direction[:, 1] == 0
            if middle.any():
                found[middle] = found[middle].mean(axis=1, keepdims=True)
                delay_s[middle] = delay_s[middle].mean(axis=1, keepdims=True)
        return found, delay_s

    def spectra(self, log_response: np.ndarray, delay_s: np.ndarray) -> np.ndarray:
        """Spectra, complex64 (place, ear, freq), of log spectra with their delays; late by ``lead`` samples."""
        turn = log_response.imag - (delay_s[..., None] * self._radians_per_s + self._late).astype(np.float32)
        level = np.exp(log_response.real) * self._fade.astype(np.float32)
        found = np.empty(log_response.shape, np.complex64)
        np.multiply(level, np.cos(turn), out=found.real)
        np.multiply(level, np.sin(turn), out=found.imag)
        return found

    def log_change(self, first: np.ndarray, last: np.ndarray, later_s: np.ndarray) -> np.ndarray:
        """Changes of log spectra with their delays, complex64 (place, ear, freq), from ``first`` to ``last``.

        Args:
            first: log spectra, without delays.
            last: the same later.
            later_s: by how much the delays have grown (place, ear), seconds.
        """
        change = last - first
        change.imag -= later_s[..., None].astype(np.float32) * self._radians_per_s.astype(np.float32)
        return change

    def response(self, azimuth_deg: np.ndarray, elevation_deg: np.ndarray) -> np.ndarray:
        """Impulse responses (place, ear, tap) of directions, late by ``lead`` samples.

        Args:
            azimuth_deg: (place).
            elevation_deg: (place).
        """
        direction = direction_vectors(np.asarray(azimuth_deg, float), np.asarray(elevation_deg, float))
        folded, mirrored = self.folded(direction)
        found = np.fft.irfft(self.spectra(*self.log_response(folded)), self.size, axis=-1)
        found[mirrored] = found[mirrored, ::-1]
        return found

    def measured_responses(self, late: float = 0.0) -> np.ndarray:
        """Impulse responses, float32 (direction, ear, tap), of all ``vectors``, late by ``lead`` + ``late`` samples."""
        spectra = self.spectra(self.log_filters, self.delay_s + late / self.sample_rate_hz)
        return np.fft.irfft(spectra, self.size, axis=-1)[..., : self.taps].astype(np.float32)


@lru_cache(maxsize=4)
def sphere_head(head: HrirSet, sample_rate_hz: int) -> SphereHead:
    """A head at a rate, equalised, made once."""
    return SphereHead(head, sample_rate_hz)


# ---------------------------------------------------------------------------- responses


def _taken_apart(head: HrirSet, sample_rate_hz: int, num_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Log magnitudes (direction, ear, freq) from 0 to half a rate, and delays in seconds (direction, ear)."""
    size = max(2048, 4 << (head.hrir.shape[-1] - 1).bit_length())
    fine_hz = np.fft.rfftfreq(size, 1 / head.sample_rate_hz)
    highest_hz = min(_HIGHEST_HZ, _HIGHEST_FRACTION * head.sample_rate_hz)
    wanted_hz = np.clip(np.linspace(0, sample_rate_hz / 2, num_bins), _LOWEST_HZ, highest_hz)
    position = wanted_hz / fine_hz[1]
    lower = np.minimum(position.astype(int), len(fine_hz) - 2)
    part = (position - lower).astype(np.float32)
    band = (fine_hz >= _DELAY_HZ[0]) & (fine_hz <= _DELAY_HZ[1])
    log_magnitude = np.empty((len(head.hrir), 2, num_bins), np.float32)
    delay_s = np.empty((len(head.hrir), 2))
    for at in range(0, len(head.hrir), _ROWS):
        rows = slice(at, at + _ROWS)
        spectrum = np.fft.rfft(head.hrir[rows], size)
        level = np.abs(spectrum)
        level = np.log(np.maximum(level, 1e-5 * level.max(axis=-1, keepdims=True) + 1e-30))
        log_magnitude[rows] = (1 - part) * level[..., lower] + part * level[..., lower + 1]
        excess = np.exp(1j * (np.angle(spectrum) - minimum_phase_log(level).imag)) * band
        # The window keeps the peak free of ripples that could be taken for it.
        excess[..., band] *= np.hanning(band.sum() + 2)[1:-1]
        likeness = np.fft.irfft(excess, _DELAY_STEPS * size, axis=-1)
        delay_s[rows] = _peaks(likeness) / (_DELAY_STEPS * head.sample_rate_hz)
    return log_magnitude, delay_s


def _shortened(log_magnitude: np.ndarray, taps: int) -> np.ndarray:
    """Complex log spectra (..., freq) in minimum phase, of impulse responses that end after so many taps."""
    response = np.fft.irfft(np.exp(minimum_phase_log(log_magnitude)), axis=-1)
    fade = np.zeros(response.shape[-1])
    fade[:taps] = 1.0
    ramp = np.arange(taps // 4)
    fade[taps - len(ramp) : taps] = 0.5 + 0.5 * np.cos(np.pi * (ramp + 0.5) / len(ramp))
    # What was cut is no longer quite in minimum phase; the same levels in minimum phase are no longer.
    level = np.abs(np.fft.rfft(response * fade, axis=-1))
    return minimum_phase_log(np.log(np.maximum(level, _FLOOR * level.max(axis=-1, keepdims=True))))


def _peaks(curves: np.ndarray) -> np.ndarray:
    """Places of the highest values on the last axis, between samples by a parabola through three of them."""
    size = curves.shape[-1]
    top = curves.argmax(axis=-1)[..., None]
    before, at, after = (np.take_along_axis(curves, (top + step) % size, -1)[..., 0] for step in (-1, 0, 1))
    place = np.where(top[..., 0] > size // 2, top[..., 0] - size, top[..., 0])
    return place + 0.5 * (before - after) / (before - 2 * at + after)


def _equalised(log_magnitude: np.ndarray, areas: np.ndarray, freqs_hz: np.ndarray) -> np.ndarray:
    """Log magnitudes (direction, ear, freq) without their common colour, and with the same loudness everywhere."""
    power = np.exp(2 * log_magnitude)
    common = np.einsum("d,def->f", areas / areas.sum(), power) / 2
    log_magnitude = log_magnitude - 0.5 * np.log(common).astype(np.float32)
    shelf = (freqs_hz / _SHELF_HZ) ** 4
    weight = (1 + (10 ** (_SHELF_DB / 10) - 1) * shelf / (1 + shelf)) / np.maximum(freqs_hz, freqs_hz[1])
    weight[freqs_hz < 50] = 0.0
    loudness = np.exp(2 * log_magnitude).mean(axis=1) @ weight / weight.sum()
    return log_magnitude - 0.5 * np.log(loudness).astype(np.float32)[:, None, None]


# ---------------------------------------------------------------------------- directions


def _each_direction_once(head: HrirSet) -> HrirSet:
    turned = np.round(np.mod(head.azimuth_deg, 360.0) / _SAME_DEG) % round(360 / _SAME_DEG)
    turned = np.where(np.abs(head.elevation_deg) > 90 - _SAME_DEG, 0.0, turned)
    _, first = np.unique(np.stack([np.round(head.elevation_deg / _SAME_DEG), turned]), axis=1, return_index=True)
    rows = np.sort(first)
    if len(rows) == len(head.azimuth_deg):
        return head
    return HrirSet(head.hrir[rows], head.azimuth_deg[rows], head.elevation_deg[rows], head.sample_rate_hz)


def _is_symmetric(head: HrirSet, vectors: np.ndarray) -> bool:
    """Whether every direction has a mirrored one whose ears are exchanged."""
    largest = np.abs(head.hrir).max()
    for at in range(0, len(vectors), _ROWS):
        nearness = vectors[at : at + _ROWS] * np.array([1.0, -1.0, 1.0]) @ vectors.T
        mirrored = nearness.argmax(axis=1)
        if nearness.max(axis=1).min() < np.cos(np.radians(2 * _SAME_DEG)):
            return False
        apart = head.hrir[at : at + _ROWS, [LEFT_EAR, RIGHT_EAR]] - head.hrir[mirrored][:, [RIGHT_EAR, LEFT_EAR]]
        if np.abs(apart).max() > _SYMMETRIC * largest:
            return False
    return True


def _with_poles(
    vectors: np.ndarray, log_magnitude: np.ndarray, delay_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions with one straight below and above, where none was measured: means over the last ring and the ears."""
    elevation_deg = np.degrees(np.arcsin(np.clip(vectors[:, 2], -1, 1)))
    for sign in (-1.0, 1.0):
        if (sign * elevation_deg).max() >= _POLE_DEG:
            continue
        ring = sign * elevation_deg > (sign * elevation_deg).max() - 1.0
        vectors = np.concatenate([vectors, [[0.0, 0.0, sign]]])
        mean = np.broadcast_to(log_magnitude[ring].mean(axis=(0, 1)), (1, *log_magnitude.shape[1:]))
        log_magnitude = np.concatenate([log_magnitude, mean])
        delay_s = np.concatenate([delay_s, np.full((1, 2), delay_s[ring].mean())])
        elevation_deg = np.append(elevation_deg, sign * 90)
    return vectors, log_magnitude, delay_s

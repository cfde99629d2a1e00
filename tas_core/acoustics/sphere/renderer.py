"""Sounds at places of their own, moving or not, over the whole sphere: stems in, two ears out, block by block.

**Moving.** The signal x is cut into overlapping pieces by windows w_m that add up to 1, and every piece goes through
the filter of its place, y = sum_m h_m * (w_m x). Each piece is heard whole through a filter that does not change, so
nothing can click; from piece to piece (some 2.7 ms) the filters differ by little, delays by fractions of a sample.
Filters are made as log spectra: the head's, what nearness adds, what the air takes, and a turn of phase for the delay,
which is exact for any fraction.

**Gliding.** Between two pieces that mixes H_m = exp(L_m) evenly, where a sound that moves would have exp of the mean:
with d = L_(m+1) - L_m and the part u of the way, (1 - u) + u exp(d) is off exp(u d) by u (1 - u) d^2 / 2, which repeats
with the pieces and is heard as a buzz where the delay changes fast or the frequency is high. Each piece is therefore
also sent through half the slope of its filter, s L'_m H_m / 2, by its windows times the time s from its middle, in
pieces. Of two neighbours that adds u (1 - u) d (exp(d) - 1) / -2, so that the second order cancels and the phase glides
from sample to sample, as from a delay line; what is left is u (1 - u) (1 - 2 u) d^3 / 12. And since a piece lasts as
long as the way from the one before to the one behind, its L is their mean, (L_(m-1) + 2 L_m + L_(m+1)) / 4: filters
between measured directions change their slope at the borders of triangles, which then does not jump. Where a place
jumps there is neither, and it is faded; what stays is as it is.

**Reflections** change slowly: their pieces are 16 times as long (43 ms at 48 kHz). The tail of a room is one filter
for all objects.

The pieces lie on a grid that begins at the first sample, and nothing is rendered before a whole step of it is there.
So the result is the same, to the bit, however the signal comes in, and memory does not depend on its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tas_core.acoustics.hrtf import HrirSet, load_kemar
from tas_core.acoustics.rooms import Room
from tas_core.acoustics.sphere.distance import REFERENCE_M, air_log_response, near_field
from tas_core.acoustics.sphere.head import sphere_head
from tas_core.acoustics.sphere.places import Curve, Placement
from tas_core.acoustics.sphere.reflections import IMAGE_ORDER, Reflections
from tas_core.acoustics.sphere.spread import decorrelator, shares
from tas_core.conventions import RIGHT_EAR
from tas_core.errors import InputError

_HOPS = 16
_JUMP, _JUMP_SHARE, _JUMP_SPREAD = 0.14, 0.25, 0.2
"""From piece to piece, of directions (0.14 is 8 degrees), of the distance and of the spread: more than that is a jump,
and up to half of it a movement (four turns a second)."""
_RATE_HZ = (8_000, 192_000)


class SphereRenderer:
    """A head, and a room or none, for any number of signals.

    Args:
        head: measured all around; by default the built-in KEMAR.
        rate_hz: sample rate of the sound, 8000 to 192000.
        room: around the listener; None is outdoors.
        image_order: reflections on the way of those that are rendered one by one, at most.

    Attributes:
        head: the head at this rate, with its ``coverage``.
        step: samples from one block of work to the next.
        latency: samples that :meth:`SphereStream.feed` holds back, at most; the ears are not late by them.
        tail: samples that sound on after the last of the signal.

    Raises:
        PlaneOnlyError: the head was measured on a plane only; a caller can fall back to a renderer of that plane.
        InputError: a rate or a room out of range.
    """

    def __init__(
        self,
        head: HrirSet | None = None,
        rate_hz: int = 48_000,
        room: Room | None = None,
        *,
        image_order: int = IMAGE_ORDER,
    ) -> None:
        if not (_RATE_HZ[0] <= rate_hz <= _RATE_HZ[1] and rate_hz == int(rate_hz)):
            raise InputError(f"sample rate of {rate_hz} Hz, expected a whole one of {_RATE_HZ[0]} to {_RATE_HZ[1]}")
        self.rate_hz = rate_hz
        self.head = sphere_head(head or load_kemar(), rate_hz)
        self.step = _HOPS * self.head.hop
        self.reflections = None if room is None else Reflections(room, self.head, image_order)
        self.freqs_hz = np.linspace(0, rate_hz / 2, self.head.size // 2 + 1)
        twin = decorrelator(rate_hz)
        self.twin_spectrum = np.fft.rfft(twin, 2 * self.step).astype(np.complex64)
        early = self.reflections.taps if self.reflections else 0
        self.slow_size = _good_size(2 * self.step + early)
        self.tail_spectra = self._tail_spectra()
        longest = self.step * (len(self.tail_spectra) + 1 if len(self.tail_spectra) else 0)
        self.tail = max(self.head.size + len(twin), early, longest)
        self.latency = 2 * self.step + self.head.lead

    def _tail_spectra(self) -> np.ndarray:
        """The room's tail in partitions of a step, complex64 (partition, ear, freq)."""
        if self.reflections is None:
            return np.zeros((0, 2, self.step + 1), np.complex64)
        tail = self.reflections.tail()
        count = -(-tail.shape[-1] // self.step)
        whole = np.zeros((2, count * self.step), np.float32)
        whole[:, : tail.shape[-1]] = tail
        parts = whole.reshape(2, count, self.step).transpose(1, 0, 2)
        return np.fft.rfft(parts, 2 * self.step, axis=-1).astype(np.complex64)

    def stream(self, curves: Sequence[Curve]) -> SphereStream:
        """A signal of so many objects, that comes in block by block."""
        return SphereStream(self, curves)

    def blocks(self, pieces: Iterable[np.ndarray], curves: Sequence[Curve]) -> Iterator[np.ndarray]:
        """Ears, float64 (ear, time) in blocks, of stems (object, time) in pieces of any length; the tail comes last.

        All blocks together are as long as the pieces and ``tail``. Raises as :meth:`SphereStream.feed`.
        """
        stream = self.stream(curves)
        for piece in pieces:
            yield stream.feed(piece)
        yield stream.finish()

    def render(self, stems: np.ndarray, curves: Sequence[Curve]) -> np.ndarray:
        """Ears, float64 (ear, time), of stems (object, time) with their places; longer than they are by ``tail``."""
        return np.concatenate(list(self.blocks([stems], curves)), axis=1)


@dataclass
class _Object:
    """What is kept of an object from step to step: the end of its signal, and its last filters with their places."""

    curve: Curve
    before: np.ndarray
    fast_key: bytes = b""
    fast: list[list[np.ndarray]] = field(default_factory=list)
    slow_key: bytes = b""
    slow: np.ndarray = field(default_factory=lambda: np.zeros(0))


class SphereStream:
    """One signal on its way through a renderer; see :meth:`SphereRenderer.stream`.

    Raises:
        InputError: no objects.
    """

    def __init__(self, renderer: SphereRenderer, curves: Sequence[Curve]) -> None:
        if not curves:
            raise InputError("no places, expected those of one object or more")
        self._renderer = renderer
        head, step = renderer.head, renderer.step
        self._objects = [_Object(curve, np.zeros(step, np.float32)) for curve in curves]
        # From short piece to short piece filters change evenly; from long to long they change anyhow, so smoothly.
        self._windows = _even_windows(head.hop)
        self._long_window = np.hanning(2 * step + 1)[:-1].astype(np.float32)
        self._near = near_field(head.size // 2 + 1, renderer.rate_hz)
        self._air = air_log_response(head.size // 2 + 1, renderer.rate_hz).astype(np.complex64)
        self._waiting = np.zeros((len(curves), 0), np.float32)
        self._ears = np.zeros((2, max(renderer.slow_size, 3 * step + head.lead + head.size)))
        self._sent = np.zeros((len(renderer.tail_spectra), step + 1), np.complex64)
        self._steps = 0
        self._taken = 0
        self._given = 0
        self._finished = False

    def feed(self, stems: np.ndarray) -> np.ndarray:
        """Take in the next samples (object, time), and give the ears, float64 (ear, time), as far as they are ready.

        Raises:
            InputError: another number of objects, samples that are no finite numbers, or the signal was finished.
        """
        if self._finished:
            raise InputError("stems after the end of the signal")
        stems = np.asarray(stems)
        if stems.ndim != 2 or len(stems) != len(self._objects):
            raise InputError(f"stems of shape {stems.shape}, expected a row for each of {len(self._objects)} objects")
        if not np.isfinite(stems).all():
            raise InputError("stems hold samples that are no finite numbers")
        self._taken += stems.shape[1]
        return self._advance(stems.astype(np.float32))

    def finish(self) -> np.ndarray:
        """The rest of the ears, float64 (ear, time), with the tail; nothing can be fed after it."""
        if self._finished:
            return np.zeros((2, 0))
        self._finished = True
        end = self._taken + self._renderer.tail
        silence = np.zeros((len(self._objects), self._renderer.step), np.float32)
        found = [np.zeros((2, 0))]
        while self._given < end:
            found.append(self._advance(silence))
        rest = np.concatenate(found, axis=1)
        return rest[:, : rest.shape[1] - (self._given - end)]

    # ------------------------------------------------------------------ steps

    def _advance(self, stems: np.ndarray) -> np.ndarray:
        step = self._renderer.step
        waiting = np.concatenate([self._waiting, stems], axis=1)
        whole = waiting.shape[1] // step * step
        found = [self._step(waiting[:, at : at + step]) for at in range(0, whole, step)]
        self._waiting = waiting[:, whole:].copy()
        return np.concatenate(found, axis=1) if found else np.zeros((2, 0))

    def _step(self, stems: np.ndarray) -> np.ndarray:
        """Render a step (object, step); gives the ears of one step, which lies a step and ``lead`` further back."""
        renderer, head = self._renderer, self._renderer.head
        step, hop = renderer.step, head.hop
        # One before and one behind, for slopes.
        times_s = (self._steps * step + np.arange(-1, _HOPS + 1) * hop) / renderer.rate_hz
        fast = np.zeros((_HOPS, 2, head.size // 2 + 1), np.complex64)
        slow = np.zeros((2, renderer.slow_size // 2 + 1), np.complex64)
        for item, now in zip(self._objects, stems, strict=True):
            signal = np.concatenate([item.before, now])
            item.before = now
            if not signal.any():
                continue
            around = item.curve.at(times_s)
            gain = (REFERENCE_M / around.distance_m[1:-1]).astype(np.float32)
            sounds = [signal]
            if around.spread.any():
                # What wraps around lies ahead of the pieces: the twin's response is shorter than a step less a hop.
                sounds.append(np.fft.irfft(np.fft.rfft(signal) * renderer.twin_spectrum).astype(np.float32))
            for sound, filters in zip(sounds, self._fast_filters(item, around), strict=True):
                pieces = np.lib.stride_tricks.sliding_window_view(sound[step - hop :], 2 * hop)[::hop]
                for window, spectra in zip(self._windows, filters, strict=False):  # what stays has no slope
                    spectrum = np.fft.rfft(pieces * window * gain[:, None], head.size, axis=-1)
                    fast += spectrum[:, None] * spectra
            if renderer.reflections:
                spectrum = np.fft.rfft(signal * self._long_window, renderer.slow_size)
                slow += spectrum * self._slow_filter(item, around, renderer.reflections)
        # The buffer begins where the long pieces of this step do, less the filters' lateness.
        ears = self._ears
        if renderer.reflections:
            ears[:, : renderer.slow_size] += np.fft.irfft(slow, renderer.slow_size, axis=-1)
        for at, piece in enumerate(np.fft.irfft(fast, head.size, axis=-1)):
            start = step + (at - 1) * hop
            ears[:, start : start + head.size] += piece
        if len(self._sent):
            ears[:, step + head.lead : 3 * step + head.lead] += self._tail(stems.sum(axis=0))
        ready = ears[:, :step].copy()
        ears[:, :-step] = ears[:, step:]
        ears[:, -step:] = 0.0
        first = (self._steps - 1) * step - head.lead
        self._steps += 1
        ready = ready[:, max(0, -first) :]
        self._given += ready.shape[1]
        return ready

    def _fast_filters(self, item: _Object, around: Placement) -> list[list[np.ndarray]]:
        """Spectra (place or 1, ear, freq) of what comes straight from an object: of its signal, and its twin if any.

        Of each, those of its places, and if it moves half the slopes in pieces that they change by.

        Args:
            item: the object.
            around: its places, with one before and one behind.
        """
        head = self._renderer.head
        values = np.column_stack([around.direction, around.distance_m, around.spread])
        moves = bool((values != values[0]).any())
        if not moves:
            values = values[:1]
        key = values.tobytes()
        if key == item.fast_key:
            return item.fast
        direction, distance_m, spread = values[:, :3], values[:, 3], values[:, 4]
        folded, mirrored = head.folded(direction)
        log_response, delay_s = head.log_response(folded)
        if distance_m.min() < REFERENCE_M:
            log_response += self._near.log_response(folded, distance_m)
        if spread.any():
            log_response *= (1 - spread).astype(np.float32)[:, None, None]
            delay_s += spread[:, None] * (head.middle_s - delay_s)
        if distance_m.max() > REFERENCE_M:
            air_m = np.maximum(distance_m - REFERENCE_M, 0.0).astype(np.float32)
            log_response += air_m[:, None, None] * self._air
        log_response[mirrored], delay_s[mirrored] = log_response[mirrored, ::-1], delay_s[mirrored, ::-1]
        inner = slice(1, -1) if moves else slice(None)
        if not moves:
            found = [head.spectra(log_response, delay_s)]
        else:
            quarter = (_smoothness(values) / 4)[:, None, None]
            slope = head.log_change(log_response[:-2], log_response[2:], delay_s[2:] - delay_s[:-2])
            log_response, delay_s = _evened(log_response, quarter), _evened(delay_s, quarter[..., 0])
            found = [head.spectra(log_response, delay_s)]
            found.append(found[0] * (slope * quarter))
        item.fast, item.fast_key = [found], key
        if around.spread.any():
            same, twin = (share.astype(np.float32)[:, None] for share in shares(spread[inner], self._renderer.freqs_hz))
            signs = np.ones((2, 1), np.float32)
            signs[RIGHT_EAR] = -1.0
            item.fast = [[spectra * same for spectra in found], [spectra * (signs * twin) for spectra in found]]
        return item.fast

    def _slow_filter(self, item: _Object, around: Placement, reflections: Reflections) -> np.ndarray:
        """Spectrum (ear, freq) of the reflections of an object at its first place, behind the one before."""
        direction, distance_m = around.direction[1:2], float(around.distance_m[1])
        key = direction.tobytes() + around.distance_m[1:2].tobytes()
        if key != item.slow_key:
            mirrored = np.zeros(1, bool)
            if reflections.symmetric:
                direction, mirrored = self._renderer.head.folded(direction)
            early = reflections.early(direction[0], distance_m)
            early = early[::-1] if mirrored[0] else early
            spectrum = np.fft.rfft(early.astype(np.float32), self._renderer.slow_size, axis=-1)
            item.slow, item.slow_key = spectrum, key
        return item.slow

    def _tail(self, sound: np.ndarray) -> np.ndarray:
        """What a step of sound (time), and those before it, add to the tail in this step and the next (ear, time)."""
        step = self._renderer.step
        self._sent[1:] = self._sent[:-1]
        self._sent[0] = np.fft.rfft(sound, 2 * step)
        return np.fft.irfft(np.einsum("pf,pef->ef", self._sent, self._renderer.tail_spectra), 2 * step, axis=-1)


def _even_windows(hop: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows of two hops for what changes evenly: a triangle, and the same times the time from its middle, in hops."""
    rise = np.arange(hop, dtype=np.float32) / hop
    triangle = np.concatenate([rise, 1 - rise])
    return triangle, triangle * (np.arange(2 * hop, dtype=np.float32) / hop - 1)


def _evened(values: np.ndarray, quarter: np.ndarray) -> np.ndarray:
    """Values of pieces without the first and the last, each mixed with a quarter of both neighbours, or less."""
    return values[1:-1] + (values[:-2] - 2 * values[1:-1] + values[2:]) * quarter


def _smoothness(values: np.ndarray) -> np.ndarray:
    """How far places move on from the one before to the one behind, float32 (place less 2): 1 does, 0 jumps.

    Args:
        values: direction, distance and spread (place, 5), with one before and one behind.
    """
    change = values[1:] - values[:-1]
    steps = np.sqrt(np.square(change[:, :3]).sum(axis=1)) / _JUMP
    steps = np.maximum(steps, np.abs(change[:, 3]) / (values[:-1, 3] * _JUMP_SHARE))
    steps = np.maximum(steps, np.abs(change[:, 4]) / _JUMP_SPREAD)
    return np.clip(2 - 2 * np.maximum(steps[:-1], steps[1:]), 0, 1).astype(np.float32)


def _good_size(least: int) -> int:
    """The smallest even length of a fast transform that is not less: a power of two, three or five quarters of one."""
    power = 1 << (least - 1).bit_length()
    return min(size for size in (power, power * 3 // 4, power * 5 // 8) if size >= least)

"""Where sounds are heard all around, in what colour and how loud: an ideal observer of an output with known sounds.

What is from each sound to each ear is found by least squares over frames of some 60 ms,

    H(f) = S_yx(f) S_xx(f)^-1,

x the sounds before they were placed and y the ears, so that sounds that play at once are told apart. The observer
compares its levels in third octaves from 250 Hz on, and the time difference of the ears (300 to 1500 Hz; 20
microseconds count as much as a decibel), with what was measured on the head, and names the measured direction that is
nearest; overall levels do not count in that. Nothing that people cannot tell apart is hidden from it: it says what an
output holds, and not what listeners make of it.

**In a room** what comes back within a frame belongs to H. Of a sound whose room and distance are known the observer
also knows what each direction sounds like there, reflections of up to three walls weighted as a frame holds them (with
the autocorrelation of its window), and takes what fits best, with or without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from tas_core.acoustics.hrtf import HrirSet, direction_vectors
from tas_core.acoustics.rooms import Room
from tas_core.acoustics.sphere.head import sphere_head
from tas_core.acoustics.sphere.measured import measured_head
from tas_core.conventions import LEFT_EAR, REFERENCE_M, RIGHT_EAR, db_to_power, power_to_db

BANDS_HZ: Final = 250 * 2 ** (np.arange(16) / 3)
"""Middles of third octaves."""
CONFUSED: Final = 0.26
"""Sounds less than 15 degrees off a plane are on no side of it (the sine of that)."""
_FRAME_S: Final = 0.046
_LEAD_PER_DB_S: Final = 20e-6
_LEAD_HZ: Final = (300.0, 1500.0)
_LONGEST_LEAD_S: Final = 1e-3
_WEAKEST_DB: Final = 35.0
_HIDDEN_DB: Final = -40.0
_LITTLE: Final = 1e-6
_FINE: Final = 16
_LOWEST_DEG: Final = -41.0
_ROOM_ORDER: Final = 3
_ROOMS_KEPT: Final = 4
_FIRST: Final = 48
"""Of how many places, the most alike in colour, the time difference is looked at first."""


@dataclass(frozen=True)
class HeardSound:
    """A sound over a span as an observer hears it.

    Attributes:
        azimuth_deg: of the nearest measured direction, above -180 to 180, positive left.
        elevation_deg: of it, positive up.
        level_db: of both ears together, over what the sound has at 1.4 m in the open, in the mean of all directions.
        louder_db: over what it has at 1.4 m in the open in that direction.
        bands_db: levels (ear, band) over the sound's own; nan where the sound has too little.
    """

    azimuth_deg: float
    elevation_deg: float
    level_db: float
    louder_db: float
    bands_db: np.ndarray

    @property
    def direction(self) -> np.ndarray:
        """A unit vector (xyz)."""
        return direction_vectors(np.array(self.azimuth_deg), np.array(self.elevation_deg))


def frame_samples(rate_hz: int) -> int:
    """Length of a frame: the power of two nearest to 46 ms; frames begin an eighth of it apart."""
    return int(2 ** round(np.log2(_FRAME_S * rate_hz)))


def frames(signals: np.ndarray, rate_hz: int) -> np.ndarray:
    """Spectra (frame, signal, freq) of signals (signal, time)."""
    size = frame_samples(rate_hz)
    short = max(0, size - signals.shape[1])
    padded = np.pad(signals, ((0, 0), (0, short)))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, :: size // 8]
    return np.fft.rfft(pieces * np.hanning(size), axis=-1).transpose(1, 0, 2)


def paths_to_ears(sounds: np.ndarray, ears: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is from each sound to each ear.

    Args:
        sounds: spectra (frame, sound, freq), as :func:`frames` gives them.
        ears: spectra (frame, ear, freq).

    Returns:
        Responses (sound, ear, freq), and the sounds' mean powers (sound, freq).
    """
    x, y = sounds, ears
    among = np.einsum("tif,tjf->fij", x, x.conj()) / len(x)
    across = np.einsum("tef,tjf->fej", y, x.conj()) / len(x)
    power = np.einsum("fii->fi", among).real
    little = max(_LITTLE * float(power.sum(axis=1).max()), 1e-30) * np.eye(among.shape[1])
    found = np.linalg.solve((among + little).transpose(0, 2, 1), across.transpose(0, 2, 1))  # H S_xx = S_yx
    return found.transpose(1, 2, 0), power.T


@dataclass(frozen=True)
class _Known:
    """What places sound like: directions (place, xyz), powers (place, ear, freq), and one ear against the other."""

    vectors: np.ndarray
    energy: np.ndarray
    cross: np.ndarray

    @classmethod
    def of(cls, responses: np.ndarray, vectors: np.ndarray) -> _Known:
        """That of responses (place, ear, freq)."""
        return cls(vectors, np.abs(responses) ** 2, _cross(responses))


def _cross(responses: np.ndarray) -> np.ndarray:
    """Spectra of the right ear against the left (..., freq) of responses (..., ear, freq)."""
    found: np.ndarray = responses[..., RIGHT_EAR, :] * responses[..., LEFT_EAR, :].conj()
    return found


class SphereObserver:
    """Names the measured direction that sounds most like what is heard.

    Args:
        head: whose ears, measured all around.
        rate_hz: of the sound.
        as_rendered: whether it knows what this program renders in the measured directions, which is equally loud in
            all of them, in place of what was measured there: for distances of outputs by level.
    """

    def __init__(self, head: HrirSet, rate_hz: int, *, as_rendered: bool = False) -> None:
        known = measured_head(head, rate_hz)
        responses = known.responses
        if as_rendered:
            x, y, z = known.vectors.T
            responses = sphere_head(head, rate_hz).response(
                np.degrees(np.arctan2(y, x)), np.degrees(np.arcsin(np.clip(z, -1, 1)))
            )
        there = np.degrees(np.arcsin(np.clip(known.vectors[:, 2], -1, 1))) > _LOWEST_DEG
        self.vectors = known.vectors[there]
        self._size = frame_samples(rate_hz)
        self._rate_hz = rate_hz
        self._freqs_hz = np.fft.rfftfreq(self._size, 1 / rate_hz)
        self._responses = np.fft.rfft(responses[there], self._size)
        self._open = _Known.of(self._responses, self.vectors)
        self._measured, self._rows = known, np.flatnonzero(there)
        self._known_in = lru_cache(maxsize=_ROOMS_KEPT)(self._within_room)
        edges = [(f / 2 ** (1 / 6), f * 2 ** (1 / 6)) for f in BANDS_HZ if f * 2 ** (1 / 6) < rate_hz / 2]
        self._bands = [(self._freqs_hz >= low) & (self._freqs_hz < high) for low, high in edges]

    def __call__(self, response: np.ndarray, power: np.ndarray, around: tuple[Room, float] | None = None) -> HeardSound:
        """What is heard of a sound.

        Args:
            response: from the sound to the ears (ear, freq).
            power: of the sound (freq), more than 0 somewhere.
            around: the room that it is in and its distance, metres, if they are known.
        """
        known = self._open if around is None or around[0].rt60_s <= 0 else self._known_in(*around)
        sums = np.stack([np.where(band, power, 0.0) for band in self._bands])
        band_power = sums.sum(axis=1)
        heard = band_power > band_power.max() * db_to_power(-_WEAKEST_DB)
        levels_db = lambda energy: power_to_db(energy @ sums.T / np.maximum(band_power, 1e-30) + 1e-20)  # noqa: E731
        found_db = levels_db(np.abs(response) ** 2)
        off_db = (found_db - levels_db(known.energy))[..., heard]
        louder_db = off_db.mean(axis=(1, 2))
        colour = np.square(off_db - louder_db[:, None, None]).sum(axis=(1, 2))
        lead_s = self._lead_s(_cross(response)[None], power)[0]
        apart = lambda rows: np.square((lead_s - self._lead_s(known.cross[rows], power)) / _LEAD_PER_DB_S)  # noqa: E731
        # What is already further off by its colour alone than another is in all cannot be the nearest.
        order = np.argsort(colour, kind="stable")
        near = order[:_FIRST]
        bound = float((colour[near] + apart(near)).min())
        near = order[colour[order] <= bound]
        row = int(near[(colour[near] + apart(near)).argmin()])
        vectors = known.vectors
        best = vectors[row]
        through = (np.abs(response) ** 2 * power).sum() / (2 * power.sum())
        return HeardSound(
            azimuth_deg=float(np.degrees(np.arctan2(best[1], best[0]))),
            elevation_deg=float(np.degrees(np.arcsin(np.clip(best[2], -1, 1)))),
            level_db=float(power_to_db(max(float(through), 1e-20))),
            louder_db=float(louder_db[row]),
            bands_db=np.where(heard, found_db, np.nan),
        )

    def _within_room(self, room: Room, distance_m: float) -> _Known:
        """What is known in the open, and in a room as frames hold it, the direct sound with a gain of 1."""
        window = np.hanning(self._size)
        likeness = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * self._size)) ** 2)[: self._size]
        gain = distance_m / REFERENCE_M
        found = self._responses.copy()
        for number, row in enumerate(self._rows):
            late, _ = self._measured.reflections(int(row), distance_m, room, self._size, _ROOM_ORDER)
            found[number] += np.fft.rfft(late * (gain * likeness / likeness[0]))
        return _Known.of(np.concatenate([self._responses, found]), np.concatenate([self.vectors, self.vectors]))

    def _lead_s(self, cross: np.ndarray, power: np.ndarray) -> np.ndarray:
        """By how much the left ear leads (place), of spectra of one ear against the other (place, freq)."""
        use = power * ((self._freqs_hz > _LEAD_HZ[0]) & (self._freqs_hz < _LEAD_HZ[1]))
        most = int(_LONGEST_LEAD_S * _FINE * self._rate_hz)
        # The transform at the few lags that count: far fewer than there are.
        lags = np.arange(-most, most + 1)
        used = np.flatnonzero(use > 0)
        turn = np.exp(2j * np.pi * np.outer(used, lags) / (_FINE * self._size))
        likeness = ((cross[:, used] * use[used]) @ turn).real
        return lags[likeness.argmax(axis=-1)] / (_FINE * self._rate_hz)


@lru_cache(maxsize=2)
def sphere_observer(head: HrirSet, rate_hz: int) -> SphereObserver:
    """The observer with a head at a rate, made once."""
    return SphereObserver(head, rate_hz)


def heard_sounds(
    observer: SphereObserver,
    ears: np.ndarray,
    sounds: np.ndarray,
    rate_hz: int,
    spans_s: Sequence[tuple[int, float, float]],
    around: Sequence[tuple[Room, float]] = (),
) -> list[HeardSound | None]:
    """What is heard of sounds over spans.

    Args:
        observer: with the head that the ears are of.
        ears: (ear, time).
        sounds: before they were placed, (sound, time).
        rate_hz: of both.
        spans_s: number of a sound, and the span from and to which it is looked at, seconds.
        around: the room and the distance of each sound, metres, if they are known.

    Returns:
        For each span, what is heard; None where the sound is silent or far below the others there.
    """
    size = frame_samples(rate_hz)
    x, y = frames(sounds, rate_hz), frames(ears, rate_hz)
    middles_s = (np.arange(len(x)) * (size // 8) + size / 2) / rate_hz
    found: list[HeardSound | None] = []
    known: dict[tuple[float, float], tuple[np.ndarray, np.ndarray]] = {}
    for number, start_s, end_s in spans_s:
        inside = (middles_s >= start_s) & (middles_s < end_s)
        if not inside.any():
            found.append(None)
            continue
        if (start_s, end_s) not in known:
            known[start_s, end_s] = paths_to_ears(x[inside], y[inside])
        responses, power = known[start_s, end_s]
        own, whole = float(power[number].sum()), float(power.sum())
        there = own > 0 and own > db_to_power(_HIDDEN_DB) * whole
        room = around[number] if around else None
        found.append(observer(responses[number], power[number], room) if there else None)
    return found


def great_circle_deg(one: np.ndarray, other: np.ndarray) -> float:
    """Angle between two unit vectors (xyz), degrees."""
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other)))


def is_confused(true: np.ndarray, heard: np.ndarray, axis: int) -> bool | None:
    """Whether a direction is heard on the other side: axis 0 front and back, 1 left and right, 2 up and down.

    None where the true one is on no side, less than 15 degrees off.

    Args:
        true: a unit vector (xyz).
        heard: likewise.
        axis: of the vectors.
    """
    if abs(true[axis]) <= CONFUSED:
        return None
    return bool(true[axis] * heard[axis] < 0)


def spectral_error_db(one: HeardSound, other: HeardSound) -> float:
    """Root mean square over both ears and bands of what their levels differ by, the mean left out; dB."""
    apart = one.bands_db - other.bands_db
    return float(np.sqrt(np.nanmean(np.square(apart - np.nanmean(apart)))))

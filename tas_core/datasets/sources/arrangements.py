"""Random music for several instruments that play together: one key, one tempo, one progression of chords.

An ensemble is written for roles: ``drums``, ``bass``, ``chords`` and ``lead``; what a role plays is drawn anew each
time. Where :mod:`tas_core.datasets.sources.melodies` writes for one instrument, here bars of four beats hold all
together. Everything is drawn from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from tas_core.datasets.sources.melodies import MAJOR, MINOR, Note, kit_pattern

PROGRESSIONS: Final = (
    (0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 4), (0, 3, 0, 4), (1, 4, 0, 0), (0, 6, 5, 4), (0, 2, 3, 4),
)  # fmt: skip
"""Degrees of the scale on which the chords of four bars stand, 0 is the tonic."""
_BEATS: Final = 4


@dataclass(frozen=True)
class Harmony:
    """What all parts of an arrangement keep to.

    Attributes:
        beat_s: length of a beat.
        root: pitch class of the tonic, 0 to 11.
        scale: semitones above the tonic.
        progression: degree of each bar's chord, repeated to the end.
    """

    beat_s: float
    root: int
    scale: tuple[int, ...]
    progression: tuple[int, ...]

    @classmethod
    def draw(cls, rng: np.random.Generator, slow: bool = False) -> Harmony:
        """A harmony at random, at 55 to 110 beats a minute where it is slow, else at 75 to 160."""
        bpm = rng.uniform(55, 110) if slow else rng.uniform(75, 160)
        scale = (MAJOR, MINOR)[int(rng.integers(2))]
        return cls(60.0 / bpm, int(rng.integers(12)), scale, PROGRESSIONS[int(rng.integers(len(PROGRESSIONS)))])

    def chord(self, bar: int) -> frozenset[int]:
        """Pitch classes of a bar's triad."""
        return frozenset(self._above(bar, step) for step in (0, 2, 4))

    def bass(self, bar: int) -> int:
        """Pitch class of a bar's bass note."""
        return self._above(bar, 0)

    def _above(self, bar: int, steps: int) -> int:
        """Pitch class so many steps of the scale above the degree of a bar."""
        degree = self.progression[bar % len(self.progression)] + steps
        return (self.root + self.scale[degree % len(self.scale)]) % 12

    def keys(self, low: int, high: int, classes: frozenset[int] | None = None) -> list[int]:
        """Keys of the scale, or of these pitch classes, from low to high."""
        wanted = classes or {(self.root + step) % 12 for step in self.scale}
        return [key for key in range(low, high + 1) if key % 12 in wanted]


def write_part(
    role: str, keys: tuple[int, int], harmony: Harmony, duration_s: float, rng: np.random.Generator
) -> list[Note]:
    """Notes of one part of an arrangement.

    Args:
        role: ``drums``, ``bass``, ``chords`` or ``lead``.
        keys: the lowest and the highest that who plays it can play; drums have their own.
        harmony: of the whole arrangement.
        duration_s: seconds to fill.
        rng: source of what is left open.
    """
    if role == "drums":
        return kit_pattern(duration_s, rng, beat_s=harmony.beat_s)
    bars = int(np.ceil(duration_s / (_BEATS * harmony.beat_s)))
    played = _PARTS[role](keys, harmony, bars, rng)
    loudness = int(rng.integers(60, 105))
    notes = []
    for start, beats, key in played:
        start_s, velocity = start * harmony.beat_s, int(np.clip(loudness + rng.integers(-12, 13), 20, 127))
        if start_s < duration_s - 0.1:
            notes.append(Note(start_s, max(0.06, beats * harmony.beat_s), key, velocity))
    return notes


Played = list[tuple[float, float, int]]
"""Start and length in beats, and key, of each note."""


def _bass(keys: tuple[int, int], harmony: Harmony, bars: int, rng: np.random.Generator) -> Played:
    low, high = keys[0], min(keys[1], keys[0] + 19)
    step = float(rng.choice([0.5, 1.0, 1.0, 2.0, 4.0]))
    walks = step == 1.0 and rng.random() < 0.4
    notes: Played = []
    for bar in range(bars):
        roots = harmony.keys(low, high, frozenset({harmony.bass(bar)}))
        chord = harmony.keys(low, high, harmony.chord(bar))
        for number in range(round(_BEATS / step)):
            among = chord if walks and number else roots
            if among and rng.random() > 0.06:
                notes.append((_BEATS * bar + number * step, 0.9 * step, among[int(rng.integers(min(2, len(among))))]))
    return notes


def _chords(keys: tuple[int, int], harmony: Harmony, bars: int, rng: np.random.Generator) -> Played:
    center = int(rng.integers(55, 66))
    low, high = max(keys[0], center - 9), min(keys[1], center + 12)
    onsets = {
        "held": [(0.0, 3.9)],
        "halves": [(0.0, 1.9), (2.0, 1.9)],
        "beats": [(float(beat), 0.8) for beat in range(_BEATS)],
        "offbeats": [(beat + 0.5, 0.4) for beat in range(_BEATS)],
        "eighths": [(beat / 2, 0.45) for beat in range(2 * _BEATS)],
    }
    style = str(rng.choice([*onsets, "arpeggio"]))
    size, strum = int(rng.integers(3, 5)), 0.03 if rng.random() < 0.3 else 0.0
    notes: Played = []
    for bar in range(bars):
        voices = harmony.keys(low, high, harmony.chord(bar))[:size]
        if style == "arpeggio" and voices:
            notes += [(_BEATS * bar + number / 2, 0.8, voices[number % len(voices)]) for number in range(2 * _BEATS)]
            continue
        for start, beats in onsets.get(style, []):
            notes += [(_BEATS * bar + start + strum * number, beats, key) for number, key in enumerate(voices)]
    return notes


def _lead(keys: tuple[int, int], harmony: Harmony, bars: int, rng: np.random.Generator) -> Played:
    low, high = max(keys[0], keys[1] - 24), keys[1]
    scale = harmony.keys(low, high)
    busy, at = float(rng.choice([0.5, 1.0, 1.0, 2.0])), int(rng.integers(len(scale)))
    notes: Played = []
    for bar in range(bars):
        if rng.random() < 0.12:  # a breath
            continue
        chord = harmony.chord(bar)
        beat = 0.0
        while beat < _BEATS:
            step = min(busy * float(rng.choice([0.5, 1.0, 1.0, 2.0])), _BEATS - beat)
            at = int(np.clip(at + rng.integers(-2, 3), 0, len(scale) - 1))
            if beat % 2 == 0:  # strong beats are of the chord
                at = min(range(len(scale)), key=lambda i: (scale[i] % 12 not in chord, abs(i - at)))
            if rng.random() > 0.1:
                notes.append((_BEATS * bar + beat, 0.9 * step, scale[at]))
            beat += step
    return notes


_PARTS: Final[dict[str, Callable[[tuple[int, int], Harmony, int, np.random.Generator], Played]]] = {
    "bass": _bass, "chords": _chords, "lead": _lead,
}  # fmt: skip
ROLES: Final = ("drums", *_PARTS)

"""Random music for the synthesizers: short note lists in several playing styles.

A note is ``(start_s, length_s, pitch, velocity)``; pitch is a MIDI key number and
velocity 1..127. Everything is drawn from the generator that is passed in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Note(NamedTuple):
    """One note: start and length in seconds, MIDI key, velocity 1..127."""

    start_s: float
    length_s: float
    pitch: int
    velocity: int


# Playable key ranges of the sixteen General MIDI families of eight programs each.
_FAMILY_RANGES = (
    (40, 88), (60, 96), (40, 84), (40, 76), (28, 52), (48, 88), (45, 79), (43, 77),
    (50, 82), (60, 93), (48, 88), (45, 79), (48, 84), (48, 79), (48, 84), (48, 72),
)  # fmt: skip
# Programs whose range differs much from that of their family.
_PROGRAM_RANGES = {
    40: (55, 96), 41: (48, 84), 42: (36, 72), 43: (28, 55), 46: (36, 88), 47: (36, 55), 56: (54, 82),
    57: (40, 70), 58: (28, 55), 60: (41, 74), 64: (56, 86), 65: (50, 80), 66: (44, 74), 67: (36, 67),
    68: (58, 88), 69: (52, 79), 70: (36, 70), 71: (50, 88), 72: (74, 98), 38: (28, 52), 39: (28, 52),
    24: (40, 76), 25: (40, 76), 105: (48, 79), 15: (50, 84),
}  # fmt: skip
_MONOPHONIC_FAMILIES = {4, 7, 8, 9, 10}
MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)
"""Semitones of the two scales above their tonic."""
_SCALES = (
    MAJOR,
    MINOR,
    (0, 2, 4, 7, 9),
    (0, 3, 5, 7, 10),
    tuple(range(12)),
)


def program_range(program: int) -> tuple[int, int]:
    """Playable keys (lowest, highest) of a General MIDI program."""
    return _PROGRAM_RANGES.get(program, _FAMILY_RANGES[program // 8])


def _scale_keys(low: int, high: int, rng: np.random.Generator) -> list[int]:
    scale = _SCALES[rng.integers(len(_SCALES))]
    root = int(rng.integers(12))
    keys = [k for k in range(low, high + 1) if (k - root) % 12 in scale]
    return keys or list(range(low, high + 1))


def melody(
    program: int,
    duration_s: float,
    rng: np.random.Generator,
    *,
    pitch_range: tuple[int, int] | None = None,
    style: str | None = None,
) -> list[Note]:
    """Notes for a melodic program: a line, chords, an arpeggio, a riff, held notes or strumming."""
    low, high = pitch_range or program_range(program)
    keys = _scale_keys(low, high, rng)
    if style is None:
        styles = ["line", "line", "riff", "held"]
        if program // 8 not in _MONOPHONIC_FAMILIES:
            styles += ["chords", "chords", "arpeggio"]
        style = styles[rng.integers(len(styles))]
    beat_s = 60.0 / rng.uniform(60, 165)
    dynamics = int(rng.integers(45, 110))
    articulation = rng.uniform(0.35, 1.05)
    notes: list[Note] = []

    def add(start: float, length: float, key: int) -> None:
        velocity = int(np.clip(dynamics + rng.integers(-15, 16), 20, 127))
        notes.append(Note(start, max(0.06, length), key, velocity))

    time_s = float(rng.uniform(0, 0.3))
    position = int(rng.integers(len(keys)))
    riff = [int(rng.integers(-4, 5)) for _ in range(int(rng.integers(3, 7)))]
    count = 0
    while time_s < duration_s - 0.1:
        step_s = beat_s * float(rng.choice([0.25, 0.5, 0.5, 1.0, 1.0, 2.0]))
        if style == "held":
            step_s = beat_s * float(rng.choice([2.0, 3.0, 4.0]))
        elif style in ("riff", "arpeggio"):
            step_s = beat_s * 0.5
        elif style in ("chords", "strum"):
            step_s = beat_s * float(rng.choice([0.5, 1.0, 1.0, 2.0]))
        move = riff[count % len(riff)] if style == "riff" else int(rng.integers(-3, 4))
        if style == "riff":
            base = position
            index = int(np.clip(base + move, 0, len(keys) - 1))
        else:
            position = int(np.clip(position + move, 0, len(keys) - 1))
            index = position
        if style in ("chords", "strum"):
            size = int(rng.integers(2, 5))
            spread = 0.018 if style == "strum" else 0.0
            for voice in range(size):
                key = keys[min(index + 2 * voice, len(keys) - 1)]
                add(time_s + spread * voice, step_s * articulation, key)
        elif style == "arpeggio":
            key = keys[min(index + 2 * (count % 4), len(keys) - 1)]
            add(time_s, step_s * articulation * 1.5, key)
        elif rng.random() > 0.08:
            add(time_s, step_s * articulation, keys[index])
        if rng.random() < 0.06:
            time_s += beat_s * float(rng.choice([1.0, 2.0]))
        time_s += step_s
        count += 1
    return notes


def percussion_hits(key: int, duration_s: float, rng: np.random.Generator) -> list[Note]:
    """Hits of one percussion key in a random rhythm."""
    beat_s = 60.0 / rng.uniform(60, 170)
    division = float(rng.choice([0.25, 0.5, 0.5, 1.0, 2.0]))
    density = rng.uniform(0.5, 1.0)
    notes = []
    time_s = float(rng.uniform(0, 0.3))
    while time_s < duration_s - 0.05:
        if rng.random() < density:
            notes.append(Note(time_s, 0.3, key, int(rng.integers(50, 127))))
        time_s += beat_s * division * (1.0 + 0.02 * rng.standard_normal())
    return notes


def kit_pattern(duration_s: float, rng: np.random.Generator, beat_s: float | None = None) -> list[Note]:
    """A beat over kick, snare, hi-hat, with fills on toms and cymbals; its tempo is drawn where none is given."""
    if beat_s is None:
        beat_s = 60.0 / rng.uniform(70, 165)
    kick = [0, 2] + ([2.5] if rng.random() < 0.5 else []) + ([3.5] if rng.random() < 0.3 else [])
    snare = [1, 3] + ([3.75] if rng.random() < 0.2 else [])
    hat_key = int(rng.choice([42, 42, 46, 51]))
    hat_step = float(rng.choice([0.25, 0.5, 0.5, 1.0]))
    notes: list[Note] = []

    def hit(position: float, key: int, low: int = 70) -> None:
        jitter = 0.006 * rng.standard_normal()
        notes.append(Note(max(0.0, position * beat_s + jitter), 0.3, key, int(rng.integers(low, 124))))

    bars = int(np.ceil(duration_s / (4 * beat_s)))
    for bar in range(bars):
        offset = 4.0 * bar
        if rng.random() < 0.15:
            for step in range(8):
                hit(offset + step * 0.5, int(rng.choice([38, 41, 45, 47, 48, 50])))
            continue
        if rng.random() < 0.25:
            hit(offset, 49)
        for position in kick:
            hit(offset + position, 36)
        for position in snare:
            hit(offset + position, 38)
        for number in range(round(4 / hat_step)):
            hit(offset + number * hat_step, hat_key, 40)
    return sorted(n for n in notes if n.start_s < duration_s - 0.05)

"""Singing: what real people say, sung to a melody.

Sentences are taken apart by the WORLD vocoder (Morise, Yokomori and Ozawa, IEICE Trans. Inf. Syst. 99, 2016) into
pitch, spectral envelope and noisiness, and put together with what makes a spoken sentence a sung one (Saitou et al.,
WASPAA 2007): vowels that last as long as a note, a pitch that glides from note to note, vibrato, and more sound around
3 kHz. It is no singer; it has a singer's steady pitch and a person's vowels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from tas_core.conventions import db_to_amplitude
from tas_core.datasets.sources.arrangements import Harmony, write_part
from tas_core.datasets.sources.catalogue import SINGING, Voice
from tas_core.datasets.sources.clips import DryClip, finish_clip, runs, source_rng
from tas_core.datasets.sources.melodies import Note
from tas_core.datasets.sources.speech import recorded_voice_clip, voice_files
from tas_core.errors import TasError

_FRAME_S: Final = 0.005
_SHORTEST_VOWEL_S = 0.05
_QUIETEST_DB = -25.0
"""Of a vowel, below the loud ones."""
_LONGEST_ONSET_S = 0.12
"""Of the consonants before a vowel, which keep their speed."""
_SYLLABLE_S = 0.22
"""Of a longer voiced stretch, so much is sung on one note."""
_EDGE_S = 0.03
"""At both ends of a vowel, at the speed at which it was spoken."""
_GLIDE_S = 0.05
_VIBRATO_AFTER_S = 0.25
_FORMANT_HZ, _FORMANT_OCTAVES = 2900.0, 0.35
_RANGE = 9
"""Semitones from the center of a singer's range to its ends."""


@dataclass(frozen=True)
class Spoken:
    """A voice taken apart, by frames of 5 ms.

    Attributes:
        pitch_hz: (frame), 0 where it is not voiced.
        envelope: power spectra, (frame, bin).
        noisiness: fraction of a bin that is noise, (frame, bin).
        syllables: first frame of the consonants, first of the vowel, and the frame behind it.
        rate_hz: of the voice.
    """

    pitch_hz: np.ndarray
    envelope: np.ndarray
    noisiness: np.ndarray
    syllables: tuple[tuple[int, int, int], ...]
    rate_hz: int

    @property
    def center_key(self) -> float:
        """MIDI key of the median pitch."""
        return float(69 + 12 * np.log2(np.median(self.pitch_hz[self.pitch_hz > 0]) / 440))


def take_apart(samples: np.ndarray, rate_hz: int) -> Spoken | None:
    """Pitch, envelope and noisiness of a voice, (time) at 16 kHz or more; None where fewer than two vowels are found.

    Raises:
        TasError: the vocoder is not installed.
    """
    try:
        import pyworld
    except ImportError as error:
        raise TasError("rendering singing needs the WORLD vocoder: pip install 'tas[simulate]'") from error
    voice = np.ascontiguousarray(samples, np.float64)
    coarse, times_s = pyworld.dio(voice, rate_hz, frame_period=1000 * _FRAME_S)
    pitch_hz = pyworld.stonemask(voice, coarse, times_s, rate_hz)
    if not pitch_hz.any():
        return None
    envelope = pyworld.cheaptrick(voice, pitch_hz, times_s, rate_hz)
    power = envelope.mean(axis=1)
    # What rings on behind a vowel has a pitch, too.
    loud = power > np.quantile(power[pitch_hz > 0], 0.9) * db_to_amplitude(_QUIETEST_DB) ** 2
    syllables = _syllables((pitch_hz > 0) & loud)
    if len(syllables) < 2:
        return None
    return Spoken(pitch_hz, envelope, pyworld.d4c(voice, pitch_hz, times_s, rate_hz), syllables, rate_hz)


def sing(spoken: Spoken, notes: list[Note], length_s: float, rng: np.random.Generator) -> np.ndarray:
    """A voice on a melody: float64 (time), silent where no note sounds.

    Args:
        spoken: whose voice; syllable after syllable, from the first again where there are too few.
        notes: one after another; of what overlaps the later one is sung.
        length_s: seconds.
        rng: of vibrato, glides and loudness.
    """
    import pyworld

    count = round(length_s / _FRAME_S)
    source, keys, level = np.zeros(count, int), np.full(count, np.nan), np.zeros(count)
    ends = [note.start_s for note in notes[1:]] + [length_s]
    for number, (note, end_s) in enumerate(zip(notes, ends, strict=True)):
        first = round(note.start_s / _FRAME_S)
        last = min(count, round(min(note.start_s + note.length_s, end_s) / _FRAME_S))
        if last - first < round(_SHORTEST_VOWEL_S / _FRAME_S):
            continue
        source[first:last] = _stretched(spoken.syllables[number % len(spoken.syllables)], last - first)
        keys[first:last] = note.pitch
        level[first:last] = (note.velocity / 100) ** 0.7 * _swell(last - first)
    voiced = np.isfinite(keys) & (spoken.pitch_hz[source] > 0)
    pitch_hz = np.where(voiced, 440 * 2 ** ((_contour(keys, rng) - 69) / 12), 0.0)
    envelope = spoken.envelope[source] * _singers_formant(spoken, rng)
    sung = pyworld.synthesize(pitch_hz, envelope, spoken.noisiness[source], spoken.rate_hz, 1000 * _FRAME_S)
    times = np.arange(len(sung)) / spoken.rate_hz / _FRAME_S
    return sung * np.interp(times, np.arange(count) + 0.5, level)


def singing_clip(spoken: np.ndarray, length_s: float, rate_hz: int, rng: np.random.Generator) -> np.ndarray | None:
    """A random melody, sung by who speaks in ``spoken`` (time): float64 (time); None where too little is voiced.

    Raises:
        TasError: the vocoder is not installed.
    """
    voice = take_apart(spoken, rate_hz)
    if voice is None:
        return None
    center = voice.center_key + rng.uniform(2, 9)  # people sing higher than they speak
    keys = (round(center) - _RANGE, round(center) + _RANGE)
    return sing(voice, write_part("lead", keys, Harmony.draw(rng), length_s, rng), length_s, rng)


def render_singing(voice: Voice, clips: int, length_s: float, rate_hz: int, seed: int) -> Iterator[DryClip]:
    """So many melodies, sung by one speaker, or by as many of a crowd.

    Raises:
        TasError: recordings are missing, or the vocoder is not installed.
    """
    files = voice_files(voice)
    for index in range(clips):
        rng = source_rng(seed, voice.name, SINGING, index)
        one = (files[int(rng.integers(len(files)))],) if voice.crowd else files
        spoken = recorded_voice_clip(one, length_s, rate_hz, rng)
        sung = None if spoken is None else singing_clip(spoken, length_s, rate_hz, rng)
        done = None if sung is None else finish_clip(sung, rate_hz, rate_hz, length_s)
        if done is not None:
            yield DryClip(SINGING, f"{voice.name} sung", voice.split, done)


def _syllables(voiced: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    """Consonants and vowel of each syllable: voiced stretches, long ones in several parts, and what is before them."""
    found: list[tuple[int, int, int]] = []
    before = 0
    for first, last in runs(voiced):
        if last - first < _SHORTEST_VOWEL_S / _FRAME_S:
            continue
        parts = max(1, round((last - first) * _FRAME_S / _SYLLABLE_S))
        edges = np.linspace(first, last, parts + 1).round().astype(int).tolist()
        onset = max(before, first - round(_LONGEST_ONSET_S / _FRAME_S))
        found += [(onset if part == 0 else start, start, stop) for part, (start, stop) in
                  enumerate(zip(edges, edges[1:], strict=False))]  # fmt: skip
        before = last
    return tuple(found)


def _stretched(syllable: tuple[int, int, int], frames: int) -> np.ndarray:
    """Frames of speech that a note of so many frames is made of: consonants, and the vowel, its middle drawn out."""
    onset, start, stop = syllable
    consonants = np.arange(onset, start)[: frames // 2]
    left = frames - len(consonants)
    edge = min(round(_EDGE_S / _FRAME_S), (stop - start) // 3, left // 3)
    middle = np.linspace(start + edge, stop - 1 - edge, left - 2 * edge).round().astype(int)
    return np.concatenate([consonants, np.arange(start, start + edge), middle, np.arange(stop - edge, stop)])


def _swell(frames: int) -> np.ndarray:
    """Loudness over a note, 0 to 1: no click at its ends, a little less towards the end."""
    time = (np.arange(frames) + 0.5) * _FRAME_S
    ends = np.minimum(time, time[::-1]) / 0.02
    return np.clip(ends, 0, 1) * (1 - 0.3 * time / time[-1])


def _contour(keys: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pitch over frames, in MIDI keys: glides between notes, vibrato on long ones, and unsteadiness."""
    held = np.isfinite(keys)
    if not held.any():
        return np.zeros(len(keys))
    index = np.arange(len(keys))
    filled = keys[np.flatnonzero(held)[np.searchsorted(np.flatnonzero(held), index).clip(max=held.sum() - 1)]]
    half = round(_GLIDE_S / _FRAME_S)
    kernel = np.hanning(2 * half + 3)[1:-1]
    smooth = np.convolve(np.pad(filled, half, mode="edge"), kernel / kernel.sum(), mode="valid")
    same = np.concatenate([[False], filled[1:] == filled[:-1]]) & held
    since = index - np.maximum.accumulate(np.where(same, 0, index))
    onset = np.clip((since * _FRAME_S - _VIBRATO_AFTER_S) / 0.2, 0, 1)
    rate_hz, depth = rng.uniform(4.8, 6.8), rng.uniform(0.1, 0.7)
    vibrato = depth * onset * np.sin(2 * np.pi * rate_hz * index * _FRAME_S)
    drift = np.convolve(rng.standard_normal(len(keys) + 40), np.hanning(41) / np.sqrt(41), mode="valid")
    return smooth + vibrato + 0.06 * drift[: len(keys)]


def _singers_formant(spoken: Spoken, rng: np.random.Generator) -> np.ndarray:
    """Factors of power (bin): up to 8 dB more around 2.9 kHz."""
    hz = np.linspace(0, spoken.rate_hz / 2, spoken.envelope.shape[1])
    octaves = np.log2(np.maximum(hz, 1.0) / _FORMANT_HZ)
    rise_db = rng.uniform(0, 8) * np.exp(-0.5 * np.square(octaves / _FORMANT_OCTAVES))
    return np.square(db_to_amplitude(rise_db))

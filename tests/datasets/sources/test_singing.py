"""Singing: the words of a voice on the notes of a melody, in tune, with its own vowels."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import lfilter

from tas_core.datasets.mixing.bank import BankSettings, build_bank
from tas_core.datasets.sources.catalogue import CROWD, SINGING, VOICES, Voice, load_categories
from tas_core.datasets.sources.melodies import Note
from tas_core.datasets.sources.pitch import median_pitch_hz
from tas_core.datasets.sources.singing import render_singing, sing, singing_clip, take_apart
from tas_core.errors import TasError

RATE_HZ = 16000
SPOKEN_HZ = 120.0
FORMANTS_HZ = (700.0, 1200.0)
"""Of the vowel in "father"."""


def babble(length_s: float = 3.0, seed: int = 0) -> np.ndarray:
    """Syllables of 0.2 s, of pulses through two resonances, with a hiss of 0.1 s before each."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    in_syllable = time % 0.4
    voiced = (in_syllable >= 0.2) & (in_syllable < 0.4)
    pulses = (np.diff(np.floor(time * SPOKEN_HZ), prepend=0.0) > 0) & voiced
    vowel = pulses.astype(float)
    for hz in FORMANTS_HZ:
        radius = np.exp(-np.pi * 90 / RATE_HZ)
        vowel = lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * hz / RATE_HZ), radius**2], vowel)
    hiss = rng.standard_normal(len(time)) * ((in_syllable >= 0.1) & (in_syllable < 0.2))
    return 0.5 * vowel / np.abs(vowel).max() + 0.01 * hiss


def pitch_hz(samples: np.ndarray) -> float:
    found = median_pitch_hz(samples, RATE_HZ)
    assert found is not None
    return found


def test_syllables_are_found_with_their_consonants() -> None:
    voice = take_apart(babble(), RATE_HZ)
    assert voice is not None
    assert voice.center_key == pytest.approx(69 + 12 * np.log2(SPOKEN_HZ / 440), abs=0.1)
    assert len(voice.syllables) == 7
    for number, (onset, start, stop) in enumerate(voice.syllables):
        # Frames of 5 ms; the vocoder's windows reach two periods of the lowest pitch beyond the ends of a vowel.
        assert start * 0.005 == pytest.approx(0.4 * number + 0.2, abs=0.04)
        assert stop * 0.005 == pytest.approx(0.4 * number + 0.4, abs=0.04)
        assert 0.03 < (start - onset) * 0.005 <= 0.121


def test_notes_have_their_pitch_their_time_and_the_voice_s_vowel() -> None:
    voice = take_apart(babble(), RATE_HZ)
    assert voice is not None
    notes = [Note(0.5, 1.0, 48, 100), Note(1.5, 0.8, 55, 60), Note(3.0, 0.9, 51, 100)]
    sung = sing(voice, notes, 4.5, np.random.default_rng(0))
    assert len(sung) == pytest.approx(4.5 * RATE_HZ, abs=0.01 * RATE_HZ)
    levels = {}
    for note in notes:
        part = sung[round((note.start_s + 0.15) * RATE_HZ) : round((note.start_s + note.length_s) * RATE_HZ)]
        cents = 1200 * np.log2(pitch_hz(part) / (440 * 2 ** ((note.pitch - 69) / 12)))
        assert abs(cents) < 35, note  # vibrato and unsteadiness have a median of nearly nothing
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
        hz = np.fft.rfftfreq(len(part), 1 / RATE_HZ)
        near, far = spectrum[(hz > 500) & (hz < 1400)].max(), spectrum[(hz > 1700) & (hz < 2300)].max()
        assert near > 4 * far, note
        levels[note.pitch] = float(np.sqrt(np.square(part).mean()))
    assert levels[55] < 0.9 * levels[48]  # 60 of 100 is quieter
    for start_s, end_s in ((0.0, 0.45), (2.4, 2.95), (4.0, 4.5)):
        rest = sung[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)]
        assert np.abs(rest).max() < 1e-3 * np.abs(sung).max()


def test_vibrato_comes_when_a_note_is_held() -> None:
    """By the pitch as the vocoder finds it: how far it swings around its mean, early and late in a note of 2 s."""
    import pyworld

    voice = take_apart(babble(), RATE_HZ)
    assert voice is not None
    sung = sing(voice, [Note(0.1, 2.0, 57, 100)], 2.3, np.random.default_rng(5))
    coarse, times_s = pyworld.dio(sung, RATE_HZ)
    hz = pyworld.stonemask(sung, coarse, times_s, RATE_HZ)
    early, late = (
        float(np.std(12 * np.log2(hz[(times_s > first) & (times_s < last)])))
        for first, last in ((0.27, 0.35), (1.0, 2.0))
    )
    assert late > 2 * early
    assert 0.05 < late < 0.8


def test_the_same_generator_state_sings_the_same() -> None:
    one, again, other = (singing_clip(babble(), 2.0, RATE_HZ, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.01


def test_what_is_no_voice_does_not_sing() -> None:
    assert (
        singing_clip(
            0.1 * np.random.default_rng(0).standard_normal(2 * RATE_HZ), 2.0, RATE_HZ, np.random.default_rng(0)
        )
        is None
    )
    assert singing_clip(np.zeros(RATE_HZ), 2.0, RATE_HZ, np.random.default_rng(0)) is None


@pytest.mark.parametrize("crowd", [False, True])
def test_a_folder_of_recordings_sings_in_its_split(crowd: bool, tmp_path: Path) -> None:
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", babble(seed=number), RATE_HZ)
    voice = Voice("somebody", "val", "any", "files", str(tmp_path), "CC0", ("*.wav",), crowd=crowd)
    clips = list(render_singing(voice, 2, 3.0, RATE_HZ, 0))
    assert len(clips) == 2
    for clip in clips:
        assert (clip.category, clip.source, clip.split) == (SINGING, "somebody sung", "val")
        assert np.abs(clip.samples).max() == pytest.approx(0.9, abs=1e-6)
        assert clip.samples.dtype == np.float32
    assert not replace(voice, acted=True).is_natural
    assert SINGING in {category.name for category in load_categories()}
    assert {v.engine for v in VOICES if v.is_natural} == {"files"}


def test_a_vocoder_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(TasError, match=r"needs the WORLD vocoder: pip install 'tas\[simulate\]'"):
        take_apart(babble(1.0), RATE_HZ)


def test_a_bank_holds_what_voices_sing_and_what_they_say_at_once(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "1.wav", babble(), RATE_HZ)
    voice = Voice("somebody", "train", "male", "files", str(tmp_path), "CC0", ("*.wav",))
    actor = replace(voice, name="an actor", acted=True)
    names = (SINGING, CROWD, "man talking")
    categories = tuple(category for category in load_categories() if category.name in names)
    recordless = tuple(replace(category, samples=(), recorded=()) for category in categories)
    settings = BankSettings(1, 2.0, RATE_HZ, categories=recordless, fonts=(), voices=(voice, actor))
    bank = build_bank(settings, jobs=1)
    made = Counter(
        (bank.sources[s], bank.categories[c]) for s, c in zip(bank.source.tolist(), bank.category.tolist(), strict=True)
    )
    assert made == {
        ("somebody", "man talking"): 8,
        ("an actor", "man talking"): 8,
        ("somebody sung", SINGING): 1,
        ("voices at once (train)", CROWD): 10,
    }

"""Who speaks, by the pitch of the voice: tones of known pitch, noise, and synthesizers that say what they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.datasets.sources.catalogue import VOICES, Voice
from tas_core.datasets.sources.clips import source_rng
from tas_core.datasets.sources.pitch import median_pitch_hz, speakers_by_pitch
from tas_core.datasets.sources.speech import render_voice, voice_clip


def _buzz(hz: float, rate_hz: int, seconds: float = 3.0) -> np.ndarray:
    """A pulse train with formants, in syllables of a quarter of a second with noise between them."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    weights = {k: 1 / k + 0.5 * np.exp(-(((k * hz - 700) / 150) ** 2)) for k in range(1, int(3500 / hz))}
    voiced = sum(weight * np.cos(2 * np.pi * k * hz * time_s) for k, weight in weights.items())
    noise = np.random.default_rng(int(hz)).standard_normal(len(time_s))
    return np.where(time_s % 0.5 < 0.25, voiced, 0.3 * noise)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize("hz", [80.0, 118.0, 205.0, 310.0])
def test_the_pitch_of_a_voice_is_its_fundamental(hz: float, rate_hz: int) -> None:
    """To the nearest lag at 8 kHz, which is 4 % at 310 Hz; no octave above or below."""
    assert median_pitch_hz(_buzz(hz, rate_hz), rate_hz) == pytest.approx(hz, rel=0.03 if hz < 300 else 0.05)


def test_noise_silence_and_a_moment_have_no_pitch() -> None:
    for x in (np.random.default_rng(0).standard_normal(32000), np.zeros(32000), _buzz(120, 16000)[:1000], np.zeros(10)):
        assert median_pitch_hz(x, 16000) is None


def test_the_pitch_names_speakers_only_where_a_voice_agrees_with_itself() -> None:
    assert speakers_by_pitch([110, 120, 130, None], "any") == ["male", "male", "male", "any"]
    assert speakers_by_pitch([210, 230, 155, 190], "any") == ["female", "female", "any", "female"]
    assert speakers_by_pitch([110, 210, 115, 220], "any") == ["any"] * 4  # two people, or an actor
    assert speakers_by_pitch([380, 400], "any") == ["any"] * 2  # children
    assert speakers_by_pitch([None, None], "any") == ["any"] * 2
    assert speakers_by_pitch([], "any") == []
    # What is said holds, unless it is plainly not so.
    assert speakers_by_pitch([100, 155, 210, None], "female") == ["any", "female", "female", "female"]
    assert speakers_by_pitch([100, 155, 210, None], "male") == ["male", "male", "any", "male"]


@pytest.mark.slow
def test_synthesizers_of_men_and_women_are_told_apart() -> None:
    """flite's woman, at 163 to 174 Hz, is too near to men to be told without its name."""
    wanted = {"flite rms": "male", "flite kal": "male", "flite slt": "any", "espeak it+Annie": "female"}
    for name, who in wanted.items():
        voice = next(v for v in VOICES if v.name == name)
        clips = [voice_clip(voice, 4.0, 16000, source_rng(0, name, n)) for n in range(2)]
        found = [median_pitch_hz(clip, 16000) for clip in clips if clip is not None]
        assert speakers_by_pitch(found, "any") == [who] * 2, (name, found)


def test_of_a_crowd_each_recording_is_a_person(tmp_path: Path) -> None:
    """One clip for each, however many are asked for, under what its own pitch says; of one voice, these contradict."""
    for name, hz in (("a", 110.0), ("b", 220.0), ("c", 155.0)):
        soundfile.write(tmp_path / f"{name}.wav", _buzz(hz, 16000) / 8, 16000)
    crowd = Voice("crowd", "train", "any", "files", str(tmp_path), "CC0", ("*.wav",), crowd=True)
    found = list(render_voice(crowd, 1, 3.0, 16000, 0))
    assert [clip.category for clip in found] == ["man talking", "woman talking", "person talking"]
    one = list(render_voice(replace(crowd, crowd=False), 6, 3.0, 16000, 0))
    assert [clip.category for clip in one] == ["person talking"] * 6

"""Voices: the same words for the same seed, at a pace that can be followed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.datasets.sources.catalogue import CROWD, VOICES, Voice
from tas_core.datasets.sources.clips import DryClip, source_rng
from tas_core.datasets.sources.speech import render_babble, render_voice, voice_clip
from tas_core.errors import TasError
from tests.support.installed import needs_espeak

ESPEAK = next(voice for voice in VOICES if voice.name == "espeak en-us+m1")


@pytest.mark.parametrize("engine", ["espeak", "flite"])
def test_a_voice_without_its_synthesizer_is_one_line(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    voice = next(voice for voice in VOICES if voice.engine == engine)
    with pytest.raises(TasError, match=rf"^{engine}\S* does not speak .*; see scripts/install-material\.sh$"):
        voice_clip(voice, 1.0, 16000, np.random.default_rng(0))


@needs_espeak
def test_a_voice_speaks_the_same_for_the_same_seed() -> None:
    def speak(count: int, seed: int = 0) -> list[DryClip]:
        return list(render_voice(ESPEAK, count, 1.0, 16000, seed))

    first = speak(2)
    assert [c.category for c in first] == ["man talking"] * 2
    assert all(c.split == "val" for c in first)
    assert all(np.abs(c.samples).max() == pytest.approx(0.9, abs=1e-6) for c in first)
    np.testing.assert_array_equal(speak(1)[0].samples, first[0].samples)
    assert not np.array_equal(first[0].samples, first[1].samples)
    assert not np.array_equal(speak(1, seed=1)[0].samples, first[0].samples)


@pytest.mark.skipif(shutil.which("flite") is None, reason="needs flite")
def test_flite_speaks_at_a_pace_that_can_be_followed() -> None:
    """Five sentences of some eleven words take longer than 10 s at any of the paces drawn, as of a person."""
    voice = next(v for v in VOICES if v.engine == "flite")
    for seed in range(4):
        clip = voice_clip(voice, 10.0, 8000, source_rng(seed, "pace"))
        assert clip is not None
        assert len(clip) == 80000


def test_people_who_talk_at_once_are_several_of_one_split(tmp_path: Path) -> None:
    """Each made-up voice has a tone of its own; three to ten draws of three voices are more than two of them."""
    tones_hz = {"a": 300.0, "b": 700.0, "c": 1900.0}
    time_s = np.arange(24000) / 16000
    for name, hz in tones_hz.items():
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "1.wav", 0.5 * np.sin(2 * np.pi * hz * time_s), 16000)
    voices = [Voice(name, "test", "any", "files", str(tmp_path / name), "CC0", ("*.wav",)) for name in tones_hz]
    clips = list(render_babble(voices, 8, 2.0, 16000, 3))
    again = list(render_babble(voices, 1, 2.0, 16000, 3))
    np.testing.assert_array_equal(again[0].samples, clips[0].samples)
    sounding = []
    for clip in clips:
        assert (clip.category, clip.source, clip.split) == (CROWD, "voices at once (test)", "test")
        assert np.abs(clip.samples).max() == pytest.approx(0.9, abs=1e-6)
        spectrum = np.abs(np.fft.rfft(clip.samples))
        levels = [spectrum[round(hz * len(clip.samples) / 16000)] for hz in tones_hz.values()]
        sounding.append(sum(level > 0.02 * max(levels) for level in levels))
    assert len(clips) == 8
    assert np.mean(sounding) > 2  # of 3 to 10 draws of three, all three are there in most
    assert min(sounding) >= 1

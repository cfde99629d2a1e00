"""Voices: the same words for the same seed, at a pace that can be followed."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tas_core.datasets.sources.catalogue import VOICES
from tas_core.datasets.sources.clips import DryClip, source_rng
from tas_core.datasets.sources.speech import render_voice, voice_clip
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

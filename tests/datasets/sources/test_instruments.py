"""Instruments of soundfonts: the same clip in any order, in tune, and nothing left over from another."""

from __future__ import annotations

import numpy as np
import pytest

from tas_core.datasets.sources.catalogue import load_categories
from tas_core.datasets.sources.clips import DryClip
from tas_core.datasets.sources.instruments import render_font
from tests.support.installed import TIM, needs_fluidsynth


def _clips(names: list[str], seed: int = 0) -> dict[str, DryClip]:
    by_name = {c.name: c for c in load_categories()}
    found = render_font(TIM, [by_name[n] for n in names], 1, 1.5, 16000, seed)
    return {clip.category: clip for clip in found}


@needs_fluidsynth
def test_a_soundfont_renders_the_same_clip_in_any_order() -> None:
    names = ["piano", "cello", "drums", "flute"]
    straight = _clips(names)
    assert set(straight) == set(names)
    for name in names:
        clip = straight[name]
        assert clip.samples.dtype == np.float32
        assert clip.samples.shape == (24000,)
        assert np.abs(clip.samples).max() == pytest.approx(0.9, abs=1e-6)
        assert abs(float(clip.samples.mean())) < 0.01
        assert clip.split == "val"
        assert clip.source == f"TimGM6mb/{name}"
        np.testing.assert_array_equal(_clips(names)[name].samples, clip.samples)
    others = [_clips(names[::-1]), _clips(["flute", "cello"])]
    for other in others:
        for name, clip in other.items():
            # A voice of FluidSynth that played before starts its next note with up to 10 of 32768 steps of
            # difference, in a clip that may fill a tenth of the range.
            np.testing.assert_allclose(clip.samples, straight[name].samples, rtol=0, atol=5e-3)
    assert np.abs(_clips(["flute"], seed=1)["flute"].samples - straight["flute"].samples).max() > 0.1


@needs_fluidsynth
def test_nothing_rings_on_into_the_next_clip() -> None:
    from tas_core.datasets.sources.instruments import FontSynth
    from tas_core.datasets.sources.melodies import Note

    synth = FontSynth(TIM)
    try:
        held = [Note(0.0, 5.0, 45, 127), Note(0.2, 5.0, 52, 127)]
        for program in (0, 42, 89, None):  # a pad rings for seconds
            before = synth.render(held, 1.0, program=program)
            assert before is not None
            assert np.abs(before).max() > 0.01
            after = synth.render([Note(0.5, 0.4, 60, 100)], 1.0, program=0)
            assert after is not None
            assert np.abs(after[:22000]).max() < 4 / 32768  # dither of two channels
            assert np.abs(after[22050:]).max() > 0.01
    finally:
        synth.close()


@needs_fluidsynth
def test_tuning_and_melody_reach_the_sound() -> None:
    """The strongest partial of a single note is where its key says."""
    from tas_core.datasets.sources.instruments import FontSynth
    from tas_core.datasets.sources.melodies import Note

    synth = FontSynth(TIM)
    try:
        for cents in (0.0, 50.0):
            samples = synth.render([Note(0.0, 1.4, 69, 100)], 1.5, program=73, tuning_cents=cents)
            assert samples is not None
            spectrum = np.abs(np.fft.rfft(samples[11025:55125] * np.hanning(44100)))
            # 1 Hz bins; a flute's vibrato moves it by a few more.
            peak_hz = 300 + int(np.argmax(spectrum[300:600]))
            assert peak_hz == pytest.approx(440 * 2 ** (cents / 1200), abs=6)
    finally:
        synth.close()

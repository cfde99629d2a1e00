"""Music of several instruments: all parts keep to one harmony, one tempo and their own range."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tas_core.datasets.sources.arrangements import ROLES, Harmony, write_part
from tas_core.datasets.sources.catalogue import SPLITS, load_categories
from tas_core.datasets.sources.clips import source_rng
from tas_core.datasets.sources.instruments import ensemble_clip, open_synth, render_font
from tas_core.datasets.sources.melodies import MAJOR, program_range
from tas_core.datasets.tasbench.captions import benchmark_data
from tests.support.installed import TIM, needs_fluidsynth

ENSEMBLES = tuple(category for category in load_categories() if category.kind == "ensemble")
LENGTH_S = 12.0


def harmonies(count: int) -> list[Harmony]:
    return [Harmony.draw(np.random.default_rng(seed), slow=seed % 2 == 1) for seed in range(count)]


def test_chords_are_triads_of_the_scale() -> None:
    """C major: I, V, vi and IV, as any book of harmony has them."""
    harmony = Harmony(0.5, 0, MAJOR, (0, 4, 5, 3))
    assert [sorted(harmony.chord(bar)) for bar in range(5)] == [[0, 4, 7], [2, 7, 11], [0, 4, 9], [0, 5, 9], [0, 4, 7]]
    assert [harmony.bass(bar) for bar in range(4)] == [0, 7, 9, 5]
    for drawn in harmonies(20):
        scale = {key % 12 for key in drawn.keys(0, 127)}
        assert len(scale) == 7
        assert all(drawn.chord(bar) <= scale and drawn.bass(bar) in drawn.chord(bar) for bar in range(4))


@pytest.mark.parametrize("role", [role for role in ROLES if role != "drums"])
def test_every_note_is_in_key_in_range_and_on_the_grid(role: str) -> None:
    programs = {
        program for category in ENSEMBLES for r, programs in category.parts if r == role for program in programs
    }
    assert programs
    for number, program in enumerate(sorted(programs)):
        harmony = harmonies(2 * len(programs))[number]
        notes = write_part(role, program_range(program), harmony, LENGTH_S, np.random.default_rng(number))
        low, high = program_range(program)
        assert notes, program
        for note in notes:
            bar = int(note.start_s / harmony.beat_s / 4 + 1e-6)
            allowed = harmony.chord(bar) if role == "chords" else {key % 12 for key in harmony.keys(0, 127)}
            assert low <= note.pitch <= high
            assert note.pitch % 12 in allowed
            assert 0 <= note.start_s < LENGTH_S
            # Halves of beats, a quarter where a lead is quick, and strings of a strum 0.03 beats apart.
            beats = note.start_s / harmony.beat_s
            assert min((beats * 4) % 1, 1 - (beats * 4) % 1) < 4 * 0.03 * 3 + 1e-6


def test_the_bass_begins_a_bar_with_the_chord_s_own_note() -> None:
    for number, harmony in enumerate(harmonies(12)):
        for note in write_part("bass", program_range(33), harmony, LENGTH_S, np.random.default_rng(number)):
            beats = note.start_s / harmony.beat_s
            if abs(beats / 4 - round(beats / 4)) < 1e-6:
                assert note.pitch % 12 == harmony.bass(round(beats / 4))


def test_drums_keep_the_tempo_of_the_others() -> None:
    """Kicks and snares stand on quarters of beats but for 6 ms of play, five standard deviations of it at most."""
    for number, harmony in enumerate(harmonies(6)):
        notes = write_part("drums", (0, 127), harmony, LENGTH_S, np.random.default_rng(number))
        off = [abs(n.start_s / harmony.beat_s * 4 - round(n.start_s / harmony.beat_s * 4)) for n in notes]
        assert max(off) * harmony.beat_s / 4 < 5 * 0.006


def test_the_same_generator_state_writes_the_same_and_another_does_not() -> None:
    harmony = harmonies(1)[0]
    first, again, other = (
        write_part("lead", program_range(73), harmony, 8.0, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_an_ensemble_may_hold_what_its_parts_may_be() -> None:
    known = {category.name: category for category in load_categories()}
    holds = lambda one, other: known[one].may_hold(known[other])  # noqa: E731
    assert all(holds("music", c.name) for c in known.values() if c.kind in ("kit", "ensemble"))
    assert holds("band", "electric bass")
    assert holds("band", "distortion guitar")
    assert holds("band", "tabla")
    assert holds("orchestra", "violin")
    assert not holds("band", "violin")
    assert not holds("rhythm section", "distortion guitar")  # so that a guitar can be told from its band
    assert not holds("orchestra", "drums")
    assert not any(holds(e.name, name) for e in ENSEMBLES for name in ("man talking", "singing", "rain", "helicopter"))
    assert not holds("piano", "piano")
    means = lambda one, other: known[one].may_mean(known[other])  # noqa: E731
    people = ["person talking", "man talking", "woman talking"]
    assert {(a, b) for a in people for b in people if means(a, b)} == {
        pair for name in people[1:] for pair in ((name, people[0]), (people[0], name))
    }
    assert means("piano", "music")
    assert means("music", "piano")
    assert not means("piano", "piano")
    assert not means("person talking", "rain")
    melodic = [c for c in known.values() if c.kind == "melodic" and c.sound_kind == "music"]
    # All of General MIDI's families of instruments, but for synthesizers' effects.
    assert {c.program // 8 for c in melodic if c.program is not None and not known["music"].may_hold(c)} == {12}


@needs_fluidsynth
def test_a_soundfont_plays_them_in_clips_of_its_split() -> None:
    clips = list(render_font(TIM, ENSEMBLES, 1, 2.0, 16000, 0))
    assert {clip.category for clip in clips} == {"music", "band", "orchestra", "rhythm section"}
    assert len(clips) > 30  # ten of each, and now and then too many parts are left out
    for clip in clips:
        assert clip.source == f"TimGM6mb/{clip.category}"
        assert clip.split in SPLITS
        assert np.abs(clip.samples).max() == pytest.approx(0.9, abs=1e-6)


@needs_fluidsynth
def test_several_parts_sound_at_once_or_there_is_no_clip() -> None:
    """Of two parts alone, each left out one time in four, both sound in 9 of 16."""
    synth = open_synth(TIM)
    two = replace(ENSEMBLES[0], parts=(("bass", (33,)), ("lead", (73,))))
    clips = [ensemble_clip(synth, two, 2.0, source_rng(0, index)) for index in range(32)]
    made = [clip for clip in clips if clip is not None]
    assert 10 <= len(made) <= 26  # 18 in the mean, 2.8 standard deviations to each side
    for clip in made:
        spectrum = np.square(np.abs(np.fft.rfft(clip)))
        hz = np.fft.rfftfreq(len(clip), 1 / 44100)
        # A bass below 110 Hz, a flute above 500 Hz: 6 dB at most to each side of the same level.
        low, high = spectrum[(hz > 30) & (hz < 110)].sum(), spectrum[(hz > 500) & (hz < 3000)].sum()
        assert low > 0.002 * spectrum.sum()
        assert high > 0.002 * spectrum.sum()
    only_drums = replace(two, parts=(("drums", ()), ("lead", (73,))))
    synth.close()
    silent = open_synth(replace(TIM, without_percussion=True))
    assert all(ensemble_clip(silent, only_drums, 1.0, source_rng(1, index)) is None for index in range(4))
    silent.close()


def test_the_benchmark_has_none() -> None:
    assert not {category.name for category in ENSEMBLES} & set(benchmark_data()["categories"])

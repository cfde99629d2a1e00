from __future__ import annotations

import numpy as np
import pytest

from tas_core.datasets.sources.melodies import Note, kit_pattern, melody, percussion_hits, program_range

STYLES = [None, "line", "riff", "held", "chords", "arpeggio", "strum"]


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _check(notes: list[Note], duration_s: float) -> None:
    for note in notes:
        assert 0 <= note.start_s < duration_s
        assert note.length_s > 0
        assert 0 <= note.pitch <= 127
        assert 1 <= note.velocity <= 127
        assert isinstance(note.pitch, int)
        assert isinstance(note.velocity, int)


def test_every_program_plays_within_its_range() -> None:
    silent = 0
    for program in range(128):
        low, high = program_range(program)
        assert 0 < low < high <= 127
        notes = melody(program, 6.0, _rng(program))
        _check(notes, 6.0)
        silent += not notes
        assert all(low <= n.pitch <= high for n in notes), program
    # A tune of few long notes may happen to skip them all.
    assert silent <= 2


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("duration_s", [0.5, 8.0])
def test_styles(style: str | None, duration_s: float) -> None:
    for seed in range(20):
        notes = melody(0, duration_s, _rng(seed), pitch_range=(50, 70), style=style)
        _check(notes, duration_s + 0.1)  # a strum spreads a chord over a few hundredths of a second
        assert all(50 <= n.pitch <= 70 for n in notes)


def test_chords_sound_together_and_lines_do_not() -> None:
    for seed in range(10):
        chords = melody(0, 8.0, _rng(seed), style="chords")
        starts = [n.start_s for n in chords]
        assert len(set(starts)) < len(starts)
        line = [n.start_s for n in melody(0, 8.0, _rng(seed), style="line")]
        assert len(set(line)) == len(line)


def test_wind_instruments_play_one_note_at_a_time() -> None:
    for program in (56, 64, 73):  # trumpet, soprano saxophone, flute
        for seed in range(20):
            starts = [n.start_s for n in melody(program, 8.0, _rng(seed))]
            assert len(set(starts)) == len(starts)


def test_strummed_strings_follow_each_other() -> None:
    notes = melody(24, 8.0, _rng(3), style="strum")
    gaps = np.diff([n.start_s for n in notes])
    assert np.any(np.isclose(gaps, 0.018))


def test_same_generator_state_same_music() -> None:
    for make in (
        lambda rng: melody(40, 5.0, rng),
        lambda rng: percussion_hits(38, 5.0, rng),
        lambda rng: kit_pattern(5.0, rng),
    ):
        assert make(_rng(1)) == make(_rng(1))
        assert make(_rng(1)) != make(_rng(2))


def test_percussion_hits_one_key() -> None:
    for seed in range(20):
        notes = percussion_hits(56, 4.0, _rng(seed))
        _check(notes, 4.0)
        assert {n.pitch for n in notes} <= {56}
    assert percussion_hits(56, 4.0, _rng(0))


def test_a_kit_has_kick_snare_and_cymbals_in_order() -> None:
    for seed in range(10):
        notes = kit_pattern(8.0, _rng(seed))
        _check(notes, 8.0)
        starts = [n.start_s for n in notes]
        assert starts == sorted(starts)
        keys = {n.pitch for n in notes}
        assert {36, 38} <= keys
        assert keys & {42, 46, 51}
        assert all(35 <= key <= 81 for key in keys)  # General MIDI percussion

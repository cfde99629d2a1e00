from __future__ import annotations

import shutil
import struct
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tas_core.datasets.sources.catalogue import SOUNDFONTS, Split, load_categories
from tas_core.datasets.sources.instruments import render_font
from tas_core.datasets.sources.melodies import Note
from tas_core.datasets.sources.timidity import PatchSynth, standard_midi
from tas_core.errors import TasError
from tests.support.scripts import load_script

FREEPATS = next(font for font in SOUNDFONTS if font.name == "FreePats")
ROOT = Path(__file__).parents[3]
COPY = 0.99
"""High notes of a flute and an electric piano, both nearly sines, correlate by 0.986; copies mostly by 1."""

needs_timidity = pytest.mark.skipif(
    shutil.which("timidity") is None or not FREEPATS.path.exists(),
    reason="needs timidity and freepats, see scripts/install-material.sh",
)


def _events(data: bytes) -> list[tuple[float, bytes]]:
    """Times in seconds and channel messages of a MIDI file, read by the book (Standard MIDI Files 1.0)."""
    assert data[:4] == b"MThd"
    size, form, tracks, division = struct.unpack(">IHHH", data[4:14])
    assert (size, form, tracks) == (6, 0, 1)
    assert data[14:18] == b"MTrk"
    assert struct.unpack(">I", data[18:22])[0] == len(data) - 22
    at, ticks, microseconds = 22, 0, 500000
    found = []
    while at < len(data):
        delta = 0
        while True:
            delta = delta << 7 | data[at] & 127
            at += 1
            if not data[at - 1] & 128:
                break
        ticks += delta
        if data[at] == 0xFF:
            kind, length = data[at + 1], data[at + 2]
            if kind == 0x51:
                microseconds = int.from_bytes(data[at + 3 : at + 3 + length], "big")
            at += 3 + length
            if kind == 0x2F:
                assert at == len(data)
        else:
            length = 2 if data[at] >> 4 in (0xC, 0xD) else 3
            found.append((ticks / division * microseconds / 1e6, data[at : at + length]))
            at += length
    return found


def test_a_song_says_what_was_asked_for() -> None:
    """Times of up to many bytes each; a note that ends where another begins ends first."""
    # 0.1 + 0.2 is more than 0.3, and the last note is shorter than the file can say.
    notes = [Note(0.1, 0.2, 60, 100), Note(0.3, 0.25, 60, 90), Note(200.0, 1e-6, 72, 1)]
    program, bend, *rest = _events(standard_midi(notes, program=40, tuning_cents=-50.0))
    assert program == (0.0, bytes([0xC0, 40]))
    assert bend[1][0] == 0xE0
    # Two semitones either way are 8192 steps; half a semitone below is a quarter of that.
    assert (bend[1][1] | bend[1][2] << 7) - 8192 == pytest.approx(-2048, abs=1)
    said = [(round(time_s, 4), message[0], message[1]) for time_s, message in rest]
    assert said == [
        (0.1, 0x90, 60), (0.3, 0x80, 60), (0.3, 0x90, 60), (0.55, 0x80, 60), (200.0, 0x90, 72), (200.0001, 0x80, 72),
    ]  # fmt: skip


def test_drums_are_on_channel_ten_and_have_no_program() -> None:
    events = _events(standard_midi([Note(0.5, 0.1, 38, 80)], program=None))
    assert {message[0] & 15 for _, message in events} == {9}
    assert not any(message[0] >> 4 == 0xC for _, message in events)


def test_a_set_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(TasError, match=r"patch set FreePats is not installed; see scripts/install-material\.sh"):
        PatchSynth(replace(FREEPATS, path=tmp_path / "none.cfg"), 44100)


@needs_timidity
def test_a_key_sounds_at_its_pitch_when_it_is_struck() -> None:
    synth = PatchSynth(FREEPATS, 44100)
    for cents in (0.0, 50.0):
        samples = synth.render([Note(0.5, 1.4, 69, 100)], 2.0, program=73, tuning_cents=cents)
        assert samples is not None
        assert len(samples) <= 88200
        # A key early by a block of TiMidity++ (under 6 ms) would show.
        assert np.abs(samples[:21780]).max() < 1e-3 < np.abs(samples[22050:26460]).max()
        spectrum = np.abs(np.fft.rfft(samples[26460:70560] * np.hanning(44100)))
        # 1 Hz bins; a flute's vibrato and its patch's own tuning move it by a few more.
        peak_hz = 300 + int(np.argmax(spectrum[300:600]))
        assert peak_hz == pytest.approx(440 * 2 ** (cents / 1200), abs=6)


@needs_timidity
def test_what_the_set_lacks_is_not_played_from_elsewhere(tmp_path: Path) -> None:
    synth = PatchSynth(FREEPATS, 44100)
    assert synth.render([Note(0.0, 0.5, 60, 100)], 1.0, program=41) is None  # no viola among the patches
    assert synth.render([Note(0.0, 0.5, 87, 100)], 1.0, program=None) is None  # nor a surdo
    own = tmp_path / "few.cfg"
    own.write_text("dir /usr/share/midi/freepats\nbank 1\n 40 Tone_000/040_Violin.pat\nbank 0\n 0\tnone.pat\n")
    few = PatchSynth(replace(FREEPATS, path=own), 44100)
    assert few.render([Note(0.0, 0.5, 60, 100)], 1.0, program=40) is None  # a patch of another bank


@needs_timidity
def test_clips_of_patches_are_as_any_others() -> None:
    wanted = tuple(c for c in load_categories() if c.name in ("violin", "viola", "drums", "ocarina"))
    clips = list(render_font(FREEPATS, wanted, 2, 1.5, 16000, seed=3))
    assert {c.category for c in clips} == {"violin", "drums"}  # its ocarina is a recording of another split
    assert all(c.split == "train" and c.samples.dtype == np.float32 for c in clips)
    assert all(np.abs(c.samples).max() == pytest.approx(0.9, abs=1e-3) for c in clips)
    again = list(render_font(FREEPATS, wanted, 2, 1.5, 16000, seed=3))
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(clips, again, strict=True))


# ------------------------------------------------------------------ nothing heard in training is unseen


@pytest.fixture(scope="module")
def shared_samples() -> ModuleType:
    module = load_script("tools/shared_samples.py")
    module.read_samples = cache(module.read_samples)  # of a font, for all that it is compared with
    return module


@pytest.mark.slow
@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("name", [f.name for f in SOUNDFONTS if f.split == "train" and f.path.suffix != ".sf3"])
def test_training_does_not_play_samples_of_other_splits(shared_samples: ModuleType, split: Split, name: str) -> None:
    font = next(f for f in SOUNDFONTS if f.name == name)
    other = next(f for f in SOUNDFONTS if f.split == split)
    source = Path("/usr/share/midi/freepats") if font.path.suffix == ".cfg" else font.path
    if not (source.exists() and other.path.exists()):
        pytest.skip("soundfonts are not installed, see scripts/install-material.sh")
    played = {f"0:{c.program}" for c in load_categories() if c.kind == "melodic" and font.plays(c)}
    drums = any(font.plays(c) for c in load_categories() if c.kind == "percussion")
    for likeness, theirs, ours in shared_samples.shared(*map(shared_samples.read_samples, (source, other.path))):
        if likeness >= COPY:
            shared = {p for p in ours.programs if p in played or (drums and p.startswith("128:"))}
            assert not shared, (likeness, theirs.name, ours.name, shared)


@pytest.mark.slow
def test_the_search_for_shared_samples_is_not_blind(shared_samples: ModuleType, tmp_path: Path) -> None:
    """Quieter, louder, trimmed by any number of points, turned over: found; another recording: not."""
    generator = np.random.default_rng(6)
    waves = [np.cumsum(generator.standard_normal(3000)) for _ in range(5)]
    waves = [8000 * (w - np.convolve(w, np.ones(99) / 99, "same")) / 30 for w in waves]
    changed = [0.3 * waves[0], waves[1][37:2100], -0.9 * waves[2][1:], waves[3][2500:]]
    unrelated = 8000 * np.sin(np.cumsum(generator.uniform(0.05, 0.4, 3000)))
    for folder, sounds in (("training", waves), ("held_out", [*changed, unrelated])):
        (tmp_path / folder / "Tone_000").mkdir(parents=True)
        for number, sound in enumerate(sounds):
            file = tmp_path / folder / "Tone_000" / f"{number:03d}_wave.pat"
            file.write_bytes(bytes(239) + sound.round().clip(-32768, 32767).astype("<i2").tobytes())
    known, held_out = (shared_samples.read_samples(tmp_path / folder) for folder in ("training", "held_out"))
    found = list(shared_samples.shared(known, held_out))
    assert {(theirs.programs, ours.programs) for _, theirs, ours in found} == {
        ((f"0:{n}",), (f"0:{n}",)) for n in range(4)
    }

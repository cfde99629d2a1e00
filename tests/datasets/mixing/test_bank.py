from __future__ import annotations

import errno
import importlib.util
import os
import shutil
from collections import defaultdict
from collections.abc import Callable
from ctypes.util import find_library
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tas_core.datasets.mixing import material
from tas_core.datasets.mixing.bank import BankSettings, StemBank, build_bank
from tas_core.datasets.mixing.material import open_material
from tas_core.datasets.mixing.phrases import PhraseTable
from tas_core.datasets.mixing.room_bank import RoomBank
from tas_core.datasets.sources.catalogue import SOUNDFONTS, SPLITS, VOICES, load_categories
from tas_core.datasets.sources.clips import DryClip, source_rng
from tas_core.datasets.sources.instruments import render_font
from tas_core.datasets.sources.speech import render_voice, voice_clip
from tas_core.errors import InputError, TasError
from tests.support.tiny import CATEGORIES, HashEncoder, dry_rooms, phrase_table, tone_bank, write_material

TIM = next(font for font in SOUNDFONTS if font.name == "TimGM6mb")
ESPEAK = next(voice for voice in VOICES if voice.name == "espeak en-us+m1")

needs_fluidsynth = pytest.mark.skipif(
    importlib.util.find_spec("fluidsynth") is None or not TIM.path.exists() or find_library("fluidsynth") is None,
    reason="needs pyfluidsynth, libfluidsynth and TimGM6mb.sf2, see scripts/install-material.sh",
)
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")


# ------------------------------------------------------------------ the file


def test_a_bank_survives_saving(tmp_path: Path) -> None:
    bank = tone_bank(length_s=0.2)
    bank.save(tmp_path / "bank.safetensors")
    back = StemBank.load(tmp_path / "bank.safetensors")
    for field in fields(StemBank):
        old, new = getattr(bank, field.name), getattr(back, field.name)
        assert torch.equal(old, new) if isinstance(old, torch.Tensor) else old == new, field.name


def test_clips_are_where_the_table_says() -> None:
    bank = tone_bank(length_s=0.2)
    seen: set[int] = set()
    for number, split in enumerate(SPLITS):
        clips = bank.clips_of(split)
        assert sorted(clips) == list(range(len(CATEGORIES)))
        for category, indices in clips.items():
            for index in indices.tolist():
                assert int(bank.category[index]) == category
                assert int(bank.split[index]) == number
                assert float(bank.clip(index).abs().max()) == pytest.approx(0.9, abs=1e-4)
                seen.add(index)
    assert seen == set(range(len(bank.start)))
    whole = torch.cat([bank.clip(i) for i in range(len(bank.start))])
    assert torch.equal(whole, bank.samples.float() / 32767)


def test_categories_without_clips_in_a_split_are_absent() -> None:
    bank = tone_bank(length_s=0.2)
    only_train = replace(bank, split=torch.where(bank.category == 0, 0, bank.split))
    assert 0 not in only_train.clips_of("val")
    assert len(only_train.clips_of("train")[0]) == 6


def _damaged(path: Path, what: str) -> None:
    bank = tone_bank(length_s=0.2)
    tensors = {n: getattr(bank, n) for n in ("samples", "start", "length", "category", "source", "split")}
    meta = {"format": "1", "sample_rate_hz": "16000", "categories": '["piano"]', "sources": '["a"]'}
    if what == "garbage":
        path.write_bytes(b"this is no bank")
    elif what == "empty":
        path.write_bytes(b"")
    elif what == "format":
        save_file(tensors, str(path), metadata=meta | {"format": "99"})
    elif what == "metadata":
        save_file(tensors, str(path))
    elif what == "names":
        save_file(tensors, str(path), metadata={k: v for k, v in meta.items() if k != "sources"})
    elif what == "json":
        save_file(tensors, str(path), metadata=meta | {"sources": "["})
    elif what == "tensor":
        del tensors["split"]
        save_file(tensors, str(path), metadata=meta)


@pytest.mark.parametrize("what", ["missing", "garbage", "empty", "format", "metadata", "names", "json", "tensor"])
def test_an_unusable_bank_is_an_input_error(tmp_path: Path, what: str) -> None:
    path = tmp_path / "bank.safetensors"
    _damaged(path, what)
    with pytest.raises(InputError, match=r"bank\.safetensors: .*stem bank"):
        StemBank.load(path)


# ------------------------------------------------------------------ phrases and material


def test_a_phrase_table_survives_saving(tmp_path: Path) -> None:
    table = phrase_table()
    table.save(tmp_path / "phrases.safetensors")
    back = PhraseTable.load(tmp_path / "phrases.safetensors")
    assert back.phrases == table.phrases
    assert back.encoder == "hash"
    assert torch.equal(back.features, table.features)
    rows = back.rows(["cello", "everything else", "piano"])
    torch.testing.assert_close(back.features[rows], HashEncoder()(["cello", "everything else", "piano"]))


def test_a_table_without_a_word_says_which(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no features of 'nose flute'"):
        phrase_table().rows(["piano", "nose flute"])
    (tmp_path / "phrases.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a readable phrase table"):
        PhraseTable.load(tmp_path / "phrases.safetensors")


def test_material_is_a_folder_with_everything(tmp_path: Path) -> None:
    folder = write_material(tmp_path / "material")
    batch = open_material(folder, "val", "hash", seed=1).compose(0, 2)
    assert bool(torch.isfinite(batch.mid).all())
    with pytest.raises(InputError, match=r"phrases-clip\.safetensors"):
        open_material(folder, "train", "clip")
    (folder / "rooms-test.safetensors").unlink()
    with pytest.raises(InputError, match=r"rooms-test\.safetensors"):
        open_material(folder, "test", "hash")
    with pytest.raises(InputError, match="no such folder"):
        open_material(tmp_path / "elsewhere", "train", "hash")


def _few(monkeypatch: pytest.MonkeyPatch, bank: Callable[[], StemBank]) -> None:
    monkeypatch.setattr(material, "build_bank", lambda *_, **__: bank())
    monkeypatch.setattr(material, "build_rooms", lambda *_, **__: dry_rooms())


def _build(folder: Path) -> None:
    material.build_material(folder, BankSettings(), encode=HashEncoder(), encoder_name="hash")


def test_a_full_disk_leaves_no_half_file_of_material(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _few(monkeypatch, tone_bank)
    with monkeypatch.context() as patch:

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(os, "fsync", full)
        with pytest.raises(TasError, match=r"bank\.safetensors: cannot write .*disk full"):
            _build(tmp_path)
        assert list(tmp_path.iterdir()) == []
    (tmp_path / ".tas-0123456789ab.part").touch()  # as a killed program leaves it
    _build(tmp_path)
    assert torch.equal(StemBank.load(tmp_path / "bank.safetensors").samples, tone_bank().samples)
    assert len(RoomBank.load(tmp_path / "rooms-test.safetensors").responses) == 1
    assert len(list(tmp_path.iterdir())) == 5
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    _build(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept


def test_material_that_is_damaged_is_not_kept_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _few(monkeypatch, tone_bank)
    _build(tmp_path)
    path = tmp_path / "bank.safetensors"
    for size in (path.stat().st_size - 1, 100, 0):
        os.truncate(path, size)
        with pytest.raises(InputError, match=r"bank\.safetensors: damaged .* remove it to have it made anew"):
            _build(tmp_path)


def test_a_folder_for_material_is_looked_at_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> StemBank:
        raise AssertionError("the bank was built")

    _few(monkeypatch, refuse)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: not a folder"):
        _build(tmp_path / "file")
    with pytest.raises(InputError, match=r"file/sub: no folder can be made .*Not a directory"):
        _build(tmp_path / "file" / "sub")


# ------------------------------------------------------------------ rendering


def test_random_numbers_are_keyed_by_name() -> None:
    draw = lambda *key: source_rng(*key).random(4).tolist()  # noqa: E731
    assert draw(0, "a", "b", 1) == draw(0, "a", "b", 1)
    keys = [(0, "a", "b", 1), (1, "a", "b", 1), (0, "a", "b", 2), (0, "ab", "", 1), (0, "b", "a", 1)]
    assert len({tuple(draw(*key)) for key in keys}) == len(keys)


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


@pytest.mark.slow
@needs_fluidsynth
@needs_espeak
def test_a_built_bank_does_not_depend_on_the_number_of_processes() -> None:
    names = ("piano", "cello", "drums", "man talking", "woman talking")
    few = tuple(c for c in load_categories() if c.name in names)
    fonts = tuple(font for font in SOUNDFONTS if font.name in ("TimGM6mb", "CsoundGM") and font.path.exists())
    voices = tuple(v for v in VOICES if v.name in ("espeak en-us", "espeak en-us+m1", "espeak en-us+m2"))
    settings = BankSettings(clips_per_source=1, length_s=1.0, categories=few, fonts=fonts, voices=voices)
    banks = [build_bank(settings, jobs=jobs) for jobs in (1, 3)]
    for field in fields(StemBank):
        one, other = (getattr(bank, field.name) for bank in banks)
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other, field.name
    splits = defaultdict(set)
    for source, split in zip(banks[0].source.tolist(), banks[0].split.tolist(), strict=True):
        splits[banks[0].sources[source]].add(split)
    assert all(len(found) == 1 for found in splits.values())
    peaks = [float(banks[0].clip(i).abs().max()) for i in range(len(banks[0].start))]
    np.testing.assert_allclose(peaks, 0.9, atol=1e-4)


@pytest.mark.skipif(shutil.which("flite") is None, reason="needs flite")
def test_flite_speaks_at_a_pace_that_can_be_followed() -> None:
    """Five sentences of some eleven words take longer than 10 s at any of the paces drawn, as of a person."""
    voice = next(v for v in VOICES if v.engine == "flite")
    for seed in range(4):
        clip = voice_clip(voice, 10.0, 8000, source_rng(seed, "pace"))
        assert clip is not None
        assert len(clip) == 80000

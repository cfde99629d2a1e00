from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tas_core.datasets.sources import catalogue, recordings
from tas_core.datasets.sources.catalogue import RECORDING_FOLDERS, SOUNDFONTS, SPLITS, VOICES, Category, load_categories
from tas_core.datasets.sources.recordings import recording_files, recording_split, render_recordings
from tas_core.datasets.tasbench.captions import benchmark_data
from tas_core.datasets.tasbench.scenes import fonts_for, voices_for

CATEGORIES = load_categories()


# ------------------------------------------------------------------ words


def test_every_category_has_words_and_they_are_clean() -> None:
    assert len({c.name for c in CATEGORIES}) == len(CATEGORIES) > 150
    for category in CATEGORIES:
        assert category.words, category.name
        for word in (*category.training_words, *category.held_out):
            assert word == " ".join(word.split()), word
            assert word, category.name
            assert len(word) < 60, word
        assert len(set(category.training_words)) == len(category.training_words), category.name


def test_every_program_can_be_heard() -> None:
    programs = [c.program for c in CATEGORIES if c.program is not None]
    assert set(programs) == set(range(128))


def test_a_category_has_one_kind_of_sound_or_recordings_alone() -> None:
    for category in CATEGORIES:
        given = [
            category.program is not None,
            category.key is not None,
            bool(category.samples),
            category.speaker is not None,
            category.kind == "kit",
            bool(category.parts),
        ]
        assert sum(given) == 1 or (sum(given) == 0 and category.recorded), category.name
        if category.key is not None:
            assert 27 <= category.key <= 87
        if category.pitch_range:
            assert 0 < category.pitch_range[0] < category.pitch_range[1] <= 127


def test_held_out_words_are_no_training_words() -> None:
    trained = {word.lower() for category in CATEGORIES for word in category.training_words}
    leaked = {(c.name, w) for c in CATEGORIES for w in c.held_out if w.lower() in trained}
    assert leaked == set()


def test_kinds_kept_for_zero_shot_tests_are_in_no_training_word_or_sample() -> None:
    """The examples use a crow, so that they show a sound no model was trained on; foxes are kept for the same."""
    kept = {"crow", "crows", "raven", "fox", "foxes"}
    for category in CATEGORIES:
        for text in (category.name, *category.training_words):
            assert not kept & set(text.lower().replace("-", " ").split()), text
        for sample in (*category.samples, *(p for _, patterns in category.recorded for p in patterns)):
            assert not kept & set(re.split(r"[^a-z]+", sample.lower())), sample


def test_the_world_is_in_the_catalogue() -> None:
    """Everyday sounds: all that is neither played from a score nor spoken."""
    everyday = [c for c in CATEGORIES if c.kind == "recording"]
    assert len(everyday) >= 120
    assert sum(len(c.recorded) + bool(c.samples) > 1 for c in everyday) > 100, "from several packages each"
    assert all(c.held_out for c in CATEGORIES)


def test_names_of_the_benchmark_mean_what_they_meant() -> None:
    """Its captions draw from ``words``, its statistics say by name what was drawn: neither changes with training."""
    bench = {c.name: c for c in CATEGORIES if c.name in benchmark_data()["categories"]}
    names = {w.lower() for c in bench.values() for w in (c.name, *c.words, *c.held_out)}
    added = [c for c in CATEGORIES if c.recorded and c.kind == "recording" and not c.samples]
    assert added
    for category in added:
        assert not names & {w.lower() for w in (category.name, *category.words, *category.held_out)}, category.name


# ------------------------------------------------------------------ splits


def test_no_source_is_in_two_splits() -> None:
    for sources in (SOUNDFONTS, VOICES):
        names = [source.name for source in sources]
        assert len(set(names)) == len(names)
        assert {source.split for source in sources} == set(SPLITS)
    assert len({font.path for font in SOUNDFONTS}) == len(SOUNDFONTS)
    speakers = [(v.engine, v.argument, v.patterns) for v in VOICES]
    assert len(set(speakers)) == len(speakers)
    assert all(source.licence for source in (*SOUNDFONTS, *VOICES))
    assert all(licence for _, licence in RECORDING_FOLDERS)


def test_installed_soundfonts_are_different_files() -> None:
    real = [font.path.resolve() for font in SOUNDFONTS if font.path.exists()]
    if not real:
        pytest.skip("no soundfont is installed")
    assert len(set(real)) == len(real)


def test_the_benchmark_does_not_draw_from_what_was_added_for_training() -> None:
    """Its clips stay as they are, so that scores of different times can be compared."""
    later = [source for source in (*SOUNDFONTS, *VOICES) if not source.in_benchmark]
    assert later
    assert all(source.split == "train" for source in later)
    for category in CATEGORIES:
        for split in SPLITS:
            assert all(font.in_benchmark for font in fonts_for(category, split))
            if category.speaker is not None:
                assert all(voice.in_benchmark for voice in voices_for(category, split))


def test_a_soundfont_plays_all_but_what_it_must_not() -> None:
    font = next(f for f in SOUNDFONTS if f.name == "GeneralUser")
    left_out = {c.program for c in CATEGORIES if c.kind == "melodic" and not font.plays(c)}
    assert left_out == font.without_programs & {c.program for c in CATEGORIES}
    assert not any(font.plays(c) for c in CATEGORIES if c.kind not in ("melodic", "ensemble"))


def test_every_split_has_melodies_drums_and_voices_of_both_kinds() -> None:
    for split in SPLITS:
        assert any(f.split == split and not f.only_percussion for f in SOUNDFONTS)
        voices = [v for v in VOICES if v.split == split]
        assert {"male", "female"} <= {v.speaker for v in voices} or "any" in {v.speaker for v in voices}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 9])
def test_recordings_are_shared_out_once(count: int) -> None:
    files = [Path(f"{i}.ogg") for i in range(count)]
    parts = {split: recording_split(files, split) for split in SPLITS}
    assert sorted(sum(parts.values(), [])) == files
    assert (len(parts["train"]) > 0) == (count > 0)
    if count >= 3:
        assert len(parts["val"]) == len(parts["test"]) == 1


def _recordings(categories: tuple[Category, ...]) -> dict[Path, set[str]]:
    splits: dict[Path, set[str]] = defaultdict(set)
    for category in categories:
        if category.kind == "recording":
            files = recording_files(category)
            for split in SPLITS:
                for path in recording_split(files, split):
                    splits[path].add(split)
    return splits


def test_no_recording_is_in_two_splits_by_way_of_two_categories() -> None:
    splits = _recordings(CATEGORIES)
    if not splits:
        pytest.skip("no recordings are installed, see scripts/install-material.sh")
    assert {str(path): found for path, found in splits.items() if len(found) > 1} == {}


def test_recordings_are_found_by_name_and_descriptions_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bell.ogg", "bell_2.wav", "bell_desc_fr.ogg", "doorbell.ogg", "bell.txt", "sub/bell_3.flac"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    monkeypatch.setattr(recordings, "RECORDING_FOLDERS", ((tmp_path, "CC0"), (tmp_path / "missing", "CC0")))
    category = Category("bell", ("bell",), (), "recording", samples=("bell*",))
    assert [p.name for p in recording_files(category)] == ["bell.ogg", "bell_2.wav", "bell_3.flac"]


def test_no_name_of_recordings_is_in_two_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every split has files of its own, so their clips have a source of their own, with different sound."""
    rng = np.random.default_rng(0)
    for number in range(4):
        sf.write(tmp_path / f"gong{number}.wav", 0.5 * rng.standard_normal(1600), 16000)
    monkeypatch.setattr(recordings, "RECORDING_FOLDERS", ((tmp_path, "CC0"),))
    category = Category("small gong", ("small gong",), (), "recording", samples=("gong*",))
    clips = {s: list(render_recordings(category, s, 2, 0.5, 16000, 0)) for s in SPLITS}
    names = {split: {clip.source for clip in found} for split, found in clips.items()}
    assert all(len(found) == 1 for found in names.values())
    assert len(set.union(*names.values())) == len(SPLITS)
    assert all(clip.split == split for split, found in clips.items() for clip in found)


# ------------------------------------------------------------------ what sounds are to people


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("voice", ["man talking", "person talking", "singing"]),
        ("music", ["cello", "drums", "snare drum", "tabla", "choir", "distortion guitar"]),
        ("everyday", ["rain", "dog", "helicopter", "seashore", "bird tweet", "applause", "car horn"]),
    ],
)
def test_kinds_of_sounds(kind: str, names: list[str]) -> None:
    found = {c.name: c.sound_kind for c in CATEGORIES}
    assert [found[name] for name in names] == [kind] * len(names)


def test_kinds_name_categories_that_there_are() -> None:
    assert catalogue._RECORDED_VOICES | catalogue._RECORDED_MUSIC <= {
        c.name for c in CATEGORIES if c.kind == "recording"
    }

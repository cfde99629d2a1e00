"""``tools/tagging``: names of recordings against what sound taggers hear."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import tools.tagging.__main__ as command
from tas_core.datasets.sources.catalogue import Category, load_categories
from tas_core.errors import InputError
from tools.tagging import recordings
from tools.tagging.agreement import among_top, by_labels, by_likeness, related_words
from tools.tagging.recordings import Heard, Recording, Sound, catalogue_recordings, read_sound, spread
from tools.tagging.taggers import UCS, Answer, answers_by_name, blocks_of, open_tagger

RATE_HZ = 8000


def heard(rows: list[tuple[str, str]], embedding: np.ndarray, labels: tuple[str, ...] = (), score=None) -> Heard:
    """What a tagger made of recordings, given as (category, package)."""
    count = len(rows)
    return Heard(
        tagger="ear",
        category=tuple(category for category, _ in rows),
        source=tuple(package for _, package in rows),
        name=tuple(f"{number}.wav" for number in range(count)),
        seconds=np.ones(count),
        embedding=np.asarray(embedding, np.float32),
        labels=labels,
        score=np.zeros((count, 0), np.float32) if score is None else np.asarray(score, np.float32),
    )


PACKAGES = ["one", "one", "two", "two", "one", "two", "two"]
ROWS = list(zip(["dog"] * 4 + ["rain"] * 3, PACKAGES, strict=True))
AXES = np.array([[1, 0.1], [0.9, 0], [1, 0], [0.1, 1], [0, 1], [0.1, 1.1], [0, 0.9]])
"""Dogs and rain on an axis each; the last dog sounds like rain."""
ALONE = {"dog": {"dog"}, "rain": {"rain"}}


def test_a_recording_that_sounds_like_another_category_is_the_worst_of_all() -> None:
    found = {verdict.row: verdict.agreement for verdict in by_likeness(heard(ROWS, AXES), ALONE)}

    assert sorted(found) == list(range(7))
    assert min(found, key=lambda row: found[row]) == 3
    assert found[3] < 0.5 < min(found[row] for row in (2, 4, 5, 6))


def test_likeness_to_the_same_package_does_not_count() -> None:
    one_package = [("dog", "one")] * 4 + ROWS[4:]

    asked = {verdict.row for verdict in by_likeness(heard(one_package, AXES), ALONE)}

    assert asked == {4, 5, 6}, "dogs of one package say nothing of each other"


def test_the_sources_of_a_bank_are_packages_with_their_category() -> None:
    of_a_bank = replace(heard(ROWS, AXES), source=tuple(f"{package}/{category}" for category, package in ROWS))

    assert by_likeness(of_a_bank, ALONE) == by_likeness(heard(ROWS, AXES), ALONE)


@pytest.mark.parametrize("seed", range(3))
def test_agreement_with_labels_is_the_share_of_other_recordings_that_fit_less(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [(name, "one") for name in rng.choice(["dog", "rain", "car"], 30)]
    score = rng.integers(0, 6, (30, 3)).astype(float)
    given = heard(rows, np.ones((30, 2)), ("bark", "drops", "engine"), score)
    accepted = {"dog": ("bark", "engine")}

    found = by_labels(given, accepted, {name: {name} for name in ("dog", "rain", "car")})

    fits = np.maximum(score[:, 0], score[:, 2])
    for verdict in found:
        others = [row for row in range(30) if rows[row][0] != "dog"]
        wins = sum((fits[o] < fits[verdict.row]) + 0.5 * (fits[o] == fits[verdict.row]) for o in others)
        assert verdict.agreement == pytest.approx(wins / len(others), abs=1e-12)
    assert [verdict.row for verdict in found] == [row for row in range(30) if rows[row][0] == "dog"]


def test_categories_of_a_common_word_or_label_are_not_held_against_each_other() -> None:
    related = related_words({"dog": ("dog", "Barking"), "fox": ("fox", "barking"), "rain": ("rain",)})
    assert related == {"dog": {"dog", "fox"}, "fox": {"dog", "fox"}, "rain": {"rain"}}

    rows = [("dog", "one"), ("fox", "one"), ("wolf", "one"), ("rain", "one")]
    score = [[1.0, 0], [2.0, 0], [3.0, 0], [0, 1.0]]
    given = heard(rows, np.ones((4, 2)), ("canine", "weather"), score)
    accepted = {"dog": ("canine",), "wolf": ("canine",), "rain": ("weather",)}

    found = by_labels(given, accepted, {**related, "wolf": {"wolf"}})

    assert [(verdict.row, verdict.agreement) for verdict in found] == [(0, 1.0), (2, 1.0), (3, 1.0)]


def test_a_label_that_the_tagger_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="ear has no label bark"):
        by_labels(heard(ROWS, AXES, ("meow",), np.zeros((7, 1))), {"dog": ("bark",)}, ALONE)


def test_the_share_with_a_right_label_on_top() -> None:
    score = [[3, 2, 1], [1, 2, 3], [3, 1, 2], [1, 3, 2]]
    given = heard([("dog", "a"), ("dog", "b"), ("rain", "a"), ("rain", "b")], np.ones((4, 1)), ("x", "y", "z"), score)

    assert among_top(given, {"dog": ("x",)}, 1) == {"dog": (0.5, 0.5)}
    assert among_top(given, {"dog": ("x", "y")}, 2) == {"dog": (1.0, 1.0)}


def test_what_was_heard_comes_back_from_its_file(tmp_path: Path) -> None:
    given = heard(ROWS, AXES, ("bark", "Ü"), np.arange(14.0).reshape(7, 2))
    given.save(tmp_path / "heard.npz")

    back = Heard.load(tmp_path / "heard.npz")

    assert (back.tagger, back.category, back.source, back.name, back.labels) == (
        given.tagger, given.category, given.source, given.name, given.labels,
    )  # fmt: skip
    for name in ("seconds", "embedding", "score"):
        np.testing.assert_array_equal(getattr(back, name), getattr(given, name))


def test_files_that_are_not_what_a_tagger_heard_are_named(tmp_path: Path) -> None:
    given, path = heard(ROWS, AXES), tmp_path / "heard.npz"
    given.save(path)
    whole = path.read_bytes()
    damaged = {
        "short.npz": whole[: len(whole) // 2],
        "text.npz": b"no archive",
        "empty.npz": b"",
    }
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
    np.savez(tmp_path / "other.npz", a=np.zeros(2))
    np.savez(tmp_path / "pickled.npz", category=np.array([{}], dtype=object))
    replace(given, seconds=np.ones(3)).save(tmp_path / "lengths.npz")
    replace(given, embedding=np.full((7, 2), np.nan)).save(tmp_path / "nan.npz")

    for name in (*damaged, "other.npz", "pickled.npz", "lengths.npz", "nan.npz", "missing.npz"):
        with pytest.raises(InputError, match=name):
            Heard.load(tmp_path / name)


def test_recordings_are_spread_over_their_order() -> None:
    files = [Recording("dog", "one", str(number), number) for number in range(9)]

    assert [recording.place for recording in spread(files, 3)] == [0, 4, 8]
    assert spread(files[:2], 3) == files[:2]
    assert [recording.place for recording in spread(files, 1)] == [0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages with a dog each, one with rain and a silent file, as a catalogue of two categories."""
    rng = np.random.default_rng(0)
    bark = np.sin(np.arange(RATE_HZ) * 0.3) * np.exp(-np.arange(RATE_HZ) / 900)
    rain = rng.normal(0, 0.1, RATE_HZ)
    sounds = {"a/bark": bark, "a/rain": rain, "a/rain2": 0 * rain}
    files = {f"one/{name}.wav": samples for name, samples in sounds.items()} | {"two/woof.wav": bark[: RATE_HZ // 2]}
    for name, samples in files.items():
        path = tmp_path / "material" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE_HZ)
    categories = (
        Category("dog", ("dog",), (), "recording", recorded=(("one", ("bark*",)), ("two", ("woof*",)))),
        Category("rain", ("rain",), (), "recording", recorded=(("one", ("a/rain*",)),)),
    )
    for module in (recordings, command):
        monkeypatch.setattr(module, "load_categories", lambda: categories)
    return tmp_path / "material"


def test_the_recordings_of_the_catalogue_have_its_names(folder: Path) -> None:
    found = [(r.category, r.source, r.name) for r in catalogue_recordings(folder, 3)]

    assert found == [
        ("dog", "one", "a/bark.wav"),
        ("dog", "two", "woof.wav"),
        ("rain", "one", "a/rain.wav"),
        ("rain", "one", "a/rain2.wav"),
    ]


def test_of_a_long_recording_the_loudest_place_is_heard(tmp_path: Path) -> None:
    samples = np.full(10 * RATE_HZ, 0.01)
    samples[4 * RATE_HZ : 6 * RATE_HZ] = 0.5
    soundfile.write(tmp_path / "a.wav", samples, RATE_HZ)

    sound = read_sound(tmp_path / "a.wav", 2.0)

    assert (len(sound.samples), sound.rate_hz, sound.seconds) == (2 * RATE_HZ, RATE_HZ, 10.0)
    np.testing.assert_array_equal(sound.samples, 1.0)


class Ear:
    """A tagger that hears zero crossings."""

    labels = ("high", "low")
    longest_s = 1.0

    def hear(self, sound: Sound) -> Answer:
        rate = float(np.mean(np.diff(np.sign(sound.samples)) != 0))
        return Answer(np.array([rate, 1 - rate], np.float32), np.array([rate, -rate], np.float32))


def test_tagging_and_doubting_a_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(command, "open_tagger", lambda name: Ear())
    labels = tmp_path / "labels.yaml"
    labels.write_text("musicnn: {high: [rain], low: [dog]}", encoding="utf-8")

    assert command.main(["tag", "musicnn", str(folder), str(tmp_path / "m.npz")]) == 0
    assert "one/a/rain2.wav: is silent" in capsys.readouterr().err
    saved = tmp_path / "all.json"
    assert command.main(["doubts", str(tmp_path / "m.npz"), "--labels", str(labels), "--save", str(saved)]) == 0

    out = capsys.readouterr().out
    assert "musicnn likeness: 1 categories, median agreement 1.00" in out
    assert "musicnn labels: 2 categories, median agreement 1.00" in out
    rows = json.loads(saved.read_text(encoding="utf-8"))
    assert [row["category"] for row in rows["categories"]] == ["dog", "rain"]
    assert {row["name"] for row in rows["recordings"]} == {"a/bark.wav", "woof.wav", "a/rain.wav"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tag", "musicnn", "missing.safetensors", "out.npz"], "missing.safetensors"),
        (["tag", "musicnn", ".", "out.npz"], "no recordings"),
        (["doubts", "missing.npz"], "missing.npz"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(command, "open_tagger", lambda name: Ear())
    monkeypatch.chdir(tmp_path)

    assert command.main(arguments) == 2

    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out.npz").exists()


def test_a_tagger_that_is_not_installed_is_named_with_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "librosa", None)

    with pytest.raises(InputError, match=r"musicnn: .*expected musicnn 0\.1\.0, tensorflow-cpu"):
        open_tagger("musicnn")


def test_labels_are_of_known_categories_and_cover_everyday_sounds(tmp_path: Path) -> None:
    accepted = command.accepted_labels(command.LABELS, "aisfx")

    assert {label for labels in accepted.values() for label in labels} <= set(UCS)
    everyday = {c.name for c in load_categories() if c.recorded and c.sound_kind == "everyday"}
    assert everyday <= accepted.keys()

    wrong = tmp_path / "labels.yaml"
    wrong.write_text("aisfx: {ANIMALS: [dgo]}", encoding="utf-8")
    with pytest.raises(InputError, match="'dgo' under 'ANIMALS'"):
        command.accepted_labels(wrong, "aisfx")


def test_answers_without_names_are_those_of_the_list_in_its_order() -> None:
    absent = {"first": (UCS[1],), "second": ()}
    first, second = np.arange(81.0) - 100, np.arange(82.0) - 100

    found = answers_by_name({"first": first, "second": second}, absent)

    assert found.shape == (82,)
    assert found[0] == -100
    assert found[1] == second[1], "only the second has it"
    assert found[2] == pytest.approx((first[1] + second[2]) / 2)
    with pytest.raises(ValueError, match="81 answers"):
        answers_by_name({"second": first}, absent)


def test_blocks_are_filled_up_with_silence() -> None:
    blocks = blocks_of(np.ones((5, 2), np.float32), 3)

    assert blocks.shape == (2, 3, 2)
    assert blocks.sum() == 10
    assert not blocks[1, 2].any()
    assert blocks_of(np.zeros((0, 2), np.float32), 3).shape == (1, 3, 2)

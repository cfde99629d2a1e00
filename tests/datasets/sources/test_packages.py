"""Packages of recordings: who may use what, and what clips are made of it."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np
import pytest
import soundfile as sf
import soxr
import torch

from tas_core.datasets.mixing import bank as bank_module
from tas_core.datasets.mixing.bank import BankSettings, build_bank
from tas_core.datasets.sources import package_clips
from tas_core.datasets.sources.catalogue import SPLITS, Category, load_categories
from tas_core.datasets.sources.melodies import kit_pattern
from tas_core.datasets.sources.package_clips import (
    LEFT_OUT,
    check_packages,
    clips_worth,
    kit_clip,
    packaged_clip,
    packaged_files,
    packaged_voices,
    render_kit,
    render_package,
)
from tas_core.datasets.sources.packages import (
    KIT_KEYS,
    PACKAGED_KITS,
    PACKAGED_VOICES,
    PACKAGES,
    Kit,
    Package,
    Packaged,
)
from tas_core.datasets.sources.recordings import recording_files
from tas_core.errors import TasError

ROOT = Path(__file__).resolve().parents[3]
CATEGORIES = load_categories()
RATE_HZ = 8000
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a recording below the folder of package "one"."""

    def written(name: str, samples: np.ndarray, rate_hz: int = RATE_HZ) -> Path:
        path = tmp_path / "one" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, samples, rate_hz, "FLOAT")
        return path

    return written


def tone(hz: float, seconds: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def strength(samples: np.ndarray, hz: float, octaves: float = 0.36) -> float:
    """Share of the power within the range that a tone of ``hz`` is moved in by changes of speed."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    at = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return float(power[(at > hz * 2**-octaves) & (at < hz * 2**octaves)].sum() / power.sum())


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No voices and kits beside the recordings of a test."""
    monkeypatch.setattr(package_clips, "PACKAGED_VOICES", ())
    monkeypatch.setattr(package_clips, "PACKAGED_KITS", ())
    monkeypatch.setattr(bank_module, "PACKAGED_KITS", ())


# ------------------------------------------------------------------ the table


def test_packages_are_named_once_and_all_are_used() -> None:
    names = [package.name for package in PACKAGES]
    assert len(set(names)) == len(names)
    assert all(package.licence for package in PACKAGES)
    named = {package for category in CATEGORIES for package, _ in category.recorded}
    assert named - set(names) == set()
    others = {voice.argument for voice in PACKAGED_VOICES} | {kit.package for kit in PACKAGED_KITS}
    assert set(names) - named - others == set()
    assert {package.split for package in PACKAGES} == set(SPLITS)


def test_a_recorded_speaker_is_in_one_split_and_serves_training_only() -> None:
    speakers = [(voice.argument, voice.patterns) for voice in PACKAGED_VOICES]
    assert len(set(speakers)) == len(speakers)
    assert len({voice.name for voice in PACKAGED_VOICES}) == len(PACKAGED_VOICES)
    assert {voice.split for voice in PACKAGED_VOICES} == set(SPLITS)
    assert all(voice.licence and not voice.in_benchmark for voice in PACKAGED_VOICES)


def test_kits_have_all_that_beats_are_made_of() -> None:
    keys = [key for keys in KIT_KEYS for key in keys]
    assert len(set(keys)) == len(keys)
    played = {note.pitch for seed in range(40) for note in kit_pattern(20.0, np.random.default_rng(seed))}
    assert played == set(keys)
    assert all(len(kit.hits) == len(KIT_KEYS) for kit in PACKAGED_KITS)
    assert len({kit.name for kit in PACKAGED_KITS}) == len(PACKAGED_KITS)
    split = {package.name: package.split for package in PACKAGES}
    assert {split[kit.package] for kit in PACKAGED_KITS} == {"train"}


def test_every_category_that_is_judged_by_is_trained() -> None:
    split = {package.name: package.split for package in PACKAGES}
    for category in CATEGORIES:
        found = {split[name] for name, _ in category.recorded}
        if found and category.kind == "recording" and not category.samples:
            assert "train" in found, category.name


def test_what_judges_is_not_among_the_recordings() -> None:
    """Sounds that other benchmarks keep for themselves: whole packages, and parts of one."""
    kept = re.compile(r"openttd|openclonk|fretsonfire|librosa|sms-tools|ovos")
    assert not [package.name for package in PACKAGES if kept.search(package.name)]
    patterns = [p for c in CATEGORIES for name, found in c.recorded if name == "gcompris-qt-data" for p in found]
    assert patterns
    assert not [p for p in patterns if re.search(r"instruments|voices|guitar|xylofon|music", p)]


def test_what_validates_and_judges_is_not_drawn_from_esc_10(tmp_path: Path) -> None:
    """Its last fold, and a chainsaw that RealBench has too."""
    folds = {
        category.name: patterns for category in CATEGORIES for name, patterns in category.recorded if name == "esc-10"
    }
    assert len(folds) == 10
    for number in range(1, 11):
        folder = tmp_path / "esc-10" / f"{number:03d} - kind"
        folder.mkdir(parents=True)
        for name in ("1-19898-A", "2-7-A", "5-7-A"):
            (folder / f"{name}.ogg").touch()
    for category, patterns in folds.items():
        drawn = [path.stem for path in packaged_files(tmp_path, "esc-10", patterns)]
        assert drawn == (["2-7-A"] if category == "chainsaw" else ["1-19898-A", "2-7-A"]), category


def test_recordings_of_packages_are_not_the_benchmarks() -> None:
    """TASBench-Sim's clips stay as they are: what it draws from are the samples alone."""
    for category in CATEGORIES:
        if category.recorded and not category.samples:
            assert recording_files(category) == ()


def test_the_script_fetches_what_the_table_names() -> None:
    text = (ROOT / "scripts" / "install-training-material.sh").read_text()
    listed = re.search(r"packages=\(\n(.*?)\n\)", text, re.DOTALL)
    assert listed is not None
    wanted = {package.name for package in PACKAGES} | {voice.argument for voice in PACKAGED_VOICES}
    repositories = re.findall(r"^repository (\S+) https://\S+ [0-9a-f]{40}\b", text, re.MULTILINE)
    assert repositories
    assert sorted(listed[1].split() + repositories) == sorted(wanted)


def test_the_script_says_how_it_is_called() -> None:
    command = ["bash", str(ROOT / "scripts" / "install-training-material.sh")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "install-training-material.sh FOLDER" in done.stderr


# ------------------------------------------------------------------ files


def test_patterns_mean_sound_files_in_the_order_of_their_names(tmp_path: Path, write: Write) -> None:
    for name in ("a/bark2.wav", "a/bark1.wav", "b/bark3.wav", "a/bark.txt", "a/meow.wav"):
        write("x.wav", tone(200, 0.1)).rename(tmp_path / "one" / "x")
        (tmp_path / "one" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "one" / "x").rename(tmp_path / "one" / name)
    found = packaged_files(tmp_path, "one", ("a/bark*", "bark2*"))
    assert [path.name for path in found] == ["bark1.wav", "bark2.wav"]
    with pytest.raises(TasError, match=r"one: no recordings 'a/moo\*'"):
        packaged_files(tmp_path, "one", ("a/bark*", "a/moo*"))


def test_patterns_behind_an_exclamation_mark_leave_files_out(write: Write, tmp_path: Path) -> None:
    for name in ("one/a/bark1.wav", "one/a/bark2.wav", "one/a/speech.wav"):
        write(name, tone(300, 0.2))
    found = packaged_files(tmp_path, "one", ("a/*", "!a/speech*"))
    assert [path.name for path in found] == ["bark1.wav", "bark2.wav"]
    assert packaged_files(tmp_path, "one", ("!a/speech*", "a/*")) == found, "in whatever order"
    with pytest.raises(TasError, match=r"one: no recordings 'a/moo\*'"):
        packaged_files(tmp_path, "one", ("a/*", "!a/moo*"))
    with pytest.raises(TasError, match="no recordings but those that are left out"):
        packaged_files(tmp_path, "one", ("a/speech*", "!a/*"))


HEARD = {
    "hydrogen-drumkits": {
        "ForzeeStereo/AgogoLow-2.wav": "agogo",
        "ForzeeStereo/AgogoHigh-2.wav": "high agogo",
        "ForzeeStereo/RideBell-1.wav": "ride bell",
        "ForzeeStereo/RideBow-1.wav": "ride cymbal",
        "ForzeeStereo/Ride-1.wav": "ride cymbal",
        "Colombo/crash20i__ride-cup1.flac": "ride bell",
        "Colombo/crash16i__ride2.flac": None,
        "Colombo/crash20i__crash.flac": "crash cymbal",
        "circAfrique/Dununba1 Bell Mute.wav": None,
        "circAfrique/Dununba1 Head Hit.wav": "dunun",
        "ElectricEmpireKit/EE_Whistle.flac": None,
        "HardElectro1/xFX_6.flac": None,
        "HardElectro1/emptySample.flac": None,
        "HardElectro1/CHH_1.flac": "drum machine",
    },
    "lmms-common": {
        "stringsnpads/space_strings02.ogg": "synth strings",
        "stringsnpads/juno_pad01.ogg": "warm pad",
    },
    "lincity-ng-data": {"sounds/Substation3.wav": None, "sounds/SubstationOff.wav": None},
    "megaglest-data": {
        "commondata/sounds/guard_attack5.wav": None,
        "commondata/sounds/stickfighter_attack8.wav": None,
        "commondata/sounds/stickfighter_attack10.wav": None,
        "commondata/sounds/stickfighter_attack1.wav": "punch",
        "commondata/sounds/stickfighter_attack12.wav": "punch",
    },
    "unknown-horizons": {"sounds/tavern.ogg": "crowd talking"},
    "gcompris-qt-data": {"watercycle/resource/harbor2.wav": None, "watercycle/resource/harbor1.wav": "ship horn"},
    "wesnoth-1.16-data": {"sounds/dagger-swish.wav": "whooshing", "sounds/flail.ogg": None, "sounds/tail.ogg": "whip"},
    "openarena-data": {"world/new/moan2.wav": None, "world/growl1.wav": "monster"},
    "torcs-data": {"sound/skid_metal.wav": None, "sound/skid_tyres.wav": "skidding tyres"},
    "hedgewars-data": {"Sounds/hammer.ogg": None},
    "freedroidrpg-data": {"bullets/Sword.ogg": None, "bullets/Phaser.ogg": "laser"},
}
"""Recordings whose names were doubted by taggers or by their files' names, and what they are; None: left out."""


@pytest.mark.parametrize("package", HEARD)
def test_doubted_recordings_have_the_names_of_what_is_heard_in_them(package: str) -> None:
    for file, expected in HEARD[package].items():
        named = set()
        for category in CATEGORIES:
            patterns = dict(category.recorded).get(package, ())
            meant = [p.removeprefix(LEFT_OUT) == p for p in patterns if PurePath(file).match(p.removeprefix(LEFT_OUT))]
            named |= {category.name} if meant and all(meant) else set()
        assert named == ({expected} if expected else set()), file


@pytest.mark.usefixtures("alone")
def test_missing_packages_are_named(tmp_path: Path) -> None:
    category = Category("dog", ("dog",), (), "recording", recorded=(("one", ("*",)), ("two", ("*",))))
    (tmp_path / "one").mkdir()
    with pytest.raises(TasError, match=r"holds no recordings of two; .*install-training-material\.sh"):
        check_packages(tmp_path, [category])
    (tmp_path / "two").mkdir()
    check_packages(tmp_path, [category])


def test_voices_are_found_below_the_folder(tmp_path: Path) -> None:
    voices = packaged_voices(tmp_path)
    assert [voice.name for voice in voices] == [voice.name for voice in PACKAGED_VOICES]
    assert all(Path(voice.argument).parent == tmp_path for voice in voices)


def test_patterns_mean_something_in_the_packages() -> None:
    """In a folder made by the script, which the variable names; patterns fit the packages of one release of Debian."""
    root = os.environ.get("TRAINING_RECORDINGS")
    if not root:
        pytest.skip("TRAINING_RECORDINGS names no folder made by scripts/install-training-material.sh")
    check_packages(Path(root), CATEGORIES)
    owners: dict[Path, set[str]] = {}
    for category in CATEGORIES:
        for package, patterns in category.recorded:
            for path in packaged_files(Path(root), package, patterns):
                assert sf.info(str(path)).frames > 0
                owners.setdefault(path, set()).add(category.name)
    # A hit on a drum is one of the kit's too; anything else goes by one name.
    twice = {path: names for path, names in owners.items() if len(names - {"drums", "breakbeat"}) > 1}
    assert twice == {}


# ------------------------------------------------------------------ clips


def test_clips_are_as_many_as_recordings_last(write: Write) -> None:
    files = [write(f"{n}.wav", tone(200, 4.0)) for n in range(3)]
    assert clips_worth(files, 20, 8.0) == 3  # 12 s, twice, in clips of 8 s
    assert clips_worth(files, 2, 8.0) == 2
    assert clips_worth(files, 1, 8.0) == 2
    assert clips_worth(files[:1], 20, 30.0) == 2


def test_a_clip_has_its_length_and_peak_and_depends_on_the_generator_alone(write: Write) -> None:
    files = [write("a.wav", tone(300, 0.4)), write("b.wav", tone(700, 0.2, 22050), 22050)]
    first, again, other = (packaged_clip(files, 2.0, RATE_HZ, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.dtype == np.float32
    assert first.shape == (16000,)
    assert np.abs(first).max() == pytest.approx(0.9, abs=1e-6)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_recording_is_heard_twice_before_all_were_heard(write: Write) -> None:
    """Four tones an octave apart and half a second long: whichever comes first, all are in 4 s."""
    tones = (200, 400, 800, 1600)
    files = [write(f"{hz}.wav", tone(hz, 0.4) * np.hanning(3200)) for hz in tones]
    for seed in range(5):
        clip = packaged_clip(files, 4.0, RATE_HZ, np.random.default_rng(seed))
        assert clip is not None
        assert all(0.08 < strength(clip, hz) < 0.6 for hz in tones), seed


def test_what_sounds_throughout_goes_on_and_what_ends_is_followed_by_a_pause(write: Write) -> None:
    rng = np.random.default_rng(0)
    rain = write("rain.wav", 0.1 * rng.standard_normal(8000))
    knock = write("knock.wav", 0.5 * rng.standard_normal(1600) * np.exp(-np.arange(1600) / 200))
    level = {}
    for path in (rain, knock):
        clip = packaged_clip([path], 4.0, RATE_HZ, np.random.default_rng(1))
        assert clip is not None
        level[path] = np.sqrt(np.square(clip.reshape(-1, 160)).mean(axis=1))
    assert level[rain][3:-3].min() > 0.4 * np.median(level[rain]), "no gap, where stretches overlap included"
    assert (level[knock] < 0.01 * level[knock].max()).mean() > 0.1, "pauses"


def test_a_long_recording_is_heard_where_it_sounds(write: Write) -> None:
    """Of 40 s, half is silence. The loudest of three places is silent in an eighth of the clips or less."""
    samples = np.concatenate([np.zeros(20 * RATE_HZ), tone(300, 20.0)])
    path = write("long.wav", samples)
    clips = [packaged_clip([path], 2.0, RATE_HZ, np.random.default_rng(seed)) for seed in range(20)]
    sounding = [clip for clip in clips if clip is not None and np.abs(clip).mean() > 0.3]
    assert len(sounding) >= 14
    places = {round(float(np.argmax(np.abs(np.fft.rfft(clip)))) / 2) for clip in sounding}
    assert len(places) > 3, "at different speeds"


def test_speed_changes_by_a_third_of_an_octave_at_most(write: Write) -> None:
    path = write("tone.wav", tone(500, 5.0))
    for seed in range(8):
        clip = packaged_clip([path], 2.0, RATE_HZ, np.random.default_rng(seed))
        assert clip is not None
        assert strength(clip, 500) > 0.98


def test_recordings_as_they_are_keep_their_pitch_and_lose_only_silent_ends(write: Write) -> None:
    silence = np.zeros(RATE_HZ // 2)
    paths = [write(f"{n}.wav", np.concatenate([silence, tone(440, 0.3), silence])) for n in range(3)]
    for seed in range(4):
        clip = packaged_clip(paths, 4.0, RATE_HZ, np.random.default_rng(seed), as_they_are=True)
        assert clip is not None
        spectrum = np.abs(np.fft.rfft(clip))
        assert np.argmax(spectrum) * RATE_HZ / len(clip) == pytest.approx(440, abs=2)
        sounding = np.flatnonzero(np.abs(clip) > 0.1)
        gaps = np.diff(sounding)
        # Pauses of 0.05 to 0.6 s, and 0.05 s left at each end: without the cut, a second more.
        assert 0.1 * RATE_HZ < gaps.max() < 0.75 * RATE_HZ
        assert sounding[0] < 0.1 * RATE_HZ


@pytest.mark.parametrize("samples", [np.zeros(4000), 1e-4 * np.ones(4000), tone(300, 0.03), np.zeros(0)])
def test_nothing_comes_of_what_is_silent_or_too_short(samples: np.ndarray, write: Write) -> None:
    assert (
        packaged_clip([write("a.wav", samples), write("b.wav", samples)], 1.0, RATE_HZ, np.random.default_rng(0))
        is None
    )


def test_one_silent_recording_among_others_is_passed_over(write: Write) -> None:
    clip = packaged_clip(
        [write("a.wav", np.zeros(4000)), write("b.wav", tone(300, 0.5))], 2.0, RATE_HZ, np.random.default_rng(0)
    )
    assert clip is not None
    assert strength(clip, 300) > 0.9


def test_a_damaged_recording_is_named(tmp_path: Path, write: Write) -> None:
    path = write("a.wav", tone(300, 0.5))
    path.write_bytes(b"RIFF and no more")
    for use in (
        lambda: clips_worth([path], 4, 1.0),
        lambda: packaged_clip([path], 1.0, 8000, np.random.default_rng(0)),
    ):
        with pytest.raises(TasError, match=rf"{re.escape(str(tmp_path))}.*a\.wav: not a readable recording"):
            use()


# ------------------------------------------------------------------ kits

KIT = Kit("tones", "one", "kit", tuple(f"{number}-*" for number in range(len(KIT_KEYS))))
TONES = tuple(150 * 1.5**number for number in range(len(KIT_KEYS)))


@pytest.fixture
def kit(tmp_path: Path, write: Write) -> Path:
    """A kit whose parts are tones, each at two levels."""
    for number, hz in enumerate(TONES):
        for name, gain in (("soft", 0.5), ("hard", 1.0)):
            write(f"kit/{number}-{name}.wav", gain * tone(hz, 0.15) * np.exp(-np.arange(1200) / 300))
    return tmp_path


def test_a_beat_is_the_pattern_on_the_kits_parts(kit: Path) -> None:
    """Where the pattern has a hit, the part's tone rises; what the pattern has not is not heard."""
    for seed in range(4):
        clip = kit_clip(KIT, kit, 4.0, RATE_HZ, np.random.default_rng(seed))
        assert clip is not None
        assert clip.shape == (4 * RATE_HZ,)
        assert np.abs(clip).max() == pytest.approx(0.9, abs=1e-6)
        rng = np.random.default_rng(seed)
        rng.uniform()  # the speed
        played = {note.pitch for note in kit_pattern(4.0, rng)}
        level = {keys: strength(clip, hz, 0.12) for keys, hz in zip(KIT_KEYS, TONES, strict=True)}
        silent = [level[keys] for keys in KIT_KEYS if not played & set(keys)]
        assert min(level[keys] for keys in KIT_KEYS if played & set(keys)) > max(silent, default=0.0), seed


def test_clips_of_a_kit_are_drums_from_it(kit: Path) -> None:
    part = Packaged(Category("drums", ("drums",), (), "kit"), Package("one", "train", "CC0"), kit, KIT)
    clips = list(render_kit(part, 3, 1.0, RATE_HZ, 7))
    assert [(c.category, c.source, c.split) for c in clips] == [("drums", "one/tones", "train")] * 3
    again = list(render_kit(part, 1, 1.0, RATE_HZ, 7))
    np.testing.assert_array_equal(again[0].samples, clips[0].samples)
    assert not np.array_equal(clips[0].samples, clips[1].samples)


def test_a_kit_without_a_part_is_named(kit: Path) -> None:
    for path in (kit / "one" / "kit").glob("3-*"):
        path.unlink()
    packaged_files.cache_clear()
    with pytest.raises(TasError, match=r"one: no recordings 'kit/3-\*'"):
        kit_clip(KIT, kit, 4.0, RATE_HZ, np.random.default_rng(0))


# ------------------------------------------------------------------ in the bank


def test_clips_say_where_they_are_from(tmp_path: Path, write: Write) -> None:
    write("bark/1.wav", tone(300, 3.0))
    category = Category("dog", ("dog",), ("hound",), "recording", recorded=(("one", ("bark/*",)),))
    part = Packaged(category, Package("one", "val", "CC0"), tmp_path)
    clips = list(render_package(part, 8, 2.0, RATE_HZ, 5))
    assert [(c.category, c.source, c.split) for c in clips] == [("dog", "one/dog", "val")] * 3
    again = list(render_package(part, 2, 2.0, RATE_HZ, 5))
    np.testing.assert_array_equal(again[1].samples, clips[1].samples)


@pytest.mark.usefixtures("alone")
def test_a_bank_holds_recordings_of_packages_and_none_without_a_folder(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = (Package("one", "train", "CC0", worth=4), Package("two", "test", "CC0"))
    monkeypatch.setattr(bank_module, "PACKAGES", packages)
    write("bark.wav", tone(300, 3.0), 16000)
    write("../two/woof.wav", tone(500, 3.0), 16000)
    category = Category("dog", ("dog",), (), "recording", recorded=(("one", ("bark*",)), ("two", ("woof*",))))
    settings = BankSettings(1, 1.0, categories=(category,), fonts=(), voices=(), recordings=tmp_path)
    bank = build_bank(settings, jobs=1)
    assert bank.sources == ("one/dog", "two/dog")
    assert torch.equal(bank.split, torch.tensor([0, 0, 0, 2, 2])), (
        "1.5 s, twice, in clips of 1 s; no more than two without worth"
    )
    assert set(bank.length.tolist()) == {16000}
    told: list[str] = []
    with pytest.raises(ValueError, match="need at least one array"):
        build_bank(replace(settings, recordings=None), jobs=1, progress=lambda done, total, name: told.append(name))
    assert told == []


# ------------------------------------------------------------------ shared recordings


def test_copies_between_packages_of_two_splits_are_found(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At another level, at another rate, and within a longer recording; another one of the same kind is not."""
    spec = importlib.util.spec_from_file_location("shared_samples", ROOT / "tools" / "shared_samples.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "shared_samples", script)
    spec.loader.exec_module(script)
    rng = np.random.default_rng(3)
    barks = [np.cumsum(rng.standard_normal(12000)) * np.hanning(12000) / 200 for _ in range(4)]
    write("first.wav", barks[0], 16000)
    write("second.wav", np.concatenate([barks[3], barks[1]]), 16000)
    write("../two/quiet.wav", 0.1 * barks[0], 16000)
    write("../two/part.wav", soxr.resample(barks[1], 16000, 24000), 24000)
    write("../two/other.wav", barks[2], 16000)
    category = Category("dog", ("dog",), (), "recording", recorded=(("one", ("*",)), ("two", ("*",))))
    packages = (Package("one", "train", "CC0"), Package("two", "test", "CC0"))
    monkeypatch.setattr("tas_core.datasets.sources.catalogue.load_categories", lambda: (category,))
    monkeypatch.setattr("tas_core.datasets.sources.packages.PACKAGES", packages)
    script.main(tmp_path, None)
    lines = capsys.readouterr().out.splitlines()
    found = [re.search(r"two/(\w+)\.wav .* =  one/(\w+)\.wav", line) for line in lines[:-1]]
    assert sorted(match.groups() for match in found if match) == [("part", "second"), ("quiet", "first")]
    assert lines[-1] == "3 samples, 0 of them too short to say"

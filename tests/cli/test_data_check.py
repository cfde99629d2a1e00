"""``tas data check``: every fault is found, in one line, and a data set without fault has none."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile

from tas_core.datasets.tasbench import clip_jobs
from tas_core.datasets.tasbench.checking import Problem, check_dataset
from tas_core.datasets.tasbench.layout import TasBench
from tests.conftest import Finished
from tests.support.fairplay import write_clip, write_fairplay, write_parts, write_timelines

Run = Callable[..., Finished]

RATE_HZ = 8000
CLIPS = ("000001", "000002", "000003")
PARTS = {"train": ("000001",), "val": ("000002",), "test": ("000003",)}
PROMPT = "start: 0, text: cello on the left"


def make(root: Path) -> TasBench:
    """Three clips of 10 s at a low rate, with timelines and a split: without fault."""
    for clip in CLIPS:
        write_clip(root, clip, 10 * RATE_HZ, RATE_HZ)
    write_timelines(root, {clip: [PROMPT] for clip in CLIPS})
    write_parts(root, PARTS)
    return TasBench(root)


def make_simulated(root: Path, subtype: str = "PCM_24", level: float = 0.1) -> TasBench:
    """As simulated data: three clips of 3 s, each the sum of two stems."""
    rng = np.random.default_rng(8)
    (root / "binaural_audios").mkdir(parents=True)
    for clip in CLIPS:
        stems = level * rng.uniform(-1, 1, (2, 3 * RATE_HZ, 2))
        folder = root / "stems" / clip
        folder.mkdir(parents=True)
        files = ["1-cello.flac", "2-piano.flac"]
        for file, stem in zip(files, stems, strict=True):
            soundfile.write(folder / file, stem, RATE_HZ, subtype=subtype)
        soundfile.write(root / "binaural_audios" / f"{clip}.wav", stems.sum(axis=0), RATE_HZ, subtype=subtype)
        write_scene(root, clip, objects=[{"file": file} for file in files])
    write_timelines(root, {clip: [PROMPT] for clip in CLIPS})
    write_parts(root, PARTS)
    (root / "dataset.json").write_text('{"length_s": 3.0}')
    return TasBench(root)


def write_scene(root: Path, clip: str, /, **changes: object) -> None:
    scene = {"clip": clip, "rate_hz": RATE_HZ, "objects": [{"file": "1-cello.flac"}, {"file": "2-piano.flac"}]}
    (root / "stems" / clip / "scene.json").write_text(json.dumps({**scene, **changes}))


def problems(data: TasBench) -> list[tuple[str, str, str]]:
    return [(problem.severity, problem.path, problem.message) for problem in check_dataset(data)]


# ------------------------------------------------------------------ without fault


def test_fair_play_with_timelines_has_no_fault(tas: Run, tmp_path: Path) -> None:
    write_fairplay(tmp_path)
    write_timelines(tmp_path, {f"00000{i}": [PROMPT] for i in range(1, 6)})
    done = tas("data", "check", tmp_path, "--save", tmp_path / "report.json")
    assert done == Finished(0, "", "5 clips, 0 errors, 0 warnings\n")
    assert json.loads((tmp_path / "report.json").read_text()) == {
        "clips": 5,
        "errors": 0,
        "warnings": 0,
        "problems": [],
    }


@pytest.mark.parametrize(("subtype", "level"), [("PCM_24", 0.1), ("PCM_16", 0.1), ("PCM_16", 0.001)])
def test_simulated_data_has_no_fault(tmp_path: Path, subtype: str, level: float) -> None:
    """Also at 16 bit and so softly that rounding alone is more than -80 dB of the clip."""
    assert problems(make_simulated(tmp_path, subtype, level)) == []


def test_silent_stems_and_other_files_are_no_fault(tmp_path: Path) -> None:
    data = make_simulated(tmp_path)
    folder = data.stem_folder("000001")
    soundfile.write(folder / "3-silence.flac", np.zeros((3 * RATE_HZ, 2)), RATE_HZ)
    files = ("1-cello.flac", "2-piano.flac", "3-silence.flac")
    write_scene(tmp_path, "000001", objects=[{"file": file, "azimuth_deg": 3} for file in files])
    (folder / "notes.txt").touch()
    assert problems(data) == []


# ------------------------------------------------------------------ recordings


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4000])


def odd(path: Path) -> None:
    write_clip(path.parents[1], path.stem, 10 * RATE_HZ - 960, RATE_HZ)


def promise_more(path: Path) -> None:
    """A header that promises twice the samples that are there."""
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 2 * struct.unpack("<I", data[at : at + 4])[0])
    path.write_bytes(data)


WAV = "binaural_audios/000002.wav"
BAD_RECORDINGS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "text": (lambda path: path.write_text("cello " * 100), "error", "not an audio file that can be read"),
    "empty": (lambda path: path.write_bytes(b""), "error", "the file is empty"),
    "cut off": (cut, "error", "the file is cut off: its header says 320000 bytes of samples, but it holds 316000"),
    "false header": (promise_more, "error", "the file is cut off: its header says 640000 bytes of samples"),
    "mono": (
        lambda path: write_clip(path.parents[1], path.stem, 10 * RATE_HZ, RATE_HZ, channels=1),
        "error",
        "1 channel, expected two, left and right",
    ),
    "six channels": (
        lambda path: write_clip(path.parents[1], path.stem, 10 * RATE_HZ, RATE_HZ, channels=6),
        "error",
        "6 channels, expected two, left and right",
    ),
    "short": (odd, "warning", "9.880 s long, expected 9.9 to 10.1 s"),
    "long": (
        lambda path: write_clip(path.parents[1], path.stem, 81_000, RATE_HZ),
        "warning",
        "10.125 s long, expected 9.9 to 10.1 s",
    ),
    "another rate": (
        lambda path: write_clip(path.parents[1], path.stem, 160_000, 16_000),
        "error",
        "the sample rate is 16000 Hz, that of most clips 8000 Hz",
    ),
}


@pytest.mark.parametrize("case", BAD_RECORDINGS)
def test_bad_recordings(tas: Run, tmp_path: Path, case: str) -> None:
    spoil, severity, message = BAD_RECORDINGS[case]
    data = make(tmp_path)
    spoil(data.audio_path("000002"))
    done = tas("data", "check", tmp_path)
    assert done.code == (1 if severity == "error" else 0)
    (line,) = done.out.splitlines()
    assert line.startswith(f"{severity}: {WAV}: {message}")
    errors = int(severity == "error")
    assert done.err == f"3 clips, {errors} errors, {1 - errors} warnings\n"


def test_a_recording_that_is_gone(tmp_path: Path) -> None:
    data = make(tmp_path)
    data.audio_path("000002").unlink()
    assert problems(data) == [
        ("error", WAV, "no such recording, but there is timelines/000002.yaml"),
        ("error", "splits/split1/val.h5", "names 1 clip (000002) without a recording"),
    ]


def test_a_folder_without_recordings(tmp_path: Path) -> None:
    (tmp_path / "binaural_audios").mkdir()
    assert problems(TasBench(tmp_path)) == [
        ("error", "binaural_audios", "no clips in it, expected files such as 000001.wav"),
        ("warning", "splits", "no splits, expected folders such as split1"),
    ]


# ------------------------------------------------------------------ timelines

YAML = "timelines/000002.yaml"
BAD_TIMELINES: dict[str, tuple[str, str, str]] = {
    "no YAML": ("prompts: [", "error", "line 1, column 11: "),
    "unknown key": (
        "prompts:\n  - {begin: 0, text: a left}\n",
        "error",
        "line 2, column 6: unknown key `begin`",
    ),
    "no place": (
        "prompts:\n  - {start: 0, text: cello}\n",
        "error",
        'line 2, column 22: an object without a place: "cello"',
    ),
    "starts late": (
        "prompts:\n  - {start: 0, text: cello left}\n  - {start: 10, end: 11, text: cello right}\n",
        "error",
        "line 3, column 5: a segment starts at 10 s, expected a start before the clip ends at 10 s",
    ),
    "ends late": (
        "prompts:\n  - {start: 0, end: 10.2, text: cello left}\n",
        "warning",
        "line 2, column 5: a segment ends at 10.2 s, after the clip of 10 s",
    ),
}


@pytest.mark.parametrize("case", BAD_TIMELINES)
def test_bad_timelines(tmp_path: Path, case: str) -> None:
    text, severity, message = BAD_TIMELINES[case]
    data = make(tmp_path)
    data.timeline_path("000002").write_text(text)
    ((found_severity, path, found),) = problems(data)
    assert (found_severity, path) == (severity, YAML)
    assert found.startswith(message)
    assert "\n" not in found


def test_timelines_that_are_gone(tmp_path: Path) -> None:
    data = make(tmp_path)
    data.timeline_path("000002").unlink()
    assert problems(data) == [("error", YAML, "no timeline for this clip")]
    for clip in ("000001", "000003"):
        data.timeline_path(clip).unlink()
    (tmp_path / "timelines").rmdir()
    assert problems(data) == [("error", "timelines", "no such folder, expected a timeline for every clip")]


# ------------------------------------------------------------------ splits


def test_splits_that_do_not_fit(tas: Run, tmp_path: Path) -> None:
    data = make(tmp_path)
    write_parts(tmp_path, {"train": ("000001", "000001"), "val": ("000007", "000001", "000009"), "test": ()}, 3)
    assert problems(data) == [
        ("error", "splits/split3/train.h5", "lists 1 clip (000001) more than once"),
        ("error", "splits/split3/val.h5", "names 2 clips (000007, 000009) without a recording"),
        ("error", "splits/split3/val.h5", "shares 1 clip (000001) with train.h5"),
        ("warning", "splits/split3", "2 clips (000002, 000003) in none of train, val, test"),
    ]
    done = tas("data", "check", tmp_path, "--save", tmp_path / "r.json")
    assert done.code == 1
    printed = tas("data", "check", tmp_path, "--json")
    assert (printed.code, printed.err) == (1, done.err)
    assert json.loads(printed.out) == json.loads((tmp_path / "r.json").read_text())
    assert "(--force)" in tas("data", "check", tmp_path, "--save", tmp_path / "r.json").error_line
    assert len(done.out.splitlines()) == 4
    assert done.err == "3 clips, 3 errors, 1 warnings\n"
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["clips"], report["errors"], report["warnings"]) == (3, 3, 1)
    assert [Problem(**problem) for problem in report["problems"]] == check_dataset(data)


def test_split_files_that_cannot_be_read(tmp_path: Path) -> None:
    data = make(tmp_path)
    data.split_path("train").write_text("000001.wav")
    data.split_path("val").unlink()
    with h5py.File(data.split_path("test"), "w") as file:
        file["video"] = [b"000003.mp4"]
    found = problems(data)
    assert [problem[:2] for problem in found] == [
        ("error", f"splits/split1/{part}.h5") for part in ("train", "val", "test")
    ]
    assert found[0][2].startswith("not a readable split file")
    assert found[1][2] == "no such file"
    assert found[2][2].startswith("no data set 'audio' in it")


def test_many_clips_are_not_all_named(tmp_path: Path) -> None:
    data = make(tmp_path)
    write_parts(tmp_path, {"test": [f"1{i:05d}" for i in range(30)]}, 1)
    assert (
        "error",
        "splits/split1/test.h5",
        "names 30 clips (100000, 100001, 100002, 100003, 100004, ...) without a recording",
    ) in problems(data)


# ------------------------------------------------------------------ simulated data

STEM = "stems/000002/2-piano.flac"
SCENE = "stems/000002/scene.json"


def louder(data: TasBench) -> None:
    """A stem 1 % louder: its error is -40 dB of the stem, and -43 dB of two stems."""
    path = data.stem_folder("000002") / "2-piano.flac"
    samples, _ = soundfile.read(path)
    soundfile.write(path, 1.01 * samples, RATE_HZ, subtype="PCM_24")


def silent(data: TasBench) -> None:
    soundfile.write(data.audio_path("000002"), np.zeros((3 * RATE_HZ, 2)), RATE_HZ, subtype="PCM_24")


def stem(num_frames: int = 3 * RATE_HZ, rate_hz: int = RATE_HZ, channels: int = 2) -> Callable[[TasBench], None]:
    def write(data: TasBench) -> None:
        path = data.stem_folder("000002") / "2-piano.flac"
        soundfile.write(path, np.zeros((num_frames, channels)), rate_hz, subtype="PCM_24")

    return write


def scene(**changes: object) -> Callable[[TasBench], None]:
    return lambda data: write_scene(data.root, "000002", **changes)


def remove(path: str) -> Callable[[TasBench], None]:
    return lambda data: (data.root / path).unlink()


def remove_stems(data: TasBench) -> None:
    for path in data.stem_folder("000002").iterdir():
        path.unlink()
    data.stem_folder("000002").rmdir()


NO_LIST = "`objects` is no list of entries with a `file` in this folder"
BAD_SIMULATIONS: dict[str, tuple[Callable[[TasBench], object], str, str]] = {
    "incomplete": (remove(SCENE), "stems/000002", "incomplete: no scene.json in it"),
    "no stems": (remove_stems, "stems/000002", "incomplete: no stems for this clip"),
    "no JSON": (lambda data: (data.root / SCENE).write_text("{"), SCENE, "not JSON"),
    "no list": (scene(objects={"file": "1-cello.flac"}), SCENE, NO_LIST),
    "no file": (scene(objects=[{"name": "cello"}]), SCENE, NO_LIST),
    "elsewhere": (scene(objects=[{"file": "../000001/1-cello.flac"}]), SCENE, NO_LIST),
    "another clip": (scene(clip="000001"), SCENE, "`clip` is '000001', expected '000002'"),
    "rate of the scene": (scene(rate_hz=48_000), SCENE, "`rate_hz` is 48000, expected that of the mix, 8000"),
    "stem gone": (remove(STEM), STEM, "No such file or directory"),
    "stem short": (
        stem(3 * RATE_HZ - 1),
        STEM,
        "2 channels of 23999 samples at 8000 Hz, expected those of the mix, 2 channels of 24000 samples at 8000 Hz",
    ),
    "stem of another rate": (stem(rate_hz=16_000), STEM, "2 channels of 24000 samples at 16000 Hz, expected those of"),
    "mono stem": (stem(channels=1), STEM, "1 channels of 24000 samples at 8000 Hz, expected those"),
    "unread stem": (lambda data: (data.root / STEM).write_text("piano"), STEM, "not an audio file"),
    "stem forgotten": (
        scene(objects=[{"file": "1-cello.flac"}]),
        "stems/000002",
        "the stems sum to the mix with an error of -3.0 dB, expected -80 dB at most",
    ),
    "stem louder": (louder, "stems/000002", "the stems sum to the mix with an error of -43.0 dB, expected -80 dB"),
    "silent mix": (silent, "stems/000002", "the mix is silent, but its stems are not"),
}


@pytest.mark.parametrize("case", BAD_SIMULATIONS)
def test_bad_simulations(tmp_path: Path, case: str) -> None:
    spoil, path, message = BAD_SIMULATIONS[case]
    data = make_simulated(tmp_path)
    spoil(data)
    ((severity, found_path, found),) = problems(data)
    assert (severity, found_path) == ("error", path)
    assert found.startswith(message), found


@pytest.mark.parametrize(("error_db", "fault"), [(-78.0, True), (-82.0, False)])
def test_the_limit_of_the_sum_is_80_db(tmp_path: Path, error_db: float, fault: bool) -> None:
    data = make_simulated(tmp_path, level=0.3)
    path = data.audio_path("000001")
    mix, _ = soundfile.read(path)
    soundfile.write(path, mix * (1 + 10 ** (error_db / 20)), RATE_HZ, subtype="PCM_24")
    assert bool(problems(data)) == fault


def test_the_length_of_simulated_clips_is_their_own(tmp_path: Path) -> None:
    data = make_simulated(tmp_path)
    (tmp_path / "dataset.json").write_text('{"length_s": 4}')
    assert problems(data) == [
        ("warning", f"binaural_audios/{clip}.wav", "3.000 s long, expected 3.9 to 4.1 s") for clip in CLIPS
    ]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"length_s": "3"}', '{"length_s": -1}', '{"length_s": true}'])
def test_descriptions_of_simulated_data_that_cannot_be_used(tmp_path: Path, text: str) -> None:
    data = make_simulated(tmp_path)
    (tmp_path / "dataset.json").write_text(text)
    assert [problem[:2] for problem in problems(data) if problem[0] == "error"] == [("error", "dataset.json")]


def test_stems_without_a_clip(tmp_path: Path) -> None:
    data = make_simulated(tmp_path)
    (tmp_path / "stems" / "000009").mkdir()
    assert problems(data) == [
        ("error", "binaural_audios/000009.wav", "no such recording, but there is stems/000009"),
    ]


# ------------------------------------------------------------------ the command


def test_processes_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_simulated(tmp_path)
    louder(data)
    data.timeline_path("000003").write_text("prompts: []")
    alone = check_dataset(data, jobs=1)
    assert len(alone) == 2
    told: list[float] = []
    monkeypatch.setattr(clip_jobs, "MIN_CLIPS", 1)
    assert check_dataset(data, jobs=2, progress=told.append) == alone
    assert told == pytest.approx([1 / 3, 2 / 3, 1])


def refused(tas: Run, *arguments: object) -> str:
    done = tas("data", "check", *arguments)
    assert (done.code, done.out) == (2, "")
    return done.error_line


def test_requests_that_make_no_sense(tas: Run, tmp_path: Path) -> None:
    assert "no folder binaural_audios in it" in refused(tas, tmp_path)
    data = make(tmp_path / "data")
    assert "does not exist" in refused(tas, data.root, "--save", tmp_path / "missing" / "report.json")
    assert "a folder, expected a file name" in refused(tas, data.root, "--save", tmp_path)
    assert tas("data", "check", data.root, "--jobs", 0).code == 2

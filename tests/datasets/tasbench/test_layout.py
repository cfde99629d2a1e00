"""Data sets in FAIR-Play's layout: what is read from disk, and what is said of a broken one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from tas_core.datasets.sources.catalogue import SPLITS
from tas_core.datasets.tasbench.layout import TasBench, is_tasbench, read_split, write_split
from tas_core.errors import InputError, TasError, TimelineError
from tests.support.fairplay import LENGTHS, SPLIT, write_clip, write_fairplay, write_parts, write_timelines


def write_paths(path: Path, paths: object, **options: object) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("audio", data=paths, **options)
    return path


def touch_clips(root: Path, *clips: str) -> TasBench:
    (root / "binaural_audios").mkdir()
    for clip in clips:
        (root / "binaural_audios" / f"{clip}.wav").touch()
    return TasBench(root)


# ------------------------------------------------------------------ clips


def test_fair_play_as_it_lies_on_disk(tmp_path: Path) -> None:
    data = TasBench(write_fairplay(tmp_path))
    assert data.clips() == tuple(LENGTHS)
    assert data.split_numbers() == (1, 2)
    parts = lambda number: {split: data.split_clips(split, number) for split in SPLITS}  # noqa: E731
    assert parts(1) == SPLIT
    assert parts(2) == {"train": ("000002", "000004"), "val": ("000001",), "test": ("000003", "000005")}


def test_clips_are_the_wav_files_in_order(tmp_path: Path) -> None:
    data = touch_clips(tmp_path, "000010", "000002", "b.side")
    (tmp_path / "binaural_audios" / "notes.txt").touch()
    assert data.clips() == ("000002", "000010", "b.side")


def test_paths_of_a_clip(tmp_path: Path) -> None:
    data = touch_clips(tmp_path)
    assert data.audio_path("000007") == tmp_path / "binaural_audios" / "000007.wav"
    assert data.timeline_path("000007") == tmp_path / "timelines" / "000007.yaml"
    assert data.stem_folder("000007") == tmp_path / "stems" / "000007"
    assert data.split_path("val", 3) == tmp_path / "splits" / "split3" / "val.h5"


def test_other_folders_are_no_data_sets(tmp_path: Path) -> None:
    assert not is_tasbench(tmp_path)
    with pytest.raises(InputError, match="no folder binaural_audios in it, expected a data set") as caught:
        TasBench(tmp_path)
    assert str(tmp_path) in str(caught.value)
    (tmp_path / "binaural_audios").touch()
    assert not is_tasbench(tmp_path)
    (tmp_path / "binaural_audios").unlink()
    (tmp_path / "binaural_audios").mkdir()
    assert is_tasbench(tmp_path)


# ------------------------------------------------------------------ splits


@pytest.mark.parametrize(
    "paths",
    [
        np.array([b"/private/home/rhgao/datasets/BINAURAL_MUSIC_ROOM/binaural16k/000123.wav", b"000007.wav"]),
        [b"/private/home/000123.wav", b"/private/home/000007.wav"],
        ["C:\\data\\binaural16k\\000123.wav", "..\\000007.wav"],
        ["000123", "binaural_audios/000007"],
    ],
    ids=["fixed bytes", "bytes", "Windows", "no ending"],
)
def test_only_the_stem_of_a_path_counts(tmp_path: Path, paths: object) -> None:
    text = isinstance(paths, list) and isinstance(paths[0], str)
    options = {"dtype": h5py.string_dtype("utf-8")} if text else {}
    assert read_split(write_paths(tmp_path / "train.h5", paths, **options)) == ("000123", "000007")


def test_a_column_of_paths_is_a_list_of_paths(tmp_path: Path) -> None:
    assert read_split(write_paths(tmp_path / "train.h5", np.array([[b"a/1.wav"], [b"a/2.wav"]]))) == ("1", "2")


def test_written_splits_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "splits" / "split1" / "train.h5"
    write_split(path, ["000003", "000001"])
    assert read_split(path) == ("000003", "000001")
    write_split(path, [])
    assert read_split(path) == ()
    assert [p.name for p in path.parent.iterdir()] == ["train.h5"]
    with h5py.File(path) as file:
        assert set(file) == {"audio"}


def test_a_split_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "splits" / "split1" / "val.h5"
    write_split(path, ["000001"])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TasError, match="disk full"):
        write_split(path, ["000002"])
    assert read_split(path) == ("000001",)
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(InputError, match=r"val\.h5: not a folder"):
        write_split(path / "val.h5", [])


def test_a_split_that_names_a_missing_clip(tmp_path: Path) -> None:
    data = touch_clips(tmp_path, "000001")
    write_parts(tmp_path, {"train": ["000001", "000009"]})
    with pytest.raises(InputError, match="names clip 000009") as caught:
        data.split_clips("train")
    assert str(data.split_path("train")) in str(caught.value)


def test_files_that_are_no_splits(tmp_path: Path) -> None:
    path = tmp_path / "train.h5"
    with pytest.raises(InputError, match="no such split file"):
        read_split(path)
    path.write_text("000001.wav\n")
    with pytest.raises(InputError, match="not a readable split file"):
        read_split(path)
    path.unlink()
    with h5py.File(path, "w") as file:
        file["video"] = [b"000001.mp4"]
    with pytest.raises(InputError, match="no data set 'audio' in it"):
        read_split(path)
    write_paths(path, "000001.wav")
    with pytest.raises(InputError, match="not a readable split file"):
        read_split(path)


def test_a_split_file_cut_off(tmp_path: Path) -> None:
    path = write_paths(tmp_path / "train.h5", np.array([b"/a/000001.wav"] * 50))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="not a readable split file"):
        read_split(path)


def test_numbers_of_the_splits(tmp_path: Path) -> None:
    data = touch_clips(tmp_path)
    assert data.split_numbers() == ()
    for name in ("split1", "split10", "split2", "splits", "split-3", "old"):
        (tmp_path / "splits" / name).mkdir(parents=True)
    (tmp_path / "splits" / "split4").touch()
    assert data.split_numbers() == (1, 2, 10)


# ------------------------------------------------------------------ timelines and scenes


def test_timeline_of_a_clip(tmp_path: Path) -> None:
    write_clip(tmp_path, "000001", 800, 8000)
    write_timelines(tmp_path, {"000001": ["start: 0, text: cello on the left"]})
    data = TasBench(tmp_path)
    (segment,) = data.timeline("000001").segments
    assert segment.text == "cello on the left"
    with pytest.raises(TimelineError, match=r"000002\.yaml: cannot read the timeline"):
        data.timeline("000002")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected the description of a simulated clip"),
        ("{", "not JSON"),
        ("[1]", "expected a JSON object"),
        ("\udcff", "not JSON"),
    ],
)
def test_scenes_that_cannot_be_read(tmp_path: Path, content: str | None, message: str) -> None:
    data = touch_clips(tmp_path, "000001")
    folder = data.stem_folder("000001")
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "scene.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=message) as caught:
        data.scene("000001")
    assert "scene.json" in str(caught.value)


def test_scene_of_a_simulated_clip(tmp_path: Path) -> None:
    data = touch_clips(tmp_path, "000001")
    data.stem_folder("000001").mkdir(parents=True)
    (data.stem_folder("000001") / "scene.json").write_text('{"rate_hz": 48000}')
    assert data.scene("000001") == {"rate_hz": 48000}


def test_a_group_in_place_of_the_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.h5"
    with h5py.File(path, "w") as file:
        file.create_group("audio")
    with pytest.raises(InputError, match="not a readable split file"):
        read_split(path)


def test_a_split_takes_nothing_from_other_files(tmp_path: Path) -> None:
    write_paths(tmp_path / "other.h5", [b"000001.wav"])
    path = tmp_path / "train.h5"
    with h5py.File(path, "w") as file:
        file["audio"] = h5py.ExternalLink("other.h5", "/audio")
    with pytest.raises(InputError, match="audio is a link, or lies in another file"):
        read_split(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("audio", (10**9,), "S100", chunks=(10,))
    with pytest.raises(InputError, match="audio would take 100000000000 bytes, and 0 are stored"):
        read_split(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' + "9" * 5000 + "}", '{"a": 1e999}'])
def test_descriptions_beyond_all_bounds_are_one_line(tmp_path: Path, text: str) -> None:
    data = touch_clips(tmp_path, "000001")
    (tmp_path / "dataset.json").write_text(text)
    data.stem_folder("000001").mkdir(parents=True)
    data.scene_path("000001").write_text(text)
    with pytest.raises(InputError, match=r"dataset\.json: not readable as JSON"):
        data.description()
    with pytest.raises(InputError, match=r"scene\.json: not JSON"):
        data.scene("000001")

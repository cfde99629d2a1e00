"""Data sets: annotations that are imported, and descriptions of a data set and of its clips."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from tas_core.acoustics.rooms import Room
from tas_core.datasets.tasbench.annotations import import_annotations
from tas_core.datasets.tasbench.checking import check_dataset
from tas_core.datasets.tasbench.layout import AUDIO_FOLDER, DATASET_FILE, TasBench
from tas_core.datasets.tasbench.scenes import Scene, SceneObject
from tools.fuzz.door import Door
from tools.fuzz.doors.sounds import sound

_CLIP = "000001"
_JSONL = (
    b'{"clip": "000001", "time": 0.0, "text": "cello on the left"}\n{"clip": 1, "time": 0.1, "text": ""}\n',
    b'{"clip": "a/000001.mp4", "time": "0.05", "text": "dog right", "by": "me"}\n',
)
_CSV = (b'clip,time,text\n000001,0.1,"cello on the left, dog right"\n', b"text;clip\n1,2\n")


def _data(folder: Path, channels: int = 2) -> TasBench:
    audio = folder / AUDIO_FOLDER
    if not audio.is_dir():
        audio.mkdir()
        (audio / f"{_CLIP}.wav").write_bytes(sound("WAV", "PCM_16", 4000, channels))
    return TasBench(folder)


def _annotations(data: bytes, folder: Path, *, ending: str) -> None:
    path = folder / f"in{ending}"
    path.write_bytes(data)
    import_annotations(_data(folder), path, out=folder / "made", overwrite=True)


def _dataset(data: bytes, folder: Path) -> None:
    bench = _data(folder)
    (folder / DATASET_FILE).write_bytes(data)
    check_dataset(bench)
    bench.head_path()


def _scene(data: bytes, folder: Path) -> None:
    bench = _data(folder)
    path = bench.scene_path(_CLIP)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    check_dataset(bench)
    scene = Scene.from_json(bench.scene(_CLIP), str(path))
    scene.timeline()


def _described() -> bytes:
    item = SceneObject(
        "cello", "cello", "1-cello.flac", "a", 1, ((0.0, -40.0), (0.25, 40.0)), 1.5, 0.0, 0.25, -3.0, (), ((0, 2),)
    )
    room = Room((6.0, 5.0, 3.0), 0.4, (3.0, 2.0, 1.5))
    return json.dumps(Scene(_CLIP, "test", 1, 16000, 0.25, room, "coarse", -3.0, (item,)).to_json()).encode()


_TOKENS = tuple(
    word.encode()
    for word in (
        *(
            '"head"',
            '"length_s"',
            '"objects"',
            '"file"',
            '"clip"',
            '"path"',
            '"active"',
            "..",
            "../x.sofa",
            "/etc/passwd",
        ),
        *(
            "NaN",
            "1e999",
            "1e308",
            "-1",
            "null",
            "[" * 50,
            "9" * 30,
            "9" * 400,
            '"text"',
            '"time"',
            "clip,time,text",
            '"',
            "\\ud800",
        ),
    )
)
DOORS = (
    Door("annotations-jsonl", partial(_annotations, ending=".jsonl"), lambda: list(_JSONL), _TOKENS),
    Door("annotations-csv", partial(_annotations, ending=".csv"), lambda: list(_CSV), _TOKENS),
    Door("dataset", _dataset, lambda: [b'{"length_s": 0.25, "head": "head.sofa", "rate_hz": 16000}'], _TOKENS),
    Door("scene", _scene, lambda: [_described()], _TOKENS),
)

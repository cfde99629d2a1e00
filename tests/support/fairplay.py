"""A small data set exactly as FAIR-Play lies on disk: lengths that differ, splits with paths of another machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import soundfile

RATE_HZ = 48_000
LENGTHS = {"000001": 479_232, "000002": 480_240, "000003": 480_000, "000004": 479_232, "000005": 480_240}
"""Samples of each clip: 9.984, 10.005, 10, 9.984 and 10.005 s."""

FOREIGN_FOLDER = "/private/home/rhgao/datasets/BINAURAL_MUSIC_ROOM/binaural16k"
SPLIT = {"train": ("000001", "000003", "000005"), "val": ("000002",), "test": ("000004",)}


def write_clip(root: Path, clip: str, num_frames: int = 480_000, rate_hz: int = RATE_HZ, channels: int = 2) -> Path:
    """Noise of that many samples per channel, 16 bit; returns its path."""
    rng = np.random.default_rng(int(clip) if clip.isdecimal() else 0)
    path = root / "binaural_audios" / f"{clip}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = rng.integers(-3000, 3000, size=(num_frames, channels), dtype=np.int16)
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")
    return path


def write_parts(root: Path, parts: Mapping[str, Sequence[str]], number: int = 1, as_bytes: bool = True) -> None:
    """Split files as FAIR-Play has them: paths of its authors' machine, as fixed-length bytes or as text."""
    folder = root / "splits" / f"split{number}"
    folder.mkdir(parents=True, exist_ok=True)
    for part, clips in parts.items():
        paths = [f"{FOREIGN_FOLDER}/{clip}.wav" for clip in clips]
        with h5py.File(folder / f"{part}.h5", "w") as file:
            if as_bytes:
                file.create_dataset("audio", data=np.array([path.encode() for path in paths], dtype="S100"))
            else:
                file.create_dataset("audio", data=paths, dtype=h5py.string_dtype("utf-8"))


def write_fairplay(root: Path, num_frames: int | None = None) -> Path:
    """Five clips, split 1 of bytes and split 2 of text; no timelines. Returns the folder."""
    for clip, of_the_original in LENGTHS.items():
        write_clip(root, clip, num_frames or of_the_original)
    write_parts(root, SPLIT)
    write_parts(
        root, {"train": SPLIT["val"] + SPLIT["test"], "val": ("000001",), "test": ("000003", "000005")}, 2, False
    )
    return root


def write_timelines(root: Path, timelines: Mapping[str, Sequence[str]]) -> None:
    """Timelines of entries such as ``start: 0, text: cello on the left``."""
    (root / "timelines").mkdir(exist_ok=True)
    for clip, entries in timelines.items():
        text = "prompts:\n" + "".join(f"  - {{{entry}}}\n" for entry in entries)
        (root / "timelines" / f"{clip}.yaml").write_text(text, encoding="utf-8")


def write_annotated(root: Path) -> Path:
    """The five clips with timelines: the first half of each has the cello, the second the piano."""
    write_fairplay(root)
    entries = ('start: 0, end: 5, text: "cello on the left"', 'start: 5, end: 9.9, text: "piano on the right"')
    write_timelines(root, {clip: entries for clip in LENGTHS})
    return root

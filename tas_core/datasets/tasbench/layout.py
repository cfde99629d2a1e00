"""The on-disk layout of TASBench: FAIR-Play's own, with a timeline beside every clip.

A data set is a folder::

    binaural_audios/000001.wav      two channels, left first, some 10 s
    splits/split1/train.h5          one data set "audio": paths, of which only the file stem counts
    timelines/000001.yaml           what sounds where and when, as for 'tas spatialize --timeline'
    stems/000001/1-cello.flac       simulated data only: the clip's objects one by one, two channels each
    stems/000001/scene.json         simulated data only: room, places, sources, seeds
    stems/000001/1-cello.dry.flac   3D twin only: that object before it was placed, one channel
    mono_audios/000001.wav          3D twin only: what systems hear, the sum of these
    dataset.json                    simulated data only: how the folder was made
    head.sofa                       if dataset.json names it (``head``): whose ears these are; else KEMAR's

FAIR-Play's split files hold absolute paths of its authors' machine, sometimes as bytes; hence the file stem is
what names a clip (Gao and Grauman, "2.5D Visual Sound", 2019).
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeGuard

from tas_core.acoustics.hrtf import HrirSet
from tas_core.acoustics.sofa import own_dataset, read_sofa
from tas_core.datasets.sources.catalogue import Split
from tas_core.errors import InputError
from tas_core.system.files import make_folder, write_files
from tas_core.system.json_values import json_value
from tas_core.timeline.files import load_timeline
from tas_core.timeline.segments import Timeline

AUDIO_FOLDER = "binaural_audios"
SPLIT_FOLDER = "splits"
TIMELINE_FOLDER = "timelines"
STEM_FOLDER = "stems"
MONO_FOLDER = "mono_audios"
SCENE_FILE = "scene.json"
DATASET_FILE = "dataset.json"
HEAD_FILE = "head.sofa"
FRAME_S = 0.1
"""Annotations come at 10 frames a second."""
ACTIVE_DB = -50.0
"""An object sounds in a frame if its level is above this, relative to its loudest frame."""


@dataclass(frozen=True)
class TasBench:
    """A data set in TASBench's layout; only paths are kept, files are read when needed.

    Args:
        root: its folder.

    Raises:
        InputError: no such folder, or no ``binaural_audios`` in it.
    """

    root: Path

    def __post_init__(self) -> None:
        if not (self.root / AUDIO_FOLDER).is_dir():
            raise InputError(f"{self.root}: no folder {AUDIO_FOLDER} in it, expected a data set in TASBench's layout")

    def clips(self) -> tuple[str, ...]:
        """Names of all clips, sorted: the file stems of ``binaural_audios/*.wav``."""
        return tuple(sorted(p.stem for p in (self.root / AUDIO_FOLDER).glob("*.wav")))

    def audio_path(self, clip: str) -> Path:
        """The binaural recording of a clip."""
        return self.root / AUDIO_FOLDER / f"{clip}.wav"

    def mono_path(self, clip: str) -> Path:
        """What systems hear of a clip of the 3D twin."""
        return self.root / MONO_FOLDER / f"{clip}.wav"

    def timeline_path(self, clip: str) -> Path:
        """The annotation of a clip."""
        return self.root / TIMELINE_FOLDER / f"{clip}.yaml"

    def stem_folder(self, clip: str) -> Path:
        """Where the objects of a simulated clip lie one by one."""
        return self.root / STEM_FOLDER / clip

    def scene_path(self, clip: str) -> Path:
        """The description of a simulated clip."""
        return self.stem_folder(clip) / SCENE_FILE

    def split_path(self, split: Split, number: int = 1) -> Path:
        """The list of clips of a part of a split."""
        return self.root / SPLIT_FOLDER / f"split{number}" / f"{split}.h5"

    def split_numbers(self) -> tuple[int, ...]:
        """Numbers of the splits that are there, sorted; FAIR-Play has 1 to 10."""
        found = []
        for folder in (self.root / SPLIT_FOLDER).glob("split*"):
            digits = folder.name.removeprefix("split")
            if digits.isdecimal() and not digits.startswith("0") and folder.is_dir():
                found.append(int(digits))
        return tuple(sorted(found))

    def split_clips(self, split: Split, number: int = 1) -> tuple[str, ...]:
        """Clips of a part of a split, in the order of its file.

        Raises:
            InputError: the file is missing or unreadable, or names a clip that is not there.
        """
        path = self.split_path(split, number)
        clips = read_split(path)
        for clip in clips:
            if not self.audio_path(clip).is_file():
                raise InputError(f"{path}: names clip {clip}, but {self.audio_path(clip)} does not exist")
        return clips

    def timeline(self, clip: str) -> Timeline:
        """The annotation of a clip.

        Raises:
            TimelineError: missing, or not a timeline.
        """
        return load_timeline(self.timeline_path(clip))

    def description(self) -> dict[str, Any]:
        """How a simulated data set was made; empty for recordings.

        Raises:
            InputError: it cannot be read.
        """
        path = self.root / DATASET_FILE
        try:
            found = json_value(path.read_bytes().decode("utf-8"), not_numbers=True)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not readable as JSON ({error})") from error
        if not isinstance(found, dict):
            raise InputError(f"{path}: expected a JSON object")
        return found

    def head_path(self) -> Path | None:
        """The file of the head that a simulated data set was made with; None for KEMAR's, and for recordings.

        Raises:
            InputError: the description of the data set cannot be read, or names something else than a file in it.
        """
        name = self.description().get("head")
        if name is None:
            return None
        if not is_file_name(name):
            raise InputError(f"{self.root / DATASET_FILE}: `head` is {name!r}, expected a file in the data set")
        return self.root / name

    def head(self, *, everywhere: bool = False) -> HrirSet | None:
        """The horizontal plane of that head, or all of it, read once; None for KEMAR's, and for recordings.

        Raises:
            InputError: it cannot be read.
        """
        path = self.head_path()
        return None if path is None else _read_head(path, everywhere)

    def scene(self, clip: str) -> dict[str, Any]:
        """How a simulated clip was made.

        Raises:
            InputError: the clip is not a simulated one, or its description cannot be read.
        """
        path = self.scene_path(clip)
        try:
            scene = json_value(path.read_bytes().decode("utf-8"), not_numbers=True)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}, expected the description of a simulated clip") from error
        except ValueError as error:
            raise InputError(f"{path}: not JSON ({error})") from error
        if not isinstance(scene, dict):
            raise InputError(f"{path}: expected a JSON object")
        return scene


def is_file_name(value: object) -> TypeGuard[str]:
    """Whether something names a file in a folder, and nothing outside of it, on any system."""
    if not isinstance(value, str) or value in ("", ".", ".."):
        return False
    return not any(char in "/\\\0" for char in value)


@lru_cache(maxsize=4)
def _read_head(path: Path, everywhere: bool) -> HrirSet:
    return read_sofa(path, everywhere=everywhere)


def read_split(path: Path) -> tuple[str, ...]:
    """File stems listed in a split file, in its order.

    Raises:
        InputError: no such file, not HDF5, or without a list of paths named "audio".
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            listed = own_dataset(file, "audio")
            if listed is None and "audio" in file:
                raise TypeError("'audio' is a group, expected a list")
            if listed is None:
                raise InputError(f"{path}: no data set 'audio' in it, expected one that lists the clips' paths")
            entries = listed[()].ravel().tolist()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such split file") from error
    except (OSError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a readable split file ({error})") from error
    stems = []
    for entry in entries:
        text = entry.decode("utf-8", "replace") if isinstance(entry, bytes) else str(entry)
        # Paths of either kind of system, whatever this one is.
        flavour = PureWindowsPath if "\\" in text else PurePosixPath
        stems.append(flavour(text).stem)
    return tuple(stems)


def write_split(path: Path, clips: Iterable[str]) -> None:
    """Write a split file as FAIR-Play has it: variable-length bytes, here with paths relative to the data set.

    Raises:
        InputError: its folder cannot be written.
        TasError: writing failed.
    """
    import h5py

    make_folder(path.parent)
    entries = [f"{AUDIO_FOLDER}/{clip}.wav".encode() for clip in clips]
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("audio", data=entries, shape=(len(entries),), dtype=h5py.string_dtype("ascii"))
    write_files({path: content.getvalue()})


def is_tasbench(folder: Path) -> bool:
    """Whether a folder is in TASBench's layout."""
    return (folder / AUDIO_FOLDER).is_dir()

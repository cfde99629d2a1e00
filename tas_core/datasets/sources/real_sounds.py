"""Lists of recordings under names as people write them, RealBench's above all: sources that no training uses.

``prompts/realbench.yaml`` says what each file is. ``scripts/install-realbench.sh FOLDER`` lays the files below
``FOLDER/SOURCE``. Recordings keep their speed and pitch; short ones are strung together as those of packages are
(:mod:`tas_core.datasets.sources.package_clips`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from tas_core.conventions import amplitude_to_db
from tas_core.datasets.sources.catalogue import SoundKind
from tas_core.datasets.sources.clips import finish_clip
from tas_core.datasets.sources.package_clips import packaged_clip, packaged_files
from tas_core.errors import TasError
from tas_core.timeline.vocabulary import words_data, words_file

_DRAWS = 200
_SOUNDING_DB = -30.0
"""A part of a mixture sounds in a second if its level is above this, relative to its whole."""
_SOUNDING_FRACTION = 0.8


@dataclass(frozen=True)
class RealHead:
    """Whose ears: a SOFA file below ``source``, what captions of figures call it, and its licence."""

    source: str
    file: str
    name: str
    licence: str

    def path(self, root: Path) -> Path:
        """The file below the folder of recordings."""
        return root / self.source / self.file


@dataclass(frozen=True)
class RealSource:
    """A folder of recordings: its name, licence, and where it is from."""

    name: str
    licence: str
    origin: str


@dataclass(frozen=True)
class RealSound:
    """Recordings of one thing by one source.

    ``files`` are patterns below the source's folder, ``words`` what captions call it, ``category`` that of the
    catalogue or, without one, its own name; ``person`` who speaks or plays, if known; ``also`` are categories that may
    be heard in it or said of it.
    """

    name: str
    kind: SoundKind
    category: str
    source: str
    files: tuple[str, ...]
    words: tuple[str, ...]
    person: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class RealMixture:
    """Recordings of one length whose sum is a recording."""

    name: str
    parts: tuple[RealSound, ...]


@dataclass(frozen=True)
class RealList:
    """What a data set of recordings is made of: ``name`` is that of its kind, ``digest`` tells lists apart."""

    name: str
    digest: str
    head: RealHead
    sources: tuple[RealSource, ...]
    sounds: tuple[RealSound, ...]
    mixtures: tuple[RealMixture, ...] = ()

    @cached_property
    def by_source(self) -> dict[str, RealSound]:
        """Sounds, and parts of mixtures, by ``SOURCE/NAME``, as scenes call them."""
        parts = [part for mixture in self.mixtures for part in mixture.parts]
        return {f"{sound.source}/{sound.name}": sound for sound in (*self.sounds, *parts)}

    def check_recordings(self, root: Path) -> None:
        """See that a folder has every source, and every file that the list means.

        Raises:
            TasError: something is missing; what, and how to come by it.
        """
        missing = [source.name for source in self.sources if not (root / source.name).is_dir()]
        if missing:
            raise TasError(
                f"{root}: holds no recordings of {', '.join(missing)}; "
                "expected a folder made by scripts/install-realbench.sh"
            )
        if not self.head.path(root).is_file():
            raise TasError(
                f"{self.head.path(root)}: no such file; expected a folder made by scripts/install-realbench.sh"
            )
        for sound in self.by_source.values():
            packaged_files(root, sound.source, sound.files)


@lru_cache(maxsize=1)
def load_real_list() -> RealList:
    """Read ``prompts/realbench.yaml``, in file order."""
    data: dict[str, Any] = words_data("realbench.yaml")
    return RealList(
        name="RealBench",
        digest=hashlib.sha256(words_file("realbench.yaml").read_bytes()).hexdigest()[:16],
        head=RealHead(**data["head"]),
        sources=tuple(RealSource(name, **entry) for name, entry in data["sources"].items()),
        sounds=tuple(_sound(name, entry) for name, entry in data["sounds"].items()),
        mixtures=tuple(_mixture(name, entry) for name, entry in data["mixtures"].items()),
    )


def _sound(name: str, entry: dict[str, Any]) -> RealSound:
    return RealSound(
        name=name,
        kind=entry["kind"],
        category=entry.get("category", name),
        source=entry["source"],
        files=tuple(entry["files"]),
        words=tuple(entry["words"]),
        person=entry.get("person", ""),
        also=tuple(entry.get("also", ())),
    )


def _mixture(name: str, entry: dict[str, Any]) -> RealMixture:
    shared = {key: entry[key] for key in ("source", "person") if key in entry}
    parts = []
    for part in entry["parts"]:
        files = [f"{entry['folder']}/{part['file']}"]
        parts.append(_sound(f"{name}, {part['words'][0]}", part | shared | {"files": files}))
    return RealMixture(name, tuple(parts))


def real_clip(
    sound: RealSound, root: Path, length_s: float, rate_hz: int, rng: np.random.Generator
) -> np.ndarray | None:
    """Recordings of a sound in a row, as they are: float32 (time), peak 0.9; None where nothing sounds.

    Raises:
        TasError: recordings are missing or cannot be read.
    """
    return packaged_clip(packaged_files(root, sound.source, sound.files), length_s, rate_hz, rng, as_they_are=True)


def mixture_start_s(mixture: RealMixture, root: Path, length_s: float, rng: np.random.Generator) -> float:
    """Where in a mixture a clip may begin so that all parts sound in most of it, seconds.

    Raises:
        TasError: recordings are missing, cannot be read or never sound together.
    """
    levels = [_seconds_db(_part_file(part, root)) for part in mixture.parts]
    seconds = min(len(level) for level in levels)
    size = round(length_s)
    for _ in range(_DRAWS):
        first = int(rng.integers(max(1, seconds - size)))
        if all((level[first : first + size] > _SOUNDING_DB).mean() >= _SOUNDING_FRACTION for level in levels):
            return float(first)
    raise TasError(f"{_part_file(mixture.parts[0], root).parent}: no {length_s:g} s in which all parts sound")


def part_clip(
    part: RealSound, root: Path, start_s: float, length_s: float, rate_hz: int
) -> tuple[np.ndarray | None, float]:
    """A part of a mixture: float32 (time), peak 0.9, None where it is silent, and its own level (RMS) in dBFS.

    Raises:
        TasError: recordings are missing or cannot be read.
    """
    path = _part_file(part, root)
    try:
        info = sf.info(str(path))
        first = round(start_s * info.samplerate)
        samples, from_hz = sf.read(str(path), round(length_s * info.samplerate), first, dtype="float32", always_2d=True)
    except sf.LibsndfileError as error:
        raise TasError(f"{path}: not a readable recording ({error})") from error
    mono = samples.mean(axis=1)
    level_db = float(amplitude_to_db(max(float(np.sqrt(np.square(mono).mean())), 1e-9)))
    return finish_clip(mono, from_hz, rate_hz, length_s), level_db


def _part_file(part: RealSound, root: Path) -> Path:
    return packaged_files(root, part.source, part.files)[0]


@lru_cache(maxsize=32)
def _seconds_db(path: Path) -> np.ndarray:
    """Level of each whole second of a recording relative to all of it, dB (second)."""
    try:
        samples, rate_hz = sf.read(str(path), dtype="float32", always_2d=True)
    except sf.LibsndfileError as error:
        raise TasError(f"{path}: not a readable recording ({error})") from error
    seconds = len(samples) // rate_hz
    power = np.square(samples.mean(axis=1)[: seconds * rate_hz]).reshape(seconds, rate_hz).mean(axis=1)
    return 10 * np.log10(np.maximum(power, 1e-20) / max(float(power.mean()), 1e-20))

"""What a clip of TASBench-Sim holds, before anything is rendered: objects, places, times, sources, room.

A scene depends on (seed, clip number) only. The split follows from the number: of every ten clips eight
are for training, one for validation and one for testing, which makes the paper's 1497/187/187 of 1871;
and a split uses source material (soundfonts, voices, recordings) of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tas_core.acoustics.rooms import Room, random_room
from tas_core.conventions import numbered_seed
from tas_core.datasets.sources.catalogue import SOUNDFONTS, VOICES, Category, SoundFont, Split, Voice, load_categories
from tas_core.datasets.sources.clips import source_rng
from tas_core.datasets.sources.recordings import recording_files, recording_split
from tas_core.datasets.tasbench.captions import (
    STYLE_FRACTIONS,
    STYLES,
    Captioner,
    CaptionStyle,
    benchmark_data,
    dense_segments,
    quoted,
)
from tas_core.datasets.tasbench.layout import FRAME_S, is_file_name
from tas_core.datasets.tasbench.sphere_captions import sphere_data, sphere_timeline
from tas_core.errors import InputError, PromptError
from tas_core.system.configs import config_from_dict
from tas_core.timeline.segments import Timeline
from tas_core.timeline.sphere import SpherePath, Trace

LENGTH_S = 10.0
FROM_SECOND = " from second "
"""Between a file and a time in what an object is made of: so is a part of a recorded mixture written."""
_LONGEST_S = 3600.0
_MOST = 1e6
"""Seconds or degrees of a point of a path."""
_MOVING_FRACTION = 0.15
_WHOLE_FRACTION = 0.5
_LEAD_WHOLE_FRACTION = 0.9
_EQUAL_LOUDNESS_FRACTION = 0.4
_LEVEL_SPREAD_DB = 6.0
_LEAST_APART_DEG = 15.0
_PEAK_DBFS = (-10.0, -1.0)


_PLAIN: dict[str, Any] = {"kind": "", "also": (), "dry": "", "place": None, "beside": None}
"""What ``scene.json`` leaves out of objects."""


@dataclass(frozen=True)
class BesideObject:
    """That captions may place an object by another: its number in the scene, and that of the wording."""

    object: int
    relation: int


@dataclass(frozen=True)
class SceneObject:
    """One sounding object.

    ``phrase`` is its name in captions; ``source`` the preset, voice or recordings it is rendered from;
    ``material`` the recorded files, if any; ``seed`` keys melody and sentences; ``path`` is azimuth over time as
    (seconds, degrees) points with straight lines between; ``distance_m`` from the listener;
    it plays from ``start_s`` to ``stop_s`` at ``level_db`` relative to the clip's other objects.
    ``active`` are the frames of 0.1 s in which its stem sounds, as runs (first, last + 1); known after rendering.
    ``kind`` is what it is where no category says so (:data:`tas_core.datasets.sources.catalogue.SOUND_KINDS`), ``also``
    the categories that are in it under no name of their own.

    In the 3D twin ``place`` is where it is all around, from ``start_s`` to ``stop_s``, before and after which it stays;
    ``path`` is then how far that is to the side, ``dry`` the file of its sound before it was placed, and ``beside`` an
    object that captions may place it by.
    """

    category: str
    phrase: str
    file: str
    source: str
    seed: int
    path: tuple[tuple[float, float], ...]
    distance_m: float
    start_s: float
    stop_s: float
    level_db: float
    material: tuple[str, ...] = ()
    active: tuple[tuple[int, int], ...] = ()
    kind: str = ""
    also: tuple[str, ...] = ()
    dry: str = ""
    place: SpherePath | None = None
    beside: BesideObject | None = None

    def azimuth_deg(self, times_s: np.ndarray) -> np.ndarray:
        """Azimuths (time) at times (time) in seconds, degrees."""
        times, azimuths = zip(*self.path, strict=True)
        return np.interp(times_s, times, azimuths)

    @property
    def is_moving(self) -> bool:
        """Whether it changes its place."""
        if self.place is not None:
            return self.place.is_moving
        return len({azimuth for _, azimuth in self.path}) > 1

    def trace(self, times_s: np.ndarray) -> Trace:
        """Where an object of the 3D twin is at times (time) in seconds."""
        assert self.place is not None
        length_s = self.stop_s - self.start_s
        return self.place.at(np.clip((np.asarray(times_s) - self.start_s) / length_s, 0.0, 1.0), length_s)

    def path_within(self, start_s: float, end_s: float) -> tuple[SpherePath, bool]:
        """The part of the place of an object of the 3D twin that lies between two times, and whether that is all."""
        assert self.place is not None
        length_s = self.stop_s - self.start_s
        first, last = ((time_s - self.start_s) / length_s for time_s in (start_s, end_s))
        if first <= 0 and last >= 1:
            return self.place, True
        return self.place.part(max(0.0, first), min(1.0, last), length_s), False


@dataclass(frozen=True)
class Scene:
    """A clip: its room, objects from left to right, how its captions are worded, and its level.

    ``room_name`` is the room that captions of the 3D twin say, empty if they say none.
    """

    clip: str
    split: Split
    seed: int
    rate_hz: int
    length_s: float
    room: Room
    style: CaptionStyle
    peak_dbfs: float
    objects: tuple[SceneObject, ...]
    room_name: str = ""

    @property
    def is_recorded_mixture(self) -> bool:
        """Whether its objects are parts of one recording, at the levels that they have in it."""
        return any(FROM_SECOND in name for item in self.objects for name in item.material)

    @property
    def on_sphere(self) -> bool:
        """Whether it is one of the 3D twin."""
        return any(item.place is not None for item in self.objects)

    def to_json(self) -> dict[str, Any]:
        """What ``scene.json`` holds; what only some scenes have is left out of the others."""
        found = dataclasses.asdict(self)
        if not self.room_name:
            del found["room_name"]
        for item in found["objects"]:
            for name, plain in _PLAIN.items():
                if item[name] == plain:
                    del item[name]
        return found

    @staticmethod
    def from_json(data: dict[str, Any], where: str) -> Scene:
        """Read it back.

        Raises:
            InputError: not such a description, or one of a clip that nobody can have made.
        """
        try:
            scene = config_from_dict(Scene, data, where, InputError)
            _check_clip(scene)
        except (PromptError, ValueError) as error:
            raise InputError(f"{where}: {error}") from error
        _check_sphere(scene, where)
        return scene

    def timeline(self, style: CaptionStyle | None = None, phrases: Sequence[str] | None = None) -> Timeline | None:
        """The annotation of a rendered scene; None if nothing sounds in it.

        Args:
            style: "coarse", "words" or "degrees" instead of the scene's own.
            phrases: other names for the objects, e.g. synonyms.
        """
        if self.on_sphere:
            return sphere_timeline(self, style, phrases) if any(item.active for item in self.objects) else None
        frames = round(self.length_s / FRAME_S)
        names = [o.phrase for o in self.objects] if phrases is None else [p.lower() for p in phrases]
        edges = np.arange(frames + 1) * FRAME_S
        active = []
        for item in self.objects:
            sounding = np.zeros(frames, bool)
            for first, stop in item.active:
                sounding[first:stop] = True
            active.append(sounding)
        captioner = Captioner(style or self.style, source_rng(self.seed, self.clip, "captions"))
        segments = dense_segments(
            captioner, names, [o.azimuth_deg(edges) for o in self.objects], active, FRAME_S, self.length_s
        )
        return Timeline(segments) if segments else None


def _check_clip(scene: Scene) -> None:
    """Refuse names that lead out of the data set, and numbers that are none of a clip.

    Raises:
        ValueError: one of them.
    """
    if not is_file_name(scene.clip):
        raise ValueError(f"clip is {scene.clip!r}, expected the name of a clip")
    if not 0 < scene.length_s <= _LONGEST_S or scene.seed < 0:
        raise ValueError(f"length_s is {scene.length_s:g} and seed {scene.seed}, expected a clip of some seconds")
    for item in scene.objects:
        for file in (item.file, *([item.dry] if item.dry else [])):
            if not is_file_name(file):
                raise ValueError(f"file is {file!r}, expected one in the folder of the clip")
        times = [time_s for time_s, _ in item.path]
        numbers = [abs(value) for point in item.path for value in point]
        if not times or times != sorted(times) or not all(value < _MOST for value in numbers):
            raise ValueError(f"the path of {item.phrase!r} is none: expected places in the order of time")
        if any(not 0 <= first <= stop for first, stop in item.active):
            raise ValueError(f"{item.phrase!r} is active in frames that are none")


def _check_sphere(scene: Scene, where: str) -> None:
    """Refuse a scene of the 3D twin whose objects do not fit together.

    Raises:
        InputError: one has no place or no time, or is placed by one that is not there.
    """
    if not scene.on_sphere:
        return
    for number, item in enumerate(scene.objects):
        if item.place is None or not item.dry or Path(item.dry).name != item.dry or "\\" in item.dry:
            what = f"objects[{number}] has no place or no dry sound in this folder"
            raise InputError(f"{where}: {what}, expected both as the others have")
        if not item.stop_s > item.start_s:
            raise InputError(
                f"{where}: objects[{number}] stops at {item.stop_s:g} s, expected after {item.start_s:g} s"
            )
        by = item.beside
        wordings = len(sphere_data()["relations"])
        if by and not (0 <= by.object < len(scene.objects) and by.object != number and 0 <= by.relation < wordings):
            raise InputError(f"{where}: objects[{number}] is placed by objects[{by.object}], which is not there")


def clip_split(number: int) -> Split:
    """The part of the split that clip ``number`` (from 1) belongs to."""
    return {9: "val", 0: "test"}.get(number % 10, "train")  # type: ignore[return-value]


@lru_cache(maxsize=1)
def _categories() -> dict[str, Category]:
    wanted = benchmark_data()["categories"]
    return {c.name: c for c in load_categories() if c.name in wanted}


def fonts_for(category: Category, split: Split) -> tuple[SoundFont, ...]:
    """Soundfonts of a split that may hold a category."""
    return tuple(font for font in SOUNDFONTS if font.in_benchmark and font.split == split and font.plays(category))


def voices_for(category: Category, split: Split) -> tuple[Voice, ...]:
    """Voices of a split that fit a category of speech."""
    return tuple(v for v in VOICES if v.in_benchmark and v.split == split and category.speaker in ("any", v.speaker))


def files_for(category: Category, split: Split) -> tuple[Path, ...]:
    """Recordings of a category that a split may use."""
    return tuple(recording_split(recording_files(category), split))


def draw_source(category: Category, split: Split, rng: np.random.Generator) -> str:
    """Name of the source material of an object."""
    if category.kind == "speech":
        voices = voices_for(category, split)
        return voices[int(rng.integers(len(voices)))].name
    if category.kind == "recording":
        return f"recordings/{category.name} ({split})"
    fonts = fonts_for(category, split)
    return f"{fonts[int(rng.integers(len(fonts)))].name}/{category.name}"


def draw_times(is_lead: bool, rng: np.random.Generator) -> tuple[float, float]:
    """When an object starts and stops, seconds: as in a recording session, somebody plays nearly all the time."""
    whole = rng.random() < (_LEAD_WHOLE_FRACTION if is_lead else _WHOLE_FRACTION)
    start_s = 0.0 if whole else round(float(rng.uniform(0, 4)), 2)
    stop_s = LENGTH_S if whole else round(float(rng.uniform(6, LENGTH_S)), 2)
    return start_s, stop_s


def draw_equal(rng: np.random.Generator) -> bool:
    """Whether the objects of a clip are equally loud."""
    return bool(rng.random() < _EQUAL_LOUDNESS_FRACTION)


def draw_distance_m(rng: np.random.Generator) -> float:
    """How far away an object is, in metres."""
    return round(float(np.exp(rng.uniform(np.log(0.7), np.log(4.0)))), 2)


def draw_level_db(rng: np.random.Generator) -> float:
    """Level of an object that is not as loud as the others, dB."""
    return round(float(rng.uniform(-_LEVEL_SPREAD_DB, _LEVEL_SPREAD_DB)), 1)


def draw_style(rng: np.random.Generator) -> CaptionStyle:
    """How the captions of a clip say places."""
    return STYLES[int(rng.choice(len(STYLES), p=STYLE_FRACTIONS))]


def draw_peak_dbfs(rng: np.random.Generator) -> float:
    """Level of the loudest sample of a clip, dBFS."""
    return round(float(rng.uniform(*_PEAK_DBFS)), 1)


def _draw_azimuth(rng: np.random.Generator) -> float:
    """A third each in front, left and right, any azimuth within."""
    third = int(rng.integers(3))
    return float(rng.uniform(-15, 15) if third == 0 else rng.uniform(15, 90) * (1 if third == 1 else -1))


def draw_path(start_deg: float, rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """Azimuth over time: at rest, or one even movement of 30 degrees or more on the 0.1 s grid."""
    if rng.random() >= _MOVING_FRACTION:
        return ((0.0, round(start_deg, 1)), (LENGTH_S, round(start_deg, 1)))
    end_deg = float(rng.uniform(-90, 90))
    while abs(end_deg - start_deg) < 30:
        end_deg = float(rng.uniform(-90, 90))
    length = int(rng.integers(20, 81))
    first = int(rng.integers(0, round(LENGTH_S / FRAME_S) - length + 1))
    begin_s, stop_s = round(first * FRAME_S, 3), round((first + length) * FRAME_S, 3)
    path = ((0.0, start_deg), (begin_s, start_deg), (stop_s, end_deg), (LENGTH_S, end_deg))
    return tuple((t, round(a, 1)) for t, a in path)


def draw_categories(rng: np.random.Generator) -> list[Category]:
    """Categories of the objects of a scene, no two of which go by one name or are both speech."""
    data, known = benchmark_data(), _categories()
    names = list(data["categories"])
    weights = np.array([float(data["categories"][n]) for n in names])
    counts = np.array(data["object_shares"], float)
    count = 1 + int(rng.choice(len(counts), p=counts / counts.sum()))
    chosen: list[Category] = []
    while len(chosen) < count:
        candidate = known[names[int(rng.choice(len(names), p=weights / weights.sum()))]]
        # No two objects may go by one name ("acoustic guitar", "person").
        if not any(set(candidate.words) & set(c.words) or (c.kind == candidate.kind == "speech") for c in chosen):
            chosen.append(candidate)
    return chosen


def draw_places(count: int, rng: np.random.Generator) -> list[float]:
    """Azimuths in degrees that lie apart, from left to right."""
    places: list[float] = []
    while len(places) < count:
        azimuth = round(_draw_azimuth(rng), 1)
        if all(abs(azimuth - p) >= _LEAST_APART_DEG for p in places):
            places.append(azimuth)
    return sorted(places, reverse=True)


def draw_scene(seed: int, number: int, rate_hz: int) -> Scene:
    """The scene of a clip; ``active`` and ``material`` of its objects are left open until it is rendered.

    Args:
        seed: of the data set.
        number: of the clip, from 1.
        rate_hz: sample rate that it is to be rendered at.
    """
    clip, split = f"{number:06d}", clip_split(number)
    rng = source_rng(seed, "scene", number)
    chosen = draw_categories(rng)
    places = draw_places(len(chosen), rng)
    equal = draw_equal(rng)
    lead = int(rng.integers(len(chosen)))
    objects = []
    for i, category in enumerate(chosen):
        words = [w.lower() for w in category.words if quoted(w.lower()) == w.lower()]
        start_s, stop_s = draw_times(i == lead, rng)
        objects.append(
            SceneObject(
                category=category.name,
                phrase=words[int(rng.integers(len(words)))],
                file=f"{i + 1}-{category.name.replace(' ', '-')}.flac",
                source=draw_source(category, split, rng),
                # Unlike in any other clip: (data set, clip, object) in one number.
                seed=numbered_seed(seed, number) * 8 + i,
                path=draw_path(places[i], rng),
                distance_m=draw_distance_m(rng),
                start_s=start_s,
                stop_s=stop_s,
                level_db=0.0 if equal else draw_level_db(rng),
            )
        )
    return Scene(
        clip=clip,
        split=split,
        seed=seed,
        rate_hz=rate_hz,
        length_s=LENGTH_S,
        room=random_room(rng),
        style=draw_style(rng),
        peak_dbfs=draw_peak_dbfs(rng),
        objects=tuple(objects),
    )

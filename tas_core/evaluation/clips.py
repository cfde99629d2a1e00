"""A clip of a data set as it is judged, at 16 kHz: its truth, its prompts and, if it is simulated, its stems."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from tas_core.acoustics.hrtf import HrirSet, load_kemar
from tas_core.audio.reader import read_audio
from tas_core.audio.resampling import require_ears, resample
from tas_core.conventions import db_to_amplitude
from tas_core.datasets.sources.catalogue import Category, load_categories
from tas_core.datasets.sources.clips import source_rng
from tas_core.datasets.tasbench.captions import CaptionStyle, benchmark_data
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.datasets.tasbench.scenes import Scene
from tas_core.errors import InputError
from tas_core.evaluation.metrics.control import INPUT_SILENCE_DBFS
from tas_core.evaluation.metrics.paper import PAPER_RATE_HZ
from tas_core.evaluation.metrics.sphere import HeardSound, heard_sounds, sphere_observer
from tas_core.inference.renderer_choice import flattened
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.prompts import Clause, format_prompt
from tas_core.timeline.rooms import RoomChoice
from tas_core.timeline.segments import Segment, Timeline

RATE_HZ: Final = PAPER_RATE_HZ
"""Everything is scored at this rate."""

_WAY_SPAN_S: Final = 0.3
"""What moves is heard in pieces of about this length."""

Captions = Literal["own", "coarse", "words", "degrees"]
Names = Literal["trained", "held-out"]
CAPTIONS: Final[tuple[Captions, ...]] = ("own", "coarse", "words", "degrees")
NAMES: Final[tuple[Names, ...]] = ("trained", "held-out")


class OutputError(InputError):
    """What a system made of a clip, or failed to make, is nothing that a measure can be taken of."""


@dataclass(frozen=True)
class EvalClip:
    """A clip ready to be judged.

    Attributes:
        name: of the clip.
        truth: (ear, time) float64 at 16 kHz.
        timeline: what is requested, all ends closed; None where the data set has none.
        scene: how a simulated clip was made, else None.
        stems: (object, ear, time) float64 at 16 kHz, in the order of ``scene.objects``; None without a scene.
        phrases: names of the scene's objects in ``timeline`` (object).
        style: how the prompts are worded; None without a scene.
        notes: what a reader of the results should know.
        head: whose ears the truth has, of the 3D twin in all directions; None for KEMAR's, or if that is not known.
        dry: of the 3D twin, the sounds of the objects before they were placed (object, time).
    """

    name: str
    truth: np.ndarray
    timeline: Timeline | None
    scene: Scene | None = None
    stems: np.ndarray | None = None
    phrases: tuple[str, ...] = ()
    style: CaptionStyle | None = None
    notes: tuple[str, ...] = ()
    head: HrirSet | None = None
    dry: np.ndarray | None = None

    @property
    def mono(self) -> np.ndarray:
        """The input of every system: x = (L + R) / 2, of the 3D twin the sum of the dry sounds, (time)."""
        return self.truth.mean(axis=0) if self.dry is None else self.dry.sum(axis=0)

    @property
    def on_sphere(self) -> bool:
        """Whether it is one of the 3D twin."""
        return self.dry is not None

    @property
    def asks_for_sphere(self) -> bool:
        """Whether it, or what is requested of it, is more than the frontal plane, so that (L + R) / 2 is no input."""
        return self.on_sphere or (self.timeline is not None and self.timeline.needs_sphere)

    @property
    def mono_stems(self) -> np.ndarray:
        """What each object is of the input (object, time).

        Raises:
            InputError: the clip has no stems.
        """
        if self.stems is None:
            raise InputError(f"clip {self.name}: no stems")
        return self.stems.mean(axis=1) if self.dry is None else self.dry

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.truth.shape[-1] / RATE_HZ

    @cached_property
    def place_spans_s(self) -> list[tuple[int, float, float]]:
        """Numbers of the objects of a clip of the 3D twin, and the spans over which they are heard, seconds."""
        found: list[tuple[int, float, float]] = []
        for k, item in enumerate(self._scene().objects):
            stop_s = min(item.stop_s, self.duration_s)
            pieces = max(1, round((stop_s - item.start_s) / _WAY_SPAN_S)) if item.is_moving else 1
            edges = np.linspace(item.start_s, stop_s, pieces + 1).tolist()
            found += [(k, first, last) for first, last in pairwise(edges)]
        return found

    @cached_property
    def heard_truth(self) -> list[HeardSound | None]:
        """What an ideal observer hears of the objects of a clip of the 3D twin over these spans, found once."""
        return self.heard(self.truth)

    def heard(self, ears: np.ndarray) -> list[HeardSound | None]:
        """The same of an output (ear, time) at 16 kHz.

        Raises:
            InputError: the clip is not of the 3D twin.
        """
        scene = self._scene()
        if self.dry is None:
            raise InputError(f"clip {self.name}: not of the 3D twin, its dry sounds are not known")
        observer = sphere_observer(self.head or load_kemar(), RATE_HZ)
        around = [(scene.room, item.distance_m) for item in scene.objects]
        return heard_sounds(observer, ears, self.dry, RATE_HZ, self.place_spans_s, around)

    def true_azimuth_deg(self, times_s: np.ndarray) -> np.ndarray:
        """Where the objects of the scene are, degrees (object, time).

        Raises:
            InputError: the clip has no scene.
        """
        return np.stack([item.azimuth_deg(times_s) for item in self._scene().objects])

    def true_timeline(self) -> Timeline:
        """Where the objects of the scene are, as a timeline: a segment between every two corners of their paths.

        Raises:
            InputError: the clip has no scene.
        """
        scene = self._scene()
        objects = scene.objects
        if self.on_sphere:
            return self._true_timeline_around(scene)
        corners_s = {min(time_s, self.duration_s) for item in objects for time_s, _ in item.path}
        edges_s = np.array(sorted({0.0, self.duration_s, *(time_s for time_s in corners_s if time_s > 0)}))
        places = self.true_azimuth_deg(edges_s)
        segments = []
        for number, (start_s, end_s) in enumerate(pairwise(edges_s.tolist())):
            ends = zip(self.phrases, places[:, number].tolist(), places[:, number + 1].tolist(), strict=True)
            clauses = tuple(Clause(name, AzimuthPath(a, b)) for name, a, b in ends)
            segments.append(Segment(start_s, end_s, format_prompt(clauses), clauses))
        return Timeline(tuple(segments))

    def _true_timeline_around(self, scene: Scene) -> Timeline:
        """The same of a clip of the 3D twin: a segment between every two times at which an object starts or stops."""
        room = RoomChoice.by_name(scene.room_name) if scene.room_name else None
        times_s = {min(time_s, self.duration_s) for item in scene.objects for time_s in (item.start_s, item.stop_s)}
        segments = []
        for start_s, end_s in pairwise(sorted({0.0, self.duration_s, *times_s})):
            there = [(k, o) for k, o in enumerate(scene.objects) if o.start_s <= start_s and o.stop_s >= end_s]
            clauses = tuple(Clause.on_sphere(self.phrases[k], o.path_within(start_s, end_s)[0]) for k, o in there)
            if clauses:
                text = format_prompt(clauses, room=room)
                segments.append(Segment(start_s, end_s, text, clauses, room=room))
        return Timeline(tuple(segments))

    def requested_azimuth_deg(self, timeline: Timeline, times_s: np.ndarray) -> np.ndarray:
        """Where a timeline puts the objects of the scene, degrees (object, time); 0 where it does not name them.

        Of places all around, how far to the side they are.

        Raises:
            InputError: the clip has no scene.
        """
        self._scene()
        timeline = flattened(timeline, without_ways=True)
        found = {track.object: track.azimuth_deg for track in timeline.tracks(times_s, self.duration_s)}
        return np.stack([found.get(phrase, np.zeros(len(times_s))) for phrase in self.phrases])

    def swapped_timeline(self) -> Timeline | None:
        """The prompts with the two places exchanged and every other word as it was.

        None where that makes no sense: for other than two objects, where one moves, where they are not on different
        sides (left, center, right) more than 30 degrees apart, or for clips of the 3D twin.
        """
        if self.scene is None or self.timeline is None or not can_swap(self.scene):
            return None
        first, second = self.scene.objects
        exchanged = (replace(first, path=second.path), replace(second, path=first.path))
        return self._worded(replace(self.scene, objects=exchanged))

    def centred_timeline(self) -> Timeline | None:
        """The prompts with every object in the center, and in no room."""
        if self.timeline is None:
            return None
        if self.scene is not None and not self.on_sphere:
            ends = ((0.0, 0.0), (self.scene.length_s, 0.0))
            objects = tuple(replace(item, path=ends) for item in self.scene.objects)
            return self._worded(replace(self.scene, objects=objects))
        return _rewritten(self.timeline, lambda clauses: tuple(_centred(clause.object) for clause in clauses))

    def decoy_timeline(self) -> tuple[Timeline, str] | None:
        """The prompts with one object more, in the center, that is not in the clip, and its name.

        None for clips without a scene or prompts. Which name depends on the scene alone.
        """
        if self.scene is None or self.timeline is None:
            return None
        decoy = self._absent_name(self.scene)
        return _rewritten(self.timeline, lambda clauses: (*clauses, _centred(decoy))), decoy

    def replaced_timeline(self) -> tuple[Timeline, str, str] | None:
        """The prompts with one name replaced by that of something that is not in the clip, the old name and the new.

        None for clips without a scene or prompts. Which names depends on the scene alone.
        """
        if self.scene is None or self.timeline is None or not self.phrases:
            return None
        decoy = self._absent_name(self.scene)
        rng = source_rng(self.scene.seed, self.scene.clip, "replaced name")
        gone = self.phrases[int(rng.integers(len(self.phrases)))]
        named = lambda clause: replace(clause, object=decoy) if clause.object == gone else clause  # noqa: E731
        return _rewritten(self.timeline, lambda clauses: tuple(map(named, clauses))), gone, decoy

    def _absent_name(self, scene: Scene) -> str:
        """A name of something that is not in the clip."""
        names = {name for item in scene.objects for name in (item.category, *item.also)}
        known = [c for c in load_categories() if c.name in benchmark_data()["categories"]]
        taken = {word for c in load_categories() if c.name in names for word in c.words} | set(self.phrases)
        free = [c.name for c in known if c.name not in names and not taken & set(c.words)]
        rng = source_rng(scene.seed, scene.clip, "absent name")
        return free[int(rng.integers(len(free)))]

    def _scene(self) -> Scene:
        if self.scene is None:
            raise InputError(f"clip {self.name}: not a simulated one, its objects are not known")
        return self.scene

    def _worded(self, scene: Scene) -> Timeline | None:
        found = scene.timeline(self.style, self.phrases)
        return None if found is None else found.resolved(self.duration_s)


def _centred(name: str) -> Clause:
    return Clause(name, AzimuthPath(0.0, 0.0))


def _rewritten(timeline: Timeline, change: Callable[[tuple[Clause, ...]], tuple[Clause, ...]]) -> Timeline:
    """A timeline with other clauses in its segments, and prompts that say so."""
    segments = []
    for segment in timeline.segments:
        clauses = change(segment.clauses)
        room = segment.room if any(clause.sphere for clause in clauses) else None
        segments.append(Segment(segment.start_s, segment.end_s, format_prompt(clauses), clauses, room=room))
    return Timeline(tuple(segments))


def can_swap(scene: Scene) -> bool:
    """Whether exchanging the places of the scene's objects is a test: see :meth:`EvalClip.swapped_timeline`."""
    from tas_core.evaluation.metrics.objects import side_of

    if len(scene.objects) != 2 or scene.on_sphere or any(item.is_moving for item in scene.objects):
        return False
    places = np.array([item.path[0][1] for item in scene.objects])
    sides = side_of(places)
    return bool(sides[0] != sides[1] and abs(places[0] - places[1]) > 30)


def has_stems(data: TasBench, name: str) -> bool:
    """Whether a clip comes with a description of its objects."""
    return data.scene_path(name).is_file()


def clip_digest(data: TasBench, name: str) -> str:
    """SHA-256 of what a score of the clip depends on: its recording, timeline and scene, and a head of its own.

    Raises:
        InputError: the recording cannot be read.
    """
    digest = hashlib.sha256()
    head = data.head_path()
    paths = [data.audio_path(name), data.timeline_path(name), data.scene_path(name), *([head] if head else [])]
    if data.mono_path(name).is_file():
        paths.append(data.mono_path(name))
    for path in paths:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = b"none"
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from error
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def read_ears(path: object) -> np.ndarray:
    """A binaural file at 16 kHz, (ear, time) float64.

    Raises:
        AudioError: unreadable, with samples that are no numbers, or not two channels.
    """
    audio = read_audio(str(path))
    require_ears(path, len(audio.samples))
    return resample(audio.samples.astype(np.float64), audio.sample_rate_hz, RATE_HZ)


def is_silent(signal: np.ndarray) -> bool:
    """Whether no sample is above -90 dBFS."""
    return bool(np.abs(signal).max(initial=0.0) <= db_to_amplitude(INPUT_SILENCE_DBFS))


@lru_cache(maxsize=1)
def _held_out() -> dict[str, Category]:
    return {category.name: category for category in load_categories()}


def held_out_phrases(scene: Scene) -> tuple[str, ...]:
    """A synonym that training never sees for every object; a category without any keeps its phrase.

    Which one depends on the scene alone, and no two objects get the same.
    """
    chosen: list[str] = []
    for number, item in enumerate(scene.objects):
        category = _held_out().get(item.category)
        words = [word.lower() for word in category.held_out] if category else []
        others = {o.phrase.lower() for o in scene.objects if o is not item}
        words = [word for word in words if word not in chosen and word not in others]
        rng = source_rng(scene.seed, scene.clip, "held-out names", number)
        chosen.append(words[int(rng.integers(len(words)))] if words else item.phrase)
    return tuple(chosen)


def read_clip(
    data: TasBench, name: str, captions: Captions = "own", names: Names = "trained", *, needs_timeline: bool = True
) -> EvalClip:
    """Read a clip.

    Args:
        data: the data set.
        name: of the clip.
        captions: "own" for the data set's prompts, or a style to word a simulated clip in.
        names: "held-out" for names that training never sees, for simulated clips.
        needs_timeline: whether a clip without prompts is of no use.

    Raises:
        InputError: why the clip cannot be judged: its recording is unreadable, silent, not of two channels or not of
            numbers; its timeline or its stems are missing or do not fit; or it has no scene, and other captions or
            names were requested.
    """
    truth = read_ears(data.audio_path(name))
    if is_silent(truth):
        raise InputError(f"{data.audio_path(name)}: silent, nothing can be compared with it")
    duration_s = truth.shape[-1] / RATE_HZ
    scene = None
    if has_stems(data, name):
        scene = Scene.from_json(data.scene(name), str(data.scene_path(name)))
    elif captions != "own" or names != "trained":
        raise InputError(f"clip {name} is not a simulated one; its captions cannot be worded anew")
    phrases: tuple[str, ...] = ()
    timeline: Timeline | None
    if scene is not None and (captions != "own" or names != "trained"):
        phrases = held_out_phrases(scene) if names == "held-out" else tuple(o.phrase for o in scene.objects)
        timeline = scene.timeline(None if captions == "own" else captions, phrases)
        if timeline is None:
            raise InputError(f"clip {name}: nothing sounds in it")
    elif needs_timeline or data.timeline_path(name).is_file():
        timeline = data.timeline(name)
        phrases = tuple(o.phrase for o in scene.objects) if scene else ()
    else:
        timeline = None
    notes: tuple[str, ...] = ()
    if timeline is not None:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            timeline = timeline.resolved(duration_s)
        notes = tuple(str(warning.message) for warning in said)
    style: CaptionStyle | None = None
    if scene is not None:
        style = scene.style if captions == "own" else captions
    on_sphere = scene is not None and scene.on_sphere
    return EvalClip(
        name=name,
        truth=truth,
        timeline=timeline,
        scene=scene,
        stems=_read_stems(data, scene, truth.shape[-1]) if scene else None,
        # As the prompt language spells them.
        phrases=tuple(_centred(phrase).object for phrase in phrases),
        style=style,
        notes=notes,
        head=data.head(everywhere=on_sphere),
        dry=_read_dry(data, scene, truth.shape[-1]) if scene is not None and on_sphere else None,
    )


def _read_dry(data: TasBench, scene: Scene, samples: int) -> np.ndarray:
    """The dry sounds of the objects of a clip of the 3D twin, (object, time)."""
    sounds = []
    for item in scene.objects:
        path = data.stem_folder(scene.clip) / item.dry
        audio = read_audio(path)
        if len(audio.samples) != 1:
            raise InputError(f"{path}: {len(audio.samples)} channels, expected one")
        sound = resample(audio.samples.astype(np.float64), audio.sample_rate_hz, RATE_HZ)
        if sound.shape[-1] != samples:
            raise InputError(f"{path}: {sound.shape[-1]} samples at 16 kHz, expected {samples} as the mixture has")
        sounds.append(sound[0])
    return np.stack(sounds)


def _read_stems(data: TasBench, scene: Scene, samples: int) -> np.ndarray:
    stems = []
    for item in scene.objects:
        path = data.stem_folder(scene.clip) / item.file
        stem = read_ears(path)
        if stem.shape[-1] != samples:
            raise InputError(f"{path}: {stem.shape[-1]} samples at 16 kHz, expected {samples} as the mixture has")
        stems.append(stem)
    return np.stack(stems)

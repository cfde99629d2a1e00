"""What a data set in TASBench's layout holds: categories, objects per clip, directions, annotations.

These are the numbers by which the paper describes TASBench (its Figure 3). A frame is 0.1 s, and is looked at in
its middle; frames whose middle is after the end of the clip do not count. A frame with at least one object has one
annotation, the text that holds there.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from typing import Any, Final

import numpy as np

from tas_core.acoustics.hrtf import direction_vectors
from tas_core.audio.reader import AudioReader
from tas_core.conventions import LEFT_SIGN, MAX_AZIMUTH_DEG, REFERENCE_M, Side, side_name
from tas_core.datasets.sources.catalogue import load_categories
from tas_core.datasets.tasbench.clip_jobs import map_clips
from tas_core.datasets.tasbench.layout import FRAME_S, TIMELINE_FOLDER, TasBench
from tas_core.errors import InputError
from tas_core.system.progress import Progress, ignore
from tas_core.timeline.segments import Track

DIRECTIONS: Final[tuple[Side, ...]] = ("left", "center", "right")

SPHERE_NAMES: Final = ("behind", "above", "below", "near", "far", "wide", "in a room")

_ORDINALS = frozenset("first second third fourth 1st 2nd 3rd 4th one two three four other another".split())
_NUMBER = re.compile(r"#?\d+")


@dataclass(frozen=True)
class CategoryCount:
    """How often a category occurs.

    Attributes:
        name: the category, or the object phrase where that is in no category or in several.
        known: whether it is one of the categories of ``prompts/objects.yaml``.
        clips: clips in which it sounds.
        object_frames: frames in which it sounds, counted once for every object of this category.
    """

    name: str
    known: bool
    clips: int
    object_frames: int


@dataclass(frozen=True)
class Statistics:
    """Numbers that describe a data set.

    Attributes:
        clips: recordings.
        annotated_clips: those with a timeline. All that follows, but for the hours, is about them.
        hours: length of all recordings.
        frames: frames of 0.1 s.
        annotations: frames with a text, that is with at least one object.
        object_frames: objects over all frames.
        moving_clips: clips in which an object is not in one place all the time, be it that a clause says so, or that
            texts of different frames do.
        categories: the most frequent first.
        objects_per_clip: number of clips by the number of different object phrases in them.
        categories_per_clip: number of clips by the number of different categories in them.
        directions: object-frames by direction, of places all around by how far to the side they are.
        sphere: of a data set with places all around, object-frames of which something is said that the plane does not
            have; else empty.
    """

    clips: int
    annotated_clips: int
    hours: float
    frames: int
    annotations: int
    object_frames: int
    moving_clips: int
    categories: tuple[CategoryCount, ...]
    objects_per_clip: Mapping[int, int]
    categories_per_clip: Mapping[int, int]
    directions: Mapping[Side, int]
    sphere: Mapping[str, int] = field(default_factory=dict)

    @property
    def silent_frame_share(self) -> float:
        """Fraction of the frames in which nothing sounds, 0 to 1."""
        return fraction(self.frames - self.annotations, self.frames)

    @property
    def moving_clip_share(self) -> float:
        """Fraction of the annotated clips in which something moves, 0 to 1."""
        return fraction(self.moving_clips, self.annotated_clips)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the fractions."""
        own = asdict(self)
        if not self.sphere:
            del own["sphere"]
        return {
            **own,
            "objects_per_clip": {str(number): clips for number, clips in self.objects_per_clip.items()},
            "categories_per_clip": {str(number): clips for number, clips in self.categories_per_clip.items()},
            "direction_shares": fractions(self.directions),
            "objects_per_clip_shares": {str(number): part for number, part in fractions(self.objects_per_clip).items()},
            "silent_frame_share": self.silent_frame_share,
            "moving_clip_share": self.moving_clip_share,
        }


def fraction(part: float, whole: float) -> float:
    """A part of a whole, 0 to 1; 0 of nothing."""
    return part / whole if whole else 0.0


def fractions(counts: Mapping[Any, int]) -> dict[Any, float]:
    """Counts over their sum."""
    whole = sum(counts.values())
    return {key: fraction(count, whole) for key, count in counts.items()}


def category_of(phrase: str) -> tuple[str, bool]:
    """Category of an object phrase, and whether there is one.

    Plurals and numbered objects ("second violin", "violin 2") belong to the category of the object. A phrase of
    several categories, such as "guitar", is left as it is.

    Args:
        phrase: as in :class:`tas_core.timeline.prompts.Clause`, in lower case.

    Returns:
        The category's name and True, or the phrase and False.
    """
    words = phrase.split()
    while len(words) > 1 and words[0] in _ORDINALS:
        words = words[1:]
    while len(words) > 1 and (words[-1] in _ORDINALS or _NUMBER.fullmatch(words[-1])):
        words = words[:-1]
    bare = " ".join(words)
    for candidate in (phrase, bare, bare.removesuffix("s"), bare.removesuffix("es")):
        names = _categories_by_phrase().get(candidate, ())
        own = [name for name in names if name.lower() == candidate]
        if own or len(names) == 1:
            return (own or names)[0], True
        if names:
            return candidate, False
    return bare, False


@lru_cache(maxsize=1)
def _categories_by_phrase() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for category in load_categories():
        for phrase in {word.lower() for word in (category.name, *category.words, *category.held_out)}:
            found[phrase] = (*found.get(phrase, ()), category.name)
    return found


def dataset_statistics(data: TasBench, *, jobs: int = 1, progress: Progress = ignore) -> Statistics:
    """Count what is in a data set.

    Args:
        data: the data set; clips without a timeline only add to ``clips`` and ``hours``.
        jobs: processes.
        progress: told the fraction of the clips that are done, 0 to 1.

    Raises:
        InputError: no clip has a timeline.
        AudioError: a recording cannot be read.
        TimelineError: a timeline cannot be read, or does not fit its clip.
    """
    clips = data.clips()
    found = map_clips(partial(_count_clip, data), clips, jobs, progress)
    counted = [clip for clip in found if clip.annotated]
    if not counted:
        raise InputError(f"{data.root / TIMELINE_FOLDER}: no timelines of this data set's clips, expected some")
    directions: Counter[Side] = Counter()
    sphere: Counter[str] = Counter()
    in_clips: Counter[str] = Counter()
    in_frames: Counter[str] = Counter()
    for clip in counted:
        directions.update(clip.directions)
        sphere.update(clip.sphere)
        in_clips.update(clip.category_frames.keys())
        in_frames.update(clip.category_frames)
    categories = (
        CategoryCount(name, name in _category_names(), count, in_frames[name]) for name, count in in_clips.items()
    )
    return Statistics(
        clips=len(clips),
        annotated_clips=len(counted),
        hours=sum(clip.duration_s for clip in found) / 3600,
        frames=sum(clip.frames for clip in counted),
        annotations=sum(clip.annotations for clip in counted),
        object_frames=sum(directions.values()),
        moving_clips=sum(clip.moves for clip in counted),
        categories=tuple(sorted(categories, key=lambda count: (-count.clips, -count.object_frames, count.name))),
        objects_per_clip=_histogram(clip.objects for clip in counted),
        categories_per_clip=_histogram(len(clip.category_frames) for clip in counted),
        directions={direction: directions[direction] for direction in DIRECTIONS},
        sphere={name: sphere[name] for name in SPHERE_NAMES} if sphere else {},
    )


@lru_cache(maxsize=1)
def _category_names() -> frozenset[str]:
    return frozenset(category.name for category in load_categories())


def _histogram(numbers: Iterable[int]) -> dict[int, int]:
    return dict(sorted(Counter(numbers).items()))


@dataclass(frozen=True)
class _ClipCount:
    """One clip's part of :class:`Statistics`; `category_frames` are object-frames by category."""

    duration_s: float
    annotated: bool = False
    frames: int = 0
    annotations: int = 0
    objects: int = 0
    moves: bool = False
    category_frames: Mapping[str, int] = field(default_factory=dict)
    directions: Mapping[Side, int] = field(default_factory=dict)
    sphere: Mapping[str, int] = field(default_factory=dict)


def _count_clip(data: TasBench, clip: str) -> _ClipCount:
    with AudioReader(data.audio_path(clip)) as reader:
        duration_s = reader.num_frames / reader.sample_rate_hz
    if not data.timeline_path(clip).exists():
        return _ClipCount(duration_s)
    frames = math.ceil(duration_s / FRAME_S - 0.5 - 1e-6)
    middles_s = (np.arange(frames) + 0.5) * FRAME_S
    timeline = data.timeline(clip)
    tracks = [track for track in timeline.tracks(middles_s, duration_s) if track.active.any()]
    category_frames: Counter[str] = Counter()
    directions: Counter[Side] = Counter()
    sphere: Counter[str] = Counter()
    in_room = np.zeros(frames, bool)
    for segment in timeline.resolved(duration_s).segments if timeline.needs_sphere else ():
        if segment.room is not None and not segment.room.is_open:
            in_room |= (middles_s >= segment.start_s) & (middles_s < (segment.end_s or duration_s))
    for track in tracks:
        azimuths_deg = track.azimuth_deg[track.active]
        if timeline.needs_sphere:
            sphere.update(_beyond_the_plane(track, in_room))
            lateral = direction_vectors(azimuths_deg, track.elevation_deg[track.active])[:, 1] * LEFT_SIGN
            azimuths_deg = np.degrees(np.arcsin(np.clip(lateral, -1, 1)))
        category_frames[category_of(track.object)[0]] += len(azimuths_deg)
        directions.update(map(side_name, azimuths_deg.tolist()))
    return _ClipCount(
        duration_s,
        annotated=True,
        frames=frames,
        annotations=int(np.any([track.active for track in tracks], axis=0).sum()),
        objects=len(tracks),
        moves=any(
            np.ptp(values[track.active]) > 0
            for track in tracks
            for values in (track.azimuth_deg, track.elevation_deg, track.distance_m)
        ),
        category_frames=category_frames,
        directions=directions,
        sphere=sphere,
    )


def _beyond_the_plane(track: Track, in_room: np.ndarray) -> dict[str, int]:
    """Frames of an object by what is said of it that the plane does not have; ``in_room`` (frame)."""
    azimuth_deg, there = np.abs(track.azimuth_deg), track.active
    around_deg = np.abs(azimuth_deg - 360 * np.round(azimuth_deg / 360))
    flags = (
        around_deg > MAX_AZIMUTH_DEG,
        track.elevation_deg > 0,
        track.elevation_deg < 0,
        track.distance_m < REFERENCE_M,
        track.distance_m > REFERENCE_M,
        track.spread > 0,
        in_room,
    )
    return {name: int((flag & there).sum()) for name, flag in zip(SPHERE_NAMES, flags, strict=True)}

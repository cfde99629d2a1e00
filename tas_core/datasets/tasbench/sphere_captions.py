"""Captions of the 3D twin: prompts with places all around, ways, places beside other sounds, and rooms.

Wordings are data, in ``prompts/tasbench.yaml`` under ``sphere``, and mean what the prompt language reads of them. Each
caption is read back before it is used. What does not read as it was meant, beside a name with odd words or where two
wordings meet, is said in degrees and metres, which always does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tas_core.conventions import LEFT_SIGN, REFERENCE_M
from tas_core.datasets.sources.clips import source_rng
from tas_core.datasets.tasbench.captions import CaptionStyle, benchmark_data
from tas_core.errors import PromptError, TasError
from tas_core.timeline.prompts import Clause, format_prompt, parse_prompt, read_prompt
from tas_core.timeline.rooms import RoomChoice
from tas_core.timeline.segments import Segment, Timeline
from tas_core.timeline.sphere import SpherePath, SpherePoint
from tas_core.timeline.sphere_words import format_point
from tas_core.timeline.vocabulary import words_data

if TYPE_CHECKING:
    from tas_core.datasets.tasbench.scenes import Scene

ZENITH: Final = SpherePoint(0.0, 90.0)
_WIDE: Final = 0.5
"""From this spread on a sound is said to be all around."""


@dataclass(frozen=True)
class PlacedName:
    """An object over a segment.

    Attributes:
        name: in lower case, as prompts are read.
        path: where it is over the segment.
        relation: number of the wording of a place beside another object, if it may be said so, and that object's name.
        is_whole: whether the segment has all of its way, so that a way has its own words.
    """

    name: str
    path: SpherePath
    relation: tuple[int, str] | None = None
    is_whole: bool = True


@lru_cache(maxsize=1)
def sphere_data() -> dict[str, Any]:
    """The part of ``prompts/tasbench.yaml`` that is about the 3D twin, read once."""
    data: dict[str, Any] = benchmark_data()["sphere"]
    return data


@lru_cache(maxsize=4)
def _directions(style: CaptionStyle) -> tuple[tuple[int, str, SpherePoint], ...]:
    """Wordings of a style: the number of the list, the side, and what the language reads of them."""
    found = []
    for number, wordings in enumerate(sphere_data()["places"][style]):
        for side in ("left", "right") if "{side}" in wordings[0] else ("",):
            found.append((number, side, said_point(wordings[0].format(side=side))))
    return tuple(found)


@lru_cache(maxsize=256)
def said_point(wording: str) -> SpherePoint:
    """The place that the prompt language reads of a wording."""
    return parse_prompt(f"x {wording}")[0].path.start


@lru_cache(maxsize=512)
def related_point(relation: str, other: SpherePoint) -> SpherePoint:
    """The place that the prompt language reads of a wording of a place beside another, which is at ``other``.

    Raises:
        PromptError: there is none, as left of what is at the left ear.
    """
    words = relation.format(other="other")
    return parse_prompt(f"other {format_point(other)}, x {words}")[1].path.start


class SphereCaptioner:
    """Writes captions of scenes all around; one captioner keeps to its choice of wordings, as one annotator would.

    Args:
        style: "coarse" (six directions), "words" or "degrees".
        rng: chooses the wordings.
    """

    def __init__(self, style: CaptionStyle, rng: np.random.Generator) -> None:
        self.style = style
        data = sphere_data()
        choose = lambda options: options[int(rng.integers(len(options)))]  # noqa: E731
        self._places = [choose(wordings) for wordings in data["places"].get(style, [])]
        self._distances = {float(metres): choose(words) for metres, words in data["distance_words"].items()}
        self._wide = choose(data["wide_words"])
        self._clause = choose(data["clauses"])
        self._relative = choose(data["relative"])
        self._relations = [choose(wordings) for wordings in data["relations"]]
        self._ways = {way: choose(wordings) for way, wordings in data["ways"].items()}
        self._in_room = choose(data["in_rooms"])
        rooms: Mapping[str, Sequence[str]] = words_data("sphere.yaml")["rooms"]
        self._rooms = {name: choose(words) for name, words in rooms.items()}

    def said(self, point: SpherePoint) -> tuple[SpherePoint, str]:
        """What a caption of this style stands for in place of a point, and its words."""
        if point.spread >= _WIDE:
            return said_point(self._wide), self._wide
        if self.style == "degrees":
            rounded = rounded_point(point)
            return rounded, format_point(rounded)
        number, side, meant = min(_directions(self.style), key=lambda each: each[2].angle_to_deg(point))
        words = self._places[number].format(side=side)
        metres = min([REFERENCE_M, *self._distances], key=lambda each: abs(np.log(each / point.distance_m)))
        if metres == REFERENCE_M:
            return meant, words
        return replace(meant, distance_m=metres), f"{words} {self._distances[metres]}"

    def caption(self, placed: Sequence[PlacedName], room: str = "") -> str:
        """One prompt, from left to right.

        Args:
            placed: objects, at least one.
            room: name of a room of ``prompts/rooms.yaml`` that is said; empty for none.

        Raises:
            TasError: a prompt in degrees reads as something else.
        """
        ordered = sorted(placed, key=lambda item: (-LEFT_SIGN * item.path.start.lateral_deg, item.name))
        meant = {item.name: self._meant(item) for item in ordered if item.relation is None}
        for item in ordered:
            if item.relation is not None:
                meant[item.name] = self._meant_beside(item, meant.get(item.relation[1]))
        wanted = tuple(Clause.on_sphere(item.name, meant[item.name][0]) for item in ordered)
        choice = RoomChoice.by_name(room) if room else None
        texts = [self._in_words([meant[item.name] for item in ordered], [item.name for item in ordered], room)]
        texts.append(format_prompt(wanted, room=choice))
        for text in texts:
            if _reads_as(text, wanted, choice):
                return text
        raise TasError(f"the caption {texts[-1]!r} reads as something else; see prompts/tasbench.yaml")

    def _in_words(self, said: Sequence[tuple[SpherePath, str]], names: Sequence[str], room: str) -> str:
        clauses = []
        for (path, template), name in zip(said, names, strict=True):
            tried = [template.format(name=each) for each in (name, f'"{name}"')] if template else []
            # A place beside another sound can be read beside that only.
            good = [text for text in tried if "{other}" in template or _reads_as(text, (Clause.on_sphere(name, path),))]
            relative = [text for text in tried if _is_relative(text)]
            canonical = format_prompt((Clause.on_sphere(name, path),))
            clauses.append((relative or good or [canonical])[0])
        caption = ", ".join(clauses)
        return self._in_room.format(caption=caption, room=self._rooms[room]) if room else caption

    def _meant(self, item: PlacedName) -> tuple[SpherePath, str]:
        """The path that a clause says, and its template; an empty one is said in degrees."""
        path = item.path
        start, words = self.said(path.start)
        if not path.is_moving:
            return SpherePath.fixed(start), self._clause.replace("{place}", words)
        if not item.is_whole:
            return rounded_path(path), ""
        if path.is_circle:
            sense = "counterclockwise" if path.turn_s * LEFT_SIGN > 0 else "clockwise"
            shown = self._ways["circle"].replace("{seconds}", f"{abs(path.turn_s):g}").replace("{sense}", sense)
            return replace(path, start=start, end=start), shown.replace("{start}", words)
        if path.start.angle_to_deg(path.end) < 1 and path.start.distance_m != path.end.distance_m:
            way = "comes" if path.end.distance_m < path.start.distance_m else "leaves"
            near = replace(path.start, distance_m=REFERENCE_M)
            start, words = self.said(near)
            ends = [replace(start, distance_m=each.distance_m) for each in (path.start, path.end)]
            return SpherePath(ends[0], ends[1]), self._ways[way].replace("{start}", words)
        end, end_words = self.said(path.end)
        template = self._ways["overhead" if path.via else "moves"]
        try:
            meant = SpherePath(start, end, path.via)
        except PromptError:  # the words of both ends are opposite each other
            return rounded_path(path), ""
        return meant, template.replace("{start}", _as_end(words)).replace("{end}", _as_end(end_words))

    def _meant_beside(self, item: PlacedName, other: tuple[SpherePath, str] | None) -> tuple[SpherePath, str]:
        """The same of a place beside another, if that is said here; else by itself."""
        assert item.relation is not None
        number, name = item.relation
        if other is not None and self.style != "degrees":
            relation = self._relations[number]
            try:
                point = related_point(relation, other[0].start)
            except PromptError:
                return self._meant(item)
            words = self._relative.replace("{relation}", relation.replace("{other}", name))
            return SpherePath.fixed(point), words
        return self._meant(item)


def _as_end(words: str) -> str:
    """A direction as an end of a movement: "moves from on the left" is no English."""
    return str(sphere_data()["ends"].get(words, words.removeprefix("on ")))


def rounded_point(point: SpherePoint) -> SpherePoint:
    """A place in whole degrees and two digits of metres."""
    distance_m = float(f"{point.distance_m:.2g}")
    return SpherePoint(round(point.azimuth_deg), round(point.elevation_deg), distance_m, round(point.spread, 2))


def rounded_path(path: SpherePath) -> SpherePath:
    """A way whose ends are rounded."""
    start, end = rounded_point(path.start), rounded_point(path.end)
    return SpherePath(start, end, path.via, round(path.turns, 3), path.turn_s)


def _reads_as(text: str, wanted: Sequence[Clause], room: RoomChoice | None = None) -> bool:
    """Whether a prompt says this and nothing else."""
    try:
        said = read_prompt(text)
    except PromptError:
        return False
    meant = [(clause.object, clause.path) for clause in wanted]
    return [(c.object, c.path) for c in said.clauses] == meant and said.room == room


def _is_relative(text: str) -> bool:
    """Whether a clause can be read beside another only."""
    try:
        parse_prompt(text)
    except PromptError as error:
        return "which another is placed by" in str(error)
    return False


def sphere_timeline(scene: Scene, style: CaptionStyle | None = None, phrases: Sequence[str] | None = None) -> Timeline:
    """The annotation of a scene all around: who plays from when to when, and where.

    Args:
        scene: whose objects have places.
        style: instead of the scene's own.
        phrases: other names for the objects.
    """
    names = [item.phrase for item in scene.objects] if phrases is None else [phrase.lower() for phrase in phrases]
    captioner = SphereCaptioner(style or scene.style, source_rng(scene.seed, scene.clip, "captions"))
    edges_s = sorted({min(t, scene.length_s) for item in scene.objects for t in (item.start_s, item.stop_s)})
    segments = []
    for start_s, end_s in zip(edges_s, edges_s[1:], strict=False):
        there = [k for k, item in enumerate(scene.objects) if item.start_s <= start_s and item.stop_s >= end_s]
        placed = []
        for k in there:
            item = scene.objects[k]
            relation = None
            if item.beside is not None and item.beside.object in there:
                relation = item.beside.relation, names[item.beside.object]
            path, is_whole = item.path_within(start_s, end_s)
            placed.append(PlacedName(names[k], path, relation, is_whole))
        if placed:
            segments.append(Segment.from_prompt(start_s, end_s, captioner.caption(placed, scene.room_name)))
    return Timeline(tuple(segments))

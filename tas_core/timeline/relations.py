"""Places relative to other sounds: their grammar, and the coordinates that they come to when a prompt is read.

::

    relation = [strength | number "degrees"] side "of" name | "between" name "and" name | word name

Each word is in ``prompts/sphere.yaml``. Left and right are the listener's, so that left of what is behind turns towards
the left ear as well. A name is another of the prompt's objects, or words of one of them that fit no other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple, NoReturn

from tas_core.conventions import FARTHEST_M, LEFT_SIGN, MAX_AZIMUTH_DEG, NEAREST_M
from tas_core.errors import PromptError
from tas_core.timeline.lexer import PromptText
from tas_core.timeline.places import Edit, edited, read_number
from tas_core.timeline.spelling import english_name
from tas_core.timeline.sphere import SpherePath, SpherePoint
from tas_core.timeline.sphere_words import SphereWords

_DECIMALS: Final = 3
"""Coordinates are rounded to so many decimals, so that they can be written and read again."""


class Relation(NamedTuple):
    """A place relative to one other sound, or to two."""

    kind: str
    names: tuple[str, ...]
    span: tuple[int, int]
    """Of its words in the prompt, characters."""
    amount: float = 0.0
    """Degrees, positive to the left or up; or a factor of distance."""
    edits: tuple[Edit, ...] = ()
    said: Mapping[str, float] = {}
    """What is said beside it, by the field of :class:`tas_core.timeline.sphere.SpherePoint`."""
    at: tuple[int, int] = (0, 0)
    """Of the word for the relation, characters."""


Ends = Callable[[int], bool]


def read_relation(text: PromptText, words: SphereWords, i: int, ends: Ends | None) -> tuple[Relation, int] | None:
    """A relation at token i, and the index behind it; None if there is none.

    Args:
        text: the prompt.
        words: those of places all around.
        i: token.
        ends: whether the name of another sound ends before a token; None for the end of the clause.
    """
    ends = ends or text.ends_clause
    return _beside(text, words, i, ends) or _worded(text, words, i, ends)


def _beside(text: PromptText, words: SphereWords, i: int, ends: Ends) -> tuple[Relation, int] | None:
    """Left of the piano, 20 degrees to the right of the piano."""
    j, amount = i, words.numbers["beside_deg"]
    number = read_number(text, i)
    unit = number and text.match("degree_units", number[2])
    if number and unit and not number[1]:
        j, amount = unit, number[0]
    elif strength := text.known.strengths.match(text.tokens, i):
        j = strength[1]
        names = {float(d): name for name, d in _strength_degrees(text).items()}
        amount = words.beside_strengths.get(names.get(strength[0], ""), amount)
    while lead := text.known.leads.match(text.tokens, j):
        if lead[0] == "from":
            return None
        j = lead[1]
    side = text.known.sides.match(text.tokens, j)
    of = side and text.match("of", side[1])
    if side is None or of is None:
        return None
    if text.match("owners", of) or text.match("owners", text.skip("determiners", of)):
        return None
    if text.match("center", text.skip("determiners", of)):
        return None
    found = _name(text, of, ends)
    if found is None:
        return None
    name, stop = found
    edit = edited(text, j, side[1], side[0].mirror)
    if number and unit and not 0 < amount <= 90:
        text.fail("so far beside another sound, expected more than 0 and at most 90 degrees", i, unit)
    sign = side[0].sign * LEFT_SIGN
    return Relation("beside", (name,), _span(text, i, stop), sign * amount, (edit,)), stop


def _strength_degrees(text: PromptText) -> dict[str, float]:
    known = text.known
    return {"slightly": known.of_center_deg, "barely": 10.0, "half": 40.0, "far": 75.0, "hard": 90.0}


def _worded(text: PromptText, words: SphereWords, i: int, ends: Ends) -> tuple[Relation, int] | None:
    """Between the piano and the drums, opposite the piano, 30 degrees above the piano."""
    number = read_number(text, i)
    unit = number and text.match("degree_units", number[2])
    if number and unit and not number[1]:
        for role, sign in (("above_it", 1.0), ("below_it", -1.0)):
            stop = _match(text, words, role, unit)
            found = _name(text, stop, ends) if stop else None
            if found:
                return Relation("above", (found[0],), _span(text, i, found[1]), sign * number[0]), found[1]
    best: tuple[int, str] = max(((_match(text, words, role, i) or 0), role) for role in _ROLES)
    stop, role = best
    if not stop:
        return None
    known = text.known
    if any(hit and hit[1] > stop for hit in (known.leads.match(text.tokens, i), known.strengths.match(text.tokens, i))):
        return None
    if role == "between":
        return _between(text, i, stop, ends)
    found = _name(text, stop, ends)
    if found is None:
        return None
    name, last = found
    numbers = words.numbers
    amounts = {
        "above_it": numbers["above_deg"],
        "below_it": -numbers["above_deg"],
        "next_to": numbers["next_deg"],
        "behind_it": 1 / numbers["nearer_factor"],
        "before_it": numbers["nearer_factor"],
        "nearer_than": numbers["nearer_factor"],
        "farther_than": 1 / numbers["nearer_factor"],
    }
    at = text.tokens[i].start, text.tokens[stop - 1].stop
    return Relation(_ROLES[role], (name,), _span(text, i, last), amounts.get(role, 0.0), at=at), last


_ROLES: Final = {
    "between": "between",
    "next_to": "next to",
    "opposite": "opposite",
    "behind_it": "distance",
    "before_it": "distance",
    "above_it": "above",
    "below_it": "above",
    "nearer_than": "nearer",
    "farther_than": "nearer",
    "same_as": "same",
}


def _between(text: PromptText, i: int, stop: int, ends: Ends) -> tuple[Relation, int] | None:
    first = _name(text, stop, ends)
    joiner = first and text.match("joiners", first[1])
    last = _name(text, joiner, ends) if joiner else None
    if first is None or last is None:
        return None
    return Relation("between", (first[0], last[0]), _span(text, i, last[1])), last[1]


def _match(text: PromptText, words: SphereWords, role: str, i: int) -> int | None:
    hit = words.lists[role].match(text.tokens, i)
    return hit and hit[1]


def _name(text: PromptText, i: int, ends: Ends) -> tuple[str, int] | None:
    """The name of another sound at token i, and the index behind it; None where a place or nothing follows."""
    if text.match("owners", i) or text.match("owners", text.skip("determiners", i)):
        return None
    k = i
    while lead := text.known.leads.match(text.tokens, k):
        if lead[0]:
            return None
        k = lead[1]
    if text.known.sides.match(text.tokens, k) or text.match("center", k) or text.match("side_nouns", k):
        return None
    if read_number(text, k):
        return None
    stop = k
    while stop < len(text.tokens) and not ends(stop):
        stop += 1
    if stop == k:
        return None
    name = " ".join(text.source(n, n + 1) for n in range(k, stop)).replace('"', "").lower()
    if text.language:
        name = english_name(name) or name
    return name, stop


def _span(text: PromptText, first: int, stop: int) -> tuple[int, int]:
    return text.tokens[first].start, text.tokens[stop - 1].stop


# ---------------------------------------------------------------------------- coordinates


class Resolver:
    """Coordinates of relations.

    Args:
        text: the prompt, for messages.
        paths: where each object is, as far as that does not depend on another; None where it has no place.
        relations: by object.
    """

    def __init__(
        self, text: PromptText, paths: Mapping[str, SpherePath | None], relations: Mapping[str, Relation]
    ) -> None:
        self.text = text
        self.paths = dict(paths)
        self.relations = relations
        self.edits: list[Edit] = []
        self._open: list[str] = []

    def resolve(self) -> dict[str, SpherePath]:
        """Paths of all objects that have a relation.

        Raises:
            PromptError: a cycle, a name that no object has or several have, one without a place, or a place that
                does not exist, such as left of what is at the left ear; with the words under the caret.
        """
        return {name: self.path(name, relation) for name, relation in self.relations.items()}

    def path(self, name: str, relation: Relation) -> SpherePath:
        """Path of an object."""
        if name in self._open:
            cycle = " and ".join(f'"{each}"' for each in dict.fromkeys(self._open[self._open.index(name) :]))
            self.fail(f"places in a circle: those of {cycle} depend on each other; give one of them its own", relation)
        self._open.append(name)
        others = [self.other(each, relation, name) for each in relation.names]
        self._open.pop()
        try:
            return self.placed(relation, others)
        except PromptError as error:
            self.fail(str(error), relation)

    def other(self, name: str, relation: Relation, own: str) -> SpherePath:
        """Path of an object that a relation names."""
        found = [each for each in (*self.paths, *self.relations) if each == name]
        words = name.split()
        pool = [each for each in dict.fromkeys((*self.paths, *self.relations)) if each != own]
        found = found[:1] or [each for each in pool if _has_words(each.split(), words)]
        if len(found) != 1:
            named = ", ".join(f'"{each}"' for each in pool)
            which = f"one of {named}" if pool else "a sound with a place in the same prompt"
            what = "several sounds have" if found else "no sound of this prompt has"
            self.fail(f'{what} the name "{name}", which another is placed by; expected {which}', relation)
        if found[0] in self.relations:
            return self.path(found[0], self.relations[found[0]])
        path = self.paths[found[0]]
        if path is None:
            self.fail(f'"{found[0]}" has no place, expected one, since another is placed by it', relation)
        return path

    def placed(self, relation: Relation, others: list[SpherePath]) -> SpherePath:
        """A path by those of others."""
        other = others[0]
        if relation.kind == "between":
            second = others[1]
            if other.is_circle or second.is_circle:
                raise PromptError("a place between sounds that circle around, expected sounds that do not")
            ends = [_middle(*pair) for pair in ((other.start, second.start), (other.end, second.end))]
            start, end = (_said(point, relation.said) for point in ends)
            return SpherePath(start, end)
        if other.is_circle and relation.kind in ("beside", "next to"):
            raise PromptError("a place beside a sound that circles around, expected for example opposite or above it")
        via = other.via and self.moved(other.via, relation) if relation.kind == "beside" else other.via
        points = [_said(self.moved(point, relation), relation.said) for point in (other.start, other.end)]
        return SpherePath(points[0], points[1], via, other.turns, other.turn_s)

    def moved(self, point: SpherePoint, relation: Relation) -> SpherePoint:
        """A place in a relation to another."""
        amount = relation.amount
        if relation.kind == "beside":
            return _beside_point(point, amount)
        if relation.kind == "next to":
            lateral = point.lateral_deg
            if not round(lateral, _DECIMALS):  # in the middle: on the left, and its mirror image on the right
                self.mirror_next_to(relation)
                return _beside_point(point, LEFT_SIGN * amount)
            return _beside_point(point, -math.copysign(amount, lateral))
        if relation.kind == "opposite":
            return replace(point, azimuth_deg=point.azimuth_deg + 180.0)
        if relation.kind == "above":
            elevation_deg = point.elevation_deg + amount
            if abs(elevation_deg) > 90:
                raise PromptError(f"an elevation of {elevation_deg:g} degrees is beyond straight up or down")
            return replace(point, elevation_deg=elevation_deg)
        if relation.kind in ("distance", "nearer"):
            distance_m = round(point.distance_m * amount, _DECIMALS)
            return replace(point, distance_m=min(max(distance_m, NEAREST_M), FARTHEST_M))
        return point

    def mirror_next_to(self, relation: Relation) -> None:
        """The words for the other side, beside what is in the middle."""
        edit = (*relation.at, f"{relation.amount:g} degrees right of")
        if edit not in self.edits:
            self.edits.append(edit)

    def fail(self, what: str, relation: Relation) -> NoReturn:
        """Raise a PromptError with a relation's words under the caret."""
        self.text.fail_at(what, *relation.span)


def _has_words(name: list[str], words: list[str]) -> bool:
    """Whether a name has words at its beginning or its end: "man" of "man talking"."""
    return words in (name[: len(words)], name[-len(words) :])


def _said(point: SpherePoint, said: Mapping[str, Any]) -> SpherePoint:
    return replace(point, **said) if said else point


def _beside_point(point: SpherePoint, left_deg: float) -> SpherePoint:
    """A place so many degrees further to the listener's left, in front and behind; at most at the ear."""
    azimuth_deg = point.azimuth_deg
    is_behind = abs(azimuth_deg) > MAX_AZIMUTH_DEG
    lateral = math.copysign(180.0, azimuth_deg) - azimuth_deg if is_behind else azimuth_deg
    if left_deg * lateral > 0 and abs(lateral) >= MAX_AZIMUTH_DEG:
        side = "left" if left_deg * LEFT_SIGN > 0 else "right"
        raise PromptError(f"nothing is further to the {side} than what is at the {side} ear, expected another place")
    lateral = max(-MAX_AZIMUTH_DEG, min(MAX_AZIMUTH_DEG, lateral + left_deg))
    moved = math.copysign(180.0, lateral) - lateral if is_behind else lateral
    return replace(point, azimuth_deg=round(moved, _DECIMALS))


def _middle(first: SpherePoint, second: SpherePoint) -> SpherePoint:
    """The place halfway between two, along the great circle."""
    in_plane = first.is_frontal and second.is_frontal
    path = SpherePath(first, second, SpherePoint(0.0) if in_plane and first.angle_to_deg(second) > 179.9 else None)
    point = path.point(0.5, 1.0)
    values = (point.azimuth_deg, point.elevation_deg, point.distance_m, point.spread)
    return SpherePoint(*(round(value, _DECIMALS) for value in values))

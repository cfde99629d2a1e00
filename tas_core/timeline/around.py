"""The grammar of places all around: behind, above, near and far, wide, and the ways between them.

::

    place   = point | "from" point ["via" point] "to" point | passing | circle
    point   = (lead* atom)+                       atoms may be joined by "and" or a comma
    atom    = plane point | behind | elevation | distance | spread | relation
    circle  = verb ["around me"] (sense | "every" seconds | count | "starting" point | attribute)*

This runs before the grammar of :mod:`tas_core.timeline.places` and of levels. What it understands becomes one token, so
that the rest of the grammar meets a place like any other; what the frontal plane can say is left as it is. Each word
is in ``prompts/sphere.yaml``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from tas_core.conventions import LEFT_SIGN, MAX_AZIMUTH_DEG, REFERENCE_M
from tas_core.errors import PromptError
from tas_core.timeline.lexer import PromptText
from tas_core.timeline.places import Edit, Spot, read_number, read_place, read_plane_point
from tas_core.timeline.relations import Relation, read_relation
from tas_core.timeline.sphere import SpherePath, SpherePoint, wrapped_deg
from tas_core.timeline.sphere_words import SphereWords, room_phrases, sphere_words
from tas_core.timeline.vocabulary import Token

_MARK: Final = "\0"
"""How the tokens of places begin, as no word can."""


@dataclass
class _Said:
    """What the words of one point say so far; None where they say nothing."""

    first: int
    stop: int
    leads: set[str] = field(default_factory=set)
    azimuth_deg: float | None = None
    is_behind: bool = False
    elevation_deg: tuple[float, float] | None = None
    distance_m: tuple[float, float] | None = None
    spread: float | None = None
    relation: Relation | None = None
    is_strong: bool = False
    is_front: bool = False
    comes: bool = False
    edits: list[Edit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    @property
    def is_beyond(self) -> bool:
        """Whether more is said than a direction in front."""
        beyond = self.azimuth_deg is not None and abs(self.azimuth_deg) > MAX_AZIMUTH_DEG
        return beyond or bool(set(self.kinds) - {"azimuth"})

    @property
    def has_direction(self) -> bool:
        """Whether a direction is said."""
        relative = self.relation is not None and self.relation.kind != "nearer"
        return self.azimuth_deg is not None or self.is_behind or relative

    def add(self, found: _Said) -> None:
        """Add what an atom says."""
        for name in ("azimuth_deg", "elevation_deg", "distance_m", "spread", "relation"):
            if (value := getattr(found, name)) is not None and not (name == "elevation_deg" and self.elevation_deg):
                setattr(self, name, value)
        self.is_behind |= found.is_behind
        self.is_strong |= found.is_strong
        self.is_front |= found.is_front
        self.comes |= found.comes
        self.edits += found.edits
        self.notes += found.notes
        self.kinds += found.kinds
        self.stop = found.stop

    def same_height(self, other: _Said) -> bool:
        """Whether another says the same height once more: "up high"."""
        if self.elevation_deg is None or other.elevation_deg is None:
            return False
        return self.elevation_deg[1] * other.elevation_deg[1] > 0

    def azimuth(self) -> float:
        """Azimuth in degrees, mirrored to the back where it is behind."""
        azimuth_deg = self.azimuth_deg or 0.0
        if not self.is_behind or abs(azimuth_deg) > MAX_AZIMUTH_DEG:
            return azimuth_deg
        return math.copysign(180.0, azimuth_deg) - azimuth_deg if azimuth_deg else 180.0

    def points(self) -> tuple[SpherePoint, SpherePoint]:
        """The place at the beginning and at the end: distances may change.

        Raises:
            PromptError: a value is out of its range.
        """
        elevation_deg = 0.0
        if self.elevation_deg is not None:
            elevation_deg = self.elevation_deg[1 if self.azimuth_deg is not None or self.is_behind else 0]
        near, far = self.distance_m or (REFERENCE_M, REFERENCE_M)
        start = SpherePoint(self.azimuth(), elevation_deg, near, self.spread or 0.0)
        return start, replace(start, distance_m=far)


Atom = Callable[[int, _Said], int | None]


def take_places(text: PromptText) -> None:
    """Make one token of each place that is more than a direction in front, and take out the room.

    Args:
        text: the prompt; its tokens, ``spots`` and ``room`` are changed.

    Raises:
        PromptError: a place that contradicts itself or is out of range, or two rooms.
    """
    reader = _Reader(text)
    if reader.may_find:
        reader.take()


class _Reader:
    """One pass over the tokens of a prompt."""

    def __init__(self, text: PromptText) -> None:
        self.text = text
        self.words: SphereWords = sphere_words(text.language)
        self.rooms = room_phrases(text.language)
        self.kept: list[Token] = []
        self.far_until = 0  # up to where "distant" before a name holds for its place
        far_m = self.words.values["distances_beside"].get(("distant",), REFERENCE_M)
        self.far_m = (far_m, far_m)
        self.atoms: tuple[Atom, ...] = (
            self.elevation_number, self.distance_number, self.spread_number, self.relation, self.approach, self.behind,
            self.elevation, self.ear, self.distance, self.spread,
        )  # fmt: skip

    @property
    def may_find(self) -> bool:
        """Whether the prompt has a word that may begin such a place, or a number that may."""
        keys = {token.key for token in self.text.tokens}
        numbers = [read_number(self.text, i) for i in range(len(self.text.tokens))]
        large = any(number and abs(number[0]) > MAX_AZIMUTH_DEG for number in numbers)
        roles = ("clock", "half_past", "of")
        worded = any(self.text.match(role, i) for role in roles for i in range(len(self.text.tokens)))
        return large or worded or any(":" in key for key in keys) or bool(keys & self.words.triggers)

    def take(self) -> None:
        i = 0
        while i < len(self.text.tokens):
            i = self.step(i)
        self.text.tokens = self.kept

    def step(self, i: int) -> int:
        """Look at token i: the number of the next to look at."""
        if stop := self.room(i):
            return stop
        if adjective := self.adjective(i):
            return adjective
        spot = self.circle(i) or self.passage(i) or self.way(i)
        if spot is None:
            self.kept.append(self.text.tokens[i])
            return i + 1
        self.put(spot, i, spot.stop)
        return spot.stop

    def put(self, spot: Spot, i: int, stop: int) -> None:
        """Keep a place as one token."""
        key = f"{_MARK}{len(self.text.spots)}"
        self.text.spots[key] = spot
        self.kept.append(Token(key, self.text.tokens[i].start, self.text.tokens[stop - 1].stop))

    # ------------------------------------------------------------------ words

    def match(self, role: str, i: int) -> int | None:
        """Index behind the longest phrase of a role at token i, or None."""
        hit = self.words.lists[role].match(self.text.tokens, i)
        return hit and hit[1]

    def value(self, role: str, i: int) -> tuple[float, int] | None:
        """Number of the longest phrase of a role at token i, and the index behind it."""
        return self.words.values[role].match(self.text.tokens, i)

    def clause_start(self, i: int) -> int:
        """The first token of the clause of token i."""
        while i > 0 and not self.text.ends_clause(i - 1):
            i -= 1
        return i

    def has_name_before(self, i: int) -> bool:
        """Whether something that may be a sound stands before token i in its clause, or its clause goes on."""
        words = range(self.clause_start(i), i)
        dropped = [k for k in words if self.text.match("dropped", k) or self.text.match("openers", k)]
        return len(dropped) < len(words) or (not words and i > 0)

    def is_joined(self, i: int) -> int:
        """Index behind an "and" or a comma at token i; i if there is none."""
        return i + 1 if self.text.key(i) in (",", "，", "and", "but") else i

    def leads(self, i: int, said: _Said) -> int:
        """Index behind prepositions, articles and hedges at token i."""
        while lead := self.text.known.leads.match(self.text.tokens, i):
            if lead[0]:
                said.leads.add(lead[0])
            i = lead[1]
        return i

    # ------------------------------------------------------------------ rooms and adjectives

    def room(self, i: int) -> int | None:
        """Index behind a room at token i, which is noted; or None."""
        hit = self.rooms.match(self.text.tokens, i)
        if hit is None:
            return None
        name, stop = hit
        begins = i == 0 or self.text.ends_clause(i - 1)
        ends = self.text.ends_clause(stop) or self.text.gap(stop - 1).lstrip().startswith((":", "："))
        if not ends or not (begins or self.follows_place(i)):
            return None
        if self.text.room and self.text.room != name:
            self.text.fail(f'two rooms at once, "{self.text.room}" and another; expected one in a prompt', i, stop)
        self.text.room = name
        return stop

    def follows_place(self, i: int) -> bool:
        """Whether a place ends right before token i."""
        if self.kept and self.kept[-1].key.startswith(_MARK) and self.kept[-1].stop <= self.text.tokens[i].start:
            gap = self.text.text[self.kept[-1].stop : self.text.tokens[i].start]
            return not gap.strip(" ,\t")
        try:
            places = (read_place(self.text, k) for k in range(self.clause_start(i), i))
            return any(place is not None and place.stop == i for place in places)
        except PromptError:
            return False

    def adjective(self, i: int) -> int | None:
        """Index behind "distant" at the beginning of a name at token i: a place right behind that name, or None."""
        stop = self.match("distances_before", i)
        before = [k for k in range(self.clause_start(i), i) if not self.text.match("dropped", k)]
        if not stop or before or self.text.ends_clause(stop) or self.text.known.leads.match(self.text.tokens, stop):
            return None
        if self.value("distances_beside", stop) or self.text.known.sides.match(self.text.tokens, stop):
            return None
        self.far_until = stop
        while not self.text.ends_clause(self.far_until):
            self.far_until += 1
        if any(self.point(k) for k in range(stop, self.far_until)):
            return stop  # the place takes the distance
        while self.kept and (self.kept[-1].key,) in self.text.known.lists["dropped"]:
            self.kept.pop()
        said = _Said(i, stop, distance_m=self.far_m, kinds=["distance"])
        self.put(self.spot(said, SpherePath.fixed(self.points(said)[0]), ""), i, stop)
        return stop

    # ------------------------------------------------------------------ ways

    def way(self, i: int) -> Spot | None:
        """A place that stays at token i, or a way from one to another."""
        start = self.point(i)
        if start is None:
            return None
        if i < self.far_until and start.distance_m is None:
            start.distance_m, start.is_strong = self.far_m, True
            start.kinds.append("distance")
        if not (start.leads & {"to", "at"}) or self.text.match("passing", i):
            k = self.text.skip("adverbs", start.stop)
            via = None
            if (over := self.match("via", k)) and (passed := self.point(over)):
                via, k = passed, self.text.skip("adverbs", passed.stop)
            end = self.point(k)
            if (
                end
                and "from" in end.leads
                and not start.leads
                and not start.has_direction
                and not start.comes
                and not via
            ):
                return self.beside_way(start, end)
            if end is not None and "to" in end.leads:
                beyond = start.is_beyond or end.is_beyond or via is not None
                return self.movement(start, end, via) if beyond and start.is_strong and end.is_strong else None
            if end is None and self.text.match("passing", i):
                return None
        return self.stay(start) if start.is_beyond and start.is_strong else None

    def beside_way(self, said: _Said, start: _Said) -> Spot | None:
        """A way behind what holds for both of its ends: "above from left to right"."""
        end = self.point(self.text.skip("adverbs", start.stop))
        if end is None or "to" not in end.leads:
            return self.stay(said) if said.is_strong else None
        for each in (start, end):
            if each.elevation_deg is None:
                each.elevation_deg = said.elevation_deg
            if each.distance_m is None:
                each.distance_m = said.distance_m
            if each.spread is None:
                each.spread = said.spread
        spot = self.movement(start, end, None)
        return spot._replace(edits=(*said.edits, *spot.edits))

    def stay(self, said: _Said) -> Spot:
        """A place of one point; its distance may change."""
        lead = next((kind for kind in ("to", "from", "at") if kind in said.leads), "")
        if said.relation:
            return self.spot(said, None, lead, relation=self.with_attributes(said))
        start, end = self.points(said)
        return self.spot(said, SpherePath(start, end), "path" if start != end else lead)

    def with_attributes(self, said: _Said) -> Relation:
        """A relation with the direction, the distance and the spread that are said beside it."""
        assert said.relation is not None
        point = self.points(replace_relation(said))[0]
        names = {
            "azimuth_deg": said.azimuth_deg is not None or said.is_behind,
            "elevation_deg": said.elevation_deg is not None,
            "distance_m": said.distance_m is not None,
            "spread": said.spread is not None,
        }
        return said.relation._replace(said={name: getattr(point, name) for name, there in names.items() if there})

    def spot(self, said: _Said, path: SpherePath | None, lead: str, relation: Relation | None = None) -> Spot:
        return Spot(said.stop, path, lead, tuple(said.edits), tuple(said.notes), relation)

    def movement(self, start: _Said, end: _Said, via: _Said | None) -> Spot:
        """A way from one point to another; what only one of them says beside a direction holds for both."""
        for said in (start, end):
            if said.relation:
                self.text.fail(
                    "a movement from or to another sound is not supported, expected places in words or degrees",
                    said.first, said.stop,
                )  # fmt: skip
        first, last = self.points(start)[0], self.points(end)[0]
        if start.spread is None:
            first = replace(first, spread=last.spread)
        if end.spread is None:
            last = replace(last, spread=first.spread)
        if not end.has_direction and end.elevation_deg is None:
            last = replace(last, azimuth_deg=first.azimuth_deg, elevation_deg=first.elevation_deg)
        if not start.has_direction and start.elevation_deg is None:
            first = replace(first, azimuth_deg=last.azimuth_deg, elevation_deg=last.elevation_deg)
        passed = self.points(via)[0] if via else None
        path = self.made(first, last, passed, (start.first, end.stop))
        merged = _Said(start.first, end.stop, edits=[*start.edits, *(via.edits if via else []), *end.edits])
        merged.notes = [*start.notes, *end.notes]
        return self.spot(merged, path, "path")

    def made(self, first: SpherePoint, last: SpherePoint, via: SpherePoint | None, span: tuple[int, int]) -> SpherePath:
        """A path; opposite ends are refused with the words that say them under the caret."""
        try:
            return SpherePath(first, last, via)
        except PromptError as error:
            way_out = 'expected for example "via overhead", or "via the left", between them'
            self.text.fail(f"{error}; {way_out}", *span)

    def points(self, said: _Said) -> tuple[SpherePoint, SpherePoint]:
        """The place at both ends, with its words under the caret if a value is out of range."""
        try:
            return said.points()
        except PromptError as error:
            self.text.fail(str(error), said.first, said.stop)

    def passage(self, i: int) -> Spot | None:
        """The word overhead behind a verb of movement: "passes overhead from front to back"."""
        stop = self.match("overhead", i)
        k = i - 1
        while k >= 0 and self.text.match("adverbs", k) == k + 1:
            k -= 1
        if not stop or not any(self.match("passing", m) == k + 1 for m in range(max(0, k - 1), k + 1)):
            return None
        zenith = SpherePoint(0.0, 90.0)
        j = self.text.skip("adverbs", stop)
        start = self.point(j)
        end = self.point(self.text.skip("adverbs", start.stop)) if start and "from" in start.leads else None
        if start and end and "to" in end.leads:
            first, last = self.points(start)[0], self.points(end)[0]
            said = _Said(i, end.stop, edits=[*start.edits, *end.edits])
        elif start and start.leads & {"from", "to"}:
            self.text.fail("half of a movement, expected from ... to ...", i, start.stop)
        else:
            first, last, said = SpherePoint(0.0), SpherePoint(180.0), _Said(i, stop)
            said.notes.append(
                f'"{self.text.source(k, stop)}" goes from front to back; "from ... to ..." says another way'
            )
        return self.spot(said, self.made(first, last, zenith, (i, said.stop)), "path")

    # ------------------------------------------------------------------ circles

    def circle(self, i: int) -> Spot | None:
        """A circle around the listener that begins at token i."""
        verb = self.match("circles", i)
        stop, said = verb or i, _Said(i, i)
        stop = self.text.skip("adverbs", stop) if verb else stop
        around = self.match("around", stop)
        moves = i > 0 and any(self.text.match(role, i - 1) for role in ("moves", "moves_kept", "circling"))
        sense = self.match("clockwise", stop) or self.match("counterclockwise", stop)
        if verb and not (
            self.has_name_before(i) and (around or sense or self.text.ends_clause(stop) or self.modifier(stop))
        ):
            return None
        if not verb and not (moves and (around or sense)) and not (self.match("around_alone", i) and i > 0):
            return None
        if not verb and around and self.text.key(i) not in ("around", "all", "in", "round"):
            return None
        said.stop = around or stop
        turn = _Turn(said)
        if verb:
            self.speed_between(verb, turn)
        while more := self.circle_part(turn):
            said.stop = more
        for k in range(max(0, i - 2), i):
            if (speed := self.value("speeds", k)) and speed[1] == i:
                turn.period_s = speed[0]
        return self.circled(turn, i)

    def speed_between(self, verb: int, turn: _Turn) -> None:
        if speed := self.value("speeds", verb):
            turn.period_s = speed[0]

    def modifier(self, i: int) -> bool:
        """Whether what only a circle has is at token i."""
        number = read_number(self.text, i)
        counted = number is not None and self.match("times", number[2]) is not None
        return counted or any(self.match(role, i) for role in ("every", "starting")) or bool(self.value("counts", i))

    def circle_part(self, turn: _Turn) -> int | None:
        """Index behind one more part of a circle, which is noted."""
        said = turn.said
        comma = self.is_joined(said.stop)
        i = self.text.skip("joiners", said.stop) if comma > said.stop else said.stop
        for role, sign in (("clockwise", -1), ("counterclockwise", 1)):
            if stop := self.match(role, i):
                if turn.sign not in (None, sign):
                    self.text.fail("a circle has one sense: clockwise or counterclockwise", i, stop)
                turn.sign, other = sign, "clockwise" if role != "clockwise" else "counterclockwise"
                said.edits.append((self.text.tokens[i].start, self.text.tokens[stop - 1].stop, other))
                return stop
        if stop := self.match("every", i):
            number = read_number(self.text, stop)
            unit = number and self.text.match("time_units", number[2])
            if number is None or unit is None:
                self.text.fail("a circle in what time? Expected for example every 8 seconds", i, stop)
            self.set_period(turn, self.seconds(number[0], number[2]), i, unit)
            return unit
        if counted := self.value("counts", i):
            self.set_turns(turn, counted[0], i, counted[1])
            return counted[1]
        number = read_number(self.text, i)
        if number and (times := self.match("times", number[2])):
            self.set_turns(turn, number[0], i, times)
            return times
        if (speed := self.value("speeds", i)) and not comma > said.stop:
            turn.period_s = speed[0]
            return speed[1]
        if (
            comma == said.stop
            and (around := self.match("around", i))
            and self.text.key(i) in ("around", "round", "all")
        ):
            return around
        return self.circle_place(turn, i, comma > said.stop)

    def circle_place(self, turn: _Turn, i: int, is_joined: bool) -> int | None:
        """Index behind where a circle starts or ends, or what height or distance it has."""
        starts = self.match("starting", i)
        point = self.point(starts or i)
        if point is None:
            return None
        if starts or (turn.start and "to" in point.leads):
            if point.relation:
                self.text.fail("a circle starts at a place, expected one in words or degrees", i, point.stop)
            if starts and turn.start:
                self.text.fail("a circle starts once", i, point.stop)
            if starts:
                turn.start = point
            else:
                turn.end = point
        elif not point.has_direction and not point.relation and (not is_joined or self.text.ends_clause(point.stop)):
            if turn.beside:
                return None
            turn.beside = point
        else:
            return None
        turn.said.edits += point.edits
        return point.stop

    def seconds(self, value: float, i: int) -> float:
        """Seconds of a number whose unit is token i."""
        unit = self.text.key(i)
        if unit.startswith(("beat", "bar")):
            self.text.fail("a circle in beats or bars, expected seconds", i - 1, i + 1)
        return value * (
            0.001
            if unit in ("ms", "milliseconds")
            else 60
            if unit.startswith("min")
            else 3600
            if unit.startswith("h")
            else 1
        )

    def set_period(self, turn: _Turn, period_s: float, first: int, stop: int) -> None:
        if not period_s > 0:
            self.text.fail("a circle in no time, expected more than 0 seconds", first, stop)
        if turn.turns:
            self.text.fail("a second speed of one circle", first, stop)
        turn.period_s = period_s

    def set_turns(self, turn: _Turn, turns: float, first: int, stop: int) -> None:
        if not turns > 0:
            self.text.fail("no circle, expected more than 0 turns", first, stop)
        turn.turns = turns

    def circled(self, turn: _Turn, i: int) -> Spot:
        """The place of a circle, with its default speed and sense."""
        said = turn.said
        begin = turn.start or turn.beside
        start = self.points(begin)[0] if begin else SpherePoint(0.0)
        if turn.start and turn.beside:
            beside = self.points(turn.beside)[0]
            if turn.beside.elevation_deg is not None:
                start = replace(start, elevation_deg=turn.beside.elevation_deg[1])
            if turn.beside.distance_m is not None:
                start = replace(start, distance_m=beside.distance_m)
            if turn.beside.spread is not None:
                start = replace(start, spread=beside.spread)
        elif turn.beside and turn.beside.elevation_deg is not None:
            start = replace(start, elevation_deg=turn.beside.elevation_deg[1])
        end = self.points(turn.end)[0] if turn.end else start
        sign = turn.sign or -1
        if turn.sign is None:
            at = self.text.tokens[said.stop - 1].stop
            said.edits.append((at, at, " counterclockwise"))
        period_s = turn.period_s
        if not period_s and not turn.turns:
            period_s = self.words.numbers["turn_s"]
            said.notes.append(f'a circle every {period_s:g} seconds; "every 20 seconds" or "twice" says another speed')
        turn_s = 0.0 if turn.turns else LEFT_SIGN * sign * (period_s or 0.0)
        try:
            path = SpherePath(start, end, None, LEFT_SIGN * sign * (turn.turns or 0.0), turn_s)
        except PromptError as error:
            self.text.fail(str(error), i, said.stop)
        return self.spot(said, path, "path")

    # ------------------------------------------------------------------ points

    def point(self, i: int) -> _Said | None:
        """One point: atoms with the words that lead to them, as long as they say more of it."""
        said = self.atom(i)
        if said is None:
            return None
        while True:
            joined = self.is_joined(said.stop)
            found = self.atom(joined)
            if found is None or not self.belongs(said, found, is_joined=joined > said.stop):
                return said
            said.add(found)

    def atom(self, i: int) -> _Said | None:
        """One atom at token i, with the words that lead to it."""
        leads: set[str] = set()
        at = i
        while True:
            for read in self.atoms:
                found = _Said(i, i)
                if stop := read(at, found):
                    found.stop = stop
                    lead = self.text.known.leads.match(self.text.tokens, at)  # of "to the back"
                    found.leads |= leads | ({lead[0]} & {"from", "to"} if lead else set())
                    return found
            lead = self.text.known.leads.match(self.text.tokens, at)
            if lead is None:
                break
            leads |= {lead[0]} - {""}
            at = lead[1]
        found = _Said(i, i)
        if stop := self.plane(i, found):
            found.stop = stop
            return found
        return None

    def belongs(self, said: _Said, found: _Said, *, is_joined: bool) -> bool:
        """Whether an atom says more of the point before it.

        Raises:
            PromptError: it contradicts it, as in "above and below".
        """
        if found.leads & {"to", "from"} and not self.goes_on(said, found):
            return False
        ends = self.text.ends_clause(found.stop)
        if not found.is_strong and not ends and self.atom(found.stop) is None and not self.follows_room(found.stop):
            return False
        kinds = set(found.kinds) - {"azimuth"}
        if is_joined and not (ends and found.is_strong and (kinds or not said.has_direction)):
            return False
        shared = set(said.kinds) & set(found.kinds)
        if (said.relation or found.relation) and said.has_direction and found.has_direction:
            shared.add("direction")
        if shared == {"elevation"} and said.same_height(found):
            return True
        front = said.is_front or found.is_front
        if (shared and shared != {"azimuth"}) or (front and (said.is_behind or found.is_behind)):
            self.text.fail("a sound has one place at a time", said.first, found.stop)
        return not shared

    def follows_room(self, i: int) -> bool:
        """Whether a room is at token i."""
        return self.rooms.match(self.text.tokens, i) is not None

    @staticmethod
    def goes_on(said: _Said, found: _Said) -> bool:
        """Whether "to the left" goes on with what was said, as in "3 m to the left", rather than being an end."""
        if found.leads == {"from"}:  # "comes closer from the left"
            return said.comes and not said.has_direction and bool(found.kinds) and found.has_direction
        back = said.kinds == ["behind"] and not said.is_strong
        alone = not said.leads & {"from", "to"} and said.azimuth_deg is None and not back
        return found.kinds == ["azimuth"] and found.leads == {"to"} and alone

    # ------------------------------------------------------------------ atoms

    def elevation_number(self, i: int, said: _Said) -> int | None:
        """30 degrees up, at an elevation of 30 degrees."""
        before = self.match("elevation_of", i)
        number = read_number(self.text, before or i)
        if number is None:
            return None
        value, signed, stop = number
        unit = self.text.match("degree_units", stop)
        if unit is None and not before:
            return None
        k = unit or stop
        up, down = self.match("up", k), self.match("down", k)
        if not (before or up or down):
            return None
        behind = up or down or k
        if not before and read_relation(self.text, self.words, i, None):
            return None  # "30 degrees above the piano"
        sign = -1.0 if down and not (up and up > down) else 1.0
        if signed and down:
            self.text.fail("a sign beside a word for up or down, expected one of them", i, behind)
        if abs(value) > 90:
            self.text.fail("an elevation is at most 90 degrees, straight up or down", i, behind)
        said.elevation_deg, said.is_strong, said.kinds = (sign * value, sign * value), True, ["elevation"]
        return behind

    def distance_number(self, i: int, said: _Said) -> int | None:
        """3 m away, at a distance of 10 feet."""
        before = self.match("distance_of", i)
        number = read_number(self.text, before or i)
        if number is None:
            return None
        value, _, stop = number
        unit = self.value("metres", stop)
        if unit is None:
            k = self.leads(stop, _Said(stop, stop))
            other = read_number(self.text, k) if "to" in self._kinds(stop) else None
            unit = self.value("metres", other[2]) if other else None
            if unit is None:
                return None
            unit = (unit[0], stop)
        away = self.match("away", unit[1]) or unit[1]
        metres = value * unit[0]
        try:
            SpherePoint(0.0, 0.0, metres)
        except PromptError as error:
            self.text.fail(str(error), i, away)
        said.distance_m, said.is_strong, said.kinds = (metres, metres), True, ["distance"]
        return away

    def _kinds(self, i: int) -> set[str]:
        said = _Said(i, i)
        self.leads(i, said)
        return said.leads

    def spread_number(self, i: int, said: _Said) -> int | None:
        """Spread 50 percent, width 0.5."""
        before = self.match("spread_of", i)
        number = read_number(self.text, before) if before else None
        if number is None:
            return None
        unit = self.value("spread_units", number[2])
        share = number[0] * (unit[0] if unit else 1.0)
        stop = unit[1] if unit else number[2]
        if not 0 <= share <= 1:
            self.text.fail("a spread from 0 (a point) to 1, or 100 percent (all around)", i, stop)
        said.spread, said.is_strong, said.kinds = share, True, ["spread"]
        return stop

    def relation(self, i: int, said: _Said) -> int | None:
        """Left of the piano, between the piano and the drums."""
        hit = read_relation(self.text, self.words, i, self.ends_name)
        if hit is None:
            return None
        said.relation, stop = hit
        said.edits, said.is_strong, said.kinds = list(said.relation.edits), True, ["relation"]
        return stop

    def ends_name(self, i: int) -> bool:
        """Whether the name of another sound cannot go on with token i."""
        if self.text.ends_clause(i) or self.rooms.match(self.text.tokens, i):
            return True
        try:
            plane = read_plane_point(self.text, i)
        except PromptError:
            plane = None
        if plane and plane.strong:
            return True
        strong = (self.elevation_number, self.distance_number, self.behind, self.elevation, self.distance, self.spread)
        for read in strong:
            found = _Said(i, i)
            if read(i, found) and found.is_strong:
                return True
        number = read_number(self.text, i)
        return bool(number and self.text.key(number[2]) in ("db", "dbs", "decibel", "decibels"))

    def approach(self, i: int, said: _Said) -> int | None:
        """Comes closer, flies away."""
        for role in ("comes", "leaves"):
            stop = self.match(role, i)
            if stop is None or not self.has_name_before(i):
                continue
            after = self.point(stop)
            if after and "to" in after.leads and after.azimuth_deg is not None and not after.is_beyond:
                return None  # "drives away to the right" is a movement to the right
            said.distance_m, said.is_strong, said.kinds = self.words.metres[role], True, ["distance"]
            said.comes = True
            return stop
        return None

    def behind(self, i: int, said: _Said) -> int | None:
        """Behind me, back left."""
        hit = self.words.behind_sides.match(self.text.tokens, i)
        stop = self.match("behind", i)
        if hit and hit[1] >= (stop or 0):
            (azimuth_deg, mirror), stop = hit
            said.azimuth_deg, said.kinds, said.is_strong = azimuth_deg, ["azimuth", "behind"], True
            said.edits = [edit_of(self.text, i, stop, mirror)]
            return stop
        said.is_strong = stop is not None
        stop = stop or self.match("behind_beside", i)
        if stop is None or (not said.is_strong and self.is_level(i)):
            return None
        said.is_behind, said.kinds = True, ["behind"]
        return stop

    def elevation(self, i: int, said: _Said) -> int | None:
        """Above me, overhead, up."""
        hit = self.words.elevations.match(self.text.tokens, i)
        center = self.text.match("center", i)
        if hit and not (center and center > hit[1]):
            said.elevation_deg, said.is_strong, said.kinds = hit[0], True, ["elevation"]
            return hit[1]
        beside = self.value("elevations_beside", i)
        if beside is None or (center and center > beside[1]) or self.is_level(i):
            return None
        said.elevation_deg, said.kinds = (beside[0], beside[0]), ["elevation"]
        return beside[1]

    def is_level(self, i: int) -> bool:
        """Whether "up" or "down" at token i is a level's: "turn the drums up on the left", "down 3 dB"."""
        verbs = ("leaves", "moves", "moves_kept", "arrives", "enders", "openers")
        if any((self.text.match(role, k) or 0) > i for role in verbs for k in range(max(0, i - 2), i)):
            return True  # "ends up on the right"
        turned = any(
            self.text.key(k) in ("turn", "bring", "turned", "pull", "push") for k in range(self.clause_start(i), i)
        )
        number = read_number(self.text, i + 1)
        behind = number and self.text.key(number[2]) in ("db", "dbs", "decibel", "decibels")
        leveled = i > 1 and self.text.key(i - 1) in ("db", "dbs", "decibel", "decibels")
        return turned or bool(behind) or leveled or self.text.key(i + 1) == "by"

    def ear(self, i: int, said: _Said) -> int | None:
        """Very close to my left ear: the distance alone, the side is read behind it."""
        stop = self.match("near_an_ear", i)
        if stop is None:
            return None
        side = self.text.skip("determiners", stop)
        hit = self.text.known.sides.match(self.text.tokens, side)
        near = self.text.source(i, stop).lower() not in ("in", "into", "at")
        if hit is None or not near or not any(self.text.key(k) in self._ears for k in (hit[1] - 1, hit[1])):
            return None
        metres = self.words.numbers["ear_m"]
        said.distance_m, said.is_strong, said.kinds = (metres, metres), True, ["distance"]
        return stop

    @property
    def _ears(self) -> set[str]:
        return {phrase[0] for phrase in self.words.lists["ears"]}

    def distance(self, i: int, said: _Said) -> int | None:
        """Far away, close to me."""
        hit = self.value("distances", i)
        beside = self.value("distances_beside", i)
        strength = self.text.known.strengths.match(self.text.tokens, i)
        hedge = self.text.known.leads.match(self.text.tokens, i)
        if hit and not (hedge and hedge[1] > hit[1]):
            said.is_strong = True
        elif beside and not (hedge and hedge[1] >= beside[1]):
            if strength and read_plane_point(self.text, i):
                return None  # "far left" is a strength
            hit = beside
        else:
            return None
        said.distance_m, said.kinds = (hit[0], hit[0]), ["distance"]
        return hit[1]

    def spread(self, i: int, said: _Said) -> int | None:
        """everywhere, wide."""
        ends = self.value("spreads_at_end", i)
        hit = self.value("spreads", i)
        said.is_strong = hit is not None
        if hit is None and ends and self.text.ends_clause(ends[1]) and self.has_name_before(i):
            hit, said.is_strong = ends, True
        hit = hit or self.value("spreads_beside", i)
        if hit is None:
            return None
        said.spread, said.kinds = hit[0], ["spread"]
        return hit[1]

    def plane(self, i: int, said: _Said) -> int | None:
        """A direction as the frontal plane has them, or beyond it in degrees or hours."""
        try:
            point = read_plane_point(self.text, i)
        except PromptError:  # said where levels have been taken out, if it is one then
            return None
        if point is None:
            return None
        azimuth_deg = point.azimuth_deg
        if abs(azimuth_deg) > 180:
            if abs(azimuth_deg) > 360 or self.text.known.sides.match(self.text.tokens, point.stop - 1):
                self.text.fail("an azimuth goes up to 180 degrees to a side, behind the listener", i, point.stop)
            turned = wrapped_deg(azimuth_deg)
            side = "left" if turned * LEFT_SIGN > 0 else "right"
            counted = self.text.source(i, point.stop)
            said.notes.append(f'"{counted}" is counted to the left from the front: {abs(turned):g} degrees {side}')
            azimuth_deg, said.kinds = turned, ["azimuth", "turned"]
        else:
            said.kinds = ["azimuth"]
        said.azimuth_deg, said.edits, said.is_strong = azimuth_deg, list(point.edits), True
        said.leads = {point.lead} if point.lead else set()
        words = self.text.source(i, point.stop).lower()
        said.is_front = not azimuth_deg and any(word in words for word in ("front", "ahead"))
        return point.stop


@dataclass
class _Turn:
    """What the words of a circle say so far."""

    said: _Said
    sign: int | None = None
    period_s: float | None = None
    turns: float | None = None
    start: _Said | None = None
    end: _Said | None = None
    beside: _Said | None = None


def replace_relation(said: _Said) -> _Said:
    """The same without the relation."""
    return replace(said, relation=None)


def edit_of(text: PromptText, first: int, stop: int, words: str) -> Edit:
    """Replace tokens first to stop by words in the same letter case."""
    was = text.source(first, stop)
    words = words.upper() if was.isupper() else words.capitalize() if was[0].isupper() else words
    return text.tokens[first].start, text.tokens[stop - 1].stop, words

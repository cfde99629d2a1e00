"""One place in words, anywhere around the listener: what is said of it, atom by atom.

::

    point = (lead* atom)+                         atoms may be joined by "and" or a comma
    atom  = plane point | behind | elevation | distance | spread | relation

Each word is in ``prompts/sphere.yaml``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tas_core.conventions import LEFT_SIGN, MAX_AZIMUTH_DEG, REFERENCE_M
from tas_core.errors import PromptError
from tas_core.timeline.lexer import PromptText
from tas_core.timeline.places import Edit, PlanePoint, edited, read_number, read_plane_point
from tas_core.timeline.relations import Relation, read_relation
from tas_core.timeline.sphere import SpherePoint, wrapped_deg
from tas_core.timeline.sphere_words import SphereWords, room_phrases, sphere_words
from tas_core.timeline.vocabulary import Token


@dataclass
class Said:
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

    def add(self, found: Said) -> None:
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

    def same_height(self, other: Said) -> bool:
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


Atom = Callable[[int, Said], int | None]


class PointReader:
    """Reads points of one prompt."""

    def __init__(self, text: PromptText) -> None:
        self.text = text
        self.words: SphereWords = sphere_words(text.language)
        self.rooms = room_phrases(text.language)
        self.atoms: tuple[Atom, ...] = (
            self.elevation_number,
            self.distance_number,
            self.spread_number,
            self.relation,
            self.approach,
            self.behind,
            self.elevation,
            self.ear,
            self.distance,
            self.spread,
        )

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

    def point(self, i: int, *, before_end: bool = False) -> Said | None:
        """One point: atoms with the words that lead to them, as long as they say more of it.

        Args:
            i: token.
            before_end: whether a way goes on from it, so that "to the left" is another point.
        """
        said = self.atom(i)
        if said is None:
            return None
        if before_end:
            said.leads.add("from")
        while True:
            if self.text.gap(said.stop - 1).lstrip().startswith((":", "：")):
                return said
            joined = self.is_joined(said.stop)
            found = self.atom(joined)
            if found is None or not self.belongs(said, found, is_joined=joined > said.stop):
                return said
            said.add(found)

    def atom(self, i: int) -> Said | None:
        """One atom at token i, with the words that lead to it."""
        leads: set[str] = set()
        at = i
        while True:
            for read in self.atoms:
                found = Said(i, i)
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
        found = Said(i, i)
        if stop := self.plane(i, found):
            found.stop = stop
            return found
        return None

    def belongs(self, said: Said, found: Said, *, is_joined: bool) -> bool:
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
    def goes_on(said: Said, found: Said) -> bool:
        """Whether "to the left" goes on with what was said, as in "3 m to the left", rather than being an end."""
        if found.leads == {"from"}:  # "comes closer from the left"
            return said.comes and not said.has_direction and found.has_direction
        back = said.kinds == ["behind"] and not said.is_strong
        alone = not said.leads & {"from", "to"} and said.azimuth_deg is None and not back
        return found.kinds == ["azimuth"] and found.leads == {"to"} and alone

    def points(self, said: Said) -> tuple[SpherePoint, SpherePoint]:
        """The place at both ends, with its words under the caret if a value is out of range."""
        try:
            return said.points()
        except PromptError as error:
            self.text.fail(str(error), said.first, said.stop)

    # ------------------------------------------------------------------ atoms

    def elevation_number(self, i: int, said: Said) -> int | None:
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
        if not before and behind == k + 1 and read_relation(self.text, self.words, i, self.ends_name):
            return None  # "30 degrees above the piano"
        sign = -1.0 if down and not (up and up > down) else 1.0
        if signed and down:
            self.text.fail("a sign beside a word for up or down, expected one of them", i, behind)
        if abs(value) > 90:
            self.text.fail("an elevation is at most 90 degrees, straight up or down", i, behind)
        said.elevation_deg, said.is_strong, said.kinds = (sign * value, sign * value), True, ["elevation"]
        return behind

    def distance_number(self, i: int, said: Said) -> int | None:
        """3 m away, at a distance of 10 feet."""
        before = self.match("distance_of", i)
        number = read_number(self.text, before or i)
        if number is None:
            return None
        value, _, stop = number
        unit = self.value("metres", stop)
        if unit is None:
            k = self.leads(stop, Said(stop, stop))
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
        said = Said(i, i)
        self.leads(i, said)
        return said.leads

    def leads(self, i: int, said: Said) -> int:
        """Index behind prepositions, articles and hedges at token i."""
        while lead := self.text.known.leads.match(self.text.tokens, i):
            if lead[0]:
                said.leads.add(lead[0])
            i = lead[1]
        return i

    def spread_number(self, i: int, said: Said) -> int | None:
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

    def relation(self, i: int, said: Said) -> int | None:
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
        if any(self.match(role, i) for role in ("clockwise", "counterclockwise", "every")):
            return True
        try:
            plane = read_plane_point(self.text, i)
        except PromptError:
            plane = None
        if plane and plane.strong:
            return True
        strong = (self.elevation_number, self.distance_number, self.behind, self.elevation, self.distance, self.spread)
        for read in strong:
            found = Said(i, i)
            if read(i, found) and found.is_strong:
                return True
        number = read_number(self.text, i)
        return bool(number and self.text.key(number[2]) in ("db", "dbs", "decibel", "decibels"))

    def approach(self, i: int, said: Said) -> int | None:
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

    def behind(self, i: int, said: Said) -> int | None:
        """Behind me, back left."""
        hit = self.words.behind_sides.match(self.text.tokens, i)
        if hit and self.goes_on_to(i, hit[1]):
            hit = None
        stop = None if self.is_side(i) else self.match("behind", i)
        if hit and hit[1] >= (stop or 0):
            (azimuth_deg, mirror), stop = hit
            said.azimuth_deg, said.kinds, said.is_strong = azimuth_deg, ["azimuth", "behind"], True
            said.edits = [edited(self.text, i, stop, mirror)]
            return stop
        said.is_strong = stop is not None
        stop = stop or self.match("behind_beside", i)
        if stop is None or (not said.is_strong and self.is_level(i)):
            return None
        said.is_behind, said.kinds = True, ["behind"]
        return stop

    def goes_on_to(self, i: int, stop: int) -> bool:
        """Whether tokens i to ``stop``, as "behind me to the left", are a place and the end of a way, after "from"."""
        lead = self.text.known.leads.match(self.text.tokens, i - 1) if i else None
        starts = bool(lead and lead[0] == "from") or (i > 0 and self.match("via", i - 1) == i)
        return starts and any("to" in self._kinds(k) for k in range(i + 1, stop))

    def elevation(self, i: int, said: Said) -> int | None:
        """Above me, overhead, up."""
        hit = None if self.is_side(i) else self.words.elevations.match(self.text.tokens, i)
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

    def is_side(self, i: int) -> bool:
        """Whether token i is a side: the "right" of "on the right behind me", but not that of "right behind me"."""
        tokens = self.text.tokens
        after_lead = i > 0 and self.text.known.leads.match(tokens, i - 1) is not None
        return after_lead and self.text.known.sides.match(tokens, i) is not None

    def side_edits(self, point: PlanePoint) -> list[Edit]:
        """What mirrors a side; "left behind me" becomes "to the right behind me": "right behind me" has no side."""
        *others, last = point.edits or ((0, 0, ""),)
        after = [Token(last[2].lower(), *last[:2]), *self.text.tokens[point.stop : point.stop + 5]]
        phrases = (self.words.lists["behind"], self.words.elevations, self.words.values["distances"])
        first = next((k for k, token in enumerate(self.text.tokens) if token.start == last[0]), 0)
        # Behind a preposition, as in "from right behind me", it is a side without more words.
        if not last[2] or self.is_side(first) or not any(each.match(after, 0) for each in phrases):
            return list(point.edits)
        return [*others, (*last[:2], f"to the {last[2]}")]

    def ear(self, i: int, said: Said) -> int | None:
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

    def distance(self, i: int, said: Said) -> int | None:
        """Far away, close to me."""
        if self.is_side(i) or (i and self.text.key(i - 1) in ("fade", "fades", "fading")):
            return None
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

    def spread(self, i: int, said: Said) -> int | None:
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

    def without_height(self, i: int, point: PlanePoint) -> PlanePoint:
        """The direction at token i without a number that says how high: "on the left 10 degrees up"."""
        for k in range(i + 1, point.stop):
            stop = self.elevation_number(k, Said(k, k))
            number = read_number(self.text, stop) if stop and stop > point.stop else None
            is_level = number and self.text.key(number[2]) in ("db", "dbs", "decibel", "decibels")
            if stop and stop > point.stop and not is_level:
                before = copy.copy(self.text)
                before.tokens = self.text.tokens[:k]
                return read_plane_point(before, i) or point
        return point

    def plane(self, i: int, said: Said) -> int | None:
        """A direction as the frontal plane has them, or beyond it in degrees or hours."""
        try:
            point = read_plane_point(self.text, i)
        except PromptError:  # said where levels have been taken out, if it is one then
            return None
        if point is None:
            return None
        point = self.without_height(i, point)
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
        said.azimuth_deg, said.edits, said.is_strong = azimuth_deg, self.side_edits(point), True
        said.leads = {point.lead} if point.lead else set()
        words = self.text.source(i, point.stop).lower()
        said.is_front = not azimuth_deg and any(word in words for word in ("front", "ahead"))
        return point.stop

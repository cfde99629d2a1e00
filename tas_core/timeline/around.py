"""The grammar of places all around: behind, above, near and far, wide, and the ways between them.

::

    place   = circle | point | "from" point ["via" point] "to" point | passing | circle

Points are in :mod:`tas_core.timeline.points`, circles in :mod:`tas_core.timeline.circles`.

This runs before the grammar of :mod:`tas_core.timeline.places` and of levels. What it understands becomes one token, so
that the rest of the grammar meets a place like any other; what the frontal plane can say is left as it is. Each word
is in ``prompts/sphere.yaml``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tas_core.conventions import MAX_AZIMUTH_DEG, REFERENCE_M
from tas_core.errors import PromptError
from tas_core.timeline.circles import CircleReader
from tas_core.timeline.levels import fade_words
from tas_core.timeline.lexer import PromptText
from tas_core.timeline.places import Spot, read_number, read_place
from tas_core.timeline.points import Said
from tas_core.timeline.relations import Relation
from tas_core.timeline.sphere import SpherePath, SpherePoint
from tas_core.timeline.vocabulary import Token

_MARK: Final = "\0"
"""How the tokens of places begin, as no word can."""


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


class _Reader(CircleReader):
    """One pass over the tokens of a prompt."""

    def __init__(self, text: PromptText) -> None:
        super().__init__(text)
        self.kept: list[Token] = []
        self.far_until = 0  # up to where "distant" before a name holds for its place
        far_m = self.words.values["distances_beside"].get(("distant",), REFERENCE_M)
        self.far_m = (far_m, far_m)

    @property
    def may_find(self) -> bool:
        """Whether the prompt has words that may begin such a place, or a number that may; most have none."""
        tokens = self.text.tokens
        for i, token in enumerate(tokens):
            if self.words.triggers.match(tokens, i) or ":" in token.key:
                return True
            if any(self.text.match(role, i) for role in ("clock", "half_past", "of")):
                return True
            number = read_number(self.text, i)
            if number and abs(number[0]) > MAX_AZIMUTH_DEG:
                return True
        return False

    def take(self) -> None:
        i = 0
        while i < len(self.text.tokens):
            i = self.step(i)
        self.text.tokens = self.kept

    def step(self, i: int) -> int:
        """Look at token i: the number of the next to look at."""
        if fade := fade_words().match(self.text.tokens, i):  # its "in" and "out" belong to no place
            self.kept += self.text.tokens[i : fade[1]]
            return fade[1]
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
        said = Said(i, stop, distance_m=self.far_m, kinds=["distance"])
        self.put(self.spot(said, SpherePath.fixed(self.points(said)[0]), ""), i, stop)
        return stop

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
            if (over := self.match("via", k)) and (passed := self.point(over, before_end=True)):
                via, k = passed, self.text.skip("adverbs", passed.stop)
            end = self.point(k)
            alone = not (start.leads or start.has_direction or via)
            if end and "from" in end.leads and alone:
                return self.beside_way(start, end)
            if end is not None and "to" in end.leads:
                beyond = start.is_beyond or end.is_beyond or via is not None
                return self.movement(start, end, via) if beyond and start.is_strong and end.is_strong else None
            if end is None and self.text.match("passing", i):
                return None
        return self.stay(start) if start.is_beyond and start.is_strong else None

    def beside_way(self, said: Said, start: Said) -> Spot | None:
        """A way behind what holds for both of its ends: "above from left to right"."""
        end = self.point(self.text.skip("adverbs", start.stop))
        if end is None or "to" not in end.leads:
            return self.stay(said) if said.is_strong else None
        for number, each in enumerate((start, end)):
            if each.elevation_deg is None:
                each.elevation_deg = said.elevation_deg
            if each.distance_m is None and said.distance_m:
                each.distance_m = (said.distance_m[number],) * 2
            if each.spread is None:
                each.spread = said.spread
        spot = self.movement(start, end, None)
        return spot._replace(edits=(*said.edits, *spot.edits))

    def stay(self, said: Said) -> Spot:
        """A place of one point; its distance may change."""
        lead = next((kind for kind in ("to", "from", "at") if kind in said.leads), "")
        if said.relation:
            return self.spot(said, None, lead, relation=self.with_attributes(said))
        start, end = self.points(said)
        return self.spot(said, SpherePath(start, end), "path" if start != end else lead)

    def with_attributes(self, said: Said) -> Relation:
        """A relation with the direction, the distance and the spread that are said beside it."""
        assert said.relation is not None
        point = self.points(replace(said, relation=None))[0]
        turned = said.azimuth_deg is not None or said.is_behind
        own = turned and said.relation.kind == "nearer"  # a direction of its own, not that of the other sound
        names = {
            "azimuth_deg": turned,
            "elevation_deg": own or said.elevation_deg is not None,
            "distance_m": said.distance_m is not None,
            "spread": said.spread is not None,
        }
        return said.relation._replace(said={name: getattr(point, name) for name, there in names.items() if there})

    def movement(self, start: Said, end: Said, via: Said | None) -> Spot:
        """A way from one point to another; what only one of them says beside a direction holds for both."""
        for said in (start, end):
            if said.relation:
                self.text.fail(
                    "a movement from or to another sound is not supported, expected places in words or degrees",
                    said.first, said.stop,
                )  # fmt: skip
        first, last = self.points(start)[0], self.points(end)[0]
        if start.comes and start.distance_m:
            last = replace(last, distance_m=start.distance_m[1])
        elif start.has_direction and end.has_direction:
            if start.distance_m is None:
                first = replace(first, distance_m=last.distance_m)
            if end.distance_m is None:
                last = replace(last, distance_m=first.distance_m)
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
        merged = Said(start.first, end.stop, edits=[*start.edits, *(via.edits if via else []), *end.edits])
        merged.notes = [*start.notes, *end.notes]
        return self.spot(merged, path, "path")

    def made(self, first: SpherePoint, last: SpherePoint, via: SpherePoint | None, span: tuple[int, int]) -> SpherePath:
        """A path; opposite ends are refused with the words that say them under the caret."""
        try:
            return SpherePath(first, last, via)
        except PromptError as error:
            way_out = 'expected for example "via overhead", or "via the left", between them'
            self.text.fail(f"{error}; {way_out}", *span)

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
            said = Said(i, end.stop, edits=[*start.edits, *end.edits])
        elif start and start.leads & {"from", "to"}:
            self.text.fail("half of a movement, expected from ... to ...", i, start.stop)
        else:
            first, last, said = SpherePoint(0.0), SpherePoint(180.0), Said(i, stop)
            said.notes.append(
                f'"{self.text.source(k, stop)}" goes from front to back; "from ... to ..." says another way'
            )
        return self.spot(said, self.made(first, last, zenith, (i, said.stop)), "path")

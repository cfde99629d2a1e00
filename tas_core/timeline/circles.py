"""Circles around the listener, in words.

::

    circle = verb ["around me"] (sense | "every" seconds | count | "starting" point | attribute)*

Each word is in ``prompts/sphere.yaml``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tas_core.conventions import LEFT_SIGN
from tas_core.errors import PromptError
from tas_core.timeline.places import Spot, read_number
from tas_core.timeline.points import PointReader, Said
from tas_core.timeline.relations import Relation
from tas_core.timeline.sphere import SpherePath, SpherePoint


@dataclass
class Turn:
    """What the words of a circle say so far."""

    said: Said
    sense_at: int
    """Where its sense can be said, characters."""
    sign: int | None = None
    period_s: float | None = None
    turns: float | None = None
    start: Said | None = None
    end: Said | None = None
    beside: Said | None = None


class CircleReader(PointReader):
    """Reads points and circles of one prompt."""

    def circle(self, i: int) -> Spot | None:
        """A circle around the listener that begins at token i."""
        verb = self.match("circles", i)
        stop, said = verb or i, Said(i, i)
        stop = self.text.skip("adverbs", stop) if verb else stop
        around = self.match("around", stop)
        moves = i > 0 and any(self.text.match(role, i - 1) for role in ("moves", "moves_kept", "circling"))
        sense = self.match("clockwise", stop) or self.match("counterclockwise", stop)
        circles = around or sense or self.text.ends_clause(stop) or self.modifier(stop)
        if verb and not (self.has_name_before(i) and circles):
            return None
        if not verb and not (moves and (around or sense)) and not (self.match("around_alone", i) and i > 0):
            return None
        if not verb and around and self.text.key(i) not in ("around", "all", "in", "round"):
            return None
        said.stop = around or stop
        turn = Turn(said, sense_at=self.text.tokens[(verb or said.stop) - 1].stop)
        if verb:
            self.speed_between(verb, turn)
        while more := self.circle_part(turn):
            said.stop = more
        for k in range(max(0, i - 2), i):
            if (speed := self.value("speeds", k)) and speed[1] == i:
                turn.period_s = speed[0]
        return self.circled(turn, i)

    def speed_between(self, verb: int, turn: Turn) -> None:
        """Note how fast a circle is if that stands behind its verb: "circles slowly around"."""
        if speed := self.value("speeds", verb):
            turn.period_s = speed[0]

    def modifier(self, i: int) -> bool:
        """Whether what only a circle has is at token i."""
        number = read_number(self.text, i)
        counted = number is not None and self.match("times", number[2]) is not None
        if counted or any(self.match(role, i) for role in ("every", "starting")) or self.value("counts", i):
            return True
        point = self.point(i)
        return point is not None and point.is_strong and not point.has_direction

    def circle_part(self, turn: Turn) -> int | None:
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

    def circle_place(self, turn: Turn, i: int, is_joined: bool) -> int | None:
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

    def set_period(self, turn: Turn, period_s: float, first: int, stop: int) -> None:
        """Set the seconds of a circle, which tokens ``first`` to ``stop`` say."""
        if not period_s > 0:
            self.text.fail("a circle in no time, expected more than 0 seconds", first, stop)
        if turn.turns:
            self.text.fail("a second speed of one circle", first, stop)
        turn.period_s = period_s

    def set_turns(self, turn: Turn, turns: float, first: int, stop: int) -> None:
        """Set the number of circles, which tokens ``first`` to ``stop`` say."""
        if not turns > 0:
            self.text.fail("no circle, expected more than 0 turns", first, stop)
        turn.turns = turns

    def circled(self, turn: Turn, i: int) -> Spot:
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
            said.edits.append((turn.sense_at, turn.sense_at, " counterclockwise"))
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

    def spot(self, said: Said, path: SpherePath | None, lead: str, relation: Relation | None = None) -> Spot:
        """A place with what was said of it."""
        return Spot(said.stop, path, lead, tuple(said.edits), tuple(said.notes), relation)

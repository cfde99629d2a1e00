"""Levels in the prompt language: "3 dB quieter", "twice as loud", "fades out", "remove the dog", "only the voice".

::

    level  = [before] point | "from" point "to" point | becomes point | fade | removed
    point  = sign number "dB" | number "dB" (louder | quieter) | (louder | quieter) ["by" number "dB"]
           | [amount] (louder | quieter) | times "as loud"
    verb   = removes | turns_up | turns_down        before the sound

The words are in ``prompts/levels.yaml``. Levels are taken out of a prompt before its places are read, and each is kept
with where it stood, so that what is left reads as if it had none.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple

from tas_core.errors import PromptError
from tas_core.timeline.gains import SILENT_DB, GainPath
from tas_core.timeline.lexer import PromptText
from tas_core.timeline.places import read_number
from tas_core.timeline.vocabulary import Phrases, Token, words_data

REMOVED: Final = GainPath(SILENT_DB, SILENT_DB)
_ONLY: Final = "\0only"
"""What words such as "nothing but" become, a word that nobody can write."""


class Level(NamedTuple):
    """A level of a prompt.

    Attributes:
        path: the gain.
        is_verb: whether it stands before its sound: "remove the dog".
        source: the user's words.
        span: of those words in the prompt, characters.
    """

    path: GainPath
    is_verb: bool
    source: str
    span: tuple[int, int]


@dataclass(frozen=True)
class LevelWords:
    """The words of ``prompts/levels.yaml``."""

    amounts: Phrases[float]
    plain_db: float
    times: Phrases[float]
    db_per_doubling: float
    steps: Phrases[int]
    ups: Phrases[int]
    turns: Phrases[int]
    lists: dict[str, Phrases[bool]]
    rest: frozenset[str]
    canonical: dict[str, str]


@lru_cache(maxsize=1)
def level_words() -> LevelWords:
    """The words that ship with the program, read once."""
    data: dict[str, Any] = words_data("levels.yaml")
    signed = lambda plus, minus: Phrases([*((w, 1) for w in data[plus]), *((w, -1) for w in data[minus])])  # noqa: E731
    return LevelWords(
        amounts=Phrases((word, float(db)) for db, words in data["amounts"].items() for word in words),
        plain_db=float(next(db for db, words in data["amounts"].items() if not words)),
        times=Phrases((word, float(factor)) for word, factor in data["times"].items()),
        db_per_doubling=float(data["db_per_doubling"]),
        steps=signed("louder", "quieter"),
        ups=signed("up", "down"),
        turns=signed("turns_up", "turns_down"),
        lists={role: Phrases((w, True) for w in words) for role, words in data.items() if isinstance(words, list)},
        rest=frozenset(data["rest"]),
        canonical=data["canonical"],
    )


def format_level(path: GainPath) -> str:
    """A gain as words that are read as the same gain: "at -3 dB", "from silence to +0 dB"."""
    canonical = level_words().canonical

    def point(gain_db: float) -> str:
        if gain_db == SILENT_DB:
            return canonical["silent"]
        digits = format(Decimal(repr(abs(gain_db))).normalize(), "f")
        return canonical["decibels"].format(gain=("-" if gain_db < 0 else "+") + digits)

    return canonical["moving" if path.is_moving else "fixed"].format(start=point(path.start_db), end=point(path.end_db))


@lru_cache(maxsize=1)
def fade_words() -> Phrases[bool]:
    """What says that a sound fades in or out."""
    lists = level_words().lists
    return Phrases((" ".join(words), True) for role in ("fades_in", "fades_out") for words in lists[role])


def take_levels(text: PromptText) -> dict[int, list[Level]]:
    """Take the levels out of the words of a prompt.

    Args:
        text: the prompt; its tokens are without those of levels afterwards.

    Returns:
        Levels by the number of the token that each stood before.

    Raises:
        PromptError: a level that has no sign, or is relative to another sound.
    """
    taker = _Taker(text)
    taker.take()
    return dict(taker.found)


class _Turn(NamedTuple):
    """A verb that turns a sound up or down, and where."""

    sign: int
    at: int
    stop: int
    before: int
    """Number of the remaining token that it stood before."""


@dataclass
class _Taker:
    """One pass over the tokens of a prompt. ``start`` is where the clause begins that is being looked at."""

    text: PromptText
    known: LevelWords = field(default_factory=level_words)
    kept: list[Token] = field(default_factory=list)
    found: defaultdict[int, list[Level]] = field(default_factory=lambda: defaultdict(list))
    start: int = 0
    turn: _Turn | None = None

    def take(self) -> None:
        i = 0
        while i < len(self.text.tokens):
            i = self.step(i)
        self.end_turn()
        self.text.tokens = self.kept

    def step(self, i: int) -> int:
        """Look at token i: the number of the next to look at."""
        if (only := self.match("only", i)) and self.opened(i):
            first, last = self.text.tokens[i], self.text.tokens[only - 1]
            self.kept.append(Token(_ONLY, first.start, last.stop))
            return only
        if verb := self.verb(i):
            return verb
        if turned := self.turned(i):
            return turned
        if level := self.level(i):
            path, stop = level
            self.refuse_comparison(stop)
            self.add(path, i, stop)
            return stop
        ended = self.text.match("joiners", i) or self.text.match("separators", i)
        if ended:
            self.end_turn()
            self.start = ended
        return self.keep(i, ended or i + 1)

    def keep(self, i: int, stop: int) -> int:
        self.kept += self.text.tokens[i:stop]
        return stop

    def add(self, path: GainPath, i: int, stop: int, *, before: int | None = None, is_verb: bool = False) -> None:
        span = self.text.tokens[i].start, self.text.tokens[stop - 1].stop
        level = Level(path, is_verb, self.text.source(i, stop), span)
        self.found[len(self.kept) if before is None else before].append(level)

    def match(self, role: str, i: int) -> int | None:
        """Index behind the longest phrase of a role at token i, or None."""
        hit = self.known.lists[role].match(self.text.tokens, i)
        return hit and hit[1]

    def opened(self, i: int) -> bool:
        """Whether before token i its clause has nothing but "please", "and then can you" and the like."""
        k = self.start
        while k < i:
            stop = self.text.match("openers", k) or self.text.match("dropped", k) or self.text.match("adverbs", k)
            if not stop:
                return False
            k = stop
        return k == i

    # ------------------------------------------------------------------ verbs before a sound

    def verb(self, i: int) -> int | None:
        """Index behind a verb at token i that says what is done to the sound behind it, or None."""
        tokens = self.text.tokens
        turns, removes = self.known.turns.match(tokens, i), self.match("removes", i)
        stop = turns[1] if turns else removes
        if stop is None or self.text.known.leads.match(tokens, i):  # Portuguese "no" is no English "no"
            return None
        refused = self.text.known.unsupported.match(tokens, i)
        if not self.opened(i) and not (refused and removes):
            return None
        if turns:
            self.end_turn()
            self.turn = _Turn(turns[0], i, stop, len(self.kept))
        else:
            self.add(REMOVED, i, stop, is_verb=True)
        return stop

    def turned(self, i: int) -> int | None:
        """Index behind how much a sound is turned up or down, at token i of "turn up the drums by 3 dB"; or None."""
        tokens = self.text.tokens
        direction = self.known.ups.match(tokens, i)
        if self.turn is None and direction and self.match("turns", self.first_word()) and not self.level(i):
            j, sign = direction[1], direction[0]
            amount = self.amount(j)
            if not amount and not self.text.ends_clause(j):
                return None
            gain_db, stop = amount or (self.known.plain_db, j)
            self.add(self.path(sign * gain_db, i, stop), i, stop)
            return stop
        if self.turn is None or not (amount := self.amount(i)):
            return None
        turn, (gain_db, stop) = self.turn, amount
        self.turn = None
        self.add(self.path(turn.sign * gain_db, i, stop), i, stop, before=turn.before, is_verb=True)
        return stop

    def first_word(self) -> int:
        """The first token of the clause that says anything."""
        k = self.start
        while self.match("turns", k) is None and (stop := self.text.match("openers", k)):
            k = stop
        return k

    def end_turn(self) -> None:
        """A verb that turns up or down, and nothing said by how much."""
        if self.turn:
            turn, self.turn = self.turn, None
            path = GainPath(turn.sign * self.known.plain_db, turn.sign * self.known.plain_db)
            self.add(path, turn.at, turn.stop, before=turn.before, is_verb=True)

    def amount(self, i: int) -> tuple[float, int] | None:
        """How much at token i, dB without a sign: "by 3 dB", "a bit"."""
        first, i = i, self.before(i)
        if hit := self.known.amounts.match(self.text.tokens, i):
            return (hit[0], hit[1]) if self.text.ends_clause(hit[1]) else None
        number = read_number(self.text, i)
        unit = number and self.match("units", number[2])
        if number and not unit and i > first and self.text.ends_clause(number[2]):
            self.text.fail("a level without a unit, expected for example 3 dB", i, number[2])
        return (number[0], unit) if number and unit and not number[1] else None

    # ------------------------------------------------------------------ levels behind a sound

    def level(self, i: int) -> tuple[GainPath, int] | None:
        """A level that starts at token i, and the index behind it."""
        for role, ends_db in (("fades_in", (SILENT_DB, 0.0)), ("fades_out", (0.0, SILENT_DB))):
            stop = self.match(role, i)
            # "The car fades in the distance" is no level, "fade in the car" is one.
            if stop and (self.opened(i) or not self.text.match("dropped", stop)):
                return GainPath(*ends_db), stop
        if (stop := self.match("removed", i)) and i > self.start and self.text.ends_clause(stop):
            return REMOVED, stop
        if stop := self.match("at_silence", i):
            return REMOVED, stop
        if (becomes := self.match("becomes", i)) and (point := self.point(becomes)):
            return self.path(point[0], i, point[1], start_db=0.0), point[1]
        if first := self.match("from", i):
            return self.change(i, first)
        j = self.before(i)
        if point := self.point(j):
            return self.path(point[0], i, point[1]), point[1]
        number = read_number(self.text, j)
        if number and (unit := self.match("units", number[2])):
            self.text.fail("decibels without a sign, expected for example 3 dB quieter or -3 dB", j, unit)
        return None

    def change(self, i: int, first: int) -> tuple[GainPath, int] | None:
        """A level that changes: "from -20 dB to 0 dB", "from silence to 3 dB louder"."""
        start = self.end_point(first, shares=True)
        to = start and self.match("to", start[1])
        end = self.end_point(to, shares=False) if to else None
        if start is None or end is None:
            return None
        return self.path(end[0], i, end[1], start_db=start[0]), end[1]

    def end_point(self, i: int, *, shares: bool) -> tuple[float, int] | None:
        """One end of a change; the first may share its unit with the second, "from -20 to 0 dB"."""
        if stop := self.match("silence", i):
            return SILENT_DB, stop
        if stop := self.match("full", i):
            return 0.0, stop
        if point := self.point(i):
            return point
        if (number := read_number(self.text, i)) and (unit := self.match("units", number[2])):
            return number[0], unit
        if shares and (number := read_number(self.text, i)) and (to := self.match("to", number[2])):
            other = read_number(self.text, to)
            if other and self.match("units", other[2]) and (number[1] or not number[0]):
                return number[0], number[2]
        return None

    def before(self, i: int) -> int:
        """Index behind the words that lead to a level."""
        while stop := self.match("before", i):
            i = stop
        return i

    def point(self, i: int) -> tuple[float, int] | None:
        """A gain in dB at token i, and the index behind it."""
        tokens, known = self.text.tokens, self.known
        if number := read_number(self.text, i):
            value, signed, stop = number
            if unit := self.match("units", stop):
                step = known.steps.match(tokens, unit) or known.ups.match(tokens, unit)
                if step and signed:
                    self.text.fail("a sign beside a word for up or down, expected one of them", i, step[1])
                if step:
                    return step[0] * value, step[1]
                return (value, unit) if signed or not value else None
        factor: tuple[float, int] | None = known.times.match(tokens, i)
        if number and self.text.key(number[2]) == "times":
            factor = (number[0], number[2] + 1)
        if factor and (behind := self.match("as_loud", factor[1])):
            if not 0 < factor[0] < math.inf:
                self.text.fail("a sound so many times as loud", i, behind)
            return known.db_per_doubling * math.log2(factor[0]), behind
        direction = known.steps.match(tokens, i) or known.ups.match(tokens, i)
        if direction:
            exact = read_number(self.text, self.before(direction[1]))
            unit = exact and self.match("units", exact[2])
            if exact and unit and not exact[1]:
                return direction[0] * exact[0], unit
        amount = known.amounts.match(tokens, i)
        if step := known.steps.match(tokens, amount[1] if amount else i):
            return step[0] * (amount[0] if amount else known.plain_db), step[1]
        return None

    def path(self, end_db: float, i: int, stop: int, *, start_db: float | None = None) -> GainPath:
        """A gain, with the words of tokens i to stop under the caret if it is out of range."""
        try:
            return GainPath(end_db if start_db is None else start_db, end_db)
        except PromptError as error:
            self.text.fail(str(error), i, stop)

    def refuse_comparison(self, stop: int) -> None:
        """Refuse "3 dB louder than the piano"."""
        if self.text.key(stop) in ("than", "as"):
            what = "a level relative to another sound is not supported, expected for example 3 dB louder, and no more"
            self.text.fail(what, stop, stop + 1)


def is_whole(name: str) -> bool:
    """Whether a name, without articles, is one of all that there is: "everything"."""
    return tuple(name.lower().split()) in level_words().lists["whole"]


def is_rest(name: str) -> bool:
    """Whether a name, without articles, is one of all that a prompt does not name: "everything else"."""
    return name.lower() in level_words().rest


def without_only(text: PromptText, words: list[int], *, has_place: bool) -> list[int] | None:
    """The words of an object without an "only" before it; None where there is none.

    Args:
        text: the prompt.
        words: tokens of the object.
        has_place: whether it has a place, where a bare "only" means nothing.
    """
    bare, known = level_words().lists["only_without_a_place"], text.known.lists
    tokens = [text.tokens[i] for i in words]
    k = 0
    while k < len(tokens):
        if tokens[k].key == _ONLY:
            return words[k + 1 :]
        if not has_place and (hit := bare.match(tokens, k)):
            return words[hit[1] :]
        opener = known["openers"].match(tokens, k) or known["dropped"].match(tokens, k)
        if opener is None:
            return None
        k = opener[1]
    return None

"""The prompt language: which object sounds from where.

A prompt is a list of clauses; a clause is an object phrase with a place that stays or
moves::

    cello on the left, piano slightly right
    a man talking 30 degrees to the left; a dog at 2 o'clock
    the car moves from the left to the right

The grammar, whose words are all in ``prompts/directions.yaml``::

    prompt = chunk ((joiner | separator) chunk)*
    chunk  = words and places; several (words place) or (place words) pairs need no joiner

An object without a place of its own takes the next place ("bass and drums on the
right"), or the one before where places come first ("on the left a cello and a viola").
Hence "drum and bass on the left" is two objects; double quotes keep words together:
``"drum and bass" on the left``. A movement names both ends, or continues from the clause
before it ("the cello starts on the left and moves to the right").
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from tas_core.conventions import LEFT_SIGN
from tas_core.errors import PromptError
from tas_core.timeline.lexer import PromptText
from tas_core.timeline.places import AzimuthPath, Edit, Place, read_place
from tas_core.timeline.vocabulary import CHARACTERS, vocabulary


@dataclass(frozen=True)
class Clause:
    """One object and where it sounds.

    Args:
        object: what sounds, a phrase for a text encoder. Stored in lower case with single spaces.
        azimuth: where it sounds.

    Raises:
        PromptError: the phrase is empty or holds a double quote or a control character.
    """

    object: str
    azimuth: AzimuthPath

    def __post_init__(self) -> None:
        phrase = _normalised(self.object)
        if not phrase or '"' in phrase or any(unicodedata.category(c) in ("Cc", "Cs") for c in phrase):
            raise PromptError(f"{self.object!r} is not an object: expected words without double quotes")
        object.__setattr__(self, "object", phrase)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the object, and its azimuth at both ends of the segment, degrees, positive left."""
        return {
            "object": self.object,
            "azimuth_start_deg": self.azimuth.start_deg,
            "azimuth_end_deg": self.azimuth.end_deg,
        }

    def mirrored(self) -> Clause:
        """The same object on the other side."""
        return Clause(self.object, self.azimuth.mirrored())


@lru_cache(maxsize=4096)  # datasets repeat a few texts many times
def parse_prompt(text: str) -> tuple[Clause, ...]:
    """Read a prompt.

    Args:
        text: the prompt, at most 4000 characters.

    Returns:
        At least one clause, in the order of the text, no object twice.

    Raises:
        PromptError: with the text, a caret line under the culprit, and examples of what is understood.
    """
    return tuple(_Reader(text).read().values())


def format_prompt(clauses: Sequence[Clause]) -> str:
    """Write clauses as text in degrees, so that :func:`parse_prompt` returns the same clauses.

    Raises:
        PromptError: no clauses, or an object twice.
    """
    if len({clause.object for clause in clauses}) < max(1, len(clauses)):
        raise PromptError("a prompt has at least one clause and each object once")
    return vocabulary().canonical["joiner"].join(map(_format_clause, clauses))


def mirror_prompt_text(text: str) -> str:
    """Exchange left and right in the places of a prompt, and leave every other word as it is.

    ``parse_prompt(mirror_prompt_text(text))`` is ``parse_prompt(text)`` mirrored. Characters come
    back in Unicode form NFC.

    Raises:
        PromptError: the prompt cannot be read.
    """
    reader = _Reader(text)
    reader.read()
    mirrored = reader.text.text
    for start, stop, words in sorted(reader.edits, reverse=True):
        mirrored = mirrored[:start] + words + mirrored[stop:]
    return mirrored


def _normalised(phrase: str) -> str:
    return unicodedata.normalize("NFC", " ".join(phrase.lower().split())).translate(CHARACTERS)


def _format_clause(clause: Clause) -> str:
    canonical, path = vocabulary().canonical, clause.azimuth

    def place(azimuth_deg: float) -> str:
        side = "center" if azimuth_deg == 0 else "left" if azimuth_deg * LEFT_SIGN > 0 else "right"
        return canonical[side].format(degrees=format(Decimal(repr(abs(azimuth_deg))).normalize(), "f"))

    template = canonical["moving" if path.is_moving else "fixed"]
    ends = {"place": place(path.start_deg), "start": place(path.start_deg), "end": place(path.end_deg)}
    bare = template.format(object=clause.object, **ends)
    try:
        if parse_prompt(bare) == (clause,):
            return bare
    except PromptError:
        pass
    return template.format(object=f'"{clause.object}"', **ends)


# ---------------------------------------------------------------------------- grammar


class _Group(NamedTuple):
    words: list[int]
    """Tokens of the object, by index."""
    place: Place | None
    place_first: bool


class _Reader:
    """One pass over one prompt. `found` and `edits` are complete after :meth:`read`."""

    def __init__(self, text: str) -> None:
        self.text = PromptText(text)
        self.edits: list[Edit] = []
        self.found: dict[str, Clause] = {}
        self.latest: dict[str, list[int]] = {}  # objects of the last place, which a movement may continue

    def read(self) -> dict[str, Clause]:
        """All clauses by their object."""
        waiting: list[list[int]] = []  # objects whose place is still to come
        held: Place | None = None  # a place whose object is still to come
        previous: Place | None = None  # the last place, if it came before its object
        for group in self.groups():
            if group is None:
                if held:
                    self.text.fail("a place without an object", held.first, held.stop)
                self.add(waiting, previous)
                waiting, previous = [], None
                continue
            words, place, place_first = group
            if place is None:
                if held:
                    self.add([words], held)
                    held, previous = None, held
                elif self.phrase(words, moving=False):
                    waiting.append(words)
                continue
            if held:
                self.text.fail("a place without an object", held.first, held.stop)
            named = bool(self.phrase(words, moving=True))
            if self.moves_before(place) and not named and not waiting and self.latest:
                self.extend(place)
                continue
            if self.moves_before(place) and place.lead in ("", "to", "from"):
                missing = "an end" if place.lead == "from" else "a start"
                self.text.fail(f"a movement without {missing}, expected from ... to ...", place.first - 1, place.stop)
            if not named and not waiting:
                held = place
                continue
            if named and place_first:
                self.add(waiting, previous)
                self.add([words], place)
            else:
                self.add([*waiting, words] if named else waiting, place)
            waiting, previous = [], place if place_first and named else None
        if not self.found:
            if self.text.tokens and self.text.text.strip():
                self.text.fail("no object and no place", 0, len(self.text.tokens))
            raise PromptError(f'the prompt is empty, expected for example "{self.text.known.examples[0]}"')
        return self.found

    def groups(self) -> Iterator[_Group | None]:
        """Objects with their places, in the order of the text; None where objects stop sharing."""
        first = i = 0
        while i < len(self.text.tokens):
            separator = self.text.match("separators", i)
            if stop := separator or self.text.match("joiners", i):
                yield from self.chunk(first, i)
                if separator and first < i:  # a line break behind a comma separates nothing
                    yield None
                first = i = stop
            else:
                i += 1
        yield from self.chunk(first, i)
        yield None

    def chunk(self, first: int, stop: int) -> list[_Group]:
        """Objects with their places between two joiners."""
        words: list[list[int]] = [[]]  # before, between and behind the places
        places: list[Place] = []
        while first < stop:
            if place := read_place(self.text, first):
                places.append(place)
                words.append([])
                first = place.stop
            else:
                words[-1].append(first)
                first += 1
        if len(places) > 1 and not places[0].strong and not words[0] and words[1] and not words[2:][-1]:
            if any(place.strong for place in places):  # "middle eastern flute on the left"
                words[:2] = [[*range(places[0].first, places[0].stop), *words[1]]]
                del places[0]
        self.edits += [edit for place in places for edit in place.edits]
        if len(places) < 2:
            flat = sum(words, [])
            place_first = bool(places) and not words[0]
            return [_Group(flat, places[0] if places else None, place_first)] if flat or places else []
        filled = list(map(bool, words))
        place_first = filled == [False, *[True] * len(places)]
        if len({place.strong for place in places}) > 1 or not (place_first or filled == [*[True] * len(places), False]):
            self.text.fail(
                "a second place for one object, expected a comma between clauses or quotes around the object",
                places[1].first,
                places[1].stop,
            )
        objects = words[1:] if place_first else words[:-1]
        return [_Group(w, p, place_first) for w, p in zip(objects, places, strict=True)]

    def moves_before(self, place: Place) -> bool:
        """Whether a verb of movement stands right before a place."""
        i = place.first - 1
        while i >= 0 and self.text.match("adverbs", i):
            i -= 1
        return i >= 0 and bool(self.text.match("moves", i) or self.text.match("moves_kept", i))

    def extend(self, place: Place) -> None:
        """Let the latest clauses move on to a place."""
        for name, words in self.latest.items():
            path = self.found.pop(name).azimuth
            if path.is_moving or place.path.is_moving:
                self.text.fail("a second movement for one object", place.first, place.stop)
            moving = AzimuthPath(path.start_deg, place.path.end_deg)
            name = self.phrase(words, moving=True)  # "the cello starts on the left" loses its verb
            self.found[name] = Clause(name, moving)
        self.latest = {}

    def add(self, objects: list[list[int]], place: Place | None) -> None:
        """Make a clause of each object."""
        self.latest = {}
        for words in objects:
            first, stop = words[0], words[-1] + 1
            if place is None:
                self.text.fail("an object without a place" + self.suggestion(words), first, stop)
            name = self.phrase(words, moving=place.lead == "path")
            if not name:
                self.text.fail("no object", first, stop)
            self.check_spelling(words)
            try:
                clause = Clause(name, place.path)
            except PromptError:
                self.text.fail("an object with a control character", first, stop)
            if clause.object in self.found:
                self.text.fail("the same object twice, expected a distinction such as first and second", first, stop)
            self.found[clause.object] = clause
            self.latest[clause.object] = words

    def check_spelling(self, words: list[int]) -> None:
        """Refuse an object that ends like a place with a spelling mistake, as in "cello on the lefft"."""
        lead = len(words) - 2
        while lead > 0 and self.text.known.leads.get((self.text.key(words[lead]),)) == "":
            lead -= 1
        if lead < 1 or not self.text.known.leads.get((self.text.key(words[lead]),)):
            return
        key = self.text.key(words[-1])
        if (key,) not in self.text.known.lists["no_misspelling"] and (close := self.nearest_place_word(words[-1])):
            what = f'an object that ends like a place (did you mean "{close}"? If not, put the object in quotes)'
            self.text.fail(what, words[0], words[-1] + 1)

    def nearest_place_word(self, i: int) -> str | None:
        """The direction word that token i may stand for."""
        known = [word for phrase in (*self.text.known.sides, *self.text.known.lists["center"]) for word in phrase]
        return next(iter(difflib.get_close_matches(self.text.key(i), known, n=1, cutoff=0.75)), None)

    def suggestion(self, words: list[int]) -> str:
        """The direction word that a misspelt word may stand for."""
        for i in words[:20]:
            if not self.text.known.leads.match(self.text.tokens, i) and (close := self.nearest_place_word(i)):
                return f' (did you mean "{close}"?)'
        return ""

    def phrase(self, indices: list[int], moving: bool) -> str:
        """The object phrase without articles and verbs that say nothing about the sound."""
        known = self.text.known.lists
        at_front = ["dropped"] + ["moves", "adverbs"] * moving
        words = [self.text.tokens[i] for i in indices]
        size = None
        while size != len(words):
            size = len(words)
            if opener := known["openers"].match(words, 0):
                words = words[opener[1] :]
            elif words and any((words[0].key,) in known[role] for role in at_front):
                words = words[1:]
            elif words and any((words[-1].key,) in known[role] for role in ("enders", *at_front)):
                words = words[:-1]
        text, stop = "", 0
        for word in words:
            if (word.key,) in known["dropped"]:
                continue
            gap = self.text.text[stop : word.start]
            text += gap if text and not gap.strip("-&/+'.:") else " "  # "3rd", "right-hand"
            text += self.text.text[word.start : word.stop].translate(CHARACTERS).replace('"', "")
            stop = word.stop
        return text.strip()

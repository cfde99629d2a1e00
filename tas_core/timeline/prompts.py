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
``"drum and bass" on the left``. A place with a colon begins a list: "LEFT: cello, piano
RIGHT: drums", and "from left to right: violin, viola, cello" puts three sounds at equal
steps. A movement names both ends, or continues from the clause before it ("the cello
starts on the left and moves to the right").
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from tas_core.conventions import LEFT_SIGN
from tas_core.errors import PromptError, is_unseen
from tas_core.timeline.around import take_places
from tas_core.timeline.gains import AS_IT_IS, GainPath
from tas_core.timeline.levels import (
    REMOVED,
    Level,
    format_level,
    is_rest,
    is_whole,
    level_words,
    take_levels,
    without_only,
)
from tas_core.timeline.lexer import PromptText
from tas_core.timeline.names import check_name, check_tail, is_aside, is_listed, name_of, suggestion
from tas_core.timeline.places import AzimuthPath, Edit, Place, Spot, read_place
from tas_core.timeline.relations import Relation, Resolver
from tas_core.timeline.rooms import RoomChoice
from tas_core.timeline.spelling import english_name
from tas_core.timeline.sphere import SpherePath, SpherePoint
from tas_core.timeline.sphere_words import room_phrases, sphere_template
from tas_core.timeline.vocabulary import CHARACTERS, plain_text, vocabulary

ONE = ("a", "an", "one")
SOMEONE = ("someone", "somebody", "he", "she", "it", "everyone", "everybody")
"""Words before the verb "leaves"."""


@dataclass(frozen=True)
class Clause:
    """One object and where it sounds.

    Args:
        object: what sounds, a phrase for a text encoder. Stored in lower case with single spaces.
        azimuth: where it sounds.
        gain: how much louder or quieter it is made.
        is_placed: whether the prompt says where it sounds; if not, the azimuth is the center.
        sphere: where it sounds, if the prompt asks for more than a direction in front. The azimuth is then what the
            frontal plane has in its place, the same angles to the side, whatever was given.

    Raises:
        PromptError: the phrase is empty or holds a double quote or a character that cannot be seen.
    """

    object: str
    azimuth: AzimuthPath
    gain: GainPath = AS_IT_IS
    is_placed: bool = True
    sphere: SpherePath | None = None

    def __post_init__(self) -> None:
        phrase = _normalised(self.object)
        unseen = any(is_unseen(phrase, i) or unicodedata.category(c) == "Cs" for i, c in enumerate(phrase))
        if not phrase or '"' in phrase or unseen:
            raise PromptError(f"{self.object!r} is not an object: expected words without double quotes")
        object.__setattr__(self, "object", phrase)
        if self.sphere is not None:
            in_plane = self.sphere.in_plane
            object.__setattr__(self, "azimuth", in_plane or self.sphere.lateral)
            object.__setattr__(self, "sphere", None if in_plane else self.sphere)

    @classmethod
    def on_sphere(cls, name: str, sphere: SpherePath, gain: GainPath = AS_IT_IS) -> Clause:
        """An object anywhere around the listener."""
        return cls(name, sphere.lateral, gain, sphere=sphere)

    @property
    def path(self) -> SpherePath:
        """Where it sounds, on the whole sphere."""
        return self.sphere or SpherePath.frontal(self.azimuth)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the object, and its azimuth at both ends of the segment, degrees, positive left.

        A clause with a gain also says that, see :meth:`tas_core.timeline.gains.GainPath.as_dict`, and whether it has a
        place; one beyond the frontal plane says all of :meth:`tas_core.timeline.sphere.SpherePath.as_dict`.
        """
        said: dict[str, Any] = {
            "object": self.object,
            "azimuth_start_deg": self.azimuth.start_deg,
            "azimuth_end_deg": self.azimuth.end_deg,
        }
        if self.sphere:
            said |= self.sphere.as_dict()
        if self.is_placed and not self.gain.changes_level:
            return said
        return said | {"placed": self.is_placed, **self.gain.as_dict()}

    def part(self, first: float, last: float, duration_s: float) -> Clause:
        """What is left of it from one fraction of its time to another; the whole takes ``duration_s`` seconds."""
        gain = self.gain.part(first, last)
        if self.sphere:
            return Clause.on_sphere(self.object, self.sphere.part(first, last, duration_s), gain)
        return replace(self, azimuth=AzimuthPath(*map(self.azimuth.at, (first, last))), gain=gain)

    def mirrored(self) -> Clause:
        """The same object on the other side."""
        return replace(self, azimuth=self.azimuth.mirrored(), sphere=self.sphere and self.sphere.mirrored())


class PlaceSpan(NamedTuple):
    """Where in a prompt the words for an object and for its place stand, in characters; other objects may share it."""

    words: tuple[int, int]
    place: tuple[int, int]


@dataclass(frozen=True)
class Reading:
    """What a prompt says: its clauses, how doubtful words were taken (a line each, for a person), the rest's gain.

    And the room that all of it is in; None where it says none. ``text`` is the prompt as it was read, in Unicode form
    NFC and without what nobody sees, and ``spans`` where in it the places of objects stand, as far as each is in one.
    """

    clauses: tuple[Clause, ...]
    notes: tuple[str, ...] = ()
    rest: GainPath = AS_IT_IS
    room: RoomChoice | None = None
    text: str = field(default="", repr=False, compare=False)
    spans: Mapping[str, PlaceSpan] = field(default_factory=dict, repr=False, compare=False)


@lru_cache(maxsize=4096)  # datasets repeat a few texts many times
def read_prompt(text: str) -> Reading:
    """Read a prompt as :func:`parse_prompt` does, and say how doubtful words were taken.

    Raises:
        PromptError: as :func:`parse_prompt`.
    """
    reader = _Reader(text)
    clauses = tuple(reader.read().values())
    room = RoomChoice.by_name(reader.text.room) if reader.text.room else None
    return Reading(clauses, tuple(reader.text.notes), reader.rest, room, reader.text.text, reader.spans)


def parse_prompt(text: str) -> tuple[Clause, ...]:
    """Read a prompt.

    Args:
        text: the prompt, at most 4000 characters.

    Returns:
        At least one clause, in the order of the text, no object twice.

    Raises:
        PromptError: with the text, a caret line under the culprit, and examples of what is understood.
    """
    return read_prompt(text).clauses


def format_prompt(
    clauses: Sequence[Clause],
    rest: GainPath = AS_IT_IS,
    room: RoomChoice | None = None,
    write: Callable[[Clause], str] | None = None,
) -> str:
    """Write clauses as text in degrees, metres and dB, so that :func:`read_prompt` returns the same.

    Args:
        clauses: at least one.
        rest: gain of all that they do not name.
        room: a room by name.
        write: writes one clause in other words.

    Raises:
        PromptError: no clauses, or an object twice.
    """
    if len({clause.object for clause in clauses}) < max(1, len(clauses)):
        raise PromptError("a prompt has at least one clause and each object once")
    said = [*map(write or _format_clause, clauses)]
    if rest.changes_level:
        said.append(f"{level_words().canonical['rest']} {format_level(rest)}")
    if room is not None:
        said.append(next(" ".join(words) for words, name in room_phrases().items() if name == room.name))
    return vocabulary().canonical["joiner"].join(said)


def mirror_prompt_text(text: str) -> str:
    """Exchange left and right in the places of a prompt, and leave every other word as it is.

    ``parse_prompt(mirror_prompt_text(text))`` is ``parse_prompt(text)`` mirrored. Characters come
    back in Unicode form NFC, without those that nobody sees.

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
    return unicodedata.normalize("NFC", " ".join(plain_text(phrase).lower().split())).translate(CHARACTERS)


def _format_clause(clause: Clause) -> str:
    canonical, path = vocabulary().canonical, clause.azimuth

    def place(azimuth_deg: float) -> str:
        side = "center" if azimuth_deg == 0 else "left" if azimuth_deg * LEFT_SIGN > 0 else "right"
        return canonical[side].format(degrees=format(Decimal(repr(abs(azimuth_deg))).normalize(), "f"))

    template = canonical["moving" if path.is_moving else "fixed" if clause.is_placed else "unplaced"]
    if clause.gain.changes_level or not clause.is_placed:
        template = f"{template} {format_level(clause.gain)}"
    ends = {"place": place(path.start_deg), "start": place(path.start_deg), "end": place(path.end_deg)}
    if clause.sphere:
        template, ends = sphere_template(clause.sphere)
        template = f"{template} {format_level(clause.gain)}" if clause.gain.changes_level else template
    bare = template.format(object=clause.object, **ends)
    try:  # beside what moves, "leaves" is no noun
        if (clause.object,) not in vocabulary().lists["leaves"] and parse_prompt(bare) == (clause,):
            return bare
    except PromptError:
        pass
    return template.format(object=f'"{clause.object}"', **ends)


def replace_path(place: Place, path: SpherePath) -> Spot | None:
    """What is beyond the plane in a place, with another path."""
    return place.spot and place.spot._replace(path=path)


# ---------------------------------------------------------------------------- grammar


class _Group(NamedTuple):
    words: list[int]
    """Tokens of the object, by index."""
    place: Place | None
    place_first: bool
    level: Level | None = None


class _Reader:
    """One pass over one prompt. `found`, `edits` and the notes of `text` are complete after :meth:`read`."""

    def __init__(self, text: str) -> None:
        self.text = PromptText(text)
        take_places(self.text)
        self.levels = take_levels(self.text)
        self.text.refuse_unsupported()
        self.rest = AS_IT_IS
        self.own_levels: dict[int, Level] = {}  # of objects that share a place, by their first token
        self.edits: list[Edit] = []
        self.found: dict[str, Clause] = {}
        self.spans: dict[str, PlaceSpan] = {}
        self.relations: dict[str, Relation] = {}  # of objects whose places depend on others
        self.latest: dict[str, list[int]] = {}  # objects of the last place, which a movement may continue
        self.arrived = False  # whether they come or start there
        self.refuse_times()

    def read(self) -> dict[str, Clause]:
        """All clauses by their object."""
        waiting: list[list[int]] = []  # objects whose place is still to come
        held: Place | None = None  # a place whose object is still to come
        previous: Place | None = None  # the last place, if it came before its object
        spread: Place | None = None  # a range whose objects are still to come
        carried: Level | None = None  # of a verb such as "remove", whose objects may go on
        for group in self.groups():
            if group is None or (group.place and spread):
                if held:
                    self.fail_without_object(held)
                if spread:
                    self.add_spread(waiting, spread)
                elif carried and not previous:
                    self.add_unplaced(waiting, carried)
                else:
                    self.add(waiting, previous)
                waiting, previous, spread, carried = [], None, None, None
                if group is None:
                    continue
            words, place, place_first, level = group
            if level and place is None and not (spread or (held and words)):
                carried = self.close(waiting, words, level)
                waiting, previous = [], None
                continue
            if level:
                self.share(level, waiting if place or not words else [], words, place)
                if not words and not place:
                    continue
            if carried and waiting and place:
                what = "one more sound of the level before, or of the place behind? Expected a semicolon between"
                self.text.fail(what, waiting[0][0], waiting[-1][-1] + 1)
            if place is None:
                if held and held.lead == "path" and self.text.key(held.stop) in (",", "，"):
                    spread, held = held, None  # "from left to right, violin, viola and cello"
                    waiting.append(words)
                elif held:
                    self.add([words], held)
                    held, previous = None, held
                elif self.is_object(words, waiting):
                    waiting.append(words)
                continue
            carried = None
            if held:
                self.fail_without_object(held)
            if self.heads(place):
                self.add(waiting, previous)
                waiting, previous = [], None
            named = bool(self.name(words, moving=True))
            heads = self.heads(place) or (place_first and named)
            if place.lead == "path" and (heads or self.verb_before(place, "spreads")):
                spread, objects = place, [words] if named else []
                waiting = [*waiting, *objects]
                if not heads:
                    self.add_spread(waiting, place)
                    waiting, spread = [], None
                continue
            if self.continues(words, place) and not waiting and self.latest:
                self.extend(place)
                continue
            self.refuse_half_a_movement(place)
            if not named and not waiting:
                held = None if self.put(place) else place
                continue
            if named and place_first:
                self.add(waiting, previous)
                self.add([words], place)
            else:
                if not named or len(waiting) > 1:
                    waiting = self.without_asides(waiting, place, named)
                self.add([*waiting, words] if named else waiting, place)
            if place.lead == "path" and len(self.latest) > 1 and not self.verb_before(place, "moves", "moves_kept"):
                names = ", ".join(self.latest)
                self.text.note(f'{names} move together; "from left to right: ..." puts them side by side')
            self.arrived = self.verb_before(place, "arrives")
            waiting, previous = [], place if place_first and named else None
        for levels in self.levels.values():
            self.text.fail_at("a level without a sound", *levels[0].span)
        if not self.found:
            if self.rest.changes_level:
                self.text.fail("a level of all else, and no sound that is named", 0, len(self.text.tokens))
            if self.text.tokens and self.text.text.strip():
                self.text.fail("no object and no place", 0, len(self.text.tokens))
            raise PromptError(f'the prompt is empty, expected for example "{self.text.known.examples[0]}"')
        self.resolve()
        return self.found

    def resolve(self) -> None:
        """Give coordinates to the objects whose places depend on others."""
        if not self.relations:
            return
        paths = {name: c.path if c.is_placed else None for name, c in self.found.items() if name not in self.relations}
        resolver = Resolver(self.text, paths, self.relations)
        for name, path in resolver.resolve().items():
            self.found[name] = replace(self.found[name], sphere=path)
        self.edits += resolver.edits

    def groups(self) -> Iterator[_Group | None]:
        """Objects with their places, in the order of the text; None where objects stop sharing."""
        first = i = 0
        listing = False  # below a place with a colon at the end of its line
        while i < len(self.text.tokens):
            if first < i and self.starts_with_verb(i):  # "cello on the left without drums"
                yield from self.leveled(first, i)
                first = i
            separator = self.text.match("separators", i)
            stop = separator or self.text.match("joiners", i)
            if stop and not self.is_sign(i) and not self.within_words(i):
                yield from self.leveled(first, i)
                own_line = self.text.source(i, stop) == "\n"
                if own_line and self.is_heading(first, i):
                    listing = True
                elif separator and first < i and not (listing and own_line):
                    yield None  # a line break behind a comma separates nothing
                    listing = False
                first = i = stop
            elif heading := self.heading(i):
                yield from self.leveled(first, i)
                first, i = i, heading
            else:
                i += 1
        yield from self.leveled(first, i)
        yield None

    def starts_with_verb(self, i: int) -> bool:
        """Whether before token i a verb stands that says what is done to the sound behind it: "remove the dog"."""
        return any(level.is_verb for level in self.levels.get(i, ()))

    def leveled(self, first: int, stop: int) -> Iterator[_Group | None]:
        """Objects with their places and levels between two joiners; None before a verb, where objects stop sharing."""
        verb = self.starts_with_verb(first)
        groups = self.chunk(first, stop)
        if verb:
            yield None
        starts = [min([*words, *([place.first] if place else [])]) for words, place, *_ in groups]
        levels: dict[int, Level] = {}
        for at in sorted(at for at in self.levels if first <= at <= stop):
            behind = [level for level in self.levels[at] if level.is_verb and at > first]  # of the next clause
            for level in (level for level in self.levels.pop(at) if level not in behind):
                number = max((n for n, start in enumerate(starts) if start < at), default=0)
                if levels.setdefault(number, level) is not level:
                    self.text.fail_at("a second level for one sound", *level.span)
            if behind:
                self.levels[at] = behind
        yield from (group._replace(level=levels.pop(number, None)) for number, group in enumerate(groups))
        yield from (_Group([], None, False, level) for level in levels.values())

    def heading(self, i: int) -> int | None:
        """Index behind a place with a colon behind it that starts at token i: it begins a list."""
        place = read_place(self.text, i)
        return place.stop if place and self.heads(place) else None

    def heads(self, place: Place) -> bool:
        """Whether a colon follows a place."""
        return self.text.gap(place.stop - 1).lstrip().startswith((":", "："))

    def is_heading(self, first: int, stop: int) -> bool:
        """Whether the tokens are nothing but a place with a colon."""
        return first < stop and self.heading(first) == stop

    def is_sign(self, i: int) -> bool:
        """Whether a joiner belongs to a number of degrees, as in "plus 45 degrees"."""
        return bool(self.text.known.signs.match(self.text.tokens, i)) and read_place(self.text, i) is not None

    def within_words(self, i: int) -> bool:
        """Whether a joiner is in the middle of a place or a number: "front and center", "cuarenta y cinco"."""
        known, tokens = self.text.known, self.text.tokens
        starts = range(max(0, i - 2), i)
        hits = [
            hit
            for k in starts
            for hit in (known.lists["center"].match(tokens, k), known.numbers.match(tokens, k))
            if hit
        ]
        return any(stop > i for _, stop in hits)

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
        if len(places) == 2 and not words[1] and places[1].lead == "diffuse" and places[0].lead != "diffuse":
            self.edits += places.pop().edits  # "on the left in the background"
            words.pop(1)
        if len(places) > 1 and not places[0].strong and not words[0] and words[1] and not words[2:][-1]:
            if any(place.strong for place in places):  # "middle eastern flute on the left"
                words[:2] = [[*range(places[0].first, places[0].stop), *words[1]]]
                del places[0]
        self.edits += [edit for place in places for edit in place.edits]
        for said in (said for place in places for said in place.said):
            self.text.note(said)
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

    def verb_before(self, place: Place, *roles: str) -> bool:
        """Whether a verb of these roles stands right before a place."""
        i = place.first - 1
        while i >= 0 and self.text.match("adverbs", i) == i + 1:
            i -= 1
        starts = range(max(0, i - 1), i + 1)
        return any(self.text.match(role, k) == i + 1 for role in roles for k in starts)

    def continues(self, words: list[int], place: Place) -> bool:
        """Whether a place is the end of a movement that the sounds before it began."""
        if self.verb_before(place, "moves", "moves_kept") and not self.name(words, moving=True):
            return True
        keys = [i for i in words if not self.text.match("pronouns", i) and not self.text.match("adverbs", i)]
        verbs = self.arrived and self.verb_before(place, "leaves") and keys and self.text.match("leaves", keys[0])
        return verbs == keys[-1] + 1 if verbs else False

    def refuse_half_a_movement(self, place: Place) -> None:
        """A movement has two ends, and only one of them is there."""
        half = self.verb_before(place, "moves", "moves_kept") and place.lead in ("", "to", "from")
        if half and self.verb_before(place, "arrives") and place.lead != "to":
            return
        i = place.first - 1
        leaves = i >= 0 and self.text.match("leaves", i) == place.first
        first = i == 0 or self.text.ends_clause(i - 1)
        a_noun = i > 0 and self.text.key(i - 1) == "the"  # "the leaves to the left"
        if first and leaves and place.lead != "from" and not self.moves_anywhere(but=i):
            a_noun = is_listed([self.text.tokens[i]])  # "leaves on the left", where nothing moves
        half = half and not self.is_noun(place)
        start = self.clause_start(i)
        one = self.text.key(start) in ONE and not is_listed(self.text.tokens[start + 1 : i + 1])
        someone_leaves = leaves and place.lead != "from" and (one or self.text.key(start) in SOMEONE)
        if half or someone_leaves or (leaves and (first or place.lead == "to") and not a_noun) or self.exits(place):
            missing = "an end" if place.lead == "from" else "a start"
            stays = "" if place.lead else ', or "on the ..." if it stays there'
            what = f"a movement without {missing}, expected from ... to ...{stays}{self.or_a_noun(place)}"
            self.text.fail(what, place.first - 1, place.stop)

    def clause_start(self, i: int) -> int:
        """Index of the first token of the clause of token i."""
        while i > 0 and not self.text.ends_clause(i - 1):
            i -= 1
        return max(i, 0)

    def is_noun(self, place: Place) -> bool:
        """Whether what ends like a verb is a sound: "ride" or "a fly" alone, "frying pan" of the catalogue."""
        i = place.first - 1
        words = list(range(self.clause_start(i), i + 1))
        while len(words) > 1 and self.text.key(words[0]) in ("a", "the", "an", "my"):
            del words[0]
        verb = self.text.key(i).endswith(("s", "ing"))
        if place.lead == "from" or (verb and self.moves_anywhere(but=i)):
            return False
        if len(words) == 1 and not verb:
            return self.text.match("moves_kept", i) == i + 1
        if (verb and place.lead == "to") or not is_listed([self.text.tokens[k] for k in words]):
            return False
        if verb and len(words) > 1:
            self.text.note(f'"{self.text.source(words[0], i + 1)}" stays there; a movement is from ... to ...')
        return True

    def fail_without_object(self, place: Place) -> NoReturn:
        """Refuse a place of nothing."""
        self.text.fail(f"a place without an object{self.or_a_noun(place)}", place.first, place.stop)

    def moves_anywhere(self, but: int) -> bool:
        """Whether a verb of movement is in the prompt, other than the one at token ``but``."""
        roles = ("moves", "moves_kept", "arrives")
        return any(self.text.match(role, k) for k in range(len(self.text.tokens)) for role in roles if k != but)

    def or_a_noun(self, place: Place) -> str:
        """What to do if the only word before a place is no verb, but the name of a sound: "pans on the left"."""
        i = place.first - 1
        alone = i == 0 or (i > 0 and self.text.ends_clause(i - 1))
        return f'; if "{self.text.source(i, i + 1)}" is a sound, put it in quotes' if alone and self.is_verb(i) else ""

    def is_verb(self, i: int) -> bool:
        """Whether token i is a verb of movement that may as well be a plural."""
        roles = ("moves", "moves_kept", "leaves", "arrives")
        return self.text.key(i).endswith("s") and any(self.text.match(role, i) == i + 1 for role in roles)

    def exits(self, place: Place) -> bool:
        """Whether the word before a place can only mean that a sound goes away."""
        return bool(place.first) and self.text.key(place.first - 1) in ("exits", "exit", "exiting")

    def close(self, waiting: list[list[int]], words: list[int], level: Level) -> Level | None:
        """Make clauses without a place of objects that have a level; returns a level that others may go on with."""
        objects = [*waiting, words] if self.name(words, moving=True) else waiting
        if objects:
            self.add_unplaced(objects, level)
            return level if level.is_verb else None
        if not self.latest:
            self.text.fail_at("a level without a sound", *level.span)
        for name in self.latest:
            if self.found[name].gain.changes_level:
                self.text.fail_at("a second level for one sound", *level.span)
            self.refuse_place_of_nothing(level)
            self.found[name] = replace(self.found[name], gain=level.path)
        return None

    def share(self, level: Level, waiting: list[list[int]], words: list[int], place: Place | None) -> None:
        """Give a level to objects that have a place, or will."""
        self.refuse_place_of_nothing(level)
        objects = [*waiting, words] if words else waiting
        if not objects and place:  # "on the left, 3 dB quieter, a cello"
            self.text.fail_at("a level without a sound", *level.span)
        for each in objects:
            if self.own_levels.setdefault(each[0], level) is not level and each is words:
                self.text.fail_at("a second level for one sound", *level.span)

    def put(self, place: Place) -> bool:
        """Whether a place belongs to the sounds before it, which have a level and no place yet."""
        if not self.latest or any(self.found[name].is_placed for name in self.latest):
            return False
        for name in self.latest:
            if self.found[name].gain == REMOVED:
                self.text.fail("a place of a sound that is removed, expected one of the two", place.first, place.stop)
            placed = self.clause(name, place, self.found[name].gain)
            if place.spot and place.spot.relation:
                self.relations[name] = place.spot.relation
            self.found[name] = placed
        return True

    def refuse_place_of_nothing(self, level: Level) -> None:
        """Refuse a sound that is removed and put somewhere."""
        if level.path == REMOVED:
            self.text.fail_at("a sound that is removed has no place, expected one of the two", *level.span)

    def add_unplaced(self, objects: list[list[int]], level: Level | None) -> None:
        """Make a clause without a place of each object, or the level of all that is not named."""
        self.latest = {}
        if level and objects and self.is_bare_only(objects[0]):
            what = 'a level beside "only": all else silent ("isolate the voice, 3 dB louder"), or no "only"?'
            self.text.fail(what, objects[0][0], objects[0][-1] + 1)
        for number, each in enumerate(objects):
            words = self.alone(each, has_place=number > 0)
            first, stop = each[0], each[-1] + 1
            gain = self.own_levels[each[0]].path if each[0] in self.own_levels else level.path if level else AS_IT_IS
            name = self.name(words, moving=gain.is_moving)
            if not name:
                self.text.fail("no object", first, stop)
            quoted = any(self.text.key(i).startswith('"') for i in words)
            if is_whole(name) and not quoted:
                what = "a level of everything is the gain of the output, expected a name, or everything else"
                self.text.fail(what, first, stop)
            if is_rest(name) and not quoted:
                self.set_rest(gain, first, stop)
                continue
            check_name(self.text, words, moving=gain.is_moving)
            self.add_clause(Clause(self.translated(name), AzimuthPath(0.0, 0.0), gain, is_placed=False), words)

    def is_bare_only(self, words: list[int]) -> bool:
        """Whether an object has an "only" before it that silences everything else only where it has no place."""
        with_place, without = (without_only(self.text, words, has_place=has_place) for has_place in (True, False))
        return with_place is None and without is not None

    def alone(self, words: list[int], *, has_place: bool) -> list[int]:
        """The words of an object without "only", which silences everything else."""
        others = without_only(self.text, words, has_place=has_place)
        if others is None:
            return words
        if not others:
            self.text.fail("no object", words[0], words[-1] + 1)
        self.set_rest(REMOVED, words[0], words[-1] + 1)
        return others

    def set_rest(self, gain: GainPath, first: int, stop: int) -> None:
        """Set the level of all that is not named, once."""
        if self.rest.changes_level:
            self.text.fail("a second level for all that is not named", first, stop)
        self.rest = gain

    def add_clause(self, clause: Clause, words: list[int]) -> None:
        """Keep a clause."""
        if clause.object in self.found:
            what = "the same object twice, expected a distinction such as first and second"
            self.text.fail(what, words[0], words[-1] + 1)
        self.found[clause.object] = clause
        self.latest[clause.object] = words

    def extend(self, place: Place) -> None:
        """Let the latest clauses move on to a place."""
        for name, words in self.latest.items():
            before = self.found.pop(name)
            self.spans.pop(name, None)  # its place stands in two
            path = before.azimuth
            spot = place.spot
            if name in self.relations or (spot and spot.relation):
                what = "a movement from or to another sound is not supported, expected places in words or degrees"
                self.text.fail(what, place.first, place.stop)
            if before.path.is_moving or place.path.is_moving or (spot and spot.path and spot.path.is_moving):
                self.text.fail("a second movement for one object", place.first, place.stop)
            name = self.translated(self.name(words, moving=True))  # "the cello starts on the left" loses its verb
            if before.sphere or spot:
                self.found[name] = self.extended(name, before, place)
            else:
                self.found[name] = Clause(name, AzimuthPath(path.start_deg, place.path.end_deg), before.gain)
        self.latest = {}

    def extended(self, name: str, before: Clause, place: Place) -> Clause:
        """A clause that moves on to a place, on the sphere."""
        end = place.spot.path.end if place.spot and place.spot.path else SpherePoint(place.path.end_deg)
        try:
            return Clause.on_sphere(name, SpherePath(before.path.start, end), before.gain)
        except PromptError as error:
            self.text.fail(f"{error}; expected one step less far", place.first, place.stop)

    @staticmethod
    def clause(name: str, place: Place, gain: GainPath) -> Clause:
        """An object at a place; one that depends on others is in the center for now."""
        if place.spot and place.spot.path:
            return Clause.on_sphere(name, place.spot.path, gain)
        return Clause(name, place.path, gain)

    def is_object(self, words: list[int], waiting: list[list[int]]) -> bool:
        """Whether words without a place are an object, rather than nothing or an aside."""
        if not self.name(words):
            return False
        behind = bool(waiting or self.found)  # "soft, steady rain" begins with an aside, "talking and singing" does not
        how = all(not self.text.key(i).endswith("ing") for i in words)
        return not ((behind or how) and is_aside(self.text, words))

    def without_asides(self, waiting: list[list[int]], place: Place, named: bool) -> list[list[int]]:
        """The objects before a place that stands behind a comma: "the rain, soft and steady, on the left" is one."""
        if named or len(waiting) < 2 or self.text.source(place.first - 1, place.first) not in (",", "，"):
            return waiting
        begins_with_article = [self.text.key(words[0]) in ("the", "a", "an", "my") for words in waiting]
        if begins_with_article[0] and not all(begins_with_article):
            first = waiting[begins_with_article.index(False)]
            self.text.fail(
                "one sound with an aside, or several sounds? Expected no comma before the place",
                first[0],
                waiting[-1][-1] + 1,
            )
        return waiting

    def add_spread(self, objects: list[list[int]], place: Place) -> None:
        """Place objects at equal steps from one end of a range to the other."""
        if len(objects) < 2:
            self.add(objects, place)
            return
        path = place.spot.path if place.spot else None
        for number, words in enumerate(objects):
            if path:
                fixed = SpherePath.fixed(path.point(number / (len(objects) - 1), 1.0))
                self.add([words], place._replace(spot=replace_path(place, fixed)))
                continue
            azimuth_deg = place.path.at(number / (len(objects) - 1))
            self.add([words], place._replace(path=AzimuthPath(azimuth_deg, azimuth_deg)))
        self.latest = {}

    def add(self, objects: list[list[int]], place: Place | None) -> None:
        """Make a clause of each object."""
        if place is None and objects and without_only(self.text, objects[0], has_place=False) is not None:
            self.add_unplaced(objects, None)
            return
        self.latest = {}
        for words in objects:
            first, stop = words[0], words[-1] + 1
            if place is None:
                self.text.fail("an object without a place" + suggestion(self.text, words), first, stop)
            level = self.own_levels.get(first)
            words = self.alone(words, has_place=True)
            moving = place.lead == "path" or self.verb_before(place, "arrives") and words[-1] < place.first
            name = self.name(words, moving=moving or (level is not None and level.path.is_moving))
            if not name:
                self.text.fail("no object", first, stop)
            shares = stop < place.first and self.text.ends_clause(stop)
            if shares and self.text.key(first) in ("keep", "leave"):  # "keep the drums, piano left"
                self.text.fail(self.text.known.unsupported[("not",)], first, stop)
            for i in words[1:] if shares else ():
                if self.text.known.sides.match(self.text.tokens, i):  # "piano left hand, guitar right"
                    self.text.fail("a direction in the name of a sound without a place; quotes keep it", i, i + 1)
            check_tail(self.text, words, place)
            check_name(self.text, words, moving=moving)
            name = self.translated(name)
            try:
                clause = self.clause(name, place, level.path if level else AS_IT_IS)
            except PromptError:
                self.text.fail("an object with a control character", first, stop)
            if place.lead == "diffuse" and clause.object not in self.found:
                around = self.text.source(place.first, place.stop)
                said = 'in the center; "all around" surrounds you, "far away" is far'
                self.text.note(f'"{clause.object}" {around}: {said}')
            self.add_clause(clause, words)
            self.spans[clause.object] = PlaceSpan(*(self.characters(*part) for part in ((first, stop), place[:2])))
            if place.spot and place.spot.relation:
                self.relations[clause.object] = place.spot.relation

    def characters(self, first: int, stop: int) -> tuple[int, int]:
        """Where in the text tokens first to before stop stand."""
        return self.text.tokens[first].start, self.text.tokens[stop - 1].stop

    def translated(self, name: str) -> str:
        """The English name of a sound in a prompt of another language."""
        english = english_name(name) if self.text.language else None
        if english is None or english == name.lower():
            return name
        self.text.note(f'"{name}" is read as "{english}"')
        return english

    def name(self, words: list[int], *, moving: bool = False) -> str:
        """What is left of an object's words as its name."""
        return name_of(self.text, words, moving=moving)

    def refuse_times(self) -> None:
        """Refuse "in 3 seconds" and the like."""
        text = self.text
        for i in range(len(text.tokens)):
            number = text.known.numbers.match(text.tokens, i)
            stop = number[1] if number else i + 1
            unit = text.match("time_units", stop)
            if not unit or not (number or text.key(i).replace(".", "").isdecimal()):
                continue
            lead = i > 0 and text.match("time_leads", i - 1) == i
            if lead or not text.match("time_units_near", stop):
                why = "a prompt describes one stretch of time; give each step its own segment in the timeline"
                text.fail(why, i - 1 if lead else i, unit)

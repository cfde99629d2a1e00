"""Where a sound is: azimuths, and the grammar of the words that name them.

::

    place   = distance* (point | ["from"] point "to" point | diffuse) distance*
    point   = lead* (side [number] | center | degrees [side] | clock)
    lead    = preposition | determiner | strength | hedge

Each word is in ``prompts/directions.yaml``. A number of degrees without a side is positive
to the left. A diffuse place ("in the background") is the center, and said so. Places beyond the frontal plane are read
before, by :mod:`tas_core.timeline.around`, and are one token here. Every place knows how to rewrite its own text for
the other side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tas_core.conventions import LEFT_SIGN, MAX_AZIMUTH_DEG
from tas_core.errors import PromptError
from tas_core.timeline.lexer import PromptText
from tas_core.timeline.vocabulary import Side

if TYPE_CHECKING:
    from tas_core.timeline.relations import Relation
    from tas_core.timeline.sphere import SpherePath

FEWEST_BARE_DEG = 5
"""A smaller number behind a side needs a unit: "left 30" is degrees, "violin left 2" may be a second violin."""


@dataclass(frozen=True)
class AzimuthPath:
    """A direction that stays or moves at constant angular speed.

    Args:
        start_deg: azimuth at the beginning, degrees, -90 (right) to 90 (left).
        end_deg: azimuth at the end, same unit and range.

    Raises:
        PromptError: an azimuth is not a number within the range.
    """

    start_deg: float
    end_deg: float

    def __post_init__(self) -> None:
        for name in ("start_deg", "end_deg"):
            value = float(getattr(self, name)) + 0.0  # + 0.0 turns -0.0 into 0.0
            if not abs(value) <= MAX_AZIMUTH_DEG:
                raise PromptError(f"azimuth {value:g} is outside -90 (right) to 90 (left) degrees")
            object.__setattr__(self, name, value)

    @property
    def is_moving(self) -> bool:
        """Whether start and end differ."""
        return self.start_deg != self.end_deg

    def at(self, fraction: float) -> float:
        """Azimuth in degrees after a fraction (0 to 1) of the movement."""
        if not self.is_moving:
            return self.start_deg
        azimuth_deg = (1.0 - fraction) * self.start_deg + fraction * self.end_deg
        return max(-MAX_AZIMUTH_DEG, min(MAX_AZIMUTH_DEG, azimuth_deg))  # rounding may overshoot

    def mirrored(self) -> AzimuthPath:
        """The same path with left and right exchanged."""
        return AzimuthPath(-self.start_deg, -self.end_deg)


Edit = tuple[int, int, str]
"""What to replace in the text to mirror a place: start, stop, new words."""


class Spot(NamedTuple):
    """A place beyond the frontal plane, or relative to another sound, that was read."""

    stop: int
    """Token behind it."""
    path: SpherePath | None
    """None for a place that depends on another sound."""
    lead: str
    edits: tuple[Edit, ...] = ()
    said: tuple[str, ...] = ()
    relation: Relation | None = None


class PlanePoint(NamedTuple):
    """A direction of any angle, before token `stop`."""

    stop: int
    azimuth_deg: float
    lead: str
    strong: bool
    edits: tuple[Edit, ...] = ()


class Place(NamedTuple):
    """A place that was read, from token `first` to before token `stop`."""

    first: int
    stop: int
    path: AzimuthPath
    lead: str
    """Kind of the preposition in front: at, to, from, or empty; "path" for a movement, "diffuse" for all around."""
    strong: bool
    """With a preposition or a number. A bare "left" may as well belong to the object."""
    edits: tuple[Edit, ...]
    said: tuple[str, ...] = ()
    """What a person is told of it."""
    spot: Spot | None = None
    """Where it is if that is beyond the frontal plane; the path is then the center."""


class _Point(NamedTuple):
    stop: int
    azimuth_deg: float
    edits: tuple[Edit, ...] = ()


def read_place(text: PromptText, i: int) -> Place | None:
    """The place that starts at token i, fixed or moving, or None if token i starts no place.

    Raises:
        PromptError: a direction behind the listener, relative to another sound, or without a unit.
    """
    if spot := text.spots.get(text.key(i)):
        return Place(i, i + 1, AzimuthPath(0.0, 0.0), spot.lead or "at", True, spot.edits, spot.said, spot)
    start = _read_point(text, i) or _diffuse(text, i)
    if start is None:
        return None
    start = _without_distance(text, start)
    if start.lead not in ("", "from") and not text.match("passing", i):
        return start
    end = _read_point(text, text.skip("adverbs", start.stop))
    if end is None or end.lead != "to":
        return start
    path = AzimuthPath(start.path.start_deg, end.path.start_deg)
    end = _without_distance(text, end)
    return Place(i, end.stop, path, "path", True, start.edits + end.edits, start.said + end.said)


def _without_distance(text: PromptText, place: Place) -> Place:
    """A place with the words around it that say how far away it is, which is not rendered."""
    stop = text.skip("distances", place.stop)
    if stop > place.stop:
        first, last = place.stop, stop
    else:
        first, last = next(_distances(text, place), (0, 0))
    if last:
        said = f'"{text.source(first, last)}" is not rendered, expected a distance such as far away or 3 m away'
        place = place._replace(said=(*place.said, said))
    return place._replace(stop=stop)


def _distances(text: PromptText, place: Place) -> Iterator[tuple[int, int]]:
    """Tokens of the words in a place that say how far away it is, but for "close" in "close to the left"."""
    i = place.first
    while i < place.stop and place.lead != "diffuse":
        lead = text.known.leads.match(text.tokens, i)
        distance = text.match("distances", i)
        if distance and (lead is None or lead[1] <= distance):
            yield i, distance
        i = lead[1] if lead else i + 1


def _diffuse(text: PromptText, i: int) -> Place | None:
    """A place that is none: "in the background"."""
    stop = text.match("diffuse", i)
    if stop is None:
        return None
    return Place(i, stop, AzimuthPath(0.0, 0.0), "diffuse", True, ())


def _read_point(text: PromptText, i: int) -> Place | None:
    """One direction of the frontal plane, with the words that lead to it."""
    point = read_plane_point(text, i)
    if point is None:
        return None
    if abs(point.azimuth_deg) > MAX_AZIMUTH_DEG:
        text.fail(text.known.unsupported[("behind",)], i, point.stop)
    path = AzimuthPath(point.azimuth_deg, point.azimuth_deg)
    return Place(i, point.stop, path, point.lead, point.strong, point.edits)


def read_plane_point(text: PromptText, i: int) -> PlanePoint | None:
    """One direction, with the words that lead to it; its angle may be of any size."""
    known, j, leads, strength, off_center = text.known, i, set(), None, 0
    letter = text.is_letter(text.key(i)) and i > 0 and not text.ends_clause(i - 1)
    if letter and known.sides.match(text.tokens, i + 1):
        return None  # "speaker A left"
    while not text.match("half_past", j):
        modifier, lead = known.strengths.match(text.tokens, j), known.leads.match(text.tokens, j)
        if modifier and (lead is None or lead[1] <= modifier[1]):  # "far", but "far away" is a distance
            strength, j = modifier
            off_center = j if text.match("center", j - 1) == j else 0
        elif lead:
            leads.add(lead[0])
            j = lead[1]
        else:
            break
    prepositions = leads - {""}
    point = _degrees(text, j, i, "from" in leads) or _clock(text, j, "at" in leads)
    strong = bool(point or prepositions)
    if point is None:
        behind_name = i > 0 and not text.ends_clause(i - 1)
        point = _side(text, j, strength, bool(prepositions), behind_name)
        # "right in front" is the center, but "front left" and "on the right in front" are sides
        center = text.match("center", j)
        if center and (point is None or (not leads and center > point.stop)):
            point = _Point(_of(text, center)[0], 0.0)
    if point is None:
        if off_center:
            text.fail("off center to no side, expected for example slightly to the left", i, off_center)
        return None
    lead_kind = next((kind for kind in ("to", "from", "at") if kind in leads), "")
    return PlanePoint(point.stop, point.azimuth_deg, lead_kind, strong, point.edits)


def read_number(text: PromptText, i: int) -> tuple[float, bool, int] | None:
    """A number, whether it has a sign, and the index behind it."""
    if sign := text.known.signs.match(text.tokens, i):
        number = read_number(text, sign[1])
        return None if number is None or number[1] else (sign[0] * number[0] + 0.0, True, number[2])
    if word := text.known.numbers.match(text.tokens, i):
        return float(word[0]), False, word[1]
    key = text.key(i)
    if not key[-1:].isdecimal() or not key.lstrip("+-")[:1].isdecimal() or ":" in key:
        return None
    return float(key.replace(",", ".")), key[0] in "+-", i + 1


def _degrees(text: PromptText, j: int, i: int, after_from: bool) -> _Point | None:
    """`30 degrees to the left`, `-30 degrees`; i is where the words before the number began.

    `0 degrees to the left` is straight ahead, but `from 0 degrees to the left` is a movement.
    """
    if (number := read_number(text, j)) is None:
        return None
    value, signed, stop = number
    unit = text.match("degree_units", stop)
    if unit is None and (found := _side_of_number(text, j, i, stop)):
        k = found[0]
    elif unit is None:
        k, side_stop = _shared_side(text, stop)
        if not side_stop:
            if (signed or (j > i and text.match("needs_unit", j - 1))) and not text.match("clock", stop):
                text.fail("a number without a unit, expected degrees or o'clock", j, stop)
            return None
        shared = text.known.sides.match(text.tokens, k)
        if shared and side_stop > k and not signed:  # the word is mirrored with the second number
            return _Point(stop, shared[0].sign * value + 0.0)
    else:
        k = unit
        while (lead := text.known.leads.match(text.tokens, k)) and not (after_from and _begins_an_end(text, unit, k)):
            k = lead[1]
    if (value or not after_from or unit is None) and not signed and (side := text.known.sides.match(text.tokens, k)):
        word, stop = side
        _say(text, word, k, stop)
        after = _of(text, text.skip("side_nouns", stop))[0]
        return _Point(after, word.sign * value + 0.0, (edited(text, k, stop, word.mirror),))
    digits = text.source(j, stop)
    # A plus keeps the "right" of "right behind me" from being the number's side.
    before_side = text.known.sides.match(text.tokens, k) is not None
    if sign := text.known.signs.match(text.tokens, j):
        bare = text.source(sign[1], stop)
        opposite = f"minus {bare}" if value > 0 else f"plus {bare}" if before_side else bare
    elif text.known.numbers.match(text.tokens, j):
        opposite = f"-{value:g}"
    else:
        opposite = f"-{digits.lstrip('+')}" if value > 0 else "+" * before_side + digits[1:]
    if value and not signed and j and text.gap(j - 1).strip(" \t([") == "-":
        text.fail("a minus or a dash? Expected the sign right before the number, or left or right behind it", j, stop)
    edits = (edited(text, j, stop, opposite),) if value else ()
    return _Point(unit or stop, LEFT_SIGN * value, edits)


def _begins_an_end(text: PromptText, unit: int, k: int) -> bool:
    """Whether token k says more of the end of a movement: the "close to" of "from 90 degrees to close to my left ear".

    Only articles and possessives stand between the "to" of "30 degrees to the left" and its side.
    """
    return k > unit and not text.match("determiners", k)


def _side_of_number(text: PromptText, j: int, i: int, stop: int) -> tuple[int, int] | None:
    """A side behind a number without a unit, where the number can only be degrees: "45L", "at 45 to the left"."""
    k = stop
    while lead := text.known.leads.match(text.tokens, k):
        k = lead[1]
    side = text.known.sides.match(text.tokens, k)
    number = read_number(text, j)
    if side is None or number is None or number[1]:
        return None
    glued = k == stop and not text.gap(stop - 1) and text.key(j)[-1:].isdecimal()
    if glued and j and text.match("moves", j - 1):
        text.fail("a number of a pan control, expected degrees or words", j - 1, side[1])
    led = j > i and text.known.leads.get((text.key(j - 1),), "") != ""
    return (k, side[1]) if glued or led else None


def _shared_side(text: PromptText, stop: int) -> tuple[int, int]:
    """Where a number shares unit and side of the next, "from 30 to 10 degrees right": the side's tokens.

    The second is 0 without such a number, and equals the first where its side is in its sign.
    """
    lead = text.known.leads.match(text.tokens, stop)
    if lead is None or lead[0] != "to":
        return 0, 0
    number = read_number(text, lead[1])
    unit = number and text.match("degree_units", number[2])
    if number is None or unit is None:
        return 0, 0
    k = unit
    while more := text.known.leads.match(text.tokens, k):
        k = more[1]
    side = text.known.sides.match(text.tokens, k)
    return (k, side[1]) if side and not number[1] else (stop, stop)


def _say(text: PromptText, side: Side, first: int, stop: int) -> None:
    """Tell the person about a word for a side that others may read otherwise."""
    if side.said:
        name = "left" if side.sign * LEFT_SIGN > 0 else "right"
        text.note(side.said.format(words=f'"{text.source(first, stop)}"', side=name))


def _clock(text: PromptText, j: int, after_at: bool) -> _Point | None:
    """`10 o'clock`, `half past ten`, `at 10:30`: 30 degrees per hour, and 12 is ahead."""
    half = text.match("half_past", j)
    first = half or j
    key = text.key(first)
    if ":" in key and key[0].isdecimal():
        hour, minute = map(float, key.split(":"))
        stop = first + 1
    elif number := read_number(text, first):
        hour, minute, stop = number[0], 30.0 if half else 0.0, number[2]
        after_at = half is not None
    else:
        return None
    mark = text.match("clock", stop)
    if not mark and not after_at:
        return None
    if hour not in range(1, 13) or minute >= 60:
        text.fail("a clock shows hours from 1 to 12 and minutes below 60", first, stop)
    minutes = int(60 * hour + minute) % 720
    mirror_hour, mirror_minute = divmod(-minutes % 720, 60)
    mirror_hour = mirror_hour or 12
    words = f"{mirror_hour}:{mirror_minute:02d}" if ":" in key else str(mirror_hour)
    if text.known.numbers.match(text.tokens, first):
        words = next(" ".join(word) for word, n in text.known.numbers.items() if n == mirror_hour)
    clockwise_deg = minutes / 2 if minutes <= 360 else minutes / 2 - 360
    return _Point(mark or stop, -LEFT_SIGN * clockwise_deg, (edited(text, first, stop, words),))


def _side(
    text: PromptText, j: int, strength: float | None, after_preposition: bool, behind_name: bool
) -> _Point | None:
    """`left`, `left-hand side`, `left of center`, `left by 30 degrees`, `left a bit`."""
    if (hit := text.known.sides.match(text.tokens, j)) is None:
        return None
    side, stop = hit
    _say(text, side, j, stop)
    edit = edited(text, j, stop, side.mirror)
    if noun := text.match("side_nouns", stop):
        stop = noun
    elif noun := text.match("side_nouns_after_preposition", stop):
        if not after_preposition:
            return None
        stop = noun
    stop, of_center = _of(text, stop)
    if strength is None:
        strength = text.known.of_center_deg if of_center else text.known.plain_deg
        k = stop
        while (lead := text.known.leads.match(text.tokens, k)) and lead[0] in ("", "at"):
            k = lead[1]
        number = read_number(text, k)
        if number and number[0] and not number[1]:
            unit = text.match("degree_units", number[2])
            going_on = text.known.leads.match(text.tokens, number[2])
            glued = k == stop and not text.gap(stop - 1)  # "L30"
            alone = glued or text.ends_clause(number[2]) or (going_on and going_on[0] == "to")
            if unit is None and alone and k == stop and number[0] < FEWEST_BARE_DEG:
                text.fail("a number without a unit, expected degrees", k, number[2])
            if unit or (alone and k == stop):  # "left 30", "from L30 to R30"
                return _Point(unit or number[2], side.sign * number[0], (edit,))
        more = text.known.strengths.match(text.tokens, stop)
        if behind_name and more and text.ends_clause(more[1]):
            strength, stop = more
    return _Point(stop, side.sign * (side.degrees or strength), (edit,))


def _of(text: PromptText, i: int) -> tuple[int, bool]:
    """Index behind `of center` or `of the stage` at token i, and whether it was the former."""
    if (j := text.match("of", i)) is None:
        return i, False
    if owner := text.match("owners", j) or text.match("owners", text.skip("determiners", j)):
        return owner, False
    j = text.skip("determiners", j)
    if center := text.match("center", j):
        return center, True
    text.fail(text.known.unsupported[("between",)], i - 1, min(j + 1, len(text.tokens)))


def edited(text: PromptText, first: int, stop: int, words: str) -> Edit:
    """Replace tokens first to stop by words in the same letter case."""
    was = text.source(first, stop)
    words = words.upper() if was.isupper() else words.capitalize() if was[0].isupper() else words
    return text.tokens[first].start, text.tokens[stop - 1].stop, words

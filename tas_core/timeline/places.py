"""Where a sound is: azimuths, and the grammar of the words that name them.

::

    place   = point | ["from"] point "to" point
    point   = lead* (side | center | degrees [side] | clock)
    lead    = preposition | determiner | strength

Each word is in ``prompts/directions.yaml``. A number of degrees without a side is positive
to the left. Every place knows how to rewrite its own text for the other side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tas_core.conventions import LEFT_SIGN, MAX_AZIMUTH_DEG
from tas_core.errors import PromptError
from tas_core.timeline.lexer import PromptText


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


class Place(NamedTuple):
    """A place that was read, from token `first` to before token `stop`."""

    first: int
    stop: int
    path: AzimuthPath
    lead: str
    """Kind of the preposition in front: at, to, from, or empty; "path" for a movement."""
    strong: bool
    """With a preposition or a number. A bare "left" may as well belong to the object."""
    edits: tuple[Edit, ...]


class _Point(NamedTuple):
    stop: int
    azimuth_deg: float
    edits: tuple[Edit, ...] = ()


def read_place(text: PromptText, i: int) -> Place | None:
    """The place that starts at token i, fixed or moving, or None if token i starts no place.

    Raises:
        PromptError: a direction behind the listener, relative to another sound, or without a unit.
    """
    start = _read_point(text, i)
    if start is None or start.lead not in ("", "from"):
        return start
    end = _read_point(text, text.skip("adverbs", start.stop))
    if end is None or end.lead != "to":
        return start
    path = AzimuthPath(start.path.start_deg, end.path.start_deg)
    return Place(i, end.stop, path, "path", True, start.edits + end.edits)


def _read_point(text: PromptText, i: int) -> Place | None:
    """One direction, with the words that lead to it."""
    known, j, leads, strength = text.known, i, set(), None
    while not text.match("half_past", j):
        if modifier := known.strengths.match(text.tokens, j):
            strength, j = modifier
        elif lead := known.leads.match(text.tokens, j):
            leads.add(lead[0])
            j = lead[1]
        else:
            break
    prepositions = leads - {""}
    point = _degrees(text, j, i, "from" in leads) or _clock(text, j, "at" in leads)
    strong = bool(point or prepositions)
    if point is None:
        point = _side(text, j, strength, bool(prepositions))
        # "right in front" is the center, but "front left" and "on the right in front" are sides
        center = text.match("center", j)
        if center and (point is None or (not leads and center > point.stop)):
            point = _Point(_of(text, center)[0], 0.0)
    if point is None:
        return None
    if abs(point.azimuth_deg) > MAX_AZIMUTH_DEG:
        text.fail(known.unsupported[("behind",)], i, point.stop)
    lead_kind = next((kind for kind in ("to", "from", "at") if kind in leads), "")
    path = AzimuthPath(point.azimuth_deg, point.azimuth_deg)
    return Place(i, point.stop, path, lead_kind, strong, point.edits)


def _number(text: PromptText, i: int) -> tuple[float, bool, int] | None:
    """A number, whether it has a sign, and the index behind it."""
    if word := text.known.numbers.match(text.tokens, i):
        return float(word[0]), False, word[1]
    key = text.key(i)
    if not key[-1:].isdecimal() or not key.lstrip("+-")[:1].isdecimal() or ":" in key:
        return None
    return float(key), key[0] in "+-", i + 1


def _degrees(text: PromptText, j: int, i: int, after_from: bool) -> _Point | None:
    """`30 degrees to the left`, `-30 degrees`; i is where the words before the number began.

    `0 degrees to the left` is straight ahead, but `from 0 degrees to the left` is a movement.
    """
    if (number := _number(text, j)) is None:
        return None
    value, signed, stop = number
    unit = text.match("degree_units", stop)
    if unit is None:
        if (signed or (j > i and text.match("needs_unit", j - 1))) and not text.match("clock", stop):
            text.fail("a number without a unit, expected degrees or o'clock", j, stop)
        return None
    k = unit
    while lead := text.known.leads.match(text.tokens, k):
        k = lead[1]
    if (value or not after_from) and not signed and (side := text.known.sides.match(text.tokens, k)):
        after = _of(text, text.skip("side_nouns", side[1]))[0]
        return _Point(after, side[0].sign * value + 0.0, (_edit(text, k, side[1], side[0].mirror),))
    digits = text.source(j, stop)
    opposite = f"-{value:g}" if text.known.numbers.match(text.tokens, j) else f"-{digits.lstrip('+')}"
    edits = (_edit(text, j, stop, opposite if value > 0 else digits[1:]),) if value else ()
    return _Point(unit, LEFT_SIGN * value, edits)


def _clock(text: PromptText, j: int, after_at: bool) -> _Point | None:
    """`10 o'clock`, `half past ten`, `at 10:30`: 30 degrees per hour, and 12 is ahead."""
    half = text.match("half_past", j)
    first = half or j
    key = text.key(first)
    if ":" in key and key[0].isdecimal():
        hour, minute = map(float, key.split(":"))
        stop = first + 1
    elif number := _number(text, first):
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
    return _Point(mark or stop, -LEFT_SIGN * clockwise_deg, (_edit(text, first, stop, words),))


def _side(text: PromptText, j: int, strength: float | None, after_preposition: bool) -> _Point | None:
    """`left`, `left-hand side`, `left of center`, `left by 30 degrees`."""
    if (hit := text.known.sides.match(text.tokens, j)) is None:
        return None
    side, stop = hit
    edit = _edit(text, j, stop, side.mirror)
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
        number = _number(text, k)
        if number and number[0] and not number[1] and (unit := text.match("degree_units", number[2])):
            return _Point(unit, side.sign * number[0], (edit,))
    return _Point(stop, side.sign * (side.degrees or strength), (edit,))


def _of(text: PromptText, i: int) -> tuple[int, bool]:
    """Index behind `of center` or `of the stage` at token i, and whether it was the former."""
    if (j := text.match("of", i)) is None:
        return i, False
    j = text.skip("determiners", j)
    if owner := text.match("owners", j):
        return owner, False
    if center := text.match("center", j):
        return center, True
    text.fail(text.known.unsupported[("between",)], i - 1, min(j + 1, len(text.tokens)))


def _edit(text: PromptText, first: int, stop: int, words: str) -> Edit:
    """Replace tokens first to stop by words in the same letter case."""
    was = text.source(first, stop)
    words = words.upper() if was.isupper() else words.capitalize() if was[0].isupper() else words
    return text.tokens[first].start, text.tokens[stop - 1].stop, words

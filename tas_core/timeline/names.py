"""Names of sounds: what the words around a place leave over, and which of it is no name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from tas_core.timeline.lexer import PromptText, foreign_sides
from tas_core.timeline.places import Place
from tas_core.timeline.spelling import catalogue_names, english_name
from tas_core.timeline.vocabulary import CHARACTERS, Token

MOST_COUNTED = 12
"""Larger numbers beside a place are no part of a name: "violin 2 on the left" is, "dog 45 left" is not."""

MOST_COUNTED_ALONE = 99
"""Larger numbers are names: "808 left"."""

_DECADES = (50, 60, 70, 80, 90)
_TIME = re.compile(r"\d{1,2}:\d\d")


def name_of(text: PromptText, indices: Sequence[int], *, moving: bool = False) -> str:
    """The name without articles and verbs that say nothing about the sound; empty if nothing is left.

    Args:
        text: the prompt.
        indices: tokens of the name.
        moving: whether the sound moves, so that verbs of movement are left out too.
    """
    known = text.known.lists
    words = _stripped(text, [text.tokens[i] for i in indices], moving)
    name, stop = "", 0
    for number, word in enumerate(words):
        last = number == len(words) - 1 and number > 0  # "speaker A"
        if (word.key,) in known["dropped"] and not (last and text.is_letter(word.key)):
            continue
        gap = text.text[stop : word.start]
        name += gap if name and not gap.strip("-&/+'.:") else " "  # "3rd", "right-hand"
        name += text.text[word.start : word.stop].translate(CHARACTERS).replace('"', "")
        stop = word.stop
    name = name.strip()
    in_marks = bool(words) and text.text[: words[0].start].endswith(("'", "’", "‘")) and name.endswith("'")
    return name[:-1].strip() if in_marks else name  # 'cello'


def _stripped(text: PromptText, words: list[Token], moving: bool) -> list[Token]:
    known = text.known.lists
    at_front = ["dropped", *["moves", "adverbs"] * moving]
    at_end = ["enders", *at_front, *["arrives", "leaves", "spreads"] * moving]
    size = None
    while size != len(words) and not (len(words) == 1 and is_listed(words)):  # "the leaves" do not leave
        size = len(words)
        if opener := known["openers"].match(words, 0):
            words = words[opener[1] :]
        elif len(words) > 1 and (words[0].key,) in known["openers_before_names"] and is_listed(words[1:]):
            words = words if is_listed(words) else words[1:]  # "pan cello", but "pan flute"
        elif words and (words[0].key,) in known["dropped"]:
            words = words[1:]
        elif n := max((_length_at_end(text, known[role], words) for role in at_end), default=0):
            words = words[:-n]
        elif words and any((words[0].key,) in known[role] for role in at_front) and not is_listed(words):
            words = words[1:]
    return words


def is_listed(words: Sequence[Token]) -> bool:
    """Whether words are the name of a sound of the catalogue, but for articles and a plural."""
    name = " ".join(word.key for word in words)
    return name in catalogue_names() or name.removesuffix("s") in catalogue_names()


def _length_at_end(text: PromptText, phrases: dict[tuple[str, ...], bool], words: Sequence[Token]) -> int:
    """Length of the longest of the phrases that the words end with, except for an "a" behind a noun."""
    keys = tuple(word.key for word in words)
    longest = max((n for n in range(1, min(len(keys), 6) + 1) if keys[-n:] in phrases), default=0)
    return 0 if longest == 1 and len(keys) > 1 and text.is_letter(keys[-1]) else longest


def check_name(text: PromptText, indices: Sequence[int], *, moving: bool = False) -> None:
    """Refuse a name with words in it that belong to a place, a time or a movement.

    Quotes protect whatever they hold.

    Raises:
        PromptError: with a caret under what is left over.
    """
    _check_spelling(text, indices)
    known = text.known
    for i in indices:
        if hit := known.misspelt.match(text.tokens[: i + 1], i):
            if i > indices[0] and known.leads.get((text.key(i - 1),)):
                text.fail(f'a spelling mistake (did you mean "{hit[0]}"? If not, put the object in quotes)', i, i + 1)
    words = [text.tokens.index(word) for word in _stripped(text, [text.tokens[i] for i in indices], moving)]
    if not text.language and text.key(words[-1]).endswith("'s"):  # "on the singer's right"
        text.fail(known.unsupported[("between",)], words[-1], indices[-1] + 1)
    for i in () if is_listed([text.tokens[i] for i in words]) else words:
        if _TIME.fullmatch(text.key(i)):
            text.fail(known.unsupported[("then",)], i, i + 1)
        if left := known.leftovers.match(text.tokens[: i + 1], i):
            alone = words if len(words) == 1 else []
            where = {"front": words[:1], "end": words[-1:], "alone": alone}.get(left[0].where, words)
            if i in where and (len(words) > 1 or left[0].where != "end"):
                text.fail(f"{left[0].why}; if it belongs to the name, put the name in quotes", i, left[1])
    if not text.language and len(words) > 1 and known.leads.get((text.key(words[0]),)):
        text.fail(
            "an object that begins like a place; if it belongs to the name, put the name in quotes",
            words[0],
            words[-1] + 1,
        )
    _check_numbers(text, indices, words)
    if not text.language and len(words) > 1 and text.key(words[-1]) in foreign_sides():
        text.fail(
            "a direction in another language than the others, or a name to put in quotes", words[-1], words[-1] + 1
        )
    if len(words) > 1 and known.leads.get((text.key(words[-1]),)):
        text.fail("an object that ends like the beginning of a place", words[-1], words[-1] + 1)


def check_tail(text: PromptText, indices: Sequence[int], place: Place) -> None:
    """Refuse words behind a place that do not go on with those before it, as in "piano left drums".

    Raises:
        PromptError: with a caret under them.
    """
    tail = [i for i in indices if i >= place.stop]
    if not tail or tail[0] != place.stop or indices[0] >= place.first:
        return
    names = " ".join(text.key(i) for i in tail)
    if text.language:
        goes_on = not (english_name(names) or names in catalogue_names())
    else:
        key, known = text.key(tail[0]), text.known.lists
        verb = key.endswith(("ing", "ed", "s", '"')) and names not in catalogue_names()
        stripped = [text.tokens[i] for i in tail]
        opened = text.gap(place.stop - 1).strip() in ("(", "[", "{")
        kinds = ("goes_on", "enders", "adverbs", "arrives", "leaves", "moves", "moves_kept")
        goes_on = verb or opened or is_aside(text, tail) or any(known[kind].match(stripped, 0) for kind in kinds)
    if not goes_on:
        text.fail(
            "words behind a place, expected a comma between clauses, or the whole name before it", tail[0], tail[-1] + 1
        )


def _check_numbers(text: PromptText, indices: Sequence[int], words: Sequence[int]) -> None:
    """Refuse a number beside a place that is too large for a name, or is all of it, and a length of time."""
    digits = text.key(words[0]) if len(words) == 1 else ""
    if _is_number(digits) and abs(float(digits.replace(",", "."))) <= MOST_COUNTED_ALONE:
        text.fail("a number without a unit or a name, expected degrees, or quotes around it", words[0], words[0] + 1)
    if len(words) > 2 and text.match("time_units", words[-1]) and _is_number(text.key(words[-2])):
        if float(text.key(words[-2]).replace(",", ".")) not in _DECADES:
            text.fail(text.known.unsupported[("then",)], words[-2], words[-1] + 1)
    for i in {words[0], words[-1]} if len(words) > 1 else ():
        key = text.key(i)
        value = float(text.known.numbers.get((key,), 0))
        if _is_number(key):
            value = float(key.replace(",", "."))
        first = i == words[0]
        if first and (i > indices[0] or i == 0 or text.ends_clause(i - 1) or text.gap(i - 1).strip()):
            continue  # "20 violins on the left", "the 1812 overture"
        if not first and text.match("numbered", i - 1) == i:
            continue  # "track 14 left"
        if abs(value) > MOST_COUNTED or value % 1 or (value and key[0] in "+-"):
            what = "a number without a unit, expected degrees, or quotes around the name that it belongs to"
            text.fail(what, i, i + 1)


def _is_number(key: str) -> bool:
    digits = key.lstrip("+-").replace(",", ".")
    return digits.replace(".", "", 1).isdecimal() and digits[0] != "." and digits[-1] != "."


def _check_spelling(text: PromptText, words: Sequence[int]) -> None:
    """Refuse an object that ends like a place with a spelling mistake, as in "cello on the lefft"."""
    lead = len(words) - 2
    while lead > 0 and text.known.leads.get((text.key(words[lead]),)) == "":
        lead -= 1
    if lead < 1 or not text.known.leads.get((text.key(words[lead]),)):
        return
    key = text.key(words[-1])
    if (key,) not in text.known.lists["no_misspelling"] and (close := nearest_place_word(text, words[-1])):
        what = f'an object that ends like a place (did you mean "{close}"? If not, put the object in quotes)'
        text.fail(what, words[0], words[-1] + 1)


def nearest_place_word(text: PromptText, i: int) -> str | None:
    """The direction word that token i may stand for."""
    known = [phrase[0] for phrase in (*text.known.sides, *text.known.lists["center"]) if len(phrase) == 1]
    return next(iter(difflib.get_close_matches(text.key(i), known, n=1, cutoff=0.75)), None)


def suggestion(text: PromptText, words: Sequence[int]) -> str:
    """The direction word that a misspelt word may stand for."""
    for i in words[:20]:
        if not text.known.leads.match(text.tokens, i) and (close := nearest_place_word(text, i)):
            return f' (did you mean "{close}"?)'
    return ""


def is_aside(text: PromptText, words: Sequence[int]) -> bool:
    """Whether words between commas only say how something sounds ("soft and steady"), or begin a relative clause."""
    known = text.known.lists
    tokens = [text.tokens[i] for i in words if (text.key(i),) not in known["dropped"]]
    if not tokens:
        return False
    if known["asides"].match(tokens, 0):
        return True
    i = 0
    while hit := known["quality_adverbs"].match(tokens, i):
        i = hit[1]
    return i < len(tokens) and all((token.key,) in known["qualities"] for token in tokens[i:])

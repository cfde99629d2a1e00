"""Names of sounds: what the words around a place leave over, and which of it is no name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from tas_core.timeline.lexer import PromptText, foreign_sides
from tas_core.timeline.spelling import catalogue_names
from tas_core.timeline.vocabulary import CHARACTERS, Token

MOST_COUNTED = 12
"""Larger numbers beside a place are no part of a name: "violin 2 on the left" is, "dog 45 left" is not."""


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
        if (word.key,) in known["dropped"] and not (last and len(word.key) == 1):
            continue
        gap = text.text[stop : word.start]
        name += gap if name and not gap.strip("-&/+'.:") else " "  # "3rd", "right-hand"
        name += text.text[word.start : word.stop].translate(CHARACTERS).replace('"', "")
        stop = word.stop
    return name.strip()


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
        elif words and any((words[0].key,) in known[role] for role in at_front):
            words = words[1:]
        elif n := max((_length_at_end(known[role], words) for role in at_end), default=0):
            words = words[:-n]
    return words


def is_listed(words: Sequence[Token]) -> bool:
    """Whether words are the name of a sound of the catalogue, but for articles and a plural."""
    name = " ".join(word.key for word in words)
    return name in catalogue_names() or name.removesuffix("s") in catalogue_names()


def _length_at_end(phrases: dict[tuple[str, ...], bool], words: Sequence[Token]) -> int:
    """Length of the longest of the phrases that the words end with, except for an "a" behind a noun."""
    keys = tuple(word.key for word in words)
    longest = max((n for n in range(1, min(len(keys), 6) + 1) if keys[-n:] in phrases), default=0)
    return 0 if longest == 1 and len(keys) > 1 and len(keys[-1]) == 1 else longest


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
    for i in () if is_listed([text.tokens[i] for i in words]) else words:
        if hit := known.leftovers.match(text.tokens[: i + 1], i):
            text.fail(f"{hit[0]}; if it belongs to the name, put the name in quotes", i, hit[1])
    _check_numbers(text, indices, words)
    if not text.language and len(words) > 1 and text.key(words[-1]) in foreign_sides():
        text.fail(
            "a direction in another language than the others, or a name to put in quotes", words[-1], words[-1] + 1
        )
    if len(words) > 1 and known.leads.get((text.key(words[-1]),)):
        text.fail("an object that ends like the beginning of a place", words[-1], words[-1] + 1)


def _check_numbers(text: PromptText, indices: Sequence[int], words: Sequence[int]) -> None:
    """Refuse a number beside a place that is too large for a name."""
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
        if abs(value) > MOST_COUNTED or (value and key[0] in "+-"):
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
    known = [word for phrase in (*text.known.sides, *text.known.lists["center"]) for word in phrase]
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

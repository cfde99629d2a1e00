"""Names of sounds that look like a spelling mistake of one in the catalogue ("trumpt"), and words that nobody knows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from tas_core.timeline.vocabulary import words_data, words_file

SHORTEST: Final = 4
"""Shorter words are near to too many others."""

LONG: Final = 8
"""From this length on two mistakes in a word are looked for, below only one."""

_WORD: Final = re.compile(r"[^\W\d_]+")
_ENDINGS: Final = ("s", "es", "ed", "er", "ers", "ing", "ist", "ists", "y", "like", "'s")


_FORMS: Final = tuple("al ally ed eer en ence est ful ian ic ier ings ish less let ly ment ness or ors ous".split())
"""What English words are formed with besides; too many words of the catalogue end so for a search for mistakes."""
_MARKS: Final = ".,;:!?'\"()"
_SHORTEST_PART: Final = 3
_LONGER_PART: Final = 4
"""Letters that the parts of a compound have: one at least the second number."""


@lru_cache(maxsize=1)
def catalogue_names() -> frozenset[str]:
    """All names of sounds in ``prompts/objects.yaml``, in lower case."""
    data: dict[str, dict[str, Any]] = words_data("objects.yaml")
    return frozenset(
        name.lower()
        for key, entry in data.items()
        for name in (key, *entry["words"], *entry.get("held_out", ()), *entry.get("more", ()))
    )


@lru_cache(maxsize=1)
def _synonyms() -> dict[str, str]:
    data: dict[str, list[str]] = words_data("synonyms.yaml")
    synonyms = {word: english for english, words in data.items() for word in words}
    return {_bare(word): english for word, english in reversed(synonyms.items())} | synonyms


def english_name(name: str) -> str | None:
    """The English name of a sound that is named in another language of ``prompts/synonyms.yaml``; None if unknown.

    Accents and case do not matter.
    """
    return _synonyms().get(name.lower()) or _synonyms().get(_bare(name))


def _bare(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.lower().replace("ß", "ss").replace("œ", "oe"))
    return "".join(c for c in letters if not unicodedata.combining(c))


@lru_cache(maxsize=1)
def _all_catalogue_words() -> frozenset[str]:
    return frozenset(w for name in catalogue_names() for w in _WORD.findall(name))


@lru_cache(maxsize=1)
def _catalogue_words() -> frozenset[str]:
    return frozenset(w for w in _all_catalogue_words() if len(w) >= SHORTEST)


@lru_cache(maxsize=1)
def _right_words() -> frozenset[str]:
    """Words that are near to one of the catalogue, and right as they are."""
    _, *lines = words_file("near_words.txt").read_text(encoding="utf-8").split("\n")  # the first says what they are
    return frozenset(word for line in lines for word in line.split())


def likely_name(name: str) -> str | None:
    """The name that one may stand for: its English one, or one whose misspelt words are those of the catalogue.

    None if nothing looks misspelt. What is in no list at all, such as "didgeridoo", is not doubted.
    """
    english = english_name(name) if len(name) > SHORTEST and not _is_right(name.lower()) else None
    if english is not None and name.lower() not in catalogue_names():
        return english
    corrected = _WORD.sub(lambda match: _nearest(match.group()) or match.group(), name.lower())
    return None if corrected == name.lower() else corrected


def misspelt(names: Iterable[str]) -> dict[str, str]:
    """The names that look misspelt, each with what it may stand for."""
    return {name: likely for name in names if (likely := likely_name(name)) is not None}


@lru_cache(maxsize=1)
def _kin() -> dict[str, str]:
    data: dict[str, list[str]] = words_data("kin.yaml")
    return {word: name for name, words in data.items() for word in words}


def kin(name: str) -> str | None:
    """The name of the catalogue that sounds most like a rare instrument in a name; None if no word is in the table.

    The table is ``prompts/kin.yaml``.
    """
    words = [word.strip(_MARKS) for word in name.lower().split()]
    return next((_kin()[word] for word in words if word in _kin()), None)


@lru_cache(maxsize=1)
def _sounding_words() -> frozenset[str]:
    """English words for what can sound, besides those of the catalogue."""
    _, *lines = words_file("more_words.txt").read_text(encoding="utf-8").split("\n")  # the first says what they are
    return frozenset(word for line in lines for word in line.split())


def unknown_words(name: str, in_vocabulary: Callable[[str], bool]) -> tuple[str, ...]:
    """The words of a name that are in no list, in no vocabulary, and not formed of words that are.

    English words are formed by endings ("auctioneer") and by setting two together ("forklift"). Words of one or two
    Latin letters are passed over ("speaker A", "DJ").

    Args:
        name: of a sound, as a prompt has it after translation.
        in_vocabulary: whether a word in lower case is one that a text encoder has whole.
    """
    if name.lower() in catalogue_names():
        return ()
    parts = [part.strip(_MARKS) for part in re.split(r"[\s/&+\u2010-\u2015-]+", name)]
    return tuple(part for part in parts if not all(_is_word(w, in_vocabulary) for w in _WORD.findall(part.lower())))


def _is_word(word: str, in_vocabulary: Callable[[str], bool]) -> bool:
    if len(word) < _SHORTEST_PART and word.isascii():
        return True

    def listed(form: str) -> bool:
        lists = _all_catalogue_words(), _right_words(), _sounding_words()
        return any(form in words for words in lists) or in_vocabulary(form)

    if kin(word):
        return False
    if listed(word) or _is_right(word):
        return True
    for ending in (*_ENDINGS, *_FORMS):
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < _SHORTEST_PART:
            continue
        doubled = stem[-1] == stem[-2] and listed(stem[:-1])  # "dripping"
        if listed(stem) or listed(stem + "e") or doubled or (stem[-1] == "i" and listed(stem[:-1] + "y")):
            return True
    cuts = range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1)
    return any(max(i, len(word) - i) >= _LONGER_PART and listed(word[:i]) and listed(word[i:]) for i in cuts)


@lru_cache(maxsize=4096)
def _nearest(word: str) -> str | None:
    if len(word) < SHORTEST or _is_right(word):
        return None
    budget = 2 if len(word) >= LONG else 1
    near = [(_distance(word, other, budget), other) for other in sorted(_catalogue_words())]
    best = min(near, key=lambda entry: (entry[0], entry[1] not in catalogue_names(), entry[1][0] != word[0]))
    return best[1] if best[0] <= budget else None


def _is_right(word: str) -> bool:
    """Whether a word, or the word that it is formed from, is of the catalogue or of the language."""
    stems = [word[: -len(ending)] for ending in _ENDINGS if word.endswith(ending) and len(word) - len(ending) > 2]
    forms = [word, *stems, *(stem + "e" for stem in stems), *(stem[:-1] for stem in stems)]
    known = _catalogue_words() | _right_words() | _sounding_words() | _kin().keys()
    return any(form in known or (len(form) > 2 and any(form + e in known for e in _ENDINGS)) for form in forms)


def _distance(a: str, b: str, most: int) -> int:
    """Letters to insert, leave out, replace, or exchange with their neighbour, from a to b; most + 1 if more."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        before, last, row = row, before, [i]
        for j, other in enumerate(b, 1):
            cost = min(row[-1] + 1, before[j] + 1, before[j - 1] + (letter != other))
            if last and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]

"""Words of the prompt language, read from ``prompts/directions.yaml``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeVar

import yaml

from tas_core.conventions import LEFT_SIGN
from tas_core.errors import is_unseen

WORDS_FOLDER: Final = Path(__file__).with_name("words")
"""The files of ``prompts/``: part of an installed package, and in a checkout a link to that folder."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML has it: every start reads some of these files, and it takes a tenth of the time."""

T = TypeVar("T")


class Token(NamedTuple):
    """A piece of a prompt and its character positions."""

    key: str
    """Lower-case text. A quoted token keeps its quotes, hence it equals no word."""
    start: int
    stop: int


class Phrases(dict[tuple[str, ...], T], Generic[T]):
    """Phrases of one or more words, the longest found first."""

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        super().__init__((tuple(phrase.split()), value) for phrase, value in entries)
        self._lengths: dict[str, list[int]] = {}
        for first, length in sorted({(phrase[0], len(phrase)) for phrase in self}, reverse=True):
            self._lengths.setdefault(first, []).append(length)

    def match(self, tokens: Sequence[Token], i: int) -> tuple[T, int] | None:
        """Value of the longest phrase that starts at token i, and the index behind it."""
        if not 0 <= i < len(tokens) or (lengths := self._lengths.get(tokens[i].key)) is None:
            return None
        for n in lengths:
            key = tuple([token.key for token in tokens[i : i + n]])
            if len(key) == n and key in self:
                return self[key], i + n
        return None


class Side(NamedTuple):
    """A word for the left or the right."""

    sign: float
    mirror: str
    degrees: float | None
    said: str | None = None
    """What a person is told who used the word, with places for the words and the side."""


class Leftover(NamedTuple):
    """Why words are no part of a name."""

    why: str
    where: str
    """"front" or "end" if only there, "alone" if they are all of it, or empty."""


@dataclass(frozen=True)
class Vocabulary:
    """All words by their role. `lists` holds the roles that carry no value, under their names in the file."""

    strengths: Phrases[float]
    plain_deg: float
    of_center_deg: float
    sides: Phrases[Side]
    numbers: Phrases[int]
    signs: Phrases[int]
    leads: Phrases[str]
    unsupported: Phrases[str]
    leftovers: Phrases[Leftover]
    misspelt: Phrases[str]
    lists: dict[str, Phrases[bool]]
    place_words: frozenset[str]
    canonical: dict[str, str]
    examples: tuple[str, ...]


def words_file(name: str) -> Path:
    """Path of one of the files of ``prompts/``, which hold the prompt language and the catalogue of sounds as data.

    Raises:
        FileNotFoundError: it is not there, so the installation is damaged.
    """
    path = WORDS_FOLDER / name
    if not path.is_file():
        raise FileNotFoundError(f"the prompt vocabulary is missing: expected {name} in {WORDS_FOLDER}; reinstall tas")
    return path


def words_data(name: str) -> Any:
    """Content of one of the YAML files of ``prompts/``, read anew at each call.

    Raises:
        FileNotFoundError: as :func:`words_file`.
    """
    return yaml.load(words_file(name).read_text(encoding="utf-8"), _LOADER)


@lru_cache(maxsize=1)
def languages() -> dict[str, dict[str, Any]]:
    """``prompts/languages.yaml``, read once: by language, what its words add to those of ``directions.yaml``."""
    data: dict[str, dict[str, Any]] = words_data("languages.yaml")
    return data


@lru_cache(maxsize=8)
def vocabulary(language: str = "") -> Vocabulary:
    """The vocabulary that ships with the program, read once: English, and the words of another language with it."""
    data: dict[str, Any] = words_data("directions.yaml")
    if language:
        _add_language(data, languages()[language])
    strengths = data["strengths"]
    pairs = [(s["left"], s["right"], s.get("degrees"), s.get("said")) for s in data["sides"]]
    leads = [(w, "") for w in (*data["hedges"], *data["distances"])]
    leads += [(w, "") for w in data["determiners"]]
    leads += [(w, kind) for kind, words in data["prepositions"].items() for w in words]
    lists = {k: Phrases((w, True) for w in v) for k, v in data.items() if _is_word_list(v)}
    sides = [(left, Side(LEFT_SIGN, right, deg, said)) for left, right, deg, said in pairs]
    sides += [(right, Side(-LEFT_SIGN, left, deg, said)) for left, right, deg, said in pairs]
    words = [w for s in strengths.values() for w in s["words"]] + [w for w, _ in sides] + [w for w, _ in leads]
    words += [*data["center"], *data["side_nouns"], *data["side_nouns_after_preposition"]]
    return Vocabulary(
        strengths=Phrases((w, float(s["degrees"])) for s in strengths.values() for w in s["words"]),
        plain_deg=float(strengths["plain"]["degrees"]),
        of_center_deg=float(strengths[data["of_center"]]["degrees"]),
        sides=Phrases(sides),
        numbers=Phrases(_all_numbers(data["numbers"])),
        signs=Phrases(data["signs"].items()),
        leads=Phrases(leads),
        unsupported=Phrases((w, group["why"]) for group in data["unsupported"] for w in group["words"]),
        leftovers=Phrases((w, Leftover(g["why"], g.get("where", ""))) for g in data["leftovers"] for w in g["words"]),
        misspelt=Phrases(data["misspelt"].items()),
        lists=lists,
        place_words=frozenset(part for word in words for part in word.split()),
        canonical=data["canonical"],
        examples=tuple(data["examples"]),
    )


def _add_language(data: dict[str, Any], added: dict[str, Any]) -> None:
    """Add the words of a language to those of the same role."""
    for role, words in added.items():
        if role == "strengths":
            for name, more in words.items():
                data[role][name]["words"] += more
        elif role == "prepositions":
            for kind, more in words.items():
                data[role][kind] += more
        elif role in ("numbers", "signs"):
            data[role] |= words
        elif role in data:
            data[role] = [*data[role], *words]
    own = {word for words in added["prepositions"].values() for word in words}  # Portuguese "no" is no English "no"
    data["unsupported"] = [{**g, "words": [w for w in g["words"] if w not in own]} for g in data["unsupported"]]


def _all_numbers(named: dict[str, int]) -> Iterable[tuple[str, int]]:
    """The named numbers, and those up to 99 that are tens and a digit: "forty five", "forty-five"."""
    yield from named.items()
    for tens, n in named.items():
        for digit, m in named.items():
            if n >= 20 and n % 10 == 0 and 0 < m < 10 and " " not in tens:
                yield from ((f"{tens} {digit}", n + m), (f"{tens}-{digit}", n + m))


def _is_word_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


# One character for one, so that positions stay those of the user's text.
CHARACTERS = str.maketrans("“”„‟«»’‘−–‐‑º˚", '""""""' + "''" + "----" + "°°")


_IGNORED = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202c\u2060-\u2064\u2066-\u2069\ufeff]")
"""Marks of the direction of writing, places where a line may or may not break, byte order marks: none is a letter."""

_JOINERS = re.compile("[\u200c\u200d]")

_SPACES = dict.fromkeys(
    map(ord, "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"), " "
)


def plain_text(text: str) -> str:
    """A text without what nobody sees and nobody means: spaces of all widths are spaces, marks of no width are nothing.

    Joiners that a script or an emoji needs stay, and so does what turns the order of characters around (U+202D, U+202E)
    or controls a device: where the text is to be read, that is an error which shows it.
    """
    if text.isascii():
        return text
    text = _IGNORED.sub("", text.translate(_SPACES))
    return _JOINERS.sub(lambda joiner: "" if is_unseen(text, joiner.start()) else joiner.group(), text)

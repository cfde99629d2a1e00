"""Words of the prompt language, read from ``prompts/directions.yaml``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeVar

import yaml

from tas_core.conventions import LEFT_SIGN

WORDS_FOLDER: Final = Path(__file__).with_name("words")
"""The files of ``prompts/``: part of an installed package, and in a checkout a link to that folder."""

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
        self.longest = max(map(len, self), default=0)

    def match(self, tokens: Sequence[Token], i: int) -> tuple[T, int] | None:
        """Value of the longest phrase that starts at token i, and the index behind it."""
        for n in range(min(self.longest, len(tokens) - i), 0, -1):
            key = tuple(token.key for token in tokens[i : i + n])
            if key in self:
                return self[key], i + n
        return None


class Side(NamedTuple):
    """A word for the left or the right."""

    sign: float
    mirror: str
    degrees: float | None


@dataclass(frozen=True)
class Vocabulary:
    """All words by their role. `lists` holds the roles that carry no value, under their names in the file."""

    strengths: Phrases[float]
    plain_deg: float
    of_center_deg: float
    sides: Phrases[Side]
    numbers: Phrases[int]
    leads: Phrases[str]
    unsupported: Phrases[str]
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


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """The vocabulary that ships with the program, read once."""
    data: dict[str, Any] = yaml.safe_load(words_file("directions.yaml").read_text(encoding="utf-8"))
    strengths = data["strengths"]
    pairs = [(s["left"], s["right"], s.get("degrees")) for s in data["sides"]]
    leads = [(w, kind) for kind, words in data["prepositions"].items() for w in words]
    leads += [(w, "") for w in data["determiners"]]
    lists = {k: Phrases((w, True) for w in v) for k, v in data.items() if _is_word_list(v)}
    sides = [(left, Side(LEFT_SIGN, right, deg)) for left, right, deg in pairs]
    sides += [(right, Side(-LEFT_SIGN, left, deg)) for left, right, deg in pairs]
    words = [w for s in strengths.values() for w in s["words"]] + [w for w, _ in sides] + [w for w, _ in leads]
    words += [*data["center"], *data["side_nouns"], *data["side_nouns_after_preposition"]]
    return Vocabulary(
        strengths=Phrases((w, float(s["degrees"])) for s in strengths.values() for w in s["words"]),
        plain_deg=float(strengths["plain"]["degrees"]),
        of_center_deg=float(strengths[data["of_center"]]["degrees"]),
        sides=Phrases(sides),
        numbers=Phrases(data["numbers"].items()),
        leads=Phrases(leads),
        unsupported=Phrases((w, group["why"]) for group in data["unsupported"] for w in group["words"]),
        lists=lists,
        place_words=frozenset(part for word in words for part in word.split()),
        canonical=data["canonical"],
        examples=tuple(data["examples"]),
    )


def _is_word_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


# One character for one, so that positions stay those of the user's text.
CHARACTERS = str.maketrans("“”„‟’‘−–‐‑º˚", '""""' + "''" + "----" + "°°")

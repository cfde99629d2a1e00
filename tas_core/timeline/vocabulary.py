"""Words of the prompt language, read from ``prompts/directions.yaml``, and a prompt cut into them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, NoReturn, TypeVar

import yaml

from tas_core.conventions import LEFT_SIGN
from tas_core.errors import PromptError

MAX_PROMPT_CHARS = 4000
"""Longer prompts are refused: they are files passed by mistake."""

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


# ---------------------------------------------------------------------------- text and tokens

# One character for one, so that positions stay those of the user's text.
CHARACTERS = str.maketrans("“”„‟’‘−–‐‑º˚", '""""' + "''" + "----" + "°°")
_MARKS = r"""!"\#$%()*,.:;<=>?@\[\\\]^{|}~°…→—，；、。：！？（）"""
_LETTER = rf"[^\s{_MARKS}\-&/+']"
_TOKEN = re.compile(
    rf"""  (?P<quote> "[^"]*" )
         | (?P<time> \d{{1,2}}:\d\d (?!\d) )
         | (?P<number> (?: (?<!\w) [-+] )? \d+ (?: \.\d+ )? )
         | (?P<word> {_LETTER}+ (?: [-&/+'] {_LETTER}+ )* '? )
         | (?P<skip> \s | \.(?!\s|$) )
         | (?P<mark> . )""",
    re.VERBOSE,
)


class PromptText:
    """A prompt cut into tokens, with errors that point into it.

    Args:
        text: the prompt.

    Raises:
        PromptError: the text is too long, a quote is not closed, or a word means a place
            that the language does not have.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PROMPT_CHARS:
            raise PromptError(f"the prompt has {len(text)} characters, expected at most {MAX_PROMPT_CHARS}")
        self.known = vocabulary()
        self.text = unicodedata.normalize("NFC", text)
        self.tokens = list(self._cut())
        for i in range(len(self.tokens)):
            if hit := self.known.unsupported.match(self.tokens, i):
                self.fail(hit[0], i, hit[1])

    def match(self, role: str, i: int) -> int | None:
        """Index behind the longest phrase of that role at token i, or None."""
        hit = self.known.lists[role].match(self.tokens, i)
        return hit and hit[1]

    def skip(self, role: str, i: int) -> int:
        """Index behind all phrases of that role that follow each other from token i on."""
        while stop := self.match(role, i):
            i = stop
        return i

    def key(self, i: int) -> str:
        """The word at token i, or nothing behind the end."""
        return self.tokens[i].key if i < len(self.tokens) else ""

    def source(self, first: int, stop: int) -> str:
        """The user's text of tokens first to stop."""
        return self.text[self.tokens[first].start : self.tokens[stop - 1].stop]

    def fail(self, what: str, first: int, stop: int) -> NoReturn:
        """Raise a PromptError with a caret line under tokens first to stop."""
        self._fail(what, self.tokens[first].start, self.tokens[stop - 1].stop)

    def _fail(self, what: str, start: int, stop: int) -> NoReturn:
        begin = self.text.rfind("\n", 0, start) + 1
        begin = max(begin, start - 50)
        shown = self.text[begin:].split("\n", 1)[0][:110]
        before, under = shown[: start - begin], shown[start - begin : stop - begin]
        culprit = _printable(self.text[start:stop])
        lines = [
            f'{what}: "{culprit if len(culprit) <= 60 else culprit[:59] + "…"}"' if under.strip() else what,
            f"  {_printable(shown)}",
            "  " + " " * _columns(before) + "^" * max(1, _columns(under)),
            "  understood are, for example:",
            *(f"    {example}" for example in self.known.examples),
        ]
        raise PromptError("\n".join(lines))

    def _cut(self) -> Iterator[Token]:
        lists = self.known.lists
        kept = (lists["joiners"], lists["separators"], lists["degree_units"], self.known.unsupported)
        for match in _TOKEN.finditer(self.text.translate(CHARACTERS)):
            key, start, stop = match.group().lower(), match.start(), match.end()
            if match.lastgroup == "word" and len(key) == stop - start:
                parts = key.split("-")
                if self.known.place_words.issuperset(parts):  # left-to-right, far-left, right-hand
                    for part in parts:
                        yield Token(part, start, start + len(part))
                        start += len(part) + 1
                    continue
            if key == '"':
                self._fail("a double quote is not closed", start, stop)
            if key == "\n":
                yield Token(";", start, stop)
            elif match.lastgroup in ("quote", "time", "number", "word"):
                yield Token(key, start, stop)
            elif any((key,) in phrases for phrases in kept) and not match.lastgroup == "skip":
                yield Token(key, start, stop)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _columns(text: str) -> int:
    """Terminal columns that a text takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)

"""A prompt cut into words, and errors that point into it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from tas_core.errors import PromptError, is_unseen, visible
from tas_core.timeline.spelling import catalogue_names
from tas_core.timeline.vocabulary import CHARACTERS, Token, languages, plain_text, vocabulary

if TYPE_CHECKING:
    from tas_core.timeline.places import Spot

MAX_PROMPT_CHARS = 4000
"""Longer prompts are refused: they are files passed by mistake."""


_MARKS = r"""!"\#$%()*,.:;<=>?@\[\\\]^{|}~≈°…→←⬅➡—，；、。：！？（）•·◦▪‣▸►●○■□"""


_LETTER = rf"[^\s{_MARKS}\-&/+']"


_TOKEN = re.compile(
    rf"""  (?P<quote> "[^"]*" )
         | (?P<time> \d{{1,2}}:\d\d (?!\d) )
         | (?P<arrow> [-=]*> | → )
         | (?P<skip_arrow> [←⬅➡]\ufe0f? )
         | (?P<abbreviation> (?<!\w) (?i: (?:approx|ca|deg|mr|mrs|ms|dr|prof|st|vs|feat) \.(?=\s|$)
                                       | (?:no|nr|op) \.(?=\s*\d) ) )
         | (?P<number> (?: (?<!\w) [-+] )? \d+ (?: \.\d+ | ,\d+ (?= \s*(?i:°|deg|gr[aá]|dég|db\b|dez) ) )? )
         | (?P<word> {_LETTER}+ (?: [-&/+'] {_LETTER}+ )* '? )
         | (?P<skip> \s | \.(?!\s|$) )
         | (?P<mark> . )""",
    re.VERBOSE,
)


_BULLET = re.compile(r"^[ \t]*\d{1,2}[.)](?=[ \t])|(?<![^\s])(?:\d{1,2}|[a-z])\)(?=\s)", re.MULTILINE | re.IGNORECASE)
"""The number of an item of a list, at the beginning of a line; "2)" and "b)" also within it."""

_BRACKETS = re.compile(r"\([^()\n\"]*\)|—[^—\n\"]*—")
"""What may be an aside: "the rain (soft and steady) on the left"."""

_GLUED = re.compile(r"[lr](\d{2,}(?:\.\d+)?)")
_DRAWN_OUT = re.compile(r"(.)\1{2,}")


def language_of(text: str) -> str:
    """The language of the directions in a prompt, a key of ``prompts/languages.yaml``; empty for English.

    Another language is one whose word for a direction is there while no English one is. In quotes nothing counts.
    """
    words = set(re.findall(r"[^\W\d_]+", re.sub(r'"[^"]*"', " ", text.translate(CHARACTERS).lower())))
    if words & _english_marks():
        return ""
    scores = {name: len(words & _words_of(name)) for name, added in languages().items() if words & set(added["marks"])}
    return max(scores, key=lambda name: scores[name], default="")


@lru_cache(maxsize=1)
def _english_marks() -> frozenset[str]:
    known = vocabulary()
    return frozenset(word for phrase in known.sides for word in phrase if word.startswith(("left", "right")))


@lru_cache(maxsize=1)
def foreign_sides() -> frozenset[str]:
    """The single words for left and right of all other languages."""
    pairs = [side for added in languages().values() for side in added["sides"]]
    return frozenset(word for side in pairs for word in (side["left"], side["right"]) if " " not in word)


@lru_cache(maxsize=8)
def _words_of(language: str) -> frozenset[str]:
    around = _flat_words(languages()[language].get("sphere", {}))
    return vocabulary(language).place_words.union(around) - vocabulary().place_words


def _flat_words(words: Any) -> set[str]:
    """All single words in lists and fields."""
    if isinstance(words, str):
        return set(words.split())
    parts = words.values() if isinstance(words, dict) else words if isinstance(words, list) else ()
    return {word for part in parts for word in _flat_words(part)}


class PromptText:
    """A prompt cut into tokens, with errors that point into it.

    Args:
        text: the prompt.

    Raises:
        PromptError: the text is too long, a quote is not closed, or a character cannot be seen.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PROMPT_CHARS:
            raise PromptError(f"the prompt has {len(text)} characters, expected at most {MAX_PROMPT_CHARS}")
        self.text = unicodedata.normalize("NFC", plain_text(text))
        self.language = language_of(self.text)
        self.known = vocabulary(self.language)
        self._refuse_unseen()
        self.tokens = list(self._cut())
        if any(token.key in ("l", "r") for token in self.tokens):
            letters = self.known.lists["center_beside_letters"]
            self.tokens = [token._replace(key="center") if (token.key,) in letters else token for token in self.tokens]
        self.notes: list[str] = []
        self.spots: dict[str, Spot] = {}
        """Places beyond the frontal plane, by the key of the token that stands for each."""
        self.room = ""
        """Name of the room that the prompt says it is in."""

    def refuse_unsupported(self) -> None:
        """Refuse words of places and of other things that the language does not have.

        Raises:
            PromptError: there is one.
        """
        i = 0
        while i < len(self.tokens):
            strength = self.known.strengths.match(self.tokens, i)
            hit = self.known.unsupported.match(self.tokens, i)
            if hit and (strength is None or hit[1] > strength[1]):  # "not too far left" is a strength
                self.fail(hit[0], i, hit[1])
            i = strength[1] if strength and hit else i + 1

    def _refuse_unseen(self) -> None:
        for i, char in enumerate(self.text):
            if not char.isspace() and is_unseen(self.text, i):
                self.fail_at("a character that cannot be seen, expected a prompt without it", i, i + 1)

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

    def is_letter(self, word: str) -> bool:
        """Whether a word is an "a" that may name something ("speaker A"): in other languages it is a preposition."""
        return word == "a" and self.language in ("", "german")

    def gap(self, i: int) -> str:
        """The user's text between token i and the next, or the end."""
        stop = self.tokens[i + 1].start if i + 1 < len(self.tokens) else len(self.text)
        return self.text[self.tokens[i].stop : stop].translate(CHARACTERS)

    def note(self, said: str) -> None:
        """Tell the person how a doubtful word was taken, once."""
        if said not in self.notes:
            self.notes.append(said)

    def ends_clause(self, i: int) -> bool:
        """Whether nothing, a joiner or a separator is at token i."""
        return i >= len(self.tokens) or bool(self.match("joiners", i) or self.match("separators", i))

    def source(self, first: int, stop: int) -> str:
        """The user's text of tokens first to stop."""
        return self.text[self.tokens[first].start : self.tokens[stop - 1].stop]

    def fail(self, what: str, first: int, stop: int) -> NoReturn:
        """Raise a PromptError with a caret line under tokens first to stop."""
        self.fail_at(what, self.tokens[first].start, self.tokens[stop - 1].stop)

    def fail_at(self, what: str, start: int, stop: int) -> NoReturn:
        """Raise a PromptError with a caret line under characters start to stop of the text."""
        begin = self.text.rfind("\n", 0, start) + 1
        begin = max(begin, start - 50)
        shown = self.text[begin:].split("\n", 1)[0][:110]
        before, under = shown[: start - begin], shown[start - begin : stop - begin]
        culprit = _shown(self.text[start:stop])
        lines = [
            f'{what}: "{culprit if len(culprit) <= 60 else culprit[:59] + "…"}"' if under.strip() else what,
            f"  {_shown(shown)}",
            "  " + " " * _columns(_shown(before)) + "^" * max(1, _columns(_shown(under))),
            "  understood are, for example:",
            *(f"    {example}" for example in self.known.examples),
        ]
        raise PromptError("\n".join(lines), text=self.text, span=(start, stop))

    def _is_aside(self, bracketed: str) -> bool:
        """Whether words in brackets are several, and none of them is of a place."""
        words = re.findall(r"[^\W_]+|[,°]", bracketed.lower())
        several = any((word,) in self.known.lists["joiners"] for word in words)
        places = self.known.place_words - {"and"}
        return several and not any(word in places or word.isdecimal() for word in words)

    def _parts(self, word: str) -> list[str]:
        """The words and signs that a word without spaces is made of, where it is more than one: "L45", "far-left"."""
        if glued := _GLUED.fullmatch(word):
            return [word[0], glued[1]]
        names = re.split("([/&+])", word)
        if len(names) > 1 and all(name in catalogue_names() for name in names[::2]):
            return names  # "kick/snare", but not "R&B"
        parts = re.split("(-)", word)
        sides = self.known.sides, self.known.lists["center"]
        if len(parts) > 1 and self.known.place_words.issuperset(parts[::2]):
            if any((part,) in phrases for part in parts for phrases in sides):
                return parts  # but not "close-up"
        return []

    def _cut(self) -> Iterator[Token]:
        lists = self.known.lists
        kept = (lists["joiners"], lists["separators"], lists["degree_units"], self.known.unsupported)
        text = self.text.translate(CHARACTERS)
        bullets = [bullet.span() for bullet in _BULLET.finditer(text)]
        skipped = [(first, stop) for first, stop in bullets if "(" not in text[:first].rpartition(")")[2]]
        skipped += [aside.span() for aside in _BRACKETS.finditer(text) if self._is_aside(aside.group())]
        skips = {place for first, stop in skipped for place in range(first, stop)}
        for match in _TOKEN.finditer(text):
            key, start, stop = match.group().lower(), match.start(), match.end()
            if start in skips and key != "\n":
                continue
            if match.lastgroup == "word" and len(key) == stop - start:
                if parts := self._parts(key):
                    for part in parts:
                        if part != "-":
                            yield Token(part, start, start + len(part))
                        start += len(part)
                    continue
                short = _DRAWN_OUT.sub(r"\1", key)  # "waaay"
                if len(short) > 2 and short in self.known.place_words:
                    key = short
            if key == '"':
                self.fail_at("a double quote is not closed", start, stop)
            if match.lastgroup == "arrow":
                yield Token("→", start, stop)
            elif key == "\n":
                yield Token(";", start, stop)
            elif match.lastgroup in ("quote", "time", "number", "word", "abbreviation"):
                yield Token(key, start, stop)
            elif any((key,) in phrases for phrases in kept) and not match.lastgroup == "skip":
                yield Token(key, start, stop)


def _shown(text: str) -> str:
    """A part of a prompt in one line of a message."""
    return visible("".join(" " if c.isspace() else c for c in text)).encode("utf-8", "backslashreplace").decode()


def _columns(text: str) -> int:
    """Terminal columns that a text takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)

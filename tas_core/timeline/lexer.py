"""A prompt cut into words, and errors that point into it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NoReturn

from tas_core.errors import PromptError
from tas_core.timeline.vocabulary import CHARACTERS, Token, vocabulary

MAX_PROMPT_CHARS = 4000
"""Longer prompts are refused: they are files passed by mistake."""


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

"""Which object of a timeline a name is of, as people write names: "The Cello", "02_acoustic-guitar", "Geige"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Final

from tas_core.errors import InputError, visible
from tas_core.timeline.spelling import english_name
from tas_core.timeline.vocabulary import plain_text

_NUMBER: Final = re.compile(r"^\d{1,3}(?:\s*[-_.)]\s*|\s+)(?=\D)")
"""In front of the names of files of stems: "01-cello", "3. piano"."""
REST: Final = "rest"
"""Name of everything that no prompt names."""

_ARTICLES: Final = ("the", "a", "an", "my", "our")


def match_name(name: str, objects: Sequence[str], *, what: str = "object") -> str:
    """The object of a name.

    A name is compared as it is, in small letters; then without articles, a number in front, and with spaces for hyphens
    and underlines; then in English; then as singular or plural.

    Args:
        name: as a person writes it.
        objects: phrases of a timeline.
        what: the name is of, for messages.

    Returns:
        The object; for "rest", :data:`REST`, though no object is called so.

    Raises:
        InputError: none is called so, or several may be.
    """
    for alike in (_plain, _words, _english, _singular):
        wanted = alike(name)
        hits = [phrase for phrase in objects if alike(phrase) == wanted]
        if len(hits) == 1:
            return hits[0]
        if hits:
            raise InputError(
                f"{what} '{visible(name)}' may be {' or '.join(map(repr, hits))}, expected one of these names"
            )
    if _words(name) == REST:
        return REST
    close = difflib.get_close_matches(_words(name), objects, n=1, cutoff=0.6)
    near = f" (did you mean '{close[0]}'?)" if close else ""
    named = ", ".join(f"'{phrase}'" for phrase in objects)
    raise InputError(f"{what} '{visible(name)}' is named by no prompt{near}; expected one of {named}")


def _plain(name: str) -> str:
    return " ".join(plain_text(name).lower().split())


def _words(name: str) -> str:
    text = _NUMBER.sub("", _plain(name))
    words = re.sub(r"[-_]+", " ", text).replace('"', "").split()
    while len(words) > 1 and words[0] in _ARTICLES:
        del words[0]
    return " ".join(words)


def _english(name: str) -> str:
    words = _words(name)
    return english_name(words) or words


def _singular(name: str) -> str:
    return _english(name).removesuffix("s")

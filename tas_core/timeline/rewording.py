"""Other places in the words of a prompt: what somebody does with a hand, written as a person would write it.

::

    reworded("cello on the left, soft piano on the right", "cello", place_at(20))
    'cello 20° left, soft piano on the right'

As few words change as can: those of the place; then those of the object and its verb, too ("the car moves from ...");
then all of the prompt, where one place is that of several objects, or of one beside another. Whatever is written is
read again, and only kept if everything else has stayed as it was.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tas_core.errors import InputError, PromptError
from tas_core.timeline.levels import format_level
from tas_core.timeline.plain_words import path_in_words
from tas_core.timeline.prompts import Clause, Reading, format_prompt, read_prompt
from tas_core.timeline.sphere import SpherePath
from tas_core.timeline.vocabulary import vocabulary


def reworded(text: str, name: str, path: SpherePath) -> str:
    """A prompt that says another place for one of its objects, and nothing else anew.

    What stands beside that object ("a dog to the right of the cello") stays where it was.

    Args:
        text: the prompt.
        name: the object, as :attr:`tas_core.timeline.prompts.Clause.object` has it.
        path: where it is to be.

    Raises:
        PromptError: the prompt cannot be read.
        InputError: it has no such object, or that is removed, and what is removed has no place.
    """
    said = read_prompt(text)
    before = next((clause for clause in said.clauses if clause.object == name), None)
    if before is None:
        names = ", ".join(f"'{clause.object}'" for clause in said.clauses)
        raise InputError(f"'{name}' is not in the prompt, expected one of {names}")
    moved = Clause.on_sphere(name, path, before.gain)
    clauses = tuple(moved if clause is before else clause for clause in said.clauses)
    for candidate in _candidates(said, before, clauses, path):
        if _says(candidate, clauses, said):
            return candidate
    raise InputError(f"'{name}' is removed there and has no place, expected a level that can be heard, or none")


def prompt_in_words(clauses: tuple[Clause, ...], like: Reading) -> str:
    """Clauses as a person would write them, with the level of the rest and the room of another prompt."""
    written = format_prompt(clauses, like.rest, like.room, clause_in_words)
    return written if _says(written, clauses, like) else format_prompt(clauses, like.rest, like.room)


def clause_in_words(clause: Clause) -> str:
    """A clause as a person would write it: "cello 35° left", "dog moves from the left to the center"; read the same."""
    places = [f" {words}" for words in _wordings(clause.path)] if clause.is_placed else [""]
    level = f" {format_level(clause.gain)}" if clause.gain.changes_level or not clause.is_placed else ""
    for name, place in itertools.product((clause.object, f'"{clause.object}"'), places):
        written = f"{name}{place}{level}"
        if _reads_as(written, (clause,)):
            return written
    return format_prompt((clause,))


def _candidates(said: Reading, before: Clause, clauses: tuple[Clause, ...], path: SpherePath) -> Iterator[str]:
    """Prompts that may say what is wanted, the one with the fewest new words first."""
    span, text = said.spans.get(before.object), said.text
    if span is not None:
        (first, stop), (begin, end) = span.words, span.place
        # The verb of a movement, where it is part neither of the name nor of the place.
        last = text[first:stop].lower().replace('"', " ").split()[-1:]
        verb = before.path.is_moving and last != before.object.split()[-1:]
        for place in _wordings(path, behind_verb=verb or _ends_with_verb(before.object)):
            alone = f"{text[:begin]}{place}{text[end:]}"
            for name in (before.object, f'"{before.object}"'):
                named = f"{text[:begin]}{place} {name}{text[stop:]}"
                if stop <= begin:
                    named = f"{text[:first]}{name} {place}{text[end:]}"
                # A verb that stands there already gives way to another one.
                yield from (named, alone) if verb and _has_verb(place, path) else (alone, named)
    yield prompt_in_words(clauses, said)


def _wordings(path: SpherePath, *, behind_verb: bool = False) -> Iterator[str]:
    """Words for a place, the likeliest first; behind a verb of a movement, a way needs none of its own."""
    for verb in (False, True) if behind_verb else (True,):
        words = path_in_words(path, verb=verb)
        yield words
        if ", " in words:  # before a level, a comma may end the clause
            yield words.replace(", ", " ")


def _has_verb(words: str, path: SpherePath) -> bool:
    """Whether words for a way begin with a verb."""
    return path.is_moving and not words.startswith(("from ", "overhead "))


def _ends_with_verb(name: str) -> bool:
    """Whether a name has taken a verb of a movement: "bird flies"."""
    return (name.split()[-1],) in vocabulary().lists["moves_kept"]


def _says(text: str, clauses: tuple[Clause, ...], like: Reading) -> bool:
    """Whether a prompt says these clauses, and else what another one does."""
    try:
        found = read_prompt(text)
    except PromptError:
        return False
    return (found.clauses, found.rest, found.room) == (clauses, like.rest, like.room)


def _reads_as(text: str, clauses: tuple[Clause, ...]) -> bool:
    return _says(text, clauses, Reading(clauses))

"""Other places in the words of a prompt: what somebody does with a hand, written as a person would write it.

::

    reworded("cello on the left, soft piano on the right", "cello", place_at(20))
    'cello 20° left, soft piano on the right'

As few words change as can: those of the place; then those of the object and its verb, too ("the car moves from ...");
then all of the prompt, where one place is that of several objects, or of one beside another. Whatever is written is
read again, and only kept if everything else has stayed as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from tas_core.conventions import LEFT_SIGN
from tas_core.errors import InputError, PromptError
from tas_core.timeline.levels import format_level
from tas_core.timeline.prompts import Clause, Reading, format_prompt, read_prompt
from tas_core.timeline.sphere import SpherePath, SpherePoint
from tas_core.timeline.sphere_words import digits, format_point, sphere_template
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
    """A clause as a person would write it: "cello 35° left", "dog from the left to the center"; it is read the same."""
    place = f" {path_in_words(clause.path)}" if clause.is_placed else ""
    level = f" {format_level(clause.gain)}" if clause.gain.changes_level or not clause.is_placed else ""
    for name in (clause.object, f'"{clause.object}"'):
        written = f"{name}{place}{level}"
        if _reads_as(written, (clause,)):
            return written
    return format_prompt((clause,))


def path_in_words(path: SpherePath) -> str:
    """A place, or a way from one to another: "on the left", "35° left", "from the left to 20° right"."""
    if path.is_circle or (path.via and path.in_plane is None):
        template, ends = sphere_template(path)
        return _with_signs(template.format(object="", **ends).strip())
    changes = {
        "distance": path.start.distance_m != path.end.distance_m,
        "spread": path.start.spread != path.end.spread,
    }
    if not path.is_moving:
        return _point_in_words(path.start, bare=True, changes=changes)
    start, end = (_point_in_words(point, bare=False, changes=changes) for point in (path.start, path.end))
    return f"from {start} to {end}"


def _point_in_words(point: SpherePoint, *, bare: bool, changes: dict[str, bool]) -> str:
    """A place; behind "from" and "to", "the left" stands for "on the left"."""
    if not point.is_frontal or any(changes.values()):
        words = format_point(point, changes)
        if not point.azimuth_deg:
            words = words.replace("0 degrees", "straight ahead", 1)
        return _with_signs(words)
    if not point.azimuth_deg:
        return "in the center" if bare else "the center"
    side = "left" if point.azimuth_deg * LEFT_SIGN > 0 else "right"
    angle_deg = abs(point.azimuth_deg)
    if angle_deg == vocabulary().plain_deg:
        return f"on the {side}" if bare else f"the {side}"
    return f"{_strengths()[angle_deg]} {side}" if angle_deg in _strengths() else f"{digits(angle_deg)}° {side}"


@lru_cache(maxsize=1)
def _strengths() -> dict[float, str]:
    """Words for angles that are plainer than a number of degrees."""
    return {vocabulary().strengths[word,]: word for word in ("slightly", "far", "hard")}


def _with_signs(words: str) -> str:
    return words.replace(" degrees", "°")


def _candidates(said: Reading, before: Clause, clauses: tuple[Clause, ...], path: SpherePath) -> Iterator[str]:
    """Prompts that may say what is wanted, the one with the fewest new words first."""
    span, text = said.spans.get(before.object), said.text
    if span is not None:
        (first, stop), (begin, end), place = span.words, span.place, path_in_words(path)
        yield f"{text[:begin]}{place}{text[end:]}"
        for name in (before.object, f'"{before.object}"'):
            if stop <= begin:
                yield f"{text[:first]}{name} {place}{text[end:]}"
            else:
                yield f"{text[:begin]}{place} {name}{text[stop:]}"
    yield prompt_in_words(clauses, said)


def _says(text: str, clauses: tuple[Clause, ...], like: Reading) -> bool:
    """Whether a prompt says these clauses, and else what another one does."""
    try:
        found = read_prompt(text)
    except PromptError:
        return False
    return (found.clauses, found.rest, found.room) == (clauses, like.rest, like.room)


def _reads_as(text: str, clauses: tuple[Clause, ...]) -> bool:
    return _says(text, clauses, Reading(clauses))

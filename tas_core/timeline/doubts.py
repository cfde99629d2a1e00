"""Whether a timeline is likely to mean what it was taken for: words that were read in a doubtful way, and odd names."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection

from tas_core.errors import TimelineError
from tas_core.timeline.segments import Timeline, TimelineWarning
from tas_core.timeline.spelling import kin, misspelt, unknown_words


def timeline_doubts(timeline: Timeline, *, strict: bool = False, given: Collection[str] = ()) -> tuple[str, ...]:
    """What a person should look at before a timeline is used, one line each, none twice.

    Args:
        timeline: segments whose prompts were read.
        strict: whether a name that looks misspelt is an error.
        given: objects whose sounds are given, whatever they are called.

    Returns:
        Notes of the prompts ("stage left" is the listener's right), and names that look like a spelling mistake of
        one in the catalogue, each where it first stands.

    Raises:
        TimelineError: a name looks misspelt, and ``strict`` is set.
    """
    doubts: dict[str, None] = {}
    named = misspelt([name for name in timeline.objects if name not in given])
    for segment in timeline.segments:
        for note in segment.notes:
            doubts.setdefault(str(segment.error(note)))
        for clause in segment.clauses:
            if likely := named.pop(clause.object, None):
                doubt = segment.error(f"\"{clause.object}\" is no known sound: did you mean '{likely}'?")
                if strict:
                    raise TimelineError(f"{doubt} If not, put other words for it")
                doubts.setdefault(str(doubt))
    return tuple(doubts)


def unknown_word_doubts(
    timeline: Timeline, knows: Callable[[str], bool], *, strict: bool = False, given: Collection[str] = ()
) -> tuple[str, ...]:
    """Names with words that a text encoder puts together from pieces: it has no meaning for them.

    What looks like a spelling mistake is said by :func:`timeline_doubts`.

    Args:
        timeline: segments whose prompts were read.
        knows: whether a word in lower case is one that the encoder has whole.
        strict: whether such a word is an error.
        given: objects whose sounds are given, whatever they are called.

    Returns:
        A line for each name, where it first stands.

    Raises:
        TimelineError: a word is not known, and ``strict`` is set.
    """
    doubted = misspelt(timeline.objects)
    notes: dict[str, str] = {}
    for segment in timeline.segments:
        for clause in segment.clauses:
            name = clause.object
            if name in notes or name in doubted or name in given or not (words := unknown_words(name, knows)):
                continue
            listed = " and ".join(f"'{word}'" for word in words)
            what = "is a word" if len(words) == 1 else "are words"
            of = "" if words == (name,) else f' of "{name}"'
            such_as = f", such as '{known}'" if (known := kin(name)) else ""
            note = segment.error(
                f"{listed}{of} {what} that the text encoder does not know: another sound may be taken for it; "
                f"expected a name in English or another language that is understood, or other words{such_as}"
            )
            if strict:
                raise TimelineError(str(note))
            notes[name] = str(note)
    return tuple(notes.values())


def warn_of_doubts(
    timeline: Timeline, *, strict: bool = False, stacklevel: int = 2, given: Collection[str] = ()
) -> None:
    """Warn of each of the :func:`timeline_doubts`, once; whoever uses a timeline that a person wrote does so.

    Args:
        timeline: as there.
        strict: as there.
        stacklevel: whose line is warned of, 1 is the caller's.
        given: as there.

    Raises:
        TimelineError: as there.
    """
    for doubt in timeline_doubts(timeline, strict=strict, given=given):
        warnings.warn(doubt, TimelineWarning, stacklevel=stacklevel + 1)

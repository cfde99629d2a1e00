"""Names of objects with words that the text encoder of a model does not know."""

from __future__ import annotations

from tas_core.errors import TimelineError
from tas_core.models.text_encoders.base import CachedEncoder, TextEncoder, WordEncoder
from tas_core.timeline.segments import Timeline
from tas_core.timeline.spelling import kin, misspelt, unknown_words


def unknown_word_notes(timeline: Timeline, encoder: TextEncoder, *, strict: bool = False) -> tuple[str, ...]:
    """What to say of names with words that an encoder puts together from pieces: it has no meaning for them.

    Such a word is no whole word of the encoder's vocabulary, is in no list of ``prompts/``, and is not formed of words
    that are, see :func:`tas_core.timeline.spelling.unknown_words`. What looks like a spelling mistake is said by
    :func:`tas_core.timeline.doubts.timeline_doubts`. Encoders that have no :class:`WordEncoder` vocabulary are trusted.

    Args:
        timeline: segments whose prompts were read.
        encoder: of the model.
        strict: whether such a word is an error.

    Returns:
        A line for each name, where it first stands.

    Raises:
        TimelineError: a word is not known, and ``strict`` is set.
    """
    inner = encoder.wrapped if isinstance(encoder, CachedEncoder) else encoder
    if not isinstance(inner, WordEncoder):
        return ()
    doubted = misspelt(timeline.objects)
    notes: dict[str, str] = {}
    for segment in timeline.segments:
        for clause in segment.clauses:
            name = clause.object
            if name in notes or name in doubted or not (words := unknown_words(name, inner.knows)):
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

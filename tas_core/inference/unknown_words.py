"""Names of objects with words that the text encoder of a model does not know."""

from __future__ import annotations

from tas_core.models.text_encoders.base import CachedEncoder, TextEncoder, WordEncoder
from tas_core.timeline.doubts import unknown_word_doubts
from tas_core.timeline.segments import Timeline


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
    return unknown_word_doubts(timeline, inner.knows, strict=strict)

"""What a scene says, as plain values for a page: segments, places over time, doubts; and what is wrong with words."""

from __future__ import annotations

from typing import Any, Final, get_args

import numpy as np

from tas_core.errors import PromptError, TasError
from tas_core.studio.document import Document
from tas_core.studio.drawing import Kind, kind_of, scale_facts
from tas_core.timeline.prompts import Clause, read_prompt
from tas_core.timeline.rewording import clause_in_words
from tas_core.timeline.segments import Timeline
from tas_core.timeline.spelling import catalogue_names
from tas_core.timeline.vocabulary import vocabulary

_STEPS: Final = 33
"""Points of a way that are drawn."""


def scene_facts(document: Document, duration_s: float) -> dict[str, Any]:
    """What a document says.

    Args:
        document: read.
        duration_s: length of the sound, seconds.
    """
    timeline = document.timeline
    return {
        "text": document.text,
        "segments": [] if timeline is None else _segments(timeline, duration_s),
        "objects": [] if timeline is None else list(timeline.objects),
        "on_sphere": timeline is not None and timeline.needs_sphere,
    }


def _segments(timeline: Timeline, duration_s: float) -> list[dict[str, Any]]:
    closed = timeline.resolved(duration_s).segments
    found = []
    for written, segment in zip(timeline.segments, closed, strict=True):
        assert segment.end_s is not None
        length_s = segment.end_s - segment.start_s
        clauses = [_clause(clause, length_s) for clause in segment.clauses]
        found.append(
            written.as_dict() | {"closed_end_s": segment.end_s, "clauses": clauses, "notes": list(segment.notes)}
        )
    return found


def _clause(clause: Clause, length_s: float) -> dict[str, Any]:
    """A clause with the way of its place: azimuth, elevation, distance and spread at equal steps."""
    steps = np.linspace(0.0, 1.0, _STEPS if clause.path.is_moving else 1)
    trace = clause.path.at(steps, length_s)
    way = np.stack(trace, axis=1).round(3).tolist()
    return clause.as_dict() | {
        "words": clause_in_words(clause),
        "way": way,
        "way_kind": kind_of(clause.path),
        "is_placed": clause.is_placed,
    }


def prompt_facts(text: str) -> dict[str, Any]:
    """What a prompt says, or what is wrong with it and where."""
    try:
        said = read_prompt(text)
    except PromptError as error:
        return error_facts(error)
    return {"clauses": [_clause(clause, 1.0) for clause in said.clauses], "notes": list(said.notes)}


def error_facts(error: TasError) -> dict[str, Any]:
    """What is wrong: one line, and where it is of a prompt, that and the characters of it which are meant."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, PromptError):
        cause = cause.__cause__
    lines = str(error).splitlines()
    facts: dict[str, Any] = {"error": lines[0] if lines else type(error).__name__}
    if isinstance(cause, PromptError) and cause.text is not None:
        facts |= {"text": cause.text, "span": list(cause.span)}
    return facts


def known_words() -> dict[str, Any]:
    """What a page knows of all scenes: words to complete a prompt with, ways to choose from, the scale of drawings."""
    known = vocabulary()
    strengths = [*dict.fromkeys(" ".join(words) for words in known.strengths)]
    sides = [f"{strength} {side}" for strength in strengths for side in ("left", "right") if len(strength) < 9]
    places = ["on the left", "on the right", "in the center", "behind me", "behind me on the left", "above me"]
    places += ["behind me on the right", "close to me", "far away", "all around", "from left to right", *sides]
    places += ["moves from the left to the right", "moves from the right to the left", "comes closer", "moves away"]
    places += ["circles around clockwise every 8 seconds", "passes overhead from front to back"]
    ways = [kind for kind in get_args(Kind) if kind != "other"]
    return {"objects": sorted(catalogue_names()), "places": places, "ways": ways, "scale": scale_facts()}

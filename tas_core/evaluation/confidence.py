"""Whether a model knows when it is wrong: its confidence in each object against what it really took for it.

A model is asked three times: under the clip's own prompts, with one more name, of something that does not sound in it,
and with one of its names replaced by that one, as a slip of the pen does. With s the true sound of an
object (the mean of its ears), x the mixture and y the estimated stem, over the time in which the prompts name the
object, its stem is **right** if

    <y, s> >= <s, s> / 2        at least half of the object is in it,
    <y, s> >= <y, x> / 2        and at least half of what is in it is the object.

For a mask m and sounds that are not correlated, <y, s> is the sum of m |S|^2: so the mask takes more than half of the
energy of its own object, and more of that than of all the rest. The stem of a name that does not sound is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from tas_core.conventions import db_to_power
from tas_core.evaluation.clips import RATE_HZ, EvalClip
from tas_core.evaluation.metrics import (
    Interval,
    ReliabilityBin,
    brier_score,
    clip_bootstrap,
    expected_calibration_error,
    reliability_curve,
    roc_auc,
)
from tas_core.inference.presence import Detection
from tas_core.timeline.segments import Timeline

if TYPE_CHECKING:
    from tas_core.evaluation.systems import System

Prompts = Literal["own", "extended", "replaced"]

SOUNDS_DB: Final = -30.0
"""An object sounds where it has more than this part of the energy, as in training's presence."""


@dataclass(frozen=True)
class JudgedObject:
    """An object over a span in which the prompts name it without a break.

    Attributes:
        prompts: the clip's own, or what is wrong with them: a name too many, or one in place of another.
        object: its phrase.
        start_s: beginning of the span, seconds.
        end_s: its end.
        confidence: that its stem is right, as the model says, 0 to 1.
        doubtful: whether the model warns of it.
        sounds: whether there is such a sound.
        right: whether its stem is.
    """

    prompts: Prompts
    object: str
    start_s: float
    end_s: float
    confidence: float
    doubtful: bool
    sounds: bool
    right: bool


def judged_objects(system: System, clip: EvalClip) -> tuple[JudgedObject, ...]:
    """Objects of a clip under all three prompts; nothing for clips without a scene and systems without confidence.

    Spans of silence, and those too short to be looked at, have no confidence and are left out.
    """
    found = []
    for prompts, timeline, true in prompts_of(clip):
        detections, stems = system.heard(clip, timeline)
        for item in detections:
            if item.confidence is not None:
                sounds, right = outcome(item, stems[item.object], clip.mono, true.get(item.object))
                known = item.object, item.start_s, item.end_s, item.confidence, item.doubtful
                found.append(JudgedObject(prompts, *known, sounds, right))
    return tuple(found)


def prompts_of(clip: EvalClip) -> Iterator[tuple[Prompts, Timeline, Mapping[str, np.ndarray]]]:
    """Which prompts, a timeline of them, and the true sound (time) at 16 kHz of each name that is right.

    Nothing for clips without a scene or prompts.
    """
    extended, replaced = clip.decoy_timeline(), clip.replaced_timeline()
    if extended is None or replaced is None or clip.timeline is None or clip.stems is None:
        return
    true = dict(zip(clip.phrases, clip.mono_stems, strict=True))
    yield "own", clip.timeline, true
    yield "extended", extended[0], true
    yield "replaced", replaced[0], {name: sound for name, sound in true.items() if name != replaced[1]}


def outcome(item: Detection, estimate: np.ndarray, mixture: np.ndarray, own: np.ndarray | None) -> tuple[bool, bool]:
    """Whether an object sounds over its span, and whether its estimated stem is right.

    Args:
        item: the object and its span.
        estimate: its estimated stem, (time) at 16 kHz, of the whole clip.
        mixture: all there is, likewise.
        own: its true sound, likewise; None for a name that does not sound.
    """
    if own is None:
        return False, False
    part = slice(round(item.start_s * RATE_HZ), round(item.end_s * RATE_HZ))
    own, mixture = own[part], mixture[part]
    sounds = bool(own @ own > db_to_power(SOUNDS_DB) * (mixture @ mixture))
    return sounds, sounds and stem_is_right(estimate[part], own, mixture)


def stem_is_right(estimate: np.ndarray, own: np.ndarray, mixture: np.ndarray) -> bool:
    """Whether an estimated stem (time) is mostly its object, and has most of it; see the module.

    Args:
        estimate: y.
        own: s, the object's true sound.
        mixture: x, of which s is a part.
    """
    taken = float(estimate @ own)
    return 2 * taken >= float(own @ own) > 0 and 2 * taken >= float(estimate @ mixture)


def confidence_measures(judged: Iterable[Sequence[Mapping[str, Any]]], seed: int) -> dict[str, Interval]:
    """Scores of the confidence over all objects of all clips, with intervals over clips; nothing for no objects.

    Args:
        judged: the objects of each clip, as plain values.
        seed: of the bootstrap.
    """
    clips = [_rows(objects) for objects in judged if objects]
    if not clips:
        return {}
    statistics: dict[str, Callable[[np.ndarray], float]] = {
        "right_stems": lambda rows: float(_right(rows).mean()),
        "confidence_auc": lambda rows: roc_auc(rows[:, 0], _right(rows)),
        "confidence_brier": lambda rows: brier_score(rows[:, 0], _right(rows)),
        "confidence_ece": lambda rows: expected_calibration_error(rows[:, 0], _right(rows)),
        "trusted_right": lambda rows: _trusted(rows[_right(rows)]),
        "trusted_wrong": lambda rows: _trusted(rows[~_right(rows)]),
        "trusted_present": lambda rows: _trusted(rows[rows[:, 3] > 0]),
        "trusted_absent": lambda rows: _trusted(rows[rows[:, 3] == 0]),
    }
    return {name: clip_bootstrap(clips, statistic, seed) for name, statistic in statistics.items()}


def reliability(judged: Iterable[Sequence[Mapping[str, Any]]]) -> tuple[ReliabilityBin, ...]:
    """The reliability curve of all objects of all clips, as plain values."""
    rows = [row for objects in judged if objects for row in _rows(objects)]
    if not rows:
        return ()
    table = np.array(rows)
    return reliability_curve(table[:, 0], _right(table))


def _rows(objects: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Confidence, right, doubtful, sounds (object, 4)."""
    return np.array([[each[name] for name in ("confidence", "right", "doubtful", "sounds")] for each in objects], float)


def _right(rows: np.ndarray) -> np.ndarray:
    return rows[:, 1] > 0


def _trusted(rows: np.ndarray) -> float:
    """Fraction of objects that the model does not warn of; nan for none."""
    return float(1 - rows[:, 2].mean()) if len(rows) else float("nan")

"""From a key and listeners' answers to the two accuracies of a study.

*rank-object* is the fraction of objects that were heard in the requested place, left, center or right, *rank-audio* the
fraction of recordings in which all objects were. Chance is 1/3 for an object. Where a study asks for more, *front-back*
is the fraction of objects that were heard in front or behind as requested (chance 1/2), *height* of those that were
heard below, at ear level or above (1/3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tas_core.errors import InputError
from tas_core.reporting.study.records import ANSWERS, Answers, Aspect, Key, read_answers, read_key

LEVEL: Final = 0.95
RESAMPLES: Final = 2000


@dataclass(frozen=True)
class Accuracy:
    """A fraction of right answers, and its bootstrap interval.

    Args:
        value: right / asked, 0 to 1.
        low: lower end of the interval.
        high: upper end of the interval.
        right: how many were right.
        asked: of how many.
    """

    value: float
    low: float
    high: float
    right: int
    asked: int


@dataclass(frozen=True)
class SystemScore:
    """The accuracies of one system; None where nobody answered, or was not asked."""

    system: str
    rank_object: Accuracy | None
    rank_audio: Accuracy | None
    front_back: Accuracy | None = None
    height: Accuracy | None = None


@dataclass(frozen=True)
class StudyScores:
    """What a study found; ``as_dict`` gives plain values.

    Args:
        study: name of the study.
        systems: scores in the order of the key.
        listeners: how many listeners are counted.
        failed_check: files of listeners that failed the headphone check, whether or not they are counted.
        failed_included: whether they are counted.
        unanswered: file -> how many of its items are open and not counted; files without open items are not listed.
        level: level of the intervals.
        resamples: how many resamples they come from.
        seed: seed of the resampling.
        around: whether front, back and height were asked for.
    """

    study: str
    systems: tuple[SystemScore, ...]
    listeners: int
    failed_check: tuple[str, ...]
    failed_included: bool
    unanswered: dict[str, int]
    level: float
    resamples: int
    seed: int
    around: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what was not asked for is left out."""
        found = asdict(self)
        if not found.pop("around"):
            for each in found["systems"]:
                del each["front_back"], each["height"]
        return found


def score_study(
    key_path: Path,
    answer_paths: Sequence[Path],
    *,
    include_failed: bool = False,
    seed: int = 0,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> StudyScores:
    """Score the answers of all listeners of a study.

    Items that a listener left open are not counted, neither as right nor as wrong. The interval resamples
    listeners and clips at the same time, as many as there were of each, with replacement: answers of one listener
    depend on each other, and so do answers to one clip.

    Args:
        key_path: ``key.json`` of the study.
        answer_paths: one file per listener.
        include_failed: whether listeners that failed the headphone check count.
        seed: seed of the resampling, 0 or more.
        level: level of the intervals, between 0 and 1.
        resamples: how many resamples, at least 1.

    Raises:
        InputError: the key cannot be read; files that are no answers, belong to another study, name items that it
            does not have, or come from a listener that is already there (all are named in one line); or no
            listener is left.
    """
    key = read_key(key_path)
    listeners = _read_all(answer_paths, key)
    failed = tuple(name for name, answers in listeners.items() if not answers.check.passed)
    counted = {name: answers for name, answers in listeners.items() if include_failed or answers.check.passed}
    if not counted:
        excluded = f", {len(failed)} failed the headphone check" if failed else ""
        raise InputError(f"{key_path}: no listener to score{excluded}")
    tallies = {aspect: _tally(key, list(counted.values()), aspect) for aspect in key.aspects}
    right, asked = tallies["side"]
    rng = np.random.default_rng(seed)
    weights = _crossed_weights(len(counted), len(key.clips), resamples, rng)
    scores = []
    for i, system in enumerate(key.systems):
        more = {
            aspect: _accuracy(tallies[aspect][0][i], tallies[aspect][1][i], weights, level)
            for aspect in key.aspects
            if aspect != "side"
        }
        audio_asked = (asked[i] > 0).astype(np.int64)
        audio_right = ((right[i] == asked[i]) & (asked[i] > 0)).astype(np.int64)
        scores.append(
            SystemScore(
                system,
                _accuracy(right[i], asked[i], weights, level),
                _accuracy(audio_right, audio_asked, weights, level),
                more.get("depth"),
                more.get("height"),
            )
        )
    unanswered = {name: len(key.items) - len(_complete(answers)) for name, answers in counted.items()}
    return StudyScores(
        study=key.study,
        systems=tuple(scores),
        listeners=len(counted),
        failed_check=failed,
        failed_included=include_failed,
        unanswered={name: count for name, count in unanswered.items() if count},
        level=level,
        resamples=resamples,
        seed=seed,
        around=len(key.aspects) > 1,
    )


# ---------------------------------------------------------------------------- files


def _read_all(paths: Sequence[Path], key: Key) -> dict[str, Answers]:
    """Answers by file name; all files that cannot be used make one error."""
    found: dict[str, Answers] = {}
    problems: list[str] = []
    sessions: dict[tuple[str, str], Path] = {}
    for path in paths:
        try:
            answers = read_answers(path)
            _check_fit(path, answers, key)
        except InputError as error:
            problems.append(str(error))
            continue
        names = [("session", answers.session)]
        if answers.participant.strip():
            names.append(("participant", answers.participant.strip().casefold()))
        for kind, name in names:
            if (kind, name) in sessions:
                problems.append(
                    f"{path}: the same listener as {sessions[kind, name]} ({kind} {name!r}), expected one file each"
                )
                break
        else:
            found[str(path)] = answers
        for each in names:
            sessions.setdefault(each, path)
    if problems:
        count = f"{len(problems)} of {len(paths)} files cannot be scored: " if len(paths) > 1 else ""
        raise InputError(count + "; ".join(problems))
    return found


def _check_fit(path: Path, answers: Answers, key: Key) -> None:
    if answers.study != key.study:
        raise InputError(f"{path}: answers to the study {answers.study[:40]!r}, expected {key.study!r}")
    if answers.format != key.format:
        raise InputError(f"{path}: answers of format {answers.format}, expected {key.format} as the key's")
    asked = {clip.clip: [aspect for aspect, _ in clip.questions(key.aspects)] for clip in key.clips}
    questions = {item.item: asked[item.clip] for item in key.items}
    seen = set()
    for each in answers.items:
        if each.item not in questions or each.item in seen:
            what = "is there twice" if each.item in seen else "is not in the study"
            raise InputError(f"{path}: item {each.item} {what}")
        wanted = questions[each.item]
        if len(each.answers) != len(wanted):
            raise InputError(f"{path}: item {each.item} has {len(each.answers)} answers, expected {len(wanted)}")
        for aspect, answer in zip(wanted, each.answers, strict=True):
            if answer is not None and answer not in ANSWERS[aspect]:
                expected = ", ".join(ANSWERS[aspect])
                raise InputError(f"{path}: item {each.item} has the answer {answer!r}, expected one of {expected}")
        seen.add(each.item)


# ---------------------------------------------------------------------------- accuracies


def _complete(answers: Answers) -> dict[int, tuple[str | None, ...]]:
    """Items of which no answer is open."""
    return {each.item: each.answers for each in answers.items if None not in each.answers}


def _tally(key: Key, listeners: Sequence[Answers], aspect: Aspect) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of right answers and of questions about an aspect, both (system, listener, clip), int64."""
    shape = (len(key.systems), len(listeners), len(key.clips))
    right, asked = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    clips = {clip.clip: (position, clip.questions(key.aspects)) for position, clip in enumerate(key.clips)}
    systems = {system: position for position, system in enumerate(key.systems)}
    for row, answers in enumerate(listeners):
        complete = _complete(answers)
        for item in key.items:
            if item.item in complete:
                column, questions = clips[item.clip]
                cell = systems[item.system], row, column
                given = zip(complete[item.item], questions, strict=True)
                hits = [answer == true for answer, (about, true) in given if about == aspect and true is not None]
                asked[cell], right[cell] = len(hits), sum(hits)
    return right, asked


def _crossed_weights(
    listeners: int, clips: int, resamples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """How often each listener and each clip is drawn: (resample, listener) and (resample, clip)."""
    return tuple(rng.multinomial(n, np.full(n, 1 / n), size=resamples) for n in (listeners, clips))  # type: ignore[return-value]


def _accuracy(
    right: np.ndarray, asked: np.ndarray, weights: tuple[np.ndarray, np.ndarray], level: float
) -> Accuracy | None:
    """Fraction of right answers, and its percentile interval over resamples of listeners and clips at once.

    A cell (listener, clip) counts as often as its listener was drawn times as often as its clip was
    (Owen, "The pigeonhole bootstrap", 2007). Resamples without an answered cell are left out.
    """
    if not asked.any():
        return None
    by_listener, by_clip = weights
    hits, tries = (np.einsum("rl,lc,rc->r", by_listener, cells, by_clip, optimize=True) for cells in (right, asked))
    fractions = hits[tries > 0] / tries[tries > 0]
    value = float(right.sum() / asked.sum())
    low, high = np.quantile(fractions, [(1 - level) / 2, (1 + level) / 2]) if fractions.size else (value, value)
    return Accuracy(value, float(low), float(high), int(right.sum()), int(asked.sum()))

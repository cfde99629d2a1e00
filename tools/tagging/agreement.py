"""How far what a tagger hears agrees with the names that recordings have.

A recording's agreement is the share of recordings of other categories that fit its name less than it does itself:
1 where it fits best of all, 0.5 where it fits no better than anything. The mean over a category is the area under its
receiver operating characteristic (AUC). Two ways to say how well a recording fits a name:

* **labels**: the greatest score among the labels that are accepted for the category;
* **likeness**: the greatest cosine between its embedding and those of the category's recordings *from other packages*.
  It needs no labels, and a category that more than one package has.

Categories that share a word, or an accepted label, are not held against each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tools.tagging.recordings import Heard


@dataclass(frozen=True)
class Verdict:
    """What one way of asking says of one recording: agreement from 0 to 1, and by which tagger."""

    tagger: str
    row: int
    agreement: float


def related_words(words: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """The categories that share a word with each, itself among them; ``words`` are all words by category."""
    having: dict[str, set[str]] = {}
    for category, phrases in words.items():
        for phrase in phrases:
            having.setdefault(phrase.casefold(), set()).add(category)
    return {
        category: {category}.union(*(having[phrase.casefold()] for phrase in phrases))
        for category, phrases in words.items()
    }


def _ranked(fits: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share of ``others`` below each of ``fits``; those that are equal count half."""
    ordered = np.sort(others)
    below, upto = np.searchsorted(ordered, fits, "left"), np.searchsorted(ordered, fits, "right")
    return (below + upto) / (2 * len(ordered))


def by_likeness(heard: Heard, related: Mapping[str, set[str]]) -> list[Verdict]:
    """Verdicts on the recordings of categories that several packages have."""
    centred = heard.embedding - heard.embedding.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    category, source = np.array(heard.category), np.array(_packages(heard))
    found = []
    for name in dict.fromkeys(heard.category):
        mine = category == name
        others = ~np.isin(category, sorted(related[name]))
        for package in dict.fromkeys(source[mine]):
            pattern = mine & (source != package)
            asked = np.flatnonzero(mine & (source == package))
            if not pattern.any() or not others.any():
                continue
            fits = (unit @ unit[pattern].T).max(axis=1)
            ranks = _ranked(fits[asked], fits[others])
            found += [Verdict(heard.tagger, int(r), float(a)) for r, a in zip(asked, ranks, strict=True)]
    return found


def _packages(heard: Heard) -> list[str]:
    """Where each recording is from; a bank's sources are a package and the category."""
    return [s.removesuffix("/" + c) for s, c in zip(heard.source, heard.category, strict=True)]


def by_labels(heard: Heard, accepted: Mapping[str, Sequence[str]], related: Mapping[str, set[str]]) -> list[Verdict]:
    """Verdicts on the recordings of categories for which labels are accepted.

    Args:
        heard: what a tagger with labels made of recordings.
        accepted: labels by category.
        related: categories that are not held against each.

    Raises:
        ValueError: the tagger has no such label.
    """
    column = {label: number for number, label in enumerate(heard.labels)}
    missing = sorted({label for labels in accepted.values() for label in labels} - column.keys())
    if missing:
        raise ValueError(f"{heard.tagger} has no label {', '.join(missing)}")
    category = np.array(heard.category)
    found = []
    for name in dict.fromkeys(heard.category):
        if name not in accepted:
            continue
        alike = related[name] | {other for other, labels in accepted.items() if set(labels) & set(accepted[name])}
        asked, others = np.flatnonzero(category == name), ~np.isin(category, sorted(alike))
        if not others.any():
            continue
        fits = heard.score[:, [column[label] for label in accepted[name]]].max(axis=1)
        ranks = _ranked(fits[asked], fits[others])
        found += [Verdict(heard.tagger, int(r), float(a)) for r, a in zip(asked, ranks, strict=True)]
    return found


def among_top(heard: Heard, accepted: Mapping[str, Sequence[str]], count: int) -> dict[str, tuple[float, float]]:
    """By category, the share of recordings with an accepted label among the ``count`` best, and that of all others."""
    best = np.argsort(-heard.score, axis=1, kind="stable")[:, :count]
    category = np.array(heard.category)
    found = {}
    for name in dict.fromkeys(heard.category):
        if name in accepted:
            wanted = [heard.labels.index(label) for label in accepted[name]]
            hits, mine = np.isin(best, wanted).any(axis=1), category == name
            found[name] = float(hits[mine].mean()), float(hits[~mine].mean()) if not mine.all() else float("nan")
    return found

"""Ask sound taggers of other packages whether recordings sound like the names that the catalogue gives them.

    python -m tools.tagging tag aisfx recordings aisfx.npz --most 3      # where the tagger's packages are installed
    python -m tools.tagging tag musicnn recordings musicnn.npz --most 3
    python -m tools.tagging doubts aisfx.npz musicnn.npz --worst 20      # anywhere

``recordings`` is the folder of ``scripts/install-training-material.sh``, or a stem bank. ``doubts`` prints how far
names and taggers agree (:mod:`tools.tagging.agreement`): a line for each category and, of categories and of single
recordings, the worst. A doubt is a place to look and listen, not a verdict.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from tas_core.datasets.sources.catalogue import load_categories
from tas_core.errors import InputError, TasError
from tools.tagging.agreement import Verdict, among_top, by_labels, by_likeness, related_words
from tools.tagging.recordings import Heard, bank_recordings, catalogue_recordings, read_sound
from tools.tagging.taggers import NEEDS, open_tagger

LABELS = Path(__file__).with_name("labels.yaml")
TOP = 5
_EVERY = 100
"""Recordings between two saves."""


def tag(tagger_name: str, material: Path, out: Path, most: int) -> Heard:
    """Let a tagger hear recordings, and write what it makes of them.

    Raises:
        TasError: the tagger is not installed, or the material is not what is expected.
    """
    if not material.exists():
        raise InputError(f"{material}: no such file or folder; expected recordings or a stem bank")
    tagger = open_tagger(tagger_name)
    if material.is_dir():
        found = ((r, read_sound(Path(r.place), tagger.longest_s)) for r in catalogue_recordings(material, most))
    else:
        found = bank_recordings(material, most, tagger.longest_s)
    rows, answers, seconds = [], [], []
    for recording, sound in found:
        if not np.abs(sound.samples).max(initial=0.0):
            print(f"{recording.source}/{recording.name}: is silent, and not asked about", file=sys.stderr)
            continue
        rows.append(recording)
        answers.append(tagger.hear(sound))
        seconds.append(sound.seconds)
        if len(rows) % _EVERY == 0:
            print(f"{len(rows)} recordings", file=sys.stderr)
    if not rows:
        raise InputError(f"{material}: no recordings that sound")
    heard = Heard(
        tagger=tagger_name,
        category=tuple(row.category for row in rows),
        source=tuple(row.source for row in rows),
        name=tuple(row.name for row in rows),
        seconds=np.array(seconds),
        embedding=np.stack([answer.embedding for answer in answers]),
        labels=tagger.labels,
        score=np.stack([answer.score for answer in answers]),
    )
    heard.save(out)
    return heard


def accepted_labels(path: Path, tagger: str) -> dict[str, tuple[str, ...]]:
    """Labels of a tagger that are right for a category, by category, from a file of categories by label.

    Raises:
        InputError: a category that is not in the catalogue.
    """
    known = {category.name for category in load_categories()}
    accepted: dict[str, list[str]] = {}
    for label, categories in (yaml.safe_load(path.read_text(encoding="utf-8")).get(tagger) or {}).items():
        for category in categories:
            if category not in known:
                raise InputError(f"{path}: '{category}' under '{label}' is no category of prompts/objects.yaml")
            accepted.setdefault(category, []).append(label)
    return {category: tuple(labels) for category, labels in accepted.items()}


def verdicts(heard: Heard, accepted: Mapping[str, Sequence[str]]) -> dict[str, list[Verdict]]:
    """All verdicts on recordings, by the way of asking."""
    related = related_words({c.name: c.training_words for c in load_categories()})
    related |= {name: {name} for name in heard.category if name not in related}
    found = {f"{heard.tagger} likeness": by_likeness(heard, related)}
    if heard.labels:
        found[f"{heard.tagger} labels"] = by_labels(heard, accepted, related)
    return found


def agreements(heard: Sequence[Heard], labels: Path) -> dict[tuple[str, str, str], dict[str, float]]:
    """Agreements by way of asking, of every (category, source, name) that was asked about."""
    table: dict[tuple[str, str, str], dict[str, float]] = {}
    for each in heard:
        for way, found in verdicts(each, accepted_labels(labels, each.tagger)).items():
            for verdict in found:
                row = verdict.row
                key = each.category[row], each.source[row], each.name[row]
                table.setdefault(key, {})[way] = verdict.agreement
    return table


def category_rows(table: Mapping[tuple[str, str, str], Mapping[str, float]]) -> list[dict]:
    """A row for each category: recordings, agreement of each way of asking, and the mean of those; doubts first."""
    rows = []
    for name in dict.fromkeys(key[0] for key in table):
        mine = [found for key, found in table.items() if key[0] == name]
        ways = sorted({way for found in mine for way in found})
        means = {way: float(np.mean([found[way] for found in mine if way in found])) for way in ways}
        rows.append({"category": name, "recordings": len(mine), **means, "mean": float(np.mean(list(means.values())))})
    return sorted(rows, key=lambda row: row["mean"])


def recording_rows(table: Mapping[tuple[str, str, str], Mapping[str, float]]) -> list[dict]:
    """A row for each recording, doubts first."""
    rows = [
        {"category": key[0], "source": key[1], "name": key[2], **found, "mean": float(np.mean(list(found.values())))}
        for key, found in table.items()
    ]
    return sorted(rows, key=lambda row: row["mean"])


def _print_table(rows: Sequence[Mapping], columns: Sequence[str]) -> None:
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        cells = [row.get(column, "-") for column in columns]
        print("| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |")


def doubts(files: Sequence[Path], labels: Path, worst: int, save: Path | None) -> None:
    """Print how far names and taggers agree; all rows go to ``save``."""
    heard = [Heard.load(file) for file in files]
    table = agreements(heard, labels)
    if not table:
        raise InputError("nothing to compare: no category has recordings of two packages, or labels")
    categories, recordings = category_rows(table), recording_rows(table)
    ways = sorted({way for found in table.values() for way in found})
    for way in ways:
        values = [row[way] for row in categories if way in row]
        print(f"{way}: {len(values)} categories, median agreement {np.median(values):.2f}; chance is 0.50")
    for each in heard:
        if each.labels:
            top = among_top(each, accepted_labels(labels, each.tagger), TOP)
            mine, others = (np.nanmean([shares[i] for shares in top.values()]) for i in range(2))
            print(f"{each.tagger}: an accepted label is among the {TOP} best in {mine:.0%}, by chance in {others:.0%}")
    print()
    _print_table(categories[:worst], ["category", "recordings", *ways, "mean"])
    print()
    _print_table(recordings[:worst], ["category", "source", "name", *ways, "mean"])
    if save is not None:
        save.write_text(json.dumps({"categories": categories, "recordings": recordings}, indent=1), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.tagging", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    tagging = commands.add_parser("tag", help="let a tagger hear recordings")
    tagging.add_argument("tagger", choices=sorted(NEEDS))
    tagging.add_argument("material", type=Path)
    tagging.add_argument("out", type=Path)
    tagging.add_argument("--most", type=int, default=3, help="recordings of a category and package")
    doubting = commands.add_parser("doubts", help="compare names with what taggers heard")
    doubting.add_argument("heard", type=Path, nargs="+")
    doubting.add_argument("--labels", type=Path, default=LABELS, help="labels that are right for a category")
    doubting.add_argument("--worst", type=int, default=20)
    doubting.add_argument("--save", type=Path, help="all rows, as JSON")
    options = parser.parse_args(arguments)
    try:
        if options.command == "tag":
            tag(options.tagger, options.material, options.out, options.most)
        else:
            doubts(options.heard, options.labels, options.worst, options.save)
    except TasError as error:
        print(f"tagging: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

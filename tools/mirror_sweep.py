"""Look for sentences whose mirror image is not read as the mirror image of what they say: prints those, exit code 1.

    python tools/mirror_sweep.py [--count 20000] [--seed 0]

Sentences are drawn from the words of prompts/sphere.yaml and prompts/directions.yaml in many forms. What is refused is
not counted, but a sentence that is read has to have a mirror image that is read, as the same places on the other side,
and whose own mirror image says again what the sentence said.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tas_core.errors import PromptError
from tas_core.timeline.prompts import mirror_prompt_text, read_prompt

PROMPTS = Path(__file__).resolve().parents[1] / "prompts"
NAMES = (
    "dog", "cello", "violin", "right whale", "rain", "a man talking", "the left-handed guitar", "drums", "two dogs",
    "a car", "helicopter",
)  # fmt: skip
LEADS = ("", "", "on the ", "to the ", "at ", "from the ", "over on the ", "somewhere ", "slightly ", "far ", "hard ")
FORMS = (
    "{name} {place}",
    "{name} {place}",
    "the {name} is {place}",
    "{place}: {name}",
    "{place} a {name}",
    "{name} {place}, {other} {second}",
    "{name} {place} and {other} {second}",
    "{name} and {other} {place}",
    "{name} {place}; {room}",
    "{name} {place} {room}",
    "{room}: {name} {place}",
    "{name} {place} 3 dB quieter",
    "{name} moves from {place} to {second}",
    "{name} from {place} to {second}",
    "{name} from {place} via {third} to {second}",
    "{name} {circle}",
    "{name} {circle}, starting {place}",
    "{name} {circle} {second}",
    "{name} {approach} {place}",
    "{name} {place} {approach}",
    "{name} {place}, {other} {relation} {name}",
    "{other} {relation} {name}, {name} {place}",
    "{name} {place}, {other} {second}, piano between {name} and {other}",
    "{name} {place}, {other} {relation} {name} {second}",
    "{name} passes overhead from {place} to {second}",
    "{name} flies overhead",
    "{name} flies from {place} to {second}",
)


def loaded(name: str) -> dict[str, Any]:
    """A file of words."""
    found: dict[str, Any] = yaml.safe_load((PROMPTS / name).read_text("utf-8"))
    return found


class Drawer:
    """Draws sentences about places all around."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        sphere, plane = loaded("sphere.yaml"), loaded("directions.yaml")
        listed = lambda groups: [word for words in groups.values() for word in words]  # noqa: E731
        self.sides = [side[key] for side in plane["sides"] for key in ("left", "right")]
        self.strengths = listed({name: each["words"] for name, each in plane["strengths"].items()})
        self.behind = sphere["behind"] + [side[key] for side in sphere["behind_sides"] for key in ("left", "right")]
        self.heights = [word for each in sphere["elevations"] for word in each["words"]]
        self.beside = [word for each in sphere["elevations_beside"] for word in each["words"]]
        self.beside += listed(sphere["distances_beside"]) + listed(sphere["spreads_beside"]) + sphere["behind_beside"]
        self.distances, self.spreads = listed(sphere["distances"]), listed(sphere["spreads"])
        self.centers = plane["center"]
        self.rooms = listed(sphere["rooms"])
        self.circles = [*sphere["circles"], "moves around", "flies in circles", "goes round and round"]
        self.approaches = sphere["comes"]["words"] + sphere["leaves"]["words"]
        roles = ("next_to", "opposite", "behind_it", "before_it", "above_it", "below_it", "nearer_than", "farther_than")
        self.relations = [word for role in (*roles, "same_as") for word in sphere[role]]

    def atom(self) -> str:
        """A word or two for a place."""
        draw, side = self.random, self.random.choice(self.sides)
        kinds = (
            lambda: draw.choice(LEADS) + side,
            lambda: f"{draw.choice(self.strengths)} {side}",
            lambda: f"{draw.choice((5, 30, 45, 90, 120, 180))} degrees {draw.choice(('left', 'right', 'to the left'))}",
            lambda: f"at {draw.randrange(1, 13)} o'clock",
            lambda: f"at {draw.choice(('', '-'))}{draw.choice((0, 20, 75, 135, 180))} degrees",
            lambda: draw.choice(self.behind),
            lambda: draw.choice(self.heights),
            lambda: draw.choice(self.beside),
            lambda: draw.choice(self.distances),
            lambda: draw.choice(self.spreads),
            lambda: draw.choice(self.centers),
            lambda: f"{draw.choice((10, 30, 90))} degrees {draw.choice(('up', 'down', 'above', 'below'))}",
            lambda: f"{draw.choice((0.5, 3, 40))} {draw.choice(('m', 'feet', 'metres'))} {draw.choice(('away', ''))}",
            lambda: (
                f"{draw.choice(('close to', 'very close to', 'near', 'in'))} my {draw.choice(('left', 'right'))} ear"
            ),
        )
        return draw.choice(kinds)().strip()

    def place(self) -> str:
        """One to three atoms."""
        atoms = [self.atom() for _ in range(self.random.choice((1, 1, 2, 2, 3)))]
        return self.random.choice((" ", " ", " and ", ", ")).join(atoms)

    def circle(self) -> str:
        """A circle."""
        draw = self.random
        sense = draw.choice(("", " clockwise", " counterclockwise", " slowly", " around me", " around me clockwise"))
        return (
            draw.choice(self.circles) + sense + draw.choice(("", " every 8 seconds", " twice", " once every 5 seconds"))
        )

    def relation(self) -> str:
        """A place beside another sound, up to its name."""
        draw = self.random
        degrees = draw.choice(("", "", "20 degrees ", "slightly ", "far "))
        side = draw.choice(("left of the", "right of the", "to the left of the", "to the right of the"))
        return degrees + side if draw.random() < 0.4 else f"{draw.choice(self.relations)} the"

    def sentences(self) -> Iterator[str]:
        """Sentences without end."""
        while True:
            name, other = self.random.sample(NAMES, 2)
            words = {
                "name": name,
                "other": other,
                "place": self.place(),
                "second": self.place(),
                "third": self.atom(),
                "circle": self.circle(),
                "room": self.random.choice(self.rooms),
                "approach": self.random.choice(self.approaches),
                "relation": self.relation(),
            }
            yield self.random.choice(FORMS).format(**words)


def fault(text: str) -> str | None:
    """What is wrong with the mirror image of a sentence; empty if nothing is, None if the sentence is refused."""
    try:
        said = read_prompt(text)
    except PromptError:
        return None
    mirrored = mirror_prompt_text(text)
    try:
        found = read_prompt(mirrored)
        again = read_prompt(mirror_prompt_text(mirrored))
    except PromptError as error:
        return f"{mirrored!r} is refused: {str(error).splitlines()[0]}"
    if found.clauses != tuple(clause.mirrored() for clause in said.clauses) or found.room != said.room:
        return f"{mirrored!r} says something else"
    return (
        ""
        if again.clauses == said.clauses
        else f"{mirror_prompt_text(mirrored)!r}, mirrored twice, says something else"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    drawn, read, wrong = Drawer(arguments.seed).sentences(), 0, 0
    for _ in range(arguments.count):
        text = next(drawn)
        found = fault(text)
        read += found is not None
        if found:
            wrong += 1
            print(f"{text!r}: {found}")
    print(f"{read} of {arguments.count} sentences are read, {wrong} have another mirror image")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

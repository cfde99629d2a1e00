"""How sentences of everyday use are read: a list that a person has looked at, and the table of the documentation."""

from __future__ import annotations

import math
import re
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tas_core.conventions import REFERENCE_M
from tas_core.errors import PromptError
from tas_core.timeline.doubts import timeline_doubts
from tas_core.timeline.gains import GainPath
from tas_core.timeline.levels import REMOVED
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.prompts import Clause, format_prompt, mirror_prompt_text, parse_prompt, read_prompt
from tas_core.timeline.segments import Timeline
from tas_core.timeline.sphere import SpherePath, SpherePoint
from tests.support.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
READINGS: list[dict[str, Any]] = yaml.load((ROOT / "tests/data/readings.yaml").read_text("utf-8"), yaml.CSafeLoader)


def both(value: Any) -> list[float]:
    return [-math.inf if end == "silence" else end for end in (value if isinstance(value, list) else [value, value])]


def gain(level: Any) -> GainPath:
    return REMOVED if level == "removed" else GainPath(*both(level))


def point(said: dict[str, Any]) -> SpherePoint:
    return SpherePoint(said["az"], said.get("el", 0), said.get("m", REFERENCE_M), said.get("spread", 0))


def way(said: dict[str, Any]) -> SpherePath:
    via = point(said["via"]) if "via" in said else None
    turned = said.get("turns", 0), said.get("turn_s", 0)
    return SpherePath(point(said), point(said.get("to", said)), via, *turned)


def clause(name: str, said: Any) -> Clause:
    if said == "removed":
        return Clause(name, AzimuthPath(0, 0), REMOVED, is_placed=False)
    if isinstance(said, dict) and "az" in said:
        return replace(Clause.on_sphere(name, way(said)), gain=gain(said.get("db", 0)))
    if not isinstance(said, dict):
        return Clause(name, AzimuthPath(*both(said)))
    return Clause(name, AzimuthPath(*both(said.get("at", 0))), gain(said["db"]), is_placed="at" in said)


def clauses(read: dict[str, Any]) -> tuple[Clause, ...]:
    return tuple(clause(name, said) for name, said in read.items())


@pytest.mark.parametrize("entry", READINGS, ids=[entry["prompt"] for entry in READINGS])
def test_a_sentence_is_read_as_a_person_would_or_refused_with_a_reason(entry: dict[str, Any]) -> None:
    text = entry["prompt"]
    if "refused" in entry:
        with pytest.raises(PromptError) as caught:
            parse_prompt(text)
        first, _, caret, *_ = str(caught.value).split("\n")
        assert first == entry["refused"]
        assert set(caret.strip()) == {"^"}
        return
    read = read_prompt(text)
    assert read.clauses == clauses(entry["read"])
    assert read.rest == gain(entry.get("rest", 0))
    assert list(read.notes) == entry.get("notes", [])
    assert (read.room.name if read.room else None) == entry.get("room")
    mirrored = mirror_prompt_text(text)
    assert parse_prompt(mirrored) == tuple(clause.mirrored() for clause in read.clauses)
    assert read_prompt(mirror_prompt_text(mirrored)).clauses == read.clauses
    written = read_prompt(format_prompt(read.clauses, read.rest, read.room))
    assert (written.clauses, written.rest, written.room) == (read.clauses, read.rest, read.room)


def test_no_sentence_is_in_the_list_twice() -> None:
    prompts = [entry["prompt"] for entry in READINGS]
    assert len(prompts) == len(set(prompts)) > 300


def test_the_table_of_the_documentation_is_what_the_parser_reads() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "make_prompt_table.py"))
    page = (ROOT / "docs" / "PROMPTS.md").read_text("utf-8")
    assert page.split(made["BEGIN"])[1].split(made["END"])[0].strip() == made["table"]()


def test_the_error_that_the_documentation_shows_is_the_one_that_comes() -> None:
    page = (ROOT / "docs" / "PROMPTS.md").read_text("utf-8")
    _, shown = page.split('$ tas spatialize in.wav -p "')
    text, output = shown.split("```")[0].split('" -o out.wav\n')
    with pytest.raises(PromptError) as caught:
        parse_prompt(text)
    assert output == f"tas: error: --prompt: {caught.value}\n"


@pytest.mark.parametrize(
    ("page", "prompt", "why"),
    [
        ("refused where the name is none of the prompt", "dog left of the piano", "no sound of this prompt"),
        ("and where places depend on each other", "cat left of dog, dog left of cat", "places in a circle"),
        ('"above and below"', "dog above and below", "a sound has one place at a time"),
        ("a place inside the head", "dog 5 cm away", "inside the head"),
        ("an elevation beyond 90", "dog 91 degrees up", "at most 90 degrees"),
        ("two rooms at once", "dog left in a church, cat right in a car", "two rooms at once"),
        (
            "what is opposite each other, unless it says which way",
            "dog moves from front to behind me",
            "nothing says which way it goes",
        ),
        ("a number, ", "dog 45 left", "a number without a unit"),
        ('"minus", ', "dog minus left", "a number or unit is left over"),
        ('"up", ', "dog up tune left", "a height that is not understood"),
        ('"not", ', "dog not left", "what is not meant"),
        ('"from" or ', "voice from the radio on the left", "a word of a movement or a direction is left over"),
        ('"in 3 seconds" that is left over', "dog left in 3 seconds", "a prompt describes one stretch of time"),
        ("One prompt keeps\nto one language", "Cello links, Klavier right", "a direction in another language"),
        ("Other characters that cannot be seen are an error", "cello \u202eleft", 'seen, .* without it: "<U.202E>"$'),
        ("else quotes make it one", "slides on the left", 'if "slides" is a sound, put it in quotes'),
    ],
)
def test_what_the_documentation_calls_an_error_is_one(page: str, prompt: str, why: str) -> None:
    assert page in (ROOT / "docs" / "PROMPTS.md").read_text("utf-8")
    with pytest.raises(PromptError) as caught:
        parse_prompt(prompt)
    assert re.search(why, str(caught.value).split("\n")[0])


def test_the_doubt_that_the_documentation_quotes_is_the_one_that_comes() -> None:
    page = (ROOT / "docs" / "PROMPTS.md").read_text("utf-8")
    (name, likely) = re.findall(r'nearly one of these \("(\w+)"\).*?`did you mean \'(\w+)\'\?`', page, re.DOTALL)[0]
    (doubt,) = timeline_doubts(Timeline.from_prompt(f"{name} on the left"))
    assert doubt.endswith(f"did you mean '{likely}'?")


@pytest.mark.parametrize("seed", range(3))
def test_the_mirror_image_of_any_sentence_says_the_mirror_image(seed: int) -> None:
    """The first sentences of `tools/mirror_sweep.py`, which draws as many as it is told to."""
    sweep = load_script("tools/mirror_sweep.py")
    drawn = sweep.Drawer(seed).sentences()
    found = [sweep.fault(next(drawn)) for _ in range(60)]
    assert sum(each is not None for each in found) > 20
    assert not [each for each in found if each]


@pytest.mark.parametrize(
    "prompt",
    [
        "cello from left by my ear to the right",
        "cello moves from right beside me to the left",
        "two dogs from right overhead to the left",
        "rain very close to my left ear 90 degrees above",
        "dog moves around, starting very close to my left ear",
        "rain flies in circles around me every 8 seconds, narrow",
        "helicopter flies from 90 degrees to very close to my right ear",
        "a man talking at -20 degrees right at my ear",
        "dog at -20 degrees right next to me, cello at minus 30 degrees right above me",
        "helicopter flies from at -180 degrees to very close to my right ear",
    ],
)
def test_sentences_that_had_no_mirror_image_have_one(prompt: str) -> None:
    assert load_script("tools/mirror_sweep.py").fault(prompt) == ""


def test_from_a_number_of_degrees_to_an_ear_is_a_movement() -> None:
    (clause,) = parse_prompt("dog flies from 90 degrees to close to my right ear")
    assert (clause.path.start, clause.path.end) == (SpherePoint(90, 0, 0.25), SpherePoint(-55, 0, 0.25))
    (clause,) = parse_prompt("dog flies from behind me to the left")
    assert (clause.path.start, clause.path.end) == (SpherePoint(180), SpherePoint(55))
    (clause,) = parse_prompt("car moves from left via behind me to the right")
    assert (clause.path.via, clause.path.end) == (SpherePoint(180), SpherePoint(-55))
    (clause,) = parse_prompt("dog from behind me on the left")
    assert clause.path == SpherePath.fixed(SpherePoint(125))
    (clause,) = parse_prompt("dog from 90 degrees to my right")
    assert clause.azimuth == AzimuthPath(-90, -90)

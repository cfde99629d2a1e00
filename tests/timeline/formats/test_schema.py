"""The schema for editors accepts what the reader accepts, and refuses what it refuses as far as a schema can know."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tas_core.errors import TimelineError
from tas_core.timeline.files import parse_timeline

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "timeline.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


class CoreLoader(yaml.SafeLoader):
    """Scalars as the core schema of YAML 1.2 has them, which editors follow: to it, `1:30` is text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for tag, pattern, first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
):
    letters: list[Any] = ["" if letter == "\0" else letter for letter in first]
    CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), letters)


def schema_accepts(document: str) -> bool:
    return VALIDATOR.is_valid(yaml.load(document, CoreLoader))  # noqa: S506 (a safe loader)


def reader_accepts(document: str) -> bool:
    try:
        parse_timeline(document)
    except TimelineError:
        return False
    return True


def one(fields: str) -> str:
    return f"prompts:\n  - {{{fields}}}\n"


SCENE = "prompts: [{start: 0, text: cello left}]\n"
ACCEPTED = [
    *(SCENE + f"room: {value}\n" for value in ("church", "outdoors", "{rt60: 1.2, size: [9, 6, 3]}")),
    *(one(f"start: 0, text: cello left, room: {value}") for value in ("car", "~", "{rt60: 0.07, size: [2, 1.5, 1]}")),
    SCENE + "sources: {cello: cello.wav}\n",
    SCENE + "sources:\n  the cello: {file: cello.wav}\n  piano: {file: a b.flac, start: 0:03, gain_db: -3.5}\n",
    *(path.read_text() for path in sorted((ROOT / "examples").glob("*.yaml"))),
    "prompts:\n- start: 0\n  end:\n  text: >\n    cello on the left,\n    piano right\n",
    "prompts:\n- {start: 4, text: dog left}\n- {start: 0, end: null, text: dog left}\n",
    '{"prompts": [{"start": 0.5, "end": 1, "text": "yes on the left"}]}',
    *(
        one(f"start: {time}, text: cello left")
        for time in (
            "0",
            "8.25",
            "'08'",
            "010",
            "7.",
            "'7.'",
            "1:30",
            "01:30.5",
            "1:00:00",
            "0:01:30.125",
            "'90:00'",
            "' 8 '",
        )
    ),
    *(one(f"start: 0, end: {time}, text: cello left") for time in ("~", "1", "0:01", "'1:59:59.999'", "0:0:0.1")),
]
REFUSED = [
    *(SCENE + f"room: {value}\n" for value in ("chapel", "[church]", "{}", "{rt60: 1}", "{rt60: 0, size: [4, 3, 2]}")),
    *(one(f"start: 0, text: cello left, room: {{rt60: 1, size: {size}}}") for size in ("4", "[4, 3]", "[4, 3, 0.5]")),
    *(
        SCENE + f"sources: {value}\n"
        for value in ("", "{}", "[cello.wav]", "cello.wav", "{'': cello.wav}", "{cello: ''}")
    ),
    *(SCENE + f"sources: {{cello: {value}}}\n" for value in ("[a.wav]", "{start: 1}", "{file: a.wav, gain: 3}")),
    *(
        SCENE + f"sources: {{cello: {{file: a.wav, {more}}}}}\n"
        for more in ("start: -1", "gain_db: 41", "gain_db: loud")
    ),
    "",
    "hello",
    "[]",
    "{}",
    "promts: []",
    "prompts:",
    "prompts: []",
    "prompts: 3",
    "prompts: {start: 0}",
    "prompts: [cello left]",
    f"{one('start: 0, text: cello left')}more: 1\n",
    *(one(f"start: {time}, text: cello left") for time in ("-1", ".inf", "soon", "''", "", "true", "0:60", "1:60:00")),
    *(one(f"start: {time}, text: cello left") for time in ("'1e3'", "'-1'", "1:2:3:4", "[1]", "'1 s'", "'٣'")),
    *(one(f"start: 0, end: {time}, text: cello left") for time in ("-1", "''", "never", "0:75", "{}")),
    *(one(f"start: 0, text: {text}") for text in ("", "''", '" \\t"', "[cello left]", "3", "true", "{a: b}")),
    one(f"start: 0, text: cello {'very ' * 1000} left"),
    one("text: cello left"),
    one("start: 0"),
    one("start: 0, txt: cello left"),
    one("start: 0, volume: 3, text: cello left"),
]
ONLY_THE_READER_KNOWS = [
    one("start: 2, end: 2, text: cello left"),
    one("start: 1:00, end: 0:59, text: cello left"),
    one("start: 0, text: cello"),
    "prompts:\n- {start: 0, end: 2, text: dog left}\n- {start: 1, text: dog left}\n",
    one("start: 1e1, text: cello left"),  # a number like any other once it is read
    one("start: .nan, text: cello left"),
    one(f'start: 0, end: "{"9" * 9}:00", text: cello left'),  # 1e9 s and more, as text
]


def test_the_schema_is_one_and_its_examples_fit() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for example in SCHEMA["examples"]:
        VALIDATOR.validate(example)
        assert reader_accepts(json.dumps(example))
    parts = SCHEMA["$defs"]["segment"]
    for name, part in parts["properties"].items():
        assert part["description"]
        for example in part["examples"]:
            segment = {"start": 0, "text": "cello left"} | {name: example}
            assert VALIDATOR.is_valid({"prompts": [segment]})
            assert reader_accepts(json.dumps({"prompts": [segment]}))


@pytest.mark.parametrize("document", ACCEPTED, ids=[repr(d[-50:]) for d in ACCEPTED])
def test_both_accept(document: str) -> None:
    assert reader_accepts(document)
    VALIDATOR.validate(yaml.load(document, CoreLoader))  # noqa: S506


@pytest.mark.parametrize("document", REFUSED, ids=[repr(d[-50:]) for d in REFUSED])
def test_both_refuse(document: str) -> None:
    assert not reader_accepts(document)
    assert not schema_accepts(document)


@pytest.mark.parametrize("document", ONLY_THE_READER_KNOWS)
def test_what_the_reader_alone_refuses(document: str) -> None:
    """The list of docs/TIMELINES.md: should a schema come to know one of these, it moves up."""
    assert not reader_accepts(document)
    assert schema_accepts(document)


@settings(max_examples=300, deadline=None)
@given(st.from_regex(r"[0-9]{0,2}(:[0-9]{1,3}){0,3}(\.[0-9]{0,2})?", fullmatch=True), st.sampled_from(["start", "end"]))
def test_times_as_text_are_judged_alike(time: str, key: str) -> None:
    segment = {"start": 0, "text": "cello left", key: time}
    document = json.dumps({"prompts": [segment]})
    if key == "end" and time and not any(digit in time for digit in "123456789"):
        return  # an end of 0 is not after the start, which only the reader knows
    assert reader_accepts(document) == VALIDATOR.is_valid({"prompts": [segment]})


@settings(max_examples=100, deadline=None)
@given(st.floats(allow_nan=False))
def test_numbers_are_judged_alike(start: float) -> None:
    shown = ".inf" if start == math.inf else "-.inf" if start == -math.inf else f"{start:f}"
    # The reader knows no signs, hence no -0, which counts as a zero to a schema.
    document = one(f"start: {shown.removeprefix('-') if not start else shown}, text: cello left")
    assert reader_accepts(document) == VALIDATOR.is_valid({"prompts": [{"start": start, "text": "cello left"}]})


def test_the_documentation_shows_where_the_schema_is() -> None:
    text = (ROOT / "docs" / "TIMELINES.md").read_text()
    (document,) = re.findall(r"^```yaml\n(# yaml-language-server.*?)```", text, re.DOTALL | re.MULTILINE)
    path = document.split("$schema=")[1].split()[0]
    assert (ROOT / path).is_file()
    assert schema_accepts(document)
    assert reader_accepts(document)

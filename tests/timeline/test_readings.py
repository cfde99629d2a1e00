"""How sentences of everyday use are read: a list that a person has looked at, and the table of the documentation."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tas_core.errors import PromptError
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.prompts import Clause, mirror_prompt_text, parse_prompt, read_prompt

ROOT = Path(__file__).resolve().parents[2]
READINGS: list[dict[str, Any]] = yaml.safe_load((ROOT / "tests/data/readings.yaml").read_text("utf-8"))


def clauses(read: dict[str, Any]) -> tuple[Clause, ...]:
    ends = {name: place if isinstance(place, list) else [place, place] for name, place in read.items()}
    return tuple(Clause(name, AzimuthPath(*place)) for name, place in ends.items())


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
    assert list(read.notes) == entry.get("notes", [])
    mirrored = mirror_prompt_text(text)
    assert parse_prompt(mirrored) == tuple(clause.mirrored() for clause in read.clauses)
    assert parse_prompt(mirror_prompt_text(mirrored)) == read.clauses


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

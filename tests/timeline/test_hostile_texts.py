"""Texts that somebody made to take long: what they cost grows with their length, and not with its square."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tas_core.errors import TimelineError
from tas_core.timeline.files import parse_timeline
from tas_core.timeline.formats.overlaps import MOST_AT_ONCE

SIZE = 60_000
YAML = "prompts:\n- {start: 0, text: "


def many(line: Callable[[int], str], length: int = 30) -> str:
    return "".join(map(line, range(SIZE // length)))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", f"{YAML}a: {' ' * SIZE}b}}\n", "expected ',' or '}'"),
        ("a.yaml", f"{YAML}[ {' ' * SIZE}b\n", "expected ',' or '\\]'"),
        ("a.yaml", f"{YAML}a: {',end: ' * (SIZE // 6)}}}\n", "expected ',' or '}'"),
        ("a.srt", many(lambda n: f"00:00:{n % 60:02},{n % 999:03} --> 99:00:00,000\ndog left\n\n", 40), "at most 100"),
    ],
    ids=["spaces", "brackets", "fields", "all at once"],
)
def test_what_is_refused_is_refused_soon(name: str, text: str, message: str) -> None:
    begun_s = time.process_time()
    with pytest.raises(TimelineError, match=message):
        parse_timeline(text, name)
    assert time.process_time() - begun_s < 2


@pytest.mark.parametrize(
    "line",
    [
        lambda n: f"{n}\t{n}\tdog left\n",
        lambda n: f"{n}\t{n + 2}\tdog left\n",
        lambda n: f"{n / 1e6:.6f}\t{(n + 1) / 1e6:.6f}\tdog left\n",
    ],
    ids=["without ends", "each over the next", "within a frame"],
)
def test_many_labels_are_read_soon(line: Callable[[int], str]) -> None:
    begun_s = time.process_time()
    timeline = parse_timeline(many(line, 15), "a.txt")
    assert time.process_time() - begun_s < 3
    assert len(timeline.segments) >= SIZE // 15


def test_as_many_prompts_at_once_as_are_read_as_one() -> None:
    cues = [f"{n / 10:.1f}\t1000\tdog left\n" for n in range(MOST_AT_ONCE)]
    assert len(parse_timeline("".join(cues), "a.txt").segments) == MOST_AT_ONCE
    with pytest.raises(
        TimelineError, match=r"a\.txt:101:1: 101 prompts hold at once, from 10 s on, expected at most 100"
    ):
        parse_timeline("".join([*cues, "10\t1000\tdog left\n"]), "a.txt")

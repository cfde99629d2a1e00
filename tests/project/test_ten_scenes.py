"""Ten things that people do: the list of scenes is sound, and README's table is of the figures that were measured."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml

from tas_core.conventions import to_ears
from tas_core.datasets.sources.catalogue import load_categories
from tas_core.datasets.sources.real_sounds import load_real_list
from tas_core.timeline.prompts import parse_prompt
from tas_core.timeline.segments import Timeline
from tests.support.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
SCENES = yaml.safe_load((ROOT / "benchmarks" / "ten_scenes.yaml").read_text())


@pytest.fixture(scope="module")
def ten() -> ModuleType:
    return load_script("benchmarks/ten_scenes.py")


def test_every_scene_has_a_recording_for_each_clause() -> None:
    known = load_real_list()
    sounds, mixtures = {s.name for s in known.sounds}, {m.name: m for m in known.mixtures}
    recorded = {c.name for c in load_categories() if c.recorded}
    assert len(SCENES) == 10
    for scene in SCENES:
        assert len(parse_prompt(scene["prompt"])) == len(scene["parts"]), scene["scene"]
        for part in scene["parts"]:
            if "mixture" in part:
                assert any(p.files[0].endswith(part["part"]) for p in mixtures[part["mixture"]].parts)
            else:
                assert part.get("sound") in sounds or part.get("heard") in recorded, part
        assert ("heard" in str(scene["parts"])) <= ("note" in scene)


def test_the_table_of_the_readme_is_that_of_the_figures(ten: ModuleType) -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "ten-scenes.json").read_text())["scenes"]
    assert [scene["scene"] for scene in found] == [scene["scene"] for scene in SCENES]
    assert ten.table(found) in (ROOT / "README.md").read_text()


def test_what_is_at_its_place_is_found_there_and_what_is_not_is_not(ten: ModuleType) -> None:
    """Two parts at their places, exchanged, and in the middle: noises in bands of their own."""
    rng = np.random.default_rng(0)
    size = round(ten.LENGTH_S * ten.RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal((2, size)))
    hz = np.fft.rfftfreq(size, 1 / ten.RATE_HZ)
    band = hz // 400 % 2
    parts = 0.1 * np.fft.irfft(spectrum * np.stack([band, 1 - band]), size)
    prompt = "wind 45 degrees left, rain 45 degrees right"
    timeline, clauses = Timeline.from_prompt(prompt).resolved(ten.LENGTH_S), parse_prompt(prompt)
    sides = lambda ears: [item["on_its_side"] for item in ten.perceived(ears, parts, clauses, timeline)]  # noqa: E731
    there = ten.separated(parts, clauses)
    assert sides(there) == [1, 1]
    assert sides(there[::-1]) == [0, 0]
    assert sides(to_ears(parts.sum(axis=0), np.zeros(size))) == [0, 0]
    words = ten.outcome(ten.perceived(there[::-1], parts, clauses, timeline)[0])
    assert words.startswith("**wind** at 4")
    assert words.endswith("right in place of 45° left")

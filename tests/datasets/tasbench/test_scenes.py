"""Scenes as they are drawn: by seed and number, in the asked shares, and never from material of another part."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tas_core.datasets.tasbench.scenes import Scene, clip_split, draw_scene
from tas_core.errors import InputError
from tests.support.installed import needs_material


def test_a_scene_depends_on_seed_and_number_only() -> None:
    assert draw_scene(3, 7, 16000) == draw_scene(3, 7, 16000)
    assert draw_scene(3, 7, 16000) != draw_scene(4, 7, 16000)
    assert draw_scene(3, 7, 48000) == replace(draw_scene(3, 7, 16000), rate_hz=48000)


def test_the_papers_split_sizes() -> None:
    counts = [clip_split(n) for n in range(1, 1872)]
    assert [counts.count(s) for s in ("train", "val", "test")] == [1497, 187, 187]


@needs_material
def test_no_source_material_in_two_splits() -> None:
    """Presets, voices and melody seeds of 600 scenes, and the recordings that a split may use at all."""
    from tas_core.datasets.tasbench.scenes import _categories, files_for

    sources: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    seeds: dict[str, set[int]] = {"train": set(), "val": set(), "test": set()}
    for number in range(1, 601):
        scene = draw_scene(0, number, 16000)
        sources[scene.split] |= {o.source for o in scene.objects}
        seeds[scene.split] |= {o.seed for o in scene.objects}
    files: dict[str, set[Path]] = {s: set() for s in sources}
    for category in _categories().values():
        if category.kind == "recording":
            for split in files:
                files[split] |= set(files_for(category, split))  # type: ignore[arg-type]
                assert files_for(category, split), f"{category.name} has no recordings for {split}"  # type: ignore[arg-type]
    for groups in (sources, seeds, files):
        assert all(groups.values())
        assert not groups["train"] & groups["val"]
        assert not groups["train"] & groups["test"]
        assert not groups["val"] & groups["test"]
    # Contents too: no two of the recordings are copies of each other under two names.
    digests = [hashlib.sha256(p.read_bytes()).hexdigest() for group in files.values() for p in group]
    assert len(digests) == len(set(digests))


def test_seeds_of_objects_are_unique() -> None:
    seeds = [o.seed for s in (0, 1) for n in range(1, 400) for o in draw_scene(s, n, 16000).objects]
    assert len(seeds) == len(set(seeds))


def test_shares_of_what_is_drawn() -> None:
    """3000 scenes: the shares of 1 to 4 objects, and a third each of left, center and right, within 3 %.

    Binomial standard deviation is at most 0.9 %. Objects of a clip are 15 degrees apart, which takes a little from
    the center, the narrowest of the three.
    """
    scenes = [draw_scene(1, n, 16000) for n in range(1, 3001)]
    counts = np.bincount([len(s.objects) for s in scenes], minlength=5)[1:] / len(scenes)
    np.testing.assert_allclose(counts, [0.3, 0.45, 0.17, 0.08], atol=0.03)
    first = np.array([o.path[0][1] for s in scenes for o in s.objects])
    assert np.mean(first > 15) == pytest.approx(1 / 3, abs=0.04)
    assert np.mean(first < -15) == pytest.approx(1 / 3, abs=0.04)
    assert np.abs(first).max() <= 90
    assert len({o.category for s in scenes for o in s.objects}) >= 20
    moving = np.mean([o.is_moving for s in scenes for o in s.objects])
    assert moving == pytest.approx(0.15, abs=0.03)
    for scene in scenes[:300]:
        assert len({o.phrase for o in scene.objects}) == len(scene.objects)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip": "../../000002"}, "clip is '../../000002', expected the name of a clip"),
        ({"clip": ".."}, "clip is '..'"),
        ({"length_s": 1e300}, "length_s is 1e"),
        ({"length_s": -1}, "length_s is -1"),
        ({"seed": -1}, "seed -1"),
        ({"objects": {"file": "/etc/passwd"}}, "file is '/etc/passwd', expected one in the folder of the clip"),
        ({"objects": {"file": "..\\x.wav"}}, "expected one in the folder of the clip"),
        ({"objects": {"path": []}}, "expected places in the order of time"),
        ({"objects": {"path": [[1, 0], [0, 0]]}}, "expected places in the order of time"),
        ({"objects": {"path": [[0, 1e300]]}}, "expected places in the order of time"),
        ({"objects": {"active": [[-5, 3]]}}, "is active in frames that are none"),
    ],
)
def test_descriptions_that_nobody_can_have_made_are_refused(change: dict[str, Any], message: str) -> None:
    good = json.loads(json.dumps(draw_scene(3, 1, 16000).to_json()))
    objects = [{**item, **change.get("objects", {})} for item in good["objects"]]
    with pytest.raises(InputError, match=rf"^x: .*{re.escape(message)}"):
        Scene.from_json({**good, **change, "objects": objects}, "x")


def test_scene_json_round_trip() -> None:
    scene = draw_scene(0, 1, 16000)
    scene = replace(scene, objects=tuple(replace(o, active=((0, 5), (7, 9))) for o in scene.objects))
    assert Scene.from_json(json.loads(json.dumps(scene.to_json())), "x") == scene
    with pytest.raises(InputError, match="x: unknown key"):
        Scene.from_json({**scene.to_json(), "colour": "red"}, "x")

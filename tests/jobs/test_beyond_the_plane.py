"""Places all around where only the plane is known: refused in one line, never left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tas_core.errors import InputError, TimelineError
from tas_core.inference.baselines import panned, through_head
from tas_core.inference.given import GivenSpatializer
from tas_core.jobs.request import read_prompts
from tas_core.timeline.segments import Timeline

WHY = r'"dog" at 180 degrees left: only the frontal plane is known here, expected places in front'
BEHIND = "dog behind me"
TIMELINE = Timeline.from_prompt(BEHIND)
DOORS: dict[str, Callable[[], object]] = {
    "given sounds on the plane": lambda: GivenSpatializer(16_000, 16_000, TIMELINE, {"dog": 1}),
    "the whole through a head": lambda: through_head(np.zeros(16_000), 16_000, TIMELINE),
    "panning": lambda: panned(np.zeros(16_000), 16_000, TIMELINE),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_refuses_it_in_one_line(door: str) -> None:
    with pytest.raises(InputError, match=WHY) as caught:
        DOORS[door]()
    assert "\n" not in str(caught.value)


def test_files_name_where_it_stands(tmp_path: Path) -> None:
    scene = tmp_path / "scene.yaml"
    scene.write_text(f'prompts:\n  - {{start: 0, end: 1, text: dog left}}\n  - {{start: 1, text: "{BEHIND}"}}\n')
    with pytest.raises(TimelineError, match=rf"scene.yaml:3:5: {WHY}"):
        read_prompts(scene, None).require_plane()

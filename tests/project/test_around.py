"""The example that goes all around: it says every kind of place, and its kept measurement is of what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tas_core.acoustics.hrtf import direction_vectors
from tas_core.timeline.files import load_timeline
from tas_core.timeline.segments import Timeline

ROOT = Path(__file__).resolve().parents[2]
SCENE = ROOT / "examples" / "scenes" / "around.yaml"
KINDS = (
    "somewhere behind me", "all around", "circle around the listener clockwise every 4 seconds, starting in front",
    "passes overhead", "to the left of the piano", "far away on the left, in a church",
    "comes? closer|coming closer", "flies away", "back left", r"at \d o'clock", "between the violin and the piano",
    "3 m away", "next to the", "opposite the", "at ear level", "feet away", "above the", "degrees down",
    "degrees left 30 degrees up", "close to me", "distant", "behind the drums", "narrow", "nearer than",
    "everywhere", "overhead,", "farther than", "at the same place as", "wide", "ambient", "below", "outdoors",
    "in a small room", "in a car", "in a church",
)  # fmt: skip


@pytest.fixture(scope="module")
def scene() -> Timeline:
    return load_timeline(SCENE)


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_every_kind_of_place(scene: Timeline, kind: str) -> None:
    assert any(re.search(kind, segment.text) for segment in scene.segments)


def test_it_goes_everywhere_with_sounds_that_are_there(scene: Timeline) -> None:
    paths = [clause.path for segment in scene.segments for clause in segment.clauses]
    assert {source.name for source in scene.sources} == set(scene.objects)
    assert all((SCENE.parent / source.file).is_file() for source in scene.sources)
    assert {path.start.elevation_deg for path in paths} >= {-90, -20, 0, 30, 90}
    assert {path.start.distance_m for path in paths} >= {0.5, 0.7, 1.4, 3.0, 10 * 0.3048, 10.0, 20.0}
    assert {segment.room.name for segment in scene.segments if segment.room} == {
        "outdoors", "small room", "car", "church"
    }  # fmt: skip
    assert {path.start.spread for path in paths} == {0, 0.5, 1}


def test_what_was_measured_is_what_it_says(scene: Timeline) -> None:
    """Kept places of what stays are those of the words, and nearly all were heard there."""
    kept = json.loads((ROOT / "benchmarks" / "results" / "around.json").read_text("utf-8"))
    said = {(segment.text, clause.object): clause.path for segment in scene.segments for clause in segment.clauses}
    assert {(row["text"], row["object"]) for row in kept["rows"]} == set(said)
    off_deg = []
    for row in kept["rows"]:
        path, asked, heard = said[row["text"], row["object"]], row["asked"], row["heard"]
        assert row["moving"] == path.is_moving
        if path.is_moving:
            continue
        point = path.start
        assert (asked["elevation_deg"], asked["distance_m"]) == pytest.approx((point.elevation_deg, point.distance_m))
        a, b = (direction_vectors(np.array(p["azimuth_deg"]), np.array(p["elevation_deg"])) for p in (asked, heard))
        assert a == pytest.approx(
            direction_vectors(np.array(point.azimuth_deg), np.array(point.elevation_deg)), abs=1e-6
        )
        if not point.spread and not re.search("[,;] in a ", row["text"]):
            off_deg.append(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))
            assert heard["distance_m"] == pytest.approx(point.distance_m, rel=0.12)
    assert len(off_deg) > 20
    assert sum(off < 5 for off in off_deg) >= len(off_deg) - 3
    assert max(off_deg) < 25

"""The report of places all around: where they are is on the circle and in the table, not only how far to the side."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tas_core.reporting.report.page import ReportedOutput, write_report
from tas_core.timeline.segments import Segment, Timeline

RATE = 16_000
AROUND = Timeline(
    (
        Segment.from_prompt(0, 1, "dog behind me 2.8 m away, rain all around"),
        Segment.from_prompt(
            1, 2, "a bee circles around clockwise every 4 seconds, the dog 90 degrees left 30 degrees up"
        ),
    )
)


@pytest.fixture
def about(tmp_path: Path) -> ReportedOutput:
    x = 0.1 * np.random.default_rng(4).standard_normal(2 * RATE)
    soundfile.write(tmp_path / "in.wav", x, RATE)
    soundfile.write(tmp_path / "out.wav", np.stack([x, x], axis=1), RATE)
    return ReportedOutput(tmp_path / "out.wav", tmp_path / "in.wav")


def data_of(page: Path) -> dict[str, Any]:
    (found,) = re.findall(r'<script id="report" type="application/json">(.*?)</script>', page.read_text("utf-8"), re.S)
    return json.loads(found)


def test_the_circle_has_whole_places(about: ReportedOutput, tmp_path: Path) -> None:
    around = data_of(write_report(tmp_path / "page.html", about, AROUND, {}))["around"]
    assert around["step_s"] == 0.1
    tracks = {track["object"]: track for track in around["objects"]}
    assert tracks["dog"]["azimuth_deg"][5] == 180
    assert tracks["dog"]["distance_m"][5] == 2.8
    assert tracks["dog"]["elevation_deg"][15] == 30
    assert tracks["rain"]["spread"][5] == 1
    assert tracks["rain"]["azimuth_deg"][15] is None
    assert tracks["bee"]["azimuth_deg"][5] is None
    assert tracks["bee"]["azimuth_deg"][15] == pytest.approx(-45, abs=0.1)


def test_the_table_says_where_it_was_asked_to_be(about: ReportedOutput, tmp_path: Path) -> None:
    text = write_report(tmp_path / "page.html", about, AROUND, {}).read_text("utf-8")
    assert "of 180 degrees left 2.8 m away" in text
    assert "of 90 degrees left 30 degrees up" in text


def test_a_passage_has_its_own_times(about: ReportedOutput, tmp_path: Path) -> None:
    x, _ = soundfile.read(about.output)
    soundfile.write(tmp_path / "part.wav", x[RATE:], RATE)
    part = ReportedOutput(tmp_path / "part.wav", tmp_path / "in.wav", start_s=1.0)
    tracks = {t["object"]: t for t in data_of(write_report(tmp_path / "p.html", part, AROUND, {}))["around"]["objects"]}
    assert set(tracks) == {"bee", "dog"}
    assert tracks["bee"]["azimuth_deg"][0] == 0
    assert len(tracks["dog"]["azimuth_deg"]) == 10


def test_the_plane_is_as_before(about: ReportedOutput, tmp_path: Path) -> None:
    page = write_report(tmp_path / "page.html", about, Timeline.from_prompt("dog left"), {})
    assert "around" not in data_of(page)
    assert "of 55 degrees" not in page.read_text("utf-8")

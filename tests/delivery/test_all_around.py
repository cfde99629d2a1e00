"""Scenes all around in every format that has places: what other readers find is where the timeline says it is.

Each reader takes its format apart by itself: rows of CSV, block formats of ADM, messages of OSC, envelopes of REAPER,
and of ambisonics the sound field's direction, sum w (x, y, z) / sum w^2.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.acoustics.hrtf import direction_vectors
from tas_core.conventions import REFERENCE_M
from tas_core.delivery.scene import Scene, SceneBlock
from tas_core.timeline.segments import Segment, Timeline, Track
from tests.delivery.conftest import RATE_HZ, Deliver, scene_of
from tests.delivery.test_files import lines_of, messages_of, project_of
from tests.support.wave_files import read_adm

SECONDS = 4.0
SCENE = Timeline(
    (
        Segment.from_prompt(
            0, 1, "bee circles around clockwise every 0.8 seconds, 20 degrees up, 2 m away; car back left"
        ),
        Segment.from_prompt(
            1, 2, "bee passes overhead from front to back; car flies away from 1 m to 30 m on the right"
        ),
        Segment.from_prompt(2, 3, "bee moves from back left to 60 degrees right 40 degrees down; car 20 degrees down"),
        Segment.from_prompt(3, 4, "bee overhead; car moves from left via behind me to right, 5 m away"),
    )
)
NAMES = ("bee", "car")
CLEAR_S = 0.03
"""How near to a border of prompts nothing is asked: sounds fade there."""


def moments() -> np.ndarray:
    """Times at which places are compared."""
    times_s = np.random.default_rng(0).uniform(0, SECONDS, 300)
    return np.sort(times_s[np.abs(times_s - np.round(times_s)) > CLEAR_S])


def asked(times_s: np.ndarray) -> dict[str, Track]:
    return {track.object: track for track in SCENE.tracks(times_s, SECONDS)}


def off_deg(track: Track, azimuth_deg: np.ndarray, elevation_deg: np.ndarray) -> np.ndarray:
    """Angles between a track and other directions (time), degrees."""
    a, b = direction_vectors(track.azimuth_deg, track.elevation_deg), direction_vectors(azimuth_deg, elevation_deg)
    return np.degrees(2 * np.arcsin(np.linalg.norm(a - b, axis=1) / 2))


@pytest.fixture(scope="module")
def scene() -> Scene:
    return replace(scene_of(SCENE, RATE_HZ, SECONDS), loud_m=REFERENCE_M)


def sounds(scene: Scene, *loud: int) -> SceneBlock:
    """Noise for some of the objects, and silence."""
    stems = np.zeros((len(scene.objects), scene.num_frames))
    for number in loud:
        stems[number] = np.random.default_rng(number).uniform(-0.01, 0.01, scene.num_frames)
    return SceneBlock(0, stems, np.zeros((scene.rest_channels, scene.num_frames)))


def test_tables_of_objects(deliver: Deliver, scene: Scene) -> None:
    folder = Path(deliver("objects", scene, sounds(scene)).path)
    times_s = moments()
    for number, name in enumerate(NAMES, start=1):
        with open(folder / f"{number}-{name}.csv", newline="") as file:
            rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
        track = asked(times_s)[name]
        found = {key: lines_of(rows, key, times_s) for key in ("azimuth_deg", "elevation_deg", "distance_m")}
        assert off_deg(track, found["azimuth_deg"], found["elevation_deg"]).max() < 0.5
        np.testing.assert_allclose(found["distance_m"], track.distance_m, rtol=0.01)


def test_blocks_of_adm(deliver: Deliver, scene: Scene) -> None:
    """At the end of each block the object is where it is asked for, and on the way not far from it."""
    objects, _ = read_adm(deliver("adm", scene, sounds(scene)).path)
    for item in objects:
        if item.name not in NAMES:
            continue
        ends_s = np.array([block.start_s + block.duration_s for block in item.blocks])
        inner = np.abs(ends_s - np.round(ends_s)) > CLEAR_S
        values = np.array([(b.azimuth_deg, b.elevation_deg, b.distance, b.gain) for b in item.blocks])[inner]
        track = asked(ends_s[inner])[item.name]
        assert inner.sum() > 60
        assert (np.abs(values[:, 0]) <= 180).all()
        assert off_deg(track, values[:, 0], values[:, 1]).max() < 0.5
        np.testing.assert_allclose(values[:, 2] * scene.nearest_m, track.distance_m, rtol=0.01)
        assert (values[:, 2] >= 0.999).all()
        np.testing.assert_allclose(values[:, 3], REFERENCE_M / track.distance_m, rtol=0.01)
        steps = direction_vectors(values[:, 0], values[:, 1])
        near = np.diff(np.floor(ends_s[inner])) == 0
        assert np.degrees(np.linalg.norm(np.diff(steps, axis=0), axis=1))[near].max() < 6


def test_messages_of_osc(deliver: Deliver, scene: Scene) -> None:
    found = messages_of(Path(deliver("osc", scene, sounds(scene)).path))
    times_s = moments()
    for number, name in enumerate(NAMES, start=1):
        said = [(m[0], *m[3]) for m in found if m[1] == f"/adm/obj/{number}/aed"]
        values = np.array(said)[np.searchsorted([each[0] for each in said], times_s, side="right") - 1]
        track = asked(times_s)[name]
        # One each 20 ms, in which the bee flies 9 degrees of its circle.
        assert off_deg(track, values[:, 1], values[:, 2]).max() < 10
        assert np.median(off_deg(track, values[:, 1], values[:, 2])) < 3
        np.testing.assert_allclose(values[:, 3] * scene.reference_m, track.distance_m, rtol=0.08)


def test_envelopes_of_reaper(deliver: Deliver, scene: Scene) -> None:
    """As far to the side as each place is, and as loud as its distance makes it."""
    tracks = project_of(Path(deliver("rpp", scene, sounds(scene)).path))
    for name, item in zip(NAMES, tracks, strict=False):
        for envelope in ("PANENV2", "VOLENV2"):
            points = np.array(item[envelope])
            points = points[np.abs(points[:, 0] - np.round(points[:, 0])) > CLEAR_S]
            track = asked(points[:, 0])[name]
            lateral = direction_vectors(track.azimuth_deg, track.elevation_deg)[:, 1]
            wanted = lateral if envelope == "PANENV2" else REFERENCE_M / track.distance_m
            np.testing.assert_allclose(points[:, 1], wanted, atol=0.01)


@pytest.mark.parametrize("number", [0, 1])
def test_the_field_of_ambisonics_comes_from_there(deliver: Deliver, scene: Scene, number: int) -> None:
    field, rate_hz = soundfile.read(deliver("ambix1", scene, sounds(scene, number)).path)
    width = round(0.004 * rate_hz)
    pieces = field[: len(field) // width * width].reshape(-1, width, 4)
    times_s = (np.arange(len(pieces)) + 0.5) * width / rate_hz
    clear = np.abs(times_s - np.round(times_s)) > CLEAR_S
    w, y, z, x = np.moveaxis(pieces[clear], 2, 0)
    vectors = np.stack([(w * each).sum(axis=1) / np.square(w).sum(axis=1) for each in (x, y, z)], axis=1)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=0.02)
    track = asked(times_s[clear])[NAMES[number]]
    there = direction_vectors(track.azimuth_deg, track.elevation_deg)
    assert np.degrees(np.linalg.norm(vectors - there, axis=1)).max() < 4
    level = np.sqrt(np.square(w).mean(axis=1)) / (0.01 / np.sqrt(3))
    np.testing.assert_allclose(level, REFERENCE_M / track.distance_m, rtol=0.25)

"""Scores of clips all around: an ideal observer finds what is there, and systems stand where they must."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tas_core.acoustics.hrtf import direction_vectors, load_kemar
from tas_core.acoustics.sphere.places import PlaceCurve
from tas_core.acoustics.sphere.renderer import SphereRenderer
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.evaluation.baselines import Baseline
from tas_core.evaluation.clips import read_clip
from tas_core.evaluation.commands import places
from tas_core.evaluation.metrics.sphere import (
    great_circle_deg,
    heard_sounds,
    is_confused,
    sphere_observer,
)
from tas_core.evaluation.results import Evaluation
from tas_core.evaluation.runner import evaluate
from tas_core.evaluation.scoring import PlaceSpan, place_spans, sphere_measures
from tas_core.evaluation.systems import SystemSpec
from tas_core.timeline.sphere import SpherePath, SpherePoint
from tests.evaluation.conftest import ONE, mean
from tests.support.around import ABOVE, BEHIND, LEFT, NEAR, RATE_HZ, placed_scene, write_placed

CIRCLE = SpherePath(SpherePoint(30.0), SpherePoint(30.0), None, 0.0, -4.0)


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> TasBench:
    scenes = [
        placed_scene(1, [BEHIND, ABOVE]),
        placed_scene(2, [NEAR, SpherePoint(120.0, -30.0, 4.0)], "words"),
        placed_scene(3, [CIRCLE], "words"),
        placed_scene(4, [SpherePoint(0.0, 0.0, 1.4, 1.0), LEFT], "coarse", "church"),
    ]
    return write_placed(tmp_path_factory.mktemp("around") / "data", scenes)


@pytest.fixture(scope="module")
def judged(around: TasBench, tiny_model: Path) -> Evaluation:
    rows: list[str | SystemSpec] = ["sources", "truth", "sources-plane", "mono"]
    rows.append(SystemSpec("tiny", str(tiny_model)))
    return evaluate(around, rows, replace(ONE, control=True, control_clips=1))


# ------------------------------------------------------------------ the observer


def test_the_observer_finds_two_sounds_that_play_at_once() -> None:
    """Rendered at directions of KEMAR that it is not told: both to the degree, and both levels to 2 dB."""
    rng = np.random.default_rng(1)
    sounds = 0.1 * rng.standard_normal((2, RATE_HZ))
    places = [PlaceCurve(180.0, 0.0, 2.8), PlaceCurve(-60.0, 30.0)]
    ears = SphereRenderer(load_kemar(), RATE_HZ).render(sounds, places)[:, :RATE_HZ]
    spans = [(0, 0.0, 1.0), (1, 0.0, 1.0)]
    behind, above = heard_sounds(sphere_observer(load_kemar(), RATE_HZ), ears, sounds, RATE_HZ, spans)
    assert behind is not None
    assert above is not None
    assert abs(behind.azimuth_deg) > 170
    assert (above.azimuth_deg, above.elevation_deg) == (pytest.approx(-60, abs=1), pytest.approx(30, abs=1))
    assert behind.louder_db == pytest.approx(-6, abs=2)
    assert above.louder_db == pytest.approx(0, abs=2)
    silent = np.stack([sounds[0], np.zeros(RATE_HZ)])
    assert heard_sounds(sphere_observer(load_kemar(), RATE_HZ), ears, silent, RATE_HZ, spans)[1] is None
    assert heard_sounds(sphere_observer(load_kemar(), RATE_HZ), ears, sounds, RATE_HZ, [(0, 2.0, 3.0)]) == [None]


def test_angles_and_sides() -> None:
    vector = lambda azimuth, elevation=0.0: direction_vectors(np.array(azimuth), np.array(elevation))  # noqa: E731
    assert great_circle_deg(vector(170), vector(-170)) == pytest.approx(20)
    assert great_circle_deg(vector(10, 90), vector(200, 90)) == pytest.approx(0, abs=1e-6)
    assert is_confused(vector(20), vector(160), 0) is True
    assert is_confused(vector(20), vector(-20), 0) is False
    assert is_confused(vector(80), vector(100), 0) is None
    assert is_confused(vector(40), vector(-40), 1) is True
    assert is_confused(vector(0, 30), vector(0, -30), 2) is True
    assert is_confused(vector(0, 10), vector(0, -30), 2) is None


def test_measures_are_means_over_time_and_then_over_objects() -> None:
    span = PlaceSpan(0, 0.0, 1.0, 30.0, 0.0, 1.4, 30.0, 0.0, 2.0, 1.0)
    wrong = replace(span, start_s=1.0, end_s=4.0, heard_azimuth_deg=150.0)
    other = replace(span, object=1, heard_azimuth_deg=None, heard_elevation_deg=None, level_error_db=6.0)
    found = sphere_measures([span, wrong, other])
    assert found["great_circle_deg"] == pytest.approx(0.75 * 120)
    assert found["front_back_confused"] == pytest.approx(0.75)
    assert found["left_right_confused"] == 0
    assert "up_down_confused" not in found
    assert found["level_error_db"] == pytest.approx(4)
    assert sphere_measures([]) == {}


# ------------------------------------------------------------------ systems


def test_the_truth_is_the_ceiling_and_true_sounds_through_the_renderer_come_near(judged: Evaluation) -> None:
    for row, most_deg, most_db in (("truth", 8, 1e-6), ("sources", 8, 2.5)):
        assert mean(judged, row, "great_circle_deg") < most_deg
        assert mean(judged, row, "level_error_db") < most_db
        for name in ("front_back_confused", "up_down_confused", "left_right_confused"):
            assert mean(judged, row, name) == 0
    assert mean(judged, "sources", "spectral_error_db") < 1.5
    assert mean(judged, "truth", "spectral_error_db") == pytest.approx(0, abs=1e-9)


def test_the_plane_has_nothing_behind_and_above(judged: Evaluation) -> None:
    """What it renders of a place straight behind is the sound itself in both ears."""
    plane = judged.row("sources-plane").values
    assert plane["000010"]["spectral_error_db"] > 3 * judged.row("sources").values["000010"]["spectral_error_db"]
    assert mean(judged, "sources-plane", "great_circle_deg") > mean(judged, "sources", "great_circle_deg") + 20
    assert mean(judged, "sources-plane", "spectral_error_db") > 2 * mean(judged, "sources", "spectral_error_db")
    assert mean(judged, "mono", "level_error_db") > mean(judged, "sources", "level_error_db")


def test_a_model_goes_all_around_and_what_no_plane_promises_is_not_measured(judged: Evaluation) -> None:
    tiny = judged.row("tiny")
    assert tiny.excluded == {}
    assert tiny.measures["great_circle_deg"].count == 4
    for row in judged.rows:
        assert not {"mono_sum_error_db", "silence_floor_db", "azimuth_error_deg", "swap_accuracy"} & set(row.measures)
    assert mean(judged, "tiny", "mirror_db") < -60
    assert mean(judged, "tiny", "center_spl_db") == pytest.approx(0, abs=1e-6)


def test_places_are_in_the_json_and_rooms_in_groups(judged: Evaluation) -> None:
    found = judged.as_dict()["rows"][0]
    first, second = found["clips"]["000010"]["places"]
    assert (first["azimuth_deg"], first["elevation_deg"]) == (pytest.approx(180, abs=0.1), pytest.approx(0, abs=0.1))
    assert abs(first["heard_azimuth_deg"]) > 170
    assert second["elevation_deg"] == pytest.approx(80, abs=0.1)
    wide, left = found["clips"]["000040"]["places"]
    assert wide["heard_azimuth_deg"] is None
    assert wide["level_error_db"] is not None
    assert left["heard_azimuth_deg"] == pytest.approx(90, abs=20)
    assert {"dry", "reverberant", "1 object", "2 objects"} <= set(found["groups"])
    assert "great_circle_deg" in found["groups"]["dry"]


def test_words_cost_what_they_leave_out(around: TasBench) -> None:
    """In degrees the requested places are the true ones; in words they are others."""
    for name, least, most in (("000010", 0.0, 1e-3), ("000020", 1e-2, 10.0)):
        clip = read_clip(around, name)
        asked, true = (Baseline(row)(clip, clip.timeline, 0)[0] for row in ("sources-asked", "sources"))
        assert least <= np.abs(asked - true).max() / np.abs(true).max() <= most


@pytest.mark.parametrize("name", ["pan", "hrtf", "oracle-mask", "oracle-direct"])
def test_what_knows_the_plane_only_takes_how_far_to_the_side(around: TasBench, name: str) -> None:
    """And keeps (L + R) / 2."""
    clip = read_clip(around, "000020")
    ears, _ = Baseline(name)(clip, clip.timeline, 0)
    np.testing.assert_allclose(ears.mean(axis=0), clip.mono, atol=1e-6)
    assert np.abs(ears[0] - ears[1]).max() > 0.001


def test_a_circle_is_followed(around: TasBench) -> None:
    clip = read_clip(around, "000030")
    spans = place_spans(clip.truth, clip)
    assert len(spans) == 7
    heard = [span for span in spans if span.heard_azimuth_deg is not None]
    vector = lambda azimuth, elevation: direction_vectors(np.array(azimuth), np.array(elevation))  # noqa: E731
    off = [
        great_circle_deg(vector(s.azimuth_deg, s.elevation_deg), vector(s.heard_azimuth_deg, s.heard_elevation_deg))
        for s in heard
    ]
    assert np.median(off) < 15


def test_other_names_and_wordings_keep_the_places(around: TasBench) -> None:
    own, degrees = read_clip(around, "000020"), read_clip(around, "000020", "degrees")
    assert own.timeline is not None
    assert degrees.timeline is not None
    assert "degrees" not in own.timeline.segments[0].text
    said = {clause.object: clause.path.start for clause in degrees.timeline.segments[0].clauses}
    assert said[degrees.phrases[0]] == NEAR
    decoy = read_clip(around, "000040").decoy_timeline()
    assert decoy is not None
    assert decoy[0].segments[0].room is not None
    assert own.swapped_timeline() is None


def test_programs_are_given_whole_places_and_the_room(around: TasBench) -> None:
    clip = read_clip(around, "000040")
    assert clip.timeline is not None
    (segment,) = places(clip, clip.timeline)["segments"]
    assert segment["room"]["name"] == "church"
    assert [clause.get("spread_start", 0.0) for clause in segment["clauses"]].count(1.0) == 1


def test_the_input_is_the_sum_of_the_dry_sounds(around: TasBench) -> None:
    clip = read_clip(around, "000010")
    assert clip.dry is not None
    np.testing.assert_array_equal(clip.mono, clip.dry.sum(axis=0))
    assert np.abs(clip.mono - clip.truth.mean(axis=0)).max() > 0.01

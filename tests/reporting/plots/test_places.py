"""Pictures of places all around: from above and over time, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tas_core.errors import InputError
from tas_core.reporting.plots.curves import AzimuthCurve, PlacesCurve, plot_data
from tas_core.reporting.plots.figures import draw
from tas_core.reporting.plots.page import Page
from tas_core.timeline.segments import Segment, Timeline
from tests.conftest import Finished
from tests.reporting.plots.conftest import duet, svg_texts

AROUND = Timeline(
    (
        Segment.from_prompt(0, 1, "dog behind me, rain all around; bee circles around clockwise every 2 seconds"),
        Segment.from_prompt(1, 2, "a plane passes overhead from front to back; the dog comes closer from the right"),
    )
)


def curve() -> PlacesCurve:
    (found,) = plot_data("places", [duet("mix", AROUND)]).curves
    assert isinstance(found, PlacesCurve)
    return found


def test_the_numbers_are_the_places_that_were_asked_for() -> None:
    places = {place.object: place for place in curve().places}
    first, second = curve().time_s < 0.999, curve().time_s > 0.999
    np.testing.assert_allclose(places["dog"].azimuth_deg[first], 180)
    np.testing.assert_allclose(places["dog"].azimuth_deg[second], -55)
    assert places["dog"].distance_m[second][0] == pytest.approx(20, rel=0.05)
    assert places["dog"].distance_m[second][-1] == pytest.approx(1, rel=0.2)
    assert set(places["rain"].spread[first]) == {1.0}
    assert np.isnan(places["rain"].azimuth_deg[second]).all()
    # Clockwise from the front: a quarter of a second is an eighth of a turn to the right.
    assert np.interp(0.25, curve().time_s, places["bee"].azimuth_deg) == pytest.approx(-45, abs=1)
    assert np.nanmax(places["plane"].elevation_deg) == pytest.approx(90, abs=5)
    assert np.abs(places["bee"].azimuth_deg[first]).max() <= 180


def test_the_azimuth_that_is_drawn_beside_the_estimate_is_how_far_it_is_to_the_side() -> None:
    (found,) = plot_data("azimuth", [duet("mix", AROUND)]).curves
    assert isinstance(found, AzimuthCurve)
    asked = {track.object: track.azimuth_deg for track in found.requested}
    np.testing.assert_allclose(asked["dog"][found.time_s < 1], 0, atol=1e-6)
    assert np.nanmax(np.abs(asked["bee"])) <= 90
    assert b"angle to the side" in draw(plot_data("azimuth", [duet("mix", AROUND)]), "svg")


@pytest.mark.parametrize("kind", ["spl", "envelope", "spectrogram"])
def test_other_kinds_have_its_prompts_below(kind: str) -> None:
    data = plot_data(kind, [duet("mix", AROUND)])
    assert [segment.text for segment in data.lanes[0].segments] == [segment.text for segment in AROUND.segments]


def test_left_is_left_and_behind_is_below_from_above() -> None:
    timeline = Timeline.from_prompt("dog 90 degrees left, cow behind me, bee 45 degrees right 60 degrees up")
    figure = Page(plot_data("places", [duet("mix", timeline)]), "").figure()
    above, azimuth, elevation = figure.axes[:3]
    dots = [line.get_xydata()[0] for line in above.lines if line.get_marker() == "o"]
    (dog, cow, bee) = dots
    assert dog[0] < -0.5
    assert dog[1] == pytest.approx(0, abs=1e-6)
    assert cow[1] < -0.5
    assert bee[0] > 0
    assert np.hypot(*bee) == pytest.approx(0.5 * np.hypot(*dog), rel=0.01)  # half as far from the middle: 60 degrees up
    assert azimuth.get_shared_x_axes().joined(azimuth, elevation)
    assert not azimuth.get_shared_x_axes().joined(azimuth, above)


def test_the_picture_names_what_it_shows_and_is_repeatable() -> None:
    data = plot_data("places", [duet("mix", AROUND)])
    picture = draw(data, "svg", title="All around")
    assert draw(data, "svg", title="All around") == picture
    assert {"front", "behind", "left", "right", "dog", "rain", "bee", "plane", "20 m"} <= set(svg_texts(picture))


def test_a_line_is_not_drawn_from_one_side_of_behind_to_the_other() -> None:
    figure = Page(plot_data("places", [duet("mix", AROUND)]), "").figure()
    for line in figure.axes[1].lines:
        y = np.asarray(line.get_ydata(), float)
        assert np.nanmax(np.abs(np.diff(y)), initial=0.0) <= 90


def test_several_timelines_have_pictures_of_their_own() -> None:
    data = plot_data("places", [duet("a", AROUND), duet("b", Timeline.from_prompt("dog left"))])
    assert [curve.label for curve in data.curves] == ["a", "b"]
    assert len(Page(data, "").figure().axes) >= 7


def test_without_places_there_is_no_picture_of_them(
    tas: Callable[..., Finished], make_audio: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no prompt gives anything a place"):
        plot_data("places", [duet("mix")])
    sound = make_audio(seconds=0.5, channels=2)
    done = tas("plot", sound, "--kind", "places", "-o", tmp_path / "places.png")
    assert done.code == 2
    assert "no prompt gives anything a place, expected a timeline" in done.error_line
    assert not (tmp_path / "places.png").exists()
    scene = tmp_path / "scene.yaml"
    scene.write_text("prompts:\n  - {start: 0, text: dog behind me}\n")
    done = tas("plot", sound, "--kind", "places", "-t", scene, "-o", tmp_path / "p.svg", "--csv", tmp_path / "p.csv")
    assert done.code == 0, done.err
    header, first, *_ = (tmp_path / "p.csv").read_text().splitlines()
    assert header == "time_s,label,object,azimuth_deg,elevation_deg,distance_m,spread"
    assert first.split(",")[2:] == ["dog", "180", "0", "1.4", "0"]

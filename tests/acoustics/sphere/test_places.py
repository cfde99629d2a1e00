"""Places on the sphere: ranges, great circles, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from tas_core.acoustics.sphere.places import PlaceCurve
from tas_core.errors import InputError


def _angles_deg(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.degrees(np.arctan2(direction[:, 1], direction[:, 0])), np.degrees(np.arcsin(direction[:, 2]))


def test_axes_are_those_of_sofa() -> None:
    at = lambda a, e: PlaceCurve(a, e).at(np.array([0.0])).direction[0]  # noqa: E731
    np.testing.assert_allclose(at(0, 0), [1, 0, 0], atol=1e-15)
    np.testing.assert_allclose(at(90, 0), [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(at(180, 0), [-1, 0, 0], atol=1e-15)
    np.testing.assert_allclose(at(37, 90), [0, 0, 1], atol=1e-15)
    np.testing.assert_allclose(at(0, -90), [0, 0, -1], atol=1e-15)


def test_one_number_holds_for_ever_and_before() -> None:
    place = PlaceCurve(30, 10, 2.5, 0.25).at(np.array([-1.0, 0.0, 0.3, 1e6]))
    assert (place.direction == place.direction[0]).all()
    np.testing.assert_array_equal(place.distance_m, 2.5)
    np.testing.assert_array_equal(place.spread, 0.25)


def test_between_frames_a_sound_goes_along_the_great_circle_at_an_even_pace() -> None:
    # From straight left, on the horizon, to 60 degrees up in front: a quarter of a circle.
    place = PlaceCurve(np.array([90.0, 0.0]), np.array([0.0, 60.0]), np.array([1.0, 3.0]), rate_hz=0.5)
    found = place.at(np.array([0.0, 0.5, 1.0, 1.5, 2.0, 5.0]))
    turned = np.degrees(np.arccos(np.clip(found.direction @ found.direction[0], -1, 1)))
    np.testing.assert_allclose(turned, [0, 22.5, 45, 67.5, 90, 90], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.direction, axis=1), 1)
    np.testing.assert_allclose(found.distance_m, [1, 1.5, 2, 2.5, 3, 3])
    # The plane of the way holds the left and the end, so what is in the way's front stays at tan 60.
    np.testing.assert_allclose(found.direction[1:5, 2] / found.direction[1:5, 0], np.tan(np.radians(60)))


def test_behind_the_head_the_short_way_is_taken_and_turns_may_be_counted_on() -> None:
    at = np.array([0.5])
    for azimuth_deg in ([175.0, -175.0], [175.0, 185.0], [535.0, 545.0]):
        found, _ = _angles_deg(PlaceCurve(np.array(azimuth_deg), rate_hz=1).at(at).direction)
        assert abs(found[0]) == pytest.approx(180, abs=1e-9)


def test_mirrored_curves_are_mirrored_to_the_bit() -> None:
    rng = np.random.default_rng(3)
    azimuth_deg, elevation_deg = np.cumsum(rng.uniform(-20, 20, 50)), rng.uniform(-89, 89, 50)
    times_s = rng.uniform(0, 0.5, 400)
    left = PlaceCurve(azimuth_deg, elevation_deg).at(times_s).direction
    right = PlaceCurve(-azimuth_deg, elevation_deg).at(times_s).direction
    np.testing.assert_array_equal(right, left * np.array([1.0, -1.0, 1.0]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"azimuth_deg": np.nan}, "azimuth_deg nan in frame 0, expected a finite number"),
        ({"elevation_deg": np.array([0, 91.0])}, r"91 in frame 1, expected -90 \(below\) to 90 \(above\)"),
        ({"elevation_deg": -90.5}, "elevation_deg -90.5 in frame 0"),
        ({"distance_m": 0.0}, "distance_m 0 in frame 0, expected 0.1 to 10000 m"),
        ({"distance_m": -3.0}, "distance_m -3 in frame 0, expected"),
        ({"distance_m": 0.05}, "distance_m 0.05 in frame 0 is inside the head or touches it, expected"),
        ({"distance_m": np.inf}, "distance_m inf in frame 0, expected"),
        ({"spread": 1.5}, r"spread 1.5 in frame 0, expected 0 \(a point\) to 1 \(all around\)"),
        ({"spread": -0.1}, "spread -0.1"),
        ({"azimuth_deg": np.zeros(0)}, "places: got azimuth_deg"),
        ({"azimuth_deg": np.zeros((2, 2))}, "places: got azimuth_deg"),
        ({"azimuth_deg": np.zeros(3), "spread": np.zeros(4)}, "expected as many frames of each"),
        ({"rate_hz": 0.0}, "0.0 frames per second"),
        ({"azimuth_deg": np.array([0.0, 90, 270])}, "frames 1 and 2 are opposite each other"),
    ],
)
def test_what_is_no_place_is_refused(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PlaceCurve(**{"azimuth_deg": 0.0, **values})

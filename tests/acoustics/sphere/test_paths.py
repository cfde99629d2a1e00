"""Ways on the sphere: where they are when, how they are refused. Left is positive in literal numbers here."""

from __future__ import annotations

import numpy as np
import pytest

from tas_core.acoustics.sphere.paths import Spot, along_great_circle, around, overhead, straight
from tas_core.acoustics.sphere.places import PlaceCurve
from tas_core.errors import InputError


def _at(curve: PlaceCurve, *times_s: float) -> list[tuple[float, float, float]]:
    """Azimuth, elevation and distance at times, rounded to a thousandth."""
    place = curve.at(np.array(times_s))
    x, y, z = place.direction.T
    azimuth_deg, elevation_deg = np.degrees(np.arctan2(y, x)), np.degrees(np.arcsin(np.clip(z, -1, 1)))
    rows = np.stack([azimuth_deg, elevation_deg, place.distance_m], axis=1).round(3)
    return [tuple(float(value) + 0.0 for value in row) for row in rows]


def test_circles_begin_where_they_are_told_and_go_round_as_a_clock_does() -> None:
    clock = around(Spot(0, 20, 2), 16, 8)
    assert _at(clock, 0, 1, 2, 6, 8, 10) == [
        (0, 20, 2),
        (-45, 20, 2),
        (-90, 20, 2),
        (90, 20, 2),
        (0, 20, 2),
        (-90, 20, 2),
    ]
    assert _at(around(Spot(30), 4, 4, clockwise=False), 0.5)[0] == (75, 0, 1.4)


def test_a_quarter_of_a_great_circle_goes_over_the_shoulder() -> None:
    way = along_great_circle(Spot(90, 0, 1), Spot(0, 60, 3), 2)
    assert _at(way, 0, 2, 9) == [(90, 0, 1), (0, 60, 3), (0, 60, 3)]
    turned = way.at(np.array([0, 0.5, 1.0, 1.5, 2.0])).direction
    np.testing.assert_allclose(
        np.degrees(np.arccos(np.clip(turned @ turned[0], -1, 1))), [0, 22.5, 45, 67.5, 90], atol=0.01
    )
    assert _at(way, 1)[0][2] == 2


def test_behind_the_head_it_is_the_short_way() -> None:
    assert _at(along_great_circle(Spot(170), Spot(-170), 1), 0.25)[0][0] == 175
    assert abs(_at(along_great_circle(Spot(170), Spot(-170), 1), 0.5)[0][0]) == 180


def test_from_front_to_back_needs_to_be_told_which_way() -> None:
    with pytest.raises(
        InputError, match="from azimuth 0, elevation 0 to 180, 0 degrees, which is opposite: expected a place"
    ):
        along_great_circle(Spot(0), Spot(180), 4)
    over = along_great_circle(Spot(0), Spot(180), 4, through=Spot(0, 90))
    assert [e for _, e, _ in _at(over, 0, 1, 2, 3, 4)] == [0, 45, 90, 45, 0]
    past = along_great_circle(Spot(0), Spot(180), 4, through=Spot(90))
    assert [a for a, _, _ in _at(past, 0, 1, 2, 3)] == [0, 45, 90, 135]


def test_a_helicopter_passes_overhead() -> None:
    way = overhead(0, 10, height_m=5, reach_m=40)
    far_m = float(np.hypot(5, 40).round(3))
    found = _at(way, 0, 5, 10)
    low_deg = float(np.degrees(np.arctan2(5, 40)).round(3))
    assert found[0] == (0, low_deg, far_m)
    assert found[1][1:] == (90, 5)
    assert abs(found[2][0]) == 180
    assert found[2][1:] == (low_deg, far_m)
    # At an even speed on the ground, not over the sphere: a quarter of the time, half of the way to above.
    assert _at(way, 2.5)[0][1:] == (round(float(np.degrees(np.arctan2(5, 20))), 3), round(float(np.hypot(5, 20)), 3))


def test_straight_ways_come_closer_fly_away_and_pass_by() -> None:
    assert _at(straight(Spot(45, 0, 20), Spot(45, 0, 1), 4), 0, 2, 4) == [(45, 0, 20), (45, 0, 10.5), (45, 0, 1)]
    passing = straight(Spot(45, 0, np.sqrt(8)), Spot(-45, 0, np.sqrt(8)), 2)
    assert _at(passing, 1) == [(0, 0, 2)]
    assert _at(straight(Spot(0, 0, 1), Spot(0, 0, 1), 2), 1) == [(0, 0, 1)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: straight(Spot(0, 0, 5), Spot(180, 0, 5), 1), "a straight way 0 m past the middle of the head"),
        (
            lambda: straight(Spot(80, 0, 0.2), Spot(-80, 0, 0.2), 1),
            "0.0347 m past the middle of the head, expected 0.1",
        ),
        (lambda: overhead(0, 5, 0.05, 10), "0.05 m past the middle"),
        (lambda: overhead(0, 5, 0, 10), "a height of 0 m, expected more than 0"),
        (lambda: overhead(0, 5, 3, np.inf), "a reach of inf m"),
        (lambda: straight(Spot(0, 0, 5), Spot(0, 0, 1), 0), "a way of 0 s, expected more than 0"),
        (lambda: around(Spot(0), np.nan, 8), "a way of nan s"),
        (lambda: around(Spot(0), 8, -1), "a turn of -1 s"),
        (lambda: around(Spot(0), 8, 0.02), "a turn in 0.02 s, expected more than 0.02 s"),
        (lambda: around(Spot(0, 95), 8, 4), "elevation_deg 95 in frame 0"),
        (lambda: along_great_circle(Spot(0, 0, 0), Spot(90), 1), "distance_m 0 in frame 0"),
        (lambda: along_great_circle(Spot(0), Spot(np.nan), 1), "azimuth_deg nan"),
        (lambda: straight(Spot(0), Spot(0, -91), 1), "elevation_deg -91"),
    ],
)
def test_ways_that_cannot_be_are_refused(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()

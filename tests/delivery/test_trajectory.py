from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tas_core.delivery.trajectory import Trajectory, sampled, trajectories, wrapped_deg
from tas_core.errors import InputError
from tas_core.timeline.segments import Segment, Timeline, Track
from tests.delivery.conftest import SECONDS, TIMELINE, still


def test_places_are_those_of_the_timeline_at_all_times() -> None:
    times_s = np.linspace(0, SECONDS, 4001)[:-1]
    for transition_s in (0.0, 0.15):
        tracks = TIMELINE.tracks(times_s, SECONDS, transition_s=transition_s)
        *objects, rest = trajectories(TIMELINE, SECONDS, (0.0, SECONDS), transition_s=transition_s)
        assert [place.object for place in objects] == [track.object for track in tracks] == ["cello", "piano"]
        for place, track in zip(objects, tracks, strict=True):
            at = place.at(times_s)
            np.testing.assert_allclose(at.azimuth_deg, track.azimuth_deg, atol=1e-9)
            np.testing.assert_array_equal(at.gain, 1.0)
            assert (at.elevation_deg == 0).all()
            assert (at.distance_m == 1).all()
        assert rest.object == "rest"
        assert not rest.at(times_s).azimuth_deg.any()


def test_a_jump_is_where_the_prompt_says_to_the_last_bit() -> None:
    piano = trajectories(TIMELINE, SECONDS, (0.0, SECONDS))[1]
    before, at = piano.at(np.array([math.nextafter(0.5, 0), 0.5])).azimuth_deg
    assert (before, at) == (0.0, -20.0)


def test_what_stays_is_two_points_however_many_prompts_say_it() -> None:
    same = Timeline(tuple(Segment.from_prompt(n, n + 1, "dog 30 degrees to the left") for n in range(50)))
    dog = trajectories(same, 50.0, (0.0, 50.0))[0]
    np.testing.assert_array_equal(dog.time_s, [0, 50])


def test_a_passage_counts_from_its_beginning() -> None:
    whole = trajectories(TIMELINE, SECONDS, (0.0, SECONDS))
    part = trajectories(TIMELINE, SECONDS, (0.3, 0.7))
    times_s = np.linspace(0, 0.4, 1000)[1:-1]
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_allclose(b.at(times_s).azimuth_deg, a.at(times_s + 0.3).azimuth_deg, atol=1e-6)
        assert (b.time_s[0], b.time_s[-1]) == (0.0, pytest.approx(0.4))


def test_what_a_passage_does_not_name_is_not_placed() -> None:
    cello, _, rest = trajectories(TIMELINE, SECONDS, (0.91, SECONDS))
    assert not cello.is_placed
    assert not rest.is_placed


def test_curves_are_followed() -> None:
    """Whatever a track may become, its points are near enough for straight lines between them."""

    def sample(times_s: np.ndarray) -> tuple[Track, ...]:
        return (replace(Track.nowhere("dog", 0 * times_s), azimuth_deg=80 * np.sin(3 * times_s)),)

    (dog,) = sampled(sample, [0.0, 2.0], (0.0, 2.0))
    times_s = np.linspace(0, 2, 999)
    np.testing.assert_allclose(dog.at(times_s).azimuth_deg, 80 * np.sin(3 * times_s), atol=80 * 9 * 0.02**2 / 8 * 1.1)


def test_gains_go_straight() -> None:
    fading = replace(still(), gain=np.array([1.0, 0.0]))
    np.testing.assert_allclose(fading.at(np.array([0.0, 0.25, 1.0])).gain, [1, 0.75, 0])


def test_levels_of_prompts_are_gains_of_objects_and_of_the_rest() -> None:
    words = (
        "cello 6 dB quieter on the left, remove the dog",
        "only the cello",
        "the cello fades out, dog on the right",
    )
    timeline = Timeline(tuple(Segment.from_prompt(n, n + 1, text) for n, text in enumerate(words)))
    times_s = np.linspace(0, 3, 3001)[:-1]
    for transition_s in (0.0, 0.3):
        tracks = timeline.tracks(times_s, 3.0, transition_s=transition_s)
        *objects, rest = trajectories(timeline, 3.0, (0.0, 3.0), transition_s=transition_s)
        wanted = [*(10 ** (track.gain_db / 20) for track in tracks)]
        wanted.append(10 ** (timeline.rest_gain_db(times_s, 3.0, transition_s=transition_s) / 20))
        for place, gain in zip((*objects, rest), wanted, strict=True):
            np.testing.assert_allclose(place.at(times_s).gain, gain, atol=1e-3)
        assert rest.at(np.array([1.5])).gain == 0


def test_points_have_both_sides_of_a_jump_and_steps_where_it_moves() -> None:
    cello = trajectories(TIMELINE, SECONDS, (0.0, SECONDS))[0]
    times_s, at = cello.points(0.1)
    np.testing.assert_allclose(times_s, [0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.5, 0.5, 0.9, 0.9, 1.0])
    np.testing.assert_allclose(at.azimuth_deg, [55, 27.5, 0, -27.5, -55, 0, 0, -80, -80, 0, 0], atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"azimuth_deg": np.array([0.0, np.nan])},
        {"elevation_deg": np.array([0.0, 91.0])},
        {"distance_m": np.array([0.0, 1.0])},
        {"gain": np.array([0.0, np.inf])},
        {"gain": np.array([1.0, -0.1])},
    ],
)
def test_a_place_that_is_none_is_an_error_that_says_which(wrong: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match=r"'rest' has no place at \d s .*expected an azimuth"):
        replace(still(), **wrong)


def test_no_points_and_times_that_fall_are_errors() -> None:
    none = np.zeros(0)
    with pytest.raises(InputError, match="'dog' has no place, expected one point or more"):
        Trajectory("dog", none, none, none, none, none, none)
    with pytest.raises(InputError, match="'rest': times of its places fall"):
        replace(still(), time_s=np.array([1.0, 0.0]))


@pytest.mark.parametrize(("given", "expected"), [(0, 0), (180, 180), (-180, -180), (190, -170), (-190, 170), (720, 0)])
def test_azimuths_that_have_gone_around(given: float, expected: float) -> None:
    assert wrapped_deg(given) == expected

"""Places that cannot be, by words alone and in files: refused in one line that says where and what was expected."""

from __future__ import annotations

import pytest

from tas_core.errors import PromptError, TimelineError
from tas_core.timeline.files import parse_timeline
from tas_core.timeline.prompts import parse_prompt

NO_PLACE = {
    "inside the head": {
        "a fly 5 cm away": "0.05 m is inside the head or touches it, expected 0.1 to 10000 m",
        "a fly 3 inches to the left": "0.0762 m is inside the head",
        "a fly 0 m away on the left": "0 m is inside the head",
        "a fly comes closer from 2 m to 1 cm": "0.01 m is inside the head",
    },
    "a negative distance": {
        "dog -3 m away": "a distance of -3 m, expected 0.1 to 10000 m",
        "dog minus three metres away on the left": "a distance of -3 m",
        "dog at a distance of -2 feet": "a distance of -0.6096 m",
        "dog flies from -3 m to 2 m": "a distance of -3 m",
    },
    "an elevation beyond 90": {
        "dog 95 degrees up": "an elevation is at most 90 degrees, straight up or down",
        "dog on the left at an elevation of -91 degrees": "an elevation is at most 90 degrees",
        "dog 30 degrees left 120 degrees down": "an elevation is at most 90 degrees",
        "bell 80 degrees up, violin above the bell": "110 degrees is beyond straight up or down",
    },
    "a contradiction": {
        "dog left and right": "a sound has one place at a time",
        "dog on the left on the right": "a second place for one object",
        "dog above and below": "a sound has one place at a time",
        "dog behind me in front of me": "a sound has one place at a time",
        "dog 3 m away and 5 m away": "a sound has one place at a time",
        "dog wide and narrow": "a sound has one place at a time",
        "the drums circle clockwise counterclockwise": "a circle has one sense",
        "dog left; dog behind me": "the same object twice",
    },
    "beside what is never named": {
        "violin left of the tuba": 'no sound of this prompt has the name "tuba"',
        "violin between the piano and the tuba, piano left": 'the name "tuba", .* expected one of "piano"',
        "violin nearer than the tuba, piano left": 'the name "tuba"',
        "violin at the same place as the tuba": "expected a sound with a place in the same prompt",
        "violin left of the drums, drums 3 dB quieter": '"drums" has no place, expected one',
    },
    "a cycle": {
        "violin left of the violin": 'places in a circle: those of "violin" depend on each other',
        "violin left of the piano, piano behind the violin": 'those of "violin" and "piano" depend on each other',
        "violin left of the bell, bell above the cello, cello opposite the violin": '"bell" and "cello" depend',
        "violin between the piano and the cello, piano next to the violin, cello left": "places in a circle",
    },
    "words of a place for a sound": {
        "dog on the left, me on the right": "the listener is no sound",
        "dog left, through 30 degrees right": "a word of a movement is left over",
    },
    "two rooms at once": {
        "dog left in a church, cat right in a car": "two rooms at once, .* expected one in a prompt",
        "in a church: dog left in a cathedral": "two rooms at once",
        "dog left, outdoors, in a small room": "two rooms at once",
    },
}
CASES = [(text, why) for cases in NO_PLACE.values() for text, why in cases.items()]


@pytest.mark.parametrize(("text", "why"), CASES, ids=[text for text, _ in CASES])
def test_words_that_are_no_place_are_refused_where_they_stand(text: str, why: str) -> None:
    with pytest.raises(PromptError, match=why) as caught:
        parse_prompt(text)
    said, _, carets, *_ = str(caught.value).split("\n")
    assert ": " in said
    assert set(carets.strip()) == {"^"}
    files = {
        "scene.yaml:3:": f'prompts:\n  - {{start: 0, end: 1, text: piano left}}\n  - {{start: 1, text: "{text}"}}\n',
        "scene.srt:6:": f"1\n00:00:00,000 --> 00:00:01,000\npiano left\n\n2\n00:00:01,000 --> 00:00:02,000\n{text}\n",
    }
    for where, content in files.items():
        with pytest.raises(TimelineError, match=why) as caught_in_file:
            parse_timeline(content, where.split(":")[0])
        assert str(caught_in_file.value).startswith(where.rsplit(":", 2)[0])


def test_rooms_of_a_scene_and_of_its_words_do_not_mix() -> None:
    for room in ("car", "{rt60: 1, size: [4, 3, 2]}"):
        with pytest.raises(TimelineError, match=r"s.yaml:1:.*the text puts it in church, and `room` in"):
            parse_timeline(f'prompts: [{{start: 0, text: "dog left, in a church", room: {room}}}]', "s.yaml")
    scene = parse_timeline('room: car\nprompts: [{start: 0, text: "dog left, in a church"}]')
    assert scene.segments[0].room is not None
    assert scene.segments[0].room.name == "church"  # the words of a part are nearer than the room of the scene


def test_farther_in_a_direction_of_its_own_is_at_ear_level() -> None:
    drums, piano, bell = parse_prompt(
        "drums 50 degrees left 30 degrees up, piano farther than the drums, behind me; bell farther than the drums"
    )
    assert (drums.path.start.elevation_deg, piano.path.start.elevation_deg) == (30, 0)
    assert (piano.path.start.azimuth_deg, piano.path.start.distance_m) == (180, 2.8)
    assert (bell.path.start.azimuth_deg, bell.path.start.elevation_deg) == (50, 30)

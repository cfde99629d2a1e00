"""Places that a hand changed, in the words of a prompt: what was meant is read, and few words are others."""

from __future__ import annotations

import pytest

from tas_core.conventions import REFERENCE_M
from tas_core.errors import InputError, PromptError
from tas_core.timeline.plain_words import path_in_words
from tas_core.timeline.prompts import Clause, mirror_prompt_text, parse_prompt, read_prompt
from tas_core.timeline.rewording import clause_in_words, reworded
from tas_core.timeline.sphere import SpherePath, SpherePoint


def at(*point: float) -> SpherePath:
    return SpherePath.fixed(SpherePoint(*point))


def way(start_deg: float, end_deg: float) -> SpherePath:
    return SpherePath(SpherePoint(start_deg), SpherePoint(end_deg))


def nearer(start_m: float, end_m: float) -> SpherePath:
    return SpherePath(SpherePoint(55, 0, start_m), SpherePoint(55, 0, end_m))


def circle(turn_s: float, *point: float) -> SpherePath:
    start = SpherePoint(*(point or (0.0,)))
    return SpherePath(start, start, turn_s=turn_s)


ROUND = "circles around clockwise every 8 seconds"
OVER = SpherePath(SpherePoint(55), SpherePoint(-20), SpherePoint(0, 90))
OVERHEAD = "dog passes overhead from front to back, cat right"
ROUND_THE_LEFT = SpherePath(SpherePoint(0), SpherePoint(180), SpherePoint(90))
WRITTEN = [
    ("cello on the left, soft piano on the right", "cello", at(35), "cello 35° left, soft piano on the right"),
    ("cello and piano on the left", "piano", at(-35), "cello on the left, piano 35° right"),
    ("the car moves from the left to the right", "car", at(20), "car 20° left"),
    ("the car moves from the left to the right", "car", way(55, -20), "the car moves from the left to 20° right"),
    ("cello on the left", "cello", way(0, -90), "cello moves from the center to hard right"),
    ("on the left a cello and a viola", "viola", at(0), "cello on the left, viola in the center"),
    ("LEFT: cello, piano\nRIGHT: drums", "drums", at(75), "LEFT: cello, piano\nfar left: drums"),
    (
        "from left to right: violin, viola, cello",
        "viola",
        at(12),
        "violin on the left, viola 12° left, cello on the right",
    ),
    (
        "cello on the left 3 dB quieter, piano right",
        "cello",
        at(120, 30, 3),
        "cello 120° left 30° up 3 m away 3 dB quieter, piano right",
    ),
    ("cello left; a dog to the right of the cello", "cello", at(0), "cello in the center, dog 30° left"),
    ("the cello starts on the left and moves to the right", "cello", at(-75), "cello far right"),
    ('"drum and bass" on the left, dog right', "drum and bass", at(5), '"drum and bass" 5° left, dog right'),
    ("Cello links, Klavier rechts", "cello", at(35), "cello 35° left, piano on the right"),
    ("piano 6 dB louder, cello on the left", "piano", at(-25), "piano slightly right at +6 dB, cello on the left"),
    ("cello left, in a church", "cello", at(10), "cello 10° left, in a church"),
    ("a bird circles clockwise around me every 4 seconds", "bird", at(-90), "a bird hard right"),
    ("cello left", "cello", at(37.5), "cello 37.5° left"),
    ("cello left", "cello", at(180), "cello behind me"),
    ("cello left", "cello", at(0, 45), "cello straight ahead, 45° up"),
    ("cello left", "cello", at(30, 0, 1.4, 0.5), "cello 30° left, wide"),
    ("cello left, piano right", "cello", at(55, 20), "cello on the left, 20° up, piano right"),
    ("cello left, piano right", "piano", at(-35, 0, 2), "cello left, piano 35° right, 2 m away"),
    ("cello left", "cello", at(0, 90), "cello above me"),
    ("cello left", "cello", at(0, 0, 1.4, 1), "cello all around"),
    ("a bird flies on the left", "bird flies", OVER, "a bird flies overhead from the left to 20° right"),
    ("dog left, cat right", "dog", SpherePath.gliding(SpherePoint(0), SpherePoint(180)), OVERHEAD),
    ("dog left", "dog", nearer(20, 1), "dog comes closer on the left"),
    ("dog left", "dog", nearer(3, 1), "dog comes closer from 3 m to 1 m on the left"),
    ("dog left", "dog", nearer(1.4, 40), "dog moves away on the left"),
    ("dog moves from the left to the right, cat left", "dog", circle(-8), f"dog {ROUND}, cat left"),
    (f"a dog {ROUND}, cat left", "dog", nearer(20, 1), "a dog comes closer on the left, cat left"),
    (f"a dog {ROUND}, cat left", "dog", way(55, -55), "a dog moves from the left to the right, cat left"),
    ("dog left", "dog", circle(-8), "dog circles around clockwise every 8 seconds"),
    (
        "dog left",
        "dog",
        circle(2.5, 125, 10),
        "dog circles around counterclockwise every 2.5 seconds, 10° up, starting behind me on the left",
    ),
    ("dog left", "dog", ROUND_THE_LEFT, "dog moves from the center via hard left to behind me"),
    ("cello left\u200b, piano right", "piano", at(-8), "cello left, piano 8° right"),
]


@pytest.mark.parametrize(("text", "name", "path", "expected"), WRITTEN)
def test_a_hand_writes_as_a_person_would(text: str, name: str, path: SpherePath, expected: str) -> None:
    written = reworded(text, name, path)
    before, after = read_prompt(text), read_prompt(written)
    assert {c.object: c for c in after.clauses if c.object != name} == {
        c.object: c for c in before.clauses if c.object != name
    }
    (moved,) = (clause for clause in after.clauses if clause.object == name)
    assert moved.path == (path if path.is_moving or not path.start.is_frontal else SpherePath.frontal(moved.azimuth))
    assert moved.path.start == path.start
    assert moved.path.end == path.end
    assert (after.rest, after.room) == (before.rest, before.room)
    assert written == expected


@pytest.mark.parametrize(("text", "name", "path"), [case[:3] for case in WRITTEN])
def test_a_mirrored_hand_writes_mirrored_words(text: str, name: str, path: SpherePath) -> None:
    mirrored = reworded(mirror_prompt_text(text), name, path.mirrored())
    (here,) = (clause for clause in parse_prompt(reworded(text, name, path)) if clause.object == name)
    (there,) = (clause for clause in parse_prompt(mirrored) if clause.object == name)
    assert there == here.mirrored()


def test_all_around_what_is_written_is_read_as_it_was_meant() -> None:
    directions = ((0, 0), (55, 0), (-90, 20), (125, -5), (180, 0), (0, 90))
    points = [SpherePoint(*d, m, s) for d in directions for m in (REFERENCE_M, 0.5) for s in (0, 0.3, 0.5, 1)][::3]
    paths = [SpherePath.fixed(point) for point in points]
    paths += [SpherePath.gliding(a, b) for a, b in zip(points, points[::-1], strict=True) if a != b]
    paths += [SpherePath(point, point, turns=turns) for point in points[::5] for turns in (1, -2, 3.5)]
    for path in paths:
        clause = Clause.on_sphere("cello", path)
        words = path_in_words(path)
        assert parse_prompt(clause_in_words(clause)) == (clause,), words
        assert parse_prompt(f"cello {words}")[0].path.start == path.start, words
    assert path_in_words(SpherePath.fixed(points[0]).mirrored()) == "in the center"


def test_every_degree_of_the_circle_can_be_said() -> None:
    for degrees in (*range(-180 + 11, 181, 11), 25, -40, 55, 75, -90, 0, 180):
        (clause,) = parse_prompt(reworded("cello left, in a church", "cello", at(degrees)))
        assert clause.path.start.azimuth_deg == degrees


def test_what_cannot_be_put_is_said() -> None:
    with pytest.raises(InputError, match="'dog' is removed there and has no place"):
        reworded("remove the dog, cello left", "dog", at(0))
    with pytest.raises(InputError, match=r"'viola' is not in the prompt, expected one of 'dog', 'cello'"):
        reworded("dog right, cello left", "viola", at(0))
    with pytest.raises(PromptError, match="an object without a place"):
        reworded("dog right, cello", "dog", at(0))


@pytest.mark.parametrize(
    "text",
    [
        "a bird circles clockwise around me every 4 seconds",
        "dog from the left over my head to the right",
        "rain all around",
        "only the cello on the left",
        "piano fades out",
        '"on the left" on the right',
    ],
)
def test_clauses_in_words_say_the_same(text: str) -> None:
    clauses = parse_prompt(text)
    assert tuple(parse_prompt(clause_in_words(clause))[0] for clause in clauses) == clauses


def test_words_of_a_place_are_plain() -> None:
    assert path_in_words(at(55)) == "on the left"
    assert path_in_words(at(-40)) == "40° right"
    assert path_in_words(way(90, 25)) == "moves from hard left to slightly left"
    assert clause_in_words(Clause.on_sphere("left", at(35))) == '"left" 35° left'


def test_an_error_points_into_the_text() -> None:
    with pytest.raises(PromptError) as caught:
        parse_prompt("Cafe\u0301 left, piano sideways")
    error = caught.value
    assert error.text is not None
    assert error.text == "Café left, piano sideways"
    assert error.text[slice(*error.span)] == "piano sideways"
    with pytest.raises(PromptError) as caught:
        parse_prompt("")
    assert caught.value.text is None

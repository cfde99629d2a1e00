"""Studies of places all around: front or behind, and how high, are asked for and scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tas_core.errors import InputError
from tas_core.reporting.study.page import fixed_objects, make_study
from tas_core.reporting.study.records import ANSWERS, KeyObject, read_key
from tas_core.reporting.study.scoring import score_study
from tas_core.timeline.segments import Timeline
from tests.conftest import Finished
from tests.reporting.study.test_page import Page, write_sound

SCENES = {
    "a": "dog behind me, a bird high up on the left",
    "b": "the cello on the right",
    "moving": "a bee circles around",
    "wide": "rain all around",
}


@pytest.fixture
def material(tmp_path: Path) -> Path:
    folder = tmp_path / "material"
    for name in ("timelines", "ours", "mono"):
        (folder / name).mkdir(parents=True)
    for clip, text in SCENES.items():
        (folder / "timelines" / f"{clip}.yaml").write_text(f"prompts:\n  - {{start: 0, text: '{text}'}}\n")
        for system in ("ours", "mono"):
            write_sound(folder / system / f"{clip}.wav")
    return folder


def make(material: Path, out: Path) -> Any:
    return make_study(out, {name: material / name for name in ("ours", "mono")}, material / "timelines", seed=1)


def answers_for(key: Any, wrong: str = "") -> dict[str, Any]:
    """A listener who is right, but about one thing."""
    clips = {clip.clip: clip for clip in key.clips}
    items = []
    for item in key.items:
        given = []
        for about, right in clips[item.clip].questions(key.aspects):
            options = ANSWERS[about]
            answer = right or options[0]
            given.append(options[(options.index(answer) + 1) % len(options)] if about == wrong else answer)
        items.append({"item": item.item, "answers": given, "plays": 1, "listened_s": 1.0})
    check = {"passed": True, "attempts": 1}
    who = {"session": "00" * 8, "participant": "", "started": "2026-01-01T00:00:00Z", "finished": None}
    return {"format": key.format, "study": key.study, **who, "check": check, "items": items}


def test_all_questions_ask_for_more_where_one_clip_does(material: Path, tmp_path: Path) -> None:
    made = make(material, tmp_path / "study")
    assert (made.clips, made.moving, made.questions) == (2, ("moving", "wide"), 2 * 9)
    page = Page(tmp_path / "study" / "study.html").study
    assert page["format"] == 2
    cello = next(item for item in page["items"] if "cello" in item["questions"][0])
    assert cello["asks"] == ["side", "depth", "height"]
    assert cello["questions"] == [
        "Where do you hear the cello?",
        "In front of you or behind you: the cello?",
        "How high: the cello?",
    ]
    assert not {"left", "behind me", "high up"} & {word for item in page["items"] for word in item["questions"]}


def test_a_study_of_the_plane_is_as_before(material: Path, tmp_path: Path) -> None:
    for clip in ("a", "moving", "wide"):
        (material / "timelines" / f"{clip}.yaml").unlink()
    make(material, tmp_path / "study")
    page = Page(tmp_path / "study" / "study.html").study
    assert page.keys() == {"study", "sets", "items"}
    assert {frozenset(item) for item in page["items"]} == {frozenset({"item", "set", "questions"})}
    key = json.loads((tmp_path / "study" / "key.json").read_text())
    assert key["format"] == 1
    assert key["clips"][0]["objects"] == [{"object": "cello", "azimuth_deg": -55.0}]


@pytest.mark.parametrize(
    ("azimuth_deg", "elevation_deg", "side", "depth", "height"),
    [
        (180, 0, "center", "behind", "level"),
        (0, 0, "center", "front", "level"),
        (135, 0, "left", "behind", "level"),
        (-100, 0, "right", None, "level"),
        (0, 90, "center", None, "above"),
        (160, -30, "left", "behind", "below"),
        (30, 15, "left", "front", "level"),
    ],
)
def test_right_answers(azimuth_deg: float, elevation_deg: float, side: str, depth: str | None, height: str) -> None:
    right = KeyObject("x", azimuth_deg, elevation_deg).right
    assert (right["side"], right["depth"], right["height"]) == (side, depth, height)


@pytest.mark.parametrize(("wrong", "field"), [("", ""), ("depth", "front_back"), ("height", "height")])
def test_scores(material: Path, tmp_path: Path, wrong: str, field: str) -> None:
    """The bird is between front and behind where it is 55 degrees to the left and 45 up: cos 55 cos 45 is 0.41."""
    make(material, tmp_path / "study")
    key = read_key(tmp_path / "study" / "key.json")
    (tmp_path / "answers.json").write_text(json.dumps(answers_for(key, wrong)))
    found = score_study(tmp_path / "study" / "key.json", [tmp_path / "answers.json"], resamples=10).as_dict()
    for system in found["systems"]:
        for name in ("rank_object", "rank_audio", "front_back", "height"):
            assert system[name]["value"] == (0 if name == field else 1), name
        assert system["front_back"]["asked"] == 3
        assert system["height"]["asked"] == 3


def test_answers_that_fit_no_question_are_refused(material: Path, tmp_path: Path, tas: Callable[..., Finished]) -> None:
    make(material, tmp_path / "study")
    key_path = tmp_path / "study" / "key.json"
    answers = answers_for(read_key(key_path))
    path = tmp_path / "answers.json"
    for change, message in (
        ({"format": 1}, "answers of format 1, expected 2"),
        ({"format": 3}, "format 3 cannot be read, this version reads formats 1 and 2"),
    ):
        path.write_text(json.dumps(answers | change))
        with pytest.raises(InputError, match=message):
            score_study(key_path, [path])
    answers["items"][0]["answers"][0] = "behind"
    path.write_text(json.dumps(answers))
    with pytest.raises(InputError, match="has the answer 'behind', expected one of left, center, right"):
        score_study(key_path, [path])
    path.write_text(json.dumps(answers_for(read_key(key_path))))
    done = tas("study", "score", key_path, path)
    assert done.code == 0
    assert "front-back" in done.out
    content = json.loads(key_path.read_text())
    content["clips"][0]["objects"][0]["elevation_deg"] = 100
    key_path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="key.json: elevation 100 is outside"):
        read_key(key_path)


def test_what_is_all_around_is_not_asked_for() -> None:
    said = fixed_objects(Timeline.from_prompt("rain all around, dog behind me"))
    assert said == (KeyObject("dog", 180.0),)
    assert fixed_objects(Timeline.from_prompt("rain all around")) is None
    assert fixed_objects(Timeline.from_prompt("the plane passes overhead from front to back")) is None

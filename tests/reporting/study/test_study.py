"""Listening studies: the page tells nobody which system is which, and answers are counted as by hand."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tas_core.conventions import side_name
from tas_core.errors import InputError
from tas_core.reporting.study.page import fixed_objects, make_study, question, render_page
from tas_core.reporting.study.records import Key, read_key
from tas_core.reporting.study.scoring import score_study
from tas_core.timeline.files import convert_timeline, parse_timeline
from tests.cli.test_bad_input import tree
from tests.conftest import Finished

Run = Callable[..., Finished]
RATE = 16_000
SYSTEMS = ("Quetzalcoatl", "baseline seven", "mono")
SCENES = {
    "000001": "cello on the left, piano on the right",
    "000002": "a rooster in the center",
    "000003": "rain 15 degrees to the left; applause 16 degrees to the right",
    "moving": "the cello moves from the left to the right",
}


def write_sound(
    path: Path, *, seconds: float = 0.2, channels: int = 2, rate_hz: int = RATE, level: float = 0.1
) -> None:
    seed = int.from_bytes(hashlib.sha256(str(path).encode()).digest()[:4], "little")
    noise = level * np.random.default_rng(seed).standard_normal((round(seconds * rate_hz), channels))
    soundfile.write(path, noise, rate_hz, subtype="FLOAT" if path.suffix == ".wav" else None)


@pytest.fixture
def material(tmp_path: Path) -> Path:
    """Folders of three systems and their timelines; a clip that moves, and one that only one system has."""
    folder = tmp_path / "material"
    (folder / "timelines").mkdir(parents=True)
    for clip, text in SCENES.items():
        (folder / "timelines" / f"{clip}.yaml").write_text(f"prompts:\n  - {{start: 0, text: '{text}'}}\n")
    for system in SYSTEMS:
        (folder / system).mkdir()
        for clip in SCENES:
            write_sound(folder / system / f"{clip}.wav", channels=1 if system == "mono" else 2)
    write_sound(folder / "mono" / "alone.wav")
    return folder


def options(material: Path) -> list[object]:
    """Arguments of ``tas study make`` without the output."""
    systems = [word for name in SYSTEMS for word in ("--system", f"{name}={material / name}")]
    return ["study", "make", *systems, "--timelines", material / "timelines"]


def make(material: Path, out: Path, **more: Any) -> Key:
    make_study(out, {name: material / name for name in SYSTEMS}, material / "timelines", **more)
    return read_key((out if out.suffix != ".html" else out.parent) / "key.json")


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.blocks: dict[str, str] = {}
        self._open = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        self._open = dict(attrs).get("id") or tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.blocks[self._open] = self.blocks.get(self._open, "") + data

    @property
    def study(self) -> dict[str, Any]:
        return json.loads(self.blocks["study"])

    def sound(self, item: object) -> np.ndarray:
        """(time, ear)."""
        coded = base64.b64decode(self.blocks[f"sound-{item}"], validate=True)
        return soundfile.read(io.BytesIO(coded), always_2d=True)[0]


# ------------------------------------------------------------------ the page


def test_the_same_seed_gives_the_same_bytes(material: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        make(material, tmp_path / name, seed=seed)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    a, c = (json.loads((tmp_path / name / "key.json").read_text()) for name in "ac")
    assert a["study"] != c["study"]
    assert [item["item"] for item in a["items"]] != [item["item"] for item in c["items"]]


def test_timelines_of_any_format_give_the_same_key(material: Path, tmp_path: Path) -> None:
    expected = make(material, tmp_path / "a")
    for clip, extension in zip(SCENES, (".srt", ".vtt", ".txt", ".yml"), strict=True):
        scene = material / "timelines" / f"{clip}.yaml"
        convert_timeline(scene, scene.with_suffix(extension))
        scene.unlink()
    assert make(material, tmp_path / "b") == expected


def test_the_page_tells_nothing_about_the_systems(material: Path, tmp_path: Path) -> None:
    make(material, tmp_path / "study", seed=1)
    text = (tmp_path / "study" / "study.html").read_text()
    spoken = re.sub(r'(?s)<script id="sound-.*?</script>|<style>.*?</style>|mono audio', "", text).lower()
    for secret in (*SYSTEMS, *SCENES, "alone", str(tmp_path), "material", "timelines", ".wav", "seed"):
        assert secret.lower() not in spoken, secret
    page = Page(tmp_path / "study" / "study.html")
    assert set(page.study) == {"study", "sets", "items"}
    assert {frozenset(item) for item in page.study["items"]} == {frozenset({"item", "set", "questions"})}
    for item in page.study["items"]:
        coded = base64.b64decode(page.blocks[f"sound-{item['item']}"])
        assert coded[:4] == b"fLaC"
        assert not any(name.encode() in coded for name in SYSTEMS)
        # One channel has become two, so that the files of a set are alike in all but the sound.
        assert page.sound(item["item"]).shape == (round(0.2 * RATE), 2)


def test_the_key_maps_every_item_of_the_page(material: Path, tmp_path: Path) -> None:
    key = make(material, tmp_path / "study", seed=2)
    page = Page(tmp_path / "study" / "study.html")
    assert page.study["study"] == key.study
    assert [item["item"] for item in page.study["items"]] == [item.item for item in key.items]
    assert sorted((item.clip, item.system) for item in key.items) == sorted(
        (clip, system) for clip in SCENES if clip != "moving" for system in SYSTEMS
    )
    objects = {clip.clip: [each.object for each in clip.objects] for clip in key.clips}
    for shown, item in zip(page.study["items"], key.items, strict=True):
        assert shown["questions"] == [f"Where do you hear the {name}?" for name in objects[item.clip]]
        original = soundfile.read(tmp_path / "material" / item.system / f"{item.clip}.wav", always_2d=True)[0]
        np.testing.assert_allclose(page.sound(item.item) - original, 0, atol=0.51 * 2**-15)
    # A set holds one clip, and the order of its systems is drawn anew for each.
    assert [len({item.clip for item in key.items[i : i + 3]}) for i in (0, 3, 6)] == [1, 1, 1]
    orders = {tuple(item.system for item in key.items[i : i + 3]) for i in (0, 3, 6)}
    assert len(orders) > 1


def test_questions_hold_no_places(material: Path, tmp_path: Path) -> None:
    make(material, tmp_path / "study")
    questions = {q for item in Page(tmp_path / "study" / "study.html").study["items"] for q in item["questions"]}
    assert not [q for q in questions if re.search(r"left|right|cent|\d", q)]
    assert question("everything else") == "Where do you hear everything else?"


def test_the_head_forbids_every_request(material: Path, tmp_path: Path) -> None:
    make(material, tmp_path / "study")
    page = Page(tmp_path / "study" / "study.html")
    policy = next(value for _, value in page.attributes if value and "default-src" in value)
    rules = dict(rule.split(maxsplit=1) for rule in policy.split("; "))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("media-src") == "blob:"
    assert rules.pop("script-src") == _source(page.blocks["script"])
    assert rules.pop("style-src") == _source(page.blocks["style"])
    assert rules == {"base-uri": "'none'", "form-action": "'none'"}
    assert not [value for name, value in page.attributes if name in ("src", "href", "srcset", "style", "onload")]
    assert "http:" not in page.blocks["script"]
    assert "https:" not in page.blocks["script"]


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.mark.parametrize(
    "text",
    ["</script><script>alert(1)</script>", "<!--<script>", "<img src=x onerror=alert(1)>", "@@SCRIPT@@", "&lt;\u2028é"],
)
def test_a_prompt_cannot_become_markup(tmp_path: Path, text: str) -> None:
    item = {"item": 1234, "set": 1, "questions": [question(text)]}
    (tmp_path / "page.html").write_bytes(render_page({"study": "0", "sets": 1, "items": [item]}, {"1234": b"x"}))
    page = Page(tmp_path / "page.html")
    assert page.study["items"] == [item]
    assert page.tags["script"] == 3
    assert page.tags["img"] == 0
    assert page.blocks["study"].isascii()
    assert not re.search("[<>&]", page.blocks["study"])


def test_markup_in_a_timeline_reaches_the_page_as_text(material: Path, tmp_path: Path) -> None:
    evil = '"</script><img src=x onerror=alert(1)>" on the left'
    (material / "timelines" / "000002.yaml").write_text(f"prompts:\n  - {{start: 0, text: '{evil}'}}\n")
    make(material, tmp_path / "study")
    page = Page(tmp_path / "study" / "study.html")
    questions = [q for item in page.study["items"] for q in item["questions"]]
    assert questions.count("Where do you hear the </script><img src=x onerror=alert(1)>?") == 3
    assert page.tags["img"] == 0


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        (["cello on the left"], {"cello": 55}),
        (["cello on the left", "piano at 0 degrees, cello on the left"], {"cello": 55, "piano": 0}),
        (["cello on the left", "cello far left"], None),
        (["piano on the left, cello from the left to the right"], None),
    ],
)
def test_one_fixed_place_per_object(segments: list[str], expected: dict[str, float] | None) -> None:
    lines = [f"  - {{start: {i}, end: {i + 1}, text: '{text}'}}\n" for i, text in enumerate(segments)]
    objects = fixed_objects(parse_timeline("prompts:\n" + "".join(lines)))
    assert (None if objects is None else {each.object: each.azimuth_deg for each in objects}) == expected


def test_levels_within_a_set_keep_their_relation_where_one_would_clip(material: Path, tmp_path: Path) -> None:
    loud, soft = (material / system / "000001.wav" for system in SYSTEMS[:2])
    soundfile.write(loud, np.tile([2.0, -1.0], (3200, 1)), RATE, subtype="FLOAT")
    soundfile.write(soft, np.tile([0.5, 0.25], (3200, 1)), RATE, subtype="FLOAT")
    key = make(material, tmp_path / "study")
    page = Page(tmp_path / "study" / "study.html")
    items = {item.system: item.item for item in key.items if item.clip == "000001"}
    np.testing.assert_allclose(page.sound(items[SYSTEMS[0]])[5], [1, -0.5], atol=1e-4)
    np.testing.assert_allclose(page.sound(items[SYSTEMS[1]])[5], [0.25, 0.125], atol=1e-4)


def test_rates_and_lengths_of_a_set_are_made_one(material: Path, tmp_path: Path) -> None:
    for rate_hz, name in ((96_000, "000001"), (22_050, "000002")):
        write_sound(material / SYSTEMS[0] / f"{name}.wav", seconds=0.25, rate_hz=rate_hz)
    key = make(material, tmp_path / "study")
    page = Page(tmp_path / "study" / "study.html")
    lengths = {clip: {len(page.sound(item.item)) for item in key.items if item.clip == clip} for clip in SCENES}
    assert lengths["000001"] == {round(0.25 * 48_000)}
    assert lengths["000002"] == {round(0.25 * 22_050)}


def test_clips_are_drawn_and_what_is_left_out_is_counted(tas: Run, material: Path, tmp_path: Path) -> None:
    done = tas(*options(material), "--out", tmp_path / "quiz.html", "--clips", 2, "--seed", 9)
    assert done.code == 0, done
    assert "6 recordings, 2 clips" in done.out
    assert "1 clips left out because an object moves" in done.out
    assert "1 clips left out because not every folder has them" in done.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.json", "material", "quiz.html"]
    assert len(read_key(tmp_path / "key.json").clips) == 2


# ------------------------------------------------------------------ scoring


@pytest.mark.parametrize(
    ("azimuth_deg", "place"),
    [(90, "left"), (15.01, "left"), (15, "center"), (0, "center"), (-15, "center"), (-15.01, "right"), (-90, "right")],
)
def test_what_is_right(azimuth_deg: float, place: str) -> None:
    assert side_name(azimuth_deg) == place


KEY = {
    "format": 1,
    "study": "feedfacecafebeef",
    "seed": 0,
    "systems": ["ours", "mono"],
    "clips": [
        {"clip": "x", "objects": [{"object": "cello", "azimuth_deg": 55.0}, {"object": "piano", "azimuth_deg": -55.0}]},
        {"clip": "y", "objects": [{"object": "dog", "azimuth_deg": 15.0}]},
    ],
    "items": [
        {"item": 11, "clip": "x", "system": "ours"},
        {"item": 12, "clip": "x", "system": "mono"},
        {"item": 13, "clip": "y", "system": "mono"},
        {"item": 14, "clip": "y", "system": "ours"},
    ],
}


def listener(name: str, answers: dict[int, str], *, passed: bool = True, **changes: object) -> dict[str, object]:
    """An answers file; places by their first letter, a dash is open."""
    places = {"l": "left", "c": "center", "r": "right", "-": None}
    items = [
        {"item": item, "answers": [places[letter] for letter in letters], "plays": 1, "listened_s": 2.5}
        for item, letters in answers.items()
    ]
    return {
        "format": 1,
        "study": KEY["study"],
        "session": f"session of {name}",
        "participant": name,
        "started": "2026-01-01T12:00:00.000Z",
        "finished": None,
        "check": {"passed": passed, "attempts": 1},
        "items": items,
    } | changes


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., list[Path]]:
    """Writes the key and answers files; returns their paths, the key first."""

    def files(*answers: object) -> list[Path]:
        paths = [tmp_path / "key.json", *(tmp_path / f"answers-{i}.json" for i in range(len(answers)))]
        for path, content in zip(paths, (KEY, *answers), strict=True):
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return paths

    return files


ALL_RIGHT = {11: "lr", 12: "lr", 13: "c", 14: "c"}


def test_answers_are_counted_as_by_hand(write: Callable[..., list[Path]]) -> None:
    key, *files = write(
        listener("a", {11: "lr", 12: "cc", 13: "c", 14: "c"}),  # ours 2 of 2, 1 of 1; mono 0 of 2, 1 of 1
        listener("b", {11: "ll", 12: "lc", 13: "l", 14: "c"}),  # ours 1 of 2, 1 of 1; mono 1 of 2, 0 of 1
        listener("c", {11: "lr", 12: "l-", 13: "c"}),  # ours 2 of 2, -; mono -, 1 of 1
    )
    scores = score_study(key, files)
    counts = {
        each.system: [(a.right, a.asked) for a in (each.rank_object, each.rank_audio) if a] for each in scores.systems
    }
    assert counts == {"ours": [(7, 8), (4, 5)], "mono": [(3, 7), (2, 5)]}
    ours = scores.systems[0].rank_object
    assert ours is not None
    assert ours.value == 7 / 8
    assert scores.listeners == 3
    assert scores.unanswered == {str(files[2]): 2}


def test_intervals_are_those_of_listeners_and_clips_together(write: Callable[..., list[Path]]) -> None:
    """All four combinations of two drawn listeners and two drawn clips, weighed by hand, against the quantiles."""
    key, *files = write(
        listener("a", {11: "lr", 14: "c"}),  # cells: 2 of 2, 1 of 1
        listener("b", {11: "cc", 14: "l"}),  # cells: 0 of 2, 0 of 1
    )
    low_high = score_study(key, files, level=0.4, resamples=20_000).systems[0].rank_object
    # The share is that of listener a among the two drawn: 0, 1/2 or 1 with probabilities 1/4, 1/2, 1/4.
    assert low_high is not None
    assert (low_high.value, low_high.low, low_high.high) == (0.5, 0.5, 0.5)
    wide = score_study(key, files, level=0.6, resamples=20_000).systems[0].rank_object
    assert wide is not None
    assert (wide.low, wide.high) == (0.0, 1.0)


def test_an_interval_covers_what_it_says() -> None:
    """Listeners of different skill and clips of different ease: most 90 % intervals hold the true share."""
    from tas_core.reporting.study.scoring import _accuracy, _crossed_weights

    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        skill, ease = rng.normal(0, 0.12, (12, 1)), rng.normal(0, 0.12, (1, 20))
        right = (rng.random((12, 20)) < 0.6 + skill + ease).astype(np.int64)
        found = _accuracy(right, np.ones_like(right), _crossed_weights(12, 20, 400, rng), 0.9)
        assert found is not None
        hits += found.low <= 0.6 <= found.high
    assert 0.88 <= hits / 200 <= 0.99  # drawing answers one by one, as if they were independent, gives 0.68


def test_the_seed_fixes_the_intervals(write: Callable[..., list[Path]]) -> None:
    rng = np.random.default_rng(1)
    lengths = {11: 2, 12: 2, 13: 1, 14: 1}
    guesses = ({item: "".join(rng.choice(list("lcr"), n)) for item, n in lengths.items()} for _ in range(9))
    key, *files = write(*(listener(str(i), guess) for i, guess in enumerate(guesses)))
    a, b, c = (score_study(key, files, seed=seed, resamples=50).as_dict()["systems"] for seed in (0, 0, 1))
    assert a == b
    assert a != c


def test_failed_headphone_checks_are_left_out_unless_asked_for(
    tas: Run, write: Callable[..., list[Path]], tmp_path: Path
) -> None:
    key, *files = write(listener("a", ALL_RIGHT), listener("b", {**ALL_RIGHT, 11: "rl"}, passed=False))
    done = tas("study", "score", key, *files, "--save", tmp_path / "scores.json")
    assert done.code == 0, done
    assert f"1 failed the headphone check, not counted: {files[1]}" in done.out
    report = json.loads((tmp_path / "scores.json").read_text())
    assert (report["listeners"], report["failed_check"]) == (1, [str(files[1])])
    assert report["systems"][0]["rank_object"]["value"] == 1.0

    done = tas("study", "score", key, *files, "--include-failed", "--save", tmp_path / "scores.json", "--force")
    assert "1 failed the headphone check, included" in done.out
    report = json.loads((tmp_path / "scores.json").read_text())
    assert report["listeners"] == 2
    ours = report["systems"][0]["rank_object"]
    assert (ours["right"], ours["asked"]) == (4, 6)
    assert (
        tas("study", "score", key, files[1]).error_line == f"{key}: no listener to score, 1 failed the headphone check"
    )


def test_a_system_that_nobody_answered(tas: Run, write: Callable[..., list[Path]]) -> None:
    key, file = write(listener("a", {11: "lr"}))
    done = tas("study", "score", key, file)
    assert done.code == 0
    assert re.search(r"^mono +not answered +not answered$", done.out, re.M)
    assert f"{file}: 3 items left open, not counted" in done.out


# ------------------------------------------------------------------ mistakes


def refused(run: Run, folder: Path, *arguments: object) -> str:
    before = tree(folder)
    done = run(*arguments)
    assert done.code == 2, done
    assert done.out == ""
    assert tree(folder) == before
    return done.error_line


BAD_ANSWERS: dict[str, tuple[Any, str]] = {
    "not JSON": ('{"format": 1, ', r"not JSON \(Expecting"),
    "a list": ("[1]", "not a JSON object, expected the answers of a listener"),
    "deep": ("[" * 100_000, "not JSON"),
    "not UTF-8": ("\udcff", "not JSON"),
    "not a number": (json.dumps(listener("a", ALL_RIGHT)).replace("2.5", "NaN"), "NaN is not a number"),
    "another study": (listener("a", ALL_RIGHT, study="0" * 16), "answers to the study '0+', expected 'feedface"),
    "another format": (listener("a", ALL_RIGHT, format=2), "format 2 cannot be read.*reads format 1"),
    "a missing key": ({k: v for k, v in listener("a", ALL_RIGHT).items() if k != "check"}, "missing key 'check'"),
    "an unknown key": (listener("a", ALL_RIGHT, checks=1), "unknown key 'checks', did you mean 'check'"),
    "an unknown item": (listener("a", {99: "l"}), "item 99 is not in the study"),
    "too many answers": (listener("a", {14: "lr"}), "item 14 has 2 answers, expected 1"),
    "an unknown place": (
        json.dumps(listener("a", ALL_RIGHT)).replace('"left"', '"behind"'),
        r"answers\[0\] must be .*'behind'",
    ),
    "an item twice": (
        listener("a", {}, items=[{"item": 14, "answers": ["left"], "plays": 1, "listened_s": 1}] * 2),
        "item 14 is there twice",
    ),
    "a text for a number": (listener("a", ALL_RIGHT, check={"passed": 1, "attempts": 1}), "check: passed must be bool"),
}


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_answers_are_refused(case: str, tas: Run, write: Callable[..., list[Path]], tmp_path: Path) -> None:
    content, message = BAD_ANSWERS[case]
    key, good, bad = write(listener("b", ALL_RIGHT), "" if case == "not UTF-8" else content)
    if case == "not UTF-8":
        bad.write_bytes(b'{"\xff": 1}')
    line = refused(tas, tmp_path, "study", "score", key, good, bad, "--save", tmp_path / "scores.json")
    assert re.search(rf"^1 of 2 files cannot be scored: {re.escape(str(bad))}: .*{message}", line), line
    assert len(line) < 500


def test_all_bad_answers_are_named_and_counted(tas: Run, write: Callable[..., list[Path]], tmp_path: Path) -> None:
    twin = listener("A ", ALL_RIGHT)
    key, *files = write(listener("a", ALL_RIGHT), twin, "{", listener("", ALL_RIGHT, session="session of a"))
    line = refused(tas, tmp_path, "study", "score", key, *files)
    assert line.startswith("3 of 4 files cannot be scored: ")
    assert f"{files[1]}: the same listener as {files[0]} (participant 'a')" in line
    assert f"{files[2]}: not JSON" in line
    assert f"{files[3]}: the same listener as {files[0]} (session 'session of a')" in line
    assert "the same listener" in refused(tas, tmp_path, "study", "score", key, files[0], files[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 9}, "format 9 cannot be read"),
        ({"systems": ["ours", "theirs"]}, "the items are not each clip once per system"),
        ({"items": KEY["items"][:3]}, "the items are not each clip once per system"),  # type: ignore[index]
        ({"seed": "0"}, "seed must be int"),
        ({"items": [{**item, "item": 7} for item in KEY["items"]]}, "two items with one number"),  # type: ignore[attr-defined]
    ],
)
def test_keys_are_refused(
    tas: Run, write: Callable[..., list[Path]], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    key, file = write(listener("a", ALL_RIGHT))
    key.write_text(json.dumps(KEY | change))
    assert re.search(rf"^{re.escape(str(key))}: .*{message}", refused(tas, tmp_path, "study", "score", key, file))


def test_missing_files_and_existing_outputs_of_scoring(
    tas: Run, write: Callable[..., list[Path]], tmp_path: Path
) -> None:
    key, file = write(listener("a", ALL_RIGHT))
    assert "No such file" in refused(tas, tmp_path, "study", "score", tmp_path / "no.json", file)
    assert "No such file" in refused(tas, tmp_path, "study", "score", key, tmp_path / "no.json")
    assert "the output is the input" in refused(tas, tmp_path, "study", "score", key, file, "--save", file, "--force")
    (tmp_path / "there.json").write_text("precious")
    assert "the file exists" in refused(tas, tmp_path, "study", "score", key, file, "--save", tmp_path / "there.json")


def three_channels(folder: Path) -> None:
    write_sound(folder / "mono" / "000001.wav", channels=3)


def other_length(folder: Path) -> None:
    write_sound(folder / "mono" / "000001.wav", seconds=0.4)


def same_stem(folder: Path) -> None:
    write_sound(folder / "mono" / "000001.flac")


def bad_timeline(folder: Path) -> None:
    (folder / "timelines" / "000001.yaml").write_text("prompts: 3\n")


def late_timeline(folder: Path) -> None:
    (folder / "timelines" / "000001.yaml").write_text("prompts:\n  - {start: 5, text: cello left}\n")


def empty_system(folder: Path) -> None:
    for path in (folder / "mono").iterdir():
        path.unlink()


def no_common_clip(folder: Path) -> None:
    for clip in SCENES:
        (folder / "mono" / f"{clip}.wav").unlink()


@pytest.mark.parametrize(
    ("damage", "more", "message"),
    [
        (three_channels, (), r"000001\.wav: 3 channels, expected one or two"),
        (other_length, (), r"000001\.wav: lasts 0\.40 s, but .*000001\.wav lasts 0\.20 s"),
        (same_stem, (), r"mono: 000001\.flac and 000001\.wav have the same stem, expected one audio file"),
        (bad_timeline, (), r"000001\.yaml:1:10: `prompts` is not a list"),
        (late_timeline, (), r"000001\.yaml:2:5: .*starts at 5 s"),
        (empty_system, (), r"mono: no audio files in the folder"),
        (no_common_clip, (), r"timelines: 0 clips can be used, expected one or more \(5 are not in every folder"),
        (Path.exists, ("--clips", 4), r"timelines: 3 clips can be used, expected 4 or more"),
        (Path.exists, ("--system", "nofolder"), r"--system 'nofolder': expected NAME=FOLDER"),
        (Path.exists, ("--system", "=x"), r"--system '=x': expected NAME=FOLDER"),
        (Path.exists, ("--system", "mono=x"), r"--system 'mono=x': the name 'mono' is given twice"),
        (Path.exists, ("--system", "new=nowhere"), r"nowhere: No such file or directory, expected a folder of audio"),
        (Path.exists, ("--system", "a\x07b=."), r"'a\\x07b' is not a name of a system"),
        (Path.exists, ("--out", "no/where.html"), r"no/where\.html: the folder .* does not exist"),
        (Path.exists, ("--out", "no/where/folder"), r"no/where/folder: the folder no/where does not exist"),
    ],
)
def test_making_is_refused(
    tas: Run, material: Path, tmp_path: Path, damage: Callable[[Path], object], more: tuple[object, ...], message: str
) -> None:
    damage(material)
    assert re.search(message, refused(tas, tmp_path, *options(material), "--out", tmp_path / "study", *more))


def test_existing_files_are_replaced_only_by_force(tas: Run, material: Path, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("precious")
    arguments = (*options(material), "--out", tmp_path / "study.html")
    assert "key.json: the file exists" in refused(tas, tmp_path, *arguments)
    assert tas(*arguments, "--force").code == 0
    assert read_key(tmp_path / "key.json").systems == SYSTEMS


def test_a_page_that_is_too_large_is_refused(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tas_core.reporting.study.page.MAX_PAGE_BYTES", 50_000)
    with pytest.raises(InputError, match=r"larger than .* MB, reached by clip 2 of 3; use fewer clips"):
        make(material, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_the_command_needs_no_torch(material: Path, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom tas_cli.main import main\n"
        "try:\n    main()\nfinally:\n    print(*sorted(sys.modules.keys() & {'torch', 'transformers', 'selenium'}))"
    )
    words = [str(word) for word in (*options(material), "--out", tmp_path / "study")]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""

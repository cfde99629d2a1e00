"""Scores of a study: answers are counted as by hand, and bad ones are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tas_core.reporting.study.scoring import score_study
from tests.conftest import Finished
from tests.support.refusal import refused

Run = Callable[..., Finished]
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


# ------------------------------------------------------------------ scoring


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


BAD_ANSWERS: dict[str, tuple[Any, str]] = {
    "not JSON": ('{"format": 1, ', r"not JSON \(Expecting"),
    "a list": ("[1]", "not a JSON object, expected the answers of a listener"),
    "deep": ("[" * 100_000, "not JSON"),
    "not UTF-8": ("\udcff", "not JSON"),
    "not a number": (json.dumps(listener("a", ALL_RIGHT)).replace("2.5", "NaN"), "NaN is no number"),
    "a number beyond all bounds": (
        json.dumps(listener("a", ALL_RIGHT)).replace("2.5", "9" * 400),
        "99999999999999999999... is a number of 400 digits",
    ),
    "infinity": (json.dumps(listener("a", ALL_RIGHT)).replace("2.5", "1e999"), "1e999 is larger than any number"),
    "another study": (listener("a", ALL_RIGHT, study="0" * 16), "answers to the study '0+', expected 'feedface"),
    "another format": (listener("a", ALL_RIGHT, format=3), "format 3 cannot be read.*reads formats 1 and 2"),
    "the format of another study": (listener("a", ALL_RIGHT, format=2), "answers of format 2, expected 1 as the key's"),
    "a missing key": ({k: v for k, v in listener("a", ALL_RIGHT).items() if k != "check"}, "missing key 'check'"),
    "an unknown key": (listener("a", ALL_RIGHT, checks=1), "unknown key 'checks', did you mean 'check'"),
    "an unknown item": (listener("a", {99: "l"}), "item 99 is not in the study"),
    "too many answers": (listener("a", {14: "lr"}), "item 14 has 2 answers, expected 1"),
    "an unknown place": (
        json.dumps(listener("a", ALL_RIGHT)).replace('"left"', '"nowhere"'),
        r"answers\[0\] must be .*'nowhere'",
    ),
    "a place that was not asked for": (
        json.dumps(listener("a", ALL_RIGHT)).replace('"left"', '"behind"'),
        "item 11 has the answer 'behind', expected one of left, center, right",
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
        (
            {
                "systems": [str(n) for n in range(5000)],
                "clips": [{"clip": str(n), "objects": [{"object": "a", "azimuth_deg": 0}]} for n in range(5000)],
                "items": [],
            },
            "the items are not each clip once per system",
        ),
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

"""``tools/calibrate.py``: the scenes that it makes, the fit, and the file beside the weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tas_core.datasets.tasbench.layout import TasBench, write_split
from tas_core.models.calibration import FEATURES, Evidence, read_calibration
from tas_core.models.checkpoints import load_checkpoint
from tests.support.scored import dry_scene, write_scenes
from tests.support.scripts import load_script
from tests.support.tiny import WideHashEncoder, phrase_table, write_material

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "calibrate.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_script("tools/calibrate.py")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_material(tmp_path_factory.mktemp("calibration") / "material")
    phrase_table(WideHashEncoder()).save(folder / "phrases-minilm.safetensors")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TasBench:
    found = write_scenes(tmp_path_factory.mktemp("calibration") / "bench", [dry_scene(1, (60.0, -45.0), "degrees")])
    write_split(found.split_path("val"), found.clips())
    return found


# ------------------------------------------------------------------ fit


def examples(tool: ModuleType, name: str, intercept: float, count: int, seed: int) -> list[object]:
    """Objects that are right with a probability that sharpness and presence decide; four to a clip."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        shown = Evidence(*rng.uniform(0, 1, len(FEATURES)).tolist())
        odds = intercept + 6 * shown.sharpness - 2 * shown.presence
        right = bool(rng.random() < 1 / (1 + np.exp(-odds)))
        found.append(tool.Example("model", name, str(number // 4), "cello", right, right, vars(shown)))
    return found


def test_a_fit_finds_what_decides(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    known = examples(tool, "one", -2.0, 4000, 0)
    found = tool.fit(known, FEATURES, "model", {"split": "val"})
    assert found.intercept == pytest.approx(-2.0, abs=0.4)
    assert found.weights["sharpness"] == pytest.approx(6.0, rel=0.1)
    assert found.weights["presence"] == pytest.approx(-2.0, rel=0.2)
    assert all(abs(found.weights[name]) < 0.4 for name in ("energy_share", "alone", "alone_presence"))
    assert (found.model_digest, found.provenance) == ("model", {"split": "val"})
    # One in 25 of those that are right is below.
    confidence = [found.confidence(Evidence(**e.evidence)) for e in known if e.right]  # type: ignore[attr-defined]
    assert np.mean(np.array(confidence) < found.low) == pytest.approx(0.04, abs=0.01)
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == ["one", "all"]
    assert "4000 objects" in said[0]


def test_sets_count_the_same_however_large(tool: ModuleType) -> None:
    few, many = examples(tool, "few", -4.0, 400, 1), examples(tool, "many", 0.0, 4000, 2)
    both = tool.fit([*few, *many], ("sharpness", "presence"), "model", {})
    assert -3.5 < both.intercept < -0.8  # by objects it would be near 0
    assert both.weights.keys() == {"sharpness", "presence"}


def test_where_all_are_right_there_is_nothing_to_fit(tool: ModuleType) -> None:
    with pytest.raises(SystemExit, match="40 of 40 objects are right; expected some, and not all"):
        tool.fit(examples(tool, "sure", 50.0, 40, 0), FEATURES, "model", {})


# ------------------------------------------------------------------ scenes


def test_where_one_clip_alone_has_what_is_right_there_is_too_little_to_fit(tool: ModuleType) -> None:
    some = [replace(item, right=item.clip == "3") for item in examples(tool, "one", 0.0, 40, 0)]
    with pytest.raises(SystemExit, match="too few of 10 clips have objects that are right; expected more scenes"):
        tool.fit(some, ("sharpness",), "model", {})


def test_a_timeline_holds_objects_while_they_are_active(tool: ModuleType) -> None:
    active = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [1, 1, 1, 1]], bool)
    found = tool.timeline_of(["cello", "dog"], [10.4, -30.0, 5.0], active, 2.0)
    assert [(s.start_s, s.end_s, [c.object for c in s.clauses]) for s in found.segments] == [
        (0.0, 0.5, ["cello"]),
        (0.5, 1.0, ["cello", "dog"]),
        (1.5, 2.0, ["dog"]),
    ]
    assert found.segments[0].clauses[0].azimuth.start_deg == 10
    assert tool.timeline_of(["cello"], [0.0], np.zeros((1, 4), bool), 2.0) is None


def test_scenes_are_of_the_sources_that_are_asked_for(tool: ModuleType, material: Path) -> None:
    scenes = list(tool.composed_scenes(material, "minilm", "val font/*", 12, 0))
    assert len(scenes) > 6
    for scene in scenes:
        assert scene.set == "material, val font/*"
        assert set(scene.true) <= set(scene.timeline.objects)
        assert len(scene.mono) == round(tool.WINDOW_S * 16_000)
        sounds = sum(scene.true.values())
        assert np.square(sounds).sum() <= 1.5 * np.square(scene.mono).sum() + 1e-9
    # Some names are of nothing that sounds.
    assert any(len(scene.true) < len(scene.timeline.objects) for scene in scenes)
    with pytest.raises(SystemExit, match=r"no source of the split val is called flare-game/\*"):
        next(tool.composed_scenes(material, "minilm", "flare-game/*", 1, 0))


# ------------------------------------------------------------------ the command


def test_the_command(
    tool: ModuleType,
    tiny_model: Path,
    material: Path,
    data: TasBench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    # An untrained model is never right.
    monkeypatch.setattr(tool, "outcome", lambda item, *sounds: (True, len(item.object) % 2 == 0))
    kept = tmp_path / "examples.jsonl"
    words = ["--data", data.root, "--material", material, "--scenes", 8, "--examples", kept]
    tool.main([str(word) for word in (model, *words)])
    digest = load_checkpoint(model).digest
    made = read_calibration(model, digest)
    assert made is not None
    assert made.weights.keys() == set(FEATURES)
    assert made.provenance["sets"].keys() == {"bench, own", "bench, extended", "bench, replaced", "material, *"}
    assert capsys.readouterr().out.splitlines()[-1] == f"{model / 'calibration.json'}: low below {made.low:.2f}"
    lines = [json.loads(line) for line in kept.read_text("utf-8").splitlines()]
    assert {line["model"] for line in lines} == {digest}
    # Once more, on what was kept, and into another folder.
    monkeypatch.setattr(tool, "examples_of", lambda *_: pytest.fail("it is known"))
    (tmp_path / "other").mkdir()
    words += ["--features", "sharpness", "presence", "--out", tmp_path / "other"]
    tool.main([str(word) for word in (model, *words)])
    fewer = read_calibration(tmp_path / "other", digest)
    assert fewer is not None
    assert fewer.weights.keys() == {"sharpness", "presence"}
    assert read_calibration(model, digest) == made


def test_without_scenes_nothing_is_fitted(tool: ModuleType, tiny_model: Path) -> None:
    with pytest.raises(SystemExit, match="no scenes to fit on; expected --data or --material"):
        tool.main([str(tiny_model)])

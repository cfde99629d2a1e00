"""The comparison of all rows in small: on FAIR-Play's layout, over its folds, with one rival trained for two steps."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.fairplay import LENGTHS, RATE_HZ, write_fairplay, write_timelines
from tests.support.scripts import load_script

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "quality.py"


@pytest.fixture
def quality(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    module = load_script("benchmarks/quality.py")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    tiny = replace(module.BUDGETS["cpu"], steps=2, batch_size=2, clips=None, control_clips=1)
    monkeypatch.setitem(module.BUDGETS, "cpu", tiny)
    # Asking the hub takes a minute where there is no network.
    monkeypatch.setattr(module, "missing_encoder", lambda preset: None if preset == "paper" else "no weights")
    monkeypatch.setattr("tas_core.evaluation.runner.usable_cores", lambda: 1)  # a process takes longer to start
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    marks = "before\n<!-- quality-cpu-folds: begin -->\nformer text\n<!-- quality-cpu-folds: end -->\nafter\n"
    (tmp_path / "docs" / "RESULTS.md").write_text(marks)
    return module


@pytest.mark.parametrize("name", ["cpu", "cpu-long", "cuda"])
def test_networks_that_predict_v_make_as_many_evaluations_as_they_do_by_themselves(
    quality: ModuleType, name: str
) -> None:
    budget = quality.budget_for(name, "v")
    assert quality.sampling_steps("paper-v", budget) is None
    assert budget == replace(quality.BUDGETS[name], sampling_steps=None)
    assert quality.budget_for(name, "noise") == quality.BUDGETS[name]


def test_every_row_of_the_paper_has_a_twin_that_predicts_v(quality: ModuleType) -> None:
    for preset in [row.preset for row in quality.LEARNED] + [preset for _, _, preset in quality.ENCODERS]:
        twin = quality.under("v", preset)
        assert quality.under("noise", preset) == preset
        assert (twin != preset) == preset.startswith("paper")
        for name in {twin, quality.preset_at(quality.BUDGETS["cpu"], twin)}:
            assert getattr(quality.PRESETS[name], "prediction", "v") == "v", name
        assert getattr(quality.PRESETS[twin], "fusion", None) == getattr(quality.PRESETS[preset], "fusion", None)


@pytest.mark.parametrize("name", ["quality-cpu", "quality-cpu-long-v"])
def test_the_page_has_the_rows_that_were_measured(quality: ModuleType, name: str) -> None:
    top = SCRIPT.parents[1]
    result = json.loads((top / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    page = (top / "docs" / "RESULTS.md").read_text(encoding="utf-8")
    section = page.split(f"<!-- {name}: begin -->")[1].split(f"<!-- {name}: end -->")[0].strip()
    command = section.splitlines()[0].strip("`")
    assert quality.results_page(result, command) == section


def published(name: str) -> tuple[Path, dict[str, Any]]:
    path = SCRIPT.parents[1] / "benchmarks" / "results" / f"{name}.json"
    return path, json.loads(path.read_text(encoding="utf-8"))


def test_rows_that_are_not_asked_for_stay_as_they_were_measured(quality: ModuleType) -> None:
    path, before = published("quality-cpu-long-v")
    budget = quality.BUDGETS["cpu-long"]
    now = copy.deepcopy(before)
    now["settings"] |= {"data": "elsewhere/bench", "folds": (1,), "also": ()}
    now["rows"] = [row for row in now["rows"] if row["name"] in ("Mono-Mono", "TAS conv")]
    kept = quality.measured_before(path, now, budget)
    assert {"TAS + SAF", "TAS without SAF (add)", "TAS audio only"} <= set(kept)
    assert all(row in before["rows"] for row in kept.values())
    assert not set(kept) & {"Mono-Mono", "slots, as shipped", "oracle-mask", "TAS + SAF, BERT"}
    assert quality.measured_before(path.with_name("none.json"), now, budget) == {}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda now: now["clips"].pop(), "clips"),
        (lambda now: now["settings"].update(seed=1), "settings"),
        (lambda now: now["rows"][0]["measures"]["snr_db"].update(mean=2.36), "Mono-Mono on these clips"),
    ],
)
def test_rows_of_another_comparison_are_neither_mixed_in_nor_lost(
    quality: ModuleType, change: Callable[[dict[str, Any]], Any], named: str
) -> None:
    path, now = published("quality-cpu-long-v")
    change(now)
    with pytest.raises(SystemExit, match=re.escape(f"another comparison ({named})")):
        quality.measured_before(path, now, quality.BUDGETS["cpu-long"])
    with pytest.raises(SystemExit, match="budget"):
        quality.measured_before(path, published("quality-cpu-long-v")[1], quality.BUDGETS["cuda"])


@pytest.mark.slow
def test_folds_of_recordings(quality: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_fairplay(tmp_path / "fairplay", 2 * RATE_HZ)
    write_timelines(data, {clip: ('start: 0, text: "cello on the left, piano on the right"',) for clip in LENGTHS})
    rows = ["MONO2BINAURAL, text", "slots, this budget"]
    command = ["quality.py", "--material", "none", "--data", str(data), "--runs", str(tmp_path / "runs"), "--folds"]
    monkeypatch.setattr(sys, "argv", [*command, "--device", "cpu", "--rows", *rows])
    quality.main()
    found = json.loads((tmp_path / "benchmarks" / "results" / "quality-cpu-folds.json").read_text())
    by_name = {row["name"]: row for row in found["rows"]}
    assert found["folds"] == 2
    assert by_name["slots, this budget"]["not_run"] == "learns from separate stems"
    assert by_name["TAS + SAF, CLIP"]["not_run"].startswith("the text encoder's weights")
    assert by_name["MONO2BINAURAL, text"]["training_steps"] == 2
    assert by_name["ground truth"]["measures"]["stft"]["mean"] == 0
    # Noise that has nothing in common between the ears: mono misses the side signal, which is half of the energy.
    assert 0 < by_name["Mono-Mono"]["measures"]["snr_db"]["mean"] < 6
    assert "oracle-direct" not in by_name  # there are no stems
    page = (tmp_path / "docs" / "RESULTS.md").read_text()
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")
    assert "former text" not in page
    assert "clips of the test part of fairplay" in page
    assert "| Mono-Mono |" in page
    assert "| slots, this budget | not run: learns from separate stems |" in page
    # Again: what is trained and judged stays as it is.
    trained = (tmp_path / "runs" / "cpu" / "fold1" / "mono2binaural-small" / "checkpoint" / "model.safetensors").stat()
    quality.main()
    again = (tmp_path / "runs" / "cpu" / "fold1" / "mono2binaural-small" / "checkpoint" / "model.safetensors").stat()
    assert again.st_mtime_ns == trained.st_mtime_ns

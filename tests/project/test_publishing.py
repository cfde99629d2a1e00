"""``tools/publish_scores.py``: what pages and results in the repository are made of."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripts import ROOT, load_script

TOOL = "tools/publish_scores.py"


def measure(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - 0.125, "high": mean + 0.5, "count": 2}


def scores() -> dict[str, Any]:
    alone = {"mean": 0.25, "low": None, "high": None, "count": 1}
    groups = {"2 objects": {"rank_audio": measure(0.5)}, "dry": {"rank_audio": alone}}
    first = {
        "name": "slots",
        "measures": {"snr_db": measure(3.0)},
        "groups": groups,
        "differences": {},
        "clips": {"1": 7},
    }
    second = {
        "name": "mono",
        "measures": {"snr_db": measure(2.0)},
        "groups": {},
        "differences": {"snr_db": measure(-1.0)},
    }
    return {"settings": {"data": "/home/someone/bench", "seed": 0}, "rows": [first, {**second, "clips": {}}]}


def test_the_command_writes_what_may_be_published_and_prints_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.json").write_text(json.dumps(scores()))
    words = [TOOL, str(tmp_path / "in.json"), "--data", "bench", "--out", str(tmp_path / "out.json")]
    monkeypatch.setattr(sys, "argv", [*words, "--columns", "snr_db", "swap_accuracy"])
    runpy.run_path(str(ROOT / TOOL), run_name="__main__")
    published = json.loads((tmp_path / "out.json").read_text())
    assert published["settings"] == {"data": "bench", "seed": 0}
    assert [set(row) for row in published["rows"]] == [{"name", "measures", "groups", "differences"}] * 2
    assert capsys.readouterr().out.splitlines() == [
        "| | snr_db | swap_accuracy |",
        "| slots | 3.00 [2.88, 3.50] | - |",
        "| mono | 2.00 [1.88, 2.50] | - |",
        "",
        "| rank_audio | 2 objects | dry |",
        "| slots | 0.50 [0.38, 1.00] | 0.25 |",
        "| mono | - | - |",
        "",
        "| less slots | snr_db | swap_accuracy |",
        "| mono | -1.00 [-1.12, -0.50] | - |",
    ]


def test_published_results_are_as_the_tool_leaves_them() -> None:
    tool = load_script(TOOL)
    for name in ("realbench", "shipped"):
        found = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))
        assert tool.without_clips(found, found["settings"]["data"]) == found

"""Measures that are taken only where they are requested: kept beside the others, and no result is computed twice."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tas_core.datasets.tasbench.layout import TasBench
from tas_core.errors import InputError
from tas_core.evaluation import tasks
from tas_core.evaluation.clips import read_clip
from tas_core.evaluation.metrics import binaqual, gcc_itd_error_us, mrstft_error
from tas_core.evaluation.runner import evaluate
from tests.evaluation.conftest import ONE

CITED = {"binaqual", "gcc_itd_error_us", "mrstft"}
TWO = replace(ONE, clips=2)


def kinds(folder: Path) -> list[str]:
    return [json.loads(line)["kind"] for line in (folder / "results.jsonl").read_text("utf-8").splitlines()]


def test_measures_of_other_papers_are_added_to_what_is_kept(scored: TasBench, tmp_path: Path) -> None:
    before = evaluate(scored, ["mono", "truth"], TWO, out=tmp_path)
    assert not CITED & before.row("mono").measures.keys()
    more = evaluate(scored, ["mono", "truth"], replace(TWO, also=("cited",)), out=tmp_path)
    assert kinds(tmp_path) == ["score"] * 4 + ["cited"] * 4
    assert evaluate(scored, ["mono", "truth"], replace(TWO, also=("cited",)), out=tmp_path).computed == 0
    assert not CITED & evaluate(scored, ["mono"], TWO, out=tmp_path).row("mono").measures.keys()
    for name, values in more.row("mono").values.items():
        truth = read_clip(scored, name).truth
        mono = truth.mean(axis=0)[None].repeat(2, axis=0)
        assert values["binaqual"] == pytest.approx(float(binaqual(mono, truth, 16_000)))
        assert values["gcc_itd_error_us"] == pytest.approx(float(gcc_itd_error_us(mono, truth, 16_000)))
        assert values["mrstft"] == pytest.approx(float(mrstft_error(mono, truth)))
        assert before.row("mono").values[name].items() <= values.items()
    found = more.row("truth").measures
    assert (found["binaqual"].mean, found["gcc_itd_error_us"].mean, found["mrstft"].mean) == (1, 0, 0)


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("pesq", "pystoi")),
    reason="pesq or pystoi not installed: pip install 'tas[eval]'",
)
def test_measures_of_speech_depend_on_their_packages(
    scored: TasBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(ONE, clips=1, also=("speech", "cited"))
    table = evaluate(scored, ["mono", "truth"], settings, out=tmp_path)
    assert kinds(tmp_path) == ["score", "cited", "speech"] * 2
    assert table.row("truth").measures["stoi"].mean == pytest.approx(1, abs=1e-6)
    assert table.row("truth").measures["pesq"].mean == pytest.approx(4.644, abs=1e-3)
    assert evaluate(scored, ["mono", "truth"], settings, out=tmp_path).computed == 0
    monkeypatch.setattr(tasks, "package_versions", lambda packages: dict.fromkeys(packages, "another"))
    assert evaluate(scored, ["mono", "truth"], settings, out=tmp_path).computed == 2
    assert kinds(tmp_path)[6:] == ["speech"] * 2


def test_measures_that_cannot_be() -> None:
    for also, said in (
        (("pesq",), "unknown measures 'pesq'; expected some of cited, speech, confidence"),
        (("cited", "cited"), "the measures 'cited' are requested twice"),
    ):
        with pytest.raises(InputError, match=said):
            replace(ONE, also=also)

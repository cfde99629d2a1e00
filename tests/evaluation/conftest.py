"""What tests of evaluations share: a small data set, a copy to spoil, and a table of rows."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tas_core.datasets.tasbench.layout import TasBench
from tas_core.evaluation.baselines import BASELINES
from tas_core.evaluation.results import Evaluation
from tas_core.evaluation.runner import evaluate
from tas_core.evaluation.settings import EvaluationSettings
from tas_core.evaluation.systems import SystemSpec
from tests.support.scored import write_scored

ONE = EvaluationSettings(jobs=1, device="cpu")


@pytest.fixture(scope="session")
def scored(tmp_path_factory: pytest.TempPathFactory) -> TasBench:
    return write_scored(tmp_path_factory.mktemp("scored") / "data")


@pytest.fixture
def own(scored: TasBench, tmp_path: Path) -> TasBench:
    """A copy to spoil."""
    return TasBench(Path(shutil.copytree(scored.root, tmp_path / "own")))


@pytest.fixture(scope="session")
def table(scored: TasBench, tiny_model: Path) -> Evaluation:
    """All floors and ceilings and an untrained model, with control."""
    rows = ["truth", SystemSpec("tiny", str(tiny_model)), *(name for name in BASELINES if name != "truth")]
    return evaluate(scored, rows, replace(ONE, control=True))


def mean(table: Evaluation, row: str, measure: str) -> float:
    return table.row(row).measures[measure].mean

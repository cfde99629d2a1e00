"""``tools/plot_reliability.py``: the picture of results with confidence, and results without."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "plot_reliability.py"


def _results() -> dict:
    rng = np.random.default_rng(0)
    clips = {
        str(number): {"confidence": [{"confidence": c, "right": bool(rng.random() < c)} for c in rng.uniform(0, 1, 3)]}
        for number in range(30)
    }
    clips["none"] = {}
    measures = {"confidence_auc": {"mean": 0.8, "low": 0.7, "high": 0.9, "count": 30}}
    other = {"name": "mono", "measures": {}, "clips": {"0": {}}}
    return {"rows": [{"name": "slots", "measures": measures, "clips": clips}, other]}


def test_the_picture_shows_the_curve_and_the_counts(tmp_path: Path) -> None:
    tool = runpy.run_path(str(SCRIPT))
    row = _results()["rows"][0]
    curve, counts = tool["draw"](row).axes
    diagonal, points, *_ = curve.get_lines()
    np.testing.assert_array_equal(diagonal.get_data(), [[0, 1], [0, 1]])
    rows = np.concatenate(tool["judged"](row))
    x, y = points.get_data()
    first = rows[rows[:, 0] < 0.1]
    assert (x[0], y[0]) == pytest.approx((first[:, 0].mean(), first[:, 1].mean()))
    # Bars of right and wrong, one upon the other.
    assert sum(patch.get_height() for patch in counts.patches) == 90
    (tmp_path / "scores.json").write_text(json.dumps(_results(), default=float))
    tool["main"]([str(tmp_path / "scores.json"), "-o", str(tmp_path / "out.svg")])
    assert (tmp_path / "out.svg").stat().st_size > 5000


@pytest.mark.parametrize(
    ("name", "said"), [("mono", "mono has no confidence"), ("other", "expected one of slots, mono")]
)
def test_what_cannot_be_drawn_is_said(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text(json.dumps(_results(), default=float))
    with pytest.raises(SystemExit, match=said):
        runpy.run_path(str(SCRIPT))["main"](
            [str(tmp_path / "scores.json"), "--row", name, "-o", str(tmp_path / "o.png")]
        )

"""Confidence on the command line: what is low is said, and a calibration of other weights is refused."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tas_core.models.calibration import Calibration, read_calibration, write_calibration
from tas_core.models.checkpoints import load_checkpoint
from tests.conftest import Finished

Run = Callable[..., Finished]


@pytest.fixture
def doubting(calibrated: Path, tmp_path: Path) -> Path:
    """A model that is sure of nothing."""
    folder = shutil.copytree(calibrated, tmp_path / "doubting")
    known = read_calibration(folder, load_checkpoint(folder).digest)
    assert known is not None
    write_calibration(folder, replace(known, intercept=-4.0, low=1.0))
    return folder


def test_low_confidence_is_a_warning_and_no_error(
    tas: Run, make_audio: Callable[..., Path], doubting: Path, tmp_path: Path
) -> None:
    words = ["spatialize", make_audio(seconds=1.0), "-p", "tone left, noise right", "--model", doubting, "--json"]
    done = tas(*words, "-o", tmp_path / "out.wav", "--report", tmp_path / "out.html")
    assert done.code == 0
    said = re.findall(r"confidence of only (0\.\d\d) in '(\w+)' from 0:00 to 0:01", done.err)
    objects = json.loads(done.out)["objects"]
    assert said == [(f"{each['confidence']:.2f}", each["object"]) for each in objects]
    assert [name for _, name in said] == ["tone", "noise"]
    assert all(each["doubtful"] and 0 < each["confidence"] < 1 for each in objects)
    page = (tmp_path / "out.html").read_text("utf-8")
    assert all(f"\u2717 {confidence}" in page for confidence, _ in said)


def test_a_model_that_is_sure_says_nothing(
    tas: Run, make_audio: Callable[..., Path], calibrated: Path, tmp_path: Path
) -> None:
    words = ["spatialize", make_audio(seconds=1.0), "-p", "tone left, noise right", "--model", calibrated]
    done = tas(*words, "-o", tmp_path / "out.wav")
    assert (done.code, done.err) == (0, "")


def test_a_calibration_of_other_weights_is_refused(
    tas: Run, make_audio: Callable[..., Path], calibrated: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(calibrated, tmp_path / "stale")
    path = write_calibration(folder, Calibration("f" * 64, 0.0, {"sharpness": 1.0}, 0.2))
    done = tas("spatialize", make_audio(seconds=1.0), "-p", "tone left", "--model", folder, "-o", tmp_path / "out.wav")
    assert done.code == 2
    assert re.match(re.escape(f"{path} was fitted with another model (ffffffffffff) than this one ("), done.error_line)
    assert "fit it anew (tools/calibrate.py), or remove it to do without confidence" in done.error_line
    assert not (tmp_path / "out.wav").exists()
    assert tas("models", "info", folder).code == 2
    path.unlink()
    assert '"calibrated": false' in tas("models", "info", folder, "--json").out

"""Calibrations: what they make of evidence, the file beside the weights, and files that are not what they should be."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tas_core.errors import CheckpointError
from tas_core.models.calibration import CALIBRATION_FILE, Calibration, Evidence, read_calibration, write_calibration

SHOWN = Evidence(sharpness=0.75, presence=2.0, energy_share=0.5, alone=0.0, alone_presence=0.0)
MADE = Calibration("0123456789abcdef", -3.0, {"sharpness": 4.0, "presence": 0.5}, 0.25, {"split": "val"})


def test_confidence_is_a_logistic_function_of_evidence() -> None:
    assert MADE.confidence(SHOWN) == pytest.approx(1 / (1 + math.exp(-(-3.0 + 4.0 * 0.75 + 0.5 * 2.0))))
    assert MADE.confidence(replace(SHOWN, sharpness=0.25, presence=4.0)) == pytest.approx(0.5)
    # What has no weight does not count.
    assert MADE.confidence(replace(SHOWN, alone=1.0, energy_share=0.9, alone_presence=2.0)) == MADE.confidence(SHOWN)


@pytest.mark.parametrize(("intercept", "expected"), [(1e6, 1.0), (-1e6, 0.0)])
def test_what_is_beyond_doubt_is_still_a_probability(intercept: float, expected: float) -> None:
    found = replace(MADE, intercept=intercept).confidence(SHOWN)
    assert 0 <= found <= 1
    assert found == pytest.approx(expected, abs=1e-9)


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    assert write_calibration(tmp_path, MADE) == tmp_path / CALIBRATION_FILE
    assert read_calibration(tmp_path, MADE.model_digest) == MADE


def test_a_checkpoint_may_have_none(tmp_path: Path) -> None:
    assert read_calibration(tmp_path, MADE.model_digest) is None


def test_other_weights_need_a_calibration_of_their_own(tmp_path: Path) -> None:
    write_calibration(tmp_path, MADE)
    with pytest.raises(
        CheckpointError, match=r"fitted with another model \(0123456789ab\) than this one \(ffffffffffff\)"
    ):
        read_calibration(tmp_path, "f" * 64)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "format 2 cannot be read"),
        ({"weights": {}}, "weights of nothing, expected some of sharpness, presence"),
        ({"weights": {"loudness": 1.0}}, "weights of loudness, expected some of sharpness, presence"),
        ({"weights": {"presence": "1"}}, r"weights\['presence'\] must be float, not str '1'"),
        ({"low": 1.5}, "low is 1.5, expected 0 to 1"),
        ({"low": None}, "low must be"),
        ({"intercept": math.inf}, "intercept is inf, expected a finite number"),
        ({"weights": {"presence": math.nan}}, "presence is nan, expected a finite number"),
        ({"slope": 1}, "unknown key 'slope'"),
    ],
)
def test_what_is_no_calibration_is_refused_with_its_path(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = write_calibration(tmp_path, MADE)
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes))
    with pytest.raises(CheckpointError, match=said) as caught:
        read_calibration(tmp_path, MADE.model_digest)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_damaged_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / CALIBRATION_FILE).write_bytes(content)
    with pytest.raises(CheckpointError, match=CALIBRATION_FILE):
        read_calibration(tmp_path, MADE.model_digest)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / CALIBRATION_FILE).mkdir()
    with pytest.raises(CheckpointError, match=f"cannot read .*{CALIBRATION_FILE}"):
        read_calibration(tmp_path, MADE.model_digest)


def test_its_digest_depends_on_what_confidence_does() -> None:
    digests = {
        replace(MADE, **change).digest  # type: ignore[arg-type]
        for change in ({}, {"intercept": 0.0}, {"weights": {"presence": 1.0}}, {"low": 0.1}, {"model_digest": "other"})
    }
    assert len(digests) == 5
    assert replace(MADE, provenance={}).digest == MADE.digest

"""``tas eval``: how systems are written on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_cli.commands.eval import parse_row
from tas_core.errors import InputError
from tas_core.evaluation.metrics import binaqual, mrstft_error
from tas_core.evaluation.systems import SystemSpec
from tests.conftest import Finished


def test_rows_as_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b@3").mkdir()
    (tmp_path / "run@7").mkdir()
    assert parse_row("slots@5") == SystemSpec("slots@5", "slots", 5)
    assert parse_row("new=runs/x/checkpoint@2") == SystemSpec("new", "runs/x/checkpoint", 2)
    assert parse_row("slots", 4) == SystemSpec("slots", "slots", 4)
    assert parse_row("slots@2", 4) == SystemSpec("slots@2", "slots", 2)
    assert parse_row("mono", 4) == SystemSpec("mono", "mono", None)
    assert parse_row("floor=mono") == SystemSpec("floor", "mono")
    assert parse_row("a=b@3") == SystemSpec("a=b@3", "a=b@3")
    assert parse_row("x=run@7") == SystemSpec("x", "run@7")
    command = "command@2:python a=b.py {mono} {out}@3"
    assert parse_row(f"x={command}", 4) == SystemSpec("x", command)
    for text in ("", "=slots", "x=", "mono@2", "slots@0", command, "=" + command, "x=command:a {mono}"):
        with pytest.raises(InputError, match="--model"):
            parse_row(text)


def test_more_measures_of_files(tas: Callable[..., Finished], tmp_path: Path) -> None:
    truth = 0.1 * np.random.default_rng(0).standard_normal((16_000, 2))
    for name, ears in (("a", truth), ("b", truth + 0.05 * truth[::-1])):
        soundfile.write(tmp_path / f"{name}.wav", ears, 16_000, subtype="FLOAT")
    pair = ["eval", "files", tmp_path / "b.wav", tmp_path / "a.wav"]
    cited = {"binaqual", "gcc_itd_error_us", "mrstft"}
    plain = json.loads(tas(*pair, "--json").out)
    assert not cited & plain["rows"][0]["measures"].keys()
    more = json.loads(tas(*pair, "--also", "CITED", "--json").out)
    assert more["settings"]["also"] == ["cited"]
    assert more["rows"][0]["measures"].keys() == plain["rows"][0]["measures"].keys() | cited
    read = {name: soundfile.read(tmp_path / f"{name}.wav")[0].T for name in "ab"}
    found = more["rows"][0]["measures"]
    assert found["binaqual"]["mean"] == pytest.approx(float(binaqual(read["b"], read["a"], 16_000)))
    assert found["mrstft"]["mean"] == pytest.approx(float(mrstft_error(read["b"], read["a"])))
    assert "binaqual \u2191" in tas(*pair, "--also", "cited").out
    for words, said in (
        (["--also", "pesq"], "unknown measures 'pesq'; expected some of cited, speech"),
        (["--also", "cited", "--also", "cited"], "the measures 'cited' are requested twice"),
        (["--also", "confidence"], "files have no measures of 'confidence'; expected some of cited, speech"),
    ):
        done = tas(*pair, *words)
        assert done.code == 2
        assert done.error_line == said


def test_packages_that_are_missing_are_named_with_a_way_out(
    tas: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pesq", None)
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", np.full((16_000, 2), 0.1), 16_000)
    done = tas("eval", "files", tmp_path / "b.wav", tmp_path / "a.wav", "--also", "speech")
    assert done.code == 2
    assert done.error_line.endswith("(pip install 'tas[eval]')")
    assert "pesq" in done.error_line

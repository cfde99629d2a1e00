"""``tas eval``: how systems are written on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tas_cli.commands.eval import parse_row
from tas_core.errors import InputError
from tas_core.evaluation.systems import SystemSpec


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
    for text in ("", "=slots", "x=", "mono@2", "slots@0"):
        with pytest.raises(InputError, match="--model"):
            parse_row(text)

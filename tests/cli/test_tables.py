"""Tables: as wide as the terminal, or as they are; nothing else draws one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.text import Text

import tas_cli
from tas_cli.output.tables import print_table

LONG = "a very long name " * 12


def test_in_a_pipe_nothing_is_wrapped_or_padded(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "count"), [(LONG.strip(), "7"), (), ("[red]b[/red]", Text("12", style="bold"))], ("count",))
    lines = capsys.readouterr().out.splitlines()
    width = len(LONG.strip())
    assert lines == [
        f"{'name':{width}}  count",
        f"{LONG.strip()}      7",
        "",
        f"{'[red]b[/red]':{width}}     12",
    ]


def test_a_cell_may_have_several_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("", ""), [("one", "1.0\n+0.5"), ("two", "2.0")])
    assert capsys.readouterr().out.splitlines() == ["one  1.0", "     +0.5", "two  2.0"]


def test_on_a_terminal_a_table_is_as_wide_as_that(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tas_cli.output.tables.is_terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "40")
    print_table(("name", "count"), [(LONG, "7")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert max(map(len, lines)) <= 40


def test_only_one_module_draws_tables() -> None:
    found = [
        path.name for path in Path(tas_cli.__file__).parent.rglob("*.py") if "rich.table" in path.read_text("utf-8")
    ]
    assert found == ["tables.py"]


def test_only_one_module_writes_json() -> None:
    """The configuration's table shows single values as JSON has them."""
    folder = Path(tas_cli.__file__).parent
    found = {path.name for path in folder.rglob("*.py") if re.search(r"json\.dumps?\(", path.read_text("utf-8"))}
    assert found == {"json_lines.py", "config.py"}

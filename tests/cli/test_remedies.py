"""The core names no option; the command line knows one for everything that would help."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import tas_core
from tas_cli.main import app
from tas_cli.remedies import OPTIONS, complaint
from tas_core.errors import InputError, TasError

MODULES = sorted(Path(tas_core.__file__).parent.rglob("*.py"))
_PROGRAMS = ("timidity.py", "speech.py", "ffmpeg.py")  # these call other programs


def texts(module: Path) -> Iterator[str]:
    """Every text of a module but its docstrings."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    said = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) if _is_text(node.body)}
    said |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


def _is_text(body: list[Any]) -> bool:
    return bool(body) and isinstance(body[0], ast.Expr)


def test_no_message_of_the_core_names_an_option() -> None:
    named = [
        f"{module}: {text}"
        for module in MODULES
        if module.name not in _PROGRAMS
        for text in texts(module)
        if re.search(r"(?<![\w-])--[a-z]", text)
    ]
    assert not named


def test_the_core_and_the_table_speak_of_the_same_remedies() -> None:
    used = {
        value for module in MODULES for value in re.findall(r"remedy=\"(\w+)\"", module.read_text(encoding="utf-8"))
    }
    assert used == set(OPTIONS)


def test_options_of_the_table_exist() -> None:
    def options(command: Any) -> Iterator[str]:
        for child in getattr(command, "commands", {}).values():
            yield from options(child)
        for parameter in command.params:
            yield from parameter.opts

    known = set(options(typer.main.get_command(app)))
    assert {option for text in OPTIONS.values() for option in re.findall(r"--[a-z-]+", text)} <= known


@pytest.mark.parametrize("kind", [TasError, InputError])
def test_the_option_stands_behind_the_message(kind: type[TasError]) -> None:
    assert complaint(kind("out.wav: the file exists", remedy="overwrite")) == "out.wav: the file exists (--force)"
    assert complaint(kind("nothing helps")) == "nothing helps"


def test_an_error_keeps_its_remedy_on_the_way_from_another_process() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(InputError("no memory", remedy="jobs")))
    assert (type(error), str(error), error.remedy) == (InputError, "no memory", "jobs")

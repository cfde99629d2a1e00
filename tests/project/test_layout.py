"""The house is as ``docs/ARCHITECTURE.md`` draws it: packages and their charters, who knows whom, where tests lie."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.project.test_docs import exists

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "tas_core"
SOURCES = sorted(path for folder in (CORE, ROOT / "tas_cli") for path in folder.rglob("*.py"))
PACKAGES = sorted(path.parent.name for path in CORE.glob("*/__init__.py"))

PUBLIC = {
    "tas_core",
    "tas_core.audio",
    "tas_core.timeline",
    "tas_core.evaluation.metrics",
    "tas_core.jobs.request",
    "tas_core.jobs.process_file",
    "tas_core.jobs.batch.run",
    "tas_core.training.run",
    "tas_core.evaluation.runner",
    "tas_core.evaluation.files",
    "tas_core.reporting.plots.curves",
    "tas_core.reporting.plots.figures",
    "tas_core.reporting.report.page",
    "tas_core.acoustics.fidelity",
    "tas_core.acoustics.rooms",
    "tas_core.acoustics.sphere.paths",
    "tas_core.acoustics.sphere.places",
    "tas_core.acoustics.sphere.renderer",
    "tas_core.models.registry",
}
"""Modules whose names other people may import; ``docs/API.md`` has the names."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def charter(folder: Path) -> str:
    return " ".join((ast.get_docstring(tree(folder / "__init__.py")) or "").split())


# ------------------------------------------------------------------ packages


def test_the_core_holds_packages_and_two_loose_modules() -> None:
    entries = {path.name for path in CORE.iterdir() if path.name != "__pycache__"}
    assert entries - set(PACKAGES) == {"__init__.py", "conventions.py", "errors.py", "py.typed"}


def test_every_package_says_what_it_is() -> None:
    folders = {path.parent for path in CORE.rglob("*.py")}
    assert [str(folder) for folder in sorted(folders) if not charter(folder)] == []


def test_the_table_of_packages_is_their_charters() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text.split("\n## ")[1], re.MULTILINE))
    assert rows == {name: charter(CORE / name) for name in PACKAGES}


def test_every_package_has_its_row_and_none_escapes_the_contract() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (layers,) = (c for c in linter["contracts"] if c["type"] == "layers" and c["containers"] == ["tas_core"])
    assert layers["exhaustive"] is True
    named = [name for row in layers["layers"] for name in row.split(" | ")]
    assert sorted(named) == sorted([*PACKAGES, "conventions", "errors"])
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    assert "\n".join(layers["layers"]) in text


# ------------------------------------------------------------------ modules


def imported_modules() -> set[str]:
    """All modules of the program that another one imports, also late or for types, or hands out by name."""
    known = {module_name(path) for path in SOURCES}
    found: set[str] = set()
    for path in SOURCES:
        own = module_name(path)
        for node in ast.walk(tree(path)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found |= {name for name in names if name in known and name != own}
    return found


def test_every_module_is_needed() -> None:
    """By another one, by the people who may import it, or since it is where the program begins."""
    modules = {module_name(path) for path in SOURCES if path.name != "__init__.py"}
    assert modules - imported_modules() - PUBLIC - {"tas_cli.__main__"} == set()


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_modules_are_there(name: str) -> None:
    assert importlib.import_module(name).__doc__


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """String literals of a module with their lines, but for docstrings of whatever kind."""
    module = tree(path)
    words = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in words:
            yield node.lineno, node.value


def test_the_core_names_nothing_of_the_command_line() -> None:
    """Its messages are read in programs, too; ``tas_cli`` knows the options and commands that go with them."""
    named = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in SOURCES
        if path.is_relative_to(CORE)
        for line, text in messages(path)
        if re.search(r"--[a-z]|'tas [a-z]", text) and not re.fullmatch(r"--[a-z-]+", text)  # a word for another program
    ]
    assert named == []


_REFERENCE = re.compile(r":(mod|class|func|meth|attr|data|exc):`~?(tas_core[\w.]+)`")


def test_references_of_docstrings_lead_somewhere() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES
        for kind, name in _REFERENCE.findall(path.read_text("utf-8"))
        if not exists(name.rpartition(".")[0] if kind == "attr" else name)  # attributes may be those of instances
    ]
    assert wrong == []


def test_only_the_models_know_their_classes() -> None:
    """Everybody else asks a model what it can do; ``SpatialModel`` is what all of them are (``models/base.py``)."""
    classes = {
        node.name
        for path in (CORE / "models").rglob("*.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Model", "Net", "Config"))
    } - {"SpatialModel"}
    assert {"SlotsModel", "PaperModel"} <= classes
    asked = []
    for path in SOURCES:
        if path.is_relative_to(CORE / "models"):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                names = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
                asked += [f"{path.relative_to(ROOT)}:{node.lineno}: {name}" for name in names & classes]
    assert asked == []


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many parameters a function has, ``self`` and ``cls`` not counted, ``**settings`` as one."""
    given = function.args
    names = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    return len([name for name in names if name.arg not in ("self", "cls")])


@pytest.mark.parametrize("package", PACKAGES)
def test_at_most_seven_parameters(package: str) -> None:
    """Settings travel as one object; the public ``spatialize`` takes its flat keywords as ``**settings``."""
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {parameters(node)}"
        for path in sorted((CORE / package).rglob("*.py"))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and parameters(node) > 7
    ]
    assert long == []


# ------------------------------------------------------------------ tests


def test_tests_mirror_the_packages() -> None:
    """``tests/<package>/`` is where the tests of a package are; three folders are about something else."""
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {*PACKAGES, "cli", "data", "project", "support"}
    assert {path.name for path in (ROOT / "tests").glob("*.py")} == {"__init__.py", "conftest.py"}
    inner = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    tested = {folder.relative_to(ROOT / "tests") for folder in inner} - {Path("cli"), Path("project")}
    assert [str(folder) for folder in sorted(tested) if not (CORE / folder).is_dir()] == []


# ------------------------------------------------------------------ memory


FEW = {("simulation.py", "_synth"), ("configs.py", "_hints")}
"""Caches without a bound whose keys are few: installed soundfonts, and classes of settings."""


def test_every_cache_has_a_bound() -> None:
    """A process may answer for days, and no prompt, name or file of the past may stay with it for good."""
    unbounded = set()
    for path in SOURCES:
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.FunctionDef):
                continue
            for decorator in map(ast.unparse, node.decorator_list):
                is_cache = decorator.split("(")[0] in ("cache", "functools.cache") or "maxsize=None" in decorator
                if is_cache and (node.args.args or node.args.kwonlyargs):
                    unbounded.add((path.name, node.name))
    assert unbounded == FEW

"""The scripts of the pages are all checked: types by TypeScript, the rest by a linter, in versions that are pinned."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools" / "page"
SCRIPTS = {path for path in (ROOT / "tas_core").rglob("*") if path.suffix in (".js", ".mjs", ".cjs", ".ts")}


def test_every_script_is_in_a_project_whose_types_are_checked_strictly() -> None:
    base = json.loads((TOOLS / "tsconfig.json").read_text())["compilerOptions"]
    assert base.items() >= {"checkJs": True, "strict": True, "noEmit": True}.items()
    command = json.loads((TOOLS / "package.json").read_text())["scripts"]["types"]
    checked = set()
    for name in re.findall(r"-p (\S+)", command):
        project = json.loads((TOOLS / name).read_text())
        assert project["extends"] == "./tsconfig.json"
        assert set(project) == {"extends", "include"}
        checked |= {found.resolve() for pattern in project["include"] for found in found_by(pattern)}
    assert checked == SCRIPTS
    assert len(SCRIPTS) > 15


def found_by(pattern: str) -> list[Path]:
    folder, _, name = pattern.rpartition("/")
    return sorted((TOOLS / folder).glob(name))


def test_no_script_asks_not_to_be_checked() -> None:
    for path in SCRIPTS:
        said = re.findall(r"@ts-(?:nocheck|ignore|expect-error)|biome-ignore|eslint-disable", path.read_text())
        assert said == [], path


def test_what_checks_is_pinned_and_the_checks_need_it() -> None:
    wanted = json.loads((TOOLS / "package.json").read_text())["devDependencies"]
    locked = json.loads((TOOLS / "package-lock.json").read_text())["packages"]
    assert locked[""]["devDependencies"] == wanted
    for name, version in wanted.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert locked[f"node_modules/{name}"]["version"] == version
    assert all("integrity" in item and "resolved" not in item for name, item in locked.items() if name)
    makefile = (ROOT / "Makefile").read_text()
    assert "\ncheck: install check-page\n" in makefile
    assert "make check\n" in (ROOT / ".ci" / "run").read_text()

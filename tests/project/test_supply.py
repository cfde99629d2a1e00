"""What comes along and what goes out: licences, code in data, other machines, and wheels that can be built again."""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
CODE = [path for folder in ("tas_core", "tas_cli", "tools", "benchmarks", "scripts", "examples") for path in
        sorted((ROOT / folder).rglob("*.py"))]  # fmt: skip
RUNS_DATA = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
"""Modules whose readers run code that data hold."""


def _calls(tree: ast.AST) -> list[str]:
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_runs_from_data(path: Path) -> None:
    """No pickle in whatever clothes, no eval, no YAML that makes objects."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.partition(".")[0] for name in names} & RUNS_DATA
    for call in _calls(tree):
        assert call not in ("eval", "exec", "torch.load", "yaml.unsafe_load", "yaml.full_load", "__import__"), call
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
            assert not any(keyword.arg == "allow_pickle" for keyword in node.keywords)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "yaml.load":
            loaders = [ast.unparse(k.value) for k in node.keywords if k.arg == "Loader"] or [ast.unparse(node.args[1])]
            assert loaders[0] in ("_LOADER", "yaml.SafeLoader", "yaml.CSafeLoader")


def test_licences_of_what_is_installed_are_on_the_page() -> None:
    module = load_script("tools/make_licenses.py")
    page = (ROOT / "docs" / "LICENSES.md").read_text().splitlines()
    said = dict(line.split(" | ")[:2] for line in page if line.startswith("| "))
    installed = {f"| {name}": module.licence(package) for name, (package, _) in module.closure().items()}
    assert len(installed) > 30
    assert {"| numpy", "| torch", "| typer", "| soundfile"} <= set(installed)
    assert not set(installed) - set(said), "packages are not on the page: run tools/make_licenses.py"
    for name in ("| numpy", "| torch", "| typer", "| soxr"):
        assert said[name] == installed[name]


@pytest.mark.parametrize("path", sorted((ROOT / "constraints").glob("*.txt")), ids=lambda path: path.stem)
def test_known_versions_are_those_that_the_project_allows(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    known = {name: Version(version) for name, _, version in (line.partition("==") for line in lines)}
    assert len(known) == len(lines) > 80
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
        *project["optional-dependencies"]["eval"],
    ]
    for line in wanted:
        needed = Requirement(line)
        if needed.name != "tas":
            assert known[canonicalize_name(needed.name)] in needed.specifier, line


def test_tests_reach_no_other_machine() -> None:
    with pytest.raises(OSError, match="no other machine"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(OSError, match="no other machine"):
        socket.create_connection(("example.org", 80), timeout=1)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as there:
        assert there.getpeername() == server.getsockname()


@pytest.mark.slow
def test_the_main_job_needs_no_network(tmp_path: Path) -> None:
    """In a network namespace of its own, where nothing but the process itself can be reached."""
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespaces here")
    tas = Path(sys.executable).with_name("tas")
    words = ["spatialize", ROOT / "examples" / "voice.wav", "-p", "a man talking on the left", "-o", tmp_path / "o.wav"]
    done = subprocess.run([*alone, tas, *words], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "o.wav").stat().st_size > 100_000


@pytest.mark.slow
def test_a_wheel_is_the_same_bytes_when_it_is_built_again(tmp_path: Path) -> None:
    """From another folder, at another time, with another mask of permissions."""
    digests = []
    for name, mask in (("one", 0o022), ("two", 0o077)):
        source = tmp_path / name / "tas"
        tracked = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False)
        if tracked.returncode:
            pytest.skip("not a git checkout")
        for file in filter(None, tracked.stdout.split("\0")):
            if file.startswith(("tas_", "prompts/", "pyproject", "README", "LICENSE")):
                target = source / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, target, follow_symlinks=False)
                if not target.is_symlink():
                    os.utime(target, (10**9 * (len(digests) + 1),) * 2)
        command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path / name, source]
        before = os.umask(mask)
        try:
            subprocess.run(command, capture_output=True, check=True, timeout=200)
        finally:
            os.umask(before)
        (wheel,) = (tmp_path / name).glob("*.whl")
        digests.append(hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert digests[0] == digests[1]

"""What comes along and what goes out: licences, code in data, other machines, and wheels that can be built again."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
CODE = [path for folder in ("tas_core", "tas_cli", "tools", "benchmarks", "scripts", "examples") for path in
        sorted((ROOT / folder).rglob("*.py"))]  # fmt: skip
RUNS_DATA = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
"""Modules whose readers run code that data hold."""
RUNS_ARGUMENTS = {
    *("eval", "exec", "compile", "__import__", "torch.load", "torch.jit.load", "torch.hub.load", "torch.package"),
    *("yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "numpy.lib.format.read_array", "pandas.read_pickle"),
}
"""Functions that do, under their full names."""
SAFE_LOADERS = {"_LOADER", "yaml.SafeLoader", "yaml.CSafeLoader"}


def full_names(tree: ast.AST) -> dict[str, str]:
    """What names in a module stand for: ``np`` for ``numpy``, ``load`` for ``torch.load``."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def runs_data(source: str) -> list[str]:
    """What in a module may run code that data hold: a pickle in whatever clothes, eval, YAML that makes objects."""
    tree = ast.parse(source)
    names, found = full_names(tree), []
    for node in ast.walk(tree):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [module for module in modules if module.partition(".")[0] in RUNS_DATA]
        if not isinstance(node, ast.Call):
            continue
        first, dot, rest = ast.unparse(node.func).partition(".")
        called = names.get(first, first) + dot + rest
        found += [called] if called in RUNS_ARGUMENTS else []
        if called == "importlib.import_module" and node.args and isinstance(node.args[0], ast.Constant):
            found += [called] if str(node.args[0].value).partition(".")[0] in RUNS_DATA else []
        found += [f"{called}({keyword.arg}=...)" for keyword in node.keywords if keyword.arg == "allow_pickle"
                  and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)]  # fmt: skip
        found += ["numpy.load(with a pickle)"] if called == "numpy.load" and len(node.args) > 2 else []
        if called == "yaml.load":
            loaders = [ast.unparse(k.value) for k in node.keywords if k.arg == "Loader"] + [
                ast.unparse(argument) for argument in node.args[1:2]
            ]
            found += [] if loaders and loaders[0] in SAFE_LOADERS else [called]
    return found


TIME_OF_DAY = {
    "time.time": (),
    "time.time_ns": (),
    "datetime.datetime.now": ("tas_core/evaluation/results.py",),  # a date beside results, for people
    "datetime.datetime.utcnow": (),
    "os.path.getmtime": (),
}
"""Where the time of day may be asked for."""


def calls(source: str) -> Iterator[str]:
    """What a module calls, by its full names."""
    tree = ast.parse(source)
    names = full_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = ast.unparse(node.func).partition(".")
            yield names.get(first, first) + dot + rest


def asks_time_of_day(source: str, path: str) -> list[str]:
    """Where a module asks for the time of day, and may not."""
    return [called for called in calls(source) if path not in TIME_OF_DAY.get(called, (path,))]


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_runs_from_data_nor_decides_by_the_time_of_day(path: Path) -> None:
    """Clocks jump, and files come from other machines: durations are monotonic, and what is complete is there.

    Nor does it leave what outlives it: processes share pipes and files, and no semaphores that have names.
    """
    source, name = path.read_text(), str(path.relative_to(ROOT))
    assert runs_data(source) == []
    assert not name.startswith("tas_core") or asks_time_of_day(source, name) == []
    assert not name.startswith(("tas_core", "tas_cli")) or named_semaphores(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import shelve as s",
        "import importlib\nimportlib.import_module('marshal')",
        "import torch\ntorch.load('x')",
        "from torch import load\nload('x')",
        "import torch as t\nt.jit.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy as np\nnp.load('x', None, True)",
        "import numpy as np\nnp.load('x', allow_pickle=wanted)",
        "from numpy import load\nload('x', allow_pickle=True)",
        "import pandas as pd\npd.read_pickle('x')",
        "import yaml\nyaml.load(text)",
        "import yaml\nyaml.load(text, yaml.Loader)",
        "from yaml import unsafe_load\nunsafe_load(text)",
        "eval(text)",
    ],
)
def test_code_that_would_run_data_is_found(source: str) -> None:
    assert runs_data(source) != []


NAMED = {
    *("Queue", "SimpleQueue", "JoinableQueue", "Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "Event"),
    *("Barrier", "Value", "Array", "Pool", "Manager", "ProcessPoolExecutor"),
}
"""What processes share by semaphores with names, which stay in ``/dev/shm`` where all of them are killed."""


def named_semaphores(source: str) -> list[str]:
    """Calls that make one."""
    packages = ("multiprocessing.", "torch.multiprocessing.", "concurrent.futures.")
    return [
        called
        for called in calls(source)
        if called.rpartition(".")[2] in NAMED and (called.startswith(packages) or "context" in called)
    ]


def test_semaphores_with_names_are_found() -> None:
    found = named_semaphores("from multiprocessing import Queue, get_context\nQueue()\nget_context('spawn').Lock()\n")
    found += named_semaphores("from concurrent.futures import ProcessPoolExecutor as P\nP(2)\n")
    assert [name.rpartition(".")[2] for name in found] == ["Queue", "Lock", "ProcessPoolExecutor"]
    assert not named_semaphores("import threading, queue\nthreading.Lock()\nqueue.Queue(3)\nPool(1)\n")


def test_a_clock_that_is_asked_is_found() -> None:
    assert asks_time_of_day("import time as t\nt.time()", "x.py") == ["time.time"]
    assert asks_time_of_day("from datetime import datetime\ndatetime.now(UTC)", "x.py") == ["datetime.datetime.now"]
    assert asks_time_of_day("import time\ntime.monotonic()", "x.py") == []


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\nnp.load('x')\nnp.load('x', allow_pickle=False)",
        "import yaml\nyaml.load(text, Loader=yaml.CSafeLoader)",
        "import re\nre.compile('x')",
        "import json\njson.load(file)",
    ],
)
def test_code_that_reads_is_not_taken_for_it(source: str) -> None:
    assert runs_data(source) == []


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


def test_the_bill_of_materials_has_every_requirement_with_its_version() -> None:
    module = load_script("tools/make_sbom.py")
    bill = module.bill()
    listed = {item["name"]: item for item in bill["components"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for line in project["dependencies"]:
        needed = Requirement(line)
        name = canonicalize_name(needed.name)
        assert Version(listed[name]["version"]) in needed.specifier, line
        assert listed[name]["purl"] == f"pkg:pypi/{name}@{distribution(name).version}"
        assert listed[name]["licenses"][0]["license"]["name"]
    direct = next(item for item in bill["dependencies"] if item["ref"] == bill["metadata"]["component"]["bom-ref"])
    wanted = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    assert {ref.split("/")[1].split("@")[0] for ref in direct["dependsOn"]} == wanted
    assert (bill["bomFormat"], bill["metadata"]["component"]["version"]) == ("CycloneDX", project["version"])
    assert {item["ref"] for item in bill["dependencies"]} == {
        bill["metadata"]["component"]["bom-ref"],
        *(item["bom-ref"] for item in listed.values()),
    }
    assert "pytest" not in listed
    assert {"pytest", "hypothesis"} <= {item["name"] for item in module.bill("dev")["components"]}


@pytest.mark.parametrize("path", sorted((ROOT / "constraints").glob("*.txt")), ids=lambda path: path.stem)
def test_known_versions_are_those_that_the_project_allows(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    known = {name: Version(version) for name, _, version in (line.partition("==") for line in lines)}
    assert len(known) == len(lines) > 80
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
        *(line for extra in ("eval", "ray", "s3", "scale") for line in project["optional-dependencies"][extra]),
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


def test_what_is_published_does_not_say_where_its_makers_keep_things() -> None:
    """No folder of one machine in the settings of shipped weights or in measured results."""
    folders = ("tas_core/models/weights", "benchmarks/results", "docs", "examples", "prompts")
    texts = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".json", ".yaml")]
    assert len(texts) > 20
    home = re.compile(r"(?<![\w.])/(?:root|home/\w+|Users/\w+|work)/")
    assert [path.relative_to(ROOT) for path in texts if home.search(path.read_text(encoding="utf-8"))] == []


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

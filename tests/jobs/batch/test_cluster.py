"""Batches on a Ray cluster: what is asked of it, what it may answer, and, where Ray is installed, the real thing."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tas_core.errors import InputError, TasError
from tas_core.jobs.batch import cluster
from tas_core.jobs.batch.cluster import PACKAGES, RayCluster, RayEngine
from tas_core.jobs.batch.inputs import find_inputs
from tas_core.jobs.batch.plan import Destinations, plan_batch
from tas_core.jobs.batch.run import run_batch
from tas_core.jobs.batch.worker import FileOutcome, FileTask
from tas_core.jobs.spatialize import FileWorker, JobSettings
from tas_core.system.processes import usable_cores
from tests.conftest import TAS, Finished
from tests.jobs.batch.conftest import PROMPT, write_sounds
from tests.support.processes import children, wait_for_end

needs_ray = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in PACKAGES), reason="needs ray: pip install 'tas[ray]'"
)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all packages were there."""
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda _: object())


# ------------------------------------------------------------------ what is asked


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("address", ["local", "localhost:6379", "10.0.0.7:1", "[::1]:65535", "a-b.c_d:80"])
def test_addresses(address: str) -> None:
    assert RayCluster.read(address, 3) == RayCluster(address, 3)


@pytest.mark.parametrize(
    "address",
    ["", "auto", "localhost", "ray://head:10001", "http://x:1", "head:0", "head:65536", "h:1\n", "h h:1", "::1"],
)
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(InputError) as caught:
        RayCluster.read(address)
    assert str(caught.value).endswith(" is not the address of a Ray cluster, expected local, or HOST:PORT of a cluster")


@pytest.mark.parametrize(("missing", "words"), [({"ray"}, "ray is"), ({"pandas", "pyarrow"}, "pandas and pyarrow are")])
def test_what_is_not_installed_is_said_before_any_work(
    tas: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: set[str], words: str
) -> None:
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None if name in missing else object())
    done = tas("spatialize", tmp_path, "--out-dir", tmp_path / "out", "-p", PROMPT, "--ray", "local")
    assert (done.code, done.out) == (2, "")
    expected = f"a Ray cluster needs further packages, and {words} not installed (pip install 'tas[ray]')"
    assert done.error_line == expected
    assert list(tmp_path.iterdir()) == []


def test_one_output_takes_no_cluster(tas: Callable[..., Finished], make_audio: Callable[..., Path]) -> None:
    done = tas("spatialize", make_audio(), "-p", PROMPT, "-o", "out.wav", "--ray", "local")
    assert (done.code, done.error_line) == (2, "--ray is for many files, and --out names one")


@pytest.mark.usefixtures("installed")
def test_a_cluster_that_does_not_answer_is_said_and_nothing_is_left(
    settings: JobSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_import_ray", lambda: SimpleNamespace())
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    batch = plan_batch(find_inputs(write_sounds(tmp_path / "in", 1)), Destinations(tmp_path / "out"), prompt=PROMPT)
    before = dict(os.environ)
    with pytest.raises(TasError) as caught:
        run_batch(batch, settings, cluster=RayCluster(f"127.0.0.1:{port}"))
    assert str(caught.value) == (
        f"127.0.0.1:{port}: no Ray cluster answers (Connection refused), expected local, or HOST:PORT of a cluster that"
        " runs"
    )
    assert caught.value.exit_code == 1
    assert os.environ == before
    assert os.listdir(tmp_path) == ["in"]


@pytest.mark.parametrize(
    ("there", "wanted", "files", "device", "found"),
    [
        ({"CPU": 8.0}, None, 100, "auto", (8, 1, 0.0)),
        ({"CPU": 8.0}, 3, 100, "auto", (3, 1, 0.0)),
        ({"CPU": 8.0}, None, 2, "cpu", (2, 1, 0.0)),
        ({"CPU": 8.0}, 40, 100, "auto", (8, 1, 0.0)),
        ({"CPU": 64.0, "GPU": 4.0}, None, 100, "auto", (4, 1, 1.0)),
        ({"CPU": 64.0, "GPU": 4.0}, 12, 100, "cuda", (12, 1, 0.3333)),
        ({"CPU": 64.0, "GPU": 4.0}, None, 100, "cpu", (64, 1, 0.0)),
        ({"CPU": 2.0, "GPU": 4.0}, None, 100, "auto", (2, 1, 1.0)),
    ],
)
def test_actors_and_what_each_takes(
    there: dict[str, float], wanted: int | None, files: int, device: str, found: tuple[int, int, float]
) -> None:
    pool = RayCluster("head:1", wanted)._pool(there, files, device)
    assert (pool.actors, pool.threads, pool.gpus) == found
    assert pool.actors * pool.gpus <= there.get("GPU", 0.0)


@pytest.mark.parametrize(
    ("there", "device", "words"),
    [({}, "auto", "has no CPU to give"), ({"CPU": 4.0}, "cuda", "has no GPU, expected one")],
)
def test_a_cluster_without_what_is_needed_is_said(there: dict[str, float], device: str, words: str) -> None:
    with pytest.raises(TasError, match=words):
        RayCluster("head:1")._pool(there, 1, device)


# ------------------------------------------------------------------ what it may answer


class RayError(Exception):
    """What Ray raises."""


def pretended(between: Callable[[Iterable[dict[str, Any]]], Iterable[dict[str, Any]]] = lambda blocks: blocks) -> Any:
    """Ray in this process: rows go through the worker one by one, and answers come as ``between`` has them."""

    class Remote:
        def __init__(self, cls: type) -> None:
            self._cls = cls

        def remote(self, *arguments: Any) -> Any:
            made = self._cls(*arguments)
            return SimpleNamespace(begin=SimpleNamespace(remote=made.begin))

    class Rows:
        def __init__(self, rows: list[dict[str, Any]], override_num_blocks: int) -> None:
            assert override_num_blocks == len(rows)
            self._rows = rows

        def map_batches(self, cls: type, *, fn_constructor_args: tuple[Any, ...], **_: Any) -> Rows:
            self._worker = cls(*fn_constructor_args)
            return self

        def iter_batches(self, **_: Any) -> Iterable[dict[str, Any]]:
            return between(self._worker({"number": [row["number"]], "task": [row["task"]]}) for row in self._rows)

    return SimpleNamespace(
        remote=lambda **_: Remote,
        get=lambda value: value,
        kill=lambda _: None,
        data=SimpleNamespace(from_items=Rows, ActorPoolStrategy=SimpleNamespace),
        exceptions=SimpleNamespace(RayError=RayError),
        get_runtime_context=lambda: SimpleNamespace(was_current_actor_reconstructed=False),
    )


@pytest.fixture
def computed(
    settings: JobSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> Callable[..., list[tuple[int, FileOutcome]]]:
    """Computes three files on a cluster that is none; their sounds are in ``in``."""
    del one_thread
    monkeypatch.chdir(tmp_path)
    batch = plan_batch(find_inputs(write_sounds(tmp_path / "in", 3)), Destinations(tmp_path / "out"), prompt=PROMPT)
    (tmp_path / "out").mkdir()

    def compute(ray: Any, model: JobSettings = settings) -> list[tuple[int, FileOutcome]]:
        monkeypatch.setitem(sys.modules, "ray", ray)
        engine = RayEngine(ray, cluster.Pool(1, 1, 0.0), in_advance=1)
        return list(engine.compute([FileTask(request, False) for request in batch.requests], FileWorker(model)))

    return compute


def test_every_row_has_its_outcome(computed: Callable[..., list[tuple[int, FileOutcome]]], tmp_path: Path) -> None:
    found = computed(pretended(lambda blocks: reversed(list(blocks))))
    assert [number for number, _ in found] == [2, 1, 0]
    assert all(outcome.result is not None for _, outcome in found)
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_row_that_is_answered_twice_counts_once(computed: Callable[..., list[tuple[int, FileOutcome]]]) -> None:
    found = computed(pretended(lambda blocks: [block for block in blocks for _ in range(2)]))
    assert [number for number, _ in found] == [0, 1, 2]


def test_a_row_without_an_answer_is_said(computed: Callable[..., list[tuple[int, FileOutcome]]]) -> None:
    with pytest.raises(TasError, match="ended without an answer for 1 of 3 files"):
        computed(pretended(lambda blocks: list(blocks)[1:]))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("\n  The node died.\nTraceback ...", "The node died."),
        ("", "RayError"),
        (
            "The actor died: \x1b[36mray::W\x1b[39m\n  File x\nModuleNotFoundError: No module named 'tas_core'",
            "ModuleNotFoundError: No module named 'tas_core'; its nodes need tas of this version, with its packages",
        ),
    ],
)
def test_what_the_cluster_says_is_one_line(
    computed: Callable[..., list[tuple[int, FileOutcome]]], said: str, expected: str
) -> None:
    def fail(blocks: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        del blocks
        raise RayError(said)
        yield

    with pytest.raises(TasError) as caught:
        computed(pretended(fail))
    assert str(caught.value) == f"the Ray cluster cannot go on: {expected}"


def test_ray_that_does_not_work_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(TasError, match="Ray is installed, and does not work"):
        cluster._import_ray()


def test_a_model_that_cannot_be_used_is_said_once(
    computed: Callable[..., list[tuple[int, FileOutcome]]], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="none"):
        computed(pretended(), JobSettings(model_name=str(tmp_path / "none")))


# ------------------------------------------------------------------ the real thing


COUNT = 12


@pytest.fixture
def batch(tiny_model: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A run in two workers on a cluster of its own that is half-way, and all processes of it."""
    write_sounds(tmp_path / "in", COUNT, seconds=15.0)
    # A module of this name is none of Python's, which a worker would load from the folder that it works in.
    (tmp_path / "wave.py").write_text("raise SystemExit('run from the working folder')\n")
    command = [
        *(str(TAS), "spatialize", "in", "--out-dir", "out", "--model", str(tiny_model), "-p", PROMPT),
        *("--json", "--ray", "local", "--jobs", "2"),
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    out, began = tmp_path / "out", time.monotonic()
    while len(list(out.glob("*.wav"))) < COUNT // 4 or not list(out.glob(".tas-*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - began < 550
        time.sleep(0.02)
    started = list(children(process.pid))
    yield process, started
    if process.poll() is None:
        process.kill()
        process.communicate()
    wait_for_end(started)


def sessions(pid: int) -> list[Path]:
    """Folders of clusters that a process started; Ray's own names end with its number."""
    temporary = Path(tempfile.gettempdir())
    return [*temporary.glob(f".tas-*.parts/session_*_{pid}"), *Path("/tmp").glob(f"ray/session_*_{pid}")]


@needs_ray
@pytest.mark.slow
@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_a_worker_that_is_killed_loses_nothing_and_makes_nothing_twice(
    batch: tuple[subprocess.Popen[str], list[int]], settings: JobSettings, tmp_path: Path, tas: Callable[..., Finished]
) -> None:
    process, started = batch
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.wav")}
    workers = [pid for pid in started if "MapWorker" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    out, err = process.communicate(timeout=550)
    assert (process.returncode, err) == (0, f"{COUNT} of {COUNT} done\n")
    results = [json.loads(line) for line in out.splitlines()]
    names = [f"out/v{number:02}.binaural.wav" for number in range(COUNT)]
    assert sorted(result["output"] for result in results) == names
    assert sorted(f"out/{path.name}" for path in (tmp_path / "out").iterdir()) == names
    assert {path: path.stat().st_mtime_ns for path in before} == before
    wait_for_end(started)
    done = tas(
        "spatialize", tmp_path / "in", "--out-dir", tmp_path / "one", "-p", PROMPT, "--model", settings.model_name
    )
    assert done.code == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()


@needs_ray
@pytest.mark.slow
@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_an_interrupt_ends_the_cluster_and_leaves_nothing(
    batch: tuple[subprocess.Popen[str], list[int]], tmp_path: Path
) -> None:
    process, started = batch
    assert len(sessions(process.pid)) == 1
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, "tas: interrupted\n")
    wait_for_end(started)
    assert sessions(process.pid) == []
    assert list((tmp_path / "out").glob(".*")) == []
    assert COUNT // 4 <= len(list((tmp_path / "out").iterdir())) < COUNT

"""Batches in several processes: the same files, and what is left of one that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.errors import InputError
from tas_core.jobs.batch.inputs import find_inputs
from tas_core.jobs.batch.plan import BatchPlan, Destinations, plan_batch
from tas_core.jobs.batch.run import run_batch
from tas_core.jobs.batch.worker import FileOutcome
from tas_core.jobs.spatialize import JobSettings
from tas_core.system.processes import usable_cores
from tests.conftest import TAS
from tests.jobs.batch.conftest import PROMPT, write_sounds
from tests.support.processes import children, wait_for_end

LONG = 12
"""Files of a batch that is ended half-way."""


def leftovers(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob(".*")]


def plan(sources: list[Path], folder: Path, **more: bool) -> BatchPlan:
    return plan_batch(find_inputs(sources), Destinations(folder), prompt=PROMPT, **more)


# ------------------------------------------------------------------ processes


@pytest.mark.slow
def test_processes_give_the_same_files_and_share_the_cores(settings: JobSettings, tmp_path: Path) -> None:
    sounds = write_sounds(tmp_path / "in", 6, seconds=2.0)
    told: list[FileOutcome] = []
    shares: list[float] = []
    many = run_batch(plan(sounds, tmp_path / "many"), settings, jobs=2, on_outcome=told.append, progress=shares.append)
    one = run_batch(plan(sounds, tmp_path / "one"), settings)
    assert [outcome.request.source for outcome in many] == sounds
    assert sorted(map(str, told)) == sorted(map(str, many))
    assert shares == pytest.approx(np.arange(1, 7) / 6)
    for a, b in zip(many, one, strict=True):
        assert a.result is not None
        # Fewer threads sum in another order.
        np.testing.assert_allclose(soundfile.read(a.request.out)[0], soundfile.read(b.request.out)[0], atol=1e-6)


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_is_said_once(tmp_path: Path) -> None:
    sounds = write_sounds(tmp_path / "in", 4)
    with pytest.raises(InputError, match="none"):
        run_batch(plan(sounds, tmp_path / "out"), JobSettings(model_name=str(tmp_path / "none")), jobs=2)
    assert sorted(os.listdir(tmp_path)) == ["in"]


# ------------------------------------------------------------------ killed


@pytest.fixture
def long_batch(tiny_model: Path, tmp_path: Path) -> list[str]:
    """A command for some files, of which each takes some time."""
    write_sounds(tmp_path / "in", LONG, seconds=15.0)
    return [
        *(str(TAS), "spatialize", str(tmp_path / "in"), "--out-dir", str(tmp_path / "out"), "--model", str(tiny_model)),
        *("-p", PROMPT, "--skip-existing"),
    ]


def run_until_half(command: list[str], out: Path) -> tuple[subprocess.Popen[str], list[int]]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    began = time.monotonic()
    while time.monotonic() - began < 200:
        assert process.poll() is None, process.communicate()[1]
        if len(list(out.glob("*.wav"))) >= LONG // 4 and leftovers(out):
            return process, list(children(process.pid))
        time.sleep(0.005)
    process.kill()
    process.communicate()
    raise AssertionError("the batch did not get half-way")


def check_whole(folder: Path) -> None:
    for path in folder.iterdir():
        assert soundfile.info(path).frames == 120_000


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_batch_that_was_ended_half_way_goes_on(
    long_batch: list[str], tmp_path: Path, jobs: int, number: signal.Signals
) -> None:
    command = [*long_batch, "--jobs", str(jobs)]
    process, started = run_until_half(command, tmp_path / "out")
    process.send_signal(number)
    err = process.communicate(timeout=60)[1]
    wait_for_end(started)
    if number == signal.SIGINT:
        assert (process.returncode, err) == (130, "tas: interrupted\n")
        assert leftovers(tmp_path / "out") == []
    made = len(list((tmp_path / "out").glob("*.wav")))
    assert LONG // 4 <= made < LONG
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.wav")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert (done.returncode, done.stderr) == (0, f"{LONG - made} of {LONG} done, {made} skipped\n")
    assert len(list((tmp_path / "out").iterdir())) == LONG
    assert leftovers(tmp_path / "out") == []
    check_whole(tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_a_process_that_is_killed_fails_its_file_and_another_goes_on(long_batch: list[str], tmp_path: Path) -> None:
    process, started = run_until_half([*long_batch, "--jobs", "2"], tmp_path / "out")
    [server] = {pid for pid in started if len(list(children(pid))) > 0}
    workers = list(children(server))
    assert len(workers) == 2
    threads = min(usable_cores() // 2, int(os.environ["OMP_NUM_THREADS"]))
    for pid in workers:
        assert f"OMP_NUM_THREADS={threads}" in Path(f"/proc/{pid}/environ").read_text().split("\0")
    os.kill(workers[0], signal.SIGKILL)
    err = process.communicate(timeout=200)[1]
    assert process.returncode == 1
    failure, summary = err.splitlines()
    assert failure.endswith(
        ": the process that worked on it was killed (out of memory?), try fewer processes (fewer --jobs)"
    )
    assert summary == f"{LONG - 1} of {LONG} done, 1 failed"
    assert leftovers(tmp_path / "out") == []
    check_whole(tmp_path / "out")

"""Two runs on one folder, and clocks that are wrong: what is made is whole, once, and nobody's work is lost."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tas_core.errors import InputError
from tas_core.jobs.batch.inputs import find_inputs
from tas_core.jobs.batch.plan import BatchPlan, Destinations, plan_batch
from tas_core.jobs.batch.run import run_batch
from tas_core.jobs.request import sidecar_path
from tas_core.jobs.spatialize import FileWorker, JobSettings
from tests.jobs.batch.conftest import PROMPT, write_sounds

COUNT = 3
FUTURE_S = 4_000_000_000


def plan(sounds: list[Path], folder: Path, **more: bool) -> BatchPlan:
    return plan_batch(find_inputs(sounds), Destinations(folder), prompt=PROMPT, **more)


def whole(folder: Path) -> dict[str, int]:
    """When each output was made; all of them can be read to their ends."""
    for path in folder.iterdir():
        assert soundfile.info(path).frames == 2400
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_what_another_run_made_since_the_plan_is_left_out(settings: JobSettings, tmp_path: Path) -> None:
    sounds, out = write_sounds(tmp_path / "in", COUNT), tmp_path / "out"
    mine, other = (plan(sounds, out, skip_existing=True) for _ in range(2))
    run_batch(other, settings)
    before = whole(out)
    assert len(before) == COUNT
    found = run_batch(mine, settings)
    assert [outcome.skipped for outcome in found] == [True] * COUNT
    assert whole(out) == before


def test_what_another_run_makes_at_the_same_moment_is_made_once(
    settings: JobSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are at the same file, and the other one is first to put it in its place."""
    sounds, out = write_sounds(tmp_path / "in", COUNT), tmp_path / "out"
    make, times = FileWorker.make, dict[str, int]()

    def made_by_both(self: FileWorker, request: Any, **how: Any) -> Any:
        if request.source == sounds[1]:
            make(self, request, **how)
            times.update(whole(out))
        return make(self, request, **how)

    monkeypatch.setattr(FileWorker, "make", made_by_both)
    found = run_batch(plan(sounds, out, skip_existing=True), settings)
    assert [outcome.skipped for outcome in found] == [False, True, False]
    assert times.items() <= whole(out).items()
    assert len(whole(out)) == COUNT


def test_without_leave_to_skip_it_is_an_error_and_the_other_runs_file_stays(
    settings: JobSettings, tmp_path: Path
) -> None:
    sounds, out = write_sounds(tmp_path / "in", COUNT), tmp_path / "out"
    mine = plan(sounds, out)
    run_batch(plan(sounds[:1], out), settings)
    before = whole(out)
    with pytest.raises(InputError, match="the file exists"):
        run_batch(mine, settings)
    assert whole(out) == before


def test_files_from_the_future_are_skipped_and_made_as_others(settings: JobSettings, tmp_path: Path) -> None:
    """A clock that was wrong, or is: whether a file is complete is not told by its time."""
    sounds, out = write_sounds(tmp_path / "in", COUNT), tmp_path / "out"
    run_batch(plan(sounds[:1], out), settings)
    (out / ".tas-0123456789ab.part").touch()
    for path in (*sounds, *out.iterdir()):
        os.utime(path, (FUTURE_S, FUTURE_S))
    found = run_batch(plan(sounds, out, skip_existing=True), settings)
    assert [outcome.skipped for outcome in found] == [True, False, False]
    assert len(whole(out)) == COUNT


def test_what_a_killed_run_left_half_is_made_again_as_if_it_had_never_been_there(
    settings: JobSettings, tmp_path: Path
) -> None:
    """Also what the file beside the output tells of the options: nobody asked for anything to be overwritten."""
    sounds, told = write_sounds(tmp_path / "in", 1), []
    settings = replace(settings, options=replace(settings.options, sidecar=True))
    for half in (False, True):
        out = tmp_path / f"out{half}"
        made = plan(sounds, out, skip_existing=True, sidecar=True)
        if half:
            out.mkdir()
            made.requests[0].out.write_bytes(b"whole, but its sidecar is missing")
            made = plan(sounds, out, skip_existing=True, sidecar=True)
            assert made.again == {0}
        run_batch(made, settings)
        told.append(json.loads(sidecar_path(made.requests[0].out).read_text())["settings"])
    assert told[0] == told[1]
    assert told[0]["overwrite"] is False

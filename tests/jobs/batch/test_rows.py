"""What a worker of a cluster does with its rows: the same files, and what comes again after a kill."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from tas_core.errors import InputError
from tas_core.jobs.batch.inputs import find_inputs
from tas_core.jobs.batch.plan import Destinations, plan_batch
from tas_core.jobs.batch.rows import MOST_ATTEMPTS, Attempts, RowWorker
from tas_core.jobs.batch.run import run_batch
from tas_core.jobs.batch.worker import FileOutcome, FileTask
from tas_core.jobs.request import FileOptions, sidecar_path
from tas_core.jobs.spatialize import FileWorker, JobSettings
from tests.jobs.batch.conftest import PROMPT, write_sounds

pytestmark = pytest.mark.usefixtures("one_thread")


def tasks(sounds: list[Path], folder: Path, *, overwrite: bool = False) -> list[FileTask]:
    found = plan_batch(find_inputs(sounds), Destinations(folder), prompt=PROMPT, overwrite=overwrite)
    folder.mkdir(exist_ok=True)
    return [FileTask(request, overwrite) for request in found.requests]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that workers change to; this process gets its own back."""
    monkeypatch.chdir("/")
    return tmp_path


def answers(worker: RowWorker, *rows: tuple[int, FileTask]) -> list[FileOutcome | Exception]:
    found = worker({"number": [number for number, _ in rows], "task": [task for _, task in rows]})
    assert found["number"].tolist() == [number for number, _ in rows]
    return list(found["answer"])


def make(worker: RowWorker, number: int, task: FileTask) -> FileOutcome:
    [answer] = answers(worker, (number, task))
    assert isinstance(answer, FileOutcome), answer
    return answer


def test_rows_become_the_files_of_a_batch_also_below_the_folder_of_who_asked(settings: JobSettings, here: Path) -> None:
    settings = replace(settings, options=FileOptions(subtype="PCM_16"))  # a WAV file of floats has a time of day in it
    sounds = write_sounds(here / "in", 3)
    run_batch(plan_batch(find_inputs(sounds), Destinations(here / "batch"), prompt=PROMPT), settings)
    (here / "rows").mkdir()
    relative = plan_batch(find_inputs([Path("in", s.name) for s in sounds]), Destinations(Path("rows")), prompt=PROMPT)
    worker = RowWorker(FileWorker(settings), str(here), 1, Attempts().begin)
    rows = [(7 + n, FileTask(request, False)) for n, request in enumerate(relative.requests)]
    found = answers(worker, *rows)
    assert [answer.error for answer in found if isinstance(answer, FileOutcome)] == [""] * 3
    assert os.getcwd() == str(here)
    for path in (here / "batch").iterdir():
        assert path.read_bytes() == (here / "rows" / path.name).read_bytes()
    result = found[0].result  # type: ignore[union-attr]
    assert result is not None
    assert (result.source, result.output) == ("in/v00.wav", "rows/v00.binaural.wav")


@pytest.mark.parametrize("sidecar", [False, True])
def test_what_a_killed_worker_had_made_is_left_as_it_is(settings: JobSettings, here: Path, sidecar: bool) -> None:
    settings = replace(settings, options=replace(settings.options, sidecar=sidecar))
    [task] = tasks(write_sounds(here / "in", 1), here / "out")
    attempts = Attempts()
    assert not make(RowWorker(FileWorker(settings), str(here), 1, attempts.begin), 0, task).skipped
    before = {path: path.stat().st_mtime_ns for path in (here / "out").iterdir()}
    assert len(before) == 1 + sidecar
    again = make(RowWorker(FileWorker(settings), str(here), 1, attempts.begin), 0, task)
    assert (again.skipped, again.error) == (True, "")
    assert {path: path.stat().st_mtime_ns for path in (here / "out").iterdir()} == before


def test_what_a_killed_worker_had_made_in_part_is_made_again(settings: JobSettings, here: Path) -> None:
    settings = replace(settings, options=replace(settings.options, sidecar=True))
    [task] = tasks(write_sounds(here / "in", 1), here / "out")
    attempts = Attempts()
    worker = RowWorker(FileWorker(settings), str(here), 1, attempts.begin)
    make(worker, 0, task)
    sidecar_path(task.request.out).unlink()
    again = make(worker, 0, task)
    assert again.result is not None
    assert sidecar_path(task.request.out).exists()


def test_an_output_that_somebody_else_made_is_an_error_the_first_time(settings: JobSettings, here: Path) -> None:
    """Without leave to skip, as in any batch; and it stays as it is."""
    [task] = tasks(write_sounds(here / "in", 1), here / "out")
    task.request.out.write_bytes(b"theirs")
    found = make(RowWorker(FileWorker(settings), str(here), 1, Attempts().begin), 0, task)
    assert "the file exists" in found.error
    assert task.request.out.read_bytes() == b"theirs"


def test_with_leave_to_overwrite_it_is_made_again(settings: JobSettings, here: Path) -> None:
    [task] = tasks(write_sounds(here / "in", 1), here / "out", overwrite=True)
    task.request.out.write_bytes(b"of an earlier run")
    worker = RowWorker(FileWorker(settings), str(here), 1, Attempts(lambda: True).begin)
    assert make(worker, 0, task).result is not None
    assert task.request.out.stat().st_size > 100


def test_a_file_that_costs_a_worker_each_time_fails(settings: JobSettings, here: Path) -> None:
    [task, other] = tasks(write_sounds(here / "in", 2), here / "out")
    attempts = Attempts()
    for _ in range(MOST_ATTEMPTS):
        attempts.begin(3)
    worker = RowWorker(FileWorker(settings), str(here), 1, attempts.begin)
    found = make(worker, 3, task)
    assert found.error == (
        f"{task.request.source}: tried 3 times, and each time the process that worked on it was killed (out of"
        " memory?), try fewer processes"
    )
    assert (found.remedy, found.code, list((here / "out").iterdir())) == ("jobs", 1, [])
    assert make(worker, 4, other).result is not None


def test_who_counts_after_another_was_killed_takes_every_file_for_begun() -> None:
    assert [Attempts().begin(0), Attempts(lambda: True).begin(0)] == [1, 2]
    counting = Attempts()
    assert [counting.begin(0), counting.begin(0), counting.begin(1)] == [1, 2, 1]


def test_a_model_that_cannot_be_used_ends_the_batch(here: Path) -> None:
    [task] = tasks(write_sounds(here / "in", 1), here / "out")
    worker = RowWorker(FileWorker(JobSettings(model_name=str(here / "none"))), str(here), 1, Attempts().begin)
    [answer] = answers(worker, (0, task))
    assert isinstance(answer, InputError)
    assert "none" in str(answer)


def test_a_folder_that_a_worker_does_not_have_ends_the_batch(settings: JobSettings, here: Path) -> None:
    [task] = tasks(write_sounds(here / "in", 1), here / "out")
    worker = RowWorker(FileWorker(settings), str(here / "elsewhere"), 1, Attempts().begin)
    [answer] = answers(worker, (0, task))
    assert isinstance(answer, InputError)
    assert str(answer).startswith(f"{here / 'elsewhere'}: a worker of the cluster cannot work there (No such file")


def test_a_worker_of_another_version_ends_the_batch(settings: JobSettings, here: Path) -> None:
    [task] = tasks(write_sounds(here / "in", 1), here / "out")
    [answer] = answers(RowWorker(FileWorker(settings), str(here), 1, Attempts().begin, "0.0.1"), (0, task))
    assert isinstance(answer, InputError)
    assert str(answer) == f"a worker of the cluster has version {version('tas')} of tas, expected 0.0.1 as here"

"""Programs of other people and folders for one run: what is left of them when this process is killed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tas_core.errors import InputError
from tas_core.system import programs
from tas_core.system.programs import captured, run_program, temporary_folder
from tests.support.processes import wait_for_end

OWNER = (
    "import sys, tempfile\n"
    "from pathlib import Path\n"
    "from tas_core.system.programs import run_program, temporary_folder\n"
    "tempfile.tempdir = sys.argv[1]\n"
    "with temporary_folder() as folder:\n"
    "    words = ['sh', '-c', f'echo $$ > {sys.argv[1]}/pid; exec sleep 600']\n"
)
RUNS = {
    "run_program": "    run_program(words, folder / 'said')\n",
    "run_ffmpeg": "    from tas_core.audio.ffmpeg import run_ffmpeg\n"
    "    run_ffmpeg(words, Path('/dev/null'), tempfile.TemporaryFile())\n",
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the kernel of Linux")
@pytest.mark.parametrize("name", RUNS)
def test_of_a_killed_process_its_program_ends_and_the_next_removes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER + RUNS[name], tmp_path]) as owner:
        began = time.monotonic()
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            assert owner.poll() is None
            assert time.monotonic() - began < 60
            time.sleep(0.01)
        program = int((tmp_path / "pid").read_text())
        owner.send_signal(signal.SIGKILL)
    while Path(f"/proc/{program}").exists() and "Z" not in Path(f"/proc/{program}/stat").read_text().split()[2]:
        assert time.monotonic() - began < 90, "the program goes on"
        time.sleep(0.01)
    (left,) = tmp_path.glob(".tas-*")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary_folder() as folder:
        assert not left.exists()
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep").mkdir()
        (folder / "deep" / "file").touch()
    assert os.listdir(tmp_path) == ["pid"]


def test_an_interrupt_while_a_program_is_being_started_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes when the program runs, and before anybody has been told its number."""
    start = subprocess.Popen
    pids = []

    def started(*words: Any, **how: Any) -> subprocess.Popen[bytes]:
        process = start(*words, **how)
        pids.append(process.pid)
        signal.raise_signal(signal.SIGINT)
        return process

    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(programs.subprocess, "Popen", started)
    with pytest.raises(KeyboardInterrupt):
        captured(["sleep", "600"])
    assert len(pids) == 1
    wait_for_end(pids)
    assert signal.getsignal(signal.SIGINT) == handler


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_program_that_is_left_before_its_end_is_ended(error: type[BaseException]) -> None:
    with pytest.raises(error), programs.running(["sleep", "600"], stdout=subprocess.PIPE) as process:  # noqa: PT012
        raise error
    assert process.returncode == -signal.SIGKILL
    assert process.stdout is not None
    assert process.stdout.closed


def test_what_a_program_writes_is_captured_and_one_that_takes_long_is_stopped() -> None:
    done = captured(["sh", "-c", "cat; echo no >&2; exit 3"], said=b"yes" * 100_000)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"yes" * 100_000, b"no\n")
    with pytest.raises(subprocess.TimeoutExpired):
        captured(["sleep", "600"], timeout_s=0.05)
    with pytest.raises(FileNotFoundError):
        captured(["a program that is not there"])


def test_a_log_that_cannot_be_closed_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network drive that is full, which says so late."""

    class Full(io.FileIO):
        def close(self) -> None:
            failing = not self.closed
            super().close()
            if failing:
                raise OSError(28, "No space left on device")

    monkeypatch.setattr(programs, "open", lambda path, _: Full(path, "w"), raising=False)
    run_program(["sh", "-c", "echo well"], tmp_path / "said")
    monkeypatch.setattr(programs, "_last_line", lambda _: "")
    with pytest.raises(InputError, match="^sh failed with exit code 3$"):
        run_program(["sh", "-c", "exit 3"], tmp_path / "said")

"""Programs of other people and folders for one run: what is left of them when this process is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tas_core.system.programs import temporary_folder

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

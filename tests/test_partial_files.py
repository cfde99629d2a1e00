"""Partial files: who writes one keeps it, what a killed process left is removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tas_core.partial_files import PartialFile, remove_stale

WRITER = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from tas_core.partial_files import PartialFile\n"
    "partial = PartialFile(Path(sys.argv[1]))\n"
    "print(partial.path.name, flush=True)\n"
    "time.sleep(60)\n"
)


def test_what_is_being_written_is_kept_and_what_a_killed_process_left_is_not(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        mine = PartialFile(tmp_path)
        assert remove_stale(tmp_path) == 0
        assert sorted(os.listdir(tmp_path)) == sorted([name, mine.path.name])
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert remove_stale(tmp_path) == 1
    assert os.listdir(tmp_path) == [mine.path.name]
    mine.remove()
    assert os.listdir(tmp_path) == []


def test_only_files_with_our_names_are_removed(tmp_path: Path) -> None:
    for name in (".tas-0123456789ab.part", ".tas-mine.part", "x.part", ".tas-0123456789ab.part.wav"):
        (tmp_path / name).touch()
    (tmp_path / ".tas-ffffffffffff.part").mkdir()
    assert remove_stale(tmp_path) == 1
    assert not (tmp_path / ".tas-0123456789ab.part").exists()
    assert len(os.listdir(tmp_path)) == 4
    assert remove_stale(tmp_path / "missing") == 0


def test_a_file_that_was_moved_to_its_place_stays_there(tmp_path: Path) -> None:
    partial = PartialFile(tmp_path)
    partial.path.write_text("complete")
    os.replace(partial.path, tmp_path / "out")
    partial.remove()
    assert (tmp_path / "out").read_text() == "complete"

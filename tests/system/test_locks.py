"""A lock is held by one program, and by nobody after its end, however it ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tas_core.errors import InputError
from tas_core.system.locks import alone_in, holding

HOLD = "import sys, time; from pathlib import Path; from tas_core.system.locks import holding\n" \
    "with holding(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"  # fmt: skip


def test_one_holds_it_and_the_next_is_told_who(tmp_path: Path) -> None:
    path = tmp_path / ".a.lock"
    with holding(path) as first:
        assert first is None
        with holding(path) as second:
            assert second == str(os.getpid())
        assert path.exists()  # who was refused took nothing away
    assert not path.exists()
    with holding(path) as third:
        assert third is None


def test_who_was_killed_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / ".a.lock"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with holding(path) as other:
        assert other == str(process.pid)
    process.kill()
    process.communicate()
    assert path.exists()
    with holding(path) as other:
        assert other is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_worked_in_by_one_at_a_time(tmp_path: Path) -> None:
    with alone_in(tmp_path, "bakes"):
        says = rf"{tmp_path}: another program bakes there \(process {os.getpid()}\); expected to be alone"
        with pytest.raises(InputError, match=says), alone_in(tmp_path, "bakes"):
            raise AssertionError("let in")
    with alone_in(tmp_path, "bakes"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_where_there_can_be_no_lock_nobody_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "none" / "x", tmp_path / "link"):
        with holding(path) as other, holding(path) as another:
            assert (other, another) == (None, None)
    assert not (tmp_path / "elsewhere").exists()

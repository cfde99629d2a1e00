"""Partial files: who writes one keeps it, what a killed process left is removed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import numpy as np
import pytest

from tas_core.audio.formats import AudioFormat
from tas_core.audio.writer import AudioWriter
from tas_core.errors import InputError, TasError
from tas_core.system.files import write_files
from tas_core.system.partial_files import PartialFile, PartialFolder, remove_stale

WRITER = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from tas_core.system import partial_files\n"
    "partial = getattr(partial_files, sys.argv[1])(Path(sys.argv[2]))\n"
    "if partial.path.is_dir():\n"
    "    (partial.path / 'deep').mkdir()\n"
    "    (partial.path / 'deep' / 'file').touch()\n"
    "print(partial.path.name, flush=True)\n"
    "time.sleep(60)\n"
)


@pytest.mark.parametrize("kind", [PartialFile, PartialFolder])
def test_what_is_being_written_is_kept_and_what_a_killed_process_left_is_not(
    tmp_path: Path, kind: type[PartialFile | PartialFolder]
) -> None:
    command = [sys.executable, "-c", WRITER, kind.__name__, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        mine = kind(tmp_path)
        assert remove_stale(tmp_path) == 0
        assert sorted(os.listdir(tmp_path)) == sorted([name, mine.path.name])
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert remove_stale(tmp_path) == 1
    assert os.listdir(tmp_path) == [mine.path.name]
    mine.remove()
    assert os.listdir(tmp_path) == []


ENDER = (
    "import os, sys\n"
    "from pathlib import Path\n"
    "from tas_core.system import partial_files\n"
    "for kind in ('PartialFile', 'PartialFolder'):\n"
    "    getattr(partial_files, kind)(Path(sys.argv[1]))\n"
    "if os.fork() == 0:\n"
    "    sys.exit()\n"
    "os.wait()\n"
    "assert len(os.listdir(sys.argv[1])) == 2, 'a child removed what is not its own'\n"
    "raise KeyboardInterrupt\n"
)


def test_a_process_that_is_interrupted_before_it_can_clean_up_removes_its_own(tmp_path: Path) -> None:
    """An interruption between the making of a file and the statement that would see to its end."""
    kept = PartialFile(tmp_path.parent)
    found = subprocess.run([sys.executable, "-c", ENDER, tmp_path], capture_output=True, text=True, timeout=60)
    assert "KeyboardInterrupt" in found.stderr
    assert os.listdir(tmp_path) == []
    assert kept.path.exists()
    kept.remove()


def test_only_files_with_our_names_are_removed(tmp_path: Path) -> None:
    for name in (".tas-0123456789ab.part", ".tas-mine.part", "x.part", ".tas-0123456789ab.part.wav"):
        (tmp_path / name).touch()
    (tmp_path / ".tas-ffffffffffff.part").mkdir()
    (tmp_path / ".tas-ffffffffffff.parts").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".tas-eeeeeeeeeeee.parts").symlink_to(tmp_path / "elsewhere")
    assert remove_stale(tmp_path) == 1
    assert not (tmp_path / ".tas-0123456789ab.part").exists()
    assert len(os.listdir(tmp_path)) == 7
    assert remove_stale(tmp_path / "missing") == 0


def test_a_file_that_was_moved_to_its_place_stays_there(tmp_path: Path) -> None:
    partial = PartialFile(tmp_path)
    partial.path.write_text("complete")
    partial.move(tmp_path / "out", overwrite=False)
    partial.remove()
    assert (tmp_path / "out").read_text() == "complete"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("links", [True, False])
def test_what_is_there_is_replaced_only_with_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Also on file systems without hard links."""
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "no links here")))
    (tmp_path / "out").write_text("mine")
    partial = PartialFile(tmp_path)
    partial.path.write_text("complete")
    with pytest.raises(FileExistsError):
        partial.move(tmp_path / "out", overwrite=False)
    assert (tmp_path / "out").read_text() == "mine"
    partial.move(tmp_path / "new", overwrite=False)
    partial.remove()
    assert (tmp_path / "new").read_text() == "complete"
    partial = PartialFile(tmp_path)
    partial.path.write_text("other")
    partial.move(tmp_path / "out", overwrite=True)
    partial.remove()
    assert (tmp_path / "out").read_text() == "other"
    assert sorted(os.listdir(tmp_path)) == ["new", "out"]


def test_a_file_that_appears_while_another_is_made_is_kept(tmp_path: Path) -> None:
    """Checks before any work know nothing of it."""
    out = tmp_path / "out.wav"

    def made_meanwhile() -> None:
        with AudioWriter(out, AudioFormat(16_000, 1, 10, "FLOAT")) as writer:
            writer.write(np.zeros((1, 10)))
            out.write_text("mine")

    with pytest.raises(InputError, match=r"out\.wav: the file exists"):
        made_meanwhile()
    with pytest.raises(InputError, match=r"out\.wav: the file exists"):
        write_files({tmp_path / "first": b"new", out: b"new"}, overwrite=False)
    assert os.listdir(tmp_path) == ["out.wav"]
    assert out.read_text() == "mine"
    write_files({out: b"new"}, overwrite=True)
    assert out.read_text() == "new"


def test_what_killed_processes_left_goes_when_a_process_first_writes_there(tmp_path: Path) -> None:
    """Whatever it writes, and once: a folder may hold very many files."""
    left = tmp_path / ".tas-0123456789ab.part"
    left.touch()
    PartialFile(tmp_path).remove()
    assert not left.exists()
    left.touch()
    PartialFolder(tmp_path).remove()
    assert left.exists()


def test_a_handle_that_cannot_be_closed_does_not_hide_what_went_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on network drives; nothing was written by that handle."""

    def fail() -> NoReturn:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    partial = PartialFile(tmp_path)
    partial._file.close()
    monkeypatch.setattr(partial, "_file", SimpleNamespace(close=fail))
    partial.remove()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("links", [True, False])
def test_where_one_of_several_files_cannot_be_placed_the_earlier_are_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Without a second name nothing can be had back, and what was replaced stays."""
    paths = [tmp_path / name for name in "abc"]
    for path in paths[:2]:
        path.write_bytes(b"old")
    replace = os.replace

    def fail_at_c(source: Path, target: Path) -> None:
        if Path(target) == paths[2]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_at_c)
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "no links here")))
    with pytest.raises(TasError, match=r"c: cannot write the file \(Input/output error\)"):
        write_files(dict.fromkeys(paths, b"new"))
    was = b"old" if links else b"new"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": was, "b": was}


def test_new_files_beside_old_ones_go_where_a_later_one_cannot_be_placed(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()  # no file takes the place of a folder
    (tmp_path / "b").write_bytes(b"old")
    with pytest.raises(TasError, match="c: cannot write the file"):
        write_files({tmp_path / name: b"new" for name in "abc"})
    assert (tmp_path / "b").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["b", "c"]

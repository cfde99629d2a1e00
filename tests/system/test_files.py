"""Files and folders that appear whole: together or not at all, and nothing is replaced unasked."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tas_core.errors import InputError, TasError
from tas_core.system.files import check_new_file, check_path, make_folder, whole_folder, write_files
from tas_core.system.partial_files import PartialFile, remove_stale


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_new_files_that_are_written_together_all_appear_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    move = PartialFile.move

    def failing(self: PartialFile, target: Path, *, overwrite: bool) -> None:
        if target.name == "b":
            raise error
        move(self, target, overwrite=overwrite)

    monkeypatch.setattr(PartialFile, "move", failing)
    with pytest.raises((TasError, KeyboardInterrupt)):
        write_files({tmp_path / "a": b"1", tmp_path / "b": b"2", tmp_path / "c": b"3"}, overwrite=False)
    assert os.listdir(tmp_path) == []


# ------------------------------------------------------------------ folders


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with whole_folder(out) as part:
        (part / "deep").mkdir()
        (part / "deep" / "file").write_text("complete")
        assert not out.exists()
        assert remove_stale(tmp_path) == 0
    assert (out / "deep" / "file").read_text() == "complete"
    assert os.listdir(tmp_path) == ["out"]


FULL = (28, "No space left on device")


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (lambda _: OSError(*FULL), TasError, "{out}: cannot write the folder (No space left"),
        (lambda part: OSError(*FULL, str(part / "file")), TasError, "{out}: cannot write the folder (No space left"),
        (lambda part: OSError(*FULL, b"/a", None, bytes(part / "b")), TasError, "{out}: cannot write the folder (No"),
        (lambda _: OSError(*FULL, "/elsewhere"), OSError, "[Errno 28] No space left on device: '/elsewhere'"),
        (lambda _: KeyboardInterrupt(), KeyboardInterrupt, ""),
    ],
)
def test_of_a_folder_that_cannot_be_completed_nothing_is_left(
    tmp_path: Path, error: Callable[[Path], BaseException], kind: type[BaseException], said: str
) -> None:
    def broken() -> None:
        with whole_folder(tmp_path / "out") as part:
            (part / "file").touch()
            raise error(part)

    with pytest.raises(kind, match="^" + re.escape(said.replace("{out}", str(tmp_path / "out")))):
        broken()
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_there_is_replaced_only_with_permission(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def make(name: str, appears: bool = False, overwrite: bool = False) -> None:
        with whole_folder(out, overwrite=overwrite) as part:
            (part / name).touch()
            if appears:
                (out / "mine").mkdir(parents=True)

    with pytest.raises(InputError, match=r"out: exists; expected the name of a new folder"):
        make("late", appears=True)
    with pytest.raises(InputError, match=r"out: exists"):
        make("new")
    assert os.listdir(out) == ["mine"]
    make("new", overwrite=True)
    assert os.listdir(out) == ["new"]
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_that_cannot_be_made_or_moved_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()

    def make(path: Path) -> None:
        with whole_folder(path) as part:
            (part / "inside").touch()

    with pytest.raises(InputError, match=r"file/out: no folder can be made in .*file \(Not a directory\)"):
        make(tmp_path / "file" / "out")
    monkeypatch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(TasError, match=r"out: cannot write the folder \(No space left on device\); is the disk full\?"):
        make(tmp_path / "out")
    assert os.listdir(tmp_path) == ["file"]


def test_an_address_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths have one stroke where addresses have two: ``s3://bucket/key`` is a folder ``s3:`` then."""
    monkeypatch.chdir(tmp_path)
    url = "s3://bucket/key"
    for refuse in (make_folder, check_new_file, lambda path: whole_folder(path).__enter__()):
        with pytest.raises(InputError, match=f"^{url}: an address, expected a path"):
            refuse(Path(url))
    assert not list(tmp_path.iterdir())
    Path("s3:").mkdir()
    make_folder(Path("s3:/folder"))  # that is one, since there is one
    assert Path("s3:", "folder").is_dir()
    with pytest.raises(InputError, match=f"^{url}: an address"):
        check_path(url)


@pytest.mark.parametrize("name", ["a:b", "a/s3://b", "/s3:/b", "s3:", "12:30/a", ":/b", "c:/windows"])
def test_names_with_colons_are_paths(name: str) -> None:
    check_path(Path(name))

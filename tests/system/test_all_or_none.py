from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tas_core.system.all_or_none import AllOrNone


@contextmanager
def making(path: Path, seen: list[str], fails: bool = False) -> Iterator[None]:
    """Makes a file at its end, if it is left without an error."""
    try:
        yield
    except BaseException as error:
        seen.append(f"{path.name}: {type(error).__name__}")
        raise
    if fails:
        raise OSError("full")
    path.write_text("made")
    seen.append(f"{path.name}: made")


def run(folder: Path, fails: str = "", *, error: bool = False) -> list[str]:
    paths, seen = [folder / name for name in "abc"], list[str]()
    with AllOrNone([folder, *paths]) as together:
        folder.mkdir(exist_ok=True)
        for path in paths:
            together.enter(making(path, seen, path.name == fails), [path])
        if error:
            raise KeyError("mine")
    return seen


def test_all_appear(tmp_path: Path) -> None:
    assert run(tmp_path / "f") == ["a: made", "b: made", "c: made"]
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == ["a", "b", "c"]


@pytest.mark.parametrize("fails", ["a", "b", "c"])
def test_where_one_fails_none_is_left_nor_the_folder(tmp_path: Path, fails: str) -> None:
    with pytest.raises(OSError, match="full"):
        run(tmp_path / "f", fails)
    assert list(tmp_path.iterdir()) == []


def test_an_error_within_is_told_to_all_and_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="mine"):
        run(tmp_path / "f", error=True)
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_before_is_not_removed(tmp_path: Path) -> None:
    for name in "ax":
        (tmp_path / name).write_text("mine")
    with pytest.raises(OSError, match="full"):
        run(tmp_path, "c")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "made", "x": "mine"}


def test_a_file_of_somebody_else_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    """One that could not be made is none of ours."""
    together = AllOrNone([tmp_path / "a"])
    together.enter(making(tmp_path / "a", [], fails=True), [tmp_path / "a"])
    (tmp_path / "a").write_text("theirs")
    with pytest.raises(OSError, match="full"):
        together.__exit__(None, None, None)
    assert (tmp_path / "a").read_text() == "theirs"

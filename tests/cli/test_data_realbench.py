"""``tas data realbench``: a data set that the other commands take, or one line that says what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Finished
from tests.support import real_recordings

Run = Callable[..., Finished]


@pytest.fixture
def recordings(tmp_path: Path) -> Iterator[Path]:
    root = real_recordings.write_recordings(tmp_path / "recordings")
    with pytest.MonkeyPatch.context() as patch:
        real_recordings.use(patch)
        yield root
    real_recordings.forget()


def test_what_it_makes_is_checked_counted_and_evaluated(tas: Run, recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "real"
    made = ("--recordings", recordings, "--out", out, "--clips", "2", "--rate", "8000", "--seed", "1", "--jobs", "1")
    done = tas("data", "realbench", *made)
    assert (done.code, done.out.strip()) == (0, str(out))
    done = tas("data", "check", out, "--jobs", "1")
    assert (done.code, done.err.strip()) == (0, "2 clips, 0 errors, 0 warnings")
    assert tas("data", "stats", out, "--jobs", "1").code == 0
    done = tas("eval", "data", out, "--model", "truth", "--model", "mono", "--jobs", "1")
    assert done.code == 0
    assert "rank_object" in done.out


def test_a_folder_without_recordings_is_named_and_nothing_is_written(tas: Run, tmp_path: Path) -> None:
    done = tas("data", "realbench", "--recordings", tmp_path, "--out", tmp_path / "real")
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert f"{tmp_path}: holds no recordings of " in line
    assert "scripts/install-realbench.sh" in line
    assert not (tmp_path / "real").exists()

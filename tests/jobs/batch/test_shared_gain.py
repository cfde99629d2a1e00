"""One gain for all files of a run: whichever process makes them, whatever fails, and wherever a run was broken off."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio.ear_meter import Reach
from tas_core.jobs.batch.shared_gain import compared, shared_gain_db
from tas_core.jobs.batch.worker import FileOutcome
from tas_core.jobs.request import FileRequest
from tests.conftest import Finished, tone

Run = Callable[..., Finished]
RATE = 8000
LEVELS = (0.05, 0.99, 0.4)
"""Of the clicks in the three files; beside the head the middle one passes full scale."""


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Three parts of a programme: the same sound at three levels."""
    folder = tmp_path / "in"
    folder.mkdir()
    sound = np.random.default_rng(0).uniform(-1, 1, 2400)
    for name, level in zip("abc", LEVELS, strict=True):
        soundfile.write(folder / f"{name}.wav", level * sound / np.abs(sound).max(), RATE)
    return folder


@pytest.fixture
def make(tas: Run, tiny_model: Path, parts: Path, tmp_path: Path) -> Callable[..., tuple[Finished, dict[str, dict]]]:
    """Run ``--clip rescale-all`` on the parts; what it says, and its JSON by the names of the files."""

    def run(*more: object, out: str = "out") -> tuple[Finished, dict[str, dict]]:
        words = ("spatialize", parts, "--out-dir", tmp_path / out, "-p", "a click far left", "--model", tiny_model)
        done = tas(*words, "--clip", "rescale-all", "--json", *more)
        lines = [json.loads(line) for line in done.out.splitlines()]
        return done, {Path(line.get("source", line.get("input"))).stem: line for line in lines}

    return run


def _ears(folder: Path) -> dict[str, np.ndarray]:
    return {path.name[0]: soundfile.read(path)[0] for path in sorted(folder.glob("*.wav"))}


def _is_one_sound(ears: dict[str, np.ndarray]) -> None:
    """The files are the same sound at the levels of their inputs: none was turned down by itself."""
    for name, level in zip("abc", LEVELS, strict=True):
        if name in ears:
            np.testing.assert_allclose(ears[name] / level, ears["b"] / 0.99, rtol=0, atol=2e-3)


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_all_files_get_the_gain_that_the_loudest_needs(make: Callable, tmp_path: Path, jobs: int) -> None:
    done, said = make("--jobs", jobs)
    assert done.code == 0
    gain_db = said["b"]["gain_db"]
    assert gain_db < -1
    for name in "abc":
        assert said[name]["gain_db"] == pytest.approx(gain_db)
        assert said[name]["shared_gain_db"] == pytest.approx(gain_db)
    assert said["b"]["peak"] == pytest.approx(1 - 2**-15, abs=1e-5)
    _is_one_sound(_ears(tmp_path / "out"))
    warning, counts = done.err.splitlines()
    assert warning.startswith(f"tas: warning: {tmp_path / 'in' / 'b.wav'}: an ear would reach +")
    assert warning.endswith(f"; all files of the run are turned down by {-gain_db:.2f} dB")
    assert counts == "3 of 3 done"


def test_nothing_is_turned_down_where_all_fits(make: Callable) -> None:
    done, said = make("--gain", -20)
    assert done.err == "3 of 3 done\n"
    assert {line["gain_db"] for line in said.values()} == {-20.0}
    assert {line["shared_gain_db"] for line in said.values()} == {0.0}
    assert make("--subtype", "FLOAT", out="float")[1]["b"]["gain_db"] == 0  # holds any level


def test_loudness_stays_alike(make: Callable) -> None:
    """Asked for a loudness that none can have, all keep the same."""
    done, said = make("--loudness", -1)
    assert done.code == 0
    levels = [line["loudness_lufs"] for line in said.values()]
    assert max(levels) - min(levels) < 1e-4
    assert levels[0] == pytest.approx(-1 + said["a"]["shared_gain_db"], abs=1e-4)


def test_a_file_that_fails_does_not_count(make: Callable, parts: Path, tmp_path: Path) -> None:
    whole = (parts / "b.wav").read_bytes()
    (parts / "b.wav").write_bytes(whole[:1000])
    done, said = make()
    assert done.code == 1
    assert done.err.splitlines()[0].startswith(f"tas: error: {parts / 'b.wav'}: the file is cut off")
    assert done.err.splitlines()[-1] == "2 of 3 done, 1 failed"
    assert "error" in said["b"]
    assert said["a"]["gain_db"] == said["c"]["gain_db"]
    assert sorted(os.listdir(tmp_path / "out")) == ["a.binaural.wav", "c.binaural.wav"]
    # Repaired, it needs a gain that the others were made without: they are left out and said to be louder.
    (parts / "b.wav").write_bytes(whole)
    done, again = make("--skip-existing")
    apart_db = said["a"]["gain_db"] - again["b"]["gain_db"]
    assert apart_db > 1
    left_out = [line for line in done.err.splitlines() if "left out" in line]
    assert [line.split(": ")[2:] for line in left_out] == [
        [str(tmp_path / "out" / f"{name}.binaural.wav"), left_out[0].split(": ")[3]] for name in "ac"
    ]
    assert f"left out, and {apart_db:.1f} dB above the other files" in left_out[0]
    assert left_out[0].endswith("(--force)")
    assert make("--force")[1]["a"]["gain_db"] == pytest.approx(again["b"]["gain_db"])


def test_the_first_failure_comes_before_anything_is_made(make: Callable, parts: Path, tmp_path: Path) -> None:
    (parts / "c.wav").write_text("no sound")
    done, said = make("--fail-fast")
    assert done.code == 1
    assert set(said) == {"c"}
    assert done.err.splitlines()[-1] == "0 of 3 done, 1 failed, 2 not tried"
    assert not (tmp_path / "out").exists()


def test_a_pipe_that_can_be_read_but_once_fails_and_is_not_waited_for(
    make: Callable, parts: Path, tmp_path: Path
) -> None:
    (parts / "c.wav").unlink()
    os.mkfifo(parts / "c.wav")
    done, said = make()
    assert said["c"]["error"].startswith(f"{parts / 'c.wav'}: not a regular file, and one gain for all files takes")
    assert done.err.splitlines()[-1] == "2 of 3 done, 1 failed"
    assert sorted(os.listdir(tmp_path / "out")) == ["a.binaural.wav", "b.binaural.wav"]


def test_a_run_that_was_broken_off_goes_on_with_its_gain(make: Callable, tmp_path: Path) -> None:
    whole = make()[1]
    (tmp_path / "out" / "a.binaural.wav").unlink()
    done, rest = make("--skip-existing")
    assert rest["a"]["gain_db"] == pytest.approx(whole["a"]["gain_db"], abs=1e-6)
    assert [line for line in done.err.splitlines() if "left out" in line] == []
    assert (rest["b"]["skipped"], rest["c"]["skipped"]) == (True, True)
    _is_one_sound(_ears(tmp_path / "out"))
    assert make("--skip-existing")[0].err == "0 of 3 done, 3 skipped\n"


def test_a_file_by_itself_is_turned_down_as_usual(tas: Run, parts: Path, tiny_model: Path, tmp_path: Path) -> None:
    words = ("spatialize", parts / "b.wav", "-p", "a click far left", "--model", tiny_model, "--json")
    alone = json.loads(tas(*words, "-o", tmp_path / "1.wav", "--clip", "rescale-all").out)
    usual = json.loads(tas(*words, "-o", tmp_path / "2.wav").out)
    assert alone["gain_db"] == usual["gain_db"] < -1
    assert alone["shared_gain_db"] is None


def _outcome(path: Path, *reach: float) -> FileOutcome:
    return FileOutcome(FileRequest(path, path), reach=Reach(*reach) if reach else None, error="" if reach else "broken")


def test_the_gain_is_the_least_of_all(tmp_path: Path) -> None:
    a, b = _outcome(Path("a.wav"), 0.5, 6.0, 1.25, 0.1), _outcome(Path("b.wav"), 1.0, -3.0, 2.0, 0.1)
    with pytest.warns(UserWarning, match=r"^a.wav: an ear .* \+6.00 dBFS at 1.250 s; all .* down by 6.02 dB$"):
        assert shared_gain_db({0: b, 1: a, 2: _outcome(tmp_path)}) == pytest.approx(-6.0206, abs=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shared_gain_db({0: b}) == 0
        assert shared_gain_db({2: _outcome(tmp_path)}) == 0


@pytest.mark.parametrize(("level", "said"), [(0.5, None), (0.25, "6.0 dB below"), (0.51, None), (0.6, "1.6 dB above")])
def test_what_is_there_is_compared(tmp_path: Path, level: float, said: str | None) -> None:
    soundfile.write(tmp_path / "a.wav", level * tone(0.5, RATE).T, RATE)
    there, energy = _outcome(tmp_path / "a.wav"), float(np.mean(tone(0.5, RATE) ** 2))
    found = compared(there, _outcome(tmp_path / "a.wav", 0.5, 6.0, 1.0, energy), -6.0206)
    assert [str(w) for w in found.warnings] == (
        [f"{tmp_path / 'a.wav'}: left out, and {said} the other files; expected all to be made anew"] if said else []
    )
    unknown = compared(there, _outcome(tmp_path / "a.wav"), -6.0206)
    assert "is not known: broken" in str(unknown.warnings[0])

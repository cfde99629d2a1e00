"""The command line where terminals, encodings and file names are not what everybody has."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType

import pytest

from tas_cli.main import main
from tas_cli.output.progress import progress_bar
from tests.conftest import TAS

Make = Callable[..., Path]
Run = Callable[..., subprocess.CompletedProcess[bytes]]

OBJECT = "flûte à bec 日本 🎻"
FULL = "tas: error: standard output: cannot write what is printed (No space left on device); is the disk full?\n"
ODD_NAME = os.fsdecode(b"odd\xff\xfc.yaml")
"""A name that is no UTF-8, as old archives leave it."""


@pytest.fixture
def scene(make_timeline: Make) -> Path:
    return make_timeline(f"start: 0, text: {OBJECT} on the left", name="scène.yaml")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs ``tas`` as a process with variables of its own; what it prints stays bytes."""

    def run_in(*words: object, stdout: int | None = subprocess.PIPE, **variables: str) -> subprocess.CompletedProcess:
        command = [os.fsencode(str(word)) for word in (TAS, *words)]
        environment = {**os.environ, **variables}
        return subprocess.run(
            command, stdout=stdout, stderr=subprocess.PIPE, cwd=tmp_path, env=environment, timeout=60, check=False
        )

    return run_in


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp437"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
)
def test_what_a_terminal_cannot_show_is_printed_as_an_escape(run: Run, scene: Path, variables: dict[str, str]) -> None:
    done = run("timeline", "check", scene.name, **variables)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u65e5\\u672c" in done.stdout  # of the object
    assert b"55" in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "latin-1", "utf-8"])
def test_json_is_json_in_any_encoding(run: Run, scene: Path, encoding: str) -> None:
    done = run("timeline", "check", scene, "--json", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    value = json.loads(done.stdout.decode("utf-8"))  # as RFC 8259 has it
    assert value["objects"] == [OBJECT]
    assert value["timeline"] == str(scene)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_name_that_is_no_utf_8_is_a_name(run: Run, make_timeline: Make, tmp_path: Path, locale: str) -> None:
    make_timeline("start: 0, text: a dog on the left", name="plain.yaml").rename(tmp_path / ODD_NAME)
    done = run("timeline", "check", ODD_NAME, "--json", LC_ALL=locale)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout.decode("utf-8"))["timeline"] == ODD_NAME
    done = run("timeline", "check", ODD_NAME, LC_ALL=locale)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"odd\\udcff\\udcfc.yaml: 1 segment")


@pytest.mark.parametrize("words", [("check", "scene.yaml", "--json"), ("check", "scene.yaml")])
def test_a_full_disk_behind_stdout_is_one_line(run: Run, make_timeline: Make, words: tuple[str, ...]) -> None:
    make_timeline("start: 0, text: a dog on the left")
    with open("/dev/full", "wb") as full:
        done = run("timeline", *words, stdout=full.fileno())
    assert done.returncode == 1
    assert done.stderr == FULL.encode()


@pytest.mark.parametrize(
    "words", ["models list", "models path slots", "config --all", "--version", "data check --help"]
)
def test_what_waits_in_a_buffer_is_written_before_the_end(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python writes it after the exit code is decided, and then ends with 120."""
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        monkeypatch.setattr(sys, "argv", ["tas", *words.split()])
        with pytest.raises(SystemExit) as stop:
            main()
    assert stop.value.code == 1
    assert capsys.readouterr().err == FULL


class FailsOnce(io.StringIO):
    """A connection that is back after its first failure."""

    failed = False

    def flush(self) -> None:
        if not self.failed and self.getvalue():
            self.failed = True
            raise OSError(5, "Input/output error")


@pytest.mark.parametrize("words", ["models list", "--version", "models list --json"])
def test_one_failure_of_printing_is_said_to_be_that(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", FailsOnce())
    monkeypatch.setattr(sys, "argv", ["tas", *words.split()])
    with pytest.raises(SystemExit) as stop:
        main()
    said = "tas: error: standard output: cannot write what is printed (Input/output error); the disk or the connection"
    assert (stop.value.code, capsys.readouterr().err[: len(said)]) == (1, said)


def fail_within(*modules: str) -> None:
    """Fail in the last of some modules, each of which is called by the one before."""
    first, *others = modules
    names = {"__name__": first, "others": others, "fail_within": fail_within, "OSError": OSError}
    FunctionType(_fail_or_call.__code__, names)()


def _fail_or_call() -> None:
    if others:  # type: ignore[name-defined]  # noqa: F821
        fail_within(*others)  # type: ignore[name-defined]  # noqa: F821
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        (("tas_core.jobs", "tas_cli.output"), "standard output: cannot write what is printed (Input/output error)"),
        (("tas_cli.output", "rich"), "standard output: cannot write what is printed (Input/output error)"),
        (("tas_cli.commands", "tas_core.jobs"), "Input/output error\n"),
    ],
)
def test_a_result_that_the_core_has_printed_is_told_from_a_file(
    modules: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tas_cli.main.app", lambda **_: fail_within(*modules))
    with pytest.raises(SystemExit) as stop:
        main()
    line = f"tas: error: {said}"
    assert (stop.value.code, capsys.readouterr().err[: len(line)]) == (1, line)


def test_a_reader_that_goes_away_is_no_error_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        monkeypatch.setattr(sys, "argv", ["tas", "models", "list"])
        with pytest.raises(SystemExit) as stop:
            main()
    assert (stop.value.code, capsys.readouterr().err) == (1, "")


def test_stderr_may_be_closed(tmp_path: Path) -> None:
    """As some schedulers start programs; the next file opened would get its number, and what is printed there."""
    command = f'exec "{TAS}" eval files missing.wav missing.wav 2>&-'
    assert subprocess.run(["bash", "-c", command], cwd=tmp_path, timeout=60, check=False).returncode == 2


@pytest.mark.parametrize("arguments", ["config --json", "config", "models list", "models list --json"])
def test_stdout_may_be_closed(arguments: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f'exec "{TAS}" {arguments} >&-'], stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_label_of_progress_is_no_markup(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("[red]take[blue] 1.wav", "bar") as report:
        report(0.5)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capfd.readouterr().err)
    assert "[red]take[blue] 1.wav" in shown

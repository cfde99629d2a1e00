"""``tas doctor``: all is well here, and each fault that is planted fails the check that is there to find it."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

from tas_core.jobs import doctor
from tas_core.system import machine
from tests.conftest import Finished

Run = Callable[..., Finished]

CHECKS = [
    "configuration",
    "packages",
    "libraries",
    "prompt vocabulary",
    "head",
    "weights",
    "text encoder",
    "ffmpeg",
    "temporary folder",
    "device",
    "self-test",
    "mono sum",
    "left is left",
    "mirrored prompt",
]


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("TAS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TAS_CONFIG", os.devnull)


def failed(tas: Run, *arguments: str) -> dict[str, str]:
    """Failed checks of a run that says the same in its exit code, its JSON and its lines on stderr."""
    done = tas("doctor", "--json", *arguments)
    report = json.loads(done.out)
    found = {check["name"]: check["detail"] for check in report["checks"] if not check["ok"]}
    assert done.code == (1 if found else 0)
    assert report["ok"] == (not found)
    assert done.err.splitlines() == [f"tas: failed: {name}: {detail}" for name, detail in found.items()]
    return found


def fake_ears(monkeypatch: pytest.MonkeyPatch, change: Callable[[np.ndarray, str], np.ndarray]) -> None:
    """Let ``change`` put a fault into the ears (ear, time) of each prompt, around an exact panning."""

    class Result:
        def __init__(self, ears: np.ndarray) -> None:
            self.ears = ears

    def spatialize(mono: np.ndarray, _rate: int, timeline: Any, *_: object) -> Result:
        text = timeline.segments[0].text
        sign = 1 if "left" in text else -1
        return Result(change(np.stack([mono * (1 + 0.5 * sign), mono * (1 - 0.5 * sign)]), text))

    monkeypatch.setattr("tas_core.inference.stream.render", spatialize)


def test_all_is_well_here(tas: Run) -> None:
    done = tas("doctor", "--json")
    report = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert [check["name"] for check in report["checks"]] == CHECKS
    assert report["ok"]
    assert all(check["ok"] for check in report["checks"])
    assert report["versions"]["python"] == platform.python_version()
    assert report["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert report["machine"]["threads"] == torch.get_num_threads()
    assert 1 <= report["machine"]["usable_cores"] <= report["machine"]["cores"]
    assert report["machine"]["temporary_free_bytes"] > 0
    assert (Path(report["places"]["weights"]) / "slots" / "model.safetensors").is_file()
    assert (Path(report["places"]["text encoder"]) / "tokenizer.json").is_file()
    assert report["configuration"] == {"file": os.devnull, "values": [], "unknown_variables": []}


def test_people_get_tables(tas: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ears(monkeypatch, lambda ears, _: ears)
    done = tas("doctor")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    for name in CHECKS:
        assert any(line.startswith(name) and " ok " in line for line in lines), name
    assert any(line.startswith("processor") for line in lines)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda ears, text: ears * 1.001, "mono sum"),
        (lambda ears, text: ears[::-1], "left is left"),
        (lambda ears, text: np.stack([ears.mean(0)] * 2), "left is left"),
        (lambda ears, text: ears + (np.array([[1e-3], [-1e-3]]) if "right" in text else 0), "mirrored prompt"),
    ],
)
def test_the_self_test_finds_what_is_wrong_with_the_ears(
    tas: Run, monkeypatch: pytest.MonkeyPatch, change: Callable[[np.ndarray, str], np.ndarray], check: str
) -> None:
    fake_ears(monkeypatch, change)
    assert list(failed(tas)) == [check]


def test_an_exact_panning_passes_the_self_test(tas: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the test above fails for the fault and nothing else."""
    fake_ears(monkeypatch, lambda ears, _: ears)
    assert failed(tas) == {}


def test_what_breaks_does_not_break_the_rest(tas: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: object, **__: object) -> NoReturn:
        raise OSError("no such library")

    fake_ears(monkeypatch, lambda ears, _: ears)
    monkeypatch.setattr("tas_core.acoustics.hrtf.load_kemar", broken)
    monkeypatch.setattr("tas_core.timeline.vocabulary.words_file", broken)
    monkeypatch.setattr("tas_core.models.text_encoders.minilm.packaged_folder", lambda: tmp_path)
    found = failed(tas)
    assert {"prompt vocabulary", "head", "text encoder"} <= found.keys()
    assert "packages" not in found
    assert found["head"] == "OSError: no such library"
    assert found["text encoder"].startswith(f"{tmp_path}: model.safetensors, config.json, tokenizer.json not there")


def test_a_broken_library_is_named(tas: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ears(monkeypatch, lambda ears, _: ears)
    monkeypatch.setitem(sys.modules, "soxr", None)  # what Python does where an import is to fail
    found = failed(tas)
    assert "soxr" in found["libraries"]


def test_a_missing_package_is_named(tas: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ears(monkeypatch, lambda ears, _: ears)
    real = machine.package_versions
    monkeypatch.setattr(doctor, "package_versions", lambda names: real(names) | {"h5py": None})
    assert failed(tas) == {"packages": "not installed: h5py"}


def test_a_temporary_folder_that_fails_is_named(tas: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError(5, "Input/output error")

    fake_ears(monkeypatch, lambda ears, _: ears)
    monkeypatch.setattr(tempfile, "TemporaryFile", broken)
    said = failed(tas)["temporary folder"]
    assert said.startswith(f"{tempfile.gettempdir()}: cannot write a temporary file (Input/output error)")


def test_a_full_temporary_folder_fails(tas: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ears(monkeypatch, lambda ears, _: ears)
    usage = shutil.disk_usage("/")._replace(free=10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert failed(tas)["temporary folder"].endswith("1 MB free, expected 268 MB or more")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_fails(tas: Run) -> None:
    found = failed(tas, "--device", "cuda")
    assert found.keys() == {"device", "self-test"}
    assert "no CUDA device" in found["device"]
    refused = tas("doctor", "--device", "tpu")
    assert (refused.code, refused.out) == (2, "")
    assert "'tpu' is not one of 'auto', 'cpu', 'cuda'" in refused.err


def test_a_wrong_configuration_is_reported_among_the_checks(
    tas: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_ears(monkeypatch, lambda ears, _: ears)
    (tmp_path / "c.toml").write_text("modle = 'slots'")
    monkeypatch.setenv("TAS_CONFIG", str(tmp_path / "c.toml"))
    assert failed(tas) == {"configuration": f"{tmp_path / 'c.toml'}: unknown key 'modle', did you mean 'model'?"}
    assert tas("doctor").code == 1


def test_the_configuration_is_shown(tas: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ears(monkeypatch, lambda ears, _: ears)
    monkeypatch.setenv("TAS_SPATIALIZE_SEED", "3")
    (value,) = json.loads(tas("doctor", "--json").out)["configuration"]["values"]
    assert (value["option"], value["value"], value["origin"]) == ("seed", 3, "TAS_SPATIALIZE_SEED")
    assert "TAS_SPATIALIZE_SEED" in tas("doctor").out


def test_ffmpeg_is_optional(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "ffmpeg"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.ffmpeg_version() is None
    program.write_text("#!/bin/sh\necho 'ffmpeg version 9.1-x Copyright'\n")
    program.chmod(0o755)
    assert machine.ffmpeg_version() == "9.1-x"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("#!/bin/sh\nexit 1\n", "exit code 1"),
        ("#!/bin/sh\necho 'libx264.so: cannot open shared object file' >&2; exit 127\n", "libx264.so: cannot open .*"),
        ("#!/nowhere/sh\n", "No such file or directory"),
        ("#!/bin/sh\necho hello\n", "exit code 0"),
    ],
)
def test_a_broken_ffmpeg_is_not_a_missing_one(
    tas: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, reason: str
) -> None:
    fake_ears(monkeypatch, lambda ears, _: ears)
    (tmp_path / "ffmpeg").write_text(script)
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (detail,) = failed(tas).values()
    assert re.fullmatch(rf"{tmp_path}/ffmpeg: is installed but does not run \({reason}\)", detail)
    assert json.loads(tas("doctor", "--json").out)["versions"]["ffmpeg"] == "does not run"


def test_packages_by_name() -> None:
    assert {"torch", "soundfile", "typer"} <= set(machine.required_packages("tas"))
    assert "pytest" not in machine.required_packages("tas")
    assert machine.required_packages("no-such-package") == []
    assert machine.package_versions(["no-such-package"]) == {"no-such-package": None}

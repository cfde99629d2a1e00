from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from tas_core.errors import CheckpointError
from tas_core.models.checkpoints import load_checkpoint, save_checkpoint

CONFIG = {"width": 8, "bands": [1, 2], "name": "é"}
PROVENANCE = {"data": "simulated", "steps": 10}


def _state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(5, 3, generator=generator)
    return {"a.weight": weight, "a.tied": weight, "t": weight.t(), "count": torch.tensor(7)}


def _edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "new" / "run", "paper", CONFIG, _state(), PROVENANCE)
    checkpoint = load_checkpoint(tmp_path / "new" / "run")
    assert (checkpoint.family, checkpoint.config, checkpoint.provenance) == ("paper", CONFIG, PROVENANCE)
    assert checkpoint.state.keys() == _state().keys()
    for name, value in _state().items():
        assert torch.equal(checkpoint.state[name], value)


def test_half_precision_rounds_floats_only_and_comes_back_as_float32(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "slots", CONFIG, _state(), dtype=torch.float16)
    state = load_checkpoint(tmp_path).state
    assert state["a.weight"].dtype == torch.float32
    assert torch.equal(state["a.weight"], _state()["a.weight"].half().float())
    assert torch.equal(state["count"], torch.tensor(7))


def test_the_digest_depends_on_weights_and_config_but_not_on_provenance(tmp_path: Path) -> None:
    def digest(config: dict, state: dict, provenance: dict) -> str:
        save_checkpoint(tmp_path, "slots", config, state, provenance)
        return load_checkpoint(tmp_path).digest

    base = digest(CONFIG, _state(), PROVENANCE)
    assert digest(CONFIG, _state(), {}) == base
    assert digest({**CONFIG, "width": 9}, _state(), PROVENANCE) != base
    assert digest(CONFIG, {**_state(), "count": torch.tensor(8)}, PROVENANCE) != base


def test_saving_over_a_checkpoint_replaces_it_and_leaves_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    save_checkpoint(tmp_path, "slots", CONFIG, _state())
    save_checkpoint(tmp_path, "slots", CONFIG, {"other": torch.ones(2)})
    assert list(load_checkpoint(tmp_path).state) == ["other"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json",
        "model.safetensors",
        "notes.txt",
    ]


def test_a_failed_save_keeps_the_old_checkpoint(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "slots", CONFIG, _state())
    before = load_checkpoint(tmp_path).digest
    with pytest.raises(CheckpointError, match="JSON"):
        save_checkpoint(tmp_path, "slots", {"width": object()}, _state())
    assert load_checkpoint(tmp_path).digest == before


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, "slots", CONFIG, _state())
    before = load_checkpoint(tmp_path).digest

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="cannot write .*disk full"):
        save_checkpoint(tmp_path, "slots", CONFIG, {"other": torch.ones(2)})
    assert load_checkpoint(tmp_path).digest == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_save_that_is_cut_off_between_the_two_files_is_noticed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "old", "slots", CONFIG, _state())
    save_checkpoint(tmp_path / "new", "slots", CONFIG, {"other": torch.ones(2)})
    (tmp_path / "new" / "model.safetensors").replace(tmp_path / "old" / "model.safetensors")
    with pytest.raises(CheckpointError, match="belongs to another"):
        load_checkpoint(tmp_path / "old")


def _truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    _edit_config(folder, weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json does not exist"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors does not exist"),
        (lambda folder: (folder / "config.json").write_text("{"), "not valid JSON"),
        (lambda folder: (folder / "config.json").write_text("[" * 100_000), "not valid JSON"),
        (lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe"), "not valid JSON"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "expected a JSON object, not list"),
        (
            lambda folder: _edit_config(folder, format=4),
            "format 4 cannot be read, this version of tas reads format 1, 2 and 3",
        ),
        (lambda folder: _edit_config(folder, format=True), "format True cannot be read"),
        (lambda folder: _edit_config(folder, family="unet"), "unknown model family 'unet'"),
        (lambda folder: _edit_config(folder, config=[1]), "'config' must be an object"),
        (lambda folder: _edit_config(folder, extra=1), "unknown key 'extra'"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b""), "damaged"),
        (_truncate, "not a valid safetensors file"),
    ],
)
def test_every_damage_gives_one_clear_line(tmp_path: Path, damage, message: str) -> None:
    save_checkpoint(tmp_path, "slots", CONFIG, _state())
    damage(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_neither_written_nor_read(tmp_path: Path, value: float) -> None:
    bad = {**_state(), "b": torch.tensor([1.0, value, 2.0])}
    for dtype in (None, torch.float16):
        with pytest.raises(CheckpointError, match="1 of 3 weights in b are nan or infinite"):
            save_checkpoint(tmp_path / "run", "slots", CONFIG, bad, dtype=dtype)
        assert not (tmp_path / "run" / "config.json").exists()
    save_checkpoint(tmp_path / "run", "slots", CONFIG, {**bad, "b": torch.tensor([1.0, 3.0, 2.0])})
    weights = tmp_path / "run" / "model.safetensors"
    weights.write_bytes(safetensors.torch.save(bad | {"a.tied": bad["a.weight"].clone(), "t": bad["t"].contiguous()}))
    _edit_config(tmp_path / "run", weights_sha256=hashlib.sha256(weights.read_bytes()).hexdigest())
    with pytest.raises(CheckpointError, match=r"model.safetensors: 1 of 3 weights in b are nan or infinite; expected"):
        load_checkpoint(tmp_path / "run")


def test_weights_too_large_for_half_precision_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="1 of 2 weights in b"):
        save_checkpoint(tmp_path, "slots", CONFIG, {"b": torch.tensor([1e6, 1.0])}, dtype=torch.float16)


def test_a_missing_folder_and_an_unknown_family_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint folder at .*absent"):
        load_checkpoint(tmp_path / "absent")
    with pytest.raises(CheckpointError, match="unknown model family 'unet', expected one of paper, slots"):
        save_checkpoint(tmp_path, "unet", CONFIG, _state())
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="not a folder"):
        save_checkpoint(tmp_path / "file", "slots", CONFIG, _state())


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.complex64])
def test_weights_of_unknown_types_are_named(tmp_path: Path, kind: torch.dtype) -> None:
    weights = safetensors.torch.save({"a": torch.zeros(2).to(kind)})
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "config.json").write_text('{"format": 1, "family": "slots", "config": {}}')
    with pytest.raises(CheckpointError, match=f"a is stored as {str(kind)[6:]}, expected one of float32, float16"):
        load_checkpoint(tmp_path)

from __future__ import annotations

import dataclasses
import errno
import json
import os
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from tas_core.errors import CheckpointError, InputError
from tas_core.models.checkpoints import load_checkpoint, save_checkpoint
from tas_core.system.configs import config_from_dict
from tas_core.training.ema import EMA, warmed_decay
from tas_core.training.state import TrainingState, load_training_state, save_training_state

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
    _edit_config(folder, weights_sha256=__import__("hashlib").sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json does not exist"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors does not exist"),
        (lambda folder: (folder / "config.json").write_text("{"), "not valid JSON"),
        (lambda folder: (folder / "config.json").write_text("[" * 100_000), "not valid JSON"),
        (lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe"), "not valid JSON"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "expected a JSON object, not list"),
        (lambda folder: _edit_config(folder, format=2), "format 2 cannot be read"),
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


def test_a_missing_folder_and_an_unknown_family_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint folder at .*absent"):
        load_checkpoint(tmp_path / "absent")
    with pytest.raises(CheckpointError, match="unknown model family 'unet', expected one of paper, slots"):
        save_checkpoint(tmp_path, "unet", CONFIG, _state())
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="not a folder"):
        save_checkpoint(tmp_path / "file", "slots", CONFIG, _state())


# ------------------------------------------------------------------ training state


def _run(network: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator, steps: int) -> None:
    for _ in range(steps):
        noise = torch.randn(4, 3, generator=generator) + torch.rand(4, 3)
        optimizer.zero_grad()
        network(noise).square().mean().backward()
        optimizer.step()


def _setup() -> tuple[nn.Module, torch.optim.Optimizer, torch.Generator]:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.3), nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(
        [{"params": network[0].parameters(), "lr": 1e-2}, {"params": network[2].parameters()}],
        lr=3e-3,
        amsgrad=True,
    )
    return network, optimizer, torch.Generator().manual_seed(2)


def test_a_resumed_run_is_bit_exact(tmp_path: Path) -> None:
    network, optimizer, generator = _setup()
    _run(network, optimizer, generator, 3)
    state = TrainingState(
        step=3,
        optimizer=optimizer.state_dict(),
        tensors={
            "model": network.state_dict(),
            "rng": {"torch": torch.get_rng_state(), "noise": generator.get_state()},
        },
        extra={"best": 0.1, "history": [1e-17, 2.0]},
    )
    save_training_state(tmp_path, state)
    _run(network, optimizer, generator, 4)

    resumed, resumed_optimizer, resumed_generator = _setup()
    loaded = load_training_state(tmp_path)
    assert (loaded.step, loaded.extra) == (3, {"best": 0.1, "history": [1e-17, 2.0]})
    resumed.load_state_dict(loaded.tensors["model"])
    resumed_optimizer.load_state_dict(loaded.optimizer)
    torch.set_rng_state(loaded.tensors["rng"]["torch"])
    resumed_generator.set_state(loaded.tensors["rng"]["noise"])
    _run(resumed, resumed_optimizer, resumed_generator, 4)

    for (name, value), other in zip(network.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(value, other), name
    assert optimizer.state_dict()["param_groups"] == resumed_optimizer.state_dict()["param_groups"]


def test_an_optimizer_that_has_not_stepped_yet_and_plain_scalars_survive(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.ones(2))
    fresh = torch.optim.SGD([weight], lr=0.5, momentum=0.9).state_dict()
    fresh["state"] = {0: {"count": 3, "momentum_buffer": None}}
    save_training_state(tmp_path, TrainingState(0, fresh, {}))
    assert load_training_state(tmp_path).optimizer == fresh


@pytest.mark.parametrize("data", [b"", b"garbage" * 10, None])
def test_a_bad_training_state_is_an_error(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "training.safetensors"
    if data is None:  # a valid file of the wrong kind
        save_checkpoint(tmp_path, "slots", CONFIG, _state())
        (tmp_path / "model.safetensors").replace(path)
    else:
        path.write_bytes(data)
    with pytest.raises(CheckpointError, match="training.safetensors"):
        load_training_state(tmp_path)


def test_missing_states_are_errors(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no training state to resume from"):
        load_training_state(tmp_path)
    with pytest.raises(CheckpointError, match="cannot be called"):
        save_training_state(tmp_path, TrainingState(0, {}, {"optimizer": {}}))


# ------------------------------------------------------------------ configs


@dataclasses.dataclass(frozen=True)
class Inner:
    depth: int = 2


@dataclasses.dataclass(frozen=True)
class Example:
    width: int
    rate: float = 1.0
    fusion: Literal["saf", "add"] = "saf"
    dilations: tuple[int, ...] = (1, 2)
    label: str | None = None
    causal: bool = False
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError("width must be positive")


def test_a_config_round_trips_through_json() -> None:
    config = Example(3, 2.0, "add", (4,), "x", True, Inner(5))
    assert config_from_dict(Example, json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_whole_numbers_become_floats() -> None:
    rate = config_from_dict(Example, {"width": 1, "rate": 3}).rate
    assert (rate, type(rate)) == (3.0, float)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"widht": 3}, "config: unknown key 'widht', did you mean 'width'?"),
        ({"zzz": 3}, "config: unknown key 'zzz', expected some of causal, dilations"),
        ({}, "config: missing key 'width'"),
        ({"width": "3"}, "config: width must be int, not str '3'"),
        ({"width": 3.0}, "config: width must be int, not float 3.0"),
        ({"width": True}, "config: width must be int, not bool True"),
        ({"width": 0}, "config: width must be positive"),
        ({"width": 1, "rate": True}, "config: rate must be float, not bool True"),
        ({"width": 1, "fusion": "sfa"}, "config: fusion must be one of 'saf', 'add', not 'sfa'"),
        ({"width": 1, "dilations": [1, "2"]}, "config: dilations[1] must be int, not str '2'"),
        ({"width": 1, "dilations": 3}, "config: dilations must be tuple[int, ...], not int 3"),
        ({"width": 1, "label": 3}, "config: label must be str | None, not int 3"),
        ({"width": 1, "inner": {"dept": 1}}, "config: inner: unknown key 'dept', did you mean 'depth'?"),
        ([1], "config: expected an object with named values, not list [1]"),
    ],
)
def test_wrong_configs_are_explained(mapping, message: str) -> None:
    with pytest.raises(InputError) as caught:
        config_from_dict(Example, mapping)
    assert str(caught.value).startswith(message)


def test_the_class_of_the_error_can_be_chosen() -> None:
    with pytest.raises(InputError) as caught:
        config_from_dict(Example, {}, where="file.yaml", error=InputError)
    assert type(caught.value) is InputError
    assert str(caught.value) == "file.yaml: missing key 'width'"


# ------------------------------------------------------------------ moving average


def test_the_average_of_a_constant_step_is_the_closed_form() -> None:
    """Parameters 0, then 1 for ever: the average after n updates is 1 - d_0 d_1 ... d_{n-1}."""
    module = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(module.weight)
    ema = EMA(module, decay=0.5)
    nn.init.ones_(module.weight)
    kept = 1.0
    for n in range(12):
        ema.update(module)
        kept *= min(0.5, (1 + n) / (10 + n))
        torch.testing.assert_close(ema.averaged_state(module)["weight"], torch.full((1, 2), 1 - kept))
    assert warmed_decay(0.999, 0) == pytest.approx(0.1)
    assert warmed_decay(0.999, 10**6) == 0.999


def test_applied_swaps_parameters_in_and_out_and_buffers_stay_live() -> None:
    module = nn.BatchNorm1d(2)
    module.register_buffer("table", torch.zeros(2))
    ema = EMA(module, decay=0.9)
    with torch.no_grad():
        module.weight.fill_(3.0)
        module.table.fill_(5.0)
    with ema.applied(module):
        assert torch.equal(module.weight, torch.ones(2))
        assert torch.equal(module.table, torch.full((2,), 5.0))
    assert torch.equal(module.weight, torch.full((2,), 3.0))
    assert torch.equal(ema.averaged_state(module)["table"], torch.full((2,), 5.0))


def test_statistics_of_batch_norms_are_averaged_like_parameters_and_swapped_with_them() -> None:
    """Those of the present parameters do not fit averaged ones. The first step has a decay of 0.1."""
    module = nn.BatchNorm1d(2)
    ema = EMA(module, decay=0.9)
    with torch.no_grad():
        module.running_mean.fill_(10.0)
        module.running_var.fill_(11.0)
    ema.update(module)
    with ema.applied(module):
        torch.testing.assert_close(module.running_mean, torch.full((2,), 9.0))
        torch.testing.assert_close(module.running_var, torch.full((2,), 10.0))
    assert torch.equal(module.running_mean, torch.full((2,), 10.0))
    assert set(ema.averaged_state(module)) == set(module.state_dict())


def test_a_resumed_average_goes_on_exactly(tmp_path: Path) -> None:
    module = nn.Linear(2, 2)
    ema = EMA(module)
    with torch.no_grad():
        module.weight.add_(1.0)
    ema.update(module)
    save_training_state(
        tmp_path, TrainingState(1, torch.optim.SGD(module.parameters()).state_dict(), {"ema": ema.state()})
    )
    other = EMA(nn.Linear(2, 2))
    other.load_state(load_training_state(tmp_path).tensors["ema"])
    ema.update(module)
    other.update(module)
    for name, value in ema.state().items():
        assert torch.equal(value, other.state()[name])


def test_an_average_of_another_network_is_refused() -> None:
    with pytest.raises(CheckpointError, match="bias is on one side only"):
        EMA(nn.Linear(2, 2)).load_state(EMA(nn.Linear(2, 2, bias=False)).state())
    with pytest.raises(CheckpointError, match=r"shape \(2, 3\), expected \(2, 2\)"):
        EMA(nn.Linear(2, 2)).load_state(EMA(nn.Linear(3, 2)).state())
    with pytest.raises(ValueError, match="decay"):
        EMA(nn.Linear(2, 2), decay=1.0)

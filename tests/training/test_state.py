"""States of training: what is resumed is the same to the bit, and bad files are said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tas_core.errors import CheckpointError
from tas_core.models.checkpoints import save_checkpoint
from tas_core.training.state import TrainingState, load_training_state, save_training_state

CONFIG = {"width": 8, "bands": [1, 2], "name": "é"}


def _state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(5, 3, generator=generator)
    return {"a.weight": weight, "a.tied": weight, "t": weight.t(), "count": torch.tensor(7)}


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

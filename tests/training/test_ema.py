"""The moving average of weights: its closed form, and that it goes on exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tas_core.errors import CheckpointError
from tas_core.training.ema import EMA, warmed_decay
from tas_core.training.state import TrainingState, load_training_state, save_training_state


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

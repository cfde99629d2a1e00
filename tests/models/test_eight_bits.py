"""Weights in 8 bits: how close they come back, what stays as it is, and that damage is never taken for a weight."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from tas_core.errors import CheckpointError
from tas_core.models.checkpoints import load_checkpoint, save_checkpoint
from tas_core.models.info import model_info
from tas_core.models.registry import load_network
from tas_core.models.slots.model import SlotsModel
from tests.support.tiny import TINY_SLOTS

SCALE = ".int8_scale"


def _state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    loudness = torch.logspace(-4, 2, 128)
    return {
        "linear.weight": draw(128, 64) * loudness[:, None],  # (out, in), channels of very different levels
        "conv.weight": draw(64, 96, 3),  # (out, in, tap)
        "per_band.weight": draw(8, 64, 32) * loudness[:32],  # (band, in, out)
        "silent.weight": torch.zeros(128, 64),
        "linear.bias": draw(128),
        "few_inputs.weight": draw(4096, 4),
        "small.weight": draw(8, 64),
        "steps": torch.tensor(7),
        "mask": torch.ones(128, 64, dtype=torch.bool),
    }


LARGE = ("linear.weight", "conv.weight", "per_band.weight", "silent.weight")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "model", "slots", {}, _state(), {"steps": 3}, dtype=torch.int8)


def _stored(folder: Path) -> dict[str, Tensor]:
    return safetensors.torch.load_file(folder / "model.safetensors")


def _rewrite(folder: Path, change: Callable[[dict[str, Tensor]], object], **description: object) -> None:
    """Change the stored tensors behind the back of the checkpoint, with a description that says so."""
    tensors = _stored(folder)
    change(tensors)
    data = safetensors.torch.save(tensors)
    (folder / "model.safetensors").write_bytes(data)
    config = folder / "config.json"
    said = json.loads(config.read_text()) | {"weights_sha256": hashlib.sha256(data).hexdigest()} | description
    config.write_text(json.dumps(said))


# ------------------------------------------------------------------ what comes back


def test_every_number_is_within_half_a_step_of_its_own_channel(folder: Path) -> None:
    back = load_checkpoint(folder).state
    for name in LARGE:
        value = _state()[name].numpy()
        # What meets in one sum lies along axis 1; 127 steps to the largest of it.
        step = np.abs(value).max(axis=1, keepdims=True) / 127
        assert back[name].dtype == torch.float32
        assert (np.abs(back[name].numpy() - value) <= 0.501 * step).all(), name
        signal, error = np.square(value).sum(axis=1), np.square(back[name].numpy() - value).sum(axis=1)
        assert (error <= 1e-3 * signal).all(), name  # the quietest channel as well as the loudest


def test_the_small_rest_is_in_half_precision_and_integers_are_as_they_were(folder: Path) -> None:
    back, state = load_checkpoint(folder).state, _state()
    assert back.keys() == state.keys()
    for name in ("linear.bias", "few_inputs.weight", "small.weight"):
        assert torch.equal(back[name], state[name].half().float())
    for name in ("steps", "mask"):
        assert torch.equal(back[name], state[name])
        assert back[name].dtype == state[name].dtype


def test_what_lies_in_the_file(folder: Path) -> None:
    stored = _stored(folder)
    assert {name for name, value in stored.items() if value.dtype == torch.int8} == set(LARGE)
    assert {name for name in stored if name.endswith(SCALE)} == {name + SCALE for name in LARGE}
    assert stored["conv.weight" + SCALE].shape == (64, 1, 3)
    assert stored["linear.weight" + SCALE].dtype == torch.float32
    for name in LARGE:
        assert stored[name].abs().amax() <= 127  # symmetric: -128 is not used
    assert not stored["silent.weight"].any()
    assert json.loads((folder / "config.json").read_text())["format"] == 2


def test_a_second_rounding_changes_nothing(folder: Path, tmp_path: Path) -> None:
    once = load_checkpoint(folder)
    again = save_checkpoint(tmp_path / "again", "slots", {}, once.state, once.provenance, dtype=torch.int8)
    for name, value in load_checkpoint(again).state.items():
        torch.testing.assert_close(value, once.state[name], rtol=1e-6, atol=0)


def test_a_quarter_of_the_size(tmp_path: Path) -> None:
    large = {name: value for name, value in _state().items() if name in LARGE}
    sizes = {}
    for dtype in (torch.int8, None):
        made = save_checkpoint(tmp_path / str(dtype), "slots", {}, large, dtype=dtype)
        sizes[dtype] = (made / "model.safetensors").stat().st_size
    assert sizes[torch.int8] < 0.3 * sizes[None]


# ------------------------------------------------------------------ models


def test_a_model_works_from_it_and_says_what_it_is(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = SlotsModel(TINY_SLOTS)
    folder = save_checkpoint(tmp_path, "slots", asdict(TINY_SLOTS), model.state_dict(), dtype=torch.int8)
    stored = _stored(folder)
    assert any(name.endswith(SCALE) for name in stored)
    info = model_info(str(folder))
    assert info.parameters == sum(value.numel() for value in model.parameters())  # scales are none
    assert info.stored_as == ("F16", "I8")
    assert info.digest == load_checkpoint(folder).digest
    loaded = load_network(str(folder)).state_dict()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded[name], value, rtol=1e-3, atol=float(value.abs().max()) / 250)


# ------------------------------------------------------------------ what is refused


def _replace(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor]], object]:
    return lambda tensors: tensors.update({name: change(tensors[name]).contiguous()})


def _set(value: float) -> Callable[[Tensor], Tensor]:
    def change(scale: Tensor) -> Tensor:
        scale = scale.clone()
        scale[3] = value
        return scale

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t.pop("conv.weight" + SCALE), "'conv.weight' is of 8 bits, but its scale 'conv.weight.int8_scale'"),
        (_replace("conv.weight" + SCALE, lambda s: s[:, 0]), "float32 [64, 3], expected float32 [64, 1, 3]"),
        (_replace("conv.weight" + SCALE, lambda s: s.transpose(0, 2)), "[3, 1, 64], expected float32 [64, 1, 3]"),
        (_replace("conv.weight" + SCALE, lambda s: s[:1]), "[1, 1, 3], expected float32 [64, 1, 3]"),
        (_replace("conv.weight" + SCALE, Tensor.half), "float16 [64, 1, 3], expected float32"),
        (_replace("conv.weight" + SCALE, Tensor.int), "int32 [64, 1, 3], expected float32"),
        (_replace("conv.weight" + SCALE, _set(float("nan"))), "'conv.weight' is of 8 bits, but its scale is not above"),
        (_replace("conv.weight" + SCALE, _set(float("inf"))), "not above zero and finite everywhere"),
        (_replace("conv.weight" + SCALE, _set(0.0)), "not above zero and finite everywhere"),
        (_replace("conv.weight" + SCALE, _set(-0.1)), "not above zero and finite everywhere"),
        (_replace("conv.weight", Tensor.flatten), "expected float32 [18432, 1] for [18432]"),
        (_replace("conv.weight", Tensor.float), "'conv.weight.int8_scale' is the scale of a weight that is not there"),
        (lambda t: t.pop("conv.weight"), "'conv.weight.int8_scale' is the scale of a weight that is not there in 8"),
        (lambda t: t.update({"linear.bias": t["linear.bias"].to(torch.int8)}), "'linear.bias.int8_scale' is missing"),
    ],
)
def test_every_damage_gives_one_line_that_names_the_weight(folder: Path, damage, message: str) -> None:
    _rewrite(folder, damage)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    assert message in str(caught.value)
    assert str(folder / "model.safetensors") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_eight_bits_under_the_other_format_are_not_taken_for_weights(folder: Path) -> None:
    _rewrite(folder, lambda tensors: None, format=1)
    with pytest.raises(CheckpointError, match=r"has weights of 8 bits, but config\.json says format 1"):
        load_checkpoint(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e5])
@pytest.mark.parametrize("name", ["conv.weight", "linear.bias"])
def test_weights_that_8_bits_cannot_hold_are_not_written(tmp_path: Path, name: str, value: float) -> None:
    state = _state()
    state[name].view(-1)[5] = value
    with pytest.raises(CheckpointError, match=f"'{name}' cannot be stored in 8 bits: not finite, or above 65504"):
        save_checkpoint(tmp_path / "new", "slots", {}, state, dtype=torch.int8)
    assert not (tmp_path / "new").exists()


def test_a_name_that_is_one_of_a_scale_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"'a\.int8_scale' cannot be stored .* its name is one of a scale"):
        save_checkpoint(tmp_path, "slots", {}, {"a.int8_scale": torch.ones(2)}, dtype=torch.int8)

"""Networks stored by what they differ from the first one by: how close they come back, and damage that is named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from tas_core.errors import CheckpointError
from tas_core.models.checkpoints import load_checkpoint, save_checkpoint
from tas_core.models.differences import as_differences
from tas_core.models.info import model_info
from tas_core.models.registry import load_network
from tests.support.tiny import tiny_slots

OUT, IN = ".difference_out", ".difference_in"
CONV, BIAS = "networks.1.conv.weight", "networks.1.conv.bias"
RANK = 3


def _state() -> dict[str, Tensor]:
    """Two networks of a convolution each; the second differs by three directions, and by what is small beside them."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    first = draw(32, 16, 3)
    change = (draw(32, RANK) @ draw(RANK, 48)).reshape(first.shape)
    return {
        "networks.0.conv.weight": first,
        "networks.0.conv.bias": draw(32),
        CONV: first + change + 1e-3 * draw(32, 16, 3),
        BIAS: draw(32),
        "networks.1.small.weight": draw(4, 4),
        "networks.0.small.weight": draw(4, 4),
        "diffuse.weight": draw(64, 64),
        "networks.1.alone.weight": draw(64, 64),
    }


def _save(folder: Path, state: dict[str, Tensor], rank: int, dtype: torch.dtype | None = None, **config: Any) -> Path:
    """The networks after the first in a second file."""
    later = {name: value for name, value in state.items() if name.startswith("networks.1.")}
    first = {name: value for name, value in state.items() if name not in later}
    return save_checkpoint(folder, "slots", config, first, dtype=dtype, specialists=as_differences(later, first, rank))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return _save(tmp_path / "made", _state(), RANK)


def _stored(folder: Path, file: str = "specialists.safetensors") -> dict[str, Tensor]:
    return safetensors.torch.load_file(folder / file)


def test_large_weights_of_later_networks_are_differences_in_a_file_of_their_own(folder: Path) -> None:
    stored, first, state = _stored(folder), _stored(folder, "model.safetensors"), _state()
    assert json.loads((folder / "config.json").read_text())["format"] == 3
    assert stored[CONV + OUT].shape == (32, RANK)
    assert stored[CONV + IN].shape == (RANK, 48)
    assert first.keys() == {name for name in state if not name.startswith("networks.1.")}
    assert stored.keys() == (state.keys() - first.keys() - {CONV}) | {CONV + OUT, CONV + IN}
    assert all(torch.equal(({**first, **stored})[name], state[name]) for name in state.keys() - {CONV})


def test_the_digest_is_of_both_files_and_the_size_too(folder: Path, tmp_path: Path) -> None:
    alone = save_checkpoint(tmp_path / "alone", "slots", {}, _stored(folder, "model.safetensors"))
    assert (alone / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    one, both = model_info(str(alone)), model_info(str(folder))
    assert one.digest != both.digest
    assert both.digest == load_checkpoint(folder).digest
    assert both.parameters == one.parameters + sum(value.numel() for value in _stored(folder).values())
    assert both.size_bytes == sum(path.stat().st_size for path in folder.iterdir())
    other = _save(tmp_path / "other", _state() | {BIAS: torch.zeros(32)}, RANK)
    assert model_info(str(other)).digest not in (one.digest, both.digest)
    (folder / "specialists.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"incomplete checkpoint: .*specialists\.safetensors does not exist"):
        load_checkpoint(folder)


def test_what_comes_back_is_as_close_as_any_matrix_of_that_rank(folder: Path) -> None:
    """Eckart and Young: the error is what the smaller singular values hold, and no matrix of that rank has less."""
    state, found = _state(), load_checkpoint(folder).state
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state.keys() - {CONV})
    change = (state[CONV] - state["networks.0.conv.weight"]).reshape(32, 48).double()
    rest = torch.linalg.svdvals(change)[RANK:].square().sum().sqrt()
    error = torch.linalg.norm((found[CONV] - state[CONV]).double())
    assert float(error) == pytest.approx(float(rest), rel=1e-3)  # float32 rounds 1e-7 of numbers up to 10
    assert float(error) < 0.01 * float(torch.linalg.norm(change))


def test_in_8_bits_the_difference_is_to_the_first_network_that_is_read_back(tmp_path: Path) -> None:
    """A network that was trained on from one in 8 bits, by a difference of rank 64."""
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    first, second = "networks.0.conv.weight", "networks.1.conv.weight"
    save_checkpoint(tmp_path / "first", "slots", {}, {first: draw(256, 128, 3)}, dtype=torch.int8)
    base = load_checkpoint(tmp_path / "first").state[first]
    change = (0.1 * draw(256, 64) @ draw(64, 384)).reshape(base.shape)
    state = {first: base, second: base + change}
    plain = save_checkpoint(tmp_path / "plain", "slots", {}, state, dtype=torch.int8)
    both = _save(tmp_path / "both", state, 64, torch.int8)
    found = load_checkpoint(both).state
    assert torch.equal(found[first], base)
    error = torch.linalg.norm(found[second] - state[second]) / torch.linalg.norm(change)
    # Each factor is rounded to half of 1/127 of the largest in its row, which is some three times what is usual there:
    # by a hundredth, and both add up.
    assert 0.001 < float(error) < 0.02
    sizes = [sum(path.stat().st_size for path in folder.glob("*.safetensors")) for folder in (both, plain)]
    assert sizes[0] < 0.75 * sizes[1]


@torch.no_grad()
def test_a_model_of_two_networks(tmp_path: Path) -> None:
    """A rank whose factors are larger than a weight leaves it as it is."""
    model = tiny_slots(networks=2)
    wanted = model.state_dict()
    folder = _save(tmp_path, wanted, 10_000, **asdict(model.config))
    found = load_network(str(folder)).state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    _save(tmp_path, wanted, 1, **asdict(model.config))
    found = load_network(str(folder)).state_dict()
    same = {name for name in wanted if torch.equal(found[name], wanted[name])}
    assert {name for name in wanted if not name.startswith("networks.1.")} < same < set(wanted)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda tensors: tensors.pop(CONV + OUT), f"'{CONV + IN}' is half of a difference"),
        (lambda tensors: tensors.pop(CONV + IN), f"'{CONV + OUT}' is half of a difference"),
        (lambda tensors: tensors.update({CONV: torch.zeros(32, 16, 3)}), "and not the changed weight itself"),
        (
            lambda tensors: tensors.update({"networks.2.conv.bia" + OUT: torch.zeros(1, 1)}),
            "the weight of the first network that they change",
        ),
        (
            lambda tensors: tensors.update({"networks.0.conv.bias": torch.zeros(32)}),
            "'networks.0.conv.bias' is in model.safetensors as well",
        ),
        (
            lambda tensors: tensors.update({CONV + OUT: torch.zeros(31, RANK)}),
            f"'{CONV}' differs by [31, 3] times [3, 48], expected [32, 'rank'] times ['rank', 48]",
        ),
        (lambda tensors: tensors.update({CONV + IN: torch.zeros(2, 48)}), "differs by [32, 3] times [2, 48]"),
        (lambda tensors: tensors.update({CONV + OUT: torch.zeros(())}), "differs by [] times [3, 48]"),
        (
            lambda tensors: tensors.update(
                {BIAS + OUT: torch.zeros(32, 1), BIAS + IN: torch.zeros(1, 1), BIAS: None}  # None: taken away below
            ),
            f"'{BIAS}' differs by",
        ),
        (
            lambda tensors: tensors.update({"diffuse.weight" + OUT: torch.zeros(64, 1)}),
            "'diffuse.weight.difference_out' is half of a difference",
        ),
    ],
)
def test_damage_is_named(folder: Path, change: Callable[[dict[str, Tensor]], object], named: str) -> None:
    tensors = _stored(folder)
    change(tensors)
    data = safetensors.torch.save({name: value for name, value in tensors.items() if value is not None})
    (folder / "specialists.safetensors").write_bytes(data)
    path, digest = folder / "config.json", hashlib.sha256(data).hexdigest()
    with pytest.raises(CheckpointError, match="specialists.safetensors is damaged or belongs to another config.json"):
        load_checkpoint(folder)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"specialists_sha256": digest}))
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    assert named in str(caught.value)
    assert str(caught.value).startswith(str(folder / "specialists.safetensors"))
    assert "\n" not in str(caught.value)

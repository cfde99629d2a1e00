"""A network for people who talk at once, beside the general one: which of them hears a frame, and which learns."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tas_core.acoustics.stft import stft
from tas_core.models.checkpoints import load_checkpoint, save_checkpoint
from tas_core.models.registry import model_from_checkpoint
from tas_core.models.slots.config import SlotsConfig
from tas_core.models.slots.model import SlotsModel
from tests.support.tiny import TINY_SLOTS, HashEncoder, tiny_scenes, tiny_slots

pytestmark = pytest.mark.usefixtures("one_thread")

TALKERS, OTHERS = ("man", "woman", "guest"), ("rain", "piano")
FRAMES = 48


@pytest.fixture(scope="module")
def model() -> SlotsModel:
    """A general network and one for talkers, whose names are three of those that tests use."""
    model = tiny_slots(networks=2, specialists=("talkers",))
    assert model.specialties is not None
    with torch.no_grad():
        # Five names, eight channels: there is a map that is 1 for talkers and -1 for the others.
        wanted = torch.tensor([[1.0], [1.0], [1.0], [-1.0], [-1.0]])
        model.specialties.of_kind.weight.copy_(torch.linalg.lstsq(HashEncoder()(TALKERS + OTHERS), wanted).solution.T)
        model.specialties.of_kind.bias.zero_()
    return model


def _clauses(*names: str) -> Tensor:
    return HashEncoder()(names)[None]


def _spectrum(batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return stft(
        torch.randn(batch, (FRAMES - 1) * TINY_SLOTS.hop, generator=generator), TINY_SLOTS.n_fft, TINY_SLOTS.hop
    )


def _active(count: int) -> Tensor:
    return torch.ones(1, count, FRAMES, dtype=torch.bool)


@torch.no_grad()
@pytest.mark.parametrize(
    ("names", "number"),
    [
        (("rain", "piano"), 0),
        (("man", "rain"), 0),
        (("rain",), 0),
        (("man",), 0),
        (("man", "woman"), 1),
        (("woman", "rain", "guest"), 1),
    ],
)
def test_a_specialist_hears_what_the_prompt_names_two_of(
    model: SlotsModel, names: tuple[str, ...], number: int
) -> None:
    inputs = _spectrum(), _clauses(*names), _active(len(names))
    found, alone = model.separate(*inputs), model.networks[number].separate(*inputs)
    for part in ("masks", "directness", "features", "presence", "active"):
        assert torch.equal(getattr(found, part), getattr(alone, part)), part
    other = model.networks[1 - number].separate(*inputs)
    assert len(names) == 1 or not torch.allclose(found.masks, other.masks, atol=0.01)


@torch.no_grad()
def test_frames_are_heard_one_by_one(model: SlotsModel) -> None:
    """The woman is named from frame 21 on, so that frame 20 is the first of a patch of two whose second she has."""
    active = _active(3)
    active[0, 1, :21] = False
    inputs = _spectrum(), _clauses("man", "woman", "rain"), active
    found = model.separate(*inputs)
    general, talkers = (network.separate(*inputs) for network in model.networks)
    assert torch.equal(found.masks[:, :, :21], general.masks[:, :, :21])
    assert torch.equal(found.masks[:, :, 21:], talkers.masks[:, :, 21:])
    assert torch.equal(found.directness[:, :21], general.directness[:, :21])
    assert torch.equal(found.directness[:, 21:], talkers.directness[:, 21:])
    patch = TINY_SLOTS.patch
    assert patch == 2
    assert torch.equal(found.features[:, :, :10], general.features[:, :, :10])
    assert torch.equal(found.features[:, :, 10:], talkers.features[:, :, 10:])
    assert torch.equal(found.presence[:, :, 10:], talkers.presence[:, :, 10:])
    torch.testing.assert_close(found.masks.sum(dim=1), torch.ones_like(found.directness), rtol=0, atol=1e-5)


@torch.no_grad()
def test_what_is_wanted_is_the_same_by_itself(model: SlotsModel) -> None:
    """Chunks are rendered one by one, each with its own frames."""
    active = _active(2)
    active[0, 1, :20] = False
    inputs = _spectrum(), _clauses("man", "woman"), active
    whole = model.separate(*inputs)
    for within in (slice(0, 12), slice(12, 30), slice(30, FRAMES)):
        part = model.separate(*inputs, within)
        # Sums in another order, of logits up to some tens, whose last digit in float32 is 1e-6 to 1e-5.
        torch.testing.assert_close(part.masks, whole.masks[:, :, within], rtol=0, atol=1e-4)
        patches = slice(within.start // 2, within.stop // 2)
        torch.testing.assert_close(part.presence, whole.presence[:, :, patches], rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_scenes_of_a_batch_are_heard_each_by_its_own(model: SlotsModel) -> None:
    spectrum = _spectrum(2)
    clauses = torch.cat([_clauses("man", "woman"), _clauses("man", "rain")])
    inputs = spectrum, clauses, _active(2).expand(2, -1, -1)
    both = model.separate(*inputs)
    for row, number in ((0, 1), (1, 0)):
        assert torch.equal(both.masks[row], model.networks[number].separate(*inputs).masks[row])


def test_the_general_network_learns_and_specialists_stay(model: SlotsModel) -> None:
    model = tiny_slots(networks=2, specialists=("talkers",))
    losses = model.losses(tiny_scenes(), None, torch.Generator().manual_seed(0))
    losses["loss"].backward()
    learned = {name.split(".")[1] for name, p in model.named_parameters() if name[0] == "n" and p.grad is not None}
    assert learned == {"0"}
    assert all(p.grad is None for name, p in model.named_parameters() if name.startswith("specialties"))


@torch.no_grad()
def test_it_is_stored_as_it_is(model: SlotsModel, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "made", "slots", asdict(model.config), model.state_dict())
    again = model_from_checkpoint(load_checkpoint(tmp_path / "made"))
    assert isinstance(again, SlotsModel)
    inputs = _spectrum(), _clauses("man", "woman"), _active(2)
    assert torch.equal(again.separate(*inputs).masks, model.separate(*inputs).masks)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"networks": 2, "specialists": ("cats",)}, "specialists must be among talkers, not cats"),
        ({"networks": 1, "specialists": ("talkers",)}, "1 of 1 networks are specialists; expected fewer"),
    ],
)
def test_configs_that_make_no_model(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SlotsConfig(**changes)  # type: ignore[arg-type]

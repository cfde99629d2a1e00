"""Which names are of people who talk: fitted to some by ``tools/ship.py``, told of others."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from tas_core.models.slots.config import SPECIALTIES
from tas_core.models.slots.specialists import Specialties
from tas_core.models.text_encoders.registry import build_text_encoder
from tests.support.scripts import load_script


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_script("tools/ship.py")


@pytest.mark.parametrize("held_out", [False, True])
def test_no_name_is_of_both(tool: ModuleType, held_out: bool) -> None:
    people, others = tool.talker_names(held_out=held_out)
    assert not set(people) & set(others)
    assert {"dog barking", "singing"} <= set(others) or held_out
    assert {"man talking", "woman", "the host"} <= set(people) or held_out


def test_there_are_names_of_every_kind(tool: ModuleType) -> None:
    assert tuple(tool.NAMES) == SPECIALTIES


def test_names_that_nothing_was_fitted_to(tool: ModuleType) -> None:
    """Held-out names: 29 of 35 of people, 385 of 389 others when this was written."""
    encode, specialties = build_text_encoder("minilm"), Specialties(384, 1)
    specialties.fit(0, *(encode(list(names)) for names in tool.talker_names()))
    told = [specialties.named(encode(list(names))).float().mean() for names in tool.talker_names(held_out=True)]
    assert float(told[0]) > 0.75
    assert float(told[1]) < 0.03


def test_both_sides_count_for_a_half() -> None:
    """On a line, with few names of the kind and many others: the border lies half-way between the means."""
    specialties = Specialties(1, 2)
    layer = specialties.of_kind
    before = layer.weight[0].detach().clone()
    specialties.fit(1, torch.tensor([[2.9], [3.1]]), torch.tensor([[0.9], [1.1]]).repeat(500, 1))
    border = -float((layer.bias[1] / layer.weight[1, 0]).detach())
    assert border == pytest.approx(2.0, abs=1e-4)  # float32
    assert torch.equal(layer.weight[0], before)

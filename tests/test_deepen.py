"""``scripts/deepen.py``: more blocks, the same function."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tas_core.models.slots import PRESETS
from tests.tiny import tiny_slots

SHALLOW = {"dilations": (1, 1, 2, 4, 1, 1, 2, 4), "fusion_after": (2, 4, 6, 8)}


@pytest.fixture(scope="module")
def deepen() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "scripts" / "deepen.py"
    spec = importlib.util.spec_from_file_location("deepen", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_deeper_trunk_gives_the_same_and_learns(deepen: ModuleType) -> None:
    model = tiny_slots(**SHALLOW)
    deeper = deepen.deepened(model)
    assert deeper.config.dilations == PRESETS["slots"].dilations
    generator = torch.Generator().manual_seed(0)
    spectrum = torch.randn(1, 513, 40, dtype=torch.complex64, generator=generator)
    clauses = torch.randn(1, 2, 8, generator=generator)
    active = torch.ones(1, 2, 40, dtype=torch.bool)
    found = deeper.separate(spectrum, clauses, active)
    assert torch.equal(found.masks, model.separate(spectrum, clauses, active).masks)
    found.masks[0, 0].square().sum().backward()
    for number in (2, 5, 8, 11):  # the last of every three is new
        for mixer, out in (("frame_mixers", "expand"), ("band_mixers", "fall")):
            weight = getattr(getattr(deeper, mixer)[number], out).weight
            assert not weight.any()
            assert bool(weight.grad.any())


def test_a_trunk_that_does_not_fit_is_refused(deepen: ModuleType) -> None:
    with pytest.raises(SystemExit, match="does not fit"):
        deepen.deepened(tiny_slots(dilations=(8, 1, 2, 4, 1, 1, 2, 4), fusion_after=(2, 4, 6, 8)))

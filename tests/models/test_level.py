"""Levels by which a model normalises what it is given."""

from __future__ import annotations

import pytest
import torch

from tas_core.models.level import normalise

pytestmark = pytest.mark.usefixtures("one_thread")


def test_levels_are_those_of_the_mix() -> None:
    mid = torch.stack([torch.full((8,), 0.5), torch.zeros(8), torch.full((8,), 1e-12)])
    normalised, gain = normalise(mid)
    torch.testing.assert_close(normalised, torch.tensor([[0.1], [0.0], [0.0]]).expand(3, 8))
    torch.testing.assert_close(gain, torch.tensor([[5.0], [0.0], [0.0]]))

"""What tests of inference share: a small network of the paper, random everywhere."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tas_core.models.paper.model import PaperModel
from tests.support.tiny import TINY_PAPER


@pytest.fixture(scope="module")
def paper() -> PaperModel:
    torch.manual_seed(0)
    model = PaperModel(TINY_PAPER)
    nn.init.normal_(model.output.weight, std=0.5)  # zero in a fresh network, which would hide the rest
    return model.eval()

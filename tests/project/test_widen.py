"""``tools/widen.py``: twice the channels, the same function."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tas_core.models.slots.config import SlotsConfig
from tas_core.models.slots.model import SlotsModel
from tests.support.scripts import load_script
from tests.support.tiny import TINY_SLOTS


def _network(config: SlotsConfig, seed: int) -> SlotsModel:
    torch.manual_seed(seed)
    model = SlotsModel(config).eval()
    for parameter in model.parameters():  # gains, taps and offsets start equal
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return model


@pytest.mark.parametrize("channels", [6, 8])
def test_a_wider_network_finds_the_same(channels: int) -> None:
    """But for rounding: sums of twice as many terms."""
    config = replace(TINY_SLOTS, channels=channels)
    model = _network(config, 0)
    wide = SlotsModel(replace(config, channels=2 * channels)).eval()
    wide.load_state_dict(load_script("tools/widen.py").widened(model.state_dict(), config, seed=1))
    frames = 24
    spectrum = torch.randn(1, config.n_fft // 2 + 1, frames, dtype=torch.complex64)
    clauses = torch.nn.functional.normalize(torch.randn(1, 3, config.text_width), dim=-1)
    active = torch.ones(1, 3, frames, dtype=torch.bool)
    active[:, 0, :10] = False
    with torch.no_grad():
        one, other = (each.networks[0].separate(spectrum, clauses, active) for each in (model, wide))
    for name in ("masks", "directness", "presence"):
        torch.testing.assert_close(getattr(other, name), getattr(one, name), rtol=1e-4, atol=1e-5)
    assert one.masks.std() > 0.01
    # The two of each channel are read differently, so that training can part them.
    fall = wide.networks[0].band_mixers[0].fall.weight
    assert (fall[:, : 2 * channels] - fall[:, 2 * channels :]).abs().max() > 1e-3


def test_the_mean_of_networks_side_by_side() -> None:
    config = replace(TINY_SLOTS, networks=2)
    model = _network(config, 0)
    mean = load_script("tools/widen.py").mean_network(model.state_dict(), 2)
    one = SlotsModel(TINY_SLOTS)
    one.load_state_dict(mean)
    for name, value in one.networks[0].state_dict().items():
        pair = [network.state_dict()[name] for network in model.networks]
        torch.testing.assert_close(value, (pair[0] + pair[1]) / 2)

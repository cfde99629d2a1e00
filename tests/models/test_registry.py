"""Families and presets: the same everywhere, complete, and each of them trains."""

from __future__ import annotations

import dataclasses
import re
import time

import pytest
import torch
from torch import Tensor, nn

from tas_core.errors import CheckpointError, InputError
from tas_core.models import description
from tas_core.models.base import ENCODER_WIDTHS, PromptModel
from tas_core.models.checkpoints import Checkpoint
from tas_core.models.registry import FAMILIES, PRESETS, build_preset, model_from_checkpoint, preset_family
from tas_core.models.text_encoders.registry import TEXT_ENCODERS
from tas_core.system.configs import config_from_dict
from tests.support.tiny import TINY_SLOTS

pytestmark = pytest.mark.usefixtures("one_thread")
WINDOW = 10_080


def _mid(batch: int = 2, time: int = WINDOW, seed: int = 1) -> Tensor:
    return 0.2 * torch.randn(batch, time, generator=torch.Generator().manual_seed(seed))


def test_families_are_the_same_everywhere() -> None:
    assert set(FAMILIES) == set(description.FAMILIES)
    for name, family in FAMILIES.items():
        assert family.model.family == name
        assert all(type(config) is family.config and preset_family(n) == name for n, config in family.presets.items())


def test_every_row_of_the_comparison_has_a_preset_at_both_widths_and_with_every_text_encoder() -> None:
    fusions = {"paper": "saf", "paper-no-saf": "add", "paper-audio-only": "none", "paper-add": "add"}
    fusions["paper-conv"] = "conv"
    fusions |= {"paper-v": "saf", "paper-v-audio-only": "none", "paper-v-add": "add", "paper-v-conv": "conv"}
    fusions |= {"paper-cosine": "saf", "paper-x0": "saf"}
    expected = {"slots"}
    for base in (*fusions, "mono2binaural", "apnet"):
        for encoder in ENCODER_WIDTHS:
            name = base if encoder == "minilm" else f"{base}-{encoder}"
            expected |= {name, f"{name}-small"}
            for config in (PRESETS[name], PRESETS[f"{name}-small"]):
                assert (config.text_encoder, config.text_width) == (encoder, ENCODER_WIDTHS[encoder])
                assert getattr(config, "fusion", None) == fusions.get(base)
                assert config_from_dict(type(config), dataclasses.asdict(config)) == config
    assert set(PRESETS) == expected
    assert set(ENCODER_WIDTHS) == set(TEXT_ENCODERS)


# Text encoders, which differ in the width of their features, are tried under the paper's own noise.
OTHER_NOISE = re.compile(r"paper-(v|cosine|x0)\b.*-(clip|bert|t5)-small")


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in PRESETS if n.endswith("-small") and not OTHER_NOISE.fullmatch(n)])
def test_every_small_preset_trains_a_step(name: str) -> None:
    torch.manual_seed(0)
    model = build_preset(name)
    assert isinstance(model, PromptModel)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    mid = _mid(2, 1600)
    text = nn.functional.normalize(torch.randn(2, model.config.text_width), dim=1)
    loss = model.training_loss(mid, 0.5 * mid, text, torch.Generator().manual_seed(0))
    loss.backward()
    optimizer.step()
    assert bool(loss.isfinite())
    assert any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("full", "small"), [(n, f"{n}-small") for n in ("paper", "mono2binaural", "apnet")])
def test_small_is_a_tenth_or_less(full: str, small: str) -> None:
    sizes = [sum(p.numel() for p in build_preset(name).parameters()) for name in (full, small)]
    assert 10 * sizes[1] < sizes[0]


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"'mono2binaural-smal' \(did you mean 'mono2binaural-small'\?\)"):
        build_preset("mono2binaural-smal")


# ------------------------------------------------------------------ configs that ask for too much

SMALL_UNET = {"n_fft": 64, "hop": 16, "window": 32, "base_channels": 1, "text_channels": 2, "text_width": 2}


@pytest.mark.parametrize(
    ("family", "config", "message"),
    [
        ("slots", {"channels": 10**9}, "channels must be at most 1048576, not 1000000000"),
        ("slots", {"channels": 10**5}, "ask for more than the 3 numbers that its weights have"),
        ("slots", {"channels": 10**18}, "must be at most 1048576, not 1000000"),
        ("slots", {"blocks": 10**9}, "blocks must be at most 1000"),
        ("slots", {"networks": 0}, "networks must be at least 1"),
        ("slots", {"patch": 0}, "patch must be at least 1"),
        ("slots", {"channels": -1}, "channels must be at least 1"),
        ("slots", {"n_fft": 2**18}, "bins, the bands cover"),
        ("slots", {"text_width": 10**12}, "must be at most 1048576, not 1000000"),
        ("paper", {"num_steps": 10**9}, "at most 30 blocks of 30 layers and 100000 steps"),
        ("paper", {"layers_per_block": 10**5}, "at most 30 blocks"),
        ("paper", {"feature_channels": 10**9}, "must be at most 1048576, not 1000000"),
        ("mono2binaural", {**SMALL_UNET, "base_channels": 10**9}, "must be at most 1048576, not 1000000"),
        ("apnet", {**SMALL_UNET, "kernels": 10**9}, "must be at most 1048576, not 1000000"),
        ("apnet", SMALL_UNET, "ask for more than the 3 numbers"),
    ],
)
def test_a_config_takes_no_more_memory_than_its_weights_have(family: str, config: dict[str, int], message: str) -> None:
    checkpoint = Checkpoint(family, config, {"a": torch.zeros(3)}, {}, "0")
    begun_s = time.process_time()
    with pytest.raises(CheckpointError, match=message) as caught:
        model_from_checkpoint(checkpoint)
    assert time.process_time() - begun_s < 2
    assert "\n" not in str(caught.value)


def test_a_model_that_is_built_again_is_the_same() -> None:
    """Looking at its size neither changes it nor random numbers."""
    for family, config in (("mono2binaural", SMALL_UNET), ("slots", dataclasses.asdict(TINY_SLOTS))):
        torch.manual_seed(3)
        model = FAMILIES[family].model(config_from_dict(FAMILIES[family].config, config))
        torch.manual_seed(4)
        again = model_from_checkpoint(Checkpoint(family, config, model.state_dict(), {}, "0"))
        assert all(torch.equal(a, b) for a, b in zip(model.buffers(), again.buffers(), strict=True))
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
        assert {each.device.type for each in (*again.buffers(), *again.parameters())} == {"cpu"}

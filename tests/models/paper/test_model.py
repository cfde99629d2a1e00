from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tas_core.errors import CheckpointError
from tas_core.models.checkpoints import load_checkpoint, save_checkpoint
from tas_core.models.paper.fusion import FUSIONS
from tas_core.models.paper.model import PRESETS, PaperConfig, PaperModel
from tas_core.system.configs import config_from_dict
from tests.support.tiny import TINY_PAPER

pytestmark = pytest.mark.usefixtures("one_thread")

TIME = 96
TINY = dataclasses.replace(TINY_PAPER, text_width=4)  # half of the features, so that a projection is needed


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _model(config: PaperConfig = TINY, **changes: object) -> PaperModel:
    """Random weights everywhere: at initialisation the last layer is zero and would hide everything."""
    torch.manual_seed(0)
    model = PaperModel(dataclasses.replace(config, **changes))  # type: ignore[arg-type]
    nn.init.normal_(model.output.weight)
    return model


def _batch(batch: int = 2, time: int = TIME, width: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = _generator(1)
    mid = 0.2 * torch.randn(batch, time, generator=generator)
    text = nn.functional.normalize(torch.randn(batch, width, generator=generator), dim=1)
    return mid, 0.5 * mid, text


# ------------------------------------------------------------------ the model


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_trains_and_gradients_reach_every_parameter(fusion: str) -> None:
    torch.manual_seed(0)
    model = PaperModel(dataclasses.replace(TINY, fusion=fusion))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    generator = _generator()
    first = model.training_loss(*_batch(), generator)
    # the last layer starts at zero: the first loss is the power of the noise, and only that layer learns
    assert float(first.detach()) == pytest.approx(1.0, abs=6 * math.sqrt(2 / (2 * TIME)))
    first.backward()
    optimizer.step()
    optimizer.zero_grad()
    second = model.training_loss(*_batch(), generator)
    second.backward()
    assert math.isfinite(float(second.detach()))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        assert bool(parameter.grad.abs().sum() > 0), name


@pytest.mark.slow
def test_the_text_decides_the_side_that_a_trained_model_gives() -> None:
    """One mid, two texts, two opposite sides: the loss falls, and samples follow the text."""
    torch.manual_seed(0)
    model = PaperModel(dataclasses.replace(TINY, feature_channels=16, residual_channels=16))
    mid = _batch(1, 128)[0].repeat(2, 1)
    side = torch.tensor([[0.8], [-0.8]]) * mid
    text = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    generator = _generator()
    losses = []
    for _ in range(250):
        optimizer.zero_grad()
        loss = model.training_loss(mid.repeat(4, 1), side.repeat(4, 1), text.repeat(4, 1), generator)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-50:]) / 50 < 0.4
    for sampler in ("ddpm", "ddim"):
        drawn = model.sample(mid, text, generator=_generator(3), sampler=sampler)
        ratios = (drawn * mid).sum(dim=1) / mid.square().sum(dim=1)
        torch.testing.assert_close(ratios, torch.tensor([0.8, -0.8]), atol=0.15, rtol=0)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_one_seed_gives_one_sample_and_leaves_the_global_generator_alone(sampler: str) -> None:
    model = _model()
    mid, _, text = _batch()
    before = torch.get_rng_state()
    drawn = [model.sample(mid, text, 3, _generator(seed), sampler) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert drawn[0].shape == mid.shape
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.allclose(drawn[0], drawn[2])


def test_the_start_can_be_given() -> None:
    model = _model()
    mid, _, text = _batch()
    noise = torch.randn(mid.shape, generator=_generator(4))
    by_noise = model.sample(mid, text, 3, sampler="ddim", noise=noise)
    assert torch.equal(by_noise, model.sample(mid, text, 3, _generator(4), "ddim"))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_text_matters_unless_there_is_no_fusion(fusion: str) -> None:
    model = _model(fusion=fusion)
    mid, _, text = _batch()
    same = torch.equal(
        model.sample(mid, text, 2, _generator(), "ddim"), model.sample(mid, -text, 2, _generator(), "ddim")
    )
    assert same == (fusion == "none")


@pytest.mark.parametrize("gain", [2.0**-9, 0.3, -1.0, 1000.0])
def test_the_side_follows_the_level_of_the_mid(gain: float) -> None:
    """|gain|: the noise has no sign to follow, so a sign flip of mid is not a sign flip of side."""
    model = _model()
    mid, _, text = _batch()
    base = model.sample(mid if gain > 0 else -mid, text, 3, _generator())
    scaled = model.sample(gain * mid, text, 3, _generator())
    torch.testing.assert_close(scaled, abs(gain) * base, rtol=1e-3, atol=1e-4 * abs(gain))


def test_rows_are_independent_and_silence_gives_silence() -> None:
    model = _model()
    mid, side, text = _batch()
    mid[0] = 0.0
    drawn = model.sample(mid, text, 3, noise=torch.randn(mid.shape, generator=_generator()), sampler="ddim")
    assert torch.equal(drawn[0], torch.zeros(TIME))
    assert bool(drawn[1].abs().sum() > 0)
    alone = model.sample(mid[1:], text[1:], 3, noise=torch.randn(mid.shape, generator=_generator())[1:], sampler="ddim")
    torch.testing.assert_close(drawn[1:], alone, rtol=1e-4, atol=1e-6)
    assert math.isfinite(float(model.training_loss(mid, side, text, _generator()).detach()))


def test_the_target_of_a_side_as_strong_as_its_mid_has_unit_variance() -> None:
    model = _model()
    mid, _, text = _batch(1, 4000)
    conditioner = model.encode(mid, text)
    target = mid.flip(1) / conditioner.gain
    assert float(target.square().mean()) == pytest.approx(1.0, rel=1e-4)


def test_the_output_sees_the_receptive_field_of_the_noise_and_no_more() -> None:
    model = _model().double()
    mid, _, text = (tensor.double() for tensor in _batch(1))
    conditioner = model.encode(mid, text)
    noisy = torch.randn(1, TIME, dtype=torch.float64, generator=_generator(), requires_grad=True)
    model.predict_noise(noisy, torch.tensor([3]), conditioner)[0, TIME // 2].backward()
    assert noisy.grad is not None
    seen = noisy.grad[0].nonzero().flatten()
    reach = 2 * (1 + 2 + 4)  # two blocks of three layers
    assert (int(seen.min()), int(seen.max())) == (TIME // 2 - reach, TIME // 2 + reach)


def test_conditioning_is_the_same_at_every_step_and_computed_once() -> None:
    model = _model()
    mid, _, text = _batch()
    calls = []
    model.audio_encoder.register_forward_hook(lambda *_: calls.append("encoder"))
    projection = model.stack.get_submodule("layers.0.conditioner_projection")
    projection.register_forward_hook(lambda *_: calls.append("projection"))
    model.sample(mid, text, 5, _generator())
    assert calls == ["encoder", "projection"]


# ------------------------------------------------------------------ configs and checkpoints


def test_presets_have_the_widths_of_the_paper() -> None:
    paper = PRESETS["paper"]
    assert (paper.feature_channels, paper.sample_rate_hz * paper.window_s) == (512, 16_000)
    assert (paper.num_blocks, paper.layers_per_block, paper.num_steps) == (3, 10, 50)
    assert PRESETS["paper-clip"].text_width == paper.feature_channels
    for config in PRESETS.values():
        assert config_from_dict(PaperConfig, dataclasses.asdict(config)) == config


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper", "paper-clip", "paper-small"])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_preset_builds_trains_one_step_saves_loads_and_samples(tmp_path: Path, preset: str, fusion: str) -> None:
    config = dataclasses.replace(PRESETS[preset], fusion=fusion)
    torch.manual_seed(0)
    model = PaperModel(config)
    mid, side, text = _batch(1, 64, config.text_width)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
    model.training_loss(mid, side, text, _generator()).backward()
    optimizer.step()
    save_checkpoint(tmp_path, "paper", dataclasses.asdict(config), model.state_dict())

    loaded = load_checkpoint(tmp_path)
    again = PaperModel(config_from_dict(PaperConfig, loaded.config))
    again.load_state_dict(loaded.state)
    expected = model.sample(mid, text, 2, _generator())
    assert torch.equal(again.sample(mid, text, 2, _generator()), expected)


def test_clip_features_are_used_as_they_are_and_others_are_projected() -> None:
    assert not list(_model(text_width=8).text_projection.parameters())
    assert _model(text_width=4).text_projection.weight.shape == (8, 4)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"num_block": 3}, "unknown key 'num_block', did you mean 'num_blocks'"),
        ({"num_blocks": 0}, "num_blocks must be above 0"),
        ({"fusion": "sfa"}, "fusion must be one of saf, none, add, conv"),
        ({"encoder_kernels": [31, 4]}, "encoder_kernels must be odd"),
        ({"encoder_kernels": [31]}, "encoder_kernels must be tuple"),
        ({"beta_min": 0.1}, "0 < beta_min <= beta_max < 1"),
        ({"window_s": float("nan")}, "window_s must be above 0"),
    ],
)
def test_wrong_configs_are_refused(mapping: dict, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        config_from_dict(PaperConfig, mapping)


def test_wrong_samplers_and_step_counts_are_refused() -> None:
    model = _model()
    mid, _, text = _batch()
    with pytest.raises(ValueError, match="unknown sampler"):
        model.sample(mid, text, sampler="euler")
    with pytest.raises(ValueError, match="between 1 and 5"):
        model.sample(mid, text, num_steps=6)

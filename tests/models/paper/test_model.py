from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tas_core.errors import CheckpointError
from tas_core.models.base import correlation
from tas_core.models.checkpoints import load_checkpoint, save_checkpoint
from tas_core.models.diffusion.parameterisation import noise_from_x0, target, to_x0
from tas_core.models.diffusion.schedule import linear_schedule
from tas_core.models.paper.fusion import FUSIONS
from tas_core.models.paper.model import PRESETS, Conditioner, PaperConfig, PaperModel
from tas_core.models.scene_batch import SceneBatch
from tas_core.system.configs import config_from_dict
from tests.support.tiny import TINY_PAPER

pytestmark = pytest.mark.usefixtures("one_thread")

TIME = 96
NOISE_AT_LAST: dict[str, Any] = {"schedule": "rescaled", "prediction": "v"}
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
@pytest.mark.parametrize("prediction", ["noise", "v"])
def test_the_text_decides_the_side_that_a_trained_model_gives(prediction: str) -> None:
    """One mid, two texts, two opposite sides: the loss falls, and samples follow the text."""
    torch.manual_seed(0)
    changes = NOISE_AT_LAST if prediction == "v" else {}
    model = PaperModel(dataclasses.replace(TINY, feature_channels=16, residual_channels=16, **changes))
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
    model.predict(noisy, torch.tensor([3]), conditioner)[0, TIME // 2].backward()
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


@pytest.mark.parametrize("schedule", ["rescaled", "cosine"])
@pytest.mark.parametrize("prediction", ["v", "x0"])
def test_a_perfect_network_places_from_pure_noise(schedule: str, prediction: str) -> None:
    model = _model(schedule=schedule, prediction=prediction)
    mid, side, text = _batch()
    _make_perfect(model, mid, side, text)
    for steps, sampler in ((1, "ddim"), (3, "ddim"), (5, "ddpm")):
        drawn = model.sample(mid, text, steps, _generator(3), sampler)
        torch.testing.assert_close(drawn, side, rtol=1e-4, atol=1e-5)
    assert float(model.training_loss(mid, side, text, _generator())) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("prediction", ["v", "x0"])
def test_the_loss_is_of_what_is_predicted(prediction: str) -> None:
    """At initialisation the network says nothing, so that the loss is the power of what it should have said."""
    model = PaperModel(dataclasses.replace(TINY, schedule="rescaled", prediction=prediction))  # type: ignore[arg-type]
    mid, side, text = _batch(64, 200)
    losses = model.row_losses(mid, side, text, _generator()).detach()
    power = float((side / model.encode(mid, text).gain).square().mean())
    # v is s e - r x0, and s^2 + r^2 = 1; the mean of s^2 over the drawn steps is that of five levels, about
    signal = float(model.schedule.alpha_bars.mean())
    expected = power if prediction == "x0" else signal + (1 - signal) * power
    assert float(losses.mean()) == pytest.approx(expected, rel=0.15 if prediction == "v" else 1e-3)


@pytest.mark.parametrize(("schedule", "prediction"), [("linear", "noise"), ("rescaled", "v"), ("cosine", "x0")])
def test_the_loss_of_the_signal_is_that_of_the_signal_that_is_meant(schedule: str, prediction: str) -> None:
    model = _model(schedule=schedule, prediction=prediction, loss="signal")
    mid, side, text = _batch(6)
    gain = model.encode(mid, text).gain
    seen: list[tuple[Tensor, Tensor]] = []
    predict = model.predict

    def watched(noisy: Tensor, step: Tensor, conditioner: Conditioner) -> Tensor:
        output = predict(noisy, step, conditioner)
        level = model.schedule.alpha_bar_at(step)
        seen.append((to_x0(model.config.prediction, output, noisy, level), step))
        return output

    model.predict = watched  # type: ignore[method-assign]
    losses = model.row_losses(mid, side, text, _generator())
    ((estimates, _),) = seen
    expected = (estimates - side / gain).square().mean(dim=1)
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-6)


def test_features_of_mid_and_text_begin_as_strong_as_the_noise_that_they_are_seen_beside() -> None:
    """Else what a network says in its first thousands of steps is what the noise is, and nothing of places."""
    torch.manual_seed(0)
    model = PaperModel(dataclasses.replace(PRESETS["paper-v-small"], layers_per_block=2))
    mid = torch.randn(4, 400, generator=_generator())
    text = nn.functional.normalize(torch.randn(4, 384, generator=_generator(1)), dim=1)
    conditioner = model.encode(mid, text)
    sizes = [float(projected.detach().std()) for projected in conditioner.projected]
    assert all(0.5 < size < 8 for size in sizes), sizes  # at a scale of 1 and torch's own start: 0.03
    by_text = model.encode(mid, text.roll(1, 0))
    moved = [float((a - b).detach().std()) for a, b in zip(conditioner.projected, by_text.projected, strict=True)]
    assert all(size > 0.2 for size in moved), moved


def test_the_presets_of_before_are_as_they_were_and_their_twins_differ_in_noise_levels_and_loss() -> None:
    before = {"schedule": "linear", "prediction": "noise", "mid_scale": 1.0, "loss": "predicted"}
    for name in ("paper", "paper-audio-only", "paper-add", "paper-conv", "paper-clip-small"):
        assert (PRESETS[name].schedule, PRESETS[name].prediction) == ("linear", "noise")
        assert float(PRESETS[name].noise_schedule().alpha_bars[-1]) == pytest.approx(0.280, abs=5e-4)
        twin = PRESETS[name.replace("paper", "paper-v", 1)]
        assert dataclasses.replace(twin, **before) == PRESETS[name]  # type: ignore[arg-type]
        assert twin.noise_schedule().ends_in_noise


# ------------------------------------------------------------------ what validation shows


def _scenes(known: tuple[bool, ...] = (True, True)) -> SceneBatch:
    mid, side, text = _batch(len(known))
    ones = torch.ones(len(known), 1, dtype=torch.bool)
    return SceneBatch(
        mid[:, None],
        side[:, None],
        torch.zeros_like(mid),
        text[:, None],
        torch.zeros(len(known), 1),
        ones,
        ones[..., None],
        ones,
        torch.tensor(known),
        ("a prompt",) * len(known),
    )


def _make_perfect(model: PaperModel, mid: Tensor, side: Tensor, text: Tensor) -> None:
    """Let a network tell, in its own terms, the truth of whatever it is shown."""
    clean = (side / model.encode(mid, text).gain).detach()

    def predict(noisy: Tensor, step: Tensor, _: object) -> Tensor:
        level = model.schedule.alpha_bar_at(step)
        return target(model.config.prediction, clean, noise_from_x0(clean, noisy, level), level)

    model.predict = predict  # type: ignore[method-assign, assignment]


def test_validation_shows_the_correlation_with_the_truth_from_pure_noise_and_training_does_not() -> None:
    batch, (_, _, text) = _scenes(), _batch()
    model = _model(**NOISE_AT_LAST)
    trained, judged = (model.train(mode).losses(batch, text, _generator()) for mode in (True, False))
    assert set(trained) == {"loss"}
    assert set(judged) == {"loss", "side_correlation_from_noise"}
    assert torch.equal(trained["loss"], judged["loss"])
    # A compiled network would be compiled again where gradients are turned off for a part of the work.
    assert judged["side_correlation_from_noise"].requires_grad
    noise_model = _model().eval()
    assert abs(float(noise_model.losses(batch, text, _generator())["side_correlation_from_noise"].detach())) < 0.5
    _make_perfect(model, batch.mid, batch.side, text)
    assert float(model.losses(batch, text, _generator())["side_correlation_from_noise"].detach()) == pytest.approx(
        1, abs=1e-5
    )
    _make_perfect(model, batch.mid, -batch.side, text)
    assert float(model.losses(batch, text, _generator())["side_correlation_from_noise"].detach()) == pytest.approx(
        -1, abs=1e-5
    )


def test_scenes_without_a_side_to_judge_by_are_left_out_of_the_correlation() -> None:
    batch, (_, _, text) = _scenes((True, False)), _batch()
    model = _model(**NOISE_AT_LAST).eval()
    wrong = torch.cat([batch.side[:1], -batch.side[1:]])
    _make_perfect(model, batch.mid, wrong, text)
    assert float(model.losses(batch, text, _generator())["side_correlation_from_noise"].detach()) == pytest.approx(
        1, abs=1e-5
    )
    for nothing in (_scenes((False, False)), dataclasses.replace(batch, stem_side=torch.zeros_like(batch.stem_side))):
        assert set(model.losses(nothing, text, _generator())) == {"loss"}


def test_correlation_is_that_of_numpy_and_nothing_where_a_row_is_constant() -> None:
    one, other = torch.randn(3, 50, generator=_generator()), torch.randn(3, 50, generator=_generator(1)) + 2
    found = correlation(one, other + one)
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(one.numpy(), (other + one).numpy(), strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    torch.testing.assert_close(correlation(one * 1e-6, one * 1e-6), torch.ones(3, dtype=torch.float64))
    assert not bool(correlation(torch.ones(2, 5), torch.arange(10.0).reshape(2, 5)).any())


# ------------------------------------------------------------------ configs and checkpoints


def test_a_checkpoint_that_says_nothing_of_its_schedule_means_what_it_meant() -> None:
    old = {
        k: v for k, v in dataclasses.asdict(TINY).items() if k not in ("schedule", "prediction", "mid_scale", "loss")
    }
    assert config_from_dict(PaperConfig, old) == TINY
    assert torch.equal(_model().schedule.betas, linear_schedule(TINY.num_steps, TINY.beta_min, TINY.beta_max).betas)


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
        ({"schedule": "sigmoid"}, "schedule must be one of 'linear', 'rescaled', 'cosine', not 'sigmoid'"),
        ({"prediction": "eps"}, "prediction must be one of 'noise', 'x0', 'v', not 'eps'"),
        ({"loss": "l1"}, "loss must be one of 'predicted', 'signal', not 'l1'"),
        ({"mid_scale": 0}, "mid_scale must be above 0"),
        ({"schedule": "rescaled"}, "says nothing of the signal .* schedule 'rescaled'; expected the prediction 'v' or"),
        ({"schedule": "cosine", "prediction": "noise"}, "says nothing of the signal .* schedule 'cosine'"),
        ({"schedule": "rescaled", "prediction": "v", "num_steps": 1}, "needs two steps or more, not 1"),
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

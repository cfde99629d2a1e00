"""The families ``mono2binaural`` and ``apnet``, what all prompt-conditioned families share, and their presets."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tas_core.errors import CheckpointError, InputError
from tas_core.inference.chunk import Chunk
from tas_core.inference.settings import RenderSettings
from tas_core.inference.windows import WindowRenderer
from tas_core.models.base import PromptModel
from tas_core.models.checkpoints import save_checkpoint
from tas_core.models.paper.model import PaperConfig, PaperModel
from tas_core.models.registry import FAMILIES, load_network
from tas_core.models.scene_batch import SceneBatch
from tas_core.models.unets.apnet import APNetConfig, APNetModel
from tas_core.models.unets.mono2binaural import Mono2BinauralConfig, Mono2BinauralModel
from tas_core.models.unets.unet import SpectrogramModel, UNetConfig, complex_product
from tas_core.system.configs import config_from_dict
from tas_core.system.progress import Progress
from tas_core.timeline.segments import Segment, Timeline
from tas_core.training.trainer import loss_function
from tests.support.tiny import HashEncoder, in_memory, rendered, tiny_slots

pytestmark = pytest.mark.usefixtures("one_thread")

WIDTH = 8
WINDOW = 10_080
NONE = torch.Generator()

TINY_MONO2BINAURAL = Mono2BinauralConfig(base_channels=4, text_channels=8, text_encoder="hash", text_width=WIDTH)
TINY_APNET = APNetConfig(
    base_channels=4, text_channels=8, kernels=6, kernel_channels=5, text_encoder="hash", text_width=WIDTH
)
TINY: dict[str, UNetConfig] = {"mono2binaural": TINY_MONO2BINAURAL, "apnet": TINY_APNET}


def _model(family: str, seed: int = 0) -> SpectrogramModel:
    """Random masks, far from the zeros that networks start from."""
    torch.manual_seed(seed)
    model = FAMILIES[family].model(TINY[family])
    assert isinstance(model, SpectrogramModel)
    for part in model.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(part.weight, std=0.2)
    return model.eval()


def _mid(batch: int = 2, time: int = WINDOW, seed: int = 1) -> Tensor:
    return 0.2 * torch.randn(batch, time, generator=torch.Generator().manual_seed(seed))


def _text(batch: int = 2, seed: int = 2) -> Tensor:
    return nn.functional.normalize(torch.randn(batch, WIDTH, generator=torch.Generator().manual_seed(seed)), dim=1)


families = pytest.mark.parametrize("family", TINY)


# ------------------------------------------------------------------ the networks


@families
@pytest.mark.parametrize("time", [1, 159, 8000, WINDOW, 16000])
def test_side_has_the_shape_of_mid_and_masks_are_bounded(family: str, time: int) -> None:
    model = _model(family)
    mid, text = _mid(time=time), _text()
    side = model.sample(mid, text)
    assert side.shape == mid.shape
    assert bool(side.isfinite().all())
    spectrum = model.spectrogram(mid)
    assert spectrum.shape == (2, 2, 257, 1 + time // 160)
    for mask in model.masks(spectrum, text):
        assert mask.shape == spectrum.shape
        assert float(mask.detach().abs().max()) <= 1
        assert torch.equal(mask[:, :, 256], mask[:, :, 255])


def test_a_published_window_has_64_frames_of_256_bins_and_the_published_widths() -> None:
    model = Mono2BinauralModel(Mono2BinauralConfig()).eval()
    assert WINDOW == round(model.config.window_s * model.config.sample_rate_hz)
    seen: list[tuple[int, ...]] = []
    for part in (*model.unet.down, *model.unet.up):
        part.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
    with torch.no_grad():
        out, _ = model.unet(torch.zeros(1, 2, 256, 64), torch.zeros(1, 384))
    assert seen[:5] == [(64, 128, 32), (128, 64, 16), (256, 32, 8), (512, 16, 4), (512, 8, 2)]
    assert seen[5:] == [(512, 16, 4), (256, 32, 8), (128, 64, 16), (64, 128, 32)]
    assert out.shape == (1, 2, 256, 64)
    assert model.unet.get_submodule("up.0.0").weight.shape[0] == 512 + 784


@families
def test_silence_gives_silence_and_rows_are_independent(family: str) -> None:
    """In evaluation mode a row does not depend on what else is in the batch."""
    model = _model(family)
    mid, text = _mid(3), _text(3)
    mid[0] = 0
    together = model.sample(mid, text)
    assert torch.equal(together[0], torch.zeros(WINDOW))
    assert float(together[1:].abs().amax(dim=1).min()) > 1e-3
    torch.testing.assert_close(together[1:2], model.sample(mid[1:2], text[1:2]), rtol=1e-4, atol=1e-6)
    loss = model.training_loss(mid, 0.3 * mid, text, NONE)
    assert bool(loss.isfinite())


@families
@pytest.mark.parametrize("gain", [2.0**-9, 0.3, 1000.0])
def test_side_follows_the_level_of_mid(family: str, gain: float) -> None:
    model = _model(family)
    mid, text = _mid(), _text()
    torch.testing.assert_close(
        model.sample(gain * mid, text), gain * model.sample(mid, text), rtol=1e-3, atol=1e-5 * gain
    )


@families
def test_the_loss_does_not_depend_on_the_level(family: str) -> None:
    model = _model(family)
    mid, text = _mid(), _text()
    losses = [float(model.training_loss(g * mid, 0.4 * g * mid, text, NONE).detach()) for g in (1.0, 0.01)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@families
def test_text_matters(family: str) -> None:
    model = _model(family)
    mid = _mid()
    one, other = model.sample(mid, _text(seed=2)), model.sample(mid, _text(seed=3))
    assert float((one - other).square().mean() / one.square().mean()) > 1e-3


def test_the_pyramid_hears_the_text_by_itself() -> None:
    """With the U-Net's own text cut off, the text still decides the masks of left and right."""
    model = _model("apnet")
    assert isinstance(model, APNetModel)
    nn.init.zeros_(model.unet.text.weight)
    spectrum = model.spectrogram(_mid())
    one, other = model.masks(spectrum, _text(seed=2)), model.masks(spectrum, _text(seed=3))
    torch.testing.assert_close(one[0], other[0])
    for index in (1, 2):
        assert float((one[index] - other[index]).detach().abs().max()) > 1e-3


def test_an_associative_convolution_is_its_formula() -> None:
    model = _model("apnet")
    assert isinstance(model, APNetModel)
    pyramid = model.pyramid
    base = torch.randn(2, 6, 5)
    feature = torch.randn(2, model.unet.decoder_channels[1], 3, 4)
    found = pyramid._response(1, feature, base)
    weights = dict(pyramid.match[1].named_parameters())
    kernels = base @ weights["weight"].T + weights["bias"]
    for kernel, freq, frame in ((0, 0, 0), (5, 2, 3), (2, 1, 1)):
        expected = (kernels[:, kernel] * feature[:, :, freq, frame]).sum(dim=1) / math.sqrt(feature.shape[1])
        torch.testing.assert_close(found[:, kernel, freq, frame], expected)


def test_complex_products_are_those_of_torch() -> None:
    a, b = torch.randn(2, 3, 4, 5, dtype=torch.complex64), torch.randn(2, 3, 4, 5, dtype=torch.complex64)
    parts = [torch.stack([z.real, z.imag], dim=2).flatten(0, 1) for z in (a, b)]
    found = complex_product(*parts)
    torch.testing.assert_close(torch.complex(found[:, 0], found[:, 1]), (a * b).flatten(0, 1))


# ------------------------------------------------------------------ what masks do


def _with_masks(family: str, side: complex, left: complex = 0, right: complex = 0) -> SpectrogramModel:
    """A model whose masks are constants, whatever it hears."""
    model = _model(family)
    layers = [(model.unet.out, (side,))]
    if isinstance(model, APNetModel):
        layers.append((model.pyramid.out, (left, right)))
    for layer, masks in layers:
        nn.init.zeros_(layer.weight)
        values = torch.tensor([part for z in masks for part in (complex(z).real, complex(z).imag)])
        with torch.no_grad():
            assert layer.bias is not None
            layer.bias.copy_(2 * torch.atanh(values))  # inverse of 2 sigmoid(x) - 1
    return model


@pytest.mark.parametrize("time", [WINDOW, 16000, 12345])
@pytest.mark.parametrize("share", [0.5, -0.9])
def test_a_constant_mask_gives_that_share_of_mid(time: int, share: float) -> None:
    mid = _mid(time=time)
    side = _with_masks("mono2binaural", share).sample(mid, _text())
    torch.testing.assert_close(side, share * mid, rtol=0, atol=2e-6)
    side = _with_masks("apnet", 0.9, 0.5 * (1 + share), 0.5 * (1 - share)).sample(mid, _text())
    torch.testing.assert_close(side, share * mid, rtol=0, atol=4e-6)


def test_an_imaginary_mask_turns_the_phase() -> None:
    """i cos(w t) is -sin(w t): half of it, away from the ends."""
    time = torch.arange(16000) / 16000
    mid = torch.cos(2 * torch.pi * 1000 * time)[None]
    side = _with_masks("mono2binaural", 0.5j).sample(mid, _text(1))
    expected = -0.5 * torch.sin(2 * torch.pi * 1000 * time)[None]
    torch.testing.assert_close(side[:, 400:-400], expected[:, 400:-400], rtol=0, atol=2e-3)


def test_losses_are_their_definitions() -> None:
    """With constant masks, on the STFT that SciPy would compute: mean squares of real and imaginary parts."""
    mid, text = _mid(), _text()
    side = 0.3 * mid
    level = mid / mid.square().mean(dim=1, keepdim=True).sqrt() * 0.1
    window = torch.hann_window(400)
    spectrum = torch.stft(level, 512, 160, 400, window, center=True, pad_mode="constant", return_complex=True)
    power = spectrum.abs().square().mean(dim=(1, 2)) / 2
    model = _with_masks("mono2binaural", 0.5)
    torch.testing.assert_close(model.row_losses(mid, side, text, NONE), 0.2**2 * power, rtol=1e-4, atol=0)
    model = _with_masks("apnet", 0.5, 0.6, 0.2)
    expected = (0.2**2 + (0.6 - 0.65) ** 2 + (0.2 - 0.35) ** 2) * power
    torch.testing.assert_close(model.row_losses(mid, side, text, NONE), expected, rtol=1e-4, atol=0)


@families
def test_rows_can_be_left_out_of_the_loss(family: str) -> None:
    model = _model(family)
    mid, text = _mid(3), _text(3)
    rows = model.row_losses(mid, 0.3 * mid, text, NONE)
    torch.testing.assert_close(model.training_loss(mid, 0.3 * mid, text, NONE), rows.mean())
    weight = torch.tensor([1.0, 0.0, 1.0])
    torch.testing.assert_close(model.training_loss(mid, 0.3 * mid, text, NONE, weight), (rows[0] + rows[2]) / 2)
    assert float(model.training_loss(mid, 0.3 * mid, text, NONE, 0 * weight).detach()) == 0


# ------------------------------------------------------------------ training


@families
def test_a_fresh_network_is_almost_mono_and_gradients_reach_every_parameter(family: str) -> None:
    torch.manual_seed(0)
    model = FAMILIES[family].model(TINY[family])
    assert isinstance(model, SpectrogramModel)
    mid, text = _mid(), _text()
    assert float(model.sample(mid, text).square().mean() / mid.square().mean()) < 0.05
    model.training_loss(mid, 0.3 * mid, text, NONE).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        assert bool(parameter.grad.any()), name


@families
def test_half_precision_trains_and_agrees(family: str) -> None:
    model = _model(family).train()
    mid, text = _mid(), _text()
    exact = model.training_loss(mid, 0.3 * mid, text, NONE)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.training_loss(mid, 0.3 * mid, text, NONE)
    assert rough.dtype == torch.float32
    rough.backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)
    assert float(rough.detach()) == pytest.approx(float(exact.detach()), rel=0.05)


def _toy(batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Tones of 500 and 2500 Hz; the text says which of them is left, the other is right."""
    time = torch.arange(5120) / 16000
    phases = 2 * torch.pi * torch.rand(batch, 2, 1, generator=generator)
    tones = 0.1 * torch.sin(2 * torch.pi * torch.tensor([500.0, 2500.0])[:, None] * time + phases)
    swap = torch.randint(2, (batch,), generator=generator).bool()
    side = 0.8 * (tones[:, 0] - tones[:, 1]) * torch.where(swap, -1.0, 1.0)[:, None]
    return tones.sum(dim=1), side, torch.eye(WIDTH)[swap.long()]


@families
def test_training_learns_which_tone_the_text_puts_left(family: str) -> None:
    torch.manual_seed(0)
    model = FAMILIES[family].model(dataclasses.replace(TINY[family], base_channels=8, text_channels=16))
    assert isinstance(model, SpectrogramModel)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        optimizer.zero_grad()
        model.training_loss(*_toy(4, generator), NONE).backward()
        optimizer.step()
    mid, side, text = _toy(16, generator)
    with torch.no_grad():
        predicted = model.eval().sample(mid, text)
    # Mono, side = 0, has an error of 1.
    assert float((predicted - side).square().sum() / side.square().sum()) < 0.3


def test_scenes_whose_side_is_not_known_are_not_learned_from() -> None:
    model = _model("mono2binaural")
    compute = loss_function(model, HashEncoder())
    mid = _mid()[:, None]

    def loss(second: float) -> float:
        side = mid * torch.tensor([0.3, second])[:, None, None]
        batch = SceneBatch(
            stem_mid=mid,
            stem_side=side,
            rest_mid=torch.zeros_like(mid[:, 0]),
            clause_features=torch.zeros(2, 1, WIDTH),
            azimuth_deg=torch.zeros(2, 1),
            named=torch.ones(2, 1, dtype=torch.bool),
            active=torch.ones(2, 1, 1, dtype=torch.bool),
            right_name=torch.ones(2, 1, dtype=torch.bool),
            side_known=torch.tensor([True, False]),
            prompts=("cello on the left", "other sounds on the right"),
        )
        return float(compute(batch, NONE)["loss"].detach())

    assert loss(0.5) == loss(-0.9)


@pytest.mark.slow
@families
def test_the_loss_is_one_graph_of_fixed_shapes(family: str) -> None:
    """Nothing in it needs the value of a tensor, so it can be compiled as a whole, or recorded on a GPU."""
    model = _model(family)
    batch = _mid(), 0.3 * _mid(), _text()
    torch._dynamo.reset()
    whole = torch.compile(
        lambda mid, side, text: model.row_losses(mid, side, text, NONE), backend="eager", fullgraph=True
    )
    torch.testing.assert_close(whole(*batch), model.row_losses(*batch, NONE))
    torch._dynamo.reset()


# ------------------------------------------------------------------ whole files


def _one_prompt(duration_s: float) -> Timeline:
    return Timeline.from_prompt("cello on the left").resolved(duration_s)


def _windowed(
    mid: Tensor, timeline: Timeline, model: PromptModel, progress: Progress, batch_size: int | None = None
) -> Tensor:
    renderer = WindowRenderer(timeline, 1.25, in_memory(model), RenderSettings(steps=1), batch_size)
    whole = slice(0, len(mid))
    return renderer(Chunk(mid, 0, whole, whole, len(mid)), progress).side


def test_windows_of_a_constant_model_average_to_the_model() -> None:
    model = _with_masks("mono2binaural", 0.5)
    mid = _mid(1, 20_000)[0]
    shares: list[float] = []
    side = _windowed(mid, _one_prompt(1.25), model, shares.append)
    torch.testing.assert_close(side, 0.5 * mid, rtol=0, atol=4e-6)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@families
def test_the_number_of_windows_at_once_does_not_show(family: str) -> None:
    model = _model(family)
    mid = _mid(1, 20_000)[0]
    timeline = Timeline(
        (Segment.from_prompt(0.0, 0.5, "cello on the left"), Segment.from_prompt(0.5, None, "piano on the right"))
    ).resolved(1.25)
    one, many = (_windowed(mid, timeline, model, lambda share: None, batch_size=size) for size in (1, 50))
    torch.testing.assert_close(one, many, rtol=1e-4, atol=1e-6)


@families
def test_a_file_keeps_its_mean_and_the_windows_are_those_of_the_config(family: str) -> None:
    model = _model(family)
    sizes: list[tuple[int, ...]] = []
    model.unet.register_forward_pre_hook(lambda module, inputs: sizes.append(tuple(inputs[0].shape)))
    x = 0.2 * np.random.default_rng(0).standard_normal(32_000)
    ears = rendered(x, 16_000, Timeline.from_prompt("cello on the left"), model).ears
    np.testing.assert_allclose(ears.mean(axis=0), x, rtol=0, atol=1e-12)
    assert np.abs(ears[0] - ears[1]).max() > 1e-3
    hop = round(model.config.hop_s * 16_000)
    assert sum(shape[0] for shape in sizes) == len(range(0, 32_000 + WINDOW - hop, hop))
    assert {shape[1:] for shape in sizes} == {(2, 256, 64)}


def test_more_steps_than_a_model_has_are_refused() -> None:
    x, timeline = np.ones(1600), Timeline.from_prompt("cello on the left")
    with pytest.raises(InputError, match="steps is 2; a mono2binaural model takes at most 1"):
        rendered(x, 16_000, timeline, _model("mono2binaural"), steps=2)
    paper = PaperModel(PaperConfig(feature_channels=4, residual_channels=4, num_blocks=1, step_width=4, text_width=8))
    with pytest.raises(InputError, match="steps is 51; a paper model takes at most 50"):
        rendered(x, 16_000, timeline, paper, steps=51)
    # One step of separation, and the diffuse part's own.
    with pytest.raises(InputError, match="steps is 52; a slots model takes at most 51"):
        rendered(x, 16_000, timeline, tiny_slots(), steps=52)
    assert rendered(x, 16_000, timeline, tiny_slots(), steps=51).ears.shape == (2, 1600)


# ------------------------------------------------------------------ configs, presets, checkpoints


@families
def test_a_checkpoint_gives_the_same_network(family: str, tmp_path: Path) -> None:
    model = _model(family).train()
    model.training_loss(_mid(), _mid(), _text(), NONE)  # moves the statistics of the batch norms
    model.eval()
    save_checkpoint(tmp_path, family, dataclasses.asdict(model.config), model.state_dict())
    back = load_network(str(tmp_path))
    assert type(back) is type(model)
    assert back.config == model.config
    assert isinstance(back, SpectrogramModel)
    assert torch.equal(back.sample(_mid(), _text()), model.sample(_mid(), _text()))


@pytest.mark.parametrize(
    ("kind", "mapping", "message"),
    [
        (Mono2BinauralConfig, {"kernels": 3}, "unknown key 'kernels'"),
        (Mono2BinauralConfig, {"n_fft": 500}, "n_fft must be a multiple of 64, not 500"),
        (Mono2BinauralConfig, {"window": 100}, "hop < window <= n_fft"),
        (Mono2BinauralConfig, {"window": 1000}, "hop < window <= n_fft"),
        (Mono2BinauralConfig, {"base_channels": 0}, "base_channels must be above 0"),
        (APNetConfig, {"hop_s": -1.0}, "hop_s must be above 0"),
    ],
)
def test_wrong_configs_are_refused(kind: type, mapping: dict, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        config_from_dict(kind, mapping)

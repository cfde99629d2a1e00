from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tas_core.models.paper.fusion import (
    FUSIONS,
    ConvFusion,
    SemanticAwareFusion,
    build_fusion,
    text_aware_audio,
    uses_text,
)

BATCH, CHANNELS, FRAMES = 2, 6, 11


def _inputs(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    audio = torch.randn(BATCH, CHANNELS, FRAMES, generator=generator, dtype=torch.float64)
    text = torch.randn(BATCH, CHANNELS, generator=generator, dtype=torch.float64)
    return audio, text


def _build(name: str) -> nn.Module:
    torch.manual_seed(1)
    return build_fusion(name, CHANNELS).double()


def _literal_saf(audio: np.ndarray, text: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Eq. 6 to 8 for one example, loop by loop, as the paper writes them: audio (d, L), text (d)."""
    d, length = audio.shape
    scores = [sum(text[c] * audio[c, frame] for c in range(d)) / math.sqrt(d) for frame in range(length)]
    total = sum(math.exp(score) for score in scores)
    attended = np.zeros(d)
    for frame in range(length):
        attended += math.exp(scores[frame]) / total * audio[:, frame]
    fused = text * (weights["fc.weight"] @ attended + weights["fc.bias"] + attended)
    result = np.zeros((d, length))
    for frame in range(length):
        joined = np.concatenate([fused, audio[:, frame]])
        result[:, frame] = weights["conv.weight"][:, :, 0] @ joined + weights["conv.bias"]
    return result


def test_saf_is_the_literal_transcription_of_equations_6_to_8() -> None:
    fusion = _build("saf")
    audio, text = _inputs()
    weights = {name: value.detach().numpy() for name, value in fusion.named_parameters()}
    expected = np.stack([_literal_saf(audio[i].numpy(), text[i].numpy(), weights) for i in range(BATCH)])
    np.testing.assert_allclose(fusion(audio, text).detach().numpy(), expected, rtol=1e-12, atol=1e-13)


def test_conv_fusion_is_a_convolution_over_repeated_and_concatenated_features() -> None:
    fusion = _build("conv")
    assert isinstance(fusion, ConvFusion)
    audio, text = _inputs()
    repeated = text[:, :, None].expand(-1, -1, FRAMES)
    expected = fusion.conv(torch.cat([repeated, audio], dim=1))
    torch.testing.assert_close(fusion(audio, text), expected, rtol=1e-12, atol=1e-13)


def test_add_and_none() -> None:
    audio, text = _inputs()
    added = _build("add")(audio, text)
    for frame in range(FRAMES):
        assert torch.equal(added[:, :, frame], audio[:, :, frame] + text)
    assert torch.equal(_build("none")(audio, text), audio)


@pytest.mark.parametrize("name", FUSIONS)
def test_shuffled_frames_give_shuffled_outputs(name: str) -> None:
    """Kernel 1 and a sum over frames: no fusion knows the order of frames."""
    audio, text = _inputs()
    order = torch.randperm(FRAMES, generator=torch.Generator().manual_seed(3))
    fusion = _build(name)
    torch.testing.assert_close(fusion(audio[:, :, order], text), fusion(audio, text)[:, :, order])


@pytest.mark.parametrize("name", FUSIONS)
def test_only_audio_only_ignores_the_text(name: str) -> None:
    fusion = _build(name)
    audio, text = _inputs()
    assert uses_text(fusion) == (not torch.equal(fusion(audio, text), fusion(audio, -text)))
    assert uses_text(fusion) == (name != "none")


@pytest.mark.parametrize("name", FUSIONS)
def test_gradients_reach_every_weight_and_both_inputs(name: str) -> None:
    fusion = _build(name)
    audio, text = (tensor.requires_grad_() for tensor in _inputs())
    fusion(audio, text).square().sum().backward()
    assert audio.grad is not None
    assert bool(audio.grad.abs().sum() > 0)
    assert (text.grad is not None) == uses_text(fusion)
    for parameter_name, parameter in fusion.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert bool(parameter.grad.abs().sum() > 0), parameter_name


def test_examples_of_a_batch_do_not_mix() -> None:
    audio, text = _inputs()
    fusion = _build("saf")
    torch.testing.assert_close(fusion(audio, text)[1:], fusion(audio[1:], text[1:]))


def test_attention_is_an_average_that_follows_the_text() -> None:
    audio, text = _inputs()
    same = audio[:, :, :1].expand(-1, -1, FRAMES)
    torch.testing.assert_close(text_aware_audio(same, text), audio[:, :, 0])  # frames alike: that frame
    torch.testing.assert_close(text_aware_audio(audio, 0 * text), audio.mean(dim=-1))  # no query: the mean
    best = (text[:, None] @ audio).argmax(dim=-1)
    sharp = text_aware_audio(audio, 1e4 * text)  # loud query: the frame that agrees most
    torch.testing.assert_close(sharp, torch.stack([audio[i, :, best[i, 0]] for i in range(BATCH)]))


def test_scores_are_divided_by_the_root_of_the_width() -> None:
    """Copying all channels 4 times and halving the text doubles the dot products, and doubles sqrt(d)."""
    audio, text = _inputs()
    copied = text_aware_audio(audio.repeat(1, 4, 1), text.repeat(1, 4) / 2)
    torch.testing.assert_close(copied[:, :CHANNELS], text_aware_audio(audio, text))


def test_clauses_attend_each_for_itself() -> None:
    audio, text = _inputs()
    clauses = torch.stack([text, -text, 2 * text], dim=1)
    together = text_aware_audio(audio, clauses)
    for index in range(3):
        torch.testing.assert_close(together[:, index], text_aware_audio(audio, clauses[:, index]))


def test_an_unknown_fusion_is_refused() -> None:
    assert isinstance(build_fusion("saf", 4), SemanticAwareFusion)
    with pytest.raises(ValueError, match="unknown fusion 'sfa', expected one of saf, none, add, conv"):
        build_fusion("sfa", 4)

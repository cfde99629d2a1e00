"""Residual layers and stacks with their steps, against their formulas."""

from __future__ import annotations

import math

import pytest
import torch

from tas_core.models.diffwave import ResidualLayer, ResidualStack, StepEmbedding, step_features

pytestmark = pytest.mark.usefixtures("one_thread")


def test_step_features_are_the_literal_sines_and_cosines() -> None:
    features = step_features(torch.tensor([0, 7, 49]))
    for row, step in enumerate((0, 7, 49)):
        angles = [step * 10 ** (4 * j / 63) for j in range(64)]
        expected = torch.tensor([math.sin(a) for a in angles] + [math.cos(a) for a in angles])
        torch.testing.assert_close(features[row], expected, atol=1e-6, rtol=0)


def test_every_step_has_its_own_embedding() -> None:
    torch.manual_seed(0)
    embedded = StepEmbedding(width=16)(torch.arange(50)).detach()
    assert float(torch.pdist(embedded).min()) > 1e-3


def test_a_residual_layer_is_its_formula() -> None:
    """Frame by frame, with the dilated convolution written as a sum over its three taps."""
    torch.manual_seed(0)
    layer = ResidualLayer(channels=3, dilation=4, conditioner_channels=2, step_width=5).double()
    x = torch.randn(1, 3, 20, dtype=torch.float64)
    step, conditioner = torch.randn(1, 5, dtype=torch.float64), torch.randn(1, 2, 20, dtype=torch.float64)
    new, skip = layer(x, step, layer.conditioner_projection(conditioner))

    shifted = x[0] + layer.step_projection(step)[0][:, None]
    frame = 10
    weights = dict(layer.named_parameters())
    y = weights["dilated_conv.bias"] + weights["conditioner_projection.bias"]
    y = y + layer.conditioner_projection.weight[:, :, 0] @ conditioner[0, :, frame]
    for tap, offset in enumerate((-4, 0, 4)):
        y = y + layer.dilated_conv.weight[:, :, tap] @ shifted[:, frame + offset]
    z = torch.tanh(y[:3]) * torch.sigmoid(y[3:])
    out = layer.output_projection.weight[:, :, 0] @ z + weights["output_projection.bias"]
    torch.testing.assert_close(new[0, :, frame], (x[0, :, frame] + out[:3]) / math.sqrt(2))
    torch.testing.assert_close(skip[0, :, frame], out[3:])


def test_the_stack_sums_skips_over_blocks_and_over_everything() -> None:
    torch.manual_seed(0)
    stack = ResidualStack(3, num_blocks=2, layers_per_block=3, conditioner_channels=2, step_width=5).double()
    x, step = torch.randn(2, 3, 20, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    projected = stack.project_conditioner(torch.randn(2, 2, 20, dtype=torch.float64))
    output = stack(x, step, projected)
    skips = []
    for layer, condition in zip(stack.layers, projected, strict=True):
        x, skip = layer(x, step, condition)
        skips.append(skip)
    torch.testing.assert_close(output.skips, sum(skips) / math.sqrt(6))
    torch.testing.assert_close(output.blocks[0], sum(skips[:3]) / math.sqrt(3))
    torch.testing.assert_close(output.blocks[1], sum(skips[3:]) / math.sqrt(3))
    assert [stack.get_submodule(f"layers.{i}.dilated_conv").dilation for i in range(6)] == [
        (1,),
        (2,),
        (4,),
    ] * 2
    dilations = [layer.dilated_conv.dilation[0] for layer in ResidualStack(1, 3, 10, 1, 1).layers]
    assert 1 + 2 * sum(dilations) == 6139  # frames in reach of one: the number known for DiffWave

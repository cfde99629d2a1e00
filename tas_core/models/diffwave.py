"""Dilated, gated residual layers with a step embedding, as in DiffWave (Kong et al. 2021).

Layer i, with x (batch, channel, frame), step embedding e and conditioner c (batch, channel, frame):

    y      = Conv_{3, dilation}(x + Linear_i(e)) + P_i c
    z      = tanh(y_1) sigmoid(y_2),             y_1, y_2 the halves of y
    r, s   = the halves of Conv_1(z)
    x     <- (x + r) / sqrt(2),                  s is the skip output

P_i c does not depend on the diffusion step: :meth:`ResidualStack.project_conditioner` computes it once for
all steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

import torch
from torch import Tensor, nn

KERNEL: Final = 3


def step_features(step: Tensor, width: int = 128) -> Tensor:
    """Sines, then cosines, of step * 10^(4 j / (h - 1)), j = 0 ... h - 1, h = width / 2: (batch, width)."""
    half = width // 2
    exponents = torch.arange(half, dtype=torch.float64, device="cpu") * (4.0 / (half - 1))
    # In float64: step 49 at frequency 1e4 is an angle of 490000 rad, which float32 knows to 0.03 rad only.
    angles = step.cpu().to(torch.float64)[:, None] * 10.0**exponents
    return torch.cat([angles.sin(), angles.cos()], dim=1).float().to(step.device)


class StepEmbedding(nn.Module):
    """Diffusion step (batch) -> (batch, width), by two fully connected layers (paper, section 3.2)."""

    def __init__(self, width: int = 512, features: int = 128) -> None:
        super().__init__()
        self.features = features
        self.first = nn.Linear(features, width)
        self.second = nn.Linear(width, width)

    def forward(self, step: Tensor) -> Tensor:
        """Embed `step` (batch), whole or fractional, counted in steps of the training schedule."""
        features = step_features(step, self.features).to(self.first.weight.dtype)
        return nn.functional.silu(self.second(nn.functional.silu(self.first(features))))


class ResidualLayer(nn.Module):
    """One layer of the formula above.

    Args:
        channels: of x and of the skip output.
        dilation: in frames; the layer sees `dilation` frames to either side.
        conditioner_channels: of the conditioner.
        step_width: of the step embedding.
    """

    def __init__(self, channels: int, dilation: int, conditioner_channels: int, step_width: int = 512) -> None:
        super().__init__()
        self.step_projection = nn.Linear(step_width, channels)
        self.dilated_conv = nn.Conv1d(channels, 2 * channels, KERNEL, dilation=dilation, padding=dilation)
        self.conditioner_projection = nn.Conv1d(conditioner_channels, 2 * channels, 1)
        self.output_projection = nn.Conv1d(channels, 2 * channels, 1)
        for conv in (self.dilated_conv, self.conditioner_projection, self.output_projection):
            nn.init.kaiming_normal_(conv.weight)

    def forward(self, x: Tensor, step_embedding: Tensor, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Next x and skip output.

        Args:
            x: (batch, channel, frame).
            step_embedding: (batch, step_width).
            projected: `conditioner_projection` of the conditioner, (batch, 2 channel, frame).
        """
        shifted = x + self.step_projection(step_embedding).unsqueeze(-1)
        filtered, gate = (self.dilated_conv(shifted) + projected).chunk(2, dim=1)
        residual, skip = self.output_projection(filtered.tanh() * gate.sigmoid()).chunk(2, dim=1)
        return (x + residual) * math.sqrt(0.5), skip


@dataclass(frozen=True)
class StackOutput:
    """What a stack gives.

    Attributes:
        skips: sum of all L skip outputs / sqrt(L), (batch, channel, frame).
        blocks: for each block, the sum of its l skip outputs / sqrt(l), same shape.
    """

    skips: Tensor
    blocks: tuple[Tensor, ...]


class ResidualStack(nn.Module):
    """`num_blocks` blocks of `layers_per_block` layers; in each block the dilation doubles from 1.

    Args:
        channels: of x and of the outputs.
        num_blocks: number of blocks.
        layers_per_block: layers in a block; 10 give dilations 1 to 512.
        conditioner_channels: of the conditioner.
        step_width: of the step embedding.
    """

    def __init__(
        self,
        channels: int,
        num_blocks: int,
        layers_per_block: int,
        conditioner_channels: int,
        step_width: int = 512,
    ) -> None:
        super().__init__()
        self.num_blocks = num_blocks
        self.layers_per_block = layers_per_block
        self.layers = nn.ModuleList(
            ResidualLayer(channels, 2 ** (index % layers_per_block), conditioner_channels, step_width)
            for index in range(num_blocks * layers_per_block)
        )

    def project_conditioner(self, conditioner: Tensor) -> list[Tensor]:
        """For each layer P_i c: (batch, conditioner_channel, frame) -> (batch, 2 channel, frame)."""
        layers = cast(Iterable[ResidualLayer], self.layers)
        return [layer.conditioner_projection(conditioner) for layer in layers]

    def forward(self, x: Tensor, step_embedding: Tensor, projected: Sequence[Tensor]) -> StackOutput:
        """Run all layers.

        Args:
            x: (batch, channel, frame).
            step_embedding: (batch, step_width).
            projected: from :meth:`project_conditioner`.
        """
        blocks = []
        block: Tensor | None = None
        for index, (layer, condition) in enumerate(zip(self.layers, projected, strict=True), start=1):
            x, skip = layer(x, step_embedding, condition)
            block = skip if block is None else block + skip
            if index % self.layers_per_block == 0:
                blocks.append(block / math.sqrt(self.layers_per_block))
                block = None
        skips = torch.stack(blocks).sum(dim=0) / math.sqrt(self.num_blocks)
        return StackOutput(skips, tuple(blocks))

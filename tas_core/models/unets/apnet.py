"""The ``apnet`` family: "Sep-Stereo" (Zhou et al., ECCV 2020) with text for its image, on stereo data alone.

The U-Net of :mod:`tas_core.models.unets.unet`, and beside its decoder the associative pyramid. At scale i, with
decoder features d_i (C_i channels) and kernels K_i (kernel, C_i) made from the text:

    r_i = K_i d_i / sqrt(C_i)                                     associative convolution: 1 x 1, one per text
    p_1 = r_1,   p_i = [r_i; ReLU(BN(UpConv(p_{i-1})))]           i = 2 ... 4
    M_left, M_right = 2 sigmoid(UpConv(p_4)) - 1

    left, right = M_left X, M_right X;   side = left - right
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Final, Self

import torch
from torch import Tensor, nn

from tas_core.models.base import spread, with_variants
from tas_core.models.unets.unet import (
    SpectrogramModel,
    UNetConfig,
    Up,
    complex_product,
    last_up,
    squared_error,
    start_small,
)


@dataclass(frozen=True)
class APNetConfig(UNetConfig):
    """See :class:`UNetConfig`; here is what the pyramid adds.

    As published: the U-Net learns side, the pyramid learns left and right, and what is used is the pyramid's
    left minus its right, in windows every 0.1 s. The ears are then made from that side and mid as in every
    family, so that their mean stays the input.

    Chosen here: the errors of side, left and right count the same. An image gives one kernel per cell of its
    feature map; a text has no cells, so a fully connected layer makes as many vectors of `kernel_channels` values
    as the published map of 7 x 14 cells would have, and one more layer per scale, shared by all of them, brings
    them to that scale's channels. The decoder's features are taken before they are joined with the encoder's.
    Training on separation data, the other half of the publication, needs its own data set and is left out: this
    is the network that its authors, too, list as APNet, apart from Sep-Stereo.

    Attributes:
        kernels: made from a text at each scale.
        kernel_channels: of a kernel before it is brought to the channels of a scale.
    """

    hop_s: float = 0.1
    kernels: int = 98
    kernel_channels: int = 64

    def small(self) -> Self:
        """A quarter of all channels, for CPUs."""
        return dataclasses.replace(
            super().small(), kernels=self.kernels // 4, kernel_channels=self.kernel_channels // 4
        )


PRESETS: Final = with_variants({"apnet": APNetConfig()})
"""Configs by name."""


class AssociativePyramid(nn.Module):
    """From decoder features at several scales and a text to numbers for two masks.

    Args:
        channels: of the decoder's features, from the coarsest scale to the finest.
        config: its sizes.
    """

    def __init__(self, channels: tuple[int, ...], config: APNetConfig) -> None:
        super().__init__()
        self.kernels = config.kernels
        self.text = nn.Linear(config.text_width, config.kernels * config.kernel_channels)
        self.match = nn.ModuleList(nn.Linear(config.kernel_channels, n) for n in channels)
        grown = [config.kernels] + [2 * config.kernels] * (len(channels) - 1)
        self.up = nn.ModuleList(Up(n, config.kernels) for n in grown[:-1])
        self.out = last_up(grown[-1], 4)
        start_small(self)

    def forward(self, features: tuple[Tensor, ...], text_features: Tensor) -> Tensor:
        """Numbers for the left and the right mask.

        Args:
            features: from :class:`tas_core.models.unets.unet.TextUNet`, (batch, channel, freq, frame) each.
            text_features: (batch, text_width), rows of unit length.

        Returns:
            (batch, 4, freq, frame) at twice the size of the finest features: real and imaginary part, left first.
        """
        base = self.text(spread(text_features)).unflatten(1, (self.kernels, -1))
        level = self._response(0, features[0], base)
        for index, up in enumerate(self.up, start=1):
            level = torch.cat([self._response(index, features[index], base), up(level)], dim=1)
        return self.out(level)

    def _response(self, index: int, feature: Tensor, base: Tensor) -> Tensor:
        """r_i, (batch, kernel, freq, frame)."""
        kernels = self.match[index](base) / math.sqrt(feature.shape[1])
        return torch.matmul(kernels, feature.flatten(2).to(kernels.dtype)).unflatten(2, feature.shape[2:])


class APNetModel(SpectrogramModel):
    """Masks from (mid, text): one for side by the U-Net, and two for left and right by the pyramid."""

    family = "apnet"
    config: APNetConfig

    def __init__(self, config: APNetConfig) -> None:
        super().__init__(config)
        self.pyramid = AssociativePyramid(self.unet.decoder_channels, config)

    def text_layers(self) -> list[nn.Linear]:
        """See :meth:`SpatialModel.text_layers`."""
        return [self.unet.text, self.pyramid.text]

    def core_masks(self, spectrum: Tensor, text_features: Tensor) -> tuple[Tensor, ...]:
        """Numbers for the masks of side, left and right, (batch, 2, freq, frame) each."""
        side, decoded = self.unet(spectrum, text_features)
        left, right = self.pyramid(decoded, text_features).chunk(2, dim=1)
        return side, left, right

    def side_of(self, masks: tuple[Tensor, ...], spectrum: Tensor) -> Tensor:
        """(M_left - M_right) X."""
        _, left, right = masks
        return complex_product(left - right, spectrum)

    def mask_losses(self, masks: tuple[Tensor, ...], spectrum: Tensor, side: Tensor) -> Tensor:
        """Sum of the mean squared errors of side, by the U-Net, and of left and right, by the pyramid."""
        truths = (side, (spectrum + side) / 2, (spectrum - side) / 2)
        errors = [
            squared_error(complex_product(mask, spectrum), truth) for mask, truth in zip(masks, truths, strict=True)
        ]
        return torch.stack(errors).sum(dim=0)

    def compile_parts(self) -> None:
        """Compile both networks, without transforms and masks."""
        super().compile_parts()
        self.pyramid.compile()

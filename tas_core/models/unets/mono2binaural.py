"""The ``mono2binaural`` family: "2.5D Visual Sound" (Gao and Grauman, CVPR 2019) with text for its image.

One complex mask turns the spectrogram of mid into that of side; the loss is the mean squared error of that
spectrogram, real and imaginary parts, at the level of a mid of RMS 0.1. The network is in
:mod:`tas_core.models.unets.unet`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import Tensor

from tas_core.models.base import with_variants
from tas_core.models.unets.unet import SpectrogramModel, UNetConfig, complex_product, squared_error


@dataclass(frozen=True)
class Mono2BinauralConfig(UNetConfig):
    """See :class:`UNetConfig`; windows of 0.63 s every 0.05 s, as published."""


PRESETS: Final = with_variants({"mono2binaural": Mono2BinauralConfig()})
"""Configs by name."""


class Mono2BinauralModel(SpectrogramModel):
    """One mask from (mid, text): side spectrogram = mask times mid spectrogram."""

    family = "mono2binaural"
    config: Mono2BinauralConfig

    def core_masks(self, spectrum: Tensor, text_features: Tensor) -> tuple[Tensor, ...]:
        """The one mask's numbers, (batch, 2, freq, frame)."""
        return (self.unet(spectrum, text_features)[0],)

    def side_of(self, masks: tuple[Tensor, ...], spectrum: Tensor) -> Tensor:
        """M X."""
        (mask,) = masks
        return complex_product(mask, spectrum)

    def mask_losses(self, masks: tuple[Tensor, ...], spectrum: Tensor, side: Tensor) -> Tensor:
        """Mean squared error of M X."""
        return squared_error(self.side_of(masks, spectrum), side)

"""A U-Net over the complex spectrogram of mid, with a text vector at its narrowest point.

The network of "2.5D Visual Sound" (Gao and Grauman, CVPR 2019), with text in the place of the image. With
X the STFT of mid, as two channels, real and imaginary part:

    e_0 = X,   e_i = LeakyReLU(BN(Conv(e_{i-1})))                 i = 1 ... 5, kernel 4 x 4, stride 2
    d_1 = ReLU(BN(UpConv([e_5; text in every bin])))
    d_i = ReLU(BN(UpConv([d_{i-1}; e_{6-i}])))                    i = 2 ... 4
    M   = 2 sigmoid(UpConv([d_4; e_1])) - 1                       real and imaginary part in (-1, 1)
    side spectrogram = M X                                        complex product, bin by bin

Convolutions and text run in the precision of autocast; spectrograms, masks and losses in float32, and complex
products as real ones, so that nothing complex needs a gradient. All shapes follow from those of the input and
nothing waits for the device, so the network can be compiled or recorded as a CUDA graph; only the inverse STFT,
which training does not need, makes torch look at a value.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Final, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tas_core.acoustics.stft import istft, stft
from tas_core.models.base import PromptModel, spread
from tas_core.models.level import divide, normalise

_WIDTHS: Final = (1, 2, 4, 8, 8)
_SHRINK: Final = 2 ** len(_WIDTHS)
_SMALL: Final = 4


@dataclass(frozen=True)
class UNetConfig:
    """Everything that fixes a U-Net over spectrograms; the defaults are those of 2.5D Visual Sound.

    Chosen here, since its paper has an image where this network has a text: the text features go through one fully
    connected layer and a ReLU to `text_channels` values, as many as the published image features have at the
    bottleneck, so that every layer has its published size. Further choices: the network sees all bins but the
    highest (8 kHz), whose mask is its neighbour's; frames are padded with zeros to a multiple of 32, which windows
    of 0.63 s (64 frames) are already; levels are those of the mix, window by window.

    Attributes:
        sample_rate_hz: of mid and side.
        window_s: length of an inference window.
        hop_s: from one inference window to the next.
        n_fft: length of the Fourier transform, samples; a multiple of 64.
        hop: between frames, samples.
        window: length of the Hann window, samples, at most n_fft.
        base_channels: of the first layer; the others have 2, 4, 8 and 8 times as many.
        text_channels: of the projected text.
        text_encoder: name of the text encoder whose features the model was trained with.
        text_width: of those features.
    """

    sample_rate_hz: int = 16_000
    window_s: float = 0.63
    hop_s: float = 0.05
    n_fft: int = 512
    hop: int = 160
    window: int = 400
    base_channels: int = 64
    text_channels: int = 784
    text_encoder: str = "minilm"
    text_width: int = 384

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str) and not value > 0:
                raise ValueError(f"{field.name} must be above 0, not {value}")
        if self.n_fft % (2 * _SHRINK):
            raise ValueError(f"n_fft must be a multiple of {2 * _SHRINK}, not {self.n_fft}")
        if not self.hop < self.window <= self.n_fft:
            raise ValueError(f"hop < window <= n_fft is needed, not {self.hop}, {self.window} and {self.n_fft}")

    def small(self) -> Self:
        """A quarter of all channels, for CPUs: about a 16th of the parameters and operations."""
        return dataclasses.replace(
            self, base_channels=self.base_channels // _SMALL, text_channels=self.text_channels // _SMALL
        )


TRAINING: Final[dict[str, Any]] = {
    "steps": 3000,
    "batch_size": 19,
    "window_s": 0.63,
    "learning_rate": 1e-3,
    "weight_decay": 5e-4,
}
"""Window, optimiser (Adam with weight decay) and learning rate that the authors of both U-Nets published; steps,
and sound per step, are those of the ``paper`` family (3000 of 12 s), so that families compare at one budget.
Published were batches of 256, 1000 epochs and a learning rate that falls by 6 % every ten."""


class Down(nn.Sequential):
    """Half the bins and frames: (batch, in, freq, frame) -> (batch, out, freq / 2, frame / 2)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.LeakyReLU(0.2),
        )


class Up(nn.Sequential):
    """Twice the bins and frames: (batch, in, freq, frame) -> (batch, out, 2 freq, 2 frame)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
        )


def last_up(channels_in: int, channels_out: int) -> nn.ConvTranspose2d:
    """As :class:`Up`, for numbers that a mask is made of: no normalisation, any sign."""
    return nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1)


def start_small(module: nn.Module) -> None:
    """Convolutions from a normal distribution of width 0.02, as published: masks start near 0, which is mono."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(part.weight, std=0.02)


class TextUNet(nn.Module):
    """The U-Net, up to the numbers that a mask is made of."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        widths = [n * config.base_channels for n in _WIDTHS]
        self.text = nn.Linear(config.text_width, config.text_channels)
        self.down = nn.ModuleList(Down(n, m) for n, m in zip([2, *widths[:-1]], widths, strict=True))
        back = widths[-2::-1]
        joined = [widths[-1] + config.text_channels, *(2 * n for n in back)]
        self.up = nn.ModuleList(Up(n, m) for n, m in zip(joined, back, strict=False))
        self.out = last_up(joined[-1], 2)
        self.decoder_channels = tuple(back)
        start_small(self)

    def forward(self, spectrum: Tensor, text_features: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Numbers for a mask, any sign, and the decoder's features.

        Args:
            spectrum: real and imaginary parts, (batch, 2, freq, frame), both sizes multiples of 32.
            text_features: (batch, text_width), rows of unit length.

        Returns:
            (batch, 2, freq, frame), and d_1 to d_4, (batch, channel, freq, frame) at 1/16, 1/8, 1/4 and 1/2 of
            the size.
        """
        skips = [spectrum]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = skips.pop()
        text = self.text(spread(text_features)).relu()
        joined = text[:, :, None, None].expand(-1, -1, *x.shape[2:])
        decoded = []
        for up in self.up:
            x = up(torch.cat([x, joined.to(x.dtype)], dim=1))
            joined = skips.pop()
            decoded.append(x)
        return self.out(torch.cat([x, joined.to(x.dtype)], dim=1)), tuple(decoded)


def mask_of(numbers: Tensor) -> Tensor:
    """2 sigmoid(x) - 1, which is in (-1, 1), in float32; any shape."""
    return 2 * numbers.float().sigmoid() - 1


def complex_product(a: Tensor, b: Tensor) -> Tensor:
    """Product of complex numbers given as real and imaginary parts along axis 1: (batch, 2, ...) each."""
    real = a[:, 0] * b[:, 0] - a[:, 1] * b[:, 1]
    imaginary = a[:, 0] * b[:, 1] + a[:, 1] * b[:, 0]
    return torch.stack([real, imaginary], dim=1)


def squared_error(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error of each example, (batch, ...) -> (batch), float32."""
    return (predicted - truth).float().square().flatten(1).mean(dim=1)


class SpectrogramModel(PromptModel):
    """What U-Nets over spectrograms share: levels, transforms, padding. Subclasses say what the masks are."""

    default_batch = 32
    config: UNetConfig

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = TextUNet(config)

    def spectrogram(self, signal: Tensor) -> Tensor:
        """(batch, time) -> real and imaginary parts (batch, 2, freq, frame), frame = 1 + time // hop."""
        c = self.config
        spectrum = stft(signal.float(), c.n_fft, c.hop, c.window)
        return torch.stack([spectrum.real, spectrum.imag], dim=1)

    def signal(self, spectrum: Tensor, length: int) -> Tensor:
        """Inverse of :meth:`spectrogram` for a signal of `length` samples."""
        c = self.config
        return istft(torch.complex(spectrum[:, 0], spectrum[:, 1]), c.n_fft, c.hop, length, c.window)

    def masks(self, spectrum: Tensor, text_features: Tensor) -> tuple[Tensor, ...]:
        """Complex masks as real and imaginary parts, each (batch, 2, freq, frame) like `spectrum`.

        Args:
            spectrum: of mid at RMS 0.1, from :meth:`spectrogram`.
            text_features: (batch, text_width).
        """
        bins, frames = spectrum.shape[2:]
        padded = F.pad(spectrum[:, :, :-1], (0, -frames % _SHRINK))
        found = self.core_masks(padded, text_features)
        # The highest bin follows its neighbour.
        at = torch.arange(bins, device=spectrum.device).clamp(max=bins - 2)
        return tuple(mask_of(numbers)[:, :, at, :frames] for numbers in found)

    @abstractmethod
    def core_masks(self, spectrum: Tensor, text_features: Tensor) -> tuple[Tensor, ...]:
        """Numbers that :func:`mask_of` turns into masks, for sizes that the U-Net takes."""

    @abstractmethod
    def side_of(self, masks: tuple[Tensor, ...], spectrum: Tensor) -> Tensor:
        """Spectrogram of side from :meth:`masks` and the spectrogram of mid."""

    @abstractmethod
    def mask_losses(self, masks: tuple[Tensor, ...], spectrum: Tensor, side: Tensor) -> Tensor:
        """Loss of each example, (batch), from masks and the spectrograms of mid and side."""

    def text_layers(self) -> list[nn.Linear]:
        """See :meth:`SpatialModel.text_layers`."""
        return [self.unet.text]

    def row_losses(self, mid: Tensor, side: Tensor, text_features: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """See :meth:`PromptModel.row_losses`; nothing is random, so `generator` is not used."""
        level, gain = normalise(mid)
        spectrum = self.spectrogram(level)
        return self.mask_losses(self.masks(spectrum, text_features), spectrum, self.spectrogram(divide(side, gain)))

    @torch.no_grad()
    def sample(self, mid: Tensor, text_features: Tensor) -> Tensor:
        """Side (batch, time) at the level of `mid`.

        Args:
            mid: left + right, (batch, time), any length; :attr:`config`'s `window_s` is what it is trained for.
            text_features: (batch, text_width), rows of unit length.
        """
        level, gain = normalise(mid)
        spectrum = self.spectrogram(level)
        side = self.side_of(self.masks(spectrum, text_features), spectrum)
        return self.signal(side, mid.shape[-1]) * gain

    def window_sides(self, mid: Tensor, text_features: Tensor, steps: int, noise: Tensor | None) -> Tensor:
        """See :meth:`PromptModel.window_sides`; one evaluation, no noise."""
        assert steps == 1
        assert noise is None
        return self.sample(mid, text_features)

    def compile_parts(self) -> None:
        """Compile the network, without transforms and masks."""
        self.unet.compile()

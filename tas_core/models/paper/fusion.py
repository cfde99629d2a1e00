"""Semantic-aware fusion of audio and text, and the fusions it is compared with (paper, Eq. 6-8 and Table 3).

With audio features f_a (d, L) and text features f_t (d):

    f'_a  = sum_l w_l f_a^l,   w = softmax_l(f_t . f_a^l / sqrt(d))        (6)
    f'_at = f_t * (FC(f'_a) + f'_a)                                         (7)
    f_at  = Conv(Concat[repeat_L f'_at, f_a])                               (8)

The paper leaves three things open, which are read as follows. The softmax runs over frames, since Eq. 6
sums over them. The "matrix dot product" of Eq. 7 is the element-wise product: both sides are vectors of d
values and so is the result. The convolution of Eq. 8 has kernel 1, because the layers before and after it
see the neighbouring frames; then Conv(Concat[f'_at, f_a]) = W_1 f'_at + W_2 f_a + b holds exactly, and
f'_at, which is the same in all frames, needs neither repeating nor concatenating.

Every fusion is called as fusion(audio_features, text_features) with (batch, channel, frame) and
(batch, channel), and gives (batch, channel, frame).
"""

from __future__ import annotations

import math
from typing import Final

from torch import Tensor, nn
from torch.nn.functional import conv1d, linear


def text_aware_audio(audio_features: Tensor, text_features: Tensor) -> Tensor:
    """Eq. 6: the average over frames, weighted by agreement with the text.

    Args:
        audio_features: f_a, (batch, channel, frame).
        text_features: f_t, (batch, channel), or (batch, clause, channel) for one average per clause.

    Returns:
        f'_a, of the shape of `text_features`.
    """
    queries = text_features if text_features.ndim == 3 else text_features.unsqueeze(1)
    scores = queries @ audio_features / math.sqrt(audio_features.shape[1])
    attended = scores.softmax(dim=-1) @ audio_features.transpose(1, 2)
    return attended.view_as(text_features)


def join_channels(constant: Tensor, audio_features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve [constant; audio_features], stacked along channels, with a kernel of one frame (Eq. 8).

    Args:
        constant: (batch, channel), the same in all frames.
        audio_features: (batch, channel, frame).
        weight: (out, 2 channel, 1); the first half of its inputs belongs to `constant`.
        bias: (out).

    Returns:
        (batch, out, frame).
    """
    for_constant, for_audio = weight.split((constant.shape[1], audio_features.shape[1]), dim=1)
    return conv1d(audio_features, for_audio) + linear(constant, for_constant.squeeze(-1), bias).unsqueeze(-1)


def semantic_aware_fusion(
    audio_features: Tensor,
    text_features: Tensor,
    fc_weight: Tensor,
    fc_bias: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
) -> Tensor:
    """Eq. 6 to 8 as a function of their weights.

    Args:
        audio_features: f_a, (batch, channel, frame).
        text_features: f_t, (batch, channel).
        fc_weight: (channel, channel).
        fc_bias: (channel).
        conv_weight: (channel, 2 channel, 1).
        conv_bias: (channel).

    Returns:
        f_at, (batch, channel, frame).
    """
    attended = text_aware_audio(audio_features, text_features)
    fused = text_features * (linear(attended, fc_weight, fc_bias) + attended)
    return join_channels(fused, audio_features, conv_weight, conv_bias)


class SemanticAwareFusion(nn.Module):
    """SAF, Eq. 6 to 8, for features of `channels` channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, channels)
        self.conv = nn.Conv1d(2 * channels, channels, 1)

    def forward(self, audio_features: Tensor, text_features: Tensor) -> Tensor:
        """Fuse (batch, channel, frame) and (batch, channel) to (batch, channel, frame)."""
        assert self.conv.bias is not None
        return semantic_aware_fusion(
            audio_features, text_features, self.fc.weight, self.fc.bias, self.conv.weight, self.conv.bias
        )


class NoFusion(nn.Module):
    """Audio features as they are: the row "Audio-Only" of Table 3. Text has no influence at all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, audio_features: Tensor, text_features: Tensor) -> Tensor:  # noqa: ARG002
        """Give (batch, channel, frame) back unchanged; `text_features` is there for the common signature."""
        return audio_features


class AddFusion(nn.Module):
    """Text added to every frame: the row "Add" of Table 3.

    It also stands for the model with text but without SAF ("Ours" in Table 1), whose fusion the paper does
    not name: it is the plainest one.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, audio_features: Tensor, text_features: Tensor) -> Tensor:
        """Fuse (batch, channel, frame) and (batch, channel) to (batch, channel, frame)."""
        return audio_features + text_features.unsqueeze(-1)


class ConvFusion(nn.Module):
    """Eq. 8 alone, with f_t in the place of f'_at: the row "Conv" of Table 3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2 * channels, channels, 1)

    def forward(self, audio_features: Tensor, text_features: Tensor) -> Tensor:
        """Fuse (batch, channel, frame) and (batch, channel) to (batch, channel, frame)."""
        assert self.conv.bias is not None
        return join_channels(text_features, audio_features, self.conv.weight, self.conv.bias)


FUSIONS: Final[dict[str, type[nn.Module]]] = {
    "saf": SemanticAwareFusion,
    "none": NoFusion,
    "add": AddFusion,
    "conv": ConvFusion,
}
"""Fusions by the names that configs use; each is built from the number of channels d."""


def build_fusion(name: str, channels: int) -> nn.Module:
    """Build the fusion called `name`, a key of :data:`FUSIONS`."""
    if name not in FUSIONS:
        raise ValueError(f"unknown fusion {name!r}, expected one of {', '.join(FUSIONS)}")
    return FUSIONS[name](channels)


def uses_text(fusion: nn.Module) -> bool:
    """Whether the output of `fusion` depends on the text."""
    return not isinstance(fusion, NoFusion)

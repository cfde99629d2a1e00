"""Layers of the ``slots`` network, on features (batch, band, patch, channel).

A patch is ``patch`` frames of the spectrogram (:func:`in_patches`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tas_core.models.slots.bands import band_sums

_MAX_SCORE = 8.0


class ChannelNorm(nn.Module):
    """Root-mean-square normalisation over channels with a learned gain."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(..., channel) -> (..., channel)."""
        return x * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6).to(x.dtype) * self.gain.to(x.dtype)


class FrameMixer(nn.Module):
    """All bands of a frame and its neighbours together: a gated dilated convolution over time.

    Every band contributes a few channels, so the convolution is dense and small.
    """

    def __init__(self, channels: int, frame_channels: int, bands: int, dilation: int) -> None:
        super().__init__()
        width = bands * frame_channels
        self.norm = ChannelNorm(channels)
        self.squeeze = nn.Linear(channels, frame_channels, bias=False)
        self.conv = nn.Conv1d(width, 2 * width, 3, padding=dilation, dilation=dilation)
        self.expand = nn.Linear(frame_channels, channels, bias=False)
        nn.init.normal_(self.expand.weight, std=0.05)

    def forward(self, h: Tensor) -> Tensor:
        """(batch, band, frame, channel) -> the same."""
        batch, bands, frames, _ = h.shape
        z = self.squeeze(self.norm(h)).permute(0, 1, 3, 2).reshape(batch, -1, frames)
        value, gate = self.conv(z).chunk(2, dim=1)
        z = (torch.tanh(value) * torch.sigmoid(gate)).reshape(batch, bands, -1, frames)
        return h + self.expand(z.transpose(2, 3))


class BandMixer(nn.Module):
    """Every band by itself, with the same weights for all: three frames, then a gated linear unit."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = ChannelNorm(channels)
        self.taps = nn.Parameter(torch.tensor([0.1, 1.0, 0.1])[:, None].repeat(1, channels))
        # No biases: their gradients are sums over every band and frame, and the norms before make up for them.
        self.rise = nn.Linear(channels, 4 * channels, bias=False)
        self.fall = nn.Linear(2 * channels, channels, bias=False)
        nn.init.normal_(self.fall.weight, std=0.05)

    def forward(self, h: Tensor) -> Tensor:
        """(batch, band, frame, channel) -> the same."""
        frames, d = h.shape[2], self.dilation
        x = self.norm(h)
        padded = F.pad(x, (0, 0, d, d))
        taps = self.taps.to(x.dtype)
        x = taps[0] * padded[:, :, :frames] + taps[1] * x + taps[2] * padded[:, :, 2 * d : 2 * d + frames]
        value, gate = self.rise(x).chunk(2, dim=-1)
        return h + self.fall(value * F.silu(gate))


class ClauseFusion(nn.Module):
    """Semantic-aware fusion (paper, Eq. 6 to 8), once per clause and local in time.

    For clause k with text features q_k and audio features h (band n, frame t):
    Eq. 6 becomes an attention average over all bands and the frames within ``context`` of t; Eq. 7 is
    unchanged; the convolution of Eq. 8 on the concatenation of both splits into a part for h, left to
    the blocks that follow, and a part for the text-aware features, which every bin takes from the clauses in
    proportion to how well they match it.
    """

    def __init__(self, channels: int, text_channels: int, context: int) -> None:
        super().__init__()
        self.context = context
        self.query = nn.Linear(text_channels, channels)
        self.keys = nn.Linear(channels, channels, bias=False)
        self.values = nn.Linear(channels, channels, bias=False)
        self.full = nn.Linear(channels, channels)
        self.update = nn.Linear(channels, channels)
        self.inject = nn.Linear(channels, channels)
        self.norm = ChannelNorm(channels)

    def forward(self, h: Tensor, clause: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse.

        Args:
            h: audio features (batch, band, frame, channel).
            clause: text features (batch, clause, channel), the last one standing for everything else.
            active: (batch, clause, frame) bool.

        Returns:
            Audio features as before, and the clauses' keys (batch, clause, frame, channel).
        """
        batch, bands, frames, channels = h.shape
        x = self.norm(h)
        query = self.query(clause)
        keys = self.keys(x).reshape(batch, bands * frames, channels)
        score = torch.matmul(query, keys.transpose(1, 2)).float() / math.sqrt(channels)
        score = _MAX_SCORE * torch.tanh(score / _MAX_SCORE)
        score = score.reshape(batch, -1, bands, frames)
        # Eq. 6: attention average over bands and neighbouring frames.
        weight = score.exp() * active[:, :, None]
        values = self.values(x).float()
        top = torch.einsum("bknt,bntc->bkct", weight, values)
        bottom = weight.sum(dim=2)
        size = 2 * self.context + 1
        pool = lambda z: F.avg_pool1d(z, size, 1, self.context)  # noqa: E731
        count = query.shape[1]
        top = pool(top.reshape(batch * count, channels, frames)).reshape(batch, count, channels, frames)
        bottom = pool(bottom).clamp_min(1e-8)
        aware = (top / bottom[:, :, None]).transpose(2, 3).to(h.dtype)
        # Eq. 7.
        fused = query[:, :, None] * (self.full(aware) + aware)
        key = query[:, :, None] + self.update(fused)
        # Eq. 8: every bin takes the text-aware features of the clauses that it matches.
        match = torch.matmul(x.permute(0, 2, 1, 3), key.permute(0, 2, 3, 1).to(x.dtype)).float() / math.sqrt(channels)
        match = match.masked_fill(~active.permute(0, 2, 1)[:, :, None], -1e4)
        fraction = match.softmax(dim=-1).to(h.dtype)
        taken = torch.matmul(fraction, self.inject(fused).transpose(1, 2)).transpose(1, 2)
        return h + taken, key


class Presence(nn.Module):
    """Whether an object that the prompt names is in the sound at all.

    It sees what the last fusion found for the clause, and the fraction of the sound that its mask takes; that fraction
    alone would not do, since a single clause takes nearly everything, whatever its name.
    """

    def __init__(self, channels: int, context: int, width: int = 32) -> None:
        super().__init__()
        self.context = context
        self.hidden = nn.Linear(channels + 1, width)
        self.out = nn.Linear(width, 1)

    def forward(self, key: Tensor, part: Tensor) -> Tensor:
        """Log odds (batch, clause, patch).

        Args:
            key: of the clauses, (batch, clause, patch, channel).
            part: power of everything (batch, 1, patch) and of what each mask takes, (batch, 1 + clause, patch).
        """
        around = self.surroundings(part)
        fraction = (around[:, 1:] / around[:, :1].clamp_min(1e-12) + 1e-4).log10()[..., None]
        return self.out(F.silu(self.hidden(torch.cat([key, fraction.to(key.dtype)], dim=-1))))[..., 0].float()

    def surroundings(self, power: Tensor) -> Tensor:
        """Sums over the patches around each, (..., patch)."""
        size = 2 * self.context + 1
        return size * F.avg_pool1d(power, size, 1, self.context)


class Recognition(nn.Module):
    """Training only: which of all names in the batch belongs to a sound (contrastive, as in CLAP).

    Masks alone teach what names mean only where two sounds compete in one scene. Here the features of the bins
    that a stem truly dominates, averaged, have to find the stem's name among those of all scenes (InfoNCE).
    """

    def __init__(self, channels: int, text_channels: int, patch: int, width: int = 64) -> None:
        super().__init__()
        self.patch = patch
        self.sound = nn.Linear(channels, width)
        self.name = nn.Linear(text_channels, width)
        self.log_scale = nn.Parameter(torch.tensor(2.0))

    def forward(
        self, features: Tensor, stems: Tensor, clauses: Tensor, clause_features: Tensor, named: Tensor
    ) -> Tensor:
        """Mean cross entropy, a scalar; zero for a batch in which nothing sounds.

        Args:
            features: (batch, band, patch, channel).
            stems: complex (batch, clause, frame, freq).
            clauses: (batch, clause, text_channel).
            clause_features: text features (batch, clause, width), to see which names are the same.
            named: (batch, clause) bool.
        """
        with torch.no_grad():
            power = stems.abs().square()
            fraction = power / power.sum(dim=1, keepdim=True).clamp_min(1e-12)
            weight = in_patches(band_sums(fraction.square() * power).sqrt(), 2, self.patch).sum(dim=3)
            sounds = named & (power.sum(dim=(2, 3)) > 1e-4 * power.sum(dim=(1, 2, 3))[:, None])
        # Rows of clauses that do not sound stay, and count for nothing: how many they are is not known without waiting
        # for a graphics processor, and shapes that depend on it could not be compiled.
        sounds = sounds.flatten()
        pooled = torch.einsum("bktn,bntc->bkc", weight, features.float())
        pooled = (pooled / weight.sum(dim=(2, 3)).clamp_min(1e-8)[..., None]).flatten(0, 1)
        sound = F.normalize(self.sound(pooled).float(), dim=-1)
        name = F.normalize(self.name(clauses.flatten(0, 1)).float(), dim=-1)
        logits = self.log_scale.exp().clamp(max=50.0) * sound @ name.T
        text = F.normalize(clause_features.flatten(0, 1).float(), dim=-1)
        with torch.autocast(text.device.type, enabled=False):  # in bf16 a vector times itself can be 0.996
            alike = text @ text.T > 0.999
        # The same name elsewhere in the batch is no wrong answer.
        others = ~torch.eye(len(text), dtype=torch.bool, device=text.device)
        excluded = (alike | ~(sounds[:, None] & sounds)) & others
        logits = logits.masked_fill(excluded, -1e4)
        errors = F.log_softmax(logits, dim=1).diagonal() + F.log_softmax(logits, dim=0).diagonal()
        return -0.5 * torch.where(sounds, errors, 0.0).sum() / sounds.sum().clamp_min(1)


def in_patches(x: Tensor, axis: int, patch: int) -> Tensor:
    """Frames on ``axis`` as (patch, frame); the last patch is filled up with zeros."""
    missing = -x.shape[axis] % patch
    if missing:
        shape = list(x.shape)
        shape[axis] = missing
        x = torch.cat([x, x.new_zeros(shape)], dim=axis)
    return x.unflatten(axis, (-1, patch))

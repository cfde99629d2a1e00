"""The network of the ``slots`` family: from the sound and the clauses to a mask for each clause.

It sees the sound and the text, but no direction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from tas_core.acoustics.stft import local_level
from tas_core.models.slots.bands import BandMerge, BandSplit, band_count, bin_count
from tas_core.models.slots.config import SlotsConfig
from tas_core.models.slots.layers import (
    BandMixer,
    ChannelNorm,
    ClauseFusion,
    FrameMixer,
    Presence,
    Recognition,
    in_patches,
)

_FEATURES = 3
_DIRECT_AT_START = 2.0


@dataclass(frozen=True)
class Separation:
    """What the network found of each clause.

    ``masks`` (batch, clause + 1, frame, freq), the last for everything else, summing to one over clauses;
    ``active`` (batch, clause, frame) bool, when the prompt holds each clause;
    ``directness`` (batch, frame, freq), 0..1, how much of a bin has the direction of its object;
    ``features`` (batch, band, patch, channel), what the network knows of the sound;
    ``presence`` (batch, clause, patch), log odds that a clause's object sounds within the context around a patch,
    without meaning where the clause does not hold.
    """

    masks: Tensor
    active: Tensor
    directness: Tensor
    features: Tensor
    presence: Tensor

    @staticmethod
    def mean(found: Sequence[Separation]) -> Separation:
        """The mean of what several networks found of the same clauses, with the features of the first."""
        over = lambda parts: torch.stack(list(parts)).mean(dim=0) if len(found) > 1 else next(iter(parts))  # noqa: E731
        return replace(
            found[0],
            masks=over(f.masks for f in found),
            directness=over(f.directness for f in found),
            presence=over(f.presence for f in found),
        )

    def placed(self, active: Tensor) -> Separation:
        """The same, where the prompt places each clause only at times ``active`` (batch, clause, frame) bool.

        At other times its sound belongs to everything else.
        """
        named = self.masks[:, :-1] * active[..., None]
        rest = self.masks[:, -1:] + (self.masks[:, :-1] * ~active[..., None]).sum(dim=1, keepdim=True)
        return replace(self, masks=torch.cat([named, rest], dim=1), active=active)

    def as_direct(self, power: float) -> Separation:
        """The same with directness raised to a power; below 1, reverberant sound gets more of its object's direction.

        For a side signal that is directional alone; the diffuse part complements directness as it was found.
        """
        return replace(self, directness=self.directness.pow(power))


class SlotsNetwork(nn.Module):
    """A band-split network that separates a sound into clauses and everything else."""

    def __init__(self, config: SlotsConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        bands = band_count()
        if bin_count() != c.n_fft // 2:
            raise ValueError(f"n_fft {c.n_fft} needs {c.n_fft // 2} bins, the bands cover {bin_count()}")
        self.split = BandSplit(_FEATURES * c.patch, c.channels)
        self.band_offset = nn.Parameter(0.02 * torch.randn(bands, 1, c.channels))
        self.text = nn.Sequential(
            nn.Linear(c.text_width, 256), nn.SiLU(), nn.Linear(256, 2 * c.channels), ChannelNorm(2 * c.channels)
        )
        self.rest = nn.Parameter(torch.randn(2 * c.channels))
        self.frame_mixers = nn.ModuleList(FrameMixer(c.channels, c.frame_channels, bands, d) for d in c.dilations)
        self.band_mixers = nn.ModuleList(BandMixer(c.channels, d) for d in c.dilations)
        self.fusions = nn.ModuleList(
            ClauseFusion(c.channels, c.channels * 2, c.context_patches) for _ in c.fusion_after
        )
        self.norm = ChannelNorm(c.channels)
        self.recognise = Recognition(c.channels, 2 * c.channels, c.patch)
        self.presence = Presence(c.channels, c.context_patches)
        self.merge = BandMerge(c.channels, c.mask_features * c.patch)
        self.mask_key = nn.Linear(c.channels, c.mask_features + 1)
        self.direct = BandMerge(c.channels, c.patch)
        for name, parameter in self.direct.named_parameters():
            nn.init.constant_(parameter, _DIRECT_AT_START if name.endswith("bias") else 0.0)

    @property
    def context_frames(self) -> int:
        """Frames on each side that a frame of what :meth:`separate` finds may depend on, in whole patches."""
        c = self.config
        # The other frames of its own patch count too.
        frames = c.patch * self._reach(0) + c.patch - 1 + c.level_frames
        return -(-frames // c.patch) * c.patch

    def _reach(self, block: int) -> int:
        """Patches on each side that a patch depends on through a block, counted from 0, and all after it."""
        c = self.config
        # Both mixers of a block look one dilation to each side.
        return 2 * sum(c.dilations[block:]) + c.context_patches * sum(after > block for after in c.fusion_after)

    def features(self, spectrum: Tensor) -> Tensor:
        """Compressed, level-independent features (batch, freq, frame, 3) of a spectrogram (batch, freq, frame)."""
        magnitude = spectrum.abs()
        level = local_level(magnitude.square().mean(dim=1), self.config.level_frames)
        scaled = magnitude / (level[:, None] + 1e-8)
        compressed = scaled.pow(0.3)
        phase = spectrum / (magnitude + 1e-12)
        return torch.stack([compressed - 0.5, compressed * phase.real, compressed * phase.imag], dim=-1)

    def clause_vectors(self, clause_features: Tensor) -> Tensor:
        """Text features (batch, clause, width) as the network uses them, (batch, clause, channel)."""
        # Encoders give unit vectors; a few hundred numbers that small would hardly move the network.
        return self.text(clause_features * math.sqrt(self.config.text_width))

    def separate(
        self, spectrum: Tensor, clause_features: Tensor, active: Tensor, within: slice | None = None
    ) -> Separation:
        """Masks for every clause.

        Args:
            spectrum: STFT of mid, complex (batch, freq, frame).
            clause_features: text features (batch, clause, width).
            active: which clause the prompt holds when, (batch, clause, frame) bool.
            within: frames that masks are wanted for, from the first of a patch on; all by default. The others are
                looked at as context only, and cost less.
        """
        c = self.config
        bins, patch = bin_count(), c.patch
        frames = spectrum.shape[-1]
        within = within or slice(0, frames)
        named = self.clause_vectors(clause_features)
        rest = self.rest.to(named.dtype).expand(len(named), 1, -1)
        clause = torch.cat([named, rest], dim=1)
        active = torch.cat([active, active.new_ones(len(active), 1, frames)], dim=1)
        active_patches = in_patches(active, 2, patch).any(dim=3)
        patches = active_patches.shape[2]
        wanted = slice(within.start // patch, -(-within.stop // patch))
        x = in_patches(self.features(spectrum)[:, :bins], 2, patch)
        # The patches in h: those that the blocks to come depend on.
        now = _around(wanted, self._reach(0), patches)
        h = self.split(x[:, :, now].flatten(-2)) + self.band_offset
        fused = 0
        key = None
        for i, (frame_mixer, band_mixer) in enumerate(zip(self.frame_mixers, self.band_mixers, strict=True)):
            h = band_mixer(frame_mixer(h))
            if i + 1 in c.fusion_after:
                h, key = self.fusions[fused](h, clause, active_patches[:, :, now])
                fused += 1
                before, now = now, _around(wanted, self._reach(i + 1), patches)
                kept = slice(now.start - before.start, now.stop - before.start)
                h, key = h[:, :, kept], key[:, :, kept]
        assert key is not None
        # Blocks after the last fusion, if any, looked at more than is wanted.
        kept = slice(wanted.start - now.start, wanted.stop - now.start)
        h, key = h[:, :, kept], key[:, :, kept]
        spectrum, active = spectrum[..., within], active[..., within]
        frames = spectrum.shape[-1]
        features = self.norm(h)
        # (batch, patch, freq, patch * feature) -> (batch, patch, frame * freq, feature)
        per_bin = self.merge(features).unflatten(-1, (patch, -1)).transpose(2, 3).flatten(2, 3)
        to_mask = self.mask_key(key).transpose(1, 2)
        logits = torch.matmul(per_bin, to_mask[..., :-1].transpose(2, 3).to(per_bin.dtype)).float()
        logits = logits + to_mask[:, :, None, :, -1].float()
        logits = logits.unflatten(2, (patch, bins)).flatten(1, 2)[:, :frames]
        logits = logits.masked_fill(~active.transpose(1, 2)[:, :, None], -1e4)
        masks = logits.softmax(dim=-1).permute(0, 3, 1, 2)
        directness = torch.sigmoid(self.direct(features).transpose(2, 3).flatten(1, 2)[:, :frames].float())
        with torch.no_grad():
            power = spectrum[:, :bins].abs().square().transpose(1, 2)
            taken = torch.cat([power.sum(dim=2)[:, None], (masks[:, :-1] * power[:, None]).sum(dim=3)], dim=1)
        # The highest bin (half the sample rate) follows its neighbour.
        return Separation(
            torch.cat([masks, masks[..., -1:]], dim=-1),
            active[:, :-1],
            torch.cat([directness, directness[..., -1:]], dim=-1),
            features,
            self.presence(key[:, :-1], in_patches(taken, 2, patch).sum(dim=3)),
        )


def _around(wanted: slice, reach: int, count: int) -> slice:
    """What is wanted and ``reach`` on each side, as far as there are so many."""
    return slice(max(0, wanted.start - reach), min(count, wanted.stop + reach))

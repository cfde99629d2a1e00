"""The ``slots`` family: one query per clause, masks for *what*, a direction filter for *where*.

A scene's side signal is modelled as

    side = directness * sum_k mask_k * G(azimuth_k) * mid + residual,

where the masks (over clauses and "everything else", summing to one in every time-frequency bin) and the directness
(0 where reverberation has no direction left, 1 in dry sound) come from a band-split network that sees the sound and
the text, but no direction. Mirrored prompts therefore give
mirrored outputs and a prompt that puts everything in the centre gives no side signal, for any weights. See
``docs/MODELS.md`` for how it relates to the paper's model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor, nn

from tas_core.diffusion.samplers import standard_normal
from tas_core.dsp import local_level
from tas_core.models.bands import BandMerge, BandSplit, band_count, bin_count
from tas_core.models.diffuse import NUM_STEPS, DiffuseResidual, unit_noise
from tas_core.models.direction import DirectionFilter
from tas_core.models.slots_layers import (
    BandMixer,
    ChannelNorm,
    ClauseFusion,
    FrameMixer,
    Presence,
    Recognition,
    in_steps,
)
from tas_core.models.slots_losses import Targets, presence_loss, scene_errors
from tas_core.models.slots_placing import placing_masks
from tas_core.scene_batch import SceneBatch

_FEATURES = 3
_DIRECT_AT_START = 2.0
_DIFFUSE_SHARE = 4
"""One scene of so many trains the diffuse part."""
_RECOGNITION_WEIGHT = 0.2
_PRESENCE_WEIGHT = 0.2


@dataclass(frozen=True)
class SlotsConfig:
    """Sizes of the network; ``n_fft`` and ``hop`` in samples at ``sample_rate_hz``.

    The trunk takes ``patch`` frames of the spectrogram at once, as one step; masks come out for every frame.
    Masks are corrected by ``balance``, over ``balance_frames`` on each side, and ``sharpness`` before they place
    anything: see :func:`tas_core.models.slots_placing.placing_masks`. Checkpoints from before there was a balance do
    not say one, and keep giving what they gave.
    """

    sample_rate_hz: int = 16000
    n_fft: int = 1024
    hop: int = 256
    patch: int = 2
    channels: int = 64
    frame_channels: int = 8
    blocks: int = 8
    fusion_after: tuple[int, ...] = (2, 4, 6, 8)
    context_frames: int = 64
    level_frames: int = 128
    mask_features: int = 16
    balance: float = 0.0
    balance_frames: int = 64
    sharpness: float = 4.0
    diffuse_channels: int = 128
    diffuse_layers: int = 4
    text_encoder: str = "minilm"
    text_width: int = 384

    @property
    def dilations(self) -> tuple[int, ...]:
        """Steps between the taps of each block: 1, 1, 2, 4, and again."""
        return tuple((1, 1, 2, 4)[i % 4] for i in range(self.blocks))

    @property
    def context_steps(self) -> int:
        """Steps on each side that a fusion attends to."""
        return self.context_frames // self.patch


PRESETS: Final = {"slots": SlotsConfig(balance=0.75)}
"""Configs by name."""


@dataclass(frozen=True)
class Separation:
    """What the network took each clause to be.

    ``masks`` (batch, clause + 1, frame, freq), the last for everything else, summing to one over clauses;
    ``active`` (batch, clause, frame) bool, when the prompt holds each clause;
    ``directness`` (batch, frame, freq), 0..1, how much of a bin has the direction of its object;
    ``features`` (batch, band, step, channel), what the network knows of the sound;
    ``presence`` (batch, clause, step), log odds that a clause's object sounds within the context around a step,
    without meaning where the clause does not hold.
    """

    masks: Tensor
    active: Tensor
    directness: Tensor
    features: Tensor
    presence: Tensor

    def placed(self, active: Tensor) -> Separation:
        """The same, where the prompt places each clause only at times ``active`` (batch, clause, frame) bool.

        At other times its sound belongs to everything else.
        """
        named = self.masks[:, :-1] * active[..., None]
        rest = self.masks[:, -1:] + (self.masks[:, :-1] * ~active[..., None]).sum(dim=1, keepdim=True)
        return replace(self, masks=torch.cat([named, rest], dim=1), active=active)


class SlotsModel(nn.Module):
    """Text-guided separation into clauses, and a direction filter for each."""

    family = "slots"
    default_steps = 1
    max_steps = 1 + NUM_STEPS

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
        self.fusions = nn.ModuleList(ClauseFusion(c.channels, c.channels * 2, c.context_steps) for _ in c.fusion_after)
        self.norm = ChannelNorm(c.channels)
        self.recognise = Recognition(c.channels, 2 * c.channels, c.patch)
        self.presence = Presence(c.channels, c.context_steps)
        self.merge = BandMerge(c.channels, c.mask_features * c.patch)
        self.mask_key = nn.Linear(c.channels, c.mask_features + 1)
        self.direct = BandMerge(c.channels, c.patch)
        for name, parameter in self.direct.named_parameters():
            nn.init.constant_(parameter, _DIRECT_AT_START if name.endswith("bias") else 0.0)
        self.direction = DirectionFilter(c.n_fft, c.sample_rate_hz)
        self._scene_errors = scene_errors
        self.diffuse = DiffuseResidual(c.n_fft // 2 + 1, bands, c.channels, c.diffuse_channels, c.diffuse_layers)

    @property
    def context_frames(self) -> int:
        """Frames on each side that a frame of what :meth:`separate` finds may depend on, in whole steps."""
        c = self.config
        # The other frames of its own step count too.
        frames = c.patch * self._reach(0) + c.patch - 1 + c.level_frames
        return -(-frames // c.patch) * c.patch

    def _reach(self, block: int) -> int:
        """Steps on each side that a step depends on through a block, counted from 0, and all after it."""
        c = self.config
        # Both mixers of a block look one dilation to each side.
        return 2 * sum(c.dilations[block:]) + c.context_steps * sum(after > block for after in c.fusion_after)

    @property
    def placing_frames(self) -> int:
        """Frames on each side that a frame of what :meth:`directional` gives may depend on, in whole steps."""
        frames = self.context_frames + (self.config.balance_frames if self.config.balance else 0)
        return -(-frames // self.config.patch) * self.config.patch

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
            within: frames that masks are wanted for, from the first of a step on; all by default. The others are looked
                at as context only, and cost less.
        """
        c = self.config
        bins, patch = bin_count(), c.patch
        frames = spectrum.shape[-1]
        within = within or slice(0, frames)
        named = self.clause_vectors(clause_features)
        rest = self.rest.to(named.dtype).expand(len(named), 1, -1)
        clause = torch.cat([named, rest], dim=1)
        active = torch.cat([active, active.new_ones(len(active), 1, frames)], dim=1)
        active_steps = in_steps(active, 2, patch).any(dim=3)
        steps = active_steps.shape[2]
        wanted = slice(within.start // patch, -(-within.stop // patch))
        x = in_steps(self.features(spectrum)[:, :bins], 2, patch)
        # The steps in h: those that the blocks to come depend on.
        now = _around(wanted, self._reach(0), steps)
        h = self.split(x[:, :, now].flatten(-2)) + self.band_offset
        fused = 0
        key = None
        for i, (frame_mixer, band_mixer) in enumerate(zip(self.frame_mixers, self.band_mixers, strict=True)):
            h = band_mixer(frame_mixer(h))
            if i + 1 in c.fusion_after:
                h, key = self.fusions[fused](h, clause, active_steps[:, :, now])
                fused += 1
                before, now = now, _around(wanted, self._reach(i + 1), steps)
                kept = slice(now.start - before.start, now.stop - before.start)
                h, key = h[:, :, kept], key[:, :, kept]
        assert key is not None
        # Blocks after the last fusion, if any, looked at more than is wanted.
        kept = slice(wanted.start - now.start, wanted.stop - now.start)
        h, key = h[:, :, kept], key[:, :, kept]
        spectrum, active = spectrum[..., within], active[..., within]
        frames = spectrum.shape[-1]
        features = self.norm(h)
        # (batch, step, freq, patch * feature) -> (batch, step, patch * freq, feature)
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
            self.presence(key[:, :-1], in_steps(taken, 2, patch).sum(dim=3)),
        )

    def per_frame(self, x: Tensor, frames: int) -> Tensor:
        """What is known per step, (batch, x, step, ...), for every frame, (batch, x, frame, ...)."""
        return x.repeat_interleave(self.config.patch, dim=2)[:, :, :frames]

    def diffuse_part(self, spectrum: Tensor, features: Tensor, noise: Tensor, steps: int) -> Tensor:
        """Diffuse side spectrogram (batch, freq, frame) by ``steps`` network evaluations.

        Args:
            spectrum: STFT of mid, complex (batch, freq, frame).
            features: from :meth:`separate`.
            noise: from :func:`tas_core.models.diffuse.unit_noise`.
            steps: 1 to ``max_steps`` - 1.
        """
        return self.diffuse.sample(spectrum, self.per_frame(features, spectrum.shape[-1]), noise, steps)

    def directional(self, spectrum: Tensor, found: Separation, azimuth_deg: Tensor) -> Tensor:
        """Directional side spectrogram (batch, freq, frame).

        Args:
            spectrum: STFT of mid, complex (batch, freq, frame).
            found: from :meth:`separate`.
            azimuth_deg: (batch, clause, frame), or (batch, clause, 1) where nothing moves.
        """
        c = self.config
        masks = placing_masks(
            found.masks,
            spectrum.abs().transpose(1, 2),
            found.active,
            balance=c.balance,
            frames=c.balance_frames,
            sharpness=c.sharpness,
        )
        total = (masks * self.direction(azimuth_deg)).sum(dim=1) * found.directness
        return spectrum * total.transpose(1, 2)

    def compile_parts(self) -> None:
        """Compile the costly part of the forward pass, for training."""
        self.separate = torch.compile(self.separate)  # type: ignore[method-assign]
        self._scene_errors = torch.compile(self._scene_errors)

    def training_loss(self, batch: SceneBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of a batch of scenes; ``loss`` is what to minimise, the others are for the log.

        Separation is scored as the error power of all clauses over the mixture's, in log units so that every
        scene counts the same, plus the error of compressed magnitudes, where faint sounds count, plus the cross
        entropy of the masks, where every object counts the same; direction as the error power of the side signal
        over the power of mid. The directness learns from ideal masks, so that it says what reverberation did, and
        not how sure the network is of its masks.
        """
        c = self.config
        want = Targets.of(batch, c.n_fft, c.hop, c.level_frames)
        active = batch.active_frames(want.mixture.shape[1])
        found = self.separate(want.mixture.transpose(1, 2), batch.clause_features, active)
        gain = self.direction(batch.azimuth_deg)[:, :, None]
        error, compressed, entropy, side_error, direct_error = self._scene_errors(
            found.masks.float(),
            found.directness,
            want.ideal,
            want.weight,
            want.power,
            want.cross,
            want.scaled,
            want.compressed,
            gain.real,
            gain.imag,
            want.side_cross.real,
            want.side_cross.imag,
        )
        separation = want.relative_db(error, want.stem_power)
        known = batch.side_known.float()
        side_mean, direct_mean = (
            (want.relative_db(x, want.side_power) * known).sum() / known.sum().clamp_min(1)
            for x in (side_error, direct_error)
        )
        confusion = (entropy * want.heard).sum() / want.heard.sum().clamp_min(1)
        diffuse = self._diffuse_loss(want.mixture, want.side, found, batch.azimuth_deg, known, generator)
        recognition = self.recognise(
            found.features,
            want.stems[:, :-1],
            self.clause_vectors(batch.clause_features),
            batch.clause_features,
            batch.named & batch.right_name,
        )
        presence = presence_loss(
            found.presence,
            self.presence.surroundings(in_steps(want.each.sum(dim=3), 2, c.patch).sum(dim=3)),
            in_steps(active, 2, c.patch).any(dim=3).float(),
            batch.right_name,
        )
        loss = (
            0.1 * separation.mean()
            + 4.0 * compressed.mean()
            + 0.5 * confusion
            + 0.1 * side_mean
            + 0.1 * direct_mean
            + 0.1 * diffuse
            + _RECOGNITION_WEIGHT * recognition
            + _PRESENCE_WEIGHT * presence
        )
        return {
            "loss": loss,
            "separation_db": separation.mean().detach(),
            "compressed": compressed.mean().detach(),
            "confusion": confusion.detach(),
            "side_db": side_mean.detach(),
            "direct_db": direct_mean.detach(),
            "diffuse": diffuse.detach(),
            "recognition": recognition.detach(),
            "presence": presence.detach(),
        }

    def _diffuse_loss(
        self,
        mixture: Tensor,
        side: Tensor,
        found: Separation,
        azimuth_deg: Tensor,
        known: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """Loss of the diffuse part, which learns from the separation and does not change it.

        A share of the scenes is enough for it, and saves a tenth of the step's arithmetic.
        """
        c = self.config
        count = -(-len(mixture) // _DIFFUSE_SHARE)
        mixture, side, azimuth_deg, known = (x[:count] for x in (mixture, side, azimuth_deg, known))
        found = Separation(
            found.masks[:count],
            found.active[:count],
            found.directness[:count],
            found.features[:count],
            found.presence[:count],
        )
        with torch.no_grad():
            spectrum = mixture.transpose(1, 2)
            residual = side.transpose(1, 2) - self.directional(spectrum, found, azimuth_deg[..., None])
            samples = (mixture.shape[1] - 1) * c.hop
            white = standard_normal(residual.real.new_empty(len(residual), samples), generator)
            noise = unit_noise(white, c.n_fft, c.hop)
        features = self.per_frame(found.features.detach(), spectrum.shape[-1])
        per_scene = self.diffuse.training_loss(residual, spectrum, features, noise, generator)
        return (per_scene * known).sum() / known.sum().clamp_min(1)


def _around(wanted: slice, reach: int, count: int) -> slice:
    """What is wanted and ``reach`` on each side, as far as there are so many."""
    return slice(max(0, wanted.start - reach), min(count, wanted.stop + reach))

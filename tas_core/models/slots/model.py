"""The ``slots`` family: one query per clause, masks for *what*, a direction filter for *where*.

A scene's side signal is modelled as

    side = directness * sum_k mask_k * G(azimuth_k) * mid + residual,

where the masks (over clauses and "everything else", summing to one in every time-frequency bin) and the directness
(0 where reverberation has no direction left, 1 in dry sound) come from a band-split network, or are the mean of
several, that sees the sound and the text, but no direction; a network may be there for what prompts name together, and
no other hears that. Mirrored prompts therefore give mirrored outputs and a prompt that puts everything in the centre
gives no side signal, for any weights. See
``docs/MODELS.md`` for how it relates to the paper's model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tas_core.acoustics.direction_filter import DirectionFilter
from tas_core.models.base import ClauseModel
from tas_core.models.diffusion.samplers import standard_normal
from tas_core.models.scene_batch import SceneBatch
from tas_core.models.slots.bands import band_count
from tas_core.models.slots.config import SlotsConfig
from tas_core.models.slots.diffuse import NUM_STEPS, DiffuseResidual, unit_noise
from tas_core.models.slots.layers import in_patches
from tas_core.models.slots.losses import Targets, presence_loss, scene_errors
from tas_core.models.slots.network import Separation, SlotsNetwork
from tas_core.models.slots.placing import leveled_masks, placing_masks
from tas_core.models.slots.specialists import Specialties, chosen

_DIFFUSE_EVERY = 4
"""One scene of so many trains the diffuse part."""
_RECOGNITION_WEIGHT = 0.2
_PRESENCE_WEIGHT = 0.2


class SlotsModel(ClauseModel):
    """Text-guided separation into clauses, and a direction filter for each."""

    family = "slots"
    config: SlotsConfig

    def __init__(self, config: SlotsConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        if c.networks < 1:
            raise ValueError(f"networks must be at least 1, not {c.networks}")
        self.networks: Sequence[SlotsNetwork]
        self.networks = nn.ModuleList(SlotsNetwork(config) for _ in range(c.networks))  # type: ignore[assignment]
        self.specialties = Specialties(c.text_width, len(c.specialists)) if c.specialists else None
        self.direction = DirectionFilter(c.n_fft, c.sample_rate_hz)
        self._scene_errors = scene_errors
        self.diffuse = DiffuseResidual(c.n_fft // 2 + 1, band_count(), c.channels, c.diffuse_channels, c.diffuse_layers)

    @property
    def general(self) -> Sequence[SlotsNetwork]:
        """The networks whose mean hears what no specialist is for; these are what training trains."""
        return self.networks[: len(self.networks) - len(self.config.specialists)]

    @property
    def max_steps(self) -> int:
        """One for the directional part, and those of the diffuse part's schedule."""
        return 1 + NUM_STEPS

    @property
    def context_frames(self) -> int:
        """Frames on each side that a frame of what :meth:`separate` finds may depend on, in whole patches."""
        return self.networks[0].context_frames

    @property
    def placing_frames(self) -> int:
        """Frames on each side that a frame of what :meth:`directional` gives may depend on, in whole patches."""
        frames = self.context_frames + (self.config.balance_frames if self.config.balance else 0)
        return -(-frames // self.config.patch) * self.config.patch

    @property
    def diffuse_frames(self) -> int:
        """The reach of the diffuse part's network."""
        return self.diffuse.reach

    def separate(
        self, spectrum: Tensor, clause_features: Tensor, active: Tensor, within: slice | None = None
    ) -> Separation:
        """Masks for every clause, the mean of the general networks, or of the specialist where one hears.

        Arguments are those of :meth:`tas_core.models.slots.network.SlotsNetwork.separate`.
        """
        c = self.config
        sought = spectrum, clause_features, active, within
        if self.specialties is None:
            return Separation.mean([n.separate(*sought) for n in self.networks])
        heard = self.specialties(clause_features, active if within is None else active[..., within])
        groups = [self.general, *([one] for one in self.networks[len(self.general) :])]
        hears = set(heard.unique().tolist())
        found = [
            Separation.mean([n.separate(*sought) for n in group]) if index in hears else None
            for index, group in enumerate(groups)
        ]
        return chosen(found, heard, c.patch)

    def per_frame(self, x: Tensor, frames: int) -> Tensor:
        """What is known per patch, (batch, x, patch, ...), for every frame, (batch, x, frame, ...)."""
        return x.repeat_interleave(self.config.patch, dim=2)[:, :, :frames]

    def diffuse_part(self, spectrum: Tensor, features: Tensor, noise: Tensor, steps: int) -> Tensor:
        """Diffuse side spectrogram (batch, freq, frame) by ``steps`` network evaluations.

        Args:
            spectrum: STFT of mid, complex (batch, freq, frame).
            features: from :meth:`separate`.
            noise: from :func:`tas_core.models.slots.diffuse.unit_noise`.
            steps: 1 to ``max_steps`` - 1.
        """
        return self.diffuse.sample(spectrum, self.per_frame(features, spectrum.shape[-1]), noise, steps)

    def directional(
        self, spectrum: Tensor, found: Separation, azimuth_deg: Tensor, gains: Tensor | None = None
    ) -> Tensor:
        """Directional side spectrogram (batch, freq, frame).

        Args:
            spectrum: STFT of mid, complex (batch, freq, frame).
            found: from :meth:`separate`.
            azimuth_deg: (batch, clause, frame), or (batch, clause, 1) where nothing moves.
            gains: factors by which each clause and everything else are made louder, (batch, clause + 1, frame).
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
        if gains is not None:
            masks = leveled_masks(masks, found.masks, gains)
        total = (masks * self.direction(azimuth_deg)).sum(dim=1) * found.directness
        return spectrum * total.transpose(1, 2)

    def compile_parts(self) -> None:
        """Compile the costly part of the forward pass, for training."""
        for network in self.general:
            network.separate = torch.compile(network.separate)  # type: ignore[method-assign]
        self._scene_errors = torch.compile(self._scene_errors)

    def losses(self, batch: SceneBatch, captions: Tensor | None, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of a batch of scenes; ``loss`` is what to minimise, the others are for the log; captions are not read.

        Separation is scored as the error power of all clauses over the mixture's, in log units so that every
        scene counts the same, plus the error of compressed magnitudes, where faint sounds count, plus the cross
        entropy of the masks, where every object counts the same; direction as the error power of the side signal
        over the power of mid. The directness learns from ideal masks, so that it says what reverberation did, and
        not how sure the network is of its masks. Each network learns by itself, as if it were the only one: what they
        do not have in common is what their mean gains from. The log has their mean.
        """
        del captions
        c = self.config
        want = Targets.of(batch, c.n_fft, c.hop, c.level_frames)
        active = batch.active_frames(want.mixture.shape[1])
        spectrum = want.mixture.transpose(1, 2)
        found = [self._shared_out(n, spectrum, batch.clause_features, active) for n in self.general]
        each = [self._separation_losses(*pair, batch, want, active) for pair in zip(self.general, found, strict=True)]
        known = batch.side_known.float()
        diffuse = self._diffuse_loss(want.mixture, want.side, found[0], batch.azimuth_deg, known, generator)
        means = {name: torch.stack([losses[name].detach() for losses in each]).mean() for name in each[0]}
        loss = torch.stack([losses["loss"] for losses in each]).sum() + 0.1 * diffuse
        return means | {"loss": loss, "diffuse": diffuse.detach()}

    def _shared_out(self, network: SlotsNetwork, *inputs: Tensor) -> Separation:
        """What a network finds in all scenes of a batch, whoever computes it; arguments as for ``separate``."""
        return Separation(*self.share_rows(lambda *rows: tuple(vars(network.separate(*rows)).values()), *inputs))

    def _separation_losses(
        self, network: SlotsNetwork, found: Separation, batch: SceneBatch, want: Targets, active: Tensor
    ) -> dict[str, Tensor]:
        """Losses of one network, which found this in a batch; ``loss`` is their sum."""
        c = self.config
        gain = self.direction(batch.azimuth_deg)[:, :, None]
        error, compressed, entropy, side_error, direct_error = self._scene_errors(
            found.masks.float(),
            found.directness,
            want,
            gain.real,
            gain.imag,
        )
        separation = want.relative_db(error, want.stem_power)
        known = batch.side_known.float()
        side_mean, direct_mean = (
            (want.relative_db(x, want.side_power) * known).sum() / known.sum().clamp_min(1)
            for x in (side_error, direct_error)
        )
        confusion = (entropy * want.sounds).sum() / want.sounds.sum().clamp_min(1)
        recognition = network.recognise(
            found.features,
            want.stems[:, :-1],
            network.clause_vectors(batch.clause_features),
            batch.clause_features,
            batch.named & batch.right_name,
        )
        presence = presence_loss(
            found.presence,
            network.presence.surroundings(in_patches(want.each.sum(dim=3), 2, c.patch).sum(dim=3)),
            in_patches(active, 2, c.patch).any(dim=3).float(),
            batch.right_name,
        )
        loss = (
            0.1 * separation.mean()
            + 4.0 * compressed.mean()
            + 0.5 * confusion
            + 0.1 * side_mean
            + 0.1 * direct_mean
            + _RECOGNITION_WEIGHT * recognition
            + _PRESENCE_WEIGHT * presence
        )
        return {
            "loss": loss,
            "separation_db": separation.mean(),
            "compressed": compressed.mean(),
            "confusion": confusion,
            "side_db": side_mean,
            "direct_db": direct_mean,
            "recognition": recognition,
            "presence": presence,
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

        Some of the scenes is enough for it, and saves a tenth of the step's arithmetic.
        """
        c = self.config
        count = -(-len(mixture) // _DIFFUSE_EVERY)
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

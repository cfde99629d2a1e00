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
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tas_core.diffusion.samplers import standard_normal
from tas_core.dsp import local_level, stft
from tas_core.models.bands import BandMerge, BandSplit, band_count, band_sums, bin_count
from tas_core.models.diffuse import NUM_STEPS, DiffuseResidual, unit_noise
from tas_core.models.direction import DirectionFilter
from tas_core.scene_batch import SceneBatch

_FEATURES = 3
_MAX_SCORE = 8.0
_DIRECT_AT_START = 2.0
_DIFFUSE_SHARE = 4
"""One scene of so many trains the diffuse part."""
_RECOGNITION_WEIGHT = 0.2
_PRESENCE_WEIGHT = 0.2
_PRESENT_DB = -30.0
"""An object is in the sound if its part of the power around is more than this."""
_FLOOR = 0.01
"""Errors this small a part of the power of mid (-20 dB) are good enough; hard scenes are what is to be learned."""


@dataclass(frozen=True)
class SlotsConfig:
    """Sizes of the network; ``n_fft`` and ``hop`` in samples at ``sample_rate_hz``.

    The trunk takes ``patch`` frames of the spectrogram at once, as one step; masks come out for every frame.
    Masks are raised to the power of ``sharpness`` before they place anything: the least-squares estimate of a doubtful
    bin is half here and half there, which is heard in between; a listener prefers one or the other.
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
    sharpness: float = 3.0
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
        share = match.softmax(dim=-1).to(h.dtype)
        taken = torch.matmul(share, self.inject(fused).transpose(1, 2)).transpose(1, 2)
        return h + taken, key


@dataclass(frozen=True)
class Separation:
    """What the network took each clause to be.

    ``masks`` (batch, clause + 1, frame, freq), the last for everything else, summing to one over clauses;
    ``directness`` (batch, frame, freq), 0..1, how much of a bin has the direction of its object;
    ``features`` (batch, band, step, channel), what the network knows of the sound;
    ``presence`` (batch, clause, step), log odds that a clause's object sounds within the context around a step,
    without meaning where the clause does not hold.
    """

    masks: Tensor
    directness: Tensor
    features: Tensor
    presence: Tensor


class Presence(nn.Module):
    """Whether an object that the prompt names is in the sound at all.

    It sees what the last fusion found for the clause, and the share of the sound that its mask takes; that share
    alone would not do, since a single clause takes nearly everything, whatever its name.
    """

    def __init__(self, channels: int, context: int, width: int = 32) -> None:
        super().__init__()
        self.context = context
        self.hidden = nn.Linear(channels + 1, width)
        self.out = nn.Linear(width, 1)

    def forward(self, key: Tensor, part: Tensor) -> Tensor:
        """Log odds (batch, clause, step).

        Args:
            key: of the clauses, (batch, clause, step, channel).
            part: power of everything (batch, 1, step) and of what each mask takes, (batch, 1 + clause, step).
        """
        around = self.surroundings(part)
        share = (around[:, 1:] / around[:, :1].clamp_min(1e-12) + 1e-4).log10()[..., None]
        return self.out(F.silu(self.hidden(torch.cat([key, share.to(key.dtype)], dim=-1))))[..., 0].float()

    def surroundings(self, power: Tensor) -> Tensor:
        """Sums over the steps around each, (..., step)."""
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
            features: (batch, band, step, channel).
            stems: complex (batch, clause, frame, freq).
            clauses: (batch, clause, text_channel).
            clause_features: text features (batch, clause, width), to see which names are the same.
            named: (batch, clause) bool.
        """
        with torch.no_grad():
            power = stems.abs().square()
            share = power / power.sum(dim=1, keepdim=True).clamp_min(1e-12)
            weight = _in_steps(band_sums(share.square() * power).sqrt(), 2, self.patch).sum(dim=3)
            heard = named & (power.sum(dim=(2, 3)) > 1e-4 * power.sum(dim=(1, 2, 3))[:, None])
        if not heard.any():
            return 0.0 * (self.sound.weight.sum() + self.name.weight.sum() + self.log_scale)
        pooled = torch.einsum("bktn,bntc->bkc", weight, features.float())
        pooled = pooled / weight.sum(dim=(2, 3)).clamp_min(1e-8)[..., None]
        sound = F.normalize(self.sound(pooled)[heard].float(), dim=-1)
        name = F.normalize(self.name(clauses)[heard].float(), dim=-1)
        logits = self.log_scale.exp().clamp(max=50.0) * sound @ name.T
        text = F.normalize(clause_features[heard].float(), dim=-1)
        # The same name elsewhere in the batch is no wrong answer.
        alike = (text @ text.T > 0.999) & ~torch.eye(len(text), dtype=torch.bool, device=text.device)
        logits = logits.masked_fill(alike, -1e4)
        target = torch.arange(len(logits), device=logits.device)
        return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))


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
        self._scene_errors = _scene_errors
        self.diffuse = DiffuseResidual(c.n_fft // 2 + 1, bands, c.channels, c.diffuse_channels, c.diffuse_layers)

    @property
    def context_frames(self) -> int:
        """Frames on each side that an output frame may depend on, in whole steps."""
        c = self.config
        # Both mixers of a block look one dilation to each side.
        steps = 2 * sum(c.dilations) + len(c.fusion_after) * c.context_steps
        # The other frames of its own step count too.
        frames = c.patch * steps + c.patch - 1 + c.level_frames
        return -(-frames // c.patch) * c.patch

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

    def separate(self, spectrum: Tensor, clause_features: Tensor, active: Tensor) -> Separation:
        """Masks for every clause.

        Args:
            spectrum: STFT of mid, complex (batch, freq, frame).
            clause_features: text features (batch, clause, width).
            active: which clause the prompt holds when, (batch, clause, frame) bool.
        """
        bins, patch = bin_count(), self.config.patch
        frames = spectrum.shape[-1]
        h = self.split(_in_steps(self.features(spectrum)[:, :bins], 2, patch).flatten(-2)) + self.band_offset
        named = self.clause_vectors(clause_features)
        rest = self.rest.to(named.dtype).expand(len(named), 1, -1)
        clause = torch.cat([named, rest], dim=1)
        active = torch.cat([active, active.new_ones(len(active), 1, frames)], dim=1)
        active_steps = _in_steps(active, 2, patch).any(dim=3)
        fused = 0
        key = None
        for i, (frame_mixer, band_mixer) in enumerate(zip(self.frame_mixers, self.band_mixers, strict=True)):
            h = band_mixer(frame_mixer(h))
            if i + 1 in self.config.fusion_after:
                h, key = self.fusions[fused](h, clause, active_steps)
                fused += 1
        assert key is not None
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
            torch.cat([directness, directness[..., -1:]], dim=-1),
            features,
            self.presence(key[:, :-1], _in_steps(taken, 2, patch).sum(dim=3)),
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
        sharp = found.masks.pow(self.config.sharpness)
        sharp = sharp[:, :-1] / sharp.sum(dim=1, keepdim=True)
        total = (sharp * self.direction(azimuth_deg)).sum(dim=1) * found.directness
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
        frames_of = lambda x: stft(x, c.n_fft, c.hop).transpose(-1, -2)  # noqa: E731
        with torch.no_grad():
            stems = frames_of(torch.cat([batch.stem_mid, batch.rest_mid[:, None]], dim=1))
            mixture = stems.sum(dim=1)
            side = frames_of(batch.side)
            power = mixture.abs().square()
            level = local_level(power.mean(dim=-1), c.level_frames)[..., None] + 1e-8
            scaled = (mixture.abs() / level)[:, None]
            targets = ((stems.abs() / level[:, None]) + 1e-6).sqrt()
            each = stems.abs().square()
            ideal = each / each.sum(dim=1, keepdim=True).clamp_min(1e-12)
            # How much a bin says about an object, and which objects say anything.
            weight = ideal * scaled.pow(0.6)
            total = weight.sum(dim=(2, 3), keepdim=True)
            weight = weight / (total + 1e-6 * total.sum(dim=1, keepdim=True) + 1e-12)
            heard = (each.sum(dim=(2, 3)) > 1e-4 * each.sum(dim=(1, 2, 3))[:, None]).float()
            # The errors are expanded into real products, so that no complex number needs a gradient.
            cross = (mixture.conj()[:, None] * stems).real
            stem_power = each.sum(dim=(1, 2, 3))
            side_cross = mixture * side.conj()
            side_power = side.abs().square().sum(dim=(1, 2))
            total_power = power.sum(dim=(1, 2)) + 1e-6
        active = batch.active_frames(mixture.shape[1])
        found = self.separate(mixture.transpose(1, 2), batch.clause_features, active)
        masks = found.masks.float()
        gain = self.direction(batch.azimuth_deg)[:, :, None]
        error, compressed, entropy, side_error, direct_error = self._scene_errors(
            masks,
            found.directness,
            ideal,
            weight,
            power,
            cross,
            scaled,
            targets,
            gain.real,
            gain.imag,
            side_cross.real,
            side_cross.imag,
        )
        separation = 10 * torch.log10((error + stem_power).clamp_min(0) / total_power + _FLOOR)
        known = batch.side_known.float()
        side_mean, direct_mean = (
            (10 * torch.log10((x + side_power).clamp_min(0) / total_power + _FLOOR) * known).sum()
            / known.sum().clamp_min(1)
            for x in (side_error, direct_error)
        )
        confusion = (entropy * heard).sum() / heard.sum().clamp_min(1)
        diffuse = self._diffuse_loss(mixture, side, found, batch.azimuth_deg, known, generator)
        recognition = self.recognise(
            found.features,
            stems[:, :-1],
            self.clause_vectors(batch.clause_features),
            batch.clause_features,
            batch.named & batch.right_name,
        )
        presence = self._presence_loss(found.presence, each, active, batch.right_name)
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

    def _presence_loss(self, presence: Tensor, power: Tensor, active: Tensor, right_name: Tensor) -> Tensor:
        """Cross entropy over the steps in which a clause holds, a scalar; absent objects count as much as present ones.

        Args:
            presence: log odds (batch, clause, step).
            power: of the stems and of the rest, (batch, clause + 1, frame, freq).
            active: (batch, clause, frame) bool.
            right_name: (batch, clause) bool.
        """
        around = self.presence.surroundings(_in_steps(power.sum(dim=3), 2, self.config.patch).sum(dim=3))
        present = around[:, :-1] > 10 ** (_PRESENT_DB / 10) * around.sum(dim=1, keepdim=True)
        target = (present & right_name[..., None]).float()
        holds = _in_steps(active, 2, self.config.patch).any(dim=3).float()
        errors = F.binary_cross_entropy_with_logits(presence, target, reduction="none")
        mean = lambda weight: (errors * weight).sum() / weight.sum().clamp_min(1)  # noqa: E731
        return 0.5 * (mean(holds * target) + mean(holds * (1 - target)))

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
            found.masks[:count], found.directness[:count], found.features[:count], found.presence[:count]
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


def _scene_errors(
    masks: Tensor,
    directness: Tensor,
    ideal: Tensor,
    weight: Tensor,
    power: Tensor,
    cross: Tensor,
    scaled: Tensor,
    targets: Tensor,
    gain_real: Tensor,
    gain_imag: Tensor,
    side_cross_real: Tensor,
    side_cross_imag: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Errors per scene (the powers less their constants).

    Of all clauses, of compressed magnitudes, the cross entropy of each object's masks (batch, clause), and of the
    side signal: with the directness held fixed, and with ideal masks.

    With mixture X, stem S, mask m: |m X - S|^2 = m^2 |X|^2 - 2 m Re(X* S) + |S|^2, and with T the sum of masks
    times direction filters, times the directness, and side D: |T X - D|^2 = |T|^2 |X|^2 - 2 Re(T X D*) + |D|^2.
    """
    error = (masks.square() * power[:, None] - 2 * masks * cross).sum(dim=(1, 2, 3))
    compressed = ((masks * scaled + 1e-6).sqrt() - targets).square().sum(dim=1).mean(dim=(1, 2))
    entropy = -(weight * (masks + 1e-4).log()).sum(dim=(2, 3))
    side_errors = []
    for shares, direct in ((masks, directness.detach()), (ideal, directness)):
        real = (shares[:, :-1] * gain_real).sum(dim=1) * direct
        imag = (shares[:, :-1] * gain_imag).sum(dim=1) * direct
        turned = real * side_cross_real - imag * side_cross_imag
        side_errors.append(((real.square() + imag.square()) * power - 2 * turned).sum(dim=(1, 2)))
    return error, compressed, entropy, side_errors[0], side_errors[1]


def _in_steps(x: Tensor, axis: int, patch: int) -> Tensor:
    """Frames on ``axis`` as (step, patch); the last step is filled up with zeros."""
    missing = -x.shape[axis] % patch
    if missing:
        shape = list(x.shape)
        shape[axis] = missing
        x = torch.cat([x, x.new_zeros(shape)], dim=axis)
    return x.unflatten(axis, (-1, patch))

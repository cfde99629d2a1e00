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

from tas_core.batch import SceneBatch
from tas_core.diffusion.samplers import standard_normal
from tas_core.dsp import local_level, stft
from tas_core.models.bands import BandMerge, BandSplit, band_count, band_sums, bin_count
from tas_core.models.diffuse import DiffuseResidual, unit_noise
from tas_core.models.direction import DirectionFilter

_FEATURES = 3
_MAX_SCORE = 8.0
_DIRECT_AT_START = 2.0
_DIFFUSE_SHARE = 4
"""One scene of so many trains the diffuse part."""
_RECOGNITION_WEIGHT = 0.2


@dataclass(frozen=True)
class SlotsConfig:
    """Sizes of the network; ``n_fft`` and ``hop`` in samples at ``sample_rate_hz``."""

    sample_rate_hz: int = 16000
    n_fft: int = 1024
    hop: int = 256
    channels: int = 64
    frame_channels: int = 8
    blocks: int = 8
    fusion_after: tuple[int, ...] = (2, 4, 6, 8)
    context_frames: int = 64
    level_frames: int = 128
    mask_features: int = 16
    diffuse_channels: int = 128
    diffuse_layers: int = 4
    text_encoder: str = "minilm"
    text_width: int = 384

    @property
    def dilations(self) -> tuple[int, ...]:
        """Frames between the taps of each block: 1, 2, 4, 8, and again."""
        return tuple(2 ** (i % 4) for i in range(self.blocks))


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
    ``features`` (batch, band, frame, channel), what the network knows of the sound.
    """

    masks: Tensor
    directness: Tensor
    features: Tensor


class Recognition(nn.Module):
    """Training only: which of all names in the batch belongs to a sound (contrastive, as in CLAP).

    Masks alone teach what names mean only where two sounds compete in one scene. Here the features of the bins
    that a stem truly dominates, averaged, have to find the stem's name among those of all scenes (InfoNCE).
    """

    def __init__(self, channels: int, text_channels: int, width: int = 64) -> None:
        super().__init__()
        self.sound = nn.Linear(channels, width)
        self.name = nn.Linear(text_channels, width)
        self.log_scale = nn.Parameter(torch.tensor(2.0))

    def forward(
        self, features: Tensor, stems: Tensor, clauses: Tensor, clause_features: Tensor, named: Tensor
    ) -> Tensor:
        """Mean cross entropy, a scalar; zero for a batch in which nothing sounds.

        Args:
            features: (batch, band, frame, channel).
            stems: complex (batch, clause, frame, freq).
            clauses: (batch, clause, text_channel).
            clause_features: text features (batch, clause, width), to see which names are the same.
            named: (batch, clause) bool.
        """
        with torch.no_grad():
            power = stems.abs().square()
            share = power / power.sum(dim=1, keepdim=True).clamp_min(1e-12)
            weight = band_sums(share.square() * power).sqrt()
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

    def __init__(self, config: SlotsConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        bands = band_count()
        if bin_count() != c.n_fft // 2:
            raise ValueError(f"n_fft {c.n_fft} needs {c.n_fft // 2} bins, the bands cover {bin_count()}")
        self.split = BandSplit(_FEATURES, c.channels)
        self.band_offset = nn.Parameter(0.02 * torch.randn(bands, 1, c.channels))
        self.text = nn.Sequential(
            nn.Linear(c.text_width, 256), nn.SiLU(), nn.Linear(256, 2 * c.channels), ChannelNorm(2 * c.channels)
        )
        self.rest = nn.Parameter(torch.randn(2 * c.channels))
        self.frame_mixers = nn.ModuleList(FrameMixer(c.channels, c.frame_channels, bands, d) for d in c.dilations)
        self.band_mixers = nn.ModuleList(BandMixer(c.channels, d) for d in c.dilations)
        self.fusions = nn.ModuleList(ClauseFusion(c.channels, c.channels * 2, c.context_frames) for _ in c.fusion_after)
        self.norm = ChannelNorm(c.channels)
        self.recognise = Recognition(c.channels, 2 * c.channels)
        self.merge = BandMerge(c.channels, c.mask_features)
        self.mask_key = nn.Linear(c.channels, c.mask_features + 1)
        self.direct = BandMerge(c.channels, 1)
        for name, parameter in self.direct.named_parameters():
            nn.init.constant_(parameter, _DIRECT_AT_START if name.endswith("bias") else 0.0)
        self.direction = DirectionFilter(c.n_fft, c.sample_rate_hz)
        self._scene_errors = _scene_errors
        self.diffuse = DiffuseResidual(c.n_fft // 2 + 1, bands, c.channels, c.diffuse_channels, c.diffuse_layers)

    @property
    def context_frames(self) -> int:
        """Frames on each side that an output frame depends on."""
        c = self.config
        # Both mixers of a block look one dilation to each side.
        return 2 * sum(c.dilations) + len(c.fusion_after) * c.context_frames + c.level_frames

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
        bins = bin_count()
        frames = spectrum.shape[-1]
        h = self.split(self.features(spectrum)[:, :bins]) + self.band_offset
        named = self.clause_vectors(clause_features)
        rest = self.rest.to(named.dtype).expand(len(named), 1, -1)
        clause = torch.cat([named, rest], dim=1)
        active = torch.cat(
            [
                active,
                torch.ones_like(active[:, :1, :]) if active.shape[1] else active.new_ones(len(active), 1, frames),
            ],
            dim=1,
        )
        fused = 0
        key = None
        for i, (frame_mixer, band_mixer) in enumerate(zip(self.frame_mixers, self.band_mixers, strict=True)):
            h = band_mixer(frame_mixer(h))
            if i + 1 in self.config.fusion_after:
                h, key = self.fusions[fused](h, clause, active)
                fused += 1
        assert key is not None
        features = self.norm(h)
        per_bin = self.merge(features)
        to_mask = self.mask_key(key).transpose(1, 2)
        logits = torch.matmul(per_bin, to_mask[..., :-1].transpose(2, 3).to(per_bin.dtype)).float()
        logits = logits + to_mask[:, :, None, :, -1].float()
        logits = logits.masked_fill(~active.transpose(1, 2)[:, :, None], -1e4)
        masks = logits.softmax(dim=-1).permute(0, 3, 1, 2)
        # The highest bin (half the sample rate) follows its neighbour.
        directness = torch.sigmoid(self.direct(features)[..., 0].float())
        return Separation(
            torch.cat([masks, masks[..., -1:]], dim=-1),
            torch.cat([directness, directness[..., -1:]], dim=-1),
            features,
        )

    def diffuse_part(self, spectrum: Tensor, features: Tensor, noise: Tensor, steps: int) -> Tensor:
        """Diffuse side spectrogram (batch, freq, frame) by ``steps`` network evaluations.

        Args:
            spectrum: STFT of mid, complex (batch, freq, frame).
            features: from :meth:`separate`.
            noise: from :func:`tas_core.models.diffuse.unit_noise`.
            steps: 1 to 50.
        """
        return self.diffuse.sample(spectrum, features, noise, steps)

    def directional(self, spectrum: Tensor, found: Separation, azimuth_deg: Tensor) -> Tensor:
        """Directional side spectrogram (batch, freq, frame).

        Args:
            spectrum: STFT of mid, complex (batch, freq, frame).
            found: from :meth:`separate`.
            azimuth_deg: (batch, clause, frame), or (batch, clause, 1) where nothing moves.
        """
        total = (found.masks[:, :-1] * self.direction(azimuth_deg)).sum(dim=1) * found.directness
        return spectrum * total.transpose(1, 2)

    def compile_parts(self) -> None:
        """Compile the costly part of the forward pass, for training."""
        self.separate = torch.compile(self.separate)  # type: ignore[method-assign]
        self._scene_errors = torch.compile(self._scene_errors)

    def training_loss(self, batch: SceneBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of a batch of scenes; ``loss`` is what to minimise, the others are for the log.

        Separation is scored as the error power of all clauses over the mixture's, in log units so that every
        scene counts the same, plus the error of compressed magnitudes, where faint sounds count;
        direction as the error power of the side signal over the power of mid.
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
            # The errors are expanded into real products, so that no complex number needs a gradient.
            cross = (mixture.conj()[:, None] * stems).real
            stem_power = stems.abs().square().sum(dim=(1, 2, 3))
            side_cross = mixture * side.conj()
            side_power = side.abs().square().sum(dim=(1, 2))
            total_power = power.sum(dim=(1, 2)) + 1e-6
        active = batch.named[..., None].expand(-1, -1, mixture.shape[1])
        found = self.separate(mixture.transpose(1, 2), batch.clause_features, active)
        masks = found.masks.float()
        gain = self.direction(batch.azimuth_deg)[:, :, None]
        error, compressed, side_error = self._scene_errors(
            masks,
            found.directness,
            power,
            cross,
            scaled,
            targets,
            gain.real,
            gain.imag,
            side_cross.real,
            side_cross.imag,
        )
        separation = 10 * torch.log10((error + stem_power).clamp_min(0) / total_power + 1e-3)
        side_db = 10 * torch.log10((side_error + side_power).clamp_min(0) / total_power + 1e-3)
        known = batch.side_known.float()
        side_mean = (side_db * known).sum() / known.sum().clamp_min(1)
        diffuse = self._diffuse_loss(mixture, side, found, batch.azimuth_deg, known, generator)
        recognition = self.recognise(
            found.features,
            stems[:, :-1],
            self.clause_vectors(batch.clause_features),
            batch.clause_features,
            batch.named,
        )
        loss = (
            0.1 * separation.mean()
            + 4.0 * compressed.mean()
            + 0.1 * side_mean
            + 0.1 * diffuse
            + _RECOGNITION_WEIGHT * recognition
        )
        return {
            "loss": loss,
            "separation_db": separation.mean().detach(),
            "compressed": compressed.mean().detach(),
            "side_db": side_mean.detach(),
            "diffuse": diffuse.detach(),
            "recognition": recognition.detach(),
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
        found = Separation(found.masks[:count], found.directness[:count], found.features[:count])
        with torch.no_grad():
            spectrum = mixture.transpose(1, 2)
            residual = side.transpose(1, 2) - self.directional(spectrum, found, azimuth_deg[..., None])
            samples = (mixture.shape[1] - 1) * c.hop
            white = standard_normal(residual.real.new_empty(len(residual), samples), generator)
            noise = unit_noise(white, c.n_fft, c.hop)
        per_scene = self.diffuse.training_loss(residual, spectrum, found.features.detach(), noise, generator)
        return (per_scene * known).sum() / known.sum().clamp_min(1)


def _scene_errors(
    masks: Tensor,
    directness: Tensor,
    power: Tensor,
    cross: Tensor,
    scaled: Tensor,
    targets: Tensor,
    gain_real: Tensor,
    gain_imag: Tensor,
    side_cross_real: Tensor,
    side_cross_imag: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Error powers per scene, less the constants: of all clauses, of compressed magnitudes, of the side signal.

    With mixture X, stem S, mask m: |m X - S|^2 = m^2 |X|^2 - 2 m Re(X* S) + |S|^2, and with T the sum of masks
    times direction filters, times the directness, and side D: |T X - D|^2 = |T|^2 |X|^2 - 2 Re(T X D*) + |D|^2.
    """
    error = (masks.square() * power[:, None] - 2 * masks * cross).sum(dim=(1, 2, 3))
    compressed = ((masks * scaled + 1e-6).sqrt() - targets).square().sum(dim=1).mean(dim=(1, 2))
    real = (masks[:, :-1] * gain_real).sum(dim=1) * directness
    imag = (masks[:, :-1] * gain_imag).sum(dim=1) * directness
    turned = real * side_cross_real - imag * side_cross_imag
    side_error = ((real.square() + imag.square()) * power - 2 * turned).sum(dim=(1, 2))
    return error, compressed, side_error

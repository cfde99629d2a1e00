"""Scenes composed on the fly from a stem bank and a bank of rooms.

:mod:`tas_core.datasets.mixing.draws` decides what is in a scene, on the CPU and keyed by (seed, step), so that a run
resumed at step n sees the batches that it would have seen. Here the sounds of a batch are rendered all at once, on
the device that holds the bank: a graphics processor, or the CPU. With s the excerpt of a clip, e its tone curve and
h_L, h_R the response of its place in a room, an object's sound is

    mid = (h_L + h_R) * e * s        side = (h_L - h_R) * e * s        and, dry,  mid = 2 e * s,  side = G mid.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tas_core.acoustics.hrtf import direction_ratio
from tas_core.conventions import db_to_power
from tas_core.datasets.mixing.draws import (
    MAX_CLAUSES,
    TONE_POINTS,
    CompositionConfig,
    Material,
    SceneDrawer,
    SceneDraws,
)
from tas_core.datasets.sources.catalogue import Split
from tas_core.datasets.tasbench.layout import ACTIVE_DB, FRAME_S
from tas_core.models.scene_batch import SceneBatch

_RAMP_S = 0.02


class SceneComposer:
    """Composes batches of scenes; the same (seed, step) gives the same batch.

    Args:
        material: what scenes are made of.
        split: whose clips and rooms these are.
        config: how scenes are drawn.
        seed: of everything drawn.
        device: where sounds are rendered; the CPU by default.
    """

    def __init__(
        self,
        material: Material,
        split: Split,
        config: CompositionConfig | None = None,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        self.config = config or CompositionConfig()
        self.device = device or torch.device("cpu")
        bank = material.bank
        self.rate_hz = bank.sample_rate_hz
        self._drawer = SceneDrawer(material, split, self.config, seed)
        used = torch.cat([bank.source[clips] for clips in bank.clips_of(split).values()]).unique()
        self._sources = [bank.sources[int(i)] for i in used]
        self._samples = bank.samples.to(self.device)
        self._responses = material.rooms.responses.to(self.device)
        self._features = material.phrases.features.to(self.device)
        self._ratio = torch.from_numpy(_ratio_table(self.rate_hz)).to(self.device)

    @property
    def window(self) -> int:
        """Samples in a scene."""
        return self._drawer.window

    def source_names(self) -> list[str]:
        """Names of the soundfont presets, voices and recordings that scenes are made of."""
        return self._sources

    def compose(self, step: int, batch_size: int) -> SceneBatch:
        """The scenes of one training step, on the composer's device."""
        return self.render(self.draw(step, batch_size))

    def draw(self, step: int, batch_size: int) -> SceneDraws:
        """The decisions of one training step; no sound, and the same on every device."""
        return self._drawer.draw(step, batch_size)

    @torch.no_grad()
    def render(self, draws: SceneDraws) -> SceneBatch:
        """The scenes that were decided on, on the composer's device."""
        window, device = self.window, self.device
        scenes, count = draws.named.shape[0], len(draws.start)
        signals = self._signals(draws)
        mid, side = self._ears(signals, draws).unbind(dim=1)
        named = torch.nonzero(draws.slot >= 0)[:, 0]
        at = (draws.scene[named].to(device), draws.slot[named].to(device))
        stem_mid = torch.zeros(scenes, MAX_CLAUSES, window, device=device)
        stem_side = torch.zeros_like(stem_mid)
        stem_mid[at], stem_side[at] = mid[named.to(device)], side[named.to(device)]
        rest = torch.zeros(scenes, window, device=device)
        if len(named) < count:
            rest = torch.cat([mid, mid.new_zeros(1, window)])[draws.rest.to(device)].sum(dim=1)
        # A clause for the rest: its parts come from several places, so there is no one side signal to learn.
        spoken = torch.nonzero(draws.rest_slot >= 0)[:, 0]
        stem_mid[spoken.to(device), draws.rest_slot[spoken].to(device)] = rest[spoken.to(device)]
        rest[spoken.to(device)] = 0
        is_named = draws.named.to(device)
        active = _sounding(stem_mid, stem_side, round(FRAME_S * self.rate_hz))
        # A name that nothing in the scene goes by holds while another object sounds.
        active |= ~active.any(dim=2, keepdim=True) & active.roll(1, dims=1)
        active |= ~(active.any(dim=2) & draws.timed.to(device)[:, None])[..., None]
        return SceneBatch(
            stem_mid,
            stem_side,
            rest,
            self._features[draws.word.to(device)] * is_named[..., None],
            draws.azimuth_deg.to(device),
            is_named,
            active,
            draws.right_name.to(device),
            (draws.rest_slot < 0).to(device),
            draws.prompts,
        )

    def _signals(self, draws: SceneDraws) -> Tensor:
        """Excerpts of clips at their speed, gated and at their level, (signal, time)."""
        device, window = self.device, self.window
        signals = torch.empty(len(draws.start), window, device=device)
        for faster_or_slower in (False, True):
            at = torch.nonzero((draws.span != window) == faster_or_slower)[:, 0]
            start, span = draws.start[at].to(device), draws.span[at].to(device)
            if faster_or_slower:
                signals[at.to(device)] = _at_speed(self._samples, start, span, window)
            else:
                signals[at.to(device)] = _cut(self._samples, start, window)
        gated = torch.nonzero((draws.gate[:, 0] > 0) | (draws.gate[:, 1] < window))[:, 0]
        if len(gated):
            signals[gated.to(device)] *= _envelope(draws.gate[gated].to(device), window, _RAMP_S * self.rate_hz)
        return signals.mul_((draws.gain.to(device) / _active_rms(signals, self.rate_hz // 10))[:, None])

    def _ears(self, signals: Tensor, draws: SceneDraws) -> Tensor:
        """Mid and side of signals (signal, time) at their places, (signal, 2, time)."""
        device = self.device
        size = _fast_size(self.window + self._responses.shape[-1])
        spectrum = torch.fft.rfft(signals, n=size)
        if bool(draws.tone_db.any()):
            spectrum = spectrum * _tone(draws.tone_db.to(device), size)
        transfer = spectrum.new_empty(len(signals), 2, size // 2 + 1)
        wet, dry = (torch.nonzero(x)[:, 0] for x in (~draws.dry, draws.dry))
        if len(wet):
            left, right = self._responses[draws.room[wet].to(device), draws.place[wet].to(device)].float().unbind(dim=1)
            transfer[wet.to(device)] = torch.fft.rfft(torch.stack([left + right, left - right], dim=1), n=size)
        if len(dry):
            # A user's mono file: not coloured by head and room, but with the ratio of the ears as it should be.
            ratio = _ratio_at(self._ratio, draws.place_deg[dry].to(device), size)
            transfer[dry.to(device)] = 2 * torch.stack([torch.ones_like(ratio), ratio], dim=1)
        return torch.fft.irfft(spectrum[:, None] * transfer, n=size)[..., : self.window]


def _cut(samples: Tensor, start: Tensor, window: int) -> Tensor:
    """Excerpts of ``window`` int16 samples (time) as they are, (signal, time), full scale 1."""
    index = start[:, None] + torch.arange(window, device=samples.device)
    return samples.index_select(0, index.view(-1)).view(index.shape).float().div_(32767.0)


def _at_speed(samples: Tensor, start: Tensor, span: Tensor, window: int) -> Tensor:
    """Excerpts of int16 samples (time), linearly interpolated to ``window`` samples, (signal, time), full scale 1."""
    # Double precision, since single would misplace samples by up to 1/256 of their distance.
    ratio = span[:, None].double() / window
    position = torch.arange(window, device=samples.device, dtype=torch.float64) * ratio
    position += 0.5 * ratio - 0.5
    position = torch.minimum(position.clamp_(min=0), span[:, None] - 1.0)
    index = position.long()
    weight = position.sub_(index).float()
    index = (index + start[:, None]).view(-1)
    first = samples.index_select(0, index).view(weight.shape).float()
    # Beyond the last sample of the bank, the weight is zero.
    second = samples.index_select(0, index.add_(1).clamp_(max=len(samples) - 1)).view(weight.shape).float()
    return first.lerp_(second, weight).div_(32767.0)


def _envelope(gate: Tensor, window: int, ramp: float) -> Tensor:
    """Factors (signal, time) that rise and fall over ``ramp`` samples at the two points of each gate (signal, 2)."""
    time = torch.arange(window, device=gate.device)
    return torch.minimum((time - gate[:, :1]) / ramp, (gate[:, 1:] - time) / ramp).clamp_(0, 1)


def _active_rms(signals: Tensor, block: int) -> Tensor:
    """Root mean square (signal) over blocks within 20 dB of the loudest, so that sparse sounds are not made loud."""
    power = signals.unfold(1, block, block).square().mean(dim=2)
    active = power > 0.01 * power.amax(dim=1, keepdim=True)
    mean = (power * active).sum(dim=1) / active.sum(dim=1).clamp_min(1)
    return mean.clamp_min(1e-10).sqrt()


def _sounding(mid: Tensor, side: Tensor, block: int) -> Tensor:
    """In which blocks sounds (..., time) are less than 50 dB below their loudest block, (..., block) bool."""
    power = (mid.square() + side.square()).unfold(-1, block, block).mean(dim=-1)
    return power > db_to_power(ACTIVE_DB) * power.amax(dim=-1, keepdim=True)


def _tone(points_db: Tensor, size: int) -> Tensor:
    """Gains (signal, freq) of tone curves (signal, 8) whose points lie an octave apart, on the bins of an FFT."""
    bins = size // 2 + 1
    octave = torch.log2(torch.arange(1, bins + 1, device=points_db.device) * 16.0 / bins).clamp(-3, 4)
    # Weights of the points on every bin: triangles an octave wide on each side.
    points = torch.arange(TONE_POINTS, device=points_db.device)[:, None]
    weight = (1 - (octave + 3 - points).abs()).clamp_min(0)
    return torch.exp((math.log(10) / 20) * torch.einsum("sp,pf->sf", points_db, weight))


@lru_cache(maxsize=1)
def _ratio_table(rate_hz: int) -> np.ndarray:
    """Side-to-mid ratios of the measured head, complex64 (azimuth, freq): whole degrees from -90, 0 to rate / 2."""
    return direction_ratio(np.arange(-90.0, 91.0), np.linspace(0, rate_hz / 2, 2049)).astype(np.complex64)


def _ratio_at(table: Tensor, azimuth_deg: Tensor, size: int) -> Tensor:
    """Side-to-mid ratios (signal, freq) at any azimuth on the bins of a real FFT of ``size``, from the table."""
    position = (azimuth_deg + 90.0).clamp(0, 180 - 1e-4)[:, None]
    low = position.floor()
    row = low[:, 0].long()
    ratio = (low + 1 - position) * table[row] + (position - low) * table[row + 1]
    column = torch.arange(size // 2 + 1, device=table.device, dtype=torch.float64) * (2 * (table.shape[1] - 1) / size)
    low = column.floor().clamp_max(table.shape[1] - 2)
    weight = (column - low).float()
    low = low.long()
    return ratio[:, low] * (1 - weight) + ratio[:, low + 1] * weight


def _fast_size(size: int) -> int:
    """The next length of the form 2^a 3^b 5^c, which FFTs like."""
    best = 1 << (size - 1).bit_length()
    for p5 in (1, 5, 25):
        for p3 in (1, 3, 9, 27):
            factor = p5 * p3
            length = factor
            while length < size:
                length *= 2
            best = min(best, length)
    return best

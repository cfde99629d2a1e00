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
_ALIGNED = 16
"""Bytes that the beginnings of tensors copied together are multiples of."""


class SceneComposer:
    """Composes batches of scenes; the same (seed, step) gives the same batch.

    Args:
        material: what scenes are made of.
        split: whose clips and rooms these are.
        config: how scenes are drawn.
        seed: of everything drawn.
        device: where sounds are rendered; the CPU by default.
        captions: whether scenes get captions, for models that read whole prompts.

    Raises:
        InputError: the material does not fit together.
    """

    def __init__(
        self,
        material: Material,
        split: Split,
        config: CompositionConfig | None = None,
        seed: int = 0,
        device: torch.device | None = None,
        captions: bool = True,
    ) -> None:
        self.config = config or CompositionConfig()
        self.device = device or torch.device("cpu")
        bank = material.bank
        self.rate_hz = bank.sample_rate_hz
        self.drawer = SceneDrawer(material, split, self.config, seed, captions)
        used = torch.cat([bank.source[clips] for clips in bank.clips_of(split).values()]).unique()
        self._sources = [bank.sources[int(i)] for i in used]
        self._samples = bank.samples.to(self.device)
        self._responses = material.rooms.responses.to(self.device)
        self._features = material.phrases.features.to(self.device)
        self._ratio = torch.from_numpy(_ratio_table(self.rate_hz)).to(self.device)

    @property
    def window(self) -> int:
        """Samples in a scene."""
        return self.drawer.window

    def source_names(self) -> list[str]:
        """Names of the soundfont presets, voices and recordings that scenes are made of."""
        return self._sources

    def captions(self, count: int) -> list[str]:
        """Prompts such as scenes have, the same at every call; none where scenes get none."""
        return list(self.drawer.draw(0, count).prompts)

    def compose(self, step: int, batch_size: int) -> SceneBatch:
        """The scenes of one training step, on the composer's device."""
        return self.render(self.draw(step, batch_size))

    def draw(self, step: int, batch_size: int) -> SceneDraws:
        """The decisions of one training step; no sound, and the same on every device."""
        return self.drawer.draw(step, batch_size)

    @torch.no_grad()
    def render(self, draws: SceneDraws) -> SceneBatch:
        """The scenes that were decided on, on the composer's device."""
        window, device = self.window, self.device
        scenes, count = draws.named.shape[0], len(draws.start)
        d = on_device(_places_in_batch(draws, window), device)
        mid, side = self._ears(self._signals(d), d).unbind(dim=1)
        stem_mid = torch.zeros(scenes, MAX_CLAUSES, window, device=device)
        stem_side = torch.zeros_like(stem_mid)
        at = (d["named_scene"], d["named_slot"])
        stem_mid[at], stem_side[at] = mid[d["named_at"]], side[d["named_at"]]
        rest = torch.zeros(scenes, window, device=device)
        if len(d["named_at"]) < count:
            rest = torch.cat([mid, mid.new_zeros(1, window)])[d["rest"]].sum(dim=1)
        # A clause for the rest: its parts come from several places, so there is no one side signal to learn.
        stem_mid[d["spoken"], d["spoken_slot"]] = rest[d["spoken"]]
        rest[d["spoken"]] = 0
        is_named = d["named"]
        active = _sounding(stem_mid, stem_side, round(FRAME_S * self.rate_hz))
        # A name that nothing in the scene goes by holds while another object sounds.
        active |= ~active.any(dim=2, keepdim=True) & active.roll(1, dims=1)
        active |= ~(active.any(dim=2) & d["timed"][:, None])[..., None]
        return SceneBatch(
            stem_mid,
            stem_side,
            rest,
            self._features[d["word"]] * is_named[..., None],
            d["azimuth_deg"],
            is_named,
            active,
            d["right_name"],
            d["side_known"],
            draws.prompts,
        )

    def _signals(self, d: dict[str, Tensor]) -> Tensor:
        """Excerpts of clips at their speed, gated and at their level, (signal, time)."""
        window = self.window
        signals = torch.empty(len(d["gain"]), window, device=self.device)
        signals[d["plain"]] = _cut(self._samples, d["plain_start"], window)
        signals[d["sped"]] = _at_speed(self._samples, d["sped_start"], d["sped_span"], window)
        if len(d["gated"]):
            signals[d["gated"]] *= _envelope(d["gate"], window, _RAMP_S * self.rate_hz)
        return signals.mul_((d["gain"] / _active_rms(signals, self.rate_hz // 10))[:, None])

    def _ears(self, signals: Tensor, d: dict[str, Tensor]) -> Tensor:
        """Mid and side of signals (signal, time) at their places, (signal, 2, time)."""
        size = _fast_size(self.window + self._responses.shape[-1])
        spectrum = torch.fft.rfft(signals, n=size)
        if len(d["tone_db"]):
            spectrum = spectrum * _tone(d["tone_db"], size)
        transfer = spectrum.new_empty(len(signals), 2, size // 2 + 1)
        if len(d["wet"]):
            left, right = self._responses[d["room"], d["place"]].float().unbind(dim=1)
            transfer[d["wet"]] = torch.fft.rfft(torch.stack([left + right, left - right], dim=1), n=size)
        if len(d["dry"]):
            # A user's mono file: not coloured by head and room, but with the ratio of the ears as it should be.
            ratio = _ratio_at(self._ratio, d["place_deg"], size)
            transfer[d["dry"]] = 2 * torch.stack([torch.ones_like(ratio), ratio], dim=1)
        return torch.fft.irfft(spectrum[:, None] * transfer, n=size)[..., : self.window]


def _places_in_batch(draws: SceneDraws, window: int) -> dict[str, Tensor]:
    """What rendering needs of decisions, with the numbers of the signals that each step of it is for; on the CPU."""
    where = lambda chosen: torch.nonzero(chosen)[:, 0]  # noqa: E731
    named, spoken = where(draws.slot >= 0), where(draws.rest_slot >= 0)
    plain, sped = where(draws.span == window), where(draws.span != window)
    gated = where((draws.gate[:, 0] > 0) | (draws.gate[:, 1] < window))
    wet, dry = where(~draws.dry), where(draws.dry)
    return {
        "named_at": named,
        "named_scene": draws.scene[named],
        "named_slot": draws.slot[named],
        "spoken": spoken,
        "spoken_slot": draws.rest_slot[spoken],
        "rest": draws.rest,
        "word": draws.word,
        "plain": plain,
        "plain_start": draws.start[plain],
        "sped": sped,
        "sped_start": draws.start[sped],
        "sped_span": draws.span[sped],
        "wet": wet,
        "room": draws.room[wet],
        "place": draws.place[wet],
        "dry": dry,
        "place_deg": draws.place_deg[dry],
        "gated": gated,
        "gate": draws.gate[gated],
        "gain": draws.gain,
        "tone_db": draws.tone_db if bool(draws.tone_db.any()) else draws.tone_db[:0],
        "azimuth_deg": draws.azimuth_deg,
        "named": draws.named,
        "right_name": draws.right_name,
        "timed": draws.timed,
        "side_known": draws.rest_slot < 0,
    }


def on_device(tensors: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Tensors of the CPU on a device, copied there all at once: on a graphics processor each copy is a wait."""
    if device.type == "cpu":
        return tensors
    together, spans = in_one_buffer(tensors, pinned=device.type == "cuda")
    there = together.to(device, non_blocking=True)
    return {name: part_of(there, span, like) for (name, like), span in zip(tensors.items(), spans, strict=True)}


def in_one_buffer(tensors: dict[str, Tensor], pinned: bool) -> tuple[Tensor, list[tuple[int, int]]]:
    """The bytes of tensors, uint8 (byte), in memory that a device copies from by itself if pinned, and their spans."""
    spans, size = [], 0
    for value in tensors.values():
        length = value.numel() * value.element_size()
        spans.append((size, size + length))
        size += -(-length // _ALIGNED) * _ALIGNED
    together = torch.empty(size, dtype=torch.uint8, pin_memory=pinned)
    for value, (first, stop) in zip(tensors.values(), spans, strict=True):
        together[first:stop] = value.contiguous().view(-1).view(torch.uint8)
    return together, spans


def part_of(together: Tensor, span: tuple[int, int], like: Tensor) -> Tensor:
    """The tensor of a span of bytes, of the type and shape of another one."""
    return together[span[0] : span[1]].view(like.dtype).view(like.shape)


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

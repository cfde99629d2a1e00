"""From a mono signal and a timeline to two ears.

The network works at its own rate (16 kHz). Its side signal is brought back to the input's rate, and above the
model's band the side signal follows the level difference that the model chose just below, see
:func:`extend_band`. In the end

    left = x + side / 2,  right = x - side / 2,

so that (left + right) / 2 is the input x exactly (DESIGN: mid = 2 x).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tas_core.audio import resample
from tas_core.dsp import istft, stft
from tas_core.encoders.base import CachedEncoder, TextEncoder
from tas_core.errors import InputError
from tas_core.metrics import spl_difference_db
from tas_core.models.diffuse import unit_noise
from tas_core.models.prompt_model import PromptModel
from tas_core.models.slots import SlotsModel
from tas_core.timeline import Segment, Timeline
from tas_core.types import LEFT_EAR, RIGHT_EAR

Progress = Callable[[float], None]
"""Called with the share done, 0 to 1."""

_BLOCK_S = 60.0
_EDGE_SHARE = (0.60, 0.95)
"""The part of the model's band, below half its rate, whose panning the band above follows."""


def encode_timeline(timeline: Timeline, model: SlotsModel | PromptModel, encoder: TextEncoder) -> CachedEncoder:
    """An encoder that already knows what a model reads of a timeline: whole prompts, or object phrases."""
    cached = CachedEncoder(encoder)
    if isinstance(model, PromptModel):
        cached(sorted({s.text for s in timeline.segments}))
    else:
        cached(sorted({c.object for s in timeline.segments for c in s.clauses}))
    return cached


@dataclass(frozen=True)
class SegmentResult:
    """A segment as it came out: its level difference between the ears, dB, positive left, nan in silence."""

    segment: Segment
    spl_difference_db: float


@dataclass(frozen=True)
class Spatialized:
    """Ears (ear, time) float64 at the input's rate, and how each segment came out."""

    ears: np.ndarray
    segments: tuple[SegmentResult, ...]


def spatialize(
    samples: np.ndarray,
    sample_rate_hz: int,
    timeline: Timeline,
    model: SlotsModel | PromptModel,
    encoder: TextEncoder,
    *,
    steps: int | None = None,
    seed: int = 0,
    progress: Progress = lambda share: None,
) -> Spatialized:
    """Put each named sound where the timeline says.

    Args:
        samples: mono signal (time), full scale 1.
        sample_rate_hz: 8000 to 192000.
        timeline: prompts; uncovered time is centred.
        model: a trained model of any family, on its device.
        encoder: the text encoder that the model was trained with.
        steps: diffusion steps; None is the model's own default.
        seed: of the noise, for models that use any.
        progress: told the share done.

    Raises:
        InputError: ``steps`` below 1 or above what the model can make use of, or the timeline does not fit the signal.
    """
    if steps is not None and steps < 1:
        raise InputError(f"steps is {steps}; expected 1 or more")
    if steps is not None and isinstance(model, PromptModel) and steps > model.max_steps:
        raise InputError(f"steps is {steps}; a {model.family} model takes at most {model.max_steps}")
    if samples.ndim != 1 or len(samples) == 0:
        raise InputError(f"expected a mono signal (time), got shape {samples.shape}")
    duration_s = len(samples) / sample_rate_hz
    resolved = timeline.resolved(duration_s)
    model_rate_hz = int(model.config.sample_rate_hz)
    x = np.asarray(samples, np.float64)
    low = x if sample_rate_hz == model_rate_hz else resample(x, sample_rate_hz, model_rate_hz)
    mid = torch.from_numpy(2 * low).float()
    if isinstance(model, PromptModel):
        side_low = windowed_side(mid, resolved, model, encoder, steps or model.default_steps, seed, progress)
    else:
        side_low = slots_side(mid, resolved, duration_s, model, encoder, steps or model.default_steps, seed, progress)
    side = extend_band(x, low, side_low.double().numpy(), sample_rate_hz, model_rate_hz)
    ears = np.empty((2, len(x)))
    ears[LEFT_EAR] = x + side / 2
    ears[RIGHT_EAR] = x - side / 2
    results = []
    for segment in resolved.segments:
        assert segment.end_s is not None
        at = slice(round(segment.start_s * sample_rate_hz), round(segment.end_s * sample_rate_hz))
        results.append(SegmentResult(segment, spl_difference_db(ears[:, at])))
    return Spatialized(ears, tuple(results))


@torch.inference_mode()
def slots_side(
    mid: Tensor,
    timeline: Timeline,
    duration_s: float,
    model: SlotsModel,
    encoder: TextEncoder,
    steps: int,
    seed: int,
    progress: Progress,
) -> Tensor:
    """Side signal (time) of a ``slots`` model for mid (time), both at the model's rate.

    One step is the least-squares estimate: masks and direction filters. Each further step is one evaluation
    of the diffusion model that adds the diffuse part; its noise is keyed by (seed, sample number), and its ears are
    exchanged where the prompts are mirrored. Uncovered time stays without a side signal.

    Long signals go through the network in blocks of a minute. Each block sees as many frames before and after
    it as the network can look at, so that blocks do not show in the result.
    """
    config = model.config
    device = next(model.parameters()).device
    spectrum = stft(mid, config.n_fft, config.hop)[None]
    frames = spectrum.shape[-1]
    times_s = np.arange(frames) * config.hop / config.sample_rate_hz
    tracks = timeline.tracks(times_s, duration_s)
    out = torch.zeros_like(spectrum)
    if not tracks:
        return torch.zeros_like(mid)
    features = encoder([t.object for t in tracks])[None].to(device)
    azimuth = torch.from_numpy(np.stack([t.azimuth_deg for t in tracks])).float()[None]
    active = torch.from_numpy(np.stack([t.active for t in tracks]))[None]
    block = round(_BLOCK_S * config.sample_rate_hz / config.hop)
    context = model.context_frames + (steps - 1) * model.diffuse.reach
    noise = torch.empty(0)
    if steps > 1:
        white = torch.randn(mid.shape[-1], generator=torch.Generator().manual_seed(seed))
        handed = _handedness(azimuth[0], active[0])
        noise = unit_noise(white[None], config.n_fft, config.hop)
    for start in range(0, frames, block):
        stop = min(frames, start + block)
        first, last = max(0, start - context), min(frames, stop + context)
        here = active[..., first:last]
        used = here[0].any(dim=1)
        if used.any():
            part = spectrum[..., first:last].to(device)
            found = model.separate(part, features[:, used], here[:, used].to(device))
            side = model.directional(part, found, azimuth[:, used, first:last].to(device))
            if steps > 1:
                drawn = model.diffuse_part(part, found.features, noise[..., first:last].to(device), steps - 1)
                side = side + handed * drawn * here.any(dim=1).to(device)
            out[..., start:stop] = side[..., start - first : stop - first].cpu()
        progress(stop / frames)
    return istft(out, config.n_fft, config.hop, mid.shape[-1])[0]


def _handedness(azimuth_deg: Tensor, active: Tensor) -> float:
    """1 or -1, the other for the mirrored timeline; 1 if everything is in the center.

    A diffuse field has no sides, so either sign of a drawn one is as good. Taking the sign from the prompts makes
    mirrored prompts give mirrored ears. It is that of the first azimuth that is not zero, for the whole file.

    Args:
        azimuth_deg: (clause, frame).
        active: (clause, frame) bool.
    """
    told = torch.where(active, azimuth_deg, 0.0).T.flatten()
    first = told[told != 0][:1]
    return float(first.sign()) if len(first) else 1.0


@torch.inference_mode()
def windowed_side(
    mid: Tensor,
    timeline: Timeline,
    model: PromptModel,
    encoder: TextEncoder,
    steps: int,
    seed: int,
    progress: Progress,
    batch_size: int | None = None,
) -> Tensor:
    """Side signal (time) of a model of whole prompts for mid (time), by the paper's procedure (section 4.2).

    Windows of the length and hop that the model's config says (1 s every 0.1 s for ``paper``), each under the prompt
    that holds at its centre, are averaged where they overlap. Windows centred beyond either end take the prompt that
    holds there; windows without a prompt count as centred. Noise is keyed by (seed, window number).

    Args:
        batch_size: windows to compute at once; None is the model's own default.
    """
    batch_size = batch_size or model.default_batch
    config = model.config
    device = next(model.parameters()).device
    size, hop = round(config.window_s * config.sample_rate_hz), round(config.hop_s * config.sample_rate_hz)
    reach = size - hop
    padded = torch.nn.functional.pad(mid, (reach, reach + hop))
    starts = range(0, mid.shape[-1] + reach, hop)
    last = mid.shape[-1] - 1
    centres = [min(max(start + size / 2 - reach, 0), last) for start in starts]
    prompts = [_text_at(timeline, centre / config.sample_rate_hz) for centre in centres]
    total = torch.zeros(len(padded))
    count = torch.zeros(len(padded))
    wanted = [(number, start) for number, start in enumerate(starts) if prompts[number] is not None]
    for start in starts:
        count[start : start + size] += 1
    for at in range(0, len(wanted), batch_size):
        group = wanted[at : at + batch_size]
        windows = torch.stack([padded[start : start + size] for _, start in group]).to(device)
        text = encoder([str(prompts[number]) for number, _ in group]).to(device)
        noise = None
        if model.uses_noise:
            noise = torch.stack(
                [torch.randn(size, generator=torch.Generator().manual_seed(seed * 1_000_003 + n)) for n, _ in group]
            ).to(device)
        sides = model.window_sides(windows, text, steps, noise).cpu()
        for (_, start), side in zip(group, sides, strict=True):
            total[start : start + size] += side
        progress((at + len(group)) / len(wanted))
    return (total / count.clamp_min(1))[reach : reach + mid.shape[-1]]


def _text_at(timeline: Timeline, time_s: float) -> str | None:
    """The prompt that holds at a time; None in uncovered time."""
    for segment in timeline.segments:
        assert segment.end_s is not None
        if segment.start_s <= time_s < segment.end_s:
            return segment.text
    return None


def extend_band(
    x: np.ndarray, low: np.ndarray, side_low: np.ndarray, sample_rate_hz: int, model_rate_hz: int
) -> np.ndarray:
    """Side signal (time) over the whole band of ``x``, from the one in the model's band.

    What ``x`` holds above the model's band is panned by level alone (phase differences between the ears
    carry no direction there): with p = (E_L - E_R) / (E_L + E_R), E the ears' magnitudes between 60 and
    95 % of half the model's rate, smoothed over about 0.1 s, side = p * mid.

    Args:
        x: input (time) at ``sample_rate_hz``.
        low: the same at ``model_rate_hz``.
        side_low: side signal at ``model_rate_hz``.
    """
    if sample_rate_hz == model_rate_hz:
        return side_low
    side = resample(side_low, model_rate_hz, sample_rate_hz, len(x))
    if sample_rate_hz < model_rate_hz:
        return side
    high = x - resample(low, model_rate_hz, sample_rate_hz, len(x))
    n_fft, hop = 512, 256
    ears = torch.from_numpy(np.stack([low + side_low / 2, low - side_low / 2]))
    power = stft(ears, n_fft, hop).abs().square()
    edges = [round(share * n_fft / 2) for share in _EDGE_SHARE]
    power = power[:, edges[0] : edges[1]].sum(dim=1)
    power = torch.nn.functional.avg_pool1d(power[:, None], 7, 1, 3, count_include_pad=False)[:, 0]
    level = power.clamp_min(0).sqrt().numpy()
    pan = (level[LEFT_EAR] - level[RIGHT_EAR]) / (level.sum(axis=0) + 1e-12)
    positions = np.arange(pan.shape[0]) * hop * sample_rate_hz / model_rate_hz
    return side + 2 * high * np.interp(np.arange(len(x)), positions, pan)

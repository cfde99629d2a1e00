"""Bandwidth extension: above the model's band, sound is placed as the model placed it just below.

Whatever was placed just below the end of the model's band is a list of *sources*: the objects of the timeline with
their azimuths, or, from models that give a side signal and nothing else, five places between left and right with the
bins that lie there. Per third octave b above, a source k has the fraction q_k of what x holds there:

    q_k(b, t) = w_k(b, t) P_k(t) / sum_j w_j(b, t) P_j(t)            j: all sources, and everything else
    w_k(b, t) = sum_s P_k(s) E_b(s) / P(s)  /  sum_s P_k(s)          s within 0.4 s of t

P_k is the power of the source between half the model's band and its end, P the sum over all, E_b the power of x in the
band. The weight is one step of a regression (the multiplicative update of Lee and Seung, 2001, from equal weights): a
source that is loud below whenever the band is loud gets more of it, a double bass beside cymbals little. Fractions are
averaged over 1/25 s.

Phases between the ears carry no direction up there, so sources are panned by level alone, with the level difference
that the head has at that very frequency and azimuth (:func:`tas_core.acoustics.hrtf.level_panning`):

    side = 2 sum_k q_k sqrt(d_k) p(a_k, f) x,    d_k the directness of the source just below.

Below, d multiplies a complex ratio whose size is phase for a good part, and takes less from the level difference than
it would from p; with the root the image is as wide above as below (``benchmarks/full_band.py``). An ear gets between
nothing and 2 x, and (L + R) / 2 stays x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tas_core.acoustics.hrtf import HrirSet, level_panning
from tas_core.acoustics.stft import istft, local_mean, mean_square_scale, stft
from tas_core.audio.resampling import resample
from tas_core.conventions import LEFT_EAR, LEFT_SIGN, MAX_AZIMUTH_DEG, RIGHT_EAR, db_to_power

EDGE_FRACTION = (0.50, 0.95)
"""The part of the model's band, below half its rate, that says who sounds above it and where."""
REACH_S = 0.45
"""What a sample above the band depends on, to each side: 0.4 s for the weights, and smoothing and transform."""
_LEVEL_EDGE_FRACTION = (0.60, 0.95)
"""The same for side signals without objects: place by level, which grows with frequency."""
_WEIGHT_S = 0.4
_SMOOTH_S = 0.016
_WINDOW_S = 0.0213
_START_FRACTION = 7 / 8
"""Where the first third octave begins; the resampler leaves nothing of x below."""
_STEP_DEG = 5.0
_PLACES = 5
_LEVEL_FFT, _LEVEL_HOP = 512, 256
_PIECE_FRAMES = 1024
_SILENCE_DBFS = -100.0
_TINY = 1e-20


@dataclass(frozen=True)
class BandSources:
    """What sounds where just below the end of the model's band, over a chunk.

    Attributes:
        start_s: time of the first frame in the chunk.
        hop_s: time between frames.
        power: (source + 1, frame), the last of everything else, which stays in the centre.
        weights: of the places of each source, (source, frame, place), 0..1, summing to how far it goes there.
        panning: level panning of the places at frequencies in Hz (freq): (place, freq) in -1..1, or (place, 1).
    """

    start_s: float
    hop_s: float
    power: np.ndarray
    weights: np.ndarray
    panning: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class StereoImage:
    """The side signal of an input of two channels over a chunk, and its parts.

    Attributes:
        side: (time), over the whole band.
        low: the same in the model's band, at its rate.
        parts: of the objects, in the model's band, (object, time).
    """

    side: np.ndarray
    low: np.ndarray
    parts: np.ndarray


@dataclass(frozen=True)
class ModelBand:
    """A chunk within the model's band.

    Attributes:
        samples: input (time).
        side: side signal (time).
        sample_rate_hz: of the model.
        stems: estimated stem of each source, (object, time); None where they were not requested.
        image: of an input of two channels.
    """

    samples: np.ndarray
    side: np.ndarray
    sample_rate_hz: int
    stems: np.ndarray | None = None
    image: StereoImage | None = None


@dataclass(frozen=True)
class FullBand:
    """A chunk over the whole band of the input: side signal (time), and estimated stems (object, time) or None.

    ``images`` are the side signals of the stems (object, time), of an input of two channels.
    """

    side: np.ndarray
    stems: np.ndarray | None
    images: np.ndarray | None = None


class LevelPanning:
    """Level panning of a head, by default KEMAR, at -90, -85 .. 90 degrees, with linear interpolation between."""

    def __init__(self, head: HrirSet | None = None) -> None:
        self._head = head
        self._azimuth_deg = np.arange(-MAX_AZIMUTH_DEG, MAX_AZIMUTH_DEG + 1, _STEP_DEG)

    def weights(self, azimuth_deg: np.ndarray, directness: np.ndarray | float = 1.0) -> np.ndarray:
        """How much of each azimuth of the table is in sources: (..., place), summing to the root of their directness.

        Args:
            azimuth_deg: (...), -90..90.
            directness: (...), 0..1.
        """
        distance = np.abs(np.asarray(azimuth_deg)[..., None] - self._azimuth_deg)
        return np.clip(1 - distance / _STEP_DEG, 0, None) * np.sqrt(directness)[..., None]

    def __call__(self, freqs_hz: np.ndarray) -> np.ndarray:
        """(place, freq)."""
        return level_panning(self._azimuth_deg, freqs_hz, head=self._head)


def sources_by_level(low: np.ndarray, side_low: np.ndarray, sample_rate_hz: int, offset: int = 0) -> BandSources:
    """Sources of a side signal without objects: five places, each with the bins between 60 and 95 % of the band there.

    A bin lies at p = (|L| - |R|) / (|L| + |R|), L and R averaged over three bins and frames, and belongs to the two
    places next to it in proportion; each place keeps the mean p of its bins, at all frequencies.

    Args:
        low: input (time).
        side_low: its side signal (time).
        sample_rate_hz: of both.
        offset: number of their first sample in the whole signal.
    """
    skip = -offset % _LEVEL_HOP
    ears = torch.from_numpy(np.stack([low + side_low / 2, low - side_low / 2])[:, skip:]).float()
    if not ears.shape[-1]:
        return BandSources(0.0, 1.0, np.zeros((1, 1)), np.zeros((0, 1, 1)), np.ones_like)
    first, last = (round(fraction * _LEVEL_FFT / 2) for fraction in _LEVEL_EDGE_FRACTION)
    power = stft(ears, _LEVEL_FFT, _LEVEL_HOP).abs().square()[:, first:last]
    power = avg_pool2d(power[:, None], 3, 1, 1, count_include_pad=False)[:, 0].clamp_min(0)
    level, energy = power.sqrt().numpy(), power.sum(dim=0).numpy()
    pan = LEFT_SIGN * (level[LEFT_EAR] - level[RIGHT_EAR]) / (level.sum(axis=0) + _TINY)
    places = np.linspace(-1, 1, _PLACES)[:, None, None]
    member = np.clip(1 - np.abs(pan - places) * (_PLACES - 1) / 2, 0, None) * energy
    total = member.sum(axis=1)
    silence = 2 * db_to_power(_SILENCE_DBFS) * mean_square_scale(_LEVEL_FFT)
    total = np.where(energy.sum(axis=0) > silence, total, 0.0)
    mean = (member * pan).sum(axis=1) / (member.sum(axis=1) + _TINY)
    nothing = np.zeros((1, total.shape[1]))
    return BandSources(
        skip / sample_rate_hz,
        _LEVEL_HOP / sample_rate_hz,
        np.concatenate([total, nothing]),
        mean[..., None],
        lambda freqs_hz: np.ones((1, 1)),
    )


def extend_bandwidth(
    x: np.ndarray, sample_rate_hz: int, low: ModelBand, sources: BandSources | None = None, *, first: int = 0
) -> FullBand:
    """A chunk over the whole band of ``x``, from what there is in the model's band.

    Args:
        x: input (time).
        sample_rate_hz: of ``x``.
        low: the same chunk within the model's band.
        sources: what sounds where at the upper end of that band; by default :func:`sources_by_level`.
        first: number of the first sample of ``x`` in the whole signal.
    """
    model_rate_hz = low.sample_rate_hz
    image = low.image
    if sample_rate_hz == model_rate_hz:
        return FullBand(low.side, low.stems, None if image is None else image.parts)
    back = lambda signal: resample(signal, model_rate_hz, sample_rate_hz, len(x))  # noqa: E731
    side, stems = back(low.side), None if low.stems is None else back(low.stems)
    images = None if image is None else back(image.parts)
    if sample_rate_hz < model_rate_hz:
        return FullBand(side, stems, images)
    if sources is None:
        start = -(-first * model_rate_hz // sample_rate_hz)
        sources = sources_by_level(low.samples, low.side, model_rate_hz, start)
    size = 2 ** round(math.log2(_WINDOW_S * sample_rate_hz))
    hop = size // 4
    # Frames are counted from the beginning of the whole signal, so that all chunks have the same ones.
    skip = -first % hop
    # Single precision is enough for what is added to x: x itself, and with it the sum of the ears, is not touched.
    high = torch.from_numpy((x - back(low.samples))[skip:]).float()
    if not len(high):
        return FullBand(side, stems, images)
    freqs_hz = np.arange(size // 2 + 1) * sample_rate_hz / size
    lowest = int(np.searchsorted(freqs_hz, _START_FRACTION * model_rate_hz / 2))
    band = np.floor(3 * np.log2(freqs_hz[lowest:] / freqs_hz[lowest]) + 1e-9).astype(int)
    spectrum = stft(high, size, hop)
    spectrum[:lowest] = 0
    position = ((skip + np.arange(spectrum.shape[-1]) * hop) / sample_rate_hz - sources.start_s) / sources.hop_s
    power = torch.from_numpy(_at(sources.power.astype(float), position))
    fractions = _fractions(power, _band_powers(spectrum[lowest:], band), sample_rate_hz / hop)

    def sound(factors: Callable[[slice], Tensor], spectrum: Tensor = spectrum) -> np.ndarray:
        """What is left (time) of the band above after factors (freq, frame), asked for a piece at a time."""
        shaped = torch.zeros_like(spectrum)
        for at in range(0, spectrum.shape[-1], _PIECE_FRAMES):
            piece = slice(at, at + _PIECE_FRAMES)
            shaped[lowest:, piece] = spectrum[lowest:, piece] * factors(piece).float()
        out = np.zeros(len(x))
        out[skip:] = istft(shaped, size, hop, len(high)).numpy()
        return out

    panning = torch.from_numpy(sources.panning(freqs_hz[lowest:]))

    def gain(piece: slice) -> Tensor:
        total = torch.zeros(len(band), len(position[piece]), dtype=torch.float64)
        for fraction, weights in zip(fractions, sources.weights, strict=True):
            there = torch.from_numpy(_at(weights.T.astype(float), position[piece]))
            total += fraction[band, piece] * (panning.T @ there)
        return total

    if stems is not None:
        for stem, fraction in zip(stems, fractions, strict=True):
            stem += sound(lambda piece, fraction=fraction: fraction[band, piece])  # type: ignore[misc]
    if image is not None and images is not None:
        above = stft(torch.from_numpy((image.side - back(image.low))[skip:]).float(), size, hop)
        for part, fraction in zip(images, fractions, strict=True):
            part += sound(lambda piece, fraction=fraction: fraction[band, piece], above)  # type: ignore[misc]
    return FullBand(side + 2 * sound(gain), stems, images)


def _band_powers(spectrum: Tensor, band: np.ndarray) -> Tensor:
    """Powers (band, frame) of a spectrum (freq, frame) whose bins belong to bands (freq)."""
    edges = np.searchsorted(band, np.arange(band[-1] + 2))
    rows = [spectrum[a:b].abs().square().sum(dim=0) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    return torch.stack(rows).double()


def _fractions(power: Tensor, above: Tensor, frames_per_s: float) -> Tensor:
    """q_k, (source, band, frame).

    Args:
        power: (source + 1, frame), the last of everything else.
        above: power in each band (band, frame).
        frames_per_s: frames in a second.
    """
    total = power.sum(dim=0)
    around = round(_WEIGHT_S * frames_per_s)
    weight = local_mean(power[:, None] * (above / (total + _TINY)), around) / (
        local_mean(power, around)[:, None] + _TINY
    )
    parts = weight * power[:, None]
    return local_mean(parts[:-1] / (parts.sum(dim=0) + _TINY), round(_SMOOTH_S * frames_per_s))


def _at(values: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Values (..., frame) at positions (time) between frames; the ends go on."""
    position = np.clip(position, 0, values.shape[-1] - 1)
    lower = np.floor(position).astype(int)
    upper = np.minimum(lower + 1, values.shape[-1] - 1)
    return values[..., lower] + (position - lower) * (values[..., upper] - values[..., lower])

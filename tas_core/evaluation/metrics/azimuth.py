"""Azimuth estimation: where each object of a mixture is perceived, from the interaural cues of an output.

The truth's stems say which time-frequency bins an object owns; only there is the output looked at. In such a bin the
level and phase differences of the output's ears are compared with those of the measured head at -90, -89 .. 90 degrees:

    q(a) = [(c(I) - c(I_a)) / 2 dB]^2 + rho(f) * 2 [1 - cos(phi - phi_a)] / 0.5^2,      c(x) = 10 dB * tanh(x / 10 dB)
    cost(a) = sum over bins of  w sqrt(1 + q(a))

The azimuth of least cost wins, refined by a parabola through its neighbours. rho is 1 at low frequencies and falls to
0.1 around 2 kHz, where hearing turns from phase to level; the root makes single wrong bins harmless.

**Weights.** w = P^0.25 * onset^2 / sqrt(f + 230 Hz), P the object's power in the stems (both ears), so that a few loud
bins do not decide; onset = P / (P + 10 past), past being the loudest earlier power in that frequency, decayed by 60 dB
in 0.3 s. In a room the first wave front comes from the source and what follows from everywhere; listeners, too,
judge by the onset (the precedence effect). A sound without onsets keeps equal weights.

Owned bins and weights depend on the stems alone, so that all outputs of a scene are judged on the same bins.
The head is by default KEMAR, which is taken to be symmetric: exchanged ears give exactly the negative. The ears of
another head, that of the data set, are as they were measured. Behind is not told from in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tas_core.acoustics.hrtf import HrirSet, load_kemar
from tas_core.acoustics.stft import stft
from tas_core.conventions import (
    LEFT_EAR,
    LEFT_SIGN,
    MAX_AZIMUTH_DEG,
    RIGHT_EAR,
    amplitude_to_db,
    db_to_power,
    power_to_db,
)
from tas_core.evaluation.metrics.checks import Signal, check_ears

DOMINANCE_DB = 10.0
SILENCE_DB = 40.0
_BAND_HZ = (100.0, 7800.0)
_FRAME_S = 0.032
_STEP_DEG = 1.0
_MOST_BINS = 1500
_FEWEST_BINS = 10
_LEVEL_SCALE_DB, _LEVEL_LIMIT_DB, _PHASE_SCALE = 2.0, 10.0, 0.5
_PHASE_FADE_HZ, _PHASE_REST = 2000.0, 0.1
_POWER_EXPONENT, _ONSET_RATIO, _ONSET_EXPONENT, _DECAY_S = 0.25, 10.0, 2.0, 0.3
_QUIETEST_DBFS = -100.0
_Cues = tuple[Tensor, Tensor, Tensor, Tensor]


def object_azimuth_deg(
    output: Signal,
    stems: Signal,
    sample_rate_hz: int,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    head: HrirSet | None = None,
) -> np.ndarray:
    """Azimuth of each object in an output, degrees (object), -90 to 90, positive left; how: see the module.

    Args:
        output: (ear, time), what is judged: an output, the truth itself (the ceiling), or Mono-Mono (the floor, 0).
        stems: (object, ear, time), the objects of the truth one by one, including their room.
        sample_rate_hz: at least 4000. Cues from 100 to 7800 Hz count.
        start_s: frames centred at or after this count.
        end_s: frames centred before this count; None is to the end.
        head: whose ears the truth has; by default KEMAR's.

    Returns:
        nan for an object that owns fewer than ten bins in the range (it is silent or hidden: a bin is owned where its
        power is 10 dB above the next object's and within 40 dB of the object's loudest), or where the output
        is silent in them. An output with equal ears gives 0.

    Raises:
        ValueError: unequal lengths, wrong axes, no objects, non-finite samples, too low a rate, or an empty time range.
    """
    end_s = float("inf") if end_s is None else end_s
    return object_azimuth_spans_deg(output, stems, sample_rate_hz, [(start_s, end_s)], head)[0]


def object_azimuth_spans_deg(
    output: Signal,
    stems: Signal,
    sample_rate_hz: int,
    spans_s: Sequence[tuple[float, float]],
    head: HrirSet | None = None,
) -> np.ndarray:
    """As :func:`object_azimuth_deg` for several time ranges at once, degrees (span, object); for objects that move.

    ``spans_s`` are (start, end) in seconds and may overlap. What sounded before a span is no onset in it.
    """
    mixture = check_ears(output, "output")
    objects = check_ears(stems, "stems")
    if mixture.ndim != 2 or objects.ndim != 3 or len(objects) == 0:
        raise ValueError(
            f"expected output (ear, time) and stems (object, ear, time), got {tuple(mixture.shape)} and "
            f"{tuple(objects.shape)}"
        )
    if mixture.shape[-1] != objects.shape[-1]:
        raise ValueError(f"output has {mixture.shape[-1]} samples, the stems {objects.shape[-1]}")
    if sample_rate_hz < 4000:
        raise ValueError(f"azimuths need a rate of at least 4000 Hz, got {sample_rate_hz}")
    for start_s, end_s in spans_s:
        if not end_s > start_s:
            raise ValueError(f"time range {start_s} to {end_s} s is empty")
    n_fft = 2 ** round(np.log2(_FRAME_S * sample_rate_hz))
    hop = n_fft // 2
    weights = _weights(objects.float(), n_fft, hop, sample_rate_hz)
    ears = stft(mixture.float(), n_fft, hop)
    power = ears.real.square() + ears.imag.square()
    # Bins that are silent in both ears have no direction.
    weights = weights * (power.sum(dim=0) > 0)
    tiny = torch.finfo(power.dtype).tiny
    level_db = 10 * (power[LEFT_EAR].clamp_min(tiny).log10() - power[RIGHT_EAR].clamp_min(tiny).log10())
    phase = ears[LEFT_EAR].angle() - ears[RIGHT_EAR].angle()
    centre_s = torch.arange(ears.shape[-1], device=ears.device) * (hop / sample_rate_hz)
    cues = _head_cues(n_fft, sample_rate_hz, head)
    found = np.full((len(spans_s), len(objects)), np.nan)
    for s, (start_s, end_s) in enumerate(spans_s):
        first, last = int((centre_s < start_s).sum()), int((centre_s < end_s).sum())
        part = (..., slice(first, last))
        for k in range(len(objects)):
            found[s, k] = _best_azimuth(level_db[part], phase[part], weights[k][part], cues)
    return found


def _weights(stems: Tensor, n_fft: int, hop: int, sample_rate_hz: int) -> Tensor:
    """How much each bin says about each object, (object, freq, frame); 0 where the object does not own it."""
    spectra = stft(stems, n_fft, hop)
    power = (spectra.real.square() + spectra.imag.square()).sum(dim=1)
    full_scale = (n_fft / 4) ** 2
    loudest = power.amax(dim=(-2, -1), keepdim=True)
    floor = (loudest * db_to_power(-SILENCE_DB)).clamp_min(full_scale * db_to_power(_QUIETEST_DBFS))
    owned = power > floor
    if len(power) > 1:
        first, second = power.topk(2, dim=0).values
        rival = torch.where(power == first, second, first)
        owned &= power > rival * db_to_power(DOMINANCE_DB)
    # The decaying maximum of the past, as a running maximum of power on a slope, in dB.
    slope_db = 60 * hop / sample_rate_hz / _DECAY_S * torch.arange(power.shape[-1], device=power.device)
    sloped = power_to_db(power.clamp_min(1e-30)) + slope_db
    past = torch.full_like(sloped, -torch.inf)
    past[..., 1:] = sloped.cummax(dim=-1).values[..., :-1]
    onset = 1 / (1 + _ONSET_RATIO * db_to_power(past - sloped))
    freqs_hz = torch.arange(n_fft // 2 + 1, device=power.device)[:, None] * (sample_rate_hz / n_fft)
    in_band = (freqs_hz >= _BAND_HZ[0]) & (freqs_hz <= min(_BAND_HZ[1], 0.975 * sample_rate_hz / 2))
    weights = power**_POWER_EXPONENT * onset**_ONSET_EXPONENT / (freqs_hz + 230.0).sqrt()
    return weights * (owned & in_band)


def _best_azimuth(level_db: Tensor, phase: Tensor, weights: Tensor, cues: _Cues) -> float:
    """Azimuth whose cues fit (freq, frame) level and phase differences best; nan for too few bins."""
    flat = weights.flatten()
    count = int((flat > 0).sum())
    if count < _FEWEST_BINS:
        return float("nan")
    weight, chosen = flat.topk(min(count, _MOST_BINS))
    rows = chosen // weights.shape[-1]
    head_level, head_cos, head_sin, phase_share = (t.to(weights.device) for t in cues)
    angle = phase.flatten()[chosen]
    level = _compressed(level_db.flatten()[chosen])
    apart = ((level - head_level[:, rows]) / _LEVEL_SCALE_DB).square()
    alike = angle.cos() * head_cos[:, rows] + angle.sin() * head_sin[:, rows]
    apart = apart + phase_share[rows] * (2 * (1 - alike) / _PHASE_SCALE**2)
    cost = ((1 + apart.clamp_min(0)).sqrt() * weight).sum(dim=-1).double().cpu().numpy()
    best = int(np.argmin(cost))
    azimuth_deg = LEFT_SIGN * (best * _STEP_DEG - MAX_AZIMUTH_DEG)
    if 0 < best < len(cost) - 1:
        before, at, after = cost[best - 1 : best + 2]
        curvature = before - 2 * at + after
        if curvature > 0:
            azimuth_deg += LEFT_SIGN * _STEP_DEG * 0.5 * (before - after) / curvature
    return float(azimuth_deg)


def _compressed(level_db: Tensor) -> Tensor:
    return _LEVEL_LIMIT_DB * torch.tanh(level_db / _LEVEL_LIMIT_DB)


@lru_cache(maxsize=8)
def _head_cues(n_fft: int, sample_rate_hz: int, head: HrirSet | None = None) -> _Cues:
    """Compressed level difference, cosine and sine of the phase difference (azimuth, freq), and rho (freq)."""
    first_deg = 0.0 if head is None else -MAX_AZIMUTH_DEG
    left_deg = np.arange(first_deg, MAX_AZIMUTH_DEG + _STEP_DEG / 2, _STEP_DEG)
    freqs_hz = np.arange(n_fft // 2 + 1) * sample_rate_hz / n_fft
    ears = (head or load_kemar()).horizontal(LEFT_SIGN * left_deg, np.minimum(freqs_hz, 22_000.0))
    ratio = ears[:, LEFT_EAR] / ears[:, RIGHT_EAR]
    level = _compressed(torch.from_numpy(amplitude_to_db(np.abs(ratio))))
    phase = torch.from_numpy(np.angle(ratio))
    if head is None:
        # A symmetric head, exactly: the right half is the left one mirrored, and the front has no difference.
        level[0], phase[0] = 0.0, 0.0
        level = torch.cat([-level.flip(0)[:-1], level])
        phase = torch.cat([-phase.flip(0)[:-1], phase])
    fade = _PHASE_REST + (1 - _PHASE_REST) / (1 + (torch.from_numpy(freqs_hz) / _PHASE_FADE_HZ) ** 4)
    return level.float(), phase.cos().float(), phase.sin().float(), fade.float()

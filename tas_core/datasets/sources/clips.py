"""Dry mono clips: what every kind of source renders."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import soxr

from tas_core.datasets.sources.catalogue import Split


@dataclass(frozen=True)
class DryClip:
    """Dry mono sound: float32 ``samples`` (time), peak 0.9, of one category from one source."""

    category: str
    source: str
    split: Split
    samples: np.ndarray


def source_rng(seed: int, *names: object) -> np.random.Generator:
    """A generator keyed by names, so that no clip depends on the order of rendering."""
    digest = zlib.crc32("\x1f".join(str(n) for n in names).encode())
    return np.random.default_rng([seed, digest])


def _finish(samples: np.ndarray, from_hz: int, rate_hz: int, length_s: float) -> np.ndarray | None:
    """Resample, cut, remove the mean and scale to peak 0.9; None where nothing sounds."""
    if from_hz != rate_hz:
        samples = soxr.resample(samples, from_hz, rate_hz, quality="HQ")
    samples = samples[: round(length_s * rate_hz)].astype(np.float32)
    if len(samples) == 0:
        return None
    samples = samples - samples.mean()
    peak = float(np.abs(samples).max(initial=0.0))
    if peak < 1e-3:
        return None
    return samples * (0.9 / peak)

"""Recordings that Debian packages carry: one-shots of a category, and how recordings become one clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from tas_core.audio import read_audio, to_mono
from tas_core.datasets.sources.catalogue import RECORDING_FOLDERS, Category, Split
from tas_core.datasets.sources.clips import DryClip, finish_clip, source_rng


def _read_recording(path: Path) -> tuple[np.ndarray, int]:
    """Mono samples, float32 (time), and their rate.

    Raises:
        AudioError: a telephone recording (G.722) cannot be read, or ffmpeg, which decodes it, is missing.
    """
    if path.suffix == ".g722":
        found = read_audio(path)
        return to_mono(found.samples), found.sample_rate_hz
    # Not read_audio, which refuses files without samples: a few recordings are such, and drawn as any other.
    samples, rate_hz = sf.read(str(path), dtype="float32", always_2d=True)
    return samples.mean(axis=1), int(rate_hz)


def join_recordings(
    files: Sequence[Path], length_s: float, rate_hz: int, rng: np.random.Generator, *, vary: bool
) -> tuple[np.ndarray, tuple[Path, ...]]:
    """Recordings drawn from ``files``, one after another with short gaps.

    Args:
        files: what to draw from, any of them several times.
        length_s: of the result, at least.
        rate_hz: of the result.
        rng: draws files, gaps and speeds.
        vary: whether each is played at a random speed, within a factor of 1.27.

    Returns:
        Samples, float32 (time), each recording at peak 1, and the files that are in them.
    """
    pieces: list[np.ndarray] = []
    used: set[Path] = set()
    total = 0
    while total < length_s * rate_hz:
        path = files[int(rng.integers(len(files)))]
        used.add(path)
        samples, from_hz = _read_recording(path)
        speed = float(2.0 ** rng.uniform(-0.35, 0.35)) if vary else 1.0
        if len(samples) < 16:
            samples = np.zeros(16, np.float32)
        samples = soxr.resample(samples, from_hz * speed, rate_hz, quality="HQ")
        peak = np.abs(samples).max(initial=1e-9)
        gap = np.zeros(int(rng.uniform(0.05, 0.6) * rate_hz), np.float32)
        pieces += [(samples / peak).astype(np.float32), gap]
        total += len(samples) + len(gap)
    return np.concatenate(pieces), tuple(sorted(used))


@lru_cache(maxsize=256)
def recording_files(category: Category) -> tuple[Path, ...]:
    """Recorded one-shots of a category, in a fixed order."""
    found: list[Path] = []
    for folder, _ in RECORDING_FOLDERS:
        for pattern in category.samples:
            for ending in (".ogg", ".wav", ".flac"):
                found += folder.rglob(pattern + ending)
    return tuple(sorted({p for p in found if "_desc" not in p.name}))


def recording_split(files: Sequence[Path], split: Split) -> list[Path]:
    """Files of a split: of three or more, the last goes to test and the one before to val."""
    if len(files) < 3:
        return list(files) if split == "train" else []
    return {"train": list(files[:-2]), "val": [files[-2]], "test": [files[-1]]}[split]


def recording_clip(
    files: Sequence[Path], length_s: float, rate_hz: int, rng: np.random.Generator
) -> tuple[np.ndarray | None, tuple[Path, ...]]:
    """Recorded one-shots in a row, at varied speeds: float32 (time), peak 0.9, and the files that were used."""
    samples, used = join_recordings(files, length_s, rate_hz, rng, vary=True)
    return finish_clip(samples, rate_hz, rate_hz, length_s), used


def render_recordings(
    category: Category, split: Split, clips: int, length_s: float, rate_hz: int, seed: int
) -> Iterator[DryClip]:
    """Clips made of the recorded one-shots that a split may use, at varied speeds."""
    files = recording_split(recording_files(category), split)
    for index in range(clips if files else 0):
        rng = source_rng(seed, category.name, split, index)
        done, _ = recording_clip(files, length_s, rate_hz, rng)
        if done is not None:
            yield DryClip(category.name, f"recordings/{category.name} ({split})", split, done)

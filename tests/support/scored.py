"""A small simulated data set of dry scenes, for the tests of scores: two objects at rest, no reflections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tas_core.datasets.sources.catalogue import Split
from tas_core.datasets.tasbench import simulation
from tas_core.datasets.tasbench.captions import CaptionStyle
from tas_core.datasets.tasbench.layout import AUDIO_FOLDER, TIMELINE_FOLDER, TasBench, write_split
from tas_core.datasets.tasbench.scenes import Scene, SceneObject, draw_scene
from tas_core.datasets.tasbench.simulation import render_scene, write_clip

LENGTH_S = 2.0
PLACES: tuple[tuple[float, float], ...] = ((60.0, -45.0), (0.0, -70.0), (40.0, 8.0), (75.0, -20.0), (-5.0, -80.0))
"""Azimuths of the two objects of each clip; three of ten are in the center."""


def bands(item: SceneObject, split: Split, rate_hz: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """In place of real material: bursts of noise, every object's own, in every other part of the spectrum."""
    del split
    rng = np.random.default_rng(item.seed)
    size = round(LENGTH_S * rate_hz)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    number = np.fft.rfftfreq(size, 1 / rate_hz) // 600
    # The seed of a scene's objects differs in its last three bits.
    spectrum[number % 2 != item.seed % 2] = 0
    time_s = np.arange(size) / rate_hz
    return np.fft.irfft(spectrum, size) * (np.sin(2 * np.pi * 2.5 * time_s + item.seed % 7) > -0.5), ()


def dry_scene(number: int, azimuth_deg: Sequence[float], style: CaptionStyle, rt60_s: float = 0.0) -> Scene:
    """A scene with objects at rest in a room of that reverberation time; clips are numbered 10, 20 ..."""
    for candidate in range(10 * number, 10 * number + 100_000, 1000):
        scene = draw_scene(0, candidate, 16000)
        if len(scene.objects) >= len(azimuth_deg):
            break
    objects = tuple(
        replace(
            item, path=((0.0, a), (10.0, a)), start_s=0.0, stop_s=10.0, level_db=0.0, distance_m=1.2, file=f"{k}.flac"
        )
        for k, (item, a) in enumerate(zip(scene.objects, azimuth_deg, strict=False))
    )
    return replace(
        scene,
        clip=f"{10 * number:06d}",
        length_s=LENGTH_S,
        style=style,
        objects=objects,
        room=replace(scene.room, rt60_s=rt60_s),
    )


def write_scenes(root: Path, scenes: Sequence[Scene]) -> TasBench:
    """Render scenes with synthetic sounds and write them as a data set, all of them for testing."""
    for name in (AUDIO_FOLDER, TIMELINE_FOLDER, "stems"):
        (root / name).mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "_dry", bands)
        for scene in scenes:
            write_clip(root, *render_scene(scene))
    data = TasBench(root)
    write_split(data.split_path("test"), [scene.clip for scene in scenes])
    write_split(data.split_path("val"), [])
    return data


def write_scored(root: Path) -> TasBench:
    """A clip for each pair of :data:`PLACES`, worded in degrees."""
    return write_scenes(root, [dry_scene(n, places, "degrees") for n, places in enumerate(PLACES, 1)])

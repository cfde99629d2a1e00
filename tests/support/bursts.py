"""Bursts of noise, whose places can be measured, and timelines for them."""

from __future__ import annotations

import json

import numpy as np

from tas_core.timeline.files import parse_timeline
from tas_core.timeline.segments import Timeline

RATE = 16_000


def noise(seconds: float, seed: int = 1, rate_hz: int = RATE) -> np.ndarray:
    """(time): bursts of noise, ten in a second, so that there are onsets."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return 0.1 * np.random.default_rng(seed).standard_normal(len(t)) * np.exp(-30 * (t % 0.1))


def scene(*entries: tuple[float, float, str]) -> Timeline:
    lines = [f"  - {{start: {start}, end: {end}, text: {json.dumps(text)}}}" for start, end, text in entries]
    return parse_timeline("prompts:\n" + "\n".join(lines))

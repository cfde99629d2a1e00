"""What tests of pictures share: sounds, timelines, and the letters of a picture."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from tas_core.reporting.plots.curves import (
    KINDS,
    PlotData,
    Source,
    plot_data,
)
from tas_core.timeline.segments import Segment, Timeline

RATE = 16_000
SVG = "{http://www.w3.org/2000/svg}"


def noise(seconds: float, seed: int = 0, rate_hz: int = RATE) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))


def duet(label: str = "duet", timeline: Timeline | None = None, seconds: float = 2.0, **options: bool) -> Source:
    """Another noise in each ear, louder on the left."""
    return Source(label, np.stack([noise(seconds, 1), 0.5 * noise(seconds, 2)]), RATE, timeline, **options)


def two_prompts(first: str = "cello on the left", second: str = "cello moves from the left to the right") -> Timeline:
    return Timeline((Segment.from_prompt(0, 1, first), Segment.from_prompt(1, None, second)))


def svg_texts(data: bytes) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(data).iter(f"{SVG}text")]


@pytest.fixture(scope="module", params=KINDS)
def data(request: pytest.FixtureRequest) -> PlotData:
    sources = [duet("one", two_prompts()), duet("two", two_prompts()), duet("truth", is_reference=True)]
    return plot_data(request.param, sources)

"""A small scene that the tests of this package deliver: two objects that stay, jump and move, and a rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from tas_core.audio.formats import AudioFormat
from tas_core.audio.normalised_writer import Levels
from tas_core.delivery.base import Delivered, WriteOptions
from tas_core.delivery.formats import FORMATS, Delivery, renamed
from tas_core.delivery.mixes import mix_format
from tas_core.delivery.scene import Scene, SceneBlock
from tas_core.delivery.trajectory import Trajectory, trajectories
from tas_core.delivery.writers import open_writer
from tas_core.timeline.segments import Segment, Timeline

RATE_HZ = 48_000
SECONDS = 1.0
TIMELINE = Timeline(
    (
        Segment.from_prompt(0, 0.4, "cello moves from the left to the right, piano 40 degrees to the left"),
        Segment.from_prompt(0.5, 0.9, "cello 80 degrees to the right, piano 20 degrees to the right"),
    )
)

Deliver = Callable[..., Delivered]


def still(azimuth_deg: float = 0.0, seconds: float = SECONDS, name: str = "rest", **values: float) -> Trajectory:
    """An object that stays at one place."""
    ends = np.ones(2)
    return Trajectory(
        name,
        np.array([0.0, seconds]),
        azimuth_deg * ends,
        values.get("elevation_deg", 0.0) * ends,
        values.get("distance_m", 1.0) * ends,
        10 ** (values.get("gain_db", 0.0) / 20) * ends,
        ends > 0,
    )


def scene_of(timeline: Timeline = TIMELINE, rate_hz: int = RATE_HZ, seconds: float = SECONDS) -> Scene:
    """The scene of a timeline."""
    *objects, rest = trajectories(timeline, seconds, (0.0, seconds))
    return Scene("a scene", tuple(objects), rest, rate_hz, round(seconds * rate_hz))


def sounds_of(scene: Scene, seed: int = 0) -> SceneBlock:
    """Noise for each object and the rest, whose sum stays below full scale."""
    rng = np.random.default_rng(seed)
    stems = rng.uniform(-0.1, 0.1, (len(scene.objects), scene.num_frames))
    return SceneBlock(0, stems, rng.uniform(-0.05, 0.05, (scene.rest_channels, scene.num_frames)))


def blocks_of(block: SceneBlock, *borders: int) -> list[SceneBlock]:
    """A block in pieces that end at sample numbers."""
    edges = [0, *borders, block.num_frames]
    return [SceneBlock(a, block.stems[:, a:b], block.rest[:, a:b]) for a, b in zip(edges[:-1], edges[1:], strict=True)]


@pytest.fixture
def deliver(tmp_path: Path) -> Deliver:
    """Writes a scene in a format into the test's folder, in blocks; returns what was written."""

    def write(name: str, scene: Scene, sounds: SceneBlock | None = None, **options: object) -> Delivered:
        delivery = Delivery(FORMATS[name], renamed(tmp_path / "scene.wav", name))
        subtype = str(options.pop("subtype", "PCM_24" if name == "adm" else "FLOAT"))
        tags = options.pop("tags", {})
        assert isinstance(tags, Mapping)
        form = None
        if delivery.format.has_mix:
            form = AudioFormat(scene.sample_rate_hz, 2, scene.num_frames, subtype, tags)
            form = mix_format(delivery, form)
        source_subtype, overwrite = str(options.pop("source_subtype", "FLOAT")), bool(options.pop("overwrite", True))
        written = WriteOptions(source_subtype, Levels(**options), overwrite=overwrite)  # type: ignore[arg-type]
        with open_writer(delivery, form, scene, written) as writer:
            for block in blocks_of(sounds or sounds_of(scene), 777, scene.num_frames // 2):
                writer.write(block)
        return writer.delivered()

    return write

"""A small data set of the 3D twin: two seconds a clip, synthetic sounds, places that are written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tas_core.acoustics.hrtf import load_kemar
from tas_core.acoustics.rooms import Room
from tas_core.datasets.tasbench import simulation
from tas_core.datasets.tasbench.captions import CaptionStyle
from tas_core.datasets.tasbench.layout import AUDIO_FOLDER, TIMELINE_FOLDER, TasBench, write_split
from tas_core.datasets.tasbench.scenes import Scene
from tas_core.datasets.tasbench.simulation import write_clip
from tas_core.datasets.tasbench.sphere_scenes import side_path
from tas_core.datasets.tasbench.sphere_simulation import render_sphere_scene
from tas_core.timeline.rooms import named_rooms
from tas_core.timeline.sphere import SpherePath, SpherePoint
from tests.support.scored import LENGTH_S, bands, dry_scene

RATE_HZ = 16_000
BEHIND, ABOVE, LEFT = SpherePoint(180.0), SpherePoint(0.0, 80.0), SpherePoint(90.0)
FAR, NEAR = SpherePoint(-40.0, 0.0, 8.0), SpherePoint(-90.0, 0.0, 0.5)


def placed_scene(
    number: int, places: Sequence[SpherePoint | SpherePath], style: CaptionStyle = "degrees", room: str = ""
) -> Scene:
    """A scene with objects that sound throughout, at places or on ways; clips are numbered 10, 20 ..."""
    scene = dry_scene(number, [0.0] * len(places), style)
    objects = []
    for item, place in zip(scene.objects, places, strict=True):
        path = place if isinstance(place, SpherePath) else SpherePath.fixed(place)
        item = replace(item, place=path, stop_s=LENGTH_S, distance_m=path.start.distance_m, dry=f"dry-{item.file}")
        objects.append(replace(item, path=side_path(item)))
    choice = named_rooms()[room] if room else None
    around = Room.around((40.0, 40.0, 40.0), 0.0)
    if choice is not None and choice.size_m is not None and choice.rt60_s is not None:
        around = Room.around(choice.size_m, choice.rt60_s)
    return replace(scene, objects=tuple(objects), room=around, room_name=room)


def write_placed(root: Path, scenes: Sequence[Scene]) -> TasBench:
    """Render scenes with synthetic sounds and KEMAR, and write them as a data set, all of them for testing."""
    for name in (AUDIO_FOLDER, TIMELINE_FOLDER, "stems"):
        (root / name).mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "_dry", bands)
        for scene in scenes:
            write_clip(root, *render_sphere_scene(scene, load_kemar()))
    data = TasBench(root)
    write_split(data.split_path("test"), [scene.clip for scene in scenes])
    write_split(data.split_path("val"), [])
    return data

"""The 3D twin of TASBench-Sim: clips with sounds all around, their stems, and the dry sounds that they were made of.

What stays in one place and is a point is a plain convolution with what was measured there
(:mod:`tas_core.acoustics.sphere.measured`), so that a renderer of the sphere is not judged by itself. What moves, or is
all around, is rendered by :class:`tas_core.acoustics.sphere.renderer.SphereRenderer`, for nothing was measured of it.

A system's input is the sum of the dry sounds, since the mean of the ears has heads and rooms in it already: dry sounds
are as loud as they are at 1.4 m in the open, and as late as a sound in front reaches the ears in the measurement, so
that ears and input are in step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Final

import numpy as np

from tas_core.acoustics.hrtf import HrirSet, direction_vectors, load_kemar
from tas_core.acoustics.rooms import Room
from tas_core.acoustics.sphere.head import sphere_head
from tas_core.acoustics.sphere.measured import measured_head
from tas_core.acoustics.sphere.places import Placement
from tas_core.acoustics.sphere.renderer import SphereRenderer
from tas_core.conventions import db_to_amplitude
from tas_core.datasets.sources.clips import runs
from tas_core.datasets.tasbench.scenes import Scene, SceneObject
from tas_core.datasets.tasbench.simulation import (
    DrySound,
    SimulatedClips,
    convolved,
    dry_sound,
    loud_frames_rms,
    sounding_frames,
    whole_head,
)
from tas_core.datasets.tasbench.sphere_scenes import draw_sphere_scene

SPHERE_FORMAT: Final = 1
KIND: Final = "TASBench-Sim 3D"
_LOUDNESS: Final = 0.06


@dataclass(frozen=True)
class _Way:
    """Where an object is, as a renderer asks for it."""

    item: SceneObject

    def at(self, time_s: np.ndarray) -> Placement:
        """Places at times (time) in seconds since the first sample."""
        trace = self.item.trace(time_s)
        return Placement(direction_vectors(trace.azimuth_deg, trace.elevation_deg), trace.distance_m, trace.spread)


@lru_cache(maxsize=4)
def _renderer(head: HrirSet, rate_hz: int, room: Room | None) -> SphereRenderer:
    return SphereRenderer(head, rate_hz, room)


def render_placed(dry: np.ndarray, item: SceneObject, room: Room, rate_hz: int, head: HrirSet) -> np.ndarray:
    """Binaural sound (ear, time) of an object all around, as long as ``dry`` (time), its sound before it was placed."""
    assert item.place is not None
    start, measured = item.place.start, measured_head(head, rate_hz)
    if item.is_moving or start.spread:
        around = None if room.rt60_s <= 0 else room
        return delayed(_renderer(head, rate_hz, around).render(dry[None], [_Way(item)]), measured.late)[:, : len(dry)]
    direction = direction_vectors(np.array([start.azimuth_deg]), np.array([start.elevation_deg]))
    row = int(measured.nearest(direction)[0])
    rng = np.random.default_rng([item.seed, 78])
    return convolved(dry, measured.room_response(row, start.distance_m, room, rng))[:, : len(dry)]


def delayed(sound: np.ndarray, samples: int) -> np.ndarray:
    """A sound (..., time) that begins so many samples later."""
    return np.pad(sound, [*[(0, 0)] * (sound.ndim - 1), (samples, 0)])


def render_sphere_scene(
    scene: Scene, head: HrirSet, *, dry_sounds: DrySound | None = None
) -> tuple[Scene, np.ndarray, np.ndarray]:
    """Render a scene all around.

    Args:
        scene: what to render.
        head: whose ears, measured all around.
        dry_sounds: where sounds come from; by default the catalogue's material.

    Returns:
        The scene with ``active`` and ``material`` filled in, its stems (object, ear, time), and the dry sounds
        (object, time), full scale 1.
    """
    rate_hz = scene.rate_hz
    stems, sounds, objects = [], [], []
    for item in scene.objects:
        dry, files = (dry_sounds or dry_sound)(item, scene.split, rate_hz)
        dry = dry * (_LOUDNESS / loud_frames_rms(dry[None], rate_hz)) * db_to_amplitude(item.level_db)
        stem = render_placed(dry, item, scene.room, rate_hz, head)
        objects.append(replace(item, material=files, active=runs(sounding_frames(stem, rate_hz))))
        stems.append(stem)
        sounds.append(delayed(dry, measured_head(head, rate_hz).late)[: len(dry)])
    found, given = np.stack(stems).astype(np.float64), np.stack(sounds).astype(np.float64)
    loudest = max(float(np.abs(each).max()) for each in (found, found.sum(axis=0), given, given.sum(axis=0)))
    gain = db_to_amplitude(scene.peak_dbfs) / loudest
    return replace(scene, objects=tuple(objects)), found * gain, given * gain


@dataclass(frozen=True)
class SphereClips(SimulatedClips):
    """The 3D twin: scenes all around drawn by a seed, rendered at a rate, by a head that was measured all around."""

    kind: ClassVar = KIND
    format: ClassVar = SPHERE_FORMAT

    def head(self) -> HrirSet:
        """The head, read once in a process.

        Raises:
            PlaneOnlyError: it was measured on a plane only.
            InputError: it cannot be read.
        """
        head = load_kemar() if self.head_path is None else whole_head(self.head_path)
        sphere_head(head, self.rate_hz)
        return head

    def render(self, number: int) -> tuple[Scene, np.ndarray, np.ndarray]:
        """Draw and render a clip, as :func:`render_sphere_scene`."""
        head = self.head()
        scene = draw_sphere_scene(self.seed, number, self.rate_hz, measured_head(head, self.rate_hz).vectors)
        return render_sphere_scene(scene, head)

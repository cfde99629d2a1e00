"""All outputs of one rendered file, written side by side: all of them appear, or none."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Final

import numpy as np

from tas_core.audio.normalised_writer import NormalisedWriter
from tas_core.conventions import MAX_AZIMUTH_DEG, REFERENCE_M
from tas_core.delivery.base import Delivered, SceneWriter, WriteOptions
from tas_core.delivery.formats import BINAURAL, Format
from tas_core.delivery.mixes import mix_delivered
from tas_core.delivery.scene import Scene, SceneSounds
from tas_core.delivery.texts import delivery_paths
from tas_core.delivery.trajectory import DISTANCE_M, trajectories
from tas_core.delivery.writers import open_writer
from tas_core.inference.result import Block
from tas_core.jobs.output_checks import scene_title
from tas_core.jobs.request import PreparedFile
from tas_core.system.all_or_none import AllOrNone
from tas_core.timeline.segments import REST
from tas_core.timeline.sphere import SpherePath

_ALONG: Final = np.linspace(0, 1, 33)
"""Parts of the way at which paths are looked at."""


class Outputs:
    """Writes blocks of a rendering in every format that was requested; a context manager.

    Args:
        prepared: the request.

    Warns:
        UserWarning: objects that no prompt of the passage names, where objects are written; their sound is in the rest;
            what of a scene all around a format does not have.

    Raises:
        InputError: what cannot be written.
    """

    def __init__(self, prepared: PreparedFile) -> None:
        self._made = prepared.request.deliveries
        options = WriteOptions(
            prepared.reader.subtype,
            prepared.options.levels,
            prepared.render.seed,
            prepared.options.overwrite,
        )
        self._sounds: SceneSounds | None = None
        separate = any(delivery.format.name != BINAURAL for delivery in self._made)
        scene = self._scene(prepared) if separate else None
        names = (*(place.object for place in scene.objects), REST) if scene is not None else ()
        made = [path for delivery in self._made for path in delivery_paths(delivery, names)]
        self._writers: list[SceneWriter | NormalisedWriter] = []
        self._together = AllOrNone(made)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._together)
            for delivery, form in zip(self._made, prepared.forms, strict=True):
                if delivery.format.name != BINAURAL:
                    assert scene is not None
                    writer = open_writer(delivery, form, scene, options)
                    self._writers.append(self._together.enter(writer, writer.paths))
                    continue
                assert form is not None
                ears = options.open(delivery.path, form)
                self._writers.append(self._together.enter(ears, [delivery.path]))
            stack.pop_all()

    def _scene(self, prepared: PreparedFile) -> Scene:
        rate_hz, (start, stop) = prepared.reader.sample_rate_hz, prepared.passage
        places = trajectories(
            prepared.timeline,
            prepared.num_samples / rate_hz,
            (start / rate_hz, stop / rate_hz),
            transition_s=prepared.render.transition_s,
        )
        self._sounds = SceneSounds(places)
        for name in self._sounds.unplaced:
            warnings.warn(
                f"{prepared.reader.name}: no prompt of the passage says where '{name}' is; it is a part of the rest",
                stacklevel=4,
            )
        title = prepared.reader.tags.get("title") or scene_title(prepared.request.source)
        on_sphere = prepared.timeline.needs_sphere
        if on_sphere:
            _say_what_is_lost(prepared)
        loud_m = REFERENCE_M if on_sphere else DISTANCE_M
        return Scene(title, self._sounds.placed, self._sounds.rest, rate_hz, stop - start, loud_m=loud_m)

    def write(self, block: Block) -> None:
        """Append a block."""
        num_frames = block.ears.shape[1]
        scene = None if self._sounds is None else self._sounds.next(block.stems or {}, num_frames)
        for writer in self._writers:
            if isinstance(writer, NormalisedWriter):
                writer.write(block.ears)
            elif scene is not None:
                writer.write(scene)

    def delivered(self) -> tuple[Delivered, ...]:
        """What was written, once the context is left."""
        return tuple(
            mix_delivered(delivery, writer, 2) if isinstance(writer, NormalisedWriter) else writer.delivered()
            for delivery, writer in zip(self._made, self._writers, strict=True)
        )

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._together.__exit__(kind, error, trace)


def _say_what_is_lost(prepared: PreparedFile) -> None:
    """Warn of what formats of objects and channels do not say: heights, what is behind, how wide it is, and rooms."""
    segments = prepared.timeline.segments
    paths = [clause.sphere for segment in segments for clause in segment.clauses if clause.sphere is not None]
    formats = [d.format for d in prepared.request.deliveries if d.format.name != BINAURAL]
    lost = ["rooms"] * any(segment.room is not None and not segment.room.is_open for segment in segments)
    lost += ["how wide sounds are"] * any(path.start.spread or path.end.spread for path in paths)
    if lost:
        _warn_of(prepared, formats, f"{' and '.join(lost)} cannot be said there, only binaural has them")
    for reach, where, are_lost in (
        ("circle", "above and below", any(map(_leaves_ear_level, paths))),
        ("side", "behind, above and below", any(_leaves_ear_level(path) or _goes_behind(path) for path in paths)),
    ):
        narrow = [form for form in formats if form.reach == reach]
        if narrow and are_lost:
            kept = "as far around" if reach == "circle" else "as far to the side"
            _warn_of(prepared, narrow, f"what is {where} is only {kept} there; expected a format that has it, as adm")


def _warn_of(prepared: PreparedFile, formats: Sequence[Format], what: str) -> None:
    """Warn of what some formats do not have."""
    names = ", ".join(form.name for form in formats)
    warnings.warn(f"{prepared.reader.name}: {names}: {what}", stacklevel=6)


def _leaves_ear_level(path: SpherePath) -> bool:
    """Whether it is above or below at any time."""
    return any(point is not None and point.elevation_deg for point in (path.start, path.via, path.end))


def _goes_behind(path: SpherePath) -> bool:
    """Whether it is behind at any time."""
    return path.is_circle or bool((np.abs(path.at(_ALONG, 1.0).azimuth_deg) > MAX_AZIMUTH_DEG).any())

"""Sounds of objects as files, and files of text about where they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np

from tas_core.conventions import db_to_amplitude
from tas_core.delivery.base import Delivered, WriteOptions
from tas_core.delivery.formats import Delivery
from tas_core.delivery.scene import Scene, SceneBlock
from tas_core.delivery.stems import StemWriter
from tas_core.delivery.texts import osc_file, reaper_project, scene_tables
from tas_core.system.files import write_files
from tas_core.timeline.segments import REST

Texts = Callable[[Delivery, Scene, tuple[Path, ...]], Mapping[Path, bytes]]
"""Where it goes, the scene, and files of the objects' sounds and of the rest -> contents of files."""
TEXTS: Final[dict[str, Texts]] = {"objects": scene_tables, "rpp": reaper_project, "osc": osc_file}
"""What is written about places, by format."""


class StemsAndTexts:
    """Sounds of objects as files, or none, and files of text about where they are.

    Args:
        delivery: format and file or folder.
        scene: what is delivered.
        options: how they are written; with a gain, the sounds get it.
    """

    def __init__(self, delivery: Delivery, scene: Scene, options: WriteOptions) -> None:
        self._delivery, self._scene, self._options = delivery, scene, options
        self._texts = TEXTS[delivery.format.name]
        self._gain = db_to_amplitude(options.levels.gain_db)
        self._files: tuple[Path, ...] = ()
        self._stems: StemWriter | None = None
        if delivery.folder is not None:
            names = (*(place.object for place in scene.objects), REST)
            self._stems = StemWriter(
                delivery.folder,
                names,
                scene.sample_rate_hz,
                scene.num_frames,
                overwrite=options.overwrite,
                rest_channels=scene.rest_channels,
            )

    def write(self, block: SceneBlock) -> None:
        """Append a block."""
        if self._stems is not None:
            sounds: dict[int, np.ndarray] = {n: self._gain * stem for n, stem in enumerate(block.stems)}
            sounds[len(sounds)] = self._gain * block.rest
            self._stems.write(sounds, block.num_frames)

    def delivered(self) -> Delivered:
        """What was written."""
        stems = self._stems.paths if self._stems else ()
        return Delivered(
            self._delivery.format.name,
            str(self._delivery.path),
            tuple(map(str, (*stems, *self._files))),
            len(stems),
            self._scene.sample_rate_hz,
            "FLOAT",
            self._options.levels.gain_db,
        )

    def __enter__(self) -> StemsAndTexts:
        if self._stems is not None:
            self._stems.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stems is not None:
            self._stems.__exit__(kind, error, trace)
        if kind is None:
            paths = self._stems.paths if self._stems else ()
            contents = self._texts(self._delivery, self._scene, paths)
            write_files(contents, overwrite=self._options.overwrite)
            self._files = tuple(contents)

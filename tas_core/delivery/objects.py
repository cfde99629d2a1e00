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
from tas_core.delivery.stems import StemWriter, stem_paths
from tas_core.delivery.texts import osc_file, reaper_project, scene_tables, text_paths
from tas_core.system.all_or_none import AllOrNone
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
        names = (*(place.object for place in scene.objects), REST)
        stems = () if delivery.folder is None else stem_paths(delivery.folder, names)
        self._texts_at = text_paths(delivery, stems)
        self.paths = (*stems, *self._texts_at)
        self._together = AllOrNone((*filter(None, [delivery.folder]), *self.paths))
        self._stems: StemWriter | None = None
        if delivery.folder is not None:
            writer = StemWriter(
                delivery.folder,
                names,
                scene.sample_rate_hz,
                scene.num_frames,
                overwrite=options.overwrite,
                rest_channels=scene.rest_channels,
            )
            self._stems = self._together.enter(writer, stems)
        self._together.enter(_AtTheEnd(self._write_texts), self._texts_at)

    def write(self, block: SceneBlock) -> None:
        """Append a block."""
        if self._stems is not None:
            sounds: dict[int, np.ndarray] = {n: self._gain * stem for n, stem in enumerate(block.stems)}
            sounds[len(sounds)] = self._gain * block.rest
            self._stems.write(sounds, block.num_frames)

    def delivered(self) -> Delivered:
        """What was written."""
        return Delivered(
            self._delivery.format.name,
            str(self._delivery.path),
            tuple(map(str, self.paths)),
            len(self._stems.paths) if self._stems else 0,
            self._scene.sample_rate_hz,
            "FLOAT",
            self._options.levels.gain_db,
        )

    def __enter__(self) -> StemsAndTexts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._together.__exit__(kind, error, trace)

    def _write_texts(self) -> None:
        contents = self._texts(self._delivery, self._scene, self._stems.paths if self._stems else ())
        assert tuple(contents) == self._texts_at
        write_files(contents, overwrite=self._options.overwrite)


class _AtTheEnd:
    """Does something when it is left without an error."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action

    def __enter__(self) -> _AtTheEnd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._action()

"""All outputs of one rendered file, written side by side: all of them appear, or none."""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path
from types import TracebackType

from tas_core.audio.normalised_writer import NormalisedWriter
from tas_core.delivery.base import Delivered, SceneWriter, WriteOptions
from tas_core.delivery.formats import BINAURAL, Delivery
from tas_core.delivery.mixes import mix_delivered
from tas_core.delivery.scene import Scene, SceneSounds
from tas_core.delivery.trajectory import trajectories
from tas_core.delivery.writers import open_writer
from tas_core.inference.result import Block
from tas_core.jobs.output_checks import scene_title
from tas_core.jobs.request import PreparedFile


class Outputs:
    """Writes blocks of a rendering in every format that was requested; a context manager.

    Args:
        prepared: the request.

    Warns:
        UserWarning: objects that no prompt of the passage names, where objects are written; their sound is in the rest.

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
        self._ears: NormalisedWriter | None = None
        self._open: list[tuple[Delivery, SceneWriter | NormalisedWriter]] = []
        self._before = set().union(*map(_there, self._made))
        try:
            for delivery, form in zip(self._made, prepared.forms, strict=True):
                writer: SceneWriter | NormalisedWriter
                if delivery.format.name == BINAURAL:
                    assert form is not None
                    self._ears = writer = NormalisedWriter(
                        delivery.path,
                        form,
                        options.source_subtype,
                        levels=options.levels,
                        seed=options.seed,
                        overwrite=options.overwrite,
                    )
                else:
                    assert scene is not None
                    writer = open_writer(delivery, form, scene, options)
                writer.__enter__()
                self._open.append((delivery, writer))
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise

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
        return Scene(title, self._sounds.placed, self._sounds.rest, rate_hz, stop - start)

    def write(self, block: Block) -> None:
        """Append a block."""
        num_frames = block.ears.shape[1]
        scene = None if self._sounds is None else self._sounds.next(block.stems or {}, num_frames)
        for _, writer in self._open:
            if isinstance(writer, NormalisedWriter):
                writer.write(block.ears)
            elif scene is not None:
                writer.write(scene)

    def delivered(self) -> tuple[Delivered, ...]:
        """What was written, once the context is left."""
        return tuple(
            mix_delivered(delivery, writer, 2) if isinstance(writer, NormalisedWriter) else writer.delivered()
            for delivery, writer in self._open
        )

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        finished: list[SceneWriter | NormalisedWriter] = []
        state = (kind, error, trace)
        for _, writer in self._open:
            try:
                writer.__exit__(*state)
            except BaseException as problem:
                state = (type(problem), problem, problem.__traceback__)
            else:
                if state[0] is None:
                    finished.append(writer)
        if state[0] is None:
            return
        for writer in finished:
            self._remove(writer)
        if state[1] is not error and state[1] is not None:
            raise state[1]

    def _remove(self, writer: SceneWriter | NormalisedWriter) -> None:
        """Remove what was made of a format, but for what replaced something: that cannot be had back."""
        made = [writer.path] if isinstance(writer, NormalisedWriter) else map(Path, writer.delivered().files)
        for path in made:
            if path not in self._before:
                path.unlink(missing_ok=True)
        for delivery in self._made:
            if delivery.folder is not None and delivery.folder not in self._before:
                with contextlib.suppress(OSError):  # it is not empty, or was not made
                    delivery.folder.rmdir()


def _there(delivery: Delivery) -> set[Path]:
    """What is there already of a format: its file, the folder of its sounds, and what is in it."""
    folder = delivery.folder
    found = {path for path in (delivery.path, folder) if path is not None and os.path.lexists(path)}
    return found | (set(folder.iterdir()) if folder is not None and folder.is_dir() else set())

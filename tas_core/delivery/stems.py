"""Estimated stems as files: a mono one per object and one of the rest."""

from __future__ import annotations

import contextlib
import os
import re
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np

from tas_core.audio.formats import AudioFormat
from tas_core.audio.writer import AudioWriter
from tas_core.errors import InputError
from tas_core.system.all_or_none import AllOrNone
from tas_core.system.files import check_new_file, check_within

_LONGEST_NAME: Final = 60
_FILES_PER_STEM: Final = 2
"""Open while it grows: the file, and once more for its lock."""
_OTHER_FILES: Final = 64
"""What the rest of the program may have open: some twenty in fact."""


def stem_paths(folder: str | Path, names: Sequence[str]) -> tuple[Path, ...]:
    """Files of stems, ``1-cello.wav``, ``2-man-talking.wav`` .. and ``rest.wav`` for the last name.

    Of ten and more they begin with ``01``, so that their names sort as their numbers do.
    """
    *objects, rest = map(_plain, names)
    digits = len(str(len(objects)))
    files = [f"{number:0{digits}}-{name}" for number, name in enumerate(objects, start=1)]
    return tuple(Path(folder) / f"{name}.wav" for name in (*files, rest))


def check_stem_folder(folder: str | Path, names: Sequence[str], *, overwrite: bool = False) -> None:
    """Find out before any work whether stems can be written.

    Args:
        folder: may be missing, but the folder that it is to lie in may not.
        names: of the stems.
        overwrite: whether existing files may be replaced.

    Raises:
        InputError: a file in place of a folder, no permission, a file that exists, a link in the folder that leads out
            of it, or more stems than files may be open at a time.
    """
    folder = Path(folder)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = (limit - _OTHER_FILES) // _FILES_PER_STEM
    if limit != resource.RLIM_INFINITY and len(names) > most:
        raise InputError(
            f"{folder}: {len(names)} stems, expected at most {max(0, most)}, since no more than {limit} files may be"
            f" open at a time (ulimit -n {len(names) * _FILES_PER_STEM + _OTHER_FILES} allows more)"
        )
    if os.path.isdir(folder):  # says no, and does not raise, for names that cannot be
        for path in stem_paths(folder, names):
            check_within(path, [folder])
            check_new_file(path, overwrite=overwrite)
        return
    if os.path.exists(folder):
        raise InputError(f"{folder}: not a folder, expected one for the stems")
    check_new_file(folder)  # what a file would need there, a folder needs too


class StemWriter:
    """WAV files of 32-bit floating-point samples, which appear complete or not at all; a context manager.

    Floating point, since a part of a sound can be louder than the whole, and so that the files sum to the input to
    2^-24 of their levels. They are mono, but for a rest that has two channels.

    Args:
        folder: made if it is missing.
        names: of the stems, the rest last, as :func:`tas_core.timeline.segments.stem_names` gives them.
        sample_rate_hz: sample rate.
        num_frames: samples that will be written.
        overwrite: whether existing files may be replaced.
        rest_channels: channels of the rest; the others have one.

    Raises:
        InputError: as :func:`check_stem_folder`.
    """

    def __init__(
        self,
        folder: str | Path,
        names: Sequence[str],
        sample_rate_hz: int,
        num_frames: int,
        *,
        overwrite: bool = False,
        rest_channels: int = 1,
    ) -> None:
        check_stem_folder(folder, names, overwrite=overwrite)
        self.paths = stem_paths(folder, names)
        self._writers: list[AudioWriter] = []
        with contextlib.ExitStack() as stack:
            together = stack.enter_context(AllOrNone((Path(folder), *self.paths)))
            if not Path(folder).is_dir():
                try:
                    Path(folder).mkdir()
                except OSError as error:
                    raise InputError(f"{folder}: cannot be made ({error.strerror})") from error
            for path in self.paths:
                channels = rest_channels if path is self.paths[-1] else 1
                form = AudioFormat(sample_rate_hz, channels, num_frames, "FLOAT")
                self._writers.append(together.enter(AudioWriter(path, form, overwrite=overwrite), [path]))
            self._open = stack.pop_all()

    def write(self, stems: Mapping[int, np.ndarray], num_frames: int) -> None:
        """Append samples to every file.

        Args:
            stems: by their numbers, (time) or (channel, time), 1.0 is full scale; the others are silent.
            num_frames: samples of each.

        Raises:
            TasError: as :meth:`tas_core.audio.writer.AudioWriter.write`.
        """
        for number, writer in enumerate(self._writers):
            writer.write(np.atleast_2d(stems.get(number, np.zeros((writer.form.num_channels, num_frames)))))

    def __enter__(self) -> StemWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)


def _plain(name: str) -> str:
    """A phrase as a file name: letters and digits of any script, everything else hyphens."""
    return re.sub(r"[\W_]+", "-", name.lower()).strip("-")[:_LONGEST_NAME].rstrip("-") or "object"

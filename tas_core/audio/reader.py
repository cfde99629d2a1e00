"""Reading audio files with checks: whole, or block by block in constant memory.

Samples are ``(channel, time)`` or ``(ear, time)`` arrays in which 1.0 is full scale. Whole files go through
:func:`read_audio`, long ones through :class:`AudioReader`. What libsndfile does not know is decoded by ffmpeg first.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import soundfile

from tas_core.audio.decoders import Source, open_sound
from tas_core.audio.headers import copy_stream
from tas_core.errors import AudioError
from tas_core.system.files import STANDARD_STREAM, input_name
from tas_core.system.write_errors import temporary_file_error

MIN_RATE_HZ: Final = 8_000
MAX_RATE_HZ: Final = 192_000

_BLOCK_FRAMES: Final = 2**20
_MOST_VALUES: Final = 2**24
"""Samples of all channels that are read in one piece."""
_ONLY_FORWARD: Final = ("MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III", "GSM610", "G721_32", "G723_24", "G723_40")
"""Encodings in which a part depends on those before it."""


# ---------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Audio:
    """A decoded file.

    Args:
        samples: (channel, time), float32, or float64 where 24 bits of mantissa do not hold the file's depth.
        sample_rate_hz: 8,000 to 192,000.
        subtype: sample encoding in libsndfile's words, such as ``PCM_16``.
        format: container in libsndfile's words, such as ``WAV``.
    """

    samples: np.ndarray
    sample_rate_hz: int
    subtype: str
    format: str

    @property
    def num_frames(self) -> int:
        """Samples per channel."""
        return self.samples.shape[-1]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_frames / self.sample_rate_hz


class AudioReader:
    """An open audio file, read from its beginning; a context manager.

    What libsndfile does not read is decoded by ffmpeg, if it is installed, to a temporary file. Pipes are copied to
    a temporary file first, since decoders seek. Where a header and the sound disagree about the length, the sound
    counts, see :mod:`tas_core.audio.decoders`.

    Args:
        path: the file; ``-`` is standard input.
        track: audio track, counted from 1; None is the file's default.

    Attributes:
        name: of the file in messages.
        source: the file that is decoded; a copy of what came through a pipe.
        sample_rate_hz: 8,000 to 192,000.
        num_channels: 1 or more.
        track: the audio track that is read, counted from 1.
        num_frames: samples per channel, as far as is known before they are decoded; see :meth:`count_frames`.
        subtype: sample encoding in libsndfile's words, such as ``PCM_16``.
        format: container in libsndfile's words, such as ``WAV``; that of the decoded file if ffmpeg was needed.
        tags: title, artist, comment and so on, by libsndfile's names for them.

    Raises:
        AudioError: the file is missing, a folder, empty, no audio, holds no samples, has a sample rate
            outside 8 to 192 kHz, or is shorter than its header says; there is no such track.
        TasError: a temporary file cannot be written.

    Warns:
        UserWarning: as :func:`tas_core.audio.decoders.open_sound`.
    """

    def __init__(self, path: str | Path, track: int | None = None) -> None:
        self.path = Path(path)
        self.name = input_name(self.path)
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            self.source = self._open(stack)
            opened = open_sound(self.source, track, stack)
            self._file = opened.sound
            self.track: int = opened.track
            self.sample_rate_hz: int = self._file.samplerate
            self.num_channels: int = self._file.channels
            self.num_frames: int = opened.num_frames
            self._is_estimate = opened.is_estimate
            self.subtype: str = opened.subtype
            self.format: str = self._file.format
            self.tags: dict[str, str] = self._file.copy_metadata()
            self._dtype = "float64" if self._file.subtype in ("PCM_32", "DOUBLE") else "float32"
            self._position = 0
            if not MIN_RATE_HZ <= self.sample_rate_hz <= MAX_RATE_HZ:
                raise self._error(
                    f"the sample rate is {self.sample_rate_hz} Hz, expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz"
                )
            if self.num_frames <= 0:
                raise self._error("no samples in the file")
            self._stack = stack.pop_all()

    def read(self, num_frames: int) -> np.ndarray:
        """The next samples, (channel, time); fewer than requested only at the end of the file.

        Raises:
            AudioError: the file is damaged, or a sample is not a finite number.
        """
        try:
            block = self._file.read(num_frames, dtype=self._dtype, always_2d=True)
        except soundfile.LibsndfileError as error:
            raise self._error(f"damaged after {self._seconds(self._position)}: {error.error_string}") from error
        bad = ~np.isfinite(block)
        if bad.any():
            frame, channel = np.argwhere(bad)[0]
            raise self._error(
                f"sample {block[frame, channel]} at {self._seconds(self._position + int(frame))}"
                f" in channel {channel + 1}, expected finite numbers"
            )
        self._position += len(block)
        # A decoder that stops early says nothing. MP3 decoders leave out frames at the beginning of some files.
        tolerance = self.num_frames // 100 if self._is_estimate else 0
        if len(block) < num_frames and self._position < self.num_frames - tolerance:
            raise self._error(
                f"the file is cut off: its header says {self.num_frames} samples per channel,"
                f" but it holds {self._position}"
            )
        return np.ascontiguousarray(block.T)

    def at_once(self, num_frames: int) -> int:
        """So many samples to read in one piece, or fewer where there are many channels: memory is for all of them."""
        return max(1, min(num_frames, _MOST_VALUES // self.num_channels))

    def count_frames(self) -> int:
        """Samples per channel, before anything is read.

        What is only an estimate, as for MP3, is counted by decoding the file once.

        Raises:
            AudioError: as :meth:`read`.
        """
        if not self._is_estimate:
            return self.num_frames
        count = 0
        while size := self.read(self.at_once(_BLOCK_FRAMES)).shape[1]:
            count += size
        self.seek(0)
        self.num_frames, self._is_estimate = count, False
        return count

    def seek(self, frame: int) -> None:
        """Go on reading at a sample, counted from 0.

        Frames of MP3 depend on those before them, so such a file is decoded from its beginning, some thousand times
        faster than it plays.

        Raises:
            AudioError: the file is damaged.
        """
        only_forward = self._file.subtype in _ONLY_FORWARD
        if not (only_forward and self._position <= frame):
            try:
                self._file.seek(0 if only_forward else frame)
            except soundfile.LibsndfileError as error:
                if not only_forward:
                    raise self._error(f"damaged before {self._seconds(frame)}: {error.error_string}") from error
                self._begin_again()
            self._position = 0 if only_forward else frame
        most = self.at_once(_BLOCK_FRAMES)
        while self._position < frame and self.read(min(most, frame - self._position)).shape[1]:
            pass

    def _begin_again(self) -> None:
        """Open the file anew: of some codecs, such as GSM in WAV, libsndfile finds no place, not even the beginning."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said when it was opened first
            self._file = open_sound(self.source, self.track, self._stack).sound

    def close(self) -> None:
        """Close the file; it was only read, so nothing is lost where that fails, and what was said before stays so."""
        with contextlib.suppress(OSError):
            self._stack.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self, stack: contextlib.ExitStack) -> Source:
        try:
            piped = str(self.path) == STANDARD_STREAM
            file: BinaryIO = stack.enter_context(_standard_input() if piped else open(self.path, "rb"))
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
                file, piped = self._spool(file, stack), True
            elif not stat.S_ISREG(mode):
                raise self._error("not a regular file")
            if file.seek(0, os.SEEK_END) == 0:
                raise self._error("the file is empty")
            file.seek(0)
        except (OSError, ValueError) as error:
            raise self._error(getattr(error, "strerror", None) or str(error)) from error
        return Source(file, None if piped else self.path, self.name)

    def _spool(self, pipe: BinaryIO, stack: contextlib.ExitStack) -> BinaryIO:
        """A pipe as a temporary file."""
        folder = tempfile.gettempdir()
        what = f"what comes from {self.name}"
        try:
            spool: BinaryIO = tempfile.TemporaryFile(dir=folder)
        except OSError as error:
            raise temporary_file_error(folder, what, error) from error
        try:
            copy_stream(pipe, spool)
        except OSError as error:
            with contextlib.suppress(OSError):  # what did not fit once does not fit again
                spool.close()
            raise temporary_file_error(folder, what, error) from error
        stack.enter_context(spool)
        if not spool.read(1):
            raise self._error("the pipe is empty")
        return spool

    def _seconds(self, frame: int) -> str:
        return f"{frame / self.sample_rate_hz:.6g} s"

    def _error(self, what: str) -> AudioError:
        return AudioError(f"{self.name}: {what}")


def _standard_input() -> BinaryIO:
    """Standard input as a file of bytes, which stays open when this one is closed."""
    if sys.stdin is None or sys.stdin.isatty():
        raise ValueError("a terminal, expected a pipe or a file")
    return open(sys.stdin.fileno(), "rb", closefd=False)


def read_audio(path: str | Path) -> Audio:
    """Read a whole file.

    Raises:
        AudioError: as :class:`AudioReader` and :meth:`AudioReader.read`.
    """
    with AudioReader(path) as reader:
        blocks = []
        while (block := reader.read(reader.at_once(_BLOCK_FRAMES))).shape[1]:
            blocks.append(block)
        samples = np.concatenate(blocks, axis=1)
        return Audio(samples, reader.sample_rate_hz, reader.subtype, reader.format)


def audio_duration_s(path: str | Path) -> float:
    """Length of an audio file, seconds.

    Raises:
        AudioError: as :class:`AudioReader` and :meth:`AudioReader.count_frames`.
    """
    with AudioReader(path) as reader:
        return reader.count_frames() / reader.sample_rate_hz

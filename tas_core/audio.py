"""Audio files: reading with checks, resampling, and writing (from :mod:`tas_core.audio_output`).

Samples are ``(channel, time)`` or ``(ear, time)`` arrays in which 1.0 is full scale.
Whole files go through :func:`read_audio` and :func:`write_audio`; :class:`AudioReader`
and :class:`AudioWriter` do the same block by block, in constant memory.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import soundfile
import soxr

from tas_core.audio_output import (
    AudioWriter,
    check_output_path,
    output_subtype,
    peak,
    write_audio,
)
from tas_core.errors import AudioError
from tas_core.output_files import same_file

__all__ = [
    "Audio",
    "AudioReader",
    "AudioWriter",
    "check_output_path",
    "output_subtype",
    "peak",
    "read_audio",
    "resample",
    "resampled_length",
    "same_file",
    "to_mono",
    "write_audio",
]

MIN_RATE_HZ: Final = 8_000
MAX_RATE_HZ: Final = 192_000

_BLOCK_FRAMES: Final = 2**20


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

    Pipes are copied to a temporary file first, since decoders seek.
    An Ogg file does not say how long it is, so one that is cut off ends early without an error.

    Args:
        path: the file.

    Raises:
        AudioError: the file is missing, a folder, empty, no audio, holds no samples, has a sample rate
            outside 8 to 192 kHz, or is shorter than its header says.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            source = self._open(stack)
            try:
                self._file = stack.enter_context(soundfile.SoundFile(source))
            except (soundfile.LibsndfileError, TypeError) as error:
                reason = getattr(error, "error_string", "") or "a format without a header"
                raise self._error(f"not an audio file that can be read: {reason.rstrip('.')}") from error
            self.sample_rate_hz: int = self._file.samplerate
            self.num_channels: int = self._file.channels
            self.num_frames: int = self._file.frames
            self.subtype: str = self._file.subtype
            self.format: str = self._file.format
            self._dtype = "float64" if self.subtype in ("PCM_32", "DOUBLE") else "float32"
            self._position = 0
            if not MIN_RATE_HZ <= self.sample_rate_hz <= MAX_RATE_HZ:
                raise self._error(
                    f"the sample rate is {self.sample_rate_hz} Hz, expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz"
                )
            if self.num_frames <= 0:
                raise self._error("no samples in the file")
            self._stack = stack.pop_all()

    def read(self, num_frames: int) -> np.ndarray:
        """The next samples, (channel, time); less than asked only at the end of the file.

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
        # A decoder that stops early says nothing. MP3 headers only estimate the length.
        tolerance = self.num_frames // 100 if self.subtype.startswith("MPEG") else 0
        if len(block) < num_frames and self._position < self.num_frames - tolerance:
            raise self._error(
                f"the file is cut off: its header says {self.num_frames} samples per channel,"
                f" but it holds {self._position}"
            )
        return np.ascontiguousarray(block.T)

    def count_frames(self) -> int:
        """Samples per channel, before anything is read.

        The header says so but for MP3, whose header only estimates it; such a file is decoded once for counting.

        Raises:
            AudioError: as :meth:`read`.
        """
        if not self.subtype.startswith("MPEG"):
            return self.num_frames
        count = 0
        while size := self.read(_BLOCK_FRAMES).shape[1]:
            count += size
        self._file.seek(0)
        self._position = 0
        return count

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self, stack: contextlib.ExitStack) -> Path | BinaryIO:
        try:
            file: BinaryIO = stack.enter_context(open(self.path, "rb"))
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISFIFO(mode):
                spool: BinaryIO = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(file, spool)
                spool.seek(0)
                if not spool.read(1):
                    raise self._error("the pipe is empty")
                spool.seek(0)
                return spool
            if not stat.S_ISREG(mode):
                raise self._error("not a regular file")
            size = file.seek(0, os.SEEK_END)
            if size == 0:
                raise self._error("the file is empty")
            promised, there = _sample_bytes(file, size)
        except (OSError, ValueError) as error:
            raise self._error(getattr(error, "strerror", None) or str(error)) from error
        if promised > there:
            raise self._error(f"the file is cut off: its header says {promised} bytes of samples, but it holds {there}")
        return self.path

    def _seconds(self, frame: int) -> str:
        return f"{frame / self.sample_rate_hz:.6g} s"

    def _error(self, what: str) -> AudioError:
        return AudioError(f"{self.path}: {what}")


def read_audio(path: str | Path) -> Audio:
    """Read a whole file.

    Raises:
        AudioError: as :class:`AudioReader` and :meth:`AudioReader.read`.
    """
    with AudioReader(path) as reader:
        blocks = []
        while (block := reader.read(_BLOCK_FRAMES)).shape[1]:
            blocks.append(block)
        samples = np.concatenate(blocks, axis=1)
        return Audio(samples, reader.sample_rate_hz, reader.subtype, reader.format)


# Magic -> bytes of the file header, of a chunk's name and of its length, and whether that length counts itself.
_CHUNKED: Final = {b"RIFF": (12, 4, 4, 0), b"RF64": (12, 4, 4, 0), b"FORM": (12, 4, 4, 0), b"riff": (40, 16, 8, 24)}


def _sample_bytes(file: BinaryIO, size: int) -> tuple[int, int]:
    """Bytes of samples that a WAV, RF64, W64 or AIFF header promises, and that are there; else zeros.

    libsndfile silently reads what is there. A 32-bit length of almost 2^31 or more, in a smaller file,
    is how a program that writes to a pipe says that it does not know.
    """
    file.seek(0)
    magic = file.read(4)
    if magic not in _CHUNKED:
        return 0, 0
    position, name_bytes, length_bytes, counted = _CHUNKED[magic]
    long_length = 0
    for _ in range(1000):
        file.seek(position)
        name = file.read(name_bytes)[:4]
        length = int.from_bytes(file.read(length_bytes), "big" if magic == b"FORM" else "little") - counted
        position = file.tell()
        if name == b"ds64":
            long_length = int.from_bytes(file.read(16)[8:], "little")
        if name in (b"data", b"SSND"):
            if magic == b"RF64" and length == 0xFFFFFFFF:
                length = long_length
            elif length_bytes == 4 and (length == 0xFFFFFFFF or 0x7FFFF000 <= length and size < 2**31):
                return 0, 0
            return length, size - position
        alignment = 8 if counted else 2
        position += -(-length // alignment) * alignment
        if not 0 < position < size:
            break
    return 0, 0


# ---------------------------------------------------------------------------- samples


def to_mono(samples: np.ndarray) -> np.ndarray:
    """Mean of channels (channel, time), (time,), in the same dtype; one channel comes back as it is."""
    if len(samples) == 1:
        return samples[0]
    return samples.mean(axis=0, dtype=np.float64).astype(samples.dtype)


def resampled_length(num_frames: int, from_hz: int, to_hz: int) -> int:
    """Samples after resampling: ``num_frames * to_hz / from_hz``, rounded, halves up, and at least 1 of 1."""
    return max(min(num_frames, 1), (2 * num_frames * to_hz + from_hz) // (2 * from_hz))


def resample(samples: np.ndarray, from_hz: int, to_hz: int, num_frames: int | None = None) -> np.ndarray:
    """Band-limited resampling without delay (soxr, very high quality).

    Args:
        samples: (..., time), float32 or float64.
        from_hz: rate of the samples.
        to_hz: rate of the result.
        num_frames: length of the result, by default :func:`resampled_length`; the result is cut or
            filled with zeros at its end. Pass the original length to come back from another rate.

    Returns:
        (..., num_frames), dtype of the samples.
    """
    if num_frames is None:
        num_frames = resampled_length(samples.shape[-1], from_hz, to_hz)
    flat = samples.reshape(math.prod(samples.shape[:-1]), samples.shape[-1])
    result = np.zeros((len(flat), num_frames), dtype=samples.dtype)
    for row, channel in zip(result, flat, strict=True):
        new = channel if from_hz == to_hz else soxr.resample(channel, from_hz, to_hz, quality="VHQ")
        row[: len(new)] = new[:num_frames]
    return result.reshape(*samples.shape[:-1], num_frames)

"""Files that are seen as their bytes should have been, and several of them heard as one sound.

A header that lies is put right on the way to the decoder; nothing is copied.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO, Final

import numpy as np
import soundfile

Piece = bytes | range
"""Bytes as they are, or a range of those of a file."""

_TAIL_BYTES: Final = 2**16
_SAME_FORM: Final = {"samplerate": "sample rate", "channels": "number of channels"}


class SplicedFile(io.RawIOBase):
    """A read-only file put together from bytes and from ranges of another file.

    Args:
        file: seekable, and open for as long as this one is read.
        pieces: in their order.
        claimed: bytes that it says it has, if more than it has; what is missing cannot be read.
    """

    def __init__(self, file: BinaryIO, pieces: Sequence[Piece], claimed: int = 0) -> None:
        self._file = file
        self._pieces = [piece for piece in pieces if len(piece)]
        self._starts = [0, *accumulate(map(len, self._pieces))]
        self._size = max(self._starts[-1], claimed)
        self._position = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Position, bytes."""
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position, bytes."""
        self._position = max(0, offset + (0, self._position, self._size)[whence])
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer; less only at the end."""
        view, filled = memoryview(buffer).cast("B"), 0
        if self._starts[-1] + _TAIL_BYTES <= self._position < self._size:
            filled = min(len(view), self._size - self._position)
            view[:filled] = bytes(filled)
            self._position += filled
            return filled
        while filled < len(view) and self._position < self._starts[-1]:
            which = bisect_right(self._starts, self._position) - 1
            piece, at = self._pieces[which], self._position - self._starts[which]
            wanted = min(len(view) - filled, len(piece) - at)
            if isinstance(piece, range):
                self._file.seek(piece.start + at)
                data = self._file.read(wanted)
            else:
                data = piece[at : at + wanted]
            if not data:  # the file has become shorter
                break
            view[filled : filled + len(data)] = data
            filled += len(data)
            self._position += len(data)
        return filled


class JoinedSound:
    """Sounds of one rate and number of channels, heard one after the other as one file; what reading asks for.

    Args:
        sounds: open files, at least one; closed with this one.
        num_frames: samples per channel, if what follows them is none of the sound.

    Raises:
        ValueError: rates or numbers of channels differ.
    """

    def __init__(self, sounds: Sequence[soundfile.SoundFile], num_frames: int | None = None) -> None:
        first = sounds[0]
        for sound in sounds:
            for what, words in _SAME_FORM.items():
                if getattr(sound, what) != getattr(first, what):
                    raise ValueError(f"the {words} changes from {getattr(first, what)} to {getattr(sound, what)}")
        self._sounds = list(sounds)
        self._at = 0
        self._limit, self._position = num_frames, 0
        self.samplerate: int = first.samplerate
        self.channels: int = first.channels
        self.frames: int = sum(sound.frames for sound in sounds) if num_frames is None else num_frames
        self.subtype: str = first.subtype
        self.format: str = first.format

    def copy_metadata(self) -> dict[str, str]:
        """Tags of the first."""
        return dict(self._sounds[0].copy_metadata())

    def read(self, frames: int, dtype: str, always_2d: bool = True) -> np.ndarray:
        """The next samples, (time, channel); fewer only at the end."""
        blocks, missing = [], frames if self._limit is None else min(frames, self._limit - self._position)
        self._position += missing
        while missing and self._at < len(self._sounds):
            block = self._sounds[self._at].read(missing, dtype=dtype, always_2d=always_2d)
            blocks.append(block)
            missing -= len(block)
            if missing:
                self._at += 1
        return np.concatenate(blocks) if blocks else np.zeros((0, self.channels), dtype)

    def seek(self, frame: int) -> int:
        """Go on at a sample; only those of lossless parts are found exactly."""
        rest = self._position = frame
        self._at = 0
        while self._at < len(self._sounds) - 1 and rest >= self._sounds[self._at].frames:
            rest -= self._sounds[self._at].frames
            self._at += 1
        self._sounds[self._at].seek(rest)
        for later in self._sounds[self._at + 1 :]:
            later.seek(0)
        return frame

    def close(self) -> None:
        """Close all."""
        for sound in self._sounds:
            sound.close()

    def __enter__(self) -> JoinedSound:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

"""What libsndfile does not write of WAVE files: the channel mask, chunks behind the samples (ITU-R BS.2088), no time.

A file is four letters (RIFF, or RF64 above 4 GiB), its size and "WAVE", and then chunks, each of four letters, its size
in 32 bits and its contents, which end on an even byte. In a large one the sizes in 32 bits are all ones, and the chunk
``ds64``, which comes first, has them in 64 bits. With the chunks of the Audio Definition Model such a file is BW64.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

_HEADER_BYTES: Final = 12
_CHUNK_BYTES: Final = 8
_EXTENSIBLE: Final = 0xFFFE
_MASK_AT: Final = 20
"""Where the channel mask stands in the chunk ``fmt`` of WAVE_FORMAT_EXTENSIBLE."""
_UNKNOWN: Final = 2**32 - 1


def set_channel_mask(path: Path, mask: int) -> None:
    """Say which loudspeakers the channels of a file are; a file that has no place for it stays as it is.

    Args:
        path: of a sound; only WAVE files of the kind WAVE_FORMAT_EXTENSIBLE have one.
        mask: a bit for each loudspeaker.

    Raises:
        OSError: it cannot be written.
    """
    with open(path, "rb+") as file:
        for name, at, _ in _chunks(file):
            if name == b"fmt ":
                file.seek(at)
                (kind,) = struct.unpack("<H", file.read(2))
                if kind == _EXTENSIBLE:
                    file.seek(at + _MASK_AT)
                    file.write(struct.pack("<I", mask))
                return


def clear_peak_time(path: Path) -> None:
    """Take out when a file of floating point was written, so that the same sound is the same bytes.

    libsndfile notes it beside the highest sample, in the chunk ``PEAK`` of WAVE and AIFF: four bytes of a version, and
    then four of seconds since 1970.

    Args:
        path: of a sound; one without that chunk stays as it is.

    Raises:
        OSError: it cannot be written.
    """
    with open(path, "rb+") as file:
        for name, at, size in _chunks(file):
            if name == b"PEAK" and size >= 8:
                file.seek(at + 4)
                file.write(bytes(4))
                return


def append_chunks(path: Path, contents: Mapping[bytes, bytes]) -> None:
    """Put chunks behind those of a WAVE file, and correct its size; RF64 becomes BW64.

    Args:
        path: of a complete file.
        contents: by four letters.

    Raises:
        ValueError: a file of RIFF that is above 4 GiB with them: it has no place for a larger size.
        OSError: it cannot be written.
    """
    with open(path, "rb+") as file:
        is_large = file.read(4) == b"RF64"
        end = file.seek(0, 2)
        if end % 2:
            file.write(b"\0")
        for name, content in contents.items():
            file.write(name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2))
        size = file.tell() - _CHUNK_BYTES
        if not is_large:
            if size > _UNKNOWN:
                raise ValueError(f"{path}: {size} bytes, expected less than 4 GiB in RIFF")
            file.seek(4)
            file.write(struct.pack("<I", size))
            return
        file.seek(0)
        file.write(b"BW64")
        for name, at, _ in _chunks(file):
            if name == b"ds64":
                file.seek(at)
                file.write(struct.pack("<Q", size))
                return


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Letters, place and size of the chunks before the samples, of WAVE and AIFF; nothing of other kinds of files."""
    file.seek(0)
    head = file.read(_HEADER_BYTES)
    if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        of_size, samples = ">I", b"SSND"
    elif head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE":
        of_size, samples = "<I", b"data"
    else:
        return
    at = _HEADER_BYTES
    while True:
        file.seek(at)
        head = file.read(_CHUNK_BYTES)
        if len(head) < _CHUNK_BYTES or head[:4] == samples:
            return
        (size,) = struct.unpack(of_size, head[4:])
        yield head[:4], at + _CHUNK_BYTES, size
        at += _CHUNK_BYTES + size + size % 2

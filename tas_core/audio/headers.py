"""What the headers of WAV, RF64, W64 and AIFF files promise, and what streams promise wrongly.

Decoders take a header at its word, or silently read what is there. A program that writes WAV to a pipe cannot come
back to fill in the length: it writes none, or the largest that 32 bits hold.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import BinaryIO, Final

# Magic -> bytes of the file header, of a chunk's name and of its length, and whether that length counts itself.
_CHUNKED: Final = {b"RIFF": (12, 4, 4, 0), b"RF64": (12, 4, 4, 0), b"FORM": (12, 4, 4, 0), b"riff": (40, 16, 8, 24)}
_MAX_32: Final = 2**32 - 1
_DS64_BYTES: Final = 28


@dataclass(frozen=True)
class SampleChunk:
    """Where the samples of a file are.

    Attributes:
        position: of the first byte of samples, in bytes.
        promised: bytes of samples by the header; None if it says that it does not know.
        there: bytes from the first sample to the end of the file.
    """

    position: int
    promised: int | None
    there: int

    @property
    def is_cut_off(self) -> bool:
        """Whether there is less than promised."""
        return self.promised is not None and self.promised > self.there


def find_samples(file: BinaryIO) -> SampleChunk | None:
    """The samples of a WAV, RF64, W64 or AIFF file; None for other files and where there are none.

    A 32-bit length of almost 2^31 or more, in a smaller file, is how a program that writes to a pipe says that it
    does not know.
    """
    size = file.seek(0, 2)
    file.seek(0)
    magic = file.read(4)
    if magic not in _CHUNKED:
        return None
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
            there = size - position
            if magic == b"RF64" and length == _MAX_32:
                return SampleChunk(position, long_length, there)
            # In a file of more than 2^31 bytes a length of almost as much may be meant.
            unknown = length_bytes == 4 and (length == _MAX_32 or 0x7FFFF000 <= length and size < 2**31)
            return SampleChunk(position, None if unknown else length, there)
        alignment = 8 if counted else 2
        position += -(-length // alignment) * alignment
        if not 0 < position < size:
            break
    return None


def copy_stream(source: BinaryIO, target: BinaryIO) -> None:
    """Copy a stream to an empty file, in which a WAV header that did not know the length says it.

    Such a file becomes RF64, so that it may hold more than 4 GiB.

    Args:
        source: read to its end.
        target: open for reading and writing; left at its beginning.
    """
    head = source.read(12)
    is_wav = len(head) == 12 and head[:4] == b"RIFF" and head[8:] == b"WAVE"
    target.write(head)
    if is_wav:  # room for a ds64 chunk, as EBU Tech 3306 has it
        target.write(b"JUNK" + _DS64_BYTES.to_bytes(4, "little") + bytes(_DS64_BYTES))
    shutil.copyfileobj(source, target, 2**20)
    found = find_samples(target) if is_wav else None
    if found is not None and found.promised is None:
        size = target.seek(0, 2)
        sizes = b"".join(value.to_bytes(8, "little") for value in (size - 8, found.there, 0))
        target.seek(0)
        target.write(b"RF64" + _MAX_32.to_bytes(4, "little") + b"WAVEds64" + _DS64_BYTES.to_bytes(4, "little"))
        target.write(sizes + bytes(4))
        target.seek(found.position - 4)
        target.write(_MAX_32.to_bytes(4, "little"))
    target.seek(0)

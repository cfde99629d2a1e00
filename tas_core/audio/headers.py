"""What the headers of WAV, RF64, BW64, W64, AIFF, CAF and AU files promise, and what they promise wrongly.

Decoders take a header at its word, or silently read what is there. A program that writes WAV to a pipe cannot come
back to fill in the length: it writes none, or the largest that 32 bits hold. Neither can a recorder that crashed.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import IO, BinaryIO, Final

# Magic -> bytes of the file header, of a chunk's name and of its length, and whether that length counts itself.
_CHUNKED: Final = {
    b"RIFF": (12, 4, 4, 0),
    b"RIFX": (12, 4, 4, 0),
    b"RF64": (12, 4, 4, 0),
    b"BW64": (12, 4, 4, 0),
    b"FORM": (12, 4, 4, 0),
    b"riff": (40, 16, 8, 24),
    b"caff": (8, 4, 8, 0),
}
_BIG_ENDIAN: Final = (b"FORM", b"caff", b"RIFX")
_LONG: Final = (b"RF64", b"BW64")
"""Of which a chunk has the lengths that 32 bits do not hold: EBU Tech 3306, ITU-R BS.2088."""
_BEFORE_SAMPLES: Final = {b"FORM": 8, b"caff": 4}
"""Bytes of the chunk of samples that stand before them."""
_ALIGNMENT: Final = {b"riff": 8, b"caff": 1}  # all others: 2
_IGNORED_BYTES: Final = 1024
_MAX_32: Final = 2**32 - 1
_UNKNOWN_64: Final = 2**63 - 2**10
"""No file has so many bytes; with its own header taken off, as W64 counts it."""
_LEAST_LOST_BYTES: Final = 16
_DS64_BYTES: Final = 28


@dataclass(frozen=True)
class SampleChunk:
    """Where the samples of a file are.

    Attributes:
        position: of the first byte of samples, in bytes.
        promised: bytes of samples by the header; None if it says that it does not know.
        there: bytes from the first sample to the end of the file.
        unexplained: bytes behind those that are promised which are no chunks, so may be samples too.
        unpadded: whether a chunk of an odd length before them lacks the byte which makes it even.
        chunks: what stands before them: where each chunk begins, and bytes of its contents.
        is_empty: whether the header says that there are no samples, though there are.
        is_misread: whether libsndfile takes the header for another than it is.
    """

    position: int
    promised: int | None
    there: int
    unexplained: int = 0
    unpadded: bool = False
    chunks: tuple[tuple[int, int], ...] = ()
    is_empty: bool = False
    is_misread: bool = False

    @property
    def is_cut_off(self) -> bool:
        """Whether there is less than promised."""
        return self.promised is not None and self.promised > self.there


_AU_HEADER_BYTES: Final = 24
"""Of an AU file; its samples begin there or later."""


def find_samples(file: BinaryIO) -> SampleChunk | None:
    """The samples of a WAV, RF64, BW64, W64, AIFF, CAF or AU file; None for other files and where there are none.

    A 32-bit length of almost 2^31 or more, in a smaller file, is how a program that writes to a pipe says that it
    does not know.
    """
    size = file.seek(0, 2)
    file.seek(0)
    magic = file.read(4)
    if magic == b".snd":
        return _au_samples(file, size)
    if magic not in _CHUNKED:
        return None
    position, name_bytes, length_bytes, counted = _CHUNKED[magic]
    chunks: list[tuple[int, int]] = []
    long_length, unpadded = 0, False
    for _ in range(1000):
        file.seek(position)
        name, length = _chunk(file, magic)
        begin = position
        position += name_bytes + length_bytes
        if name == b"ds64":
            long_length = int.from_bytes(file.read(16)[8:], "little")
        if name in (b"data", b"SSND"):
            there, is_misread = size - position, magic == b"BW64"
            if there < 0:  # the file ends within the length
                return None
            if magic in _LONG and length in (0, _MAX_32, long_length & _MAX_32):
                length = long_length
            elif magic in _LONG:
                is_misread = is_misread or length != long_length
            # In a file of more than 2^31 bytes a length of almost as much may be meant.
            told_32 = magic not in _LONG and length_bytes == 4
            unknown = told_32 and (length == _MAX_32 or 0x7FFFF000 <= length and size < 2**31)
            if unknown or length >= _UNKNOWN_64:
                is_misread = is_misread or (length >= _UNKNOWN_64 and (magic, length) != (b"caff", 2**64 - 1))
                return SampleChunk(position, None, there, 0, unpadded, tuple(chunks), is_misread=is_misread)
            length = max(0, length)
            unexplained = _behind(file, magic, (position, length, there))
            empty = length <= _BEFORE_SAMPLES.get(magic, 0) < there and unexplained > 0
            left_out = unexplained if empty or _is_sound(file, size - unexplained, size) else 0
            return SampleChunk(position, length, there, left_out, unpadded, tuple(chunks), empty, is_misread)
        chunks.append((begin, length))
        position += length
        if padding := -length % _ALIGNMENT.get(magic, 2):
            if magic == b"RIFF" and _names_chunk(file, position) and not _names_chunk(file, position + padding):
                unpadded = True
            else:
                position += padding
        if not 0 < position < size:
            break
    return None


def _au_samples(file: BinaryIO, size: int) -> SampleChunk | None:
    """The samples of an AU file: its header says where they are, and how many bytes, or that it does not know."""
    position, length = (int.from_bytes(file.read(4), "big") for _ in range(2))
    there = size - position
    if not _AU_HEADER_BYTES <= position <= size:
        return None
    if length == _MAX_32:
        return SampleChunk(position, None, there)
    behind = max(0, there - length)
    left_out = behind if not length or _is_sound(file, size - behind, size) else 0
    return SampleChunk(position, length, there, left_out, is_empty=not length and there > 0)


def _chunk(file: BinaryIO, magic: bytes) -> tuple[bytes, int]:
    """Name and length of the chunk at the position of a file."""
    _, name_bytes, length_bytes, counted = _CHUNKED[magic]
    name = file.read(name_bytes)[:4]
    return name, int.from_bytes(file.read(length_bytes), "big" if magic in _BIG_ENDIAN else "little") - counted


def _names_chunk(file: BinaryIO, position: int) -> bool:
    """Whether there is something like the name of a chunk."""
    file.seek(position)
    name = file.read(4)
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _is_sound(file: BinaryIO, start: int, stop: int) -> bool:
    """Whether bytes behind the samples may be some: not a few zeros, and not an old tag of 128 bytes."""
    if stop - start >= _IGNORED_BYTES or stop - start < _LEAST_LOST_BYTES:
        return stop - start >= _IGNORED_BYTES
    file.seek(start)
    rest = file.read(stop - start)
    return rest[:3] != b"TAG" and any(rest)


def _behind(file: BinaryIO, magic: bytes, sizes: tuple[int, int, int]) -> int:
    """Bytes behind the samples at a position, with so many bytes promised, and there, which are no chunks."""
    start, promised, there = sizes
    size, position = start + there, start + promised
    name_bytes, length_bytes = _CHUNKED[magic][1:3]
    while position < size:
        aligned = position + -(position - start) % _ALIGNMENT.get(magic, 2)
        at = next((at for at in dict.fromkeys((aligned, position)) if _names_chunk(file, at)), None)
        if magic == b"riff" or at is None:
            break
        file.seek(at)
        name, length = _chunk(file, magic)
        if name in (b"data", b"SSND"):  # more samples, which nobody reads
            break
        if at + name_bytes + length_bytes + length > size:
            break
        position = at + name_bytes + length_bytes + length
    return 0 if magic == b"riff" and promised > 0 else max(0, size - position)


def with_length(file: BinaryIO, found: SampleChunk) -> list[bytes | range]:
    """The pieces of a WAV, RF64 or BW64 file whose header says how long it is, and whose chunks are padded.

    For :class:`tas_core.audio.splices.SplicedFile`. Where the header knew the length, it stays.
    """
    end = found.position + found.there
    promised = found.there if found.promised is None or found.is_empty else found.promised
    chunks = b""
    for begin, length in found.chunks:
        file.seek(begin)
        name, contents = file.read(8)[:4], file.read(length)
        contents += bytes(len(contents) % 2)  # libsndfile counts the byte that makes it even in WAV, not in RF64
        if name != b"ds64":  # there is to be a right one
            chunks += name + len(contents).to_bytes(4, "little") + contents
    size = 4 + 8 + _DS64_BYTES + len(chunks) + 8 + found.there
    ds64 = b"".join(value.to_bytes(8, "little") for value in (size, promised, 0)) + bytes(4)
    head = b"RF64" + _MAX_32.to_bytes(4, "little") + b"WAVEds64" + _DS64_BYTES.to_bytes(4, "little") + ds64
    return [head + chunks + b"data" + _MAX_32.to_bytes(4, "little"), range(found.position, end)]


def with_known_end(file: BinaryIO, found: SampleChunk) -> list[bytes | range]:
    """The pieces of an AIFF, W64, CAF, AU or big-endian WAV file whose header says that it goes to its end.

    As :func:`with_length`.
    """
    file.seek(0)
    head, end = bytearray(file.read(found.position)), found.position + found.there
    at = found.position
    if head[:4] == b".snd":
        head[8:12] = _MAX_32.to_bytes(4, "big")
    elif head[:4] == b"riff":
        head[16:24] = end.to_bytes(8, "little")
        head[at - 8 : at] = (found.there + 24).to_bytes(8, "little")
    elif head[:4] == b"caff":
        head[at - 8 : at] = found.there.to_bytes(8, "big")
    else:
        head[4:8] = min(end - 8, _MAX_32).to_bytes(4, "big")
        head[at - 4 : at] = min(found.there, _MAX_32).to_bytes(4, "big")
    return [bytes(head), range(at, end)]


def copy_stream(source: IO[bytes], target: BinaryIO) -> None:
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
    target.flush()  # a full disk is noticed here, and not when nobody looks
    found = find_samples(target) if is_wav else None
    if found is not None and (found.promised is None or found.is_empty):
        size = target.seek(0, 2)
        sizes = b"".join(value.to_bytes(8, "little") for value in (size - 8, found.there, 0))
        target.seek(0)
        target.write(b"RF64" + _MAX_32.to_bytes(4, "little") + b"WAVEds64" + _DS64_BYTES.to_bytes(4, "little"))
        target.write(sizes + bytes(4))
        target.seek(found.position - 4)
        target.write(_MAX_32.to_bytes(4, "little"))
        target.flush()
    target.seek(0)

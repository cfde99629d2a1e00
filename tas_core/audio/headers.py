"""What the headers of WAV, RF64, W64, AIFF, CAF and AU files promise, and what they promise wrongly.

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
    b"RF64": (12, 4, 4, 0),
    b"FORM": (12, 4, 4, 0),
    b"riff": (40, 16, 8, 24),
    b"caff": (8, 4, 8, 0),
}
_BIG_ENDIAN: Final = (b"FORM", b"caff")
_ALIGNMENT: Final = {b"riff": 8, b"caff": 1}  # all others: 2
_IGNORED_BYTES: Final = 1024
_MAX_32: Final = 2**32 - 1
_MAX_64: Final = 2**64 - 1
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
    """

    position: int
    promised: int | None
    there: int
    unexplained: int = 0
    unpadded: bool = False
    chunks: tuple[tuple[int, int], ...] = ()
    is_empty: bool = False

    @property
    def is_cut_off(self) -> bool:
        """Whether there is less than promised."""
        return self.promised is not None and self.promised > self.there


def find_samples(file: BinaryIO) -> SampleChunk | None:
    """The samples of a WAV, RF64, W64, AIFF, CAF or AU file; None for other files and where there are none.

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
            there = size - position
            if magic == b"RF64" and length == _MAX_32:
                length = long_length
            # In a file of more than 2^31 bytes a length of almost as much may be meant.
            unknown = (
                magic != b"RF64" and length_bytes == 4 and (length == _MAX_32 or 0x7FFFF000 <= length and size < 2**31)
            )
            if unknown or magic == b"caff" and length == _MAX_64:
                return SampleChunk(position, None, there, unpadded=unpadded, chunks=tuple(chunks))
            unexplained = _behind(file, magic, (position, length, there))
            empty = length <= 0 and unexplained > 0
            left_out = unexplained if empty or unexplained >= _IGNORED_BYTES else 0
            return SampleChunk(position, length, there, left_out, unpadded, tuple(chunks), is_empty=empty)
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
    if there < 0:
        return None
    empty = length == 0 and there > 0
    return SampleChunk(position, None if length == _MAX_32 else length, there, there if empty else 0, is_empty=empty)


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
        length = _chunk(file, magic)[1]
        if at + name_bytes + length_bytes + length > size:
            break
        position = at + name_bytes + length_bytes + length
    return 0 if magic == b"riff" and promised > 0 else max(0, size - position)


def with_length(file: BinaryIO, found: SampleChunk) -> list[bytes | range]:
    """The pieces of a WAV or RF64 file whose header says how long it is, and whose chunks are padded.

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


def with_unknown_length(file: BinaryIO, found: SampleChunk) -> list[bytes | range]:
    """The pieces of an AU file whose header says that it does not know the length; as :func:`with_length`."""
    file.seek(0)
    head = file.read(12)
    return [head[:8] + _MAX_32.to_bytes(4, "big"), range(12, found.position + found.there)]


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

"""Files that are several: FLAC, Ogg and WAV files one behind the other, as ``cat`` and some servers put them.

Decoders stop at the end of the first. Also where a FLAC file really ends, and whether an Ogg file does.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple

from tas_core.audio.ogg_pages import page_checksum

_OGG_PAGE_BYTES: Final = 27
_OGG_FIRST: Final = 2
_OGG_LAST: Final = 4
_NO_GRANULE: Final = 2**64 - 1
"""Of a page on which no packet ends."""
"""The bits of a byte in the other order."""
_MOST_SUMS: Final = 8
"""A file of wrong pages is not summed up more often than so."""
_FLAC_HEAD: Final = b"fLaC"
_FLAC_INFO_BYTES: Final = 34
_FLAC_INFO: Final = tuple((kind << 24 | _FLAC_INFO_BYTES).to_bytes(4, "big") for kind in (0, 0x80))
"""How the first block of a FLAC file begins: its kind, with a bit that says whether it is the last, and its length."""
_FLAC_TAIL_BYTES: Final = 2**22
"""More than a frame of FLAC takes."""
_FLAC_SYNC: Final = re.compile(rb"\xff(?=[\xf8\xf9][\x10-\xff])")
_MOST_FRAMES: Final = 100_000
"""Places in the tail that may begin a frame and are looked at; a real frame is among the last few of them."""
_FLAC_BLOCKS: Final = {1: 192, **{n: 576 << (n - 2) for n in range(2, 6)}, **{n: 256 << (n - 8) for n in range(8, 16)}}
"""RFC 9639, 9.1.1: samples of a block by their code."""


@dataclass(frozen=True)
class Parts:
    """Files in a file.

    Attributes:
        ranges: bytes of each.
        is_cut: whether the last one ends before it says that it does.
        streams: streams that run side by side in an Ogg file; 1 for others.
        damaged: where pages of an Ogg file begin whose checksum is another, bytes.
        missing: pages that an Ogg file lacks between those with sound.
    """

    ranges: tuple[range, ...]
    is_cut: bool = False
    streams: int = 1
    damaged: tuple[int, ...] = ()
    missing: int = 0


class _Page(NamedTuple):
    """A page of an Ogg file: where it begins, its flags, position in the sound, stream and number, what is wrong."""

    at: int
    kind: int
    granule: int
    serial: int
    number: int
    is_whole: bool
    is_right: bool


def find_parts(file: BinaryIO) -> Parts | None:
    """The files in an Ogg, FLAC or WAV file; None for others."""
    size = file.seek(0, 2)
    if size < _OGG_PAGE_BYTES:
        return None
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        magic = data[:4]
        if magic == b"OggS":
            return _ogg_parts(data, size)
        if magic == _FLAC_HEAD:
            return _between(_flac_heads(data), size)
        if magic == b"RIFF" and data[8:12] == b"WAVE":
            return _between(_wav_heads(data, size), size)
    return None


def flac_frames(file: BinaryIO, part: range) -> tuple[int, int] | None:
    """Samples per channel of a FLAC file, by its header (0 if it does not say), and by its last frame.

    Args:
        file: open for reading.
        part: its bytes, which may be a part of the file.

    Returns:
        None if no frame can be found.
    """
    file.seek(part.start)
    head = file.read(8 + _FLAC_INFO_BYTES)
    if head[:4] != _FLAC_HEAD or head[4] & 0x7F or len(head) < 8 + _FLAC_INFO_BYTES:
        return None
    told = int.from_bytes(head[21:26], "big") & 0xF_FFFF_FFFF
    block = int.from_bytes(head[8:10], "big")
    start = max(part.start, part.stop - _FLAC_TAIL_BYTES)
    file.seek(start)
    tail = file.read(part.stop - start)
    following = dict[int, int]()
    found = [match.start() for match in _FLAC_SYNC.finditer(tail)]
    for at in reversed(found[-_MOST_FRAMES:]):
        frame = _flac_frame(tail[at : at + 16], block)
        if frame is None:
            continue
        first, end = frame
        if end in following or first == 0:  # a frame, and not bytes that look like one: others are beside it
            return told, following.get(end, end)
        following[first] = end
    return None


def with_flac_frames(file: BinaryIO, part: range, num_frames: int) -> list[bytes | range]:
    """The pieces of a FLAC file whose header says how long it is, for :class:`tas_core.audio.splices.SplicedFile`."""
    file.seek(part.start)
    head = bytearray(file.read(42))
    head[21:26] = (int.from_bytes(head[21:26], "big") & ~0xF_FFFF_FFFF | num_frames).to_bytes(5, "big")
    head[26:42] = bytes(16)  # its checksum is that of other samples
    return [bytes(head), range(part.start + len(head), part.stop)]


def _between(heads: list[int], size: int) -> Parts:
    return Parts(tuple(map(range, heads, (*heads[1:], size))))


def _flac_heads(data: mmap.mmap) -> list[int]:
    heads, at = [0], 4
    while (at := data.find(_FLAC_HEAD, at)) >= 0:
        if data[at + 4 : at + 8] in _FLAC_INFO:
            heads.append(at)
        at += 4
    return heads


def _wav_heads(data: mmap.mmap, size: int) -> list[int]:
    heads, at = [0], 0
    while True:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        following = [end for end in (at + 8 + length + length % 2, at + 8 + length) if end + 12 < size]
        at = next(
            (end for end in following if data[end : end + 4] == b"RIFF" and data[end + 8 : end + 12] == b"WAVE"), 0
        )
        if not at:
            return heads
        heads.append(at)


def _ogg_parts(data: mmap.mmap, size: int) -> Parts:
    heads, begun, ended, streams, was_first = [], 0, 0, 1, False
    damaged: list[int] = []
    missing, is_cut = 0, False
    before: dict[int, tuple[int, bool]] = {}
    """Stream -> the number of its last page, and whether sound has begun."""
    for page in _ogg_pages(data, size):
        is_first = bool(page.kind & _OGG_FIRST)
        if is_first and not was_first:
            heads.append(page.at)
            begun = ended = 0
            before = {}
        begun += is_first
        ended += bool(page.kind & _OGG_LAST)
        streams = max(streams, begun)
        was_first = is_first
        is_cut = not page.is_whole
        if page.is_whole and not page.is_right:
            damaged.append(page.at)
        number, sounds = before.get(page.serial, (page.number, False))
        # A recording of a broadcast has the headers, and then what was on the air: nothing of its own is missing.
        if sounds:
            missing += max(0, page.number - number - 1)
        before[page.serial] = page.number, sounds or page.granule not in (0, _NO_GRANULE)
    if not heads:
        heads = [0]
    is_cut = is_cut or ended < begun
    return Parts(_between(heads, size).ranges, is_cut, streams, tuple(damaged), missing)


def _ogg_pages(data: mmap.mmap, size: int) -> Iterator[_Page]:
    """The pages; what is between them is left out."""
    at = summed = 0
    while (at := data.find(b"OggS", at)) >= 0 and at + _OGG_PAGE_BYTES <= size and summed <= _MOST_SUMS * size:
        count = data[at + 26]
        end = at + _OGG_PAGE_BYTES + count + sum(data[at + _OGG_PAGE_BYTES : at + _OGG_PAGE_BYTES + count])
        numbers = (int.from_bytes(data[a:b], "little") for a, b in ((at + 6, at + 14), (at + 14, at + 18)))
        granule, serial = numbers
        number = int.from_bytes(data[at + 18 : at + 22], "little")
        is_right = end <= size and page_checksum(data[at:end]) == data[at + 22 : at + 26]
        summed += end - at  # more than the file has only where pages are wrong, which lie within each other
        yield _Page(at, data[at + 5], granule, serial, number, end <= size, is_right)
        following = data.find(b"OggS", at + 4)
        at = end if is_right or end == following else at + 4


def _flac_frame(head: bytes, block: int) -> tuple[int, int] | None:
    """The numbers of a frame's first sample and of that after its last one, by its header; None if it is none."""
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    by_sample, code = head[1] & 1, head[2] >> 4
    length = 1 if head[4] < 0x80 else next((n for n in range(2, 8) if not head[4] << n & 0x80), 8)
    if length == 8 or head[4] & 0xC0 == 0x80:
        return None
    number = head[4] if length == 1 else head[4] & (0x7F >> length)
    for byte in head[5 : 4 + length]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    at = 4 + length
    extra = {6: 1, 7: 2}.get(code, 0)
    samples = int.from_bytes(head[at : at + extra], "big") + 1 if extra else _FLAC_BLOCKS.get(code)
    at += extra + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if samples is None or head[2] & 15 == 15 or len(head) <= at or _crc8(head[:at]) != head[at]:
        return None
    first = number if by_sample else number * block
    return first, first + samples


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (0x07 if value & 0x80 else 0)) & 0xFF
    return value

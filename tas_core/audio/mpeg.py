"""MPEG audio frame by frame (MP3, and layers I and II): how long it is, whatever its headers say.

An MP3 is a row of frames, each with a header of its own, between tags. Of its length only an optional first frame
speaks, Xing's, which may be missing, wrong, or that of another file: decoders then guess by the first bit rate.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass, field
from typing import BinaryIO, Final

_BIT_RATES: Final = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""ISO/IEC 11172-3 and 13818-3, kbit/s: (1 for MPEG-1, 2 for later ones; layer) -> by index, from 1."""
_RATES: Final = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Hz: bits of the version -> by index."""
_SAMPLES: Final = {(1, 1): 384, (1, 2): 1152, (1, 3): 1152, (2, 1): 384, (2, 2): 1152, (2, 3): 576}
_BEGINNINGS: Final = re.compile(rb"\xff|ID3|TAG|APETAGEX|LYRICSBEGIN")
_FIRST_AGREEING: Final = 3
_DECODER_DELAY: Final = 529
_TAG_BYTES: Final = 128
_LONGEST_FREE: Final = 4 * 1152 + 8
"""Bytes, and more than a frame takes at the most that a free bit rate can be, 640 kbit/s, and at 24 kHz."""
_LONGEST_LYRICS: Final = 2**20


@dataclass(frozen=True)
class _Frame:
    """A header: what has to stay the same in a stream, and the sizes of the frame in bytes and samples.

    ``free_bytes`` is the size without padding where the header does not name a bit rate: it is the same for all.
    """

    kind: tuple[int, int]
    rate_hz: int
    channels: int
    num_bytes: int
    num_samples: int
    info_at: int
    free_bytes: int = 0


@dataclass
class MpegPart:
    """Frames with one beginning: all of a file, or one of several that were joined.

    Attributes:
        rate_hz: of all its frames.
        channels: of all its frames.
        frame_samples: samples of a frame.
        first: bytes of its first frame, as a model for another.
        ranges: bytes of the file that are whole frames, without one that only informs.
        num_frames: how many there are.
        told_frames: how many its informing frame told; None without one.
        told_bytes: how many bytes it told.
        delay: samples that the encoder put before the sound, None where it does not say.
        padding: samples that it put behind the sound.
        info_at: where the informing frame's words begin in a frame, bytes.
    """

    rate_hz: int
    channels: int
    frame_samples: int
    first: bytes
    info_at: int
    ranges: list[range] = field(default_factory=list)
    num_frames: int = 0
    told_frames: int | None = None
    told_bytes: int | None = None
    delay: int | None = None
    padding: int = 0

    @property
    def num_samples(self) -> int:
        """Samples per channel that its frames decode to, without what an encoder put around them.

        What it put behind is only believed if the number of frames was told rightly.
        """
        decoded = self.num_frames * self.frame_samples
        if self.delay is None:
            return decoded
        behind = max(0, self.padding - _DECODER_DELAY) if self.told_frames == self.num_frames else 0
        return max(0, decoded - self.delay - _DECODER_DELAY - behind)

    def pieces(self) -> list[bytes | range]:
        """Its frames, for :class:`tas_core.audio.splices.SplicedFile`.

        Where a delay was told, they stand behind a frame that tells it, and how many frames there are.
        """
        if self.delay is None:
            return list(self.ranges)
        told = bytearray(len(self.first))
        told[:4] = self.first[:4]
        told[1] |= 1  # no checksum
        padding = self.padding if self.told_frames == self.num_frames else 0
        words = b"Info" + (1).to_bytes(4, "big") + self.num_frames.to_bytes(4, "big")
        words += b"LAME3.100" + bytes(12) + (self.delay << 12 | padding).to_bytes(3, "big")
        told[self.info_at : self.info_at + len(words)] = words
        return [bytes(told), *self.ranges]

    @property
    def claimed_bytes(self) -> int:
        """How long the file must seem to be, so that a decoder which guesses by the first frame does not stop early."""
        if self.delay is not None:
            return 0
        return 4 * (len(self.first) * self.num_frames + sum(map(len, self.ranges))) + 2**18


@dataclass(frozen=True)
class MpegStream:
    """All frames of a file.

    Attributes:
        parts: one, or several if files were joined.
        lost: where bytes are that are neither frames nor tags, with frames behind them: (seconds of sound before them,
            bytes).
        changes: where a frame contradicts those before it, in words.
        cut: bytes of a last frame that is not whole.
        behind: bytes behind the last frame that are neither frames nor tags.
        is_padding: whether these are all zero.
    """

    parts: tuple[MpegPart, ...]
    lost: tuple[tuple[float, int], ...]
    changes: tuple[str, ...]
    cut: int
    behind: int = 0
    is_padding: bool = True

    @property
    def num_samples(self) -> int:
        """Samples per channel of all parts."""
        return sum(part.num_samples for part in self.parts)


def find_frames(file: BinaryIO, where: range | None = None) -> MpegStream | None:
    """All frames of an MP3; None where there are none, or none that can be told from other bytes.

    Args:
        file: open for reading.
        where: bytes that they are in, where the file has others too.
    """
    size = file.seek(0, 2)
    if not size:
        return None
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _walk(data, where or range(size))


def _walk(data: mmap.mmap, where: range) -> MpegStream | None:
    parts: list[MpegPart] = []
    lost: list[tuple[float, int]] = []
    changes: list[str] = []
    position, size, cut = where.start, where.stop, 0
    last: _Frame | None = None
    part: MpegPart | None = None
    seconds, junk, fresh = 0.0, 0, True
    while position < size - 3:
        if skipped := _tag_bytes(data, position, size):
            junk = max(0, junk - _bytes_before(data, position))
            position += skipped
            continue
        frame = _header(data, position, last.free_bytes if last else 0)
        known = last is not None and frame is not None and _alike(frame, last)
        if frame is None or not (known and not junk or _is_followed(data, position, frame, size)):
            following = _next_sync(data, position + 1, size)
            junk += following - position
            position = following
            continue
        if position + frame.num_bytes > size:
            cut = size - position
            break
        if junk and last is not None:
            lost.append((seconds, junk))
        junk = 0
        informs = _information(data, position, frame)
        if last is not None and not known:
            was, now = _words(last), _words(frame)
            changes.append(f"{was} until {seconds:.2f} s, then {now}")
        if part is None or informs is not None or not known:
            first = bytes(data[position : position + frame.num_bytes])
            part = MpegPart(frame.rate_hz, frame.channels, frame.num_samples, first, frame.info_at)
            parts.append(part)
            if informs is not None:
                part.told_frames, part.told_bytes, part.delay, part.padding = informs
                fresh = True
        last = frame
        end = position + frame.num_bytes
        if informs is None:
            if part.ranges and part.ranges[-1].stop == position and not fresh:
                part.ranges[-1] = range(part.ranges[-1].start, end)
            else:
                part.ranges.append(range(position, end))
            fresh = False
            part.num_frames += 1
            seconds += frame.num_samples / frame.rate_hz
        position = end
    whole = tuple(part for part in parts if part.num_frames)
    if not whole:
        return None
    end = whole[-1].ranges[-1].stop
    rest = range(end, min(size, end + junk))
    is_padding = not any(data[at : min(at + 2**16, rest.stop)].strip(b"\0") for at in rest[:: 2**16])
    return MpegStream(whole, tuple(lost), tuple(changes), cut, 0 if cut else junk, is_padding)


def _header(data: mmap.mmap, position: int, free_bytes: int = 0) -> _Frame | None:
    """The header at a position, if there can be one; with the size of frames of a free bit rate, where it is known."""
    four = data[position : position + 4]
    if len(four) < 4 or four[0] != 0xFF or four[1] & 0xE0 != 0xE0:
        return None
    version, layer = four[1] >> 3 & 3, 4 - (four[1] >> 1 & 3)
    bit_rate, rate = four[2] >> 4, four[2] >> 2 & 3
    if version == 1 or layer == 4 or bit_rate == 15 or rate == 3:
        return None
    kind = (1 if version == 3 else 2, layer)
    rate_hz = _RATES[version][rate]
    padded, samples, mono = four[2] >> 1 & 1, _SAMPLES[kind], four[3] >> 6 == 3
    side = (17 if mono else 32) if kind[0] == 1 else (9 if mono else 17)
    if bit_rate:
        bits = _BIT_RATES[kind if kind != (2, 3) else (2, 2)][bit_rate - 1] * 1000
        num_bytes = (12 * bits // rate_hz + padded) * 4 if layer == 1 else samples // 8 * bits // rate_hz + padded
        free_bytes = 0
    else:
        free_bytes = free_bytes or _free_bytes(data, position, padded * (4 if layer == 1 else 1))
        num_bytes = free_bytes + padded * (4 if layer == 1 else 1)
        if not free_bytes:
            return None
    return _Frame((version, layer), rate_hz, 1 if mono else 2, num_bytes, samples, 4 + side, free_bytes)


def _free_bytes(data: mmap.mmap, position: int, padding: int) -> int:
    """Bytes of a frame of a free bit rate without its padding: up to the next header like its own; 0 if none is."""
    stop = position + _LONGEST_FREE
    at = position + 4
    while 0 <= (at := data.find(data[position : position + 2], at, stop)) < len(data) - 3:
        if (data[at + 2] ^ data[position + 2]) & 0xFC == 0 and (data[at + 3] ^ data[position + 3]) & 0xC0 == 0:
            return at - position - padding
        at += 1
    return 0


def _alike(a: _Frame, b: _Frame) -> bool:
    return (a.kind, a.rate_hz, a.channels) == (b.kind, b.rate_hz, b.channels)


def _is_followed(data: mmap.mmap, position: int, frame: _Frame, size: int) -> bool:
    """Whether a header is one, and not bytes that look like one: others follow that agree, to the end or for a few."""
    for _ in range(_FIRST_AGREEING):
        position += frame.num_bytes
        if position >= size or _tag_bytes(data, position, size):
            return position <= size
        following = _header(data, position, frame.free_bytes)
        if following is None or not _alike(following, frame):
            return False
        frame = following
    return True


def _next_sync(data: mmap.mmap, position: int, size: int) -> int:
    """Where the next byte is that may begin a frame or a tag."""
    found = _BEGINNINGS.search(data, position)
    return found.start() if found else size


def _tag_bytes(data: mmap.mmap, position: int, size: int) -> int:
    """Bytes of the tag at a position, 0 where there is none."""
    head = data[position : position + 10]
    if head[:3] == b"ID3" and len(head) == 10 and head[3] < 0xFF and not any(byte & 0x80 for byte in head[6:]):
        length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        return 10 + length + (10 if head[5] & 0x10 else 0)
    if head[:3] == b"TAG" and size - position >= _TAG_BYTES:
        after = position + _TAG_BYTES  # the words may be of the sound; a tag stands at an end
        joined = (
            after == size or _header(data, after) is not None or data[after : after + 3] in (b"ID3", b"APE", b"TAG")
        )
        return _TAG_BYTES if joined else 0
    if head[:8] == b"APETAGEX" and size - position >= 32:
        length = int.from_bytes(data[position + 12 : position + 16], "little")
        is_header = data[position + 23] & 0x20
        return length + 32 if is_header else 32
    if data[position : position + 11] == b"LYRICSBEGIN":
        words = (b"LYRICS200", b"LYRICSEND")
        stop = min(size, position + _LONGEST_LYRICS)
        again = data.find(b"LYRICSBEGIN", position + 1, stop)  # which has an end of its own, if there is one
        ends = [data.find(word, position, again if again >= 0 else stop) for word in words]
        return next((end + 9 - position for end in ends if end >= 0), 0)
    return 0


def _bytes_before(data: mmap.mmap, position: int) -> int:
    """Bytes of the tag at a position that stand before it: of APE's there may be nothing at its beginning."""
    if data[position : position + 8] != b"APETAGEX" or data[position + 23] & 0x20:
        return 0
    return max(0, int.from_bytes(data[position + 12 : position + 16], "little") - 32)


def _information(
    data: mmap.mmap, position: int, frame: _Frame
) -> tuple[int | None, int | None, int | None, int] | None:
    """What a frame that only informs (Xing's, LAME's, Fraunhofer's) tells: frames, bytes, delay, padding."""
    content = bytes(data[position : position + frame.num_bytes])
    if content[36:40] == b"VBRI" and len(content) >= 54:
        return int.from_bytes(content[50:54], "big"), int.from_bytes(content[46:50], "big"), None, 0
    at = next((at for at in (frame.info_at, frame.info_at + 2) if content[at : at + 4] in (b"Xing", b"Info")), None)
    if at is None:
        return None
    flags = int.from_bytes(content[at + 4 : at + 8], "big")
    at += 8
    told: list[int | None] = []
    for flag, length in ((1, 4), (2, 4), (4, 100), (8, 4)):
        value = int.from_bytes(content[at : at + length], "big") if flags & flag else None
        told.append(value if length == 4 else None)
        at += length if flags & flag else 0
    delay, padding = None, 0
    if len(content) >= at + 24 and content[at : at + 4].strip(b"\0 "):
        both = int.from_bytes(content[at + 21 : at + 24], "big")
        delay, padding = both >> 12, both & 0xFFF
    return told[0], told[1], delay, padding


def _words(frame: _Frame) -> str:
    return f"{frame.rate_hz} Hz with {frame.channels} channel{'s' * (frame.channels != 1)}"

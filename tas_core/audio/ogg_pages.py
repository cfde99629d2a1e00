"""What libsndfile draws by lot in Ogg: the number of a stream, on each of its pages (RFC 3533).

A page is "OggS", 22 bytes among which are the number at 14 and a checksum at 22, the count of its segments, a byte for
the length of each of them, and their contents. The checksum is a CRC of 32 bits with the polynomial 0x04c11db7 over the
page with zeros in its place, most significant bit first, from 0 on.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from pathlib import Path
from typing import Final

_START: Final = b"OggS"
_HEADER_BYTES: Final = 27
_MIRRORED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def set_stream_number(path: Path, number: int) -> None:
    """Give the one stream of a file a number, so that the same sound is the same bytes.

    Args:
        path: of a complete file; what is no Ogg stays as it is.
        number: 32 bits.

    Raises:
        OSError: it cannot be written.
    """
    with open(path, "rb+") as file, mmap.mmap(file.fileno(), 0) as data:
        at = 0
        while data[at : at + 4] == _START:  # pages without a gap, as whoever writes a file has them
            segments = data[at + _HEADER_BYTES - 1]
            body = at + _HEADER_BYTES + segments
            end = body + sum(data[at + _HEADER_BYTES : body])
            data[at + 14 : at + 18] = struct.pack("<I", number)
            data[at + 22 : at + 26] = page_checksum(data[at:end])
            at = end


def page_checksum(page: bytes) -> bytes:
    """The four bytes of a page's checksum, whatever stands in their place.

    CRC-32 with the highest bit first, without inversions; zlib's is the mirror image, inverted twice.
    """
    mirrored = (page[:22] + bytes(4) + page[26:]).translate(_MIRRORED)
    found = zlib.crc32(mirrored, 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return found.to_bytes(4, "big").translate(_MIRRORED)

"""Unpack the sounds of OpenTTD's archive of sounds (``.cat``).

    python scripts/unpack_openttd_sounds.py ARCHIVE FOLDER

The archive begins with offset and size of every sound (32 bits each, lowest byte first; the highest bit of an offset
means nothing here), so that the first offset says how many there are. At each offset are the length of a name in a
byte, the name, and a WAV file. Files are called by their numbers, which a version of the archive keeps, and the first
words of their names: ``24-Helicopter.wav``; empty sounds are left out.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

_EMPTY = 64


def read_archive(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of every WAV file that has samples.

    Raises:
        ValueError: no such archive, or a damaged one.
    """
    try:
        count = (struct.unpack_from("<I", data)[0] & 0x7FFFFFFF) // 8
        for number in range(count):
            at = struct.unpack_from("<I", data, 8 * number)[0] & 0x7FFFFFFF
            title = data[at + 1 : at + 1 + data[at]].split(b"\0")[0].decode("latin1")
            at += 1 + data[at]
            tag, size = struct.unpack_from("<4sI", data, at)
            if tag != b"RIFF" or at + 8 + size > len(data):
                raise ValueError(f"sound {number} is no whole WAV file")
            quoted = re.match(r'"([^"]*)"', title)
            words = re.sub(r"[^A-Za-z0-9]+", "-", quoted[1] if quoted else title)[:40].strip("-")
            if size > _EMPTY:
                yield f"{number:02d}-{words}.wav", data[at : at + 8 + size]
    except (struct.error, IndexError) as error:
        raise ValueError(f"damaged archive of sounds ({error})") from error


def main(archive: Path, folder: Path) -> None:
    """Write the sounds of an archive into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in read_archive(archive.read_bytes()):
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except (OSError, ValueError) as error:
        raise SystemExit(f"{sys.argv[1]}: {error}") from error

"""Unpack the sound files of a Qt resource archive (``.rcc``), as GCompris keeps them.

    python scripts/unpack_qt_resources.py ARCHIVE FOLDER

The archive (Qt's binary format, versions 1 to 3, numbers with the highest byte first) is a tree of nodes of one size: a
folder says how many children it has and which is the first, a file where its content begins. Names and contents lie
elsewhere in the file. Contents may be compressed by zlib.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ENDINGS = (".ogg", ".oga", ".wav", ".flac", ".mp3")
_COMPRESSED, _FOLDER, _ZSTD = 1, 2, 4


def read_archive(data: bytes) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Path and content of every file.

    Raises:
        ValueError: no such archive, a damaged one, or one with contents that are not compressed by zlib.
    """
    try:
        magic, version, tree, contents, names = struct.unpack_from(">4s4I", data)
        if magic != b"qres" or version not in (1, 2, 3):
            raise ValueError("no Qt resource archive of version 1 to 3")
        yield from _files(data, (tree, contents, names), 14 if version == 1 else 22, 0, PurePosixPath())
    except (struct.error, zlib.error, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"damaged Qt resource archive ({error})") from error


def _files(
    data: bytes, begins: tuple[int, int, int], node_size: int, node: int, folder: PurePosixPath
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The files of a node, which is one itself or has some below it."""
    tree, contents, names = begins
    at = tree + node * node_size
    name_at, flags = struct.unpack_from(">IH", data, at)
    path = folder
    if node:
        length = struct.unpack_from(">H", data, names + name_at)[0]
        start = names + name_at + 6  # past its length and its hash
        path = folder / data[start : start + 2 * length].decode("utf-16-be")
    if flags & _FOLDER:
        count, first = struct.unpack_from(">II", data, at + 6)
        for child in range(first, first + count):
            if child <= node:
                raise ValueError("damaged Qt resource archive (a folder in itself)")
            yield from _files(data, begins, node_size, child, path)
        return
    if flags & _ZSTD:
        raise ValueError(f"{path}: compressed by Zstandard, which is not read here")
    start = contents + struct.unpack_from(">I", data, at + 10)[0]
    size = struct.unpack_from(">I", data, start)[0]
    content = data[start + 4 : start + 4 + size]
    if len(content) < size:
        raise ValueError("damaged Qt resource archive (cut off)")
    yield path, zlib.decompress(content[4:]) if flags & _COMPRESSED else content


def main(archive: Path, folder: Path) -> None:
    """Write the sound files of an archive below a folder."""
    for path, content in read_archive(archive.read_bytes()):
        if path.suffix.lower() in ENDINGS and ".." not in path.parts and not path.is_absolute():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))

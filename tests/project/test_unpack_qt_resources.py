"""``scripts/unpack_qt_resources.py``: archives are built here byte by byte, as Qt's format says."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.scripts import load_script

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "unpack_qt_resources.py"
FOLDER, PACKED, ZSTD = 2, 1, 4


@pytest.fixture(scope="module")
def unpack() -> ModuleType:
    return load_script("scripts/unpack_qt_resources.py")


def archive(version: int = 3, *, flags: int = PACKED, bark: str = "bark.ogg", first: int = 1) -> bytes:
    """``sounds/`` with a file as it is and one compressed, and a text beside the folder."""
    packed = struct.pack(">I", 5) + zlib.compress(b"woof!")
    contents = b"".join(struct.pack(">I", len(c)) + c for c in (b"meow", packed, b"text"))
    starts = (0, 8, 8 + 4 + len(packed))
    names, name_at = b"", {}
    for name in ("sounds", "meow.wav", bark, "read.me"):
        name_at[name] = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    rest = b"" if version == 1 else bytes(8)

    def folder(name: int, count: int, child: int) -> bytes:
        return struct.pack(">IHII", name, FOLDER, count, child) + rest

    def file(name: str, kind: int, start: int) -> bytes:
        return struct.pack(">IHHHI", name_at[name], kind, 0, 0, start) + rest

    tree = folder(0, 2, first) + folder(name_at["sounds"], 2, 3) + file("read.me", 0, starts[2])
    tree += file("meow.wav", 0, starts[0]) + file(bark, flags, starts[1])
    header = 20 if version < 3 else 24
    at_contents, at_names = header, header + len(contents)
    head = struct.pack(">4s4I", b"qres", version, at_names + len(names), at_contents, at_names)
    return head.ljust(header, b"\0") + contents + names + tree


@pytest.mark.parametrize("version", [1, 2, 3])
def test_files_come_out_as_they_went_in(version: int, unpack: ModuleType) -> None:
    found = {str(path): content for path, content in unpack.read_archive(archive(version))}
    assert found == {"sounds/meow.wav": b"meow", "sounds/bark.ogg": b"woof!", "read.me": b"text"}


def test_only_sounds_are_written_and_none_outside_of_the_folder(tmp_path: Path) -> None:
    for number, name in enumerate(("bark.ogg", "../../out.ogg")):
        source = tmp_path / f"{number}.rcc"
        source.write_bytes(archive(bark=name))
        command = [sys.executable, str(SCRIPT), str(source), str(tmp_path / "a" / "b")]
        subprocess.run(command, check=True)
    written = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert written == ["0.rcc", "1.rcc", "a/b/sounds/bark.ogg", "a/b/sounds/meow.wav"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "damaged"),
        (b"RIFF" + bytes(40), "no Qt resource archive"),
        (archive()[:-30], "damaged"),
        (archive(flags=ZSTD), "Zstandard"),
        (archive(first=0), "a folder in itself"),
    ],
)
def test_what_cannot_be_read_is_said(data: bytes, said: str, unpack: ModuleType) -> None:
    with pytest.raises(ValueError, match=said):
        list(unpack.read_archive(data))

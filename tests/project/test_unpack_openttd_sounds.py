"""``scripts/unpack_openttd_sounds.py``: archives are built here byte by byte, as the format says."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.scripts import load_script

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "unpack_openttd_sounds.py"


@pytest.fixture(scope="module")
def unpack() -> ModuleType:
    return load_script("scripts/unpack_openttd_sounds.py")


def wav(samples: bytes) -> bytes:
    body = (
        b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data" + struct.pack("<I", len(samples))
    )
    return b"RIFF" + struct.pack("<I", len(body) + len(samples)) + body + samples


def archive(sounds: list[tuple[bytes, bytes]]) -> bytes:
    """The index, then for each sound its name with its length ahead, its content and an empty file name."""
    at, index, rest = 8 * len(sounds), b"", b""
    for name, content in sounds:
        entry = bytes([len(name) + 1]) + name + b"\0" + content + b"\1\0"
        # The highest bit of the first offset is set in newer archives.
        index += struct.pack("<II", at | (0x80000000 if not index else 0), len(content))
        rest, at = rest + entry, at + len(entry)
    return index + rest


SHEEP, COW = wav(bytes(range(100))), wav(bytes(80))
DATA = archive([(b'"Sheep". By "Wuzzy".', SHEEP), (b'"Unused".', wav(b"")), (b'"Tropical: Cow (1)". By X.', COW)])


def test_sounds_are_unpacked_by_number_and_name(unpack: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.cat").write_bytes(DATA)
    unpack.main(tmp_path / "a.cat", tmp_path / "out")
    found = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert found == {"00-Sheep.wav": SHEEP, "02-Tropical-Cow-1.wav": COW}


@pytest.mark.parametrize("data", [b"", b"RIFFxxxx", DATA[:100], DATA[:-40], struct.pack("<II", 8, 4) + b"\x02a\0OggS"])
def test_what_is_no_whole_archive_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.cat").write_bytes(data)
    command = [sys.executable, str(SCRIPT), str(tmp_path / "a.cat"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "a.cat: " in done.stderr
    assert len(done.stderr.splitlines()) == 1

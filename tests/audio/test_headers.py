"""What headers promise, and copies of streams that say how long they are."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio.headers import copy_stream, find_samples

RATE = 16_000
SAMPLES = np.random.default_rng(2).integers(-30_000, 30_000, (1000, 2)).astype(np.int16)


def wav_bytes(promised: int | None = None, container: str = "WAV") -> bytes:
    """A file of 4000 bytes of samples, whose header promises as many or others."""
    buffer = io.BytesIO()
    soundfile.write(buffer, SAMPLES, RATE, format=container, subtype="PCM_16")
    data = bytearray(buffer.getvalue())
    if promised is not None:
        at = data.index(b"data") + 4
        data[at : at + 4] = promised.to_bytes(4, "little")
    return bytes(data)


def copied(data: bytes) -> bytes:
    target = io.BytesIO()
    copy_stream(io.BytesIO(data), target)
    assert target.tell() == 0
    return target.getvalue()


@pytest.mark.parametrize("container", ["WAV", "RF64", "W64", "AIFF"])
def test_samples_are_found_where_they_are(container: str) -> None:
    data = wav_bytes(container=container)
    found = find_samples(io.BytesIO(data))
    assert found is not None
    assert found.there == len(data) - found.position
    if container == "AIFF":  # its chunk begins with an offset and a block size
        found_bytes = data[found.position + 8 :]
        assert found.promised == 4008
    else:
        found_bytes = data[found.position :]
        assert found.promised == 4000
    assert found_bytes[:4000] == SAMPLES.astype(">i2" if container == "AIFF" else "<i2").tobytes()
    assert not found.is_cut_off
    cut = find_samples(io.BytesIO(data[:-100]))
    assert cut is not None
    assert cut.is_cut_off


@pytest.mark.parametrize("data", [b"", b"RIFF", b"fLaC" + bytes(100), b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + bytes(16)])
def test_other_files_have_no_such_samples(data: bytes) -> None:
    assert find_samples(io.BytesIO(data)) is None


@pytest.mark.parametrize("promised", [0xFFFFFFFF, 0x7FFFFFFF - 36, 0x80000000])
def test_a_stream_of_unknown_length_says_in_its_copy_how_long_it_is(promised: int) -> None:
    data = wav_bytes(promised)
    found = find_samples(io.BytesIO(data))
    assert found is not None
    assert found.promised is None
    copy = copied(data)
    assert copy.startswith(b"RF64")
    read, rate_hz = soundfile.read(io.BytesIO(copy), dtype="int16")
    assert rate_hz == RATE
    np.testing.assert_array_equal(read, SAMPLES)
    found = find_samples(io.BytesIO(copy))
    assert found is not None
    assert found.promised == 4000
    # EBU Tech 3306: sizes of the file after its first 8 bytes, of the samples, and number of samples (0: not said).
    assert struct.unpack_from("<4sI4s4sIQQQ", copy) == (
        *(b"RF64", 0xFFFFFFFF, b"WAVE", b"ds64", 28),
        *(len(copy) - 8, 4000, 0),
    )


def test_a_stream_that_knows_its_length_is_read_as_it_is() -> None:
    read, _ = soundfile.read(io.BytesIO(copied(wav_bytes())), dtype="int16")
    np.testing.assert_array_equal(read, SAMPLES)
    cut = find_samples(io.BytesIO(copied(wav_bytes()[:-100])))
    assert cut is not None
    assert cut.is_cut_off


@pytest.mark.parametrize("data", [b"", b"RIFF", b"ID3" + bytes(1000), b"x" * 12])
def test_other_streams_are_copied_byte_by_byte(data: bytes) -> None:
    assert copied(data) == data


def test_files_above_four_gibibytes_keep_their_length(tmp_path: Path) -> None:
    """Holes take no room on disk."""
    path, count = tmp_path / "long.wav", 5 * 2**30
    path.write_bytes(copied(wav_bytes(0xFFFFFFFF)))
    with open(path, "r+b") as file:
        found = find_samples(file)
        assert found is not None
        file.seek(20)
        file.write((found.position + count - 8).to_bytes(8, "little") + count.to_bytes(8, "little"))
        file.truncate(found.position + count)
        assert find_samples(file) is not None
        assert not find_samples(file).is_cut_off  # type: ignore[union-attr]
    assert soundfile.info(path).frames == count // 4
    os.truncate(path, found.position + count - 1)
    with open(path, "rb") as file:
        assert find_samples(file).is_cut_off  # type: ignore[union-attr]

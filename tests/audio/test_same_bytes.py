"""The same sound is the same bytes, whenever and by whomever it is written."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio.formats import WRITABLE
from tas_core.audio.ogg_pages import page_checksum, set_stream_number
from tas_core.audio.wave_chunks import clear_peak_time
from tas_core.audio.writer import write_audio
from tas_core.errors import InputError

SAMPLES = np.random.default_rng(3).normal(0, 0.1, (2, 4800))
FILMS = (".mp4", ".m4v", ".mov", ".mkv", ".webm")


@pytest.mark.parametrize("ending", [ending for ending in WRITABLE if ending not in FILMS])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_a_sound_is_the_same_bytes_at_another_time(tmp_path: Path, ending: str, subtype: str) -> None:
    """libsndfile reads the clock in seconds; so the second file is made to be of another time by hand."""
    first, second = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    try:
        for path in (first, second):
            write_audio(path, SAMPLES, 48_000, subtype)
    except InputError as error:  # no ffmpeg
        pytest.skip(str(error))
    assert first.read_bytes() == second.read_bytes()
    if ending in (".wav", ".aiff", ".aif") and subtype == "FLOAT":
        written = first.read_bytes()
        at = written.index(b"PEAK")
        assert written[at + 12 : at + 16] == bytes(4)


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64", "AIFF", "CAF", "W64"])
def test_only_the_time_is_taken_out(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    soundfile.write(path, SAMPLES.T, 48_000, "FLOAT", format=kind)
    before = path.read_bytes()
    clear_peak_time(path)
    after = path.read_bytes()
    changed = {at for at in range(len(before)) if before[at] != after[at]}
    if kind in ("WAV", "WAVEX", "AIFF"):
        at = before.index(b"PEAK")
        big = kind == "AIFF"
        version, seconds = struct.unpack(">II" if big else "<II", before[at + 8 : at + 16])
        assert (version, seconds > 1_700_000_000) == (1, True)
        assert changed <= set(range(at + 12, at + 16))
        assert changed
    np.testing.assert_array_equal(soundfile.read(path)[0], SAMPLES.T.astype(np.float32))


def test_a_stream_gets_its_number_and_right_checksums(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, SAMPLES.T, 48_000, "VORBIS", format="OGG")
    expected, _ = soundfile.read(path)
    set_stream_number(path, 77)
    data, at, pages = path.read_bytes(), 0, 0
    while at < len(data):
        assert data[at : at + 4] == b"OggS"
        assert data[at + 14 : at + 18] == struct.pack("<I", 77)
        count = data[at + 26]
        end = at + 27 + count + sum(data[at + 27 : at + 27 + count])
        assert data[at + 22 : at + 26] == page_checksum(data[at:end])
        at, pages = end, pages + 1
    assert pages >= 3
    np.testing.assert_array_equal(soundfile.read(path)[0], expected)  # libsndfile drops pages that are wrong


def test_what_is_no_ogg_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, SAMPLES.T, 48_000)
    before = path.read_bytes()
    set_stream_number(path, 77)
    assert path.read_bytes() == before

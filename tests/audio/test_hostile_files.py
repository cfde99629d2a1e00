"""Sound files that somebody made to break or to delay the program: one line, and soon."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio import tracks
from tas_core.audio.headers import find_samples, with_known_end, with_length
from tas_core.audio.joined import find_parts, flac_frames
from tas_core.audio.mpeg import find_frames
from tas_core.audio.reader import AudioReader, read_audio
from tas_core.errors import AudioError


def sound(container: str, subtype: str, frames: int = 2000, channels: int = 1) -> bytes:
    file = io.BytesIO()
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (frames, channels)).astype(np.float32)
    soundfile.write(file, samples, 16_000, format=container, subtype=subtype)
    return file.getvalue()


FLAC = sound("FLAC", "PCM_16")
MP3 = sound("MP3", "MPEG_LAYER_III", 8000)
OGG = sound("OGG", "VORBIS")


def read(folder: Path, data: bytes, name: str) -> str:
    """What is said of a file that is refused; nothing of one that is read."""
    path = folder / name
    path.write_bytes(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read_audio(path)
    except AudioError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("behind", [b"fLaC", b"fLaC\0", b"fLaC\0\0\0", b"fLaC\x80\0\0\x22"])
def test_a_flac_that_ends_where_another_seems_to_begin(tmp_path: Path, behind: bytes) -> None:
    said = read(tmp_path, FLAC + behind, "a.flac")
    assert "\n" not in said


@pytest.mark.parametrize(
    "behind", [b"\xff\xfb\x00", b"\xff\xfb\x00\xc0" * 2, b"\xff\xfb\x00\xc0" + bytes(9) + b"\xff\xfb"]
)
def test_an_mp3_that_ends_with_a_frame_of_a_free_bit_rate(tmp_path: Path, behind: bytes) -> None:
    assert read(tmp_path, MP3 + behind, "a.mp3") == ""


# What costs time for each byte that looks like a beginning; behind sound, since it has to be taken for some.
@pytest.mark.parametrize(
    ("data", "name"),
    [
        (MP3 + b"\xff" * 400_000, "a.mp3"),
        (MP3 + b"LYRICSBEGIN" * 30_000, "a.mp3"),
        (MP3 + b"\xff\xfb\x00\x00" * 20_000, "a.mp3"),
        (FLAC + b"\xff\xf8\xc9\x08" * 200_000, "a.flac"),
        (FLAC + b"\xff" * 800_000, "a.flac"),
        (OGG + (b"OggS\0\0" + bytes(20) + b"\xff" + b"\xff" * 255) * 2_000, "a.ogg"),
    ],
    ids=["syncs", "lyrics", "free bit rate", "frames", "bytes of ones", "pages"],
)
def test_bytes_that_look_like_beginnings_do_not_cost_their_square(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    begun_s = time.process_time()
    with open(path, "rb") as file:
        if name == "a.mp3":
            assert find_frames(file) is not None
        else:
            parts = find_parts(file)
            assert parts is not None
            if name == "a.flac":
                flac_frames(file, parts.ranges[0])
            else:
                assert parts.damaged
    assert time.process_time() - begun_s < 2.5


def test_a_flac_with_a_tail_keeps_its_length(tmp_path: Path) -> None:
    """Its frames are found before what looks like some; 60,000 is fewer than are tried."""
    path = tmp_path / "a.flac"
    path.write_bytes(FLAC + b"\xff\xf8\xc9\x08" * 60_000)
    with open(path, "rb") as file:
        assert flac_frames(file, range(path.stat().st_size)) == (2000, 2000)


def test_many_channels_are_read_in_small_pieces(tmp_path: Path) -> None:
    """A million samples of each of 1024 channels would take gigabytes, and silence is packed to nearly nothing."""
    path = tmp_path / "a.wav"
    form = struct.pack("<HHIIHH", 1, 1024, 16_000, 16_000 * 1024, 1024, 8)
    content = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", 1024 * 40)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(content) + 1024 * 40) + content + b"\x80" * 1024 * 40)
    with AudioReader(path) as reader:
        assert reader.num_channels == 1024
        assert reader.at_once(2**20) == 2**14
        assert reader.at_once(7) == 7
        assert reader.read(reader.at_once(2**20)).shape == (1024, 40)
    with AudioReader(_mono(tmp_path)) as reader:
        assert reader.at_once(2**20) == 2**20


def _mono(folder: Path) -> Path:
    soundfile.write(folder / "mono.wav", np.zeros(10), 16_000)
    return folder / "mono.wav"


def test_more_files_in_one_than_can_be_open_are_refused(tmp_path: Path) -> None:
    form = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    content = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", 4) + bytes(4)
    one = b"RIFF" + struct.pack("<I", len(content)) + content
    said = read(tmp_path, one * 2001, "a.wav")
    assert said == f"{tmp_path / 'a.wav'}: 2001 files one behind the other, expected at most 2000"
    assert read(tmp_path, one * 20, "a.wav") == ""


@pytest.mark.parametrize(
    "said",
    [
        b"[]",
        b'{"streams": [null]}',
        b'{"streams": [{"codec_type": "audio", "tags": [], "disposition": 3}], "format": []}',
        b'{"streams": 3}',
        b"[" * 100_000,
        b'{"streams": [{"codec_type": "video", "disposition": null}]}',
        b"\xff\xfe",
    ],
)
def test_whatever_ffprobe_says_is_a_description_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    done = subprocess.CompletedProcess([], 0, said, b"Duration: 1, start: 1.2.3\n  Stream #0:0: Audio: aac\n")
    monkeypatch.setattr(tracks, "captured", lambda *_, **__: done)
    monkeypatch.setattr(tracks.shutil, "which", str)
    found = tracks.probe(tmp_path / "a.mp4")
    assert found.start_s == 0.0
    assert [track.codec for track in found.tracks] == ["aac"]


def test_times_that_are_no_numbers_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    track = {"codec_type": "audio", "start_time": "nan", "duration": "1e999", "tags": {"DURATION": "inf:0:0"}}
    said = json.dumps({"streams": [track], "format": {"start_time": "-inf", "format_name": "mov"}})
    done = subprocess.CompletedProcess([], 0, said.encode(), b"")
    monkeypatch.setattr(tracks, "captured", lambda *_, **__: done)
    monkeypatch.setattr(tracks.shutil, "which", str)
    (found,) = tracks.probe(tmp_path / "a.mp4").tracks
    assert (found.start_s, found.end_s) == (0.0, None)


@pytest.mark.parametrize("position", [0, 1, 4, 8, 23])
@pytest.mark.parametrize("length", [0, 8, 2**32 - 1])
def test_au_samples_do_not_begin_within_their_header(position: int, length: int) -> None:
    """``.snd`` and a byte of 0 said that the samples are all of the file, and their end was counted below zero."""
    head = b".snd" + position.to_bytes(4, "big") + length.to_bytes(4, "big") + struct.pack(">3I", 3, 16_000, 1)
    assert find_samples(io.BytesIO(head + bytes(100))) is None


HEADS = {
    "au": struct.pack(">4s5I", b".snd", 24, 2**32 - 1, 3, 16_000, 1),
    "rf64": b"RF64" + b"\xff" * 4 + b"WAVEds64" + struct.pack("<IQQQI", 28, 0, 2**64 - 1, 0, 0) + b"data" + b"\xff" * 4,
    "rifx": b"RIFX" + b"\xff" * 4 + b"WAVEdata" + b"\xff" * 4,
    "wav": b"RIFF" + b"\xff" * 4 + b"WAVEdata" + b"\xff" * 4,
    "aiff": b"FORM" + b"\xff" * 4 + b"AIFFSSND" + b"\xff" * 12,
    "caf": b"caff" + bytes(4) + b"data" + b"\xff" * 12,
    "w64": sound("W64", "PCM_16")[:100],
}


@pytest.mark.parametrize("name", HEADS)
def test_a_beginning_that_ends_anywhere_is_read_or_one_line(name: str) -> None:
    head = HEADS[name]
    for end in range(len(head) + 1):
        for tail in (b"", b"\0"):
            data = head[:end] + tail
            found = find_samples(io.BytesIO(data))
            assert found is None or found.there >= 0
            if found is not None:
                change = with_length if data[:4] in (b"RIFF", b"RF64") else with_known_end
                change(io.BytesIO(data), found)

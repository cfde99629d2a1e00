"""What ffprobe and ffmpeg say of a film, forged; and films and other containers that they really read."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from tas_core.audio.ffmpeg import decode_by_ffmpeg
from tas_core.audio.tracks import probe
from tools.fuzz.door import Door
from tools.fuzz.doors.sounds import read_sound, sound

_STREAM = {
    "codec_type": "audio",
    "codec_name": "aac",
    "sample_fmt": "fltp",
    "start_time": "0.02",
    "duration": "1.0",
    "disposition": {"default": 1, "attached_pic": 0},
    "tags": {"language": "deu", "title": "x", "DURATION": "00:00:01.000"},
}
_SAID = (
    {"streams": [_STREAM, {"codec_type": "video", "codec_name": "h264"}], "format": {"duration": "1.0"}},
    {
        "streams": [{**_STREAM, "duration": "N/A"}] * 2,
        "format": {"format_name": "matroska,webm", "start_time": "-0.02"},
    },
    {"streams": [], "format": {}},
)
_PERSONS = b"""  Duration: 00:00:02.00, start: 0.000000, bitrate: 100 kb/s
  Stream #0:0(und): Video: h264, yuv420p
    Stream #0:1[0x2](deu): Audio: aac (LC), 48000 Hz, stereo, fltp, 128 kb/s (default)
"""
_LINES = b"""[aac @ 0x55] [error] Number of bands exceeds limit
[af#0:0 @ 0x1] [verbose] adding 480 audio samples of silence
[af#0:0 @ 0x1] [verbose] discarding 48 audio samples
"""


def _probe(data: bytes, folder: Path) -> None:
    """What a program printed; the first byte says which program it was."""
    by_people, text = data[:1] < b"\x80", data[1:]
    done = subprocess.CompletedProcess[bytes]([], 0, text, text)
    with (
        mock.patch(
            "tas_core.audio.tracks.shutil.which", lambda name: None if by_people and name == "ffprobe" else name
        ),
        mock.patch("tas_core.audio.tracks.captured", return_value=done),
    ):
        probe(folder / "in.mp4")


class _Finished:
    """A program that has ended, with what it said and made."""

    def __init__(self, made: bytes, said: bytes) -> None:
        self.stdout, self.stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        for file, content in ((self.stdout, made), (self.stderr, said)):
            file.write(content)
            file.seek(0)

    def wait(self) -> int:
        return 0

    kill = wait

    def __enter__(self) -> _Finished:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.stderr.close()


def _decoded(data: bytes, folder: Path) -> None:
    """What ffmpeg made and said, behind what ffprobe said: three parts between bytes of FE."""
    told, made, said = [*data.split(b"\xfe\xfe", 2), b"", b""][:3]
    done = subprocess.CompletedProcess[bytes]([], 0, told, b"")
    with (
        _Finished(made, said) as program,
        mock.patch("tas_core.audio.tracks.shutil.which", str),
        mock.patch("tas_core.audio.ffmpeg.shutil.which", str),
        mock.patch("tas_core.audio.tracks.captured", return_value=done),
        mock.patch("tas_core.audio.ffmpeg.running", return_value=program),
    ):
        decode_by_ffmpeg(folder / "in.mp4", "in.mp4", "").file.close()


def _made(*arguments: str) -> bytes:
    """A file by ffmpeg; nothing where there is none."""
    program = shutil.which("ffmpeg")
    if program is None:
        return b""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / arguments[-1]
        inputs = ["-f", "lavfi", "-i", "sine=d=0.2:r=16000", "-f", "lavfi", "-i", "testsrc=d=0.2:s=32x32:r=10"]
        command = [program, "-v", "error", "-y", *inputs, *arguments[:-1], str(path)]
        done = subprocess.run(command, capture_output=True, check=False)
        return path.read_bytes() if done.returncode == 0 else b""


def _films() -> Sequence[bytes]:
    both = ("-map", "0:a", "-map", "1:v", "-c:v", "mpeg4")
    names = ("a.mp4", "a.mkv", "a.ts", "a.avi", "a.mov")
    found = [_made(*both, name) for name in names]
    alone = ("a.m4a", "a.wma", "a.ac3", "a.caf", "a.webm", "a.wv", "a.mka")
    found += [_made("-map", "0:a", name) for name in alone]
    playlist = b"#EXTM3U\n#EXTINF:1,\nhttp://192.0.2.1/a.ts\n"
    return [*filter(None, found), playlist, b"ffconcat version 1.0\nfile /etc/passwd\n"]


def _adts() -> Sequence[bytes]:
    return [made for made in (_made("-map", "0:a", "a.aac"),) if made] or [b"\xff\xf1\x50\x80\x02\x1f\xfc"]


def _tokens(*more: Any) -> tuple[bytes, ...]:
    return (
        b'"streams"',
        b'"tags"',
        b"null",
        b"[]",
        b"{}",
        b"1e999",
        b"1e308",
        b"-1",
        b'"nan"',
        b'"inf:0:0"',
        b"\xfe\xfe",
        *more,
    )


def _scripts() -> list[bytes]:
    wave = sound("WAV", "FLOAT", 100)
    told = [json.dumps(value).encode() for value in _SAID]
    return [b"\xfe\xfe".join((text, wave, _LINES)) for text in told]


def _file(data: bytes, folder: Path, *, ending: str) -> None:
    read_sound(data, folder, ending=ending)


DOORS = (
    Door("probe", _probe, lambda: [b"\xff" + json.dumps(v).encode() for v in _SAID] + [b"\0" + _PERSONS], _tokens()),
    Door("decoded", _decoded, _scripts, _tokens(b"[error]", b"adding 99999999999999999999 audio samples of silence")),
    Door(
        "film", partial(_file, ending=".mp4"), _films, (b"ftyp", b"moov", b"mdat", b"\x1aE\xdf\xa3"), runs_programs=True
    ),
    Door("adts", partial(_file, ending=".aac"), _adts, (b"\xff\xf1", b"\xff\xf9"), runs_programs=True),
)

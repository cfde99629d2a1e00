"""Files of sound that libsndfile decodes, as :class:`tas_core.audio.reader.AudioReader` reads them for every command.

Where the program would ask ffmpeg, it is told that nothing can be read: a process for each input would take days. The
doors of :mod:`tools.fuzz.doors.films` ask it.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import numpy as np
import soundfile

from tas_core.audio.reader import AudioReader
from tas_core.errors import AudioError
from tas_core.jobs.request import READ_FRAMES, mono_pieces
from tools.fuzz.door import Door

_ENDINGS = {"wav": ".wav", "wav64": ".rf64", "flac": ".flac", "ogg": ".ogg", "opus": ".opus", "mp3": ".mp3"}
_HEADERLESS = ("RAW", "SD2")


def read_sound(data: bytes, folder: Path, *, ending: str) -> None:
    """Count, read and seek as a job on files does."""
    path = folder / f"in{ending}"
    path.write_bytes(data)
    with AudioReader(path) as reader:
        reader.count_frames()
        for _ in mono_pieces(reader, None):
            pass
        reader.seek(max(0, reader.num_frames // 2))
        reader.read(min(READ_FRAMES, 1000))


def _refuse(_: Any, name: str, why: str, *__: Any) -> NoReturn:
    raise AudioError(f"{name}: {why}")


def _without_ffmpeg(data: bytes, folder: Path, *, ending: str) -> None:
    with mock.patch("tas_core.audio.decoders.decode_by_ffmpeg", _refuse):
        read_sound(data, folder, ending=ending)


def sound(container: str, subtype: str | None = None, frames: int = 240, channels: int = 1, rate: int = 16000) -> bytes:
    """A small file of noise."""
    samples = np.random.default_rng(5).uniform(-0.5, 0.5, (frames, channels)).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype)
    return file.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


_PCM_FORM = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
_MP3_FORM = struct.pack("<HHIIHHHHIHHH", 0x55, 1, 16000, 8000, 1, 0, 12, 1, 2, 144, 1, 0)
_DATA = bytes(range(100)) * 2


def _wave(
    letters: bytes = b"RIFF",
    before: bytes = b"",
    size: int | None = None,
    form: bytes = _PCM_FORM,
    data: bytes = _DATA,
) -> bytes:
    form = _chunk(b"fmt ", form)
    told = struct.pack("<I", len(data) if size is None else size)
    body = b"WAVE" + before + form + b"data" + told + data
    return letters + struct.pack("<I", len(body)) + body


def _wav() -> Sequence[bytes]:
    found = [
        sound("WAV", subtype) for subtype in ("PCM_16", "PCM_U8", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM", "GSM610")
    ]
    found += [
        sound("WAVEX", channels=3),
        _wave(form=_MP3_FORM, data=sound("MP3", "MPEG_LAYER_III", 2400)),
        _wave() * 2,
        _wave(size=0),
    ]
    return [*found, _wave(before=_chunk(b"LIST", b"INFOINAM\x04\0\0\0abc\0")), _wave(size=2**32 - 1)]


def _wav64() -> Sequence[bytes]:
    long = _chunk(b"ds64", struct.pack("<QQQI", 400, 200, 100, 0))
    found = [_wave(letters, long, 2**32 - 1) for letters in (b"RF64", b"BW64")]
    xml = _chunk(b"axml", b"<ebuCoreMain/>") + _chunk(b"chna", struct.pack("<HH", 0, 0))
    return [*found, _wave(b"BW64", long + xml, 2**32 - 1), sound("RF64"), sound("W64"), _wave(b"RIFX")]


def _flac() -> Sequence[bytes]:
    plain = sound("FLAC", "PCM_16", 300)
    return [plain, sound("FLAC", "PCM_24", 300, 2), plain + plain, b"ID3\x04\0\0\0\0\0\0" + plain, plain[:42] + plain]


def _ogg() -> Sequence[bytes]:
    plain = sound("OGG", "VORBIS", 2400)
    return [plain, sound("OGG", "VORBIS", 1200, 2), plain + plain, plain[:-100]]


def _opus() -> Sequence[bytes]:
    return [sound("OGG", "OPUS", 2400), sound("OGG", "OPUS", 2400, 2)]


def _mp3() -> Sequence[bytes]:
    plain = sound("MP3", "MPEG_LAYER_III", 4000)
    tagged = b"ID3\x03\0\0\0\0\0\x0aTIT2\0\0\0\x02\0\0\0a" + plain + b"TAG" + bytes(125)
    lyrics = plain + b"LYRICSBEGININD0000200LYRICS200" + b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0) + bytes(8)
    return [plain, plain[417:], tagged, plain + plain, lyrics, plain + b"\xff" * 200 + plain[-600:]]


def _others() -> Sequence[bytes]:
    found = []
    for container in soundfile.available_formats():
        if container not in _HEADERLESS:
            with contextlib.suppress(Exception):  # formats with rates or lengths of their own
                found.append(sound(container))
    return [*found, sound("CAF", "ALAC_16", 4100), sound("AIFF", "FLOAT"), sound("AU", "FLOAT")]


_SEEDS = {"wav": _wav, "wav64": _wav64, "flac": _flac, "ogg": _ogg, "opus": _opus, "mp3": _mp3}
_TOKENS = (
    *(b"RIFF", b"RF64", b"BW64", b"RIFX", b"WAVE", b"fmt ", b"data", b"ds64", b"fact", b"LIST", b"JUNK", b"axml"),
    *(b"FORM", b"AIFF", b"AIFC", b"SSND", b"COMM", b"caff", b"desc", b"riff", b".snd", b"OggS", b"fLaC", b"OpusHead"),
    *(b"\x01vorbis", b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"LYRICS200", b"Xing", b"Info", b"VBRI", b"LAME"),
    *(b"\xff\xfb\x90", b"\xff\xfb\x00", b"\xff\xf8", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80"),
)
DOORS = (
    *(Door(name, partial(_without_ffmpeg, ending=ending), _SEEDS[name], _TOKENS) for name, ending in _ENDINGS.items()),
    Door("other-sound", partial(_without_ffmpeg, ending=".aiff"), _others, _TOKENS),
)

"""The one list of what an audio file is: endings that are read, formats that are written, and sample encodings.

So whether an output can be written is found out here, before any work.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import soundfile

from tas_core.audio.tracks import Film
from tas_core.errors import InputError
from tas_core.system.files import STANDARD_STREAM, check_new_file

READABLE: Final = (
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".caf", ".w64", ".rf64", ".mp3"),
    *(".au", ".snd", ".m4a", ".m4b", ".aac", ".ac3", ".wma", ".wv", ".ape", ".mka", ".mp4", ".m4v", ".mov", ".mkv"),
    *(".webm", ".avi"),
)
"""Endings of files that are taken from a folder: what libsndfile reads, and what people have ffmpeg read."""

WRITABLE: Final = {
    ".wav": "WAV",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".aiff": "AIFF",
    ".aif": "AIFF",
    ".caf": "CAF",
    ".w64": "W64",
    ".rf64": "RF64",
    ".mp3": "MP3",
    ".m4a": "M4A",
    ".m4b": "M4A",
    ".opus": "OPUS",
    ".mp4": "MP4",
    ".m4v": "MP4",
    ".mov": "MOV",
    ".mkv": "MKV",
    ".webm": "WEBM",
}
"""Endings of outputs, and containers: in libsndfile's words, which writes them, but for :data:`BY_FFMPEG`."""

KEPT_ENDINGS: Final = (".wav", ".flac", ".ogg", ".aiff", ".aif", ".caf", ".w64", ".rf64")
"""Endings that outputs have from their inputs where nobody names one; for all other inputs it is ``.wav``."""


@dataclass(frozen=True)
class Encoding:
    """How ffmpeg writes a container.

    Args:
        muxer: the container in ffmpeg's words.
        encoder: of the sound, in ffmpeg's words; ``copy`` where libsndfile has encoded it.
        subtype: sample encoding in results; empty where it is that of the FLAC in it.
        frame_samples: a decoder may put less than so many samples of silence behind the sound.
        has_picture: whether it is for films: their picture goes into it, beside the sound.
        text: ffmpeg's encoder of subtitles of text, where the container has a codec of its own for them.
        subtitles: codecs of subtitles that it takes as they are.
        extras: further arguments for ffmpeg.
        delay_s: what ffmpeg (5.1) forgets of the encoder's delay when it writes times, seconds.
    """

    muxer: str
    encoder: str
    subtype: str
    frame_samples: int
    has_picture: bool = False
    text: str = ""
    subtitles: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    delay_s: float = 0.0


# Intensity stereo and substituted noise would change the differences between the ears.
_AAC: Final = ("aac", "AAC", 1024)
_AAC_EXTRAS: Final = ("-aac_is", "0", "-aac_pns", "0")
_FAST_START: Final = ("-movflags", "+faststart")
# Matroska's identifiers of a file and its tracks are random otherwise, and the same work would not give the same bytes.
_SAME_BYTES: Final = ("-fflags", "+bitexact")
BY_FFMPEG: Final = {
    "M4A": Encoding("ipod", *_AAC, extras=(*_AAC_EXTRAS, *_FAST_START)),
    "OPUS": Encoding("opus", "libopus", "OPUS", 960),
    "MP4": Encoding(
        "mp4", *_AAC, has_picture=True, text="mov_text", subtitles=("mov_text",), extras=(*_AAC_EXTRAS, *_FAST_START)
    ),
    "MOV": Encoding(
        "mov", *_AAC, has_picture=True, text="mov_text", subtitles=("mov_text",), extras=(*_AAC_EXTRAS, *_FAST_START)
    ),
    "MKV": Encoding(
        *("matroska", "copy", "", 1),
        has_picture=True,
        text="srt",
        subtitles=("subrip", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"),
        extras=_SAME_BYTES,
    ),
    "WEBM": Encoding(
        *("webm", "libopus", "OPUS", 960),
        has_picture=True,
        text="webvtt",
        subtitles=("webvtt",),
        extras=_SAME_BYTES,
        delay_s=0.0065,
    ),
}
"""Containers that ffmpeg writes. Raw AAC is none: it cannot say where the sound begins and ends in its frames."""

LOSSY: Final = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}
"""Sample encoding of the lossy containers of libsndfile."""

UNBOUNDED: Final = ("FLOAT", "DOUBLE", "VORBIS", "OPUS", "MPEG_LAYER_III", "AAC")
"""Sample encodings that hold samples beyond full scale, though most decoders limit those of the lossy ones."""

OPUS_RATE_HZ: Final = 48_000
_MP3_RATES_HZ: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_AAC_RATES_HZ: Final = (*_MP3_RATES_HZ, 64_000, 88_200, 96_000)
_RATES_HZ: Final = {"MP3": _MP3_RATES_HZ, "M4A": _AAC_RATES_HZ, "MP4": _AAC_RATES_HZ, "MOV": _AAC_RATES_HZ}

TAGS: Final = {"title", "copyright", "artist", "comment", "date", "album", "license", "tracknumber", "genre"}
"""What outputs take over from inputs, in libsndfile's words: all but the name of the program that wrote the input."""

PCM_BITS: Final = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
"""Bits of the encodings by integers."""

_DEPTHS: Final = ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
_COMPANDED: Final = ("ULAW", "ALAW", "ADPCM", "GSM", "G72", "DWVW", "DPCM", "VOX", "NMS", "ALAC_16")
_LOSSY_BITS: Final = 24


@dataclass(frozen=True)
class ChannelLayout:
    """What the channels of a file are that is not for two ears or loudspeakers.

    Args:
        mask: of WAVE_FORMAT_EXTENSIBLE: a bit for each loudspeaker, in the order of the channels; 0 for channels that
            are not loudspeakers.
        weights: of each channel's power in the loudness; empty where channels have none.
    """

    mask: int
    weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class AudioFormat:
    """What a file is going to hold, as its header says it before the first sample.

    Args:
        sample_rate_hz: sample rate.
        num_channels: channels, 2 for (ear, time).
        num_frames: samples per channel.
        subtype: sample encoding in libsndfile's words, such as ``PCM_16``; see :func:`output_subtype`.
        tags: title, artist, comment and so on, by libsndfile's names; what the container does not carry is left out.
        film: whose picture goes with the sound, where the container is one of films.
        layout: what the channels are, where they are not left and right; said in WAVE files.
    """

    sample_rate_hz: int
    num_channels: int
    num_frames: int
    subtype: str
    tags: Mapping[str, str] = field(default_factory=dict)
    film: Film | None = None
    layout: ChannelLayout | None = None


def is_readable(path: str | Path) -> bool:
    """Whether a file is one of sound by its ending."""
    return Path(path).suffix.lower() in READABLE


def output_container(path: str | Path) -> str:
    """Container of an output, by its ending, as :data:`WRITABLE` has it; WAV for standard output.

    Raises:
        InputError: unknown ending.
    """
    if str(path) == STANDARD_STREAM:
        return "WAV"
    extension = Path(path).suffix.lower()
    if extension not in WRITABLE:
        shown = f"the extension {extension}" if extension else "no extension"
        raise InputError(
            f"{path}: {shown}, expected one of {', '.join(WRITABLE)}", remedy="pipe" if extension in READABLE else None
        )
    return WRITABLE[extension]


def output_name(path: str | Path) -> str:
    """An output in messages."""
    return "standard output" if str(path) == STANDARD_STREAM else str(path)


def output_encoding(path: str | Path) -> Encoding | None:
    """How ffmpeg writes an output; None where libsndfile does.

    Raises:
        InputError: unknown ending.
    """
    return BY_FFMPEG.get(output_container(path))


def check_ffmpeg(path: str | Path) -> None:
    """See that there is an ffmpeg, if an output needs one.

    Raises:
        InputError: there is none.
    """
    if output_encoding(path) is not None and shutil.which("ffmpeg") is None:
        container = output_container(path)
        raise InputError(
            f"{path}: ffmpeg, which writes {container}, is not installed; expected it, or .wav, .flac, .ogg or .mp3",
            remedy="pipe",
        )


def output_subtype(path: str | Path, subtype: str) -> str:
    """Sample encoding for an output: that of the input where the format has it, else the nearest.

    Deeper is nearer than shallower. Companded speech codes count as 16 bit and lossy codecs as 24 bit.

    Raises:
        InputError: unknown ending.
    """
    container = output_container(path)
    if only := _only_subtype(container):
        return only
    subtype = _nearest_depth(subtype)
    i = _DEPTHS.index(subtype)
    same = [s for s in _DEPTHS if PCM_BITS.get(s) == PCM_BITS.get(subtype, -1)]
    candidates = (subtype, *same, *_DEPTHS[i:], *reversed(_DEPTHS[:i]))
    return next(s for s in candidates if soundfile.check_format(_sound_container(container), s))


def check_subtype(path: str | Path, subtype: str) -> None:
    """See that an output can have a sample encoding.

    Raises:
        InputError: unknown ending, or its format has no such encoding.
    """
    container = output_container(path)
    if only := _only_subtype(container):
        if subtype != only:
            raise InputError(f"{path}: {container} has no {subtype}, its only sample encoding is {only}")
    elif not soundfile.check_format(_sound_container(container), subtype):
        known = ", ".join(soundfile.available_subtypes(_sound_container(container)))
        raise InputError(f"{path}: {container} has no {subtype}, expected one of {known}")


def output_rate_hz(path: str | Path, sample_rate_hz: int) -> int:
    """Sample rate of an output, for sound of a rate: the same, but for Opus, which has one of its own.

    Raises:
        InputError: unknown ending, or its format has no such rate.
    """
    container = output_container(path)
    rates_hz = _RATES_HZ.get(container)
    if rates_hz is not None and sample_rate_hz not in rates_hz:
        any_rate = ".mkv" if container in ("MP4", "MOV") else ".wav, .flac"
        raise InputError(
            f"{path}: {container} holds no sound of {sample_rate_hz} Hz, expected one of"
            f" {', '.join(map(str, rates_hz))}, or a format that holds any rate ({any_rate})"
        )
    encoding = BY_FFMPEG.get(container)
    return OPUS_RATE_HZ if encoding is not None and encoding.subtype == "OPUS" else sample_rate_hz


def _only_subtype(container: str) -> str:
    """The one sample encoding of a lossy container; empty for the others."""
    return LOSSY.get(container) or (BY_FFMPEG[container].subtype if container in BY_FFMPEG else "")


def _sound_container(container: str) -> str:
    """What libsndfile writes for a container: it itself, or the sound that ffmpeg puts into it as it is."""
    return "FLAC" if container in BY_FFMPEG else container


def check_output_path(
    path: str | Path, inputs: Sequence[str | Path] = (), overwrite: bool = False, subtype: str | None = None
) -> None:
    """Find out before any work whether a file can be written.

    Args:
        path: the output; its extension chooses the format.
        inputs: files that must not be overwritten.
        overwrite: whether an existing file may be replaced.
        subtype: sample encoding that the format has to have, if one was requested.

    Raises:
        InputError: unknown extension, a folder, a missing or read-only folder, an existing file, an input, a terminal
            for standard output, the format has no such subtype, or ffmpeg writes it and is missing.
    """
    check_ffmpeg(path)
    if subtype is not None:
        check_subtype(path, subtype)
    if str(path) != STANDARD_STREAM:
        check_new_file(path, inputs, overwrite)
    elif sys.stdout is None or sys.stdout.isatty():
        raise InputError("standard output is a terminal, expected a pipe or a file to write the sound to")


def full_scale(subtype: str) -> float:
    """Largest sample that an encoding holds; infinity for floating point. The smallest is -1 for all others."""
    return math.inf if subtype in ("FLOAT", "DOUBLE") else 1.0 - 2.0 ** (1 - PCM_BITS.get(subtype, 16))


def loses_depth(read: str, written: str) -> bool:
    """Whether writing integers drops bits of what was read: ``FLOAT`` to ``PCM_24``, ``PCM_24`` to ``PCM_16``."""
    depth = math.inf if read in ("FLOAT", "DOUBLE") else PCM_BITS.get(_nearest_depth(read), _LOSSY_BITS)
    return PCM_BITS.get(written, math.inf) < depth


def _nearest_depth(subtype: str) -> str:
    if subtype in _DEPTHS:
        return subtype
    return "PCM_16" if any(name in subtype for name in _COMPANDED) else f"PCM_{_LOSSY_BITS}"

"""The one list of what an audio file is: endings that are read, formats that are written, and sample encodings.

So whether an output can be written is found out here, before any work.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import soundfile

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
}
"""Endings of outputs, and containers in libsndfile's words. MP3 is read but not written: it changes the length."""

PCM_BITS: Final = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
"""Bits of the encodings by integers."""

_DEPTHS: Final = ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
_COMPANDED: Final = ("ULAW", "ALAW", "ADPCM", "GSM", "G72", "DWVW", "DPCM", "VOX", "NMS", "ALAC_16")
_LOSSY_BITS: Final = 24


@dataclass(frozen=True)
class AudioFormat:
    """What a file is going to hold, as its header says it before the first sample.

    Args:
        sample_rate_hz: sample rate.
        num_channels: channels, 2 for (ear, time).
        num_frames: samples per channel.
        subtype: sample encoding in libsndfile's words, such as ``PCM_16``; see :func:`output_subtype`.
        tags: title, artist, comment and so on, by libsndfile's names; what the container does not carry is left out.
    """

    sample_rate_hz: int
    num_channels: int
    num_frames: int
    subtype: str
    tags: Mapping[str, str] = field(default_factory=dict)


def is_readable(path: str | Path) -> bool:
    """Whether a file is one of sound by its ending."""
    return Path(path).suffix.lower() in READABLE


def output_container(path: str | Path) -> str:
    """Container of an output in libsndfile's words, by its ending; WAV for standard output.

    Raises:
        InputError: unknown ending.
    """
    if str(path) == STANDARD_STREAM:
        return "WAV"
    extension = Path(path).suffix.lower()
    if extension not in WRITABLE:
        shown = f"the extension {extension}" if extension else "no extension"
        raise InputError(f"{path}: {shown}, expected one of {', '.join(WRITABLE)}")
    return WRITABLE[extension]


def output_name(path: str | Path) -> str:
    """An output in messages."""
    return "standard output" if str(path) == STANDARD_STREAM else str(path)


def output_subtype(path: str | Path, subtype: str) -> str:
    """Sample encoding for an output: that of the input where the format has it, else the nearest.

    Deeper is nearer than shallower. Companded speech codes count as 16 bit and lossy codecs as 24 bit.

    Raises:
        InputError: unknown ending.
    """
    container = output_container(path)
    if container == "OGG":
        return "VORBIS"
    subtype = _nearest_depth(subtype)
    i = _DEPTHS.index(subtype)
    same = [s for s in _DEPTHS if PCM_BITS.get(s) == PCM_BITS.get(subtype, -1)]
    candidates = (subtype, *same, *_DEPTHS[i:], *reversed(_DEPTHS[:i]))
    return next(s for s in candidates if soundfile.check_format(container, s))


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
            for standard output, or the format has no such subtype.
    """
    container = output_container(path)
    if subtype is not None and not soundfile.check_format(container, subtype):
        known = ", ".join(soundfile.available_subtypes(container))
        raise InputError(f"{path}: {container} has no {subtype}, expected one of {known}")
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

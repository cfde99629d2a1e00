"""Audio that libsndfile does not read, such as m4a, mp4, mkv or webm, decoded by an installed ffmpeg."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import BinaryIO, Final

from tas_core.errors import AudioError

_SHOWN_CHARACTERS: Final = 300


def decode_by_ffmpeg(source: Path | BinaryIO, name: str, why: str) -> tuple[BinaryIO, str]:
    """Decode the first audio track of a file to a nameless temporary file.

    The file, WAV or, above 4 GiB, RF64 with samples of 32-bit floats, lies in the folder that ``TMPDIR`` names and
    is gone when it is closed.

    Args:
        source: a path, or a seekable file.
        name: of the source in messages.
        why: what libsndfile said about the source.

    Returns:
        The decoded file at its beginning, and the sample encoding of the source in libsndfile's words; ``PCM_24``
        for lossy codecs and where ffprobe is not installed.

    Warns:
        UserWarning: ffmpeg complained but went on.

    Raises:
        AudioError: ffmpeg is not installed, or fails.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise AudioError(
            f"{name}: not an audio file that libsndfile reads ({why}); ffmpeg, which reads more, is missing"
        )
    target = tempfile.TemporaryFile()
    try:
        # Only local files: a playlist must not make anybody's machine fetch addresses.
        arguments = ["-nostdin", "-v", "error", "-y", "-protocol_whitelist", "file", "-i", _address(source)]
        arguments += ["-map", "0:a:0", "-vn", "-f", "wav", "-rf64", "auto", "-c:a", "pcm_f32le", "file:/dev/stdout"]
        done = subprocess.run(
            [ffmpeg, *arguments], stdin=_standard_input(source), stdout=target, stderr=subprocess.PIPE, check=False
        )
        said = _one_line(done.stderr, name)
        if done.returncode:
            said = said or f"it ended with exit code {done.returncode}"
            raise AudioError(f"{name}: not an audio file that can be read: {why}; ffmpeg: {said}")
        if said:
            warnings.warn(f"{name}: ffmpeg: {said}", stacklevel=2)
        target.seek(0)
        return target, _subtype(source)
    except BaseException:
        target.close()
        raise


def _subtype(source: Path | BinaryIO) -> str:
    """Sample encoding of the first audio track, by ffprobe."""
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None:
        return "PCM_24"
    arguments = ["-v", "error", "-protocol_whitelist", "file", "-select_streams", "a:0", "-of", "json"]
    arguments += ["-show_entries", "stream=codec_name,sample_fmt,bits_per_raw_sample", "-i", _address(source)]
    done = subprocess.run([ffprobe, *arguments], stdin=_standard_input(source), capture_output=True, check=False)
    try:
        stream = json.loads(done.stdout)["streams"][0]
    except (ValueError, LookupError):
        return "PCM_24"
    sample_format = str(stream.get("sample_fmt", "")).removesuffix("p")
    if str(stream.get("codec_name")).startswith("pcm_f"):
        return "DOUBLE" if sample_format == "dbl" else "FLOAT"
    deep = {"u8": "PCM_U8", "s16": "PCM_16", "s32": "PCM_32"}.get(sample_format, "PCM_24")
    return "PCM_24" if deep == "PCM_32" and str(stream.get("bits_per_raw_sample")) == "24" else deep


def _address(source: Path | BinaryIO) -> str:
    """Source in ffmpeg's words; the prefix keeps names such as ``-x.mp4`` and ``a:b.mp4`` files."""
    return f"file:{source}" if isinstance(source, Path) else "file:/dev/stdin"


def _standard_input(source: Path | BinaryIO) -> BinaryIO | int:
    if isinstance(source, Path):
        return subprocess.DEVNULL
    source.seek(0)
    return source


def _one_line(stderr: bytes, name: str) -> str:
    """What ffmpeg said, without addresses in memory and the name that the caller gives."""
    lines = [re.sub(r"^\[(\S+) @ 0x[0-9a-f]+\] ", "", line) for line in stderr.decode(errors="replace").splitlines()]
    lines = [re.sub(rf"^file:({re.escape(name)}|/dev/stdin): ", "", line.strip()) for line in lines]
    said = "; ".join(dict.fromkeys(line for line in lines if line))
    return said if len(said) <= _SHOWN_CHARACTERS else said[: _SHOWN_CHARACTERS - 3] + "..."

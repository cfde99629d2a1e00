"""What a container says that it holds: audio tracks, pictures, and when they begin; asked of ffprobe, or of ffmpeg."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from tas_core.system.json_values import json_value
from tas_core.system.programs import captured

_ENTRIES: Final = (
    "format=format_name,start_time,duration",
    "stream=codec_type,codec_name,sample_fmt,bits_per_raw_sample,start_time,duration",
    "stream_disposition=default,attached_pic",
    "stream_tags=language,title,DURATION",
)
_GUESSING: Final = {"aac", "ac3", "amr", "dts", "eac3", "loas", "mp3", "mpeg", "mpegts", "mlp", "truehd"}
"""Formats of which ffprobe guesses the duration by the bit rate."""
_NAMING: Final = {
    "hls",
    "applehttp",
    "concat",
    "dash",
    "imf",
    "webm_dash_manifest",
    "sdp",
    "rtsp",
    "vapoursynth",
    "avisynth",
}
"""Formats that are names of other files, whose sound ffmpeg would read in place of the file's own."""
_UNSURE: Final = {"rawvideo", "tty"}
"""Formats that ffmpeg takes a file for by its name alone."""
_UNSURE_CODECS: Final = ("rawvideo", "ansi")
_TIMED: Final = {"mpeg", "mpegts"}
"""Those of them whose packets have times."""
_STREAM_LINE: Final = re.compile(
    r"^\s*Stream #0:\d+(?:\[0x[0-9a-f]+\])?(?:\((\w+)\))?: (Audio|Video|Subtitle|Attachment): (\w+)(.*)$", re.M
)
_INPUT_LINE: Final = re.compile(r"^Input #0, (\S+), from ", re.M)
_START_LINE: Final = re.compile(r"^\s*Duration: [^,]*, start: (-?[\d.]+)", re.M)


@dataclass(frozen=True)
class AudioTrack:
    """An audio track.

    Attributes:
        subtype: sample encoding in libsndfile's words; ``PCM_24`` for lossy codecs and where nobody says.
        codec: in ffmpeg's words; empty where nobody says.
        language: code such as ``deu``; empty where the file does not say.
        title: empty where the file does not say.
        is_default: whether the file calls it the default.
        start_s: where it begins, seconds after the beginning of the file.
        end_s: where it ends, seconds after the beginning of the file; None where nobody says.
    """

    subtype: str = "PCM_24"
    codec: str = ""
    language: str = ""
    title: str = ""
    is_default: bool = False
    start_s: float = 0.0
    end_s: float | None = None

    def words(self, number: int) -> str:
        """It in messages, such as ``2 (deu, 'Commentary')``."""
        about = ", ".join(filter(None, (self.language, self.title and f"'{self.title}'", self.codec)))
        return f"{number} ({about})" if about else str(number)


@dataclass(frozen=True)
class Contents:
    """What is in a file.

    Attributes:
        tracks: its audio tracks; none also where nobody says.
        pictures: codecs of pictures that last for a time.
        subtitles: codecs of subtitles.
        attachments: how many files are attached, such as fonts.
        start_s: where the first of its streams begins, seconds.
        has_times: whether its packets say when they sound.
        is_known: whether ffprobe or ffmpeg could say what is in it.
        list_of: the format of a list of other files, such as ``hls``; empty for what holds its own sound.
    """

    tracks: tuple[AudioTrack, ...] = ()
    pictures: tuple[str, ...] = ()
    start_s: float = 0.0
    has_times: bool = False
    is_known: bool = False
    subtitles: tuple[str, ...] = ()
    list_of: str = ""
    attachments: int = 0


@dataclass(frozen=True)
class Film:
    """A film that gets another sound.

    Attributes:
        source: a path, or a seekable file.
        name: of it in messages.
        contents: what is in it.
        track: the audio track that is replaced, counted from 1.
    """

    source: Path | BinaryIO
    name: str
    contents: Contents
    track: int = 1


def probe(source: Path | BinaryIO) -> Contents:
    """What is in a file; nothing where neither ffprobe nor ffmpeg can say."""
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None:
        return _by_ffmpeg(source)
    arguments = ["-v", "error", "-protocol_whitelist", "file", "-of", "json"]
    arguments += ["-show_entries", ":".join(_ENTRIES), "-i", address(source)]
    try:
        done = captured([ffprobe, *arguments], stdin=stream_input(source))
        return _contents(json_value(done.stdout))
    except (OSError, AttributeError, LookupError, TypeError, ValueError):
        return _by_ffmpeg(source)


def _contents(found: Any) -> Contents:
    """What ffprobe says, as far as it is what it should be; the names in it are those of the file."""
    streams, form = found["streams"], found.get("format", {})
    start_s = _number(form.get("start_time")) or 0.0
    sounds = [stream for stream in streams if stream.get("codec_type") == "audio"]
    pictures = [stream for stream in streams if stream.get("codec_type") == "video"]
    moving = [stream for stream in pictures if not stream.get("disposition", {}).get("attached_pic")]
    formats = set(str(form.get("format_name")).split(","))
    if _number(form.get("duration")) is None or _UNSURE & formats:
        moving = []
    guesses = bool(_GUESSING & formats)
    alone_s = _number(form.get("duration")) if len(sounds) == 1 and not moving else None
    return Contents(
        tuple(_track(sound, start_s, None if guesses else alone_s, guesses=guesses) for sound in sounds),
        tuple(str(stream.get("codec_name", "unknown")) for stream in moving),
        start_s,
        has_times=not (_GUESSING - _TIMED & formats),
        is_known=bool(streams),
        subtitles=tuple(str(s.get("codec_name", "unknown")) for s in streams if s.get("codec_type") == "subtitle"),
        list_of=", ".join(sorted(_NAMING & formats)),
        attachments=sum(stream.get("codec_type") == "attachment" for stream in streams),
    )


def address(source: Path | BinaryIO) -> str:
    """Source in ffmpeg's words; the prefix keeps names such as ``-x.mp4`` and ``a:b.mp4`` files."""
    return f"file:{source}" if isinstance(source, Path) else "file:/dev/stdin"


def stream_input(source: Path | BinaryIO) -> BinaryIO | int:
    """What ffmpeg gets as standard input."""
    if isinstance(source, Path):
        return subprocess.DEVNULL
    source.seek(0)
    return source


def _track(stream: dict[str, Any], start_s: float, alone_s: float | None, *, guesses: bool) -> AudioTrack:
    tags = {key.lower(): str(value) for key, value in stream.get("tags", {}).items()}
    late_s = (_number(stream.get("start_time")) or start_s) - start_s
    end_s = alone_s
    if not guesses and (lasts_s := _number(stream.get("duration"))) is not None:
        end_s = late_s + lasts_s
    elif not guesses and (told_s := _clock(tags.get("duration", ""))) is not None:
        end_s = told_s - max(start_s, 0.0)
    language = tags.get("language", "")
    return AudioTrack(
        _subtype(stream),
        str(stream.get("codec_name", "")),
        "" if language == "und" else language,
        " ".join(tags.get("title", "").split()),
        bool(stream.get("disposition", {}).get("default")),
        late_s,
        end_s,
    )


def _subtype(stream: dict[str, Any]) -> str:
    sample_format = str(stream.get("sample_fmt", "")).removesuffix("p")
    if str(stream.get("codec_name")).startswith("pcm_f"):
        return "DOUBLE" if sample_format == "dbl" else "FLOAT"
    deep = {"u8": "PCM_U8", "s16": "PCM_16", "s32": "PCM_32"}.get(sample_format, "PCM_24")
    return "PCM_24" if deep == "PCM_32" and str(stream.get("bits_per_raw_sample")) == "24" else deep


def _by_ffmpeg(source: Path | BinaryIO) -> Contents:
    """What ffmpeg says of a file for people to read, where ffprobe is missing."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        return Contents()
    arguments = ["-hide_banner", "-nostdin", "-protocol_whitelist", "file", "-i", address(source)]
    try:
        done = captured([ffmpeg, *arguments], stdin=stream_input(source))
    except OSError:
        return Contents()
    said = done.stderr.decode(errors="replace")
    found = _STREAM_LINE.findall(said)
    start = _START_LINE.search(said)
    tracks = tuple(
        AudioTrack(codec=codec, language="" if language == "und" else language, is_default="(default)" in rest)
        for language, kind, codec, rest in found
        if kind == "Audio"
    )
    moving = tuple(
        codec
        for _, kind, codec, rest in found
        if kind == "Video" and "(attached pic)" not in rest and codec not in _UNSURE_CODECS
    )
    written = tuple(codec for _, kind, codec, _ in found if kind == "Subtitle")
    start_s = (_number(start[1]) or 0.0) if start else 0.0
    form = _INPUT_LINE.search(said)
    formats = set(form[1].split(",")) if form else set()
    return Contents(
        tracks,
        moving,
        start_s,
        has_times=bool(start),
        is_known=bool(found),
        subtitles=written,
        list_of=", ".join(sorted(_NAMING & formats)),
        attachments=sum(kind == "Attachment" for _, kind, _, _ in found),
    )


def _number(text: object) -> float | None:
    """A finite number; None for what is none."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _clock(text: str) -> float | None:
    parts = [_number(part) for part in text.split(":")]
    if len(parts) != 3 or None in parts:
        return None
    hours, minutes, seconds = (part or 0.0 for part in parts)
    return hours * 3600 + minutes * 60 + seconds

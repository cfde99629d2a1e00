"""Sound that ffmpeg encodes, alone or with the picture of a film."""

from __future__ import annotations

import errno
import io
import os
import shutil
import signal
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import soundfile

from tas_core.audio.ffmpeg import complaints, input_arguments, run_ffmpeg
from tas_core.audio.formats import (
    OPUS_RATE_HZ,
    TAGS,
    AudioFormat,
    Encoding,
    check_ffmpeg,
    output_container,
    output_encoding,
    output_rate_hz,
)
from tas_core.audio.tracks import Film, address
from tas_core.errors import InputError, TasError
from tas_core.system.programs import temporary_folder
from tas_core.system.write_errors import temporary_file_error

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_BITS_PER_SAMPLE: Final = 3
_MAX_RATE_BPS: Final = 256_000
_OPUS_RATE_BPS: Final = 192_000
"""At these rates neither codec codes the difference between the ears by less than its waveform."""
_FILTER_SIZE: Final = 128
_TRIAL_S: Final = 0.1
_NO_SPACE: Final = os.strerror(errno.ENOSPC)
_UNFINISHED: Final = ("Error writing trailer", "Error closing file")
"""What ffmpeg complains of and then ends as if all were well."""
_TEXT: Final = ("subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text", "microdvd", "mpl2", "sami", "subviewer")
"""Codecs of subtitles that are text, not pictures."""
_TAG_NAMES: Final = {"tracknumber": "track"}
"""Tags that ffmpeg calls otherwise than libsndfile."""


def check_encoder(path: str | Path, form: AudioFormat) -> None:
    """Find out before any work whether ffmpeg can make an output, by making its beginning with silence.

    Args:
        path: the output; nothing is to be found out about those that libsndfile writes.
        form: what it will hold.

    Warns:
        UserWarning: subtitles of the film that the container does not hold.

    Raises:
        InputError: the format does not hold sound of that rate; ffmpeg is missing, lacks an encoder, or cannot put the
            picture into the container; a film without picture.
        TasError: a temporary file cannot be written.
    """
    output_rate_hz(path, form.sample_rate_hz)
    encoding = output_encoding(path)
    if encoding is None:
        return
    check_ffmpeg(path)
    check_film(path, form.film)
    if encoding.has_picture and form.film is not None:
        _tell_of_subtitles(path, form.film, encoding)
    folder = tempfile.gettempdir()
    what = f"a trial of {path}"
    num_frames = round(_TRIAL_S * form.sample_rate_hz)
    try:
        with temporary_folder() as trial:
            sound, target = trial / "sound", trial / "trial"
            container, subtype = sound_form(encoding, form)
            silence = np.zeros((num_frames, form.num_channels))
            soundfile.write(os.fsencode(sound), silence, form.sample_rate_hz, subtype, format=container)
            try:
                _run(sound, target, replace(form, num_frames=num_frames), encoding, ["-t", str(_TRIAL_S), "-shortest"])
            except _EncoderError as error:
                reason = str(error).split("; ")[0].rstrip(".")
                raise InputError(f"{path}: ffmpeg cannot write it: {reason}{_way_out(encoding)}") from error
    except (OSError, soundfile.LibsndfileError) as error:
        problem = error if isinstance(error, OSError) else OSError(errno.ENOSPC, _NO_SPACE)
        raise temporary_file_error(folder, what, problem) from error


def sound_form(encoding: Encoding, form: AudioFormat) -> tuple[str, str]:
    """Container and sample encoding of the file of sound that ffmpeg gets."""
    return ("FLAC", form.subtype) if encoding.encoder == "copy" else ("RF64", "FLOAT")


def encode(sound: Path, target: Path, name: str, form: AudioFormat, encoding: Encoding) -> None:
    """Encode a file of sound, and count what can be decoded again.

    Args:
        sound: as :func:`sound_form` says.
        target: the file to write, which is there.
        name: of the output in messages.
        form: what the output is to hold.
        encoding: how.

    Warns:
        UserWarning: ffmpeg complained, as of a damaged picture, but went on.

    Raises:
        OSError: the disk is full.
        TasError: ffmpeg failed or was ended, or not all of the sound is in what it wrote.
    """
    try:
        complaint = _run(sound, target, form, encoding)
        wanted = _rescaled(form, encoding)
        there = _count(target)
        if not wanted <= there < wanted + encoding.frame_samples:
            raise _EncoderError(f"of {wanted} samples, {there} can be decoded again; {complaint}".rstrip("; "))
    except _EncoderError as error:
        raise TasError(f"{name}: ffmpeg could not write it: {error}") from error
    if complaint:
        warnings.warn(f"{name}: ffmpeg: {complaint}", stacklevel=2)


class _EncoderError(Exception):
    """Why ffmpeg did not write a file."""


class _Counter(io.BytesIO):
    """A file that only counts the bytes written to it."""

    count = 0

    def write(self, data: ReadableBuffer, /) -> int:
        """Count the bytes of ``data``."""
        size = memoryview(data).nbytes
        self.count += size
        return size


def _run(sound: Path, target: Path, form: AudioFormat, encoding: Encoding, limits: list[str] | None = None) -> str:
    """Have ffmpeg write a file; what it complained of all the same."""
    film = form.film if encoding.has_picture else None
    source = sound if film is None else film.source
    command = [shutil.which("ffmpeg") or "ffmpeg", "-nostdin", "-nostats", "-hide_banner", "-v", "level+error", "-y"]
    command += ["-itsoffset", str(encoding.delay_s)] if encoding.delay_s else []
    command += ["-protocol_whitelist", "file", "-i", address(sound)]
    if film is not None:
        command += ["-fflags", "+genpts"]  # program streams and AVI do not say when each picture is shown
        command += [*input_arguments(film.source, film.contents), *_film_arguments(film, encoding)]
    command += ["-map", "0:a:0", *_sound_arguments(form, encoding), *_tag_arguments(form, film), *encoding.extras]
    command += [*(limits or []), "-f", encoding.muxer, address(target)]
    if film is not None and film.contents.tracks:  # of a transport stream ffmpeg only counts streams that are used
        command += ["-map", f"1:a:{film.track - 1}", "-c:a", "copy", "-t", "0.1", "-f", "null", "-"]
    status, said, problem = run_ffmpeg(command, source, _Counter())
    if problem is not None:
        raise problem
    complaint = complaints(said, str(target)).replace(f"{address(target)}: ", "")
    if _NO_SPACE in complaint:
        raise OSError(errno.ENOSPC, _NO_SPACE)
    if status < 0:
        raise _EncoderError(f"it was ended by {signal.Signals(-status).name}")
    if status or any(text in complaint for text in _UNFINISHED):
        raise _EncoderError(complaint or f"it ended with exit code {status}")
    return complaint


def _sound_arguments(form: AudioFormat, encoding: Encoding) -> list[str]:
    arguments = ["-c:a", encoding.encoder]
    if encoding.encoder == "aac":
        rate_bps = min(_MAX_RATE_BPS, _BITS_PER_SAMPLE * form.num_channels * form.sample_rate_hz)
        # Edit lists say in units of the movie how long the sound is, and milliseconds would cut it.
        arguments += ["-b:a", str(rate_bps), "-movie_timescale", str(form.sample_rate_hz)]
    elif encoding.encoder == "libopus":
        count = _rescaled(form, encoding)
        resample = f"aresample={OPUS_RATE_HZ}:filter_size={_FILTER_SIZE}"
        arguments += ["-b:a", str(_OPUS_RATE_BPS)]
        arguments += ["-af", f"{resample},apad=whole_len={count},atrim=end_sample={count}"]
    return arguments


def _film_arguments(film: Film, encoding: Encoding) -> list[str]:
    """The picture and all that belongs to it, as it is; subtitles of text in the container's codec for them."""
    arguments = ["-map", "1:V", "-c:v", "copy", "-map_chapters", "1", "-map_metadata", "1"]
    # Where one stream is told whose tags it has, all have to be, or they have none.
    for number in range(len(film.contents.pictures)):
        arguments += [f"-map_metadata:s:v:{number}", f"1:s:V:{number}"]
    if film.contents.tracks:
        arguments += ["-map_metadata:s:a:0", f"1:s:a:{film.track - 1}"]
    kept = [number for number, codec in enumerate(film.contents.subtitles) if _holds(encoding, codec)]
    for place, number in enumerate(kept):
        codec = film.contents.subtitles[number]
        arguments += ["-map", f"1:s:{number}", f"-map_metadata:s:s:{place}", f"1:s:s:{number}"]
        arguments += [f"-c:s:{place}", "copy" if codec in encoding.subtitles else encoding.text]
    if encoding.muxer == "matroska":
        arguments += ["-map", "1:t?", "-c:t", "copy"]
        for number in range(film.contents.attachments):
            arguments += [f"-map_metadata:s:t:{number}", f"1:s:t:{number}"]
    return arguments


def _tag_arguments(form: AudioFormat, film: Film | None) -> list[str]:
    if film is not None:
        return ["-disposition:a:0", "default"]
    arguments = ["-map_metadata", "-1"]
    for name in sorted(TAGS & form.tags.keys()):
        if form.tags[name]:
            arguments += ["-metadata", f"{_TAG_NAMES.get(name, name)}={form.tags[name]}"]
    return arguments


def check_film(path: str | Path, film: Film | None) -> None:
    """See that there is a picture for an output that is a film.

    Args:
        path: the output.
        film: whose picture goes into it, if there is one.

    Raises:
        InputError: there is no picture.
    """
    container = output_container(path)
    encoding = output_encoding(path)
    if encoding is None or not encoding.has_picture:
        return
    if film is None or not film.contents.pictures:
        where = "" if film is None else f" in {film.name}"
        raise InputError(
            f"{path}: {container} is for films, and there is no picture{where}; expected a file of sound, such as"
            " .wav, .flac, .mp3 or .m4a"
        )


def _tell_of_subtitles(path: str | Path, film: Film, encoding: Encoding) -> None:
    lost = [codec for codec in film.contents.subtitles if not _holds(encoding, codec)]
    if lost:
        what = "a subtitle track" if len(lost) == 1 else f"{len(lost)} subtitle tracks"
        warnings.warn(
            f"{path}: {output_container(path)} does not hold {what} of {film.name} ({', '.join(lost)}); left out, .mkv"
            " holds all",
            stacklevel=3,
        )


def _holds(encoding: Encoding, codec: str) -> bool:
    return codec in encoding.subtitles or codec in _TEXT


def _way_out(encoding: Encoding) -> str:
    if encoding.has_picture and encoding.muxer != "matroska":
        return "; .mkv holds almost any picture"
    return ""


def _rescaled(form: AudioFormat, encoding: Encoding) -> int:
    """Samples per channel of the output, which Opus holds at a rate of its own."""
    if encoding.subtype != "OPUS":
        return form.num_frames
    return round(form.num_frames * OPUS_RATE_HZ / form.sample_rate_hz)


def _count(path: Path) -> int:
    """Samples per channel of the sound in a file."""
    counter = _Counter()
    command = [shutil.which("ffmpeg") or "ffmpeg", "-nostdin", "-nostats", "-hide_banner", "-v", "level+error"]
    command += ["-protocol_whitelist", "file", "-i", address(path), "-map", "0:a:0", "-ac", "1", "-f", "u8", "pipe:1"]
    run_ffmpeg(command, path, counter)
    return counter.count

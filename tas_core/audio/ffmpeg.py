"""Audio that libsndfile does not read, such as m4a, mp4, mkv or webm, decoded by an installed ffmpeg."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Final

import soundfile

from tas_core.audio.headers import copy_stream, find_samples
from tas_core.audio.tracks import AudioTrack, Contents, address, probe, stream_input
from tas_core.errors import Advice, AudioError
from tas_core.system.programs import running
from tas_core.system.write_errors import temporary_file_error

_SHOWN_CHARACTERS: Final = 300
_SHORTER_S: Final = 0.25
"""What a container's own figures may be longer than the sound, seconds: they count whole packets and other tracks."""
_LATE_S: Final = 0.02
_CODEC_DELAY_S: Final = 0.1
_FILLED: Final = re.compile(r"adding (\d+) audio samples of silence")
_DROPPED: Final = re.compile(r"discarding (\d+) audio samples")
_LINE: Final = re.compile(r"^((?:\[[^]]* @ 0x[0-9a-f]+\] )*)\[(\w+)\] (.*)$")
_SHOWN_LEVELS: Final = ("error", "fatal", "panic")


@dataclass(frozen=True)
class Decoded:
    """What ffmpeg made of a file.

    Attributes:
        file: WAV or RF64 with samples of 32-bit floats, nameless, at its beginning; gone when it is closed.
        subtype: sample encoding of the source in libsndfile's words.
        track: which audio track it is, counted from 1.
        num_tracks: how many there are.
    """

    file: BinaryIO
    subtype: str
    track: int
    num_tracks: int


def has_ffmpeg() -> bool:
    """Whether there is an ffmpeg to ask."""
    return shutil.which("ffmpeg") is not None


def decode_by_ffmpeg(source: Path | BinaryIO, name: str, why: str, track: int | None = None) -> Decoded:
    """Decode an audio track of a file to a temporary file, in the folder that ``TMPDIR`` names.

    Time is kept: what is missing before or within the sound becomes silence, as long as the container says that it
    is. So a sound that begins after its picture stays in step with it.

    Args:
        source: a path, or a seekable file.
        name: of the source in messages.
        why: what libsndfile said about the source; empty if it was not asked.
        track: which, counted from 1; None is the one that the file calls its default, else the first.

    Warns:
        UserWarning: there are several tracks and none was chosen; silence was put in; the sound is shorter than the
            container says; ffmpeg complained but went on.

    Raises:
        AudioError: ffmpeg is not installed, or fails; no audio track, or none of that number.
        TasError: the temporary file cannot be written.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise AudioError(f"{name}: not an audio file that can be read: {why}; ffmpeg, which reads more, is missing")
    contents = probe(source)
    if contents.list_of:
        raise AudioError(
            f"{name}: a list of other files ({contents.list_of}), which are not read; expected the sound itself"
        )
    chosen = _choose(contents, name, track, why)
    folder = tempfile.gettempdir()
    try:
        target: BinaryIO = tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise temporary_file_error(folder, f"what ffmpeg decodes of {name}", error) from error
    try:
        status, said, problem = run_ffmpeg([ffmpeg, *_arguments(source, contents, chosen)], source, target)
        if problem is not None:
            raise temporary_file_error(folder, f"what ffmpeg decodes of {name}", problem) from problem
        complaint = complaints(said, name)
        samples = find_samples(target)
        if status or samples is None or not samples.there:
            complaint = complaint or (f"it ended with exit code {status}" if status else "no sound came out of it")
            raise AudioError(f"{name}: not an audio file that can be read: {_both(why, complaint)}")
        if complaint:
            _warn(f"{name}: ffmpeg: {complaint}")
        target.seek(0)
        with soundfile.SoundFile(target) as sound:
            _tell(contents, chosen, name, said, (sound.frames, sound.samplerate))
        if track is None and len(contents.tracks) > 1:
            others = ", ".join(found.words(n + 1) for n, found in enumerate(contents.tracks) if n != chosen)
            taken = contents.tracks[chosen].words(chosen + 1)
            _warn(f"{name}: {len(contents.tracks)} audio tracks; taken is {taken}, there is also {others}", "track")
        target.seek(0)
        subtype = contents.tracks[chosen].subtype if contents.tracks else "PCM_24"
        return Decoded(target, subtype, chosen + 1, max(1, len(contents.tracks)))
    except BaseException as error:
        with contextlib.suppress(OSError):  # what did not fit once does not fit again
            target.close()
        if isinstance(error, soundfile.LibsndfileError):
            what = f"what it made is no sound ({error.error_string.strip()})"
            raise AudioError(f"{name}: not an audio file that can be read: {_both(why, what)}") from error
        raise


def _both(why: str, complaint: str) -> str:
    return f"{why}; ffmpeg: {complaint}" if why else f"ffmpeg: {complaint}"


def _choose(contents: Contents, name: str, track: int | None, why: str) -> int:
    """Number of the track to take, counted from 0."""
    count = len(contents.tracks)
    if contents.is_known and not count:
        if contents.pictures:
            raise AudioError(f"{name}: a film without sound: a picture ({contents.pictures[0]}), but no audio track")
        raise AudioError(f"{name}: not an audio file that can be read: {_both(why, 'no audio track in it')}")
    if track is not None and not 1 <= track <= max(1, count):
        there = "one audio track" if count <= 1 else f"{count} audio tracks"
        raise AudioError(f"{name}: there is no audio track {track}, the file has {there}", remedy="track")
    if track is not None:
        return track - 1
    return next((number for number, found in enumerate(contents.tracks) if found.is_default), 0)


def input_arguments(source: Path | BinaryIO, contents: Contents) -> list[str]:
    """An input of ffmpeg whose time begins with the first of its streams: a local file, and nothing that it names."""
    arguments = ["-protocol_whitelist", "file"]
    if -_CODEC_DELAY_S < contents.start_s < 0:  # what a codec needs before the sound is no part of time
        arguments += ["-itsoffset", str(contents.start_s)]
    return [*arguments, "-i", address(source)]


def _arguments(source: Path | BinaryIO, contents: Contents, chosen: int) -> list[str]:
    """What ffmpeg is told: only local files, since a playlist must not make anybody's machine fetch addresses."""
    # A sound alone begins with itself; with others, where the first of them does.
    several = len(contents.tracks) + len(contents.pictures) > 1
    arguments = ["-nostdin", "-nostats", "-hide_banner", "-v", "level+verbose", "-y"]
    arguments += [*input_arguments(source, contents), "-map", f"0:a:{chosen}", "-vn"]
    if contents.has_times:
        arguments += ["-af", f"aresample=async=1:min_comp={_LATE_S}" + (":first_pts=0" if several else "")]
    arguments += ["-f", "wav", "-c:a", "pcm_f32le", "pipe:1"]
    if contents.pictures:  # of an MPEG transport stream ffmpeg only counts streams that are used
        arguments += ["-map", "0:V:0", "-c:v", "copy", "-t", "0.1", "-f", "null", "-"]
    return arguments


def run_ffmpeg(
    command: list[str], source: Path | BinaryIO, target: BinaryIO
) -> tuple[int, list[tuple[str, str]], OSError | None]:
    """Run ffmpeg and write what comes out.

    Args:
        command: with ``-v level+verbose`` or less, so that lines have their levels.
        source: what it reads, which is its standard input if it is no path.
        target: what its standard output is written to.

    Returns:
        Its exit code, negative for a signal; what it said, by level; and why that could not be written.
    """
    said: list[tuple[str, str]] = []
    problem: OSError | None = None
    piped = subprocess.PIPE
    try:
        with running(command, stdin=stream_input(source), stdout=piped, stderr=piped) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            listener = threading.Thread(target=_listen, args=(process.stderr, said), daemon=True)
            listener.start()
            try:
                copy_stream(process.stdout, target)
            except OSError as error:
                problem = error
                process.kill()
            status = process.wait()
            listener.join()
    except OSError as error:
        return 1, [("fatal", f"it does not run: {error.strerror}")], None
    return status, said, problem


def _listen(stderr: IO[bytes], said: list[tuple[str, str]]) -> None:
    """Note what is said, once each but for what is counted."""
    heard = set()
    for line in stderr:
        found = _LINE.match(line.decode(errors="replace").strip())
        if found is None:
            continue
        level, text = found[2], re.sub(r" @ 0x[0-9a-f]+", "", found[3])
        if _FILLED.search(text) or _DROPPED.search(text):
            said.append(("counted", text))
        elif level in _SHOWN_LEVELS and text not in heard:
            heard.add(text)
            said.append((level, text))


def _tell(contents: Contents, chosen: int, name: str, said: list[tuple[str, str]], sound: tuple[int, int]) -> None:
    """Warn of what was put in, left out and lost; ``sound`` is its length in samples, and its rate in Hz."""
    num_frames, rate_hz = sound
    track = contents.tracks[chosen] if contents.tracks else AudioTrack()
    filled_s = sum(int(found[1]) for _, text in said if (found := _FILLED.search(text))) / rate_hz
    dropped_s = sum(int(found[1]) for _, text in said if (found := _DROPPED.search(text))) / rate_hz
    late_s = min(filled_s, max(track.start_s, 0.0))
    if late_s >= _LATE_S:
        _warn(f"{name}: the sound begins {late_s:.2f} s after the picture; so much silence was put before it")
    else:
        late_s = 0.0
    if filled_s - late_s >= _LATE_S:
        _warn(f"{name}: {filled_s - late_s:.2f} s of the sound are missing or damaged; silence took their place")
    if dropped_s >= _LATE_S:
        _warn(f"{name}: {dropped_s:.2f} s of sound overlapped what was before and were left out, to stay in step")
    if track.end_s is not None and track.end_s - num_frames / rate_hz > _SHORTER_S:
        _warn(
            f"{name}: its header says that the sound ends at {track.end_s:.2f} s, but it ends at"
            f" {num_frames / rate_hz:.2f} s; the rest is missing or damaged"
        )


def _warn(what: str, remedy: str | None = None) -> None:
    warnings.warn(Advice(what, remedy=remedy), stacklevel=2)


def complaints(said: list[tuple[str, str]], name: str) -> str:
    """What ffmpeg complained of in one line, without the name that the caller gives."""
    texts = (text for level, text in said if level in _SHOWN_LEVELS)
    lines = (re.sub(rf"^file:({re.escape(name)}|/dev/stdin): ", "", text.strip()) for text in texts)
    whole = "; ".join(dict.fromkeys(line for line in lines if line))
    return whole if len(whole) <= _SHOWN_CHARACTERS else whole[: _SHOWN_CHARACTERS - 3] + "..."

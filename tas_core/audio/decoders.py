"""Who decodes a file: libsndfile, with what its header says put right, or else ffmpeg.

What a header says of the length is compared with what is in the file, and what is in the file counts.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import soundfile

from tas_core.audio.ffmpeg import decode_by_ffmpeg, has_ffmpeg
from tas_core.audio.headers import SampleChunk, find_samples, with_known_end, with_length
from tas_core.audio.joined import Parts, find_parts, flac_frames, with_flac_frames
from tas_core.audio.mpeg import MpegStream, find_frames
from tas_core.audio.splices import JoinedSound, Piece, SplicedFile
from tas_core.errors import AudioError

_FOREIGN: Final = (1, 4)
"""libsndfile's errors for a format and an encoding that it does not know; all others are about damage."""
_UNKNOWN_FRAMES: Final = 2**62
_GSM_BYTES: Final = 65
_GSM_SAMPLES: Final = 320
"""Of a block of two frames, as WAV has them."""
_SHOWN: Final = 3
_MOST_PARTS: Final = 2000
"""Files in a file; a recording of a broadcast has one for each piece."""
_TOLERANCE: Final = 100
"""Of so many frames of an MP3 one may be missing."""


class SequentialSoundFile(soundfile.SoundFile):
    """Does not seek after each read, as soundfile does where it can: after a seek MP3 decodes wrongly for a while."""

    def seekable(self) -> bool:
        """Whether it is to be sought in; not if it is MPEG audio."""
        return not self.subtype.startswith("MPEG") and super().seekable()


@dataclass(frozen=True)
class OpenSound:
    """An open file.

    Attributes:
        sound: what decodes it, at its beginning.
        subtype: sample encoding in libsndfile's words.
        num_frames: samples per channel, as far as can be known before they are decoded.
        is_estimate: whether they have to be decoded to know how many there are.
        track: which audio track, counted from 1.
    """

    sound: soundfile.SoundFile | JoinedSound
    subtype: str
    num_frames: int
    is_estimate: bool
    track: int = 1


@dataclass(frozen=True)
class Source:
    """A file to decode.

    Attributes:
        file: it, open for reading.
        path: its name, if it can be opened again.
        name: of it in messages.
    """

    file: BinaryIO
    path: Path | None
    name: str

    def error(self, what: str, remedy: str | None = None) -> AudioError:
        """What to raise if it cannot be used."""
        return AudioError(f"{self.name}: {what}", remedy=remedy)

    def warn(self, what: str) -> None:
        """Say something about it."""
        warnings.warn(f"{self.name}: {what}", stacklevel=3)


class _RefusedError(Exception):
    """libsndfile does not read a file; ``foreign`` if it does not know the format."""

    def __init__(self, why: str, *, foreign: bool = False) -> None:
        super().__init__(why)
        self.foreign = foreign


def open_sound(source: Source, track: int | None, stack: contextlib.ExitStack) -> OpenSound:
    """Find who decodes a file.

    Args:
        source: the file.
        track: audio track, counted from 1; None is the file's default.
        stack: closes what is opened here.

    Warns:
        UserWarning: what the header says is not so; as :func:`tas_core.audio.ffmpeg.decode_by_ffmpeg`.

    Raises:
        AudioError: the file is shorter than its header says, or nobody reads it; what each said.
        TasError: as :func:`tas_core.audio.ffmpeg.decode_by_ffmpeg`.
    """
    try:
        parts = find_parts(source.file)
        if parts is not None and (parts.damaged or parts.missing):
            raise source.error(_page_damage(source, parts))
        several = parts is not None and parts.streams > 1 and has_ffmpeg()
        if several:
            raise _RefusedError("several streams", foreign=True)
        opened = _by_libsndfile(source, parts, stack)
    except _RefusedError as refusal:
        why = str(refusal)
        source.file.seek(0)
        decoded = decode_by_ffmpeg(source.path or source.file, source.name, why, track)
        stack.enter_context(decoded.file)
        sound = stack.enter_context(soundfile.SoundFile(decoded.file))
        if not refusal.foreign:  # nothing else said how much sound there ought to be
            seconds = sound.frames / sound.samplerate
            source.warn(f"{why}; so ffmpeg decoded it, {seconds:.2f} s of sound")
        return OpenSound(sound, decoded.subtype, sound.frames, is_estimate=False, track=decoded.track)
    if track not in (None, 1):
        raise source.error(f"there is no audio track {track}, the file has one audio track", "track")
    return opened


def _by_libsndfile(source: Source, parts: Parts | None, stack: contextlib.ExitStack) -> OpenSound:
    samples = find_samples(source.file)
    source.file.seek(0)
    if samples is not None and samples.is_cut_off:
        raise source.error(
            f"the file is cut off: its header says {samples.promised} bytes of samples, but it holds {samples.there}"
        )
    if parts is not None and len(parts.ranges) > 1:
        return _joined(source, parts, stack)
    if parts is not None and parts.is_cut:
        source.warn("the file does not end as an Ogg file does; it may be cut off")
    if samples is not None and (samples.is_empty or samples.unpadded or samples.is_misread):
        return _repaired(source, samples, stack)
    try:
        sound = _open(source.file if source.path is None else source.path, stack)
    except _RefusedError as refusal:
        is_codec = samples is not None and not samples.unexplained
        raise _RefusedError(str(refusal), foreign=refusal.foreign or is_codec) from refusal
    if sound.subtype.startswith("MPEG"):
        return _mpeg(source, sound, samples, stack)
    if parts is not None and sound.format == "FLAC":
        sound, num_frames = _flac(source, parts.ranges[0], sound, stack)
        return OpenSound(sound, sound.subtype, num_frames, is_estimate=num_frames > _UNKNOWN_FRAMES)
    if samples is not None:
        _tell_of_rest(source, samples, sound)
        if sound.format == "WAV" and sound.subtype == "GSM610" and samples.promised:
            # libsndfile takes the byte that makes the chunk even for one more block, of noise.
            num_frames = min(sound.frames, samples.promised // _GSM_BYTES * _GSM_SAMPLES)
            return OpenSound(JoinedSound([sound], num_frames), sound.subtype, num_frames, is_estimate=False)
    return OpenSound(sound, sound.subtype, sound.frames, is_estimate=sound.frames > _UNKNOWN_FRAMES)


def _page_damage(source: Source, parts: Parts) -> str:
    """What is wrong with the pages of an Ogg file; decoders pass over it, and put what follows earlier."""
    what = [f"pages that are missing: {parts.missing}"] if parts.missing else []
    if parts.damaged:
        what.insert(0, f"pages with a wrong checksum: {len(parts.damaged)}, the first at byte {parts.damaged[0]}")
    return (
        f"damaged: {', '.join(what)}; expected a whole Ogg file, or what ffmpeg can save of it,"
        f" 'ffmpeg -i {source.name} SAVED.flac'"
    )


def _tell_of_rest(source: Source, samples: SampleChunk, sound: soundfile.SoundFile) -> None:
    """Say what is behind the samples that the header tells of, if it may be sound."""
    if samples.unexplained and not samples.is_empty:
        promised = sound.frames / sound.samplerate
        seconds = promised * samples.unexplained / samples.promised if samples.promised else 0.0
        source.warn(
            f"its header says {promised:.2f} s of sound, and behind them are {samples.unexplained} bytes that belong"
            f" to nothing, as many as {seconds:.2f} s take; they were left out"
        )


def _open(file: Path | BinaryIO | SplicedFile, stack: contextlib.ExitStack) -> soundfile.SoundFile:
    """A file that libsndfile decodes."""
    try:
        # As bytes, which may be any: soundfile takes UTF-8 only where it gets text.
        return stack.enter_context(SequentialSoundFile(os.fsencode(file) if isinstance(file, Path) else file))
    except (soundfile.LibsndfileError, TypeError) as error:
        why = (getattr(error, "error_string", "") or "a format without a header").strip().rstrip(".")
        raise _RefusedError(f"libsndfile: {why}", foreign=getattr(error, "code", _FOREIGN[0]) in _FOREIGN) from error


def _spliced(
    source: Source, pieces: Sequence[Piece], stack: contextlib.ExitStack, claimed: int = 0
) -> soundfile.SoundFile:
    return _open(SplicedFile(source.file, pieces, claimed), stack)


def _joined(source: Source, parts: Parts, stack: contextlib.ExitStack) -> OpenSound:
    """Files one behind the other."""
    if len(parts.ranges) > _MOST_PARTS:  # each takes memory as long as it is open
        raise source.error(f"{len(parts.ranges)} files one behind the other, expected at most {_MOST_PARTS}")
    sounds: list[soundfile.SoundFile] = []
    num_frames = 0
    try:
        for part in parts.ranges:
            sound = _spliced(source, [part], stack)
            length = sound.frames
            if sound.format == "FLAC":
                sound, length = _flac(source, part, sound, stack)
            sounds.append(sound)
            num_frames += length
        joined = JoinedSound(sounds)
    except _RefusedError as refusal:
        where = f"file {len(sounds) + 1} of {len(parts.ranges)} that stand one behind the other in it"
        raise source.error(f"{where} cannot be read: {refusal}") from refusal
    except ValueError as error:
        raise source.error(f"{len(parts.ranges)} files one behind the other, and {error}; expected one form") from error
    source.warn(f"{len(parts.ranges)} files one behind the other; all of them are read")
    if parts.is_cut:
        source.warn("the file does not end as an Ogg file does; it may be cut off")
    return OpenSound(joined, joined.subtype, num_frames, is_estimate=num_frames > _UNKNOWN_FRAMES)


def _repaired(source: Source, samples: SampleChunk, stack: contextlib.ExitStack) -> OpenSound:
    """A file whose header is wrong about where or how long its samples are, or read wrongly by libsndfile."""
    source.file.seek(0)
    is_wav = source.file.read(4) in (b"RIFF", b"RF64", b"BW64")
    sound = _spliced(source, (with_length if is_wav else with_known_end)(source.file, samples), stack)
    if samples.is_empty:
        source.warn(
            f"its header says that it holds no samples, as of a recording that was interrupted; behind it are"
            f" {sound.frames / sound.samplerate:.2f} s of sound, and they are read"
        )
    elif samples.unpadded:
        source.warn("the chunks of its header are not padded as they should be; it is read all the same")
    _tell_of_rest(source, samples, sound)
    return OpenSound(sound, sound.subtype, sound.frames, is_estimate=False)


def _flac(
    source: Source, part: range, sound: soundfile.SoundFile, stack: contextlib.ExitStack
) -> tuple[soundfile.SoundFile, int]:
    """A FLAC file that tells its true length, and that length."""
    found = flac_frames(source.file, part)
    source.file.seek(0)
    if found is None or found[0] == found[1]:
        return sound, sound.frames
    told, there = found
    if told > there:
        lasts = [f"{frames / sound.samplerate:.2f} s" for frames in (told, there)]
        raise source.error(
            f"the file is cut off: its header says {lasts[0]}, but it holds {lasts[1]} ({told} and {there} samples)"
        )
    if told:
        source.warn(
            f"its header says {told / sound.samplerate:.2f} s of sound, but there are"
            f" {there / sound.samplerate:.2f} s; all of them are read"
        )
    sound.close()
    return _spliced(source, with_flac_frames(source.file, part, there), stack), there


def _mpeg(
    source: Source, sound: soundfile.SoundFile, samples: SampleChunk | None, stack: contextlib.ExitStack
) -> OpenSound:
    """MPEG audio, all of its frames."""
    where = None if samples is None else range(samples.position, samples.position + (samples.promised or samples.there))
    stream = find_frames(source.file, where)
    source.file.seek(0)
    if stream is None:
        return OpenSound(sound, sound.subtype, sound.frames, is_estimate=True)
    if stream.changes:
        what = f"its frames contradict each other: {'; '.join(stream.changes[:_SHOWN])}"
        sound.close()
        if not has_ffmpeg():
            raise source.error(f"{what}; ffmpeg, which makes one sound of them, is missing")
        raise _RefusedError(what)
    _tell_of_frames(source, stream)
    as_it_is = len(stream.parts) == 1 and not (stream.lost or stream.behind) and sound.frames >= stream.num_samples
    if as_it_is:
        return OpenSound(sound, sound.subtype, stream.num_samples, is_estimate=True)
    sounds = [_spliced(source, part.pieces(), stack, part.claimed_bytes) for part in stream.parts]
    return OpenSound(JoinedSound(sounds), sound.subtype, stream.num_samples, is_estimate=True)


def _tell_of_frames(source: Source, stream: MpegStream) -> None:
    """Say where the headers of an MP3 lie, and where something is missing."""
    if len(stream.parts) > 1:
        source.warn(f"{len(stream.parts)} MP3 files one behind the other; all of them are read")
    for part in stream.parts:
        told, there = part.told_frames, part.num_frames
        if told is None or told == there:
            continue
        lasts = [f"{frames * part.frame_samples / part.rate_hz:.2f} s" for frames in (told, there)]
        if told - there > max(1, told // _TOLERANCE) and (part.told_bytes or 0) > sum(map(len, part.ranges)):
            raise source.error(f"the file is cut off: its header says {lasts[0]}, but it holds {lasts[1]}")
        if abs(told - there) > 1:
            source.warn(f"its header says {lasts[0]}, but its frames last {lasts[1]}; all of them are read")
    if stream.cut:
        source.warn("its last frame is not whole; the file may be cut off")
    if stream.behind and not stream.is_padding:
        source.warn(
            f"{stream.behind} bytes behind its last frame are no MP3, as many as {_lost_s(stream, stream.behind):.2f} s"
            " take; they were left out"
        )
    for seconds, count in stream.lost[:_SHOWN]:
        source.warn(
            f"{count} bytes after {seconds:.2f} s are no MP3; about {_lost_s(stream, count):.2f} s of sound are missing"
            " there, and what follows is earlier by as much"
        )
    if len(stream.lost) > _SHOWN:
        count = sum(count for _, count in stream.lost[_SHOWN:])
        source.warn(f"at {len(stream.lost) - _SHOWN} more places {_lost_s(stream, count):.2f} s of sound are missing")


def _lost_s(stream: MpegStream, count: int) -> float:
    """How long so many bytes would last in a stream."""
    there = sum(len(piece) for part in stream.parts for piece in part.ranges)
    return count / there * sum(part.num_frames * part.frame_samples / part.rate_hz for part in stream.parts)

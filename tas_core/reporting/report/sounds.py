"""The sounds of a report: the files, the tracks that the page plays, and the levels of both."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile

from tas_core.audio.excerpt import Excerpt
from tas_core.audio.levels import LevelMeter, MeasuredLevels, levels_of
from tas_core.audio.reader import AudioReader
from tas_core.audio.resampling import resample, to_mono
from tas_core.audio.true_peak import FULL_SCALE
from tas_core.audio.writer import peak
from tas_core.conventions import amplitude_to_db, power_to_db
from tas_core.errors import AudioError, InputError
from tas_core.inference.baselines import through_head
from tas_core.reporting.html_page import flac_bytes
from tas_core.timeline.segments import Timeline

TRACKS: Final = ("input", "output", "hrtf")
"""Names of the tracks of a page, in the order of their keys."""

MAX_PLAYED_S: Final = 600.0
"""Of longer files a page holds the beginning only: in a browser, ten minutes at 48 kHz already take 0.6 GB."""

MAX_RATE_HZ: Final = 48_000
MAX_FLAC_BYTES: Final = 40_000_000
"""Beyond this size all sounds of a page are Ogg Vorbis."""

LENGTH_TOLERANCE_S: Final = 0.1
"""An output may differ from its source by this much in length."""

_BLOCK_FRAMES: Final = 2**18
_VORBIS_FRAMES: Final = 2**16  # longer blocks overflow libsndfile's stack


@dataclass(frozen=True)
class SoundFile:
    """A file, or an excerpt of one: facts about all of it, and the samples of its beginning.

    Attributes:
        path: where it is.
        sha256: of its bytes, hexadecimal.
        format: container in libsndfile's words.
        subtype: sample encoding in libsndfile's words.
        sample_rate_hz: its own rate.
        num_channels: its own channels.
        file_frames: samples per channel in the file.
        num_frames: samples per channel in the excerpt, which all below is about.
        levels: of all of it.
        beginning: (channel, time), at most :data:`MAX_PLAYED_S`; one channel if the file was mixed down.
    """

    path: Path
    sha256: str
    format: str
    subtype: str
    sample_rate_hz: int
    num_channels: int
    file_frames: int
    num_frames: int
    levels: MeasuredLevels
    beginning: np.ndarray

    @property
    def duration_s(self) -> float:
        """Length of the excerpt, seconds."""
        return self.num_frames / self.sample_rate_hz


def read_sound(path: Path, *, mix_down: bool, excerpt: Excerpt = Excerpt()) -> SoundFile:  # noqa: B008 - frozen
    """Read a file block by block; memory depends on the samples that are kept only.

    Args:
        path: audio file.
        mix_down: whether to keep, and to measure the loudness of, the mean of its channels in both ears.
        excerpt: what to read of it.

    Raises:
        AudioError: as :class:`tas_core.audio.reader.AudioReader`; or a pipe, which cannot be read twice.
        InputError: as :meth:`tas_core.audio.excerpt.Excerpt.span`.
    """
    if path.is_fifo():
        raise AudioError(f"{path}: a pipe, expected a file that can be read again")
    with AudioReader(path, excerpt.track) as reader:
        rate_hz, file_frames = reader.sample_rate_hz, reader.count_frames()
        start, stop = excerpt.span(reader, file_frames)
        reader.seek(start)
        channels = reader.num_channels if excerpt.channel is None else 1
        meter = LevelMeter(rate_hz, channels, mix_down=mix_down)
        wanted = round(MAX_PLAYED_S * rate_hz)
        kept, count = [], 0
        most = reader.at_once(_BLOCK_FRAMES)
        while (block := reader.read(min(most, stop - start - count))).shape[1]:
            block = block if excerpt.channel is None else block[excerpt.channel - 1 : excerpt.channel]
            meter.add(block)
            if count < wanted:
                kept.append((to_mono(block)[None] if mix_down else block)[:, : wanted - count])
            count += block.shape[1]
        return SoundFile(
            path=path,
            sha256=_sha256(path),
            format=reader.format,
            subtype=reader.subtype,
            sample_rate_hz=rate_hz,
            num_channels=reader.num_channels,
            file_frames=file_frames,
            num_frames=count,
            levels=meter.levels(),
            beginning=np.concatenate(kept, axis=1),
        )


@dataclass(frozen=True)
class PlayedTrack:
    """The sound that a page plays under one key.

    Attributes:
        ears: (ear, time) float32, full scale 1.
        levels: of these samples.
        match_db: by how much it is turned down to be as loud as the quietest track, at most 0; None if the loudness of
            a track is not known.
    """

    ears: np.ndarray
    levels: MeasuredLevels
    match_db: float | None


@dataclass(frozen=True)
class Played:
    """The tracks of a page by their names (:data:`TRACKS`), alike in rate and length, and the timeline for them.

    Attributes:
        tracks: name -> track.
        sample_rate_hz: of all tracks.
        timeline: the segments that the page plays, all ends closed; None if it plays none.
        mono_sum_error_db: level of the difference between (L + R) / 2 of the output and the input, over that of
            the input, dB, after the gain that fits best; -inf where they are equal, None in silence.
        mono_sum_gain_db: that gain, dB; None where the two have nothing in common.
    """

    tracks: Mapping[str, PlayedTrack]
    sample_rate_hz: int
    timeline: Timeline | None
    mono_sum_error_db: float | None
    mono_sum_gain_db: float | None

    @property
    def duration_s(self) -> float:
        """Length, seconds."""
        return self.tracks["output"].ears.shape[-1] / self.sample_rate_hz


def check_lengths(source: SoundFile, output: SoundFile) -> None:
    """Check that an output can have been made of a source.

    Raises:
        InputError: they differ in length by more than 0.1 s.
    """
    if abs(source.duration_s - output.duration_s) > LENGTH_TOLERANCE_S:
        raise InputError(
            f"{output.path}: lasts {output.duration_s:.2f} s, but the source {source.path} lasts"
            f" {source.duration_s:.2f} s, expected the file that the output was made of, or the start of a passage"
        )


def play(source: SoundFile, output: SoundFile, timeline: Timeline, start_s: float = 0.0) -> Played:
    """The tracks of a page.

    Args:
        source: one channel kept.
        output: two channels kept.
        timeline: with all ends closed for the whole source.
        start_s: where the output begins in the timeline, seconds.
    """
    rate_hz = min(MAX_RATE_HZ, output.sample_rate_hz)
    ears = resample(output.beginning.astype(np.float32), output.sample_rate_hz, rate_hz)
    mono = resample(source.beginning[0].astype(np.float32), source.sample_rate_hz, rate_hz, ears.shape[-1])
    both = np.broadcast_to(mono, ears.shape)
    part = timeline.cut_out(start_s, start_s + ears.shape[-1] / rate_hz)
    head = both if part is None else through_head(mono, rate_hz, part).astype(np.float32)
    sounds = {"input": both, "output": ears, "hrtf": head}
    whole = {"input": source, "output": output}
    levels = {name: _levels(sound, rate_hz, whole.get(name)) for name, sound in sounds.items()}
    known = [each.loudness_lufs for each in levels.values() if each.loudness_lufs is not None]
    target = min(known) if len(known) == len(levels) else None
    tracks = {
        name: PlayedTrack(
            sound,
            levels[name],
            None if target is None else target - (levels[name].loudness_lufs or 0.0),
        )
        for name, sound in sounds.items()
    }
    error_db, gain_db = _mono_sum(ears, mono)
    return Played(tracks, rate_hz, part, error_db, gain_db)


def _levels(samples: np.ndarray, sample_rate_hz: int, file: SoundFile | None) -> MeasuredLevels:
    """Levels of samples (channel, time); those of a file if they are all of it."""
    if file is not None and (file.num_frames, file.sample_rate_hz) == (samples.shape[-1], sample_rate_hz):
        return file.levels
    return levels_of(samples, sample_rate_hz)


def encode_tracks(played: Played) -> tuple[str, dict[str, bytes], float]:
    """Audio files of all tracks: the name of their format, the files by track, and the gain they share.

    FLAC of 16 bits, lossless and played everywhere; Ogg Vorbis where that would be too large. The input is one channel.
    The gain is below 1 where a track would clip.
    """
    loudest = max(peak(track.ears) for track in played.tracks.values())
    gain = min(1.0, FULL_SCALE / loudest) if loudest > 0 else 1.0
    rate_hz = played.sample_rate_hz

    def sound(name: str) -> np.ndarray:
        return gain * played.tracks[name].ears[: 1 if name == "input" else 2]

    files = {name: flac_bytes(sound(name), rate_hz) for name in played.tracks}
    if sum(map(len, files.values())) <= MAX_FLAC_BYTES:
        return "FLAC, 16 bit", files, gain
    return "Ogg Vorbis", {name: _vorbis(sound(name), rate_hz) for name in played.tracks}, gain


def _vorbis(samples: np.ndarray, sample_rate_hz: int) -> bytes:
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", sample_rate_hz, len(samples), "VORBIS", format="OGG") as writer:
        for start in range(0, samples.shape[-1], _VORBIS_FRAMES):
            writer.write(samples[:, start : start + _VORBIS_FRAMES].T)
    return file.getvalue()


def _mono_sum(ears: np.ndarray, mono: np.ndarray) -> tuple[float | None, float | None]:
    """Error and gain, dB, see :class:`Played`."""
    total, mono = ears.mean(axis=0, dtype=np.float64), mono.astype(np.float64)
    power = float(mono @ mono)
    gain = float(total @ mono) / power if power > 0 else 0.0
    if gain <= 0:
        return None, None
    rest = total - gain * mono
    return power_to_db(float(rest @ rest) / (gain * gain * power)), amplitude_to_db(gain)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

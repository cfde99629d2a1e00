"""Sounds of objects that are given as files: found, checked, and read side by side in constant memory."""

from __future__ import annotations

import contextlib
import itertools
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from tas_core.audio.formats import is_readable
from tas_core.audio.parts import PartsMeter
from tas_core.audio.reader import AudioReader
from tas_core.audio.resampling import resampled_length, resampled_pieces, to_mono
from tas_core.conventions import db_to_amplitude
from tas_core.errors import InputError, visible
from tas_core.inference.blocks import in_lengths
from tas_core.system.files import check_path, is_url
from tas_core.timeline.matching import REST
from tas_core.timeline.sources import SourceFile

_BLOCK_FRAMES: Final = 2**17
_OUTLASTS_S: Final = 0.1
_DEPTHS: Final = ("PCM_S8", "PCM_U8", "ULAW", "ALAW", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
"""Sample encodings by the depth that they keep; lossy ones are none of them."""


def named_sources(texts: Sequence[str]) -> tuple[SourceFile, ...]:
    """Sources as people name them on one line.

    Args:
        texts: ``NAME=FILE``; or a file alone, or a folder of files, which are called as the objects are.

    Raises:
        InputError: another form, an address, a file or a folder that is not there, or a name with a sign of equality
            in it.
    """
    found: list[SourceFile] = []
    for text in texts:
        if is_url(text):
            check_path(text)
        if os.path.isdir(text):
            files = sorted(path for path in Path(text).iterdir() if path.is_file() and is_readable(path.name))
            files = [path for path in files if not path.name.startswith(".")]
            if not files:
                raise InputError(f"{text}: no audio files in the folder")
            found += [SourceFile(path.stem, path) for path in files]
        elif os.path.isfile(text):
            found.append(SourceFile(Path(text).stem, Path(text)))
        else:
            found.append(_named(text))
    return tuple(found)


def _named(text: str) -> SourceFile:
    parts = text.split("=")
    splits = [("=".join(parts[:n]), "=".join(parts[n:])) for n in range(1, len(parts))]
    splits = [(name, file) for name, file in splits if name.strip() and file]
    if not splits:
        raise InputError(f"source {visible(text)!r}: expected NAME=FILE, a file or a folder that is there")
    there = [split for split in splits if os.path.isfile(split[1])]
    if len(splits) > 1 and len(there) != 1:
        raise InputError(
            f"source {visible(text)!r}: more than one sign of equality, and {'several' if there else 'none'} of what is"
            " behind one is a file; expected NAME=FILE with one"
        )
    name, file = (there or splits)[0]
    check_path(file)
    return SourceFile(name.strip(), Path(file))


@dataclass(frozen=True)
class OpenedSource:
    """A source whose file was looked into.

    Attributes:
        source: as it was given.
        sample_rate_hz: of the file.
        file_channels: of the file; more than two are mixed down.
        num_frames: samples per channel of the file.
        subtype: sample encoding.
    """

    source: SourceFile
    sample_rate_hz: int
    file_channels: int
    num_frames: int
    subtype: str

    @property
    def channels(self) -> int:
        """Channels that it is taken with, 1 or 2."""
        return self.file_channels if self.file_channels < 3 else 1

    def end(self, rate_hz: int) -> int:
        """Number of the sample behind its last one at a rate."""
        return round(self.source.start_s * rate_hz) + resampled_length(self.num_frames, self.sample_rate_hz, rate_hz)

    def samples(self, first: int, rate_hz: int) -> Iterator[np.ndarray]:
        """Its samples (channel, time) float64 from number ``first`` of the whole on, and silence without end."""
        begin = round(self.source.start_s * rate_hz)
        for at in range(first, begin, _BLOCK_FRAMES):
            yield np.zeros((self.channels, min(_BLOCK_FRAMES, begin - at)))
        gain = db_to_amplitude(self.source.gain_db)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said when it was looked into
            reader = AudioReader(self.source.file)
        with reader:
            skip = max(0, first - begin)
            if rate_hz == self.sample_rate_hz:
                reader.seek(min(skip, self.num_frames))
                skip = 0
            pieces = self._pieces(reader)
            if rate_hz != self.sample_rate_hz:
                pieces = resampled_pieces(pieces, self.sample_rate_hz, rate_hz)
            for piece in pieces:
                kept = piece[:, min(skip, piece.shape[1]) :]
                skip -= piece.shape[1] - kept.shape[1]
                if kept.shape[1]:
                    yield gain * kept.astype(np.float64)
        while True:
            yield np.zeros((self.channels, _BLOCK_FRAMES))

    def _pieces(self, reader: AudioReader) -> Iterator[np.ndarray]:
        while (block := reader.read(reader.at_once(_BLOCK_FRAMES))).shape[1]:
            yield block if len(block) < 3 else to_mono(block)[None]


@dataclass(frozen=True)
class GivenSources:
    """Sources of one request, opened; made by :func:`open_sources`.

    Attributes:
        by_object: by the object whose sound it is; "rest", if it is there, is last.
        sample_rate_hz: at which they are read.
        estimated: objects whose sounds nobody gave: a separator found them.
    """

    by_object: dict[str, OpenedSource]
    sample_rate_hz: int
    estimated: frozenset[str] = frozenset()

    @property
    def num_samples(self) -> int:
        """Samples until the last of them ends."""
        return max(item.end(self.sample_rate_hz) for item in self.by_object.values())

    @property
    def channels(self) -> dict[str, int]:
        """Channels of the objects' sounds, without the rest."""
        return {name: item.channels for name, item in self.by_object.items() if name != REST or not self.has_rest}

    @property
    def has_rest(self) -> bool:
        """Whether the last is no object, but all else."""
        return REST in self.by_object and next(reversed(self.by_object)) == REST

    @property
    def subtype(self) -> str:
        """The deepest sample encoding among them."""
        kinds = [item.subtype for item in self.by_object.values()]
        return max(kinds, key=lambda kind: _DEPTHS.index(kind) if kind in _DEPTHS else -1)

    @property
    def name(self) -> str:
        """What they are called in messages."""
        first, *others = (str(item.source.file) for item in self.by_object.values())
        return f"{first} and {len(others)} more" if others else first

    def blocks(self, first: int, stop: int) -> Iterator[np.ndarray]:
        """All sounds side by side (row, time) float64, from one sample to another: the channels of each, in order."""
        lengths = [min(_BLOCK_FRAMES, stop - at) for at in range(first, stop, _BLOCK_FRAMES)]
        readers = [in_lengths(item.samples(first, self.sample_rate_hz), lengths) for item in self.by_object.values()]
        for parts in zip(*readers, strict=True):
            yield np.concatenate(parts)

    def rows(
        self, first: int, whole: Iterable[np.ndarray] | None, stop: int, *, stereo: bool = False
    ) -> Iterator[np.ndarray]:
        """The objects' sounds, and last what else there is, (row, time): of an input what they leave.

        Args:
            first: number of the first sample.
            whole: the input from that sample on, (time) or (channel, time), in pieces; None if there is none.
            stop: number of the last sample, and one.
            stereo: whether what else there is has two channels.
        """
        count, channels = sum(self.channels.values()), 2 if stereo else 1
        sounds = self.blocks(first, stop)
        if whole is None:
            for block in sounds:
                rest = block[count:] if self.has_rest else np.zeros((1, block.shape[1]))
                rest = np.broadcast_to(rest if stereo else rest.mean(axis=0), (channels, block.shape[1]))
                yield np.concatenate([block[:count], rest])
            return
        lengths = [min(_BLOCK_FRAMES, stop - at) for at in range(first, stop, _BLOCK_FRAMES)]
        for block, x in zip(sounds, in_lengths(whole, lengths), strict=True):
            parts = self._parts(block[:count]) if stereo else self.mono(block[:count])
            yield np.concatenate([block[:count], np.atleast_2d(x) - sum(parts)])

    def _parts(self, rows: np.ndarray) -> list[np.ndarray]:
        """Sounds of rows (row, time), each (channel, time) with one channel or two."""
        ends = list(itertools.accumulate(self.channels.values(), initial=0))
        return [rows[a:b] for a, b in itertools.pairwise(ends)]

    def mono(self, rows: np.ndarray) -> np.ndarray:
        """Sounds (object, time) of rows (row, time), each mixed down."""
        return np.stack([part.mean(axis=0) for part in self._parts(rows)])

    def check_sum(self, whole: Iterable[np.ndarray], name: str, num_samples: int) -> None:
        """See that an input is the sum of the objects' sounds and of something else.

        Args:
            whole: the input (time) in pieces, from its beginning.
            name: of it, for messages.
            num_samples: its length.

        Warns:
            UserWarning: a sound outlasts the input.

        Raises:
            InputError: it is not, or a rest is given beside it.
        """
        if self.has_rest:
            source = self.by_object[REST].source
            raise source.error(f"{source.file}: the rest is what the objects leave of {name}, expected no file for it")
        meter = PartsMeter(len(self.channels))
        lengths = [min(_BLOCK_FRAMES, num_samples - at) for at in range(0, num_samples, _BLOCK_FRAMES)]
        for block, x in zip(self.blocks(0, num_samples), in_lengths(whole, lengths), strict=True):
            meter.add(self.mono(block), x.astype(np.float64))
        files = [f"{item.source.file}" for item in self.by_object.values()]
        meter.check(files, name, self.sample_rate_hz)
        for item in self.by_object.values():
            over_s = (item.end(self.sample_rate_hz) - num_samples) / self.sample_rate_hz
            if over_s > _OUTLASTS_S:
                warnings.warn(f"{item.source.file}: it outlasts {name} by {over_s:.3g} s; it is cut", stacklevel=4)


def open_sources(sources: Mapping[str, SourceFile], sample_rate_hz: int | None = None) -> GivenSources:
    """Look into the files of sources.

    Args:
        sources: by object, the rest last.
        sample_rate_hz: at which they are read; None is the highest rate among them.

    Warns:
        UserWarning: more than two channels are mixed down; as :class:`tas_core.audio.reader.AudioReader`.

    Raises:
        InputError: a file that cannot be read, or not twice.
    """
    opened: dict[str, OpenedSource] = {}
    for name, source in sources.items():
        try:
            if os.path.exists(source.file) and not os.path.isfile(source.file):
                raise InputError(f"{source.file}: not a regular file, and a source is read twice; expected a file")
            with AudioReader(source.file) as reader:
                frames = reader.count_frames()
                opened[name] = OpenedSource(source, reader.sample_rate_hz, reader.num_channels, frames, reader.subtype)
        except InputError as error:
            raise source.error(str(error)) from error
        if opened[name].file_channels > 2:
            warnings.warn(f"{source.file}: {opened[name].file_channels} channels mixed down to mono", stacklevel=2)
    return GivenSources(opened, sample_rate_hz or max(item.sample_rate_hz for item in opened.values()))


class SourceMix(AudioReader):
    """The sum of given sounds in place of an input: mono, as long as the last of them lasts.

    Args:
        sources: the sounds.
        path: what the request is named after.

    Attributes:
        sample_rate_hz: the highest among the sounds.
        subtype: the deepest sample encoding among them.
    """

    def __init__(self, sources: GivenSources, path: Path) -> None:
        self._sources, self._stack = sources, contextlib.ExitStack()
        self.path, self.name = path, sources.name
        self.sample_rate_hz, self.num_frames = sources.sample_rate_hz, sources.num_samples
        self.subtype, self.format = sources.subtype, ""
        self.num_channels = self.track = 1
        self.tags = {}
        self._position = 0

    def count_frames(self) -> int:
        """Samples, which are known."""
        return self.num_frames

    def seek(self, frame: int) -> None:
        """Go on reading at a sample, counted from 0."""
        self._position = frame

    def read(self, num_frames: int) -> np.ndarray:
        """The next samples of the sum, (1, time); fewer than requested only at the end."""
        stop = min(self._position + num_frames, self.num_frames)
        blocks = [
            rows[-1] + self._sources.mono(rows[:-1]).sum(axis=0)
            for rows in self._sources.rows(self._position, None, stop)
        ]
        self._position = stop
        return np.concatenate([np.zeros(0), *blocks])[None]

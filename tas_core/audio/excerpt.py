"""A part of an audio file: from where, how much, and which channel."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tas_core.audio.reader import AudioReader
from tas_core.errors import InputError


@dataclass(frozen=True)
class Excerpt:
    """The part of an audio file that is used; all of it by default.

    Args:
        channel: the channel that is used, counted from 1; None is all of them.
        start_s: where it begins, seconds, 0 or more.
        duration_s: its length, seconds, more than 0; None, and anything too long, is to the end of the file.
        track: the audio track of a film, counted from 1; None is the file's default. Who opens the file takes it.

    Raises:
        InputError: a value out of range.
    """

    channel: int | None = None
    start_s: float = 0.0
    duration_s: float | None = None
    track: int | None = None

    def __post_init__(self) -> None:
        if self.channel is not None and self.channel < 1:
            raise InputError(f"the channel is {self.channel}, expected 1 or more")
        if self.track is not None and self.track < 1:
            raise InputError(f"the audio track is {self.track}, expected 1 or more")
        if not 0 <= self.start_s < math.inf:
            raise InputError(f"the start is {self.start_s} s, expected 0 or more")
        if self.duration_s is not None and not 0 < self.duration_s < math.inf:
            raise InputError(f"the duration is {self.duration_s} s, expected more than 0")

    def span(self, reader: AudioReader, num_frames: int) -> tuple[int, int]:
        """First frame of the excerpt in an open file, and the frame after its last one; at least one frame.

        Args:
            reader: the file.
            num_frames: as :meth:`tas_core.audio.reader.AudioReader.count_frames`, which may take time, has counted.

        Raises:
            InputError: the file is too short or has too few channels.
        """
        if self.channel is not None and self.channel > reader.num_channels:
            raise InputError(f"{reader.name}: there is no channel {self.channel}, expected 1 to {reader.num_channels}")
        rate_hz = reader.sample_rate_hz
        start = round(min(self.start_s, num_frames / rate_hz + 1) * rate_hz)
        if start >= num_frames:
            raise InputError(
                f"{reader.name}: the start is {self.start_s:g} s, expected less than {num_frames / rate_hz:g} s"
            )
        length = num_frames
        if self.duration_s is not None and self.duration_s * rate_hz < num_frames:
            length = max(1, round(self.duration_s * rate_hz))
        return start, min(num_frames, start + length)

"""Channels and rates: two ears, mixing down, and resampling with libsoxr."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from tas_core.errors import AudioError


def require_ears(name: object, num_channels: int) -> None:
    """See that a sound is one of two ears.

    Args:
        name: of the sound in the message, such as its path.
        num_channels: channels that it has.

    Raises:
        AudioError: not two.
    """
    if num_channels != 2:
        raise AudioError(f"{name}: {num_channels} channel{'s' * (num_channels != 1)}, expected two, left and right")


def to_mono(samples: np.ndarray) -> np.ndarray:
    """Mean of channels (channel, time), (time,), in the same dtype; one channel comes back as it is."""
    if len(samples) == 1:
        return samples[0]
    return samples.mean(axis=0, dtype=np.float64).astype(samples.dtype)


def resampled_length(num_frames: int, from_hz: int, to_hz: int) -> int:
    """Samples after resampling: ``num_frames * to_hz / from_hz``, rounded, halves up, and at least 1 of 1."""
    return max(min(num_frames, 1), (2 * num_frames * to_hz + from_hz) // (2 * from_hz))


def resample(samples: np.ndarray, from_hz: int, to_hz: int, num_frames: int | None = None) -> np.ndarray:
    """Band-limited resampling without delay (soxr, very high quality).

    Args:
        samples: (..., time), float32 or float64.
        from_hz: rate of the samples.
        to_hz: rate of the result.
        num_frames: length of the result, by default :func:`resampled_length`; the result is cut or
            filled with zeros at its end. Pass the original length to come back from another rate.

    Returns:
        (..., num_frames), dtype of the samples.
    """
    if num_frames is None:
        num_frames = resampled_length(samples.shape[-1], from_hz, to_hz)
    flat = samples.reshape(math.prod(samples.shape[:-1]), samples.shape[-1])
    result = np.zeros((len(flat), num_frames), dtype=samples.dtype)
    for row, channel in zip(result, flat, strict=True):
        new = channel if from_hz == to_hz else soxr.resample(channel, from_hz, to_hz, quality="VHQ")
        row[: len(new)] = new[:num_frames]
    return result.reshape(*samples.shape[:-1], num_frames)


def resampled_pieces(pieces: Iterable[np.ndarray], from_hz: int, to_hz: int) -> Iterator[np.ndarray]:
    """Band-limited resampling of a signal that comes in pieces (channel, time), as :func:`resample` does it at once."""
    stream, channels = None, 0
    for piece in pieces:
        if stream is None:
            channels = len(piece)
            stream = soxr.ResampleStream(from_hz, to_hz, channels, dtype="float64", quality="VHQ")
        yield stream.resample_chunk(np.ascontiguousarray(piece.T, np.float64)).T
    if stream is not None:
        yield stream.resample_chunk(np.zeros((0, channels)), last=True).T

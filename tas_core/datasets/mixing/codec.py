"""A lossy code for clips: some 20 kbit/s at 16 kHz, decoded with torch and the standard library alone.

Blocks of samples overlap by half, go through a sine window and a modified discrete cosine transform (Princen, Johnson
and Bradley, 1987), which has as many coefficients as samples. With frame f, band b and coefficient k in b:

    level[f, b]  = round(log2 mean X[f, k]^2)                       3 dB steps, stored
    step[f, b]   = 2^(((level[f, b] + reference) // 2 - FINENESS) / 2)
    q[f, k]      = sign(X) floor(|X| / step + 0.35)                 stored

``reference`` is the clip's own level, stored. So noise follows the spectrum halfway: a band 20 dB below the clip's
level has 10 dB less noise and 10 dB less signal to noise. Levels and coefficients are bytes that LZMA packs;
coefficients that became zero come back as noise of about their power, so that no holes are left in the spectrum. All
arithmetic on what is stored is on integers, hence every machine decodes the same coefficients.
"""

from __future__ import annotations

import lzma
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

FRAME = 512
_EDGES = (0, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512)
_FINENESS = 3
_MOST_PACKED = 2000
"""Samples that a byte may stand for; a clip has six, and silence more."""
_ROUND_UP = 0.35
"""Less than 0.5: small coefficients cost bits and buy little."""
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 4, "lp": 0, "pb": 0}]


@dataclass(frozen=True)
class CodedClips:
    """Clips of one length in coded form; ``levels`` and ``coefficients`` are LZMA streams, ``shape`` (clip, time)."""

    shape: tuple[int, int]
    reference: np.ndarray
    levels: bytes
    coefficients: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.levels) + len(self.coefficients) + self.reference.nbytes


def encode_clips(clips: Tensor) -> CodedClips:
    """Code int16 clips (clip, time)."""
    spectrum = mdct(clips.float())
    power = torch.zeros(*spectrum.shape[:2], len(_EDGES) - 1).index_add_(2, _bands(), spectrum.square())
    power = power / torch.tensor(_EDGES).diff()
    level = power.clamp_min(1.0).log2().round().to(torch.uint8)
    reference = _reference(power)
    step, _ = _steps(level, reference)
    coefficients = (spectrum.abs() / step + _ROUND_UP).floor().clamp_max(127) * spectrum.sign()
    return CodedClips(
        (clips.shape[0], clips.shape[1]),
        reference.numpy(),
        lzma.compress(level.numpy().tobytes(), lzma.FORMAT_RAW, filters=_FILTERS),
        lzma.compress(coefficients.to(torch.int8).numpy().tobytes(), lzma.FORMAT_RAW, filters=_FILTERS),
    )


def decode_clips(coded: CodedClips) -> Tensor:
    """Clips (clip, time), int16; the same for the same code.

    Raises:
        ValueError: the streams are damaged or do not fit the shape.
    """
    count, time = coded.shape
    if count < 1 or time < 1 or count * time > _MOST_PACKED * (coded.size + FRAME):
        raise ValueError(f"{count} clips of {time} samples in {coded.size} bytes")
    frames = _frames(time)
    shapes = (count, frames, len(_EDGES) - 1), (count, frames, FRAME)
    level = torch.from_numpy(_unpack(coded.levels, np.uint8, shapes[0]))
    coefficients = torch.from_numpy(_unpack(coded.coefficients, np.int8, shapes[1]))
    step, loudness = _steps(level, torch.from_numpy(coded.reference))
    generator = torch.Generator().manual_seed(0)
    noise = (torch.rand(coefficients.shape, generator=generator) * 2 - 1) * torch.minimum(0.3 * step, 0.6 * loudness)
    # Inside a step small values are likelier than large ones, so its middle is too far out.
    value = (coefficients - 0.05 * coefficients.sign()) * step
    return inverse_mdct(torch.where(coefficients == 0, noise, value), time).round().clamp(-32767, 32767).to(torch.int16)


def mdct(signals: Tensor) -> Tensor:
    """Coefficients (..., frame, FRAME) of signals (..., time), scaled so that a sine window gives back the signal.

    With u = x w cut into quarters (a, b, c, d), the transform is the DCT-IV of (-c' - d, a - b'), ' being reversal.
    """
    time = signals.shape[-1]
    padded = torch.nn.functional.pad(signals, (FRAME, _frames(time) * FRAME - time))
    a, b, c, d = (padded.unfold(-1, 2 * FRAME, FRAME) * _window()).chunk(4, dim=-1)
    return _dct4(torch.cat([-c.flip(-1) - d, a - b.flip(-1)], dim=-1))


def inverse_mdct(spectrum: Tensor, time: int) -> Tensor:
    """Signals (..., time) of coefficients (..., frame, FRAME): the aliases of neighbouring frames cancel."""
    first, second = _dct4(spectrum).chunk(2, dim=-1)
    frames = torch.cat([second, -second.flip(-1), -first.flip(-1), -first], dim=-1) * _window()
    early, late = frames.chunk(2, dim=-1)
    return (late[..., :-1, :] + early[..., 1:, :]).flatten(-2)[..., :time]


def _dct4(x: Tensor) -> Tensor:
    """Orthonormal DCT-IV over the last axis, its own inverse, by a complex FFT of half the size."""
    size = x.shape[-1]
    angle = -torch.pi * (4 * torch.arange(size // 2) + 1) / (4 * size)
    turn = torch.polar(torch.ones(size // 2), angle)
    y = torch.fft.fft(torch.complex(x[..., 0::2], x[..., 1::2].flip(-1)) * turn) * turn
    return torch.stack([y.real, -y.imag.flip(-1)], dim=-1).flatten(-2) * (2 / size) ** 0.5


def _window() -> Tensor:
    return torch.sin(torch.pi * (torch.arange(2 * FRAME) + 0.5) / (2 * FRAME))


def _frames(time: int) -> int:
    return -(-time // FRAME) + 1


def _bands() -> Tensor:
    """Band of each coefficient, (FRAME)."""
    return torch.repeat_interleave(torch.arange(len(_EDGES) - 1), torch.tensor(_EDGES).diff())


def _reference(power: Tensor) -> Tensor:
    """Level of each clip over the frames within 30 dB of its loudest, uint8 (clip), in steps of 3 dB."""
    total = (power * torch.tensor(_EDGES).diff()).sum(dim=2)
    active = total >= 1e-3 * total.amax(dim=1, keepdim=True)
    mean = (total * active).sum(dim=1) / active.sum(dim=1) / FRAME
    return mean.clamp_min(1.0).log2().round().to(torch.uint8)


def _steps(level: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Quantiser step and root mean square of every coefficient's band, (clip, frame, FRAME)."""
    halved = torch.div(level.long() + reference.long()[:, None, None], 2, rounding_mode="floor") - _FINENESS
    bands = _bands()
    return torch.exp2(halved / 2)[..., bands], torch.exp2(level / 2)[..., bands] * (level > 0)[..., bands]


def _unpack(stream: bytes, kind: type, shape: tuple[int, int, int]) -> np.ndarray:
    """Numbers of 8 bits: a few bytes could become any number of them, so no more are unpacked than are wanted."""
    try:
        found = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS).decompress(stream, math.prod(shape) + 1)
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError(f"damaged stream ({error})") from error
    if len(found) != math.prod(shape):
        raise ValueError(f"damaged stream (not the {math.prod(shape)} numbers of its clips)")
    # A bytearray, since torch wants memory that may be written.
    return np.frombuffer(bytearray(found), kind).reshape(shape)

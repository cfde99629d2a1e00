"""List the samples of one soundfont that another soundfont or patch set holds as well, whatever their level.

    python scripts/shared_samples.py TRAINING HELD_OUT

Both are SoundFont 2 files (not compressed) or folders of Gravis patches. Sources that share recordings must not be in
two splits, or what is called unseen was seen. A stretch of 93 ms of each sample of HELD_OUT, at a quarter of its rate,
is correlated with all of TRAINING; copies at another pitch are not found. Short loops of plain waves look alike without
being copies: judge by the names.
"""

from __future__ import annotations

import struct
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import resample_poly

DECIMATION = 4
STRETCH = 1024
ALIKE = 0.9
FAINT = 300.0


@dataclass(frozen=True)
class Sample:
    """A recording within a soundfont: its name, what plays it, and its int16 samples (time)."""

    name: str
    programs: tuple[str, ...]
    samples: np.ndarray


def _chunks(data: bytes) -> dict[str, bytes]:
    """The leaves of a RIFF file by name (SoundFont 2.04, section 4)."""
    found: dict[str, bytes] = {}

    def walk(at: int, end: int) -> None:
        while at + 8 <= end:
            tag, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
            if tag in (b"RIFF", b"LIST"):
                walk(at + 12, at + 8 + size)
            else:
                found[tag.decode("latin1")] = data[at + 8 : at + 8 + size]
            at += 8 + size + size % 2

    walk(0, len(data))
    return found


def _records(data: bytes, layout: str) -> list[tuple]:
    return list(struct.iter_unpack(layout, data[: len(data) // struct.calcsize(layout) * struct.calcsize(layout)]))


def _programs(chunks: dict[str, bytes]) -> dict[int, set[str]]:
    """The presets, as ``bank:program``, by the number of the sample that they play (SoundFont 2.04, section 7)."""
    presets = _records(chunks["phdr"], "<20sHHHIII")
    instruments = _records(chunks["inst"], "<20sH")
    bags = {name: [first for first, _ in _records(chunks[name], "<HH")] for name in ("pbag", "ibag")}
    generators = {name: _records(chunks[name], "<HH") for name in ("pgen", "igen")}

    def values(kind: str, first: int, last: int, operator: int) -> Iterator[int]:
        for bag in range(first, last):
            start, end = bags[kind + "bag"][bag : bag + 2]
            yield from (value for code, value in generators[kind + "gen"][start:end] if code == operator)

    found: dict[int, set[str]] = defaultdict(set)
    for (_, program, bank, first, *_), (_, _, _, last, *_) in zip(presets, presets[1:], strict=False):
        for instrument in values("p", first, last, 41):
            for sample in values("i", instruments[instrument][1], instruments[instrument + 1][1], 53):
                found[sample].add(f"{bank}:{program}")
    return found


def read_samples(path: Path) -> list[Sample]:
    """Every sample of a SoundFont 2 file, or of the patches (``.pat``, 16 bits) in a folder."""
    if path.is_dir():
        files = sorted(path.rglob("*.pat"))
        return [Sample(file.stem, (), _pcm(file.read_bytes()[239:])) for file in files]
    chunks = _chunks(path.read_bytes())
    sound, programs = _pcm(chunks["smpl"]), _programs(chunks)
    headers = _records(chunks["shdr"], "<20s5IBbHH")[:-1]
    return [
        Sample(name.split(b"\0")[0].decode("latin1"), tuple(sorted(programs[number])), sound[start:end])
        for number, (name, start, end, *_) in enumerate(headers)
    ]


def _pcm(data: bytes) -> np.ndarray:
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2")


def _slow(samples: np.ndarray) -> np.ndarray:
    return resample_poly(samples.astype(np.float32), 1, DECIMATION)


def shared(training: Path, held_out: Path) -> Iterator[tuple[float, Sample, Sample]]:
    """Correlation, sample of ``held_out``, and what it is in ``training``, for each that is there too."""
    known = [s for s in read_samples(training) if len(s.samples) > DECIMATION]
    pieces = [_slow(s.samples) for s in known]
    ends = np.cumsum([len(piece) for piece in pieces])
    sound = np.concatenate(pieces)
    power = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    level = np.sqrt(np.maximum(power[STRETCH:] - power[:-STRETCH], 0.0))
    size = next_fast_len(1 << 16, real=True)
    step = size - STRETCH
    spectra = np.stack([rfft(sound[at : at + size], size) for at in range(0, len(sound), step)])
    for sample in read_samples(held_out):
        if len(sample.samples) < STRETCH * DECIMATION * 1.5:
            continue
        slow = _slow(sample.samples)
        at = (len(slow) - STRETCH) // 4
        query = slow[at : at + STRETCH] - slow[at : at + STRETCH].mean()
        if np.linalg.norm(query) < FAINT:
            continue
        product = irfft(spectra * np.conj(rfft(query / np.linalg.norm(query), size)), size, axis=1)
        match = np.abs(product[:, :step].reshape(-1)[: len(level)])
        ratio = np.where(level > FAINT, match / np.maximum(level, FAINT), 0.0)
        best = int(ratio.argmax())
        if ratio[best] > ALIKE:
            yield float(ratio[best]), sample, known[int(np.searchsorted(ends, best, side="right"))]


def main(training: Path, held_out: Path) -> None:
    """Print one line for each sample of ``held_out`` that is in ``training`` too."""
    for ratio, sample, other in shared(training, held_out):
        where = ", ".join(other.programs) or "no preset"
        print(f"{ratio:.3f}  {sample.name} ({', '.join(sample.programs[:4])})  =  {other.name} ({where})")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))

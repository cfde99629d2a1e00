"""List the samples of one soundfont that another soundfont or patch set holds as well, whatever their level.

    python tools/shared_samples.py TRAINING HELD_OUT
    python tools/shared_samples.py FOLDER

Both are SoundFont 2 files (not compressed), folders of Gravis patches, or folders of recordings. With one folder, made
by ``scripts/install-training-material.sh``, the recordings that packages of val and test have of any category, and
those that TASBench-Sim keeps for val and test, are looked for in the packages of training. There, and where both are
folders of recordings, all are brought to 16 kHz, so that copies at another rate are found too.

Sources that share recordings must not be in two splits, or what is called unseen was seen. Places where the signal
crosses zero at the same distances in both are candidates; where the samples around them correlate by 0.98 they are
copies. Copies at another pitch are not found, nor samples below 200 points, of which the number is printed. Loops of
plain waves can look like copies.
"""

from __future__ import annotations

import math
import struct
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

CROSSINGS = 6
"""Distances between zero crossings that have to be the same for a closer look, not all of them alike."""
CLOSER_LOOKS = 400
"""At each sample, spread over it."""
SHORTEST, LONGEST = 200, 4096
"""Points to correlate."""
ALIKE = 0.98
_COMMON_HZ = 16_000


@dataclass(frozen=True)
class Sample:
    """A recording within a soundfont.

    Attributes:
        name: given by the font.
        programs: presets that play it, ``bank:program``; bank 128 is drums.
        samples: int16 (time).
    """

    name: str
    programs: tuple[str, ...]
    samples: np.ndarray

    @cached_property
    def fingerprints(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers that stand for some successive distances between zero crossings, and where each begins (place)."""
        above = self.samples >= 0
        crossings = np.flatnonzero(above[1:] != above[:-1])
        distances = np.diff(crossings)
        if len(distances) < CROSSINGS:
            return np.zeros(0, np.uint64), np.zeros(0, np.int64)
        windows = np.lib.stride_tricks.sliding_window_view(distances, CROSSINGS)
        varied = (windows.max(axis=1) - windows.min(axis=1) > 1) & (windows.sum(axis=1) > 3 * CROSSINGS)
        factors = np.uint64(1099511628211) ** np.arange(CROSSINGS, dtype=np.uint64)
        numbers = (windows.astype(np.uint64) * factors).sum(axis=1, dtype=np.uint64)
        return numbers[varied], crossings[: len(windows)][varied]


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
    size = struct.calcsize(layout)
    return list(struct.iter_unpack(layout, data[: len(data) // size * size]))


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


def read_samples(path: Path, rate_hz: int | None = None) -> list[Sample]:
    """Every sample of a SoundFont 2 file, of the patches (``.pat``, 16 bits) in a folder, or of recordings in one.

    Recordings are brought to ``rate_hz`` if it is given.
    """
    if path.is_dir():
        patches = sorted(path.rglob("*.pat"))
        if not patches:
            return [s for s in (_recording(p, path, rate_hz) for p in sorted(path.rglob("*.*")) if p.is_file()) if s]
        return [sample for file in patches for sample in _patch(file)]
    chunks = _chunks(path.read_bytes())
    sound, programs = _pcm(chunks["smpl"]), _programs(chunks)
    headers = _records(chunks["shdr"], "<20s5IBbHH")[:-1]
    return [
        Sample(name.split(b"\0")[0].decode("latin1"), tuple(sorted(programs[number])), sound[start:end])
        for number, (name, start, end, *_) in enumerate(headers)
    ]


def _pcm(data: bytes) -> np.ndarray:
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2")


def _patch(path: Path) -> Iterator[Sample]:
    """The waves of a Gravis patch; its folder and name begin with what General MIDI numbers it is for."""
    bank = "128" if path.parent.name.startswith("Drum") else "0"
    program = f"{bank}:{int(path.stem.split('_')[0])}"
    data = path.read_bytes()
    # The waves follow headers of an odd number of bytes, so either parity may be the right one; the other is noise.
    for offset in (239, 240):
        yield Sample(path.stem, (program,), _pcm(data[offset:]))


def _recording(path: Path, root: Path, rate_hz: int | None) -> Sample | None:
    """A recording, at another rate if one is given; None if it is none that can be read."""
    import soundfile
    import soxr

    try:
        sound, from_hz = soundfile.read(str(path), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        return None
    sound = sound.mean(axis=1)
    if rate_hz is not None and len(sound):
        sound = soxr.resample(sound, from_hz, rate_hz)
    loudest = max(float(np.abs(sound).max(initial=0.0)), 1e-9)
    return Sample(str(path.relative_to(root)), (), np.round(sound * (32767 / loudest)).astype(np.int16))


def _is_recordings(path: Path) -> bool:
    """Whether it is a folder of recordings, rather than a soundfont or a folder of patches."""
    return path.is_dir() and next(path.rglob("*.pat"), None) is None


def _packaged(folder: Path) -> tuple[list[Sample], list[Sample]]:
    """Recordings below a folder of packages that training uses, and those that are kept for val and test."""
    from tas_core.datasets.sources.catalogue import load_categories
    from tas_core.datasets.sources.package_clips import packaged_files
    from tas_core.datasets.sources.packages import PACKAGES
    from tas_core.datasets.sources.recordings import recording_files, recording_split

    split = {package.name: package.split for package in PACKAGES}
    known: set[Path] = set()
    held_out: set[Path] = set()
    for category in load_categories():
        for package, patterns in category.recorded:
            files = packaged_files(folder, package, patterns)
            (known if split[package] == "train" else held_out).update(files)
        for part in ("val", "test"):
            held_out.update(recording_split(recording_files(category), part))

    def read(paths: set[Path]) -> list[Sample]:
        found = (_recording(p, folder if p.is_relative_to(folder) else Path("/"), _COMMON_HZ) for p in sorted(paths))
        return [sample for sample in found if sample is not None]

    return read(known), read(held_out)


def _likeness(one: np.ndarray, other: np.ndarray, at: int, there: int) -> float:
    """Correlation of two recordings (time) around places that may be the same; 0 where too little is left of one."""
    before = min(at, there, LONGEST // 2)
    after = min(len(one) - at, len(other) - there, LONGEST - before)
    if before + after < SHORTEST:
        return 0.0
    a = one[at - before : at + after].astype(np.float64)
    b = other[there - before : there + after].astype(np.float64)
    a -= np.add.reduce(a) / len(a)
    b -= np.add.reduce(b) / len(b)
    return abs(float(a @ b)) / max(math.sqrt(float(a @ a) * float(b @ b)), 1e-9)


def shared(known: list[Sample], held_out: list[Sample]) -> Iterator[tuple[float, Sample, Sample]]:
    """Correlation, sample of ``held_out``, and what it is in ``known``, for each that is there too."""
    found = [sample.fingerprints for sample in known]
    numbers = np.concatenate([n for n, _ in found])
    places = np.concatenate([p for _, p in found])
    owners = np.repeat(np.arange(len(known)), [len(n) for n, _ in found])
    order = np.argsort(numbers, kind="stable")
    numbers, places, owners = numbers[order], places[order], owners[order]
    for sample in held_out:
        wanted, at = sample.fingerprints
        if not len(wanted):
            continue
        chosen = np.unique(np.linspace(0, len(wanted) - 1, CLOSER_LOOKS).round().astype(int))
        first = np.searchsorted(numbers, wanted[chosen])
        last = np.searchsorted(numbers, wanted[chosen], side="right")
        best, match = 0.0, 0
        for look, start, end in zip(chosen, first, last, strict=True):
            for k in range(start, min(end, start + 5)):
                likeness = _likeness(sample.samples, known[owners[k]].samples, int(at[look]), int(places[k]))
                if likeness > best:
                    best, match = likeness, int(owners[k])
        if best >= ALIKE:
            yield best, sample, known[match]


def main(training: Path, held_out: Path | None) -> None:
    """Print one line for each sample of ``held_out`` that is in ``training`` too."""
    if held_out is None:
        known, wanted = _packaged(training)
    else:
        rate_hz = _COMMON_HZ if all(_is_recordings(path) for path in (training, held_out)) else None
        known, wanted = read_samples(training, rate_hz), read_samples(held_out, rate_hz)
    for ratio, sample, other in shared(known, wanted):
        where = ", ".join(other.programs) or "no preset"
        print(f"{ratio:.3f}  {sample.name} ({', '.join(sample.programs[:4])})  =  {other.name} ({where})")
    short = sum(len(sample.samples) < SHORTEST for sample in wanted)
    print(f"{len(wanted)} samples, {short} of them too short to say")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else None)

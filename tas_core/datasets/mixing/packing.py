"""A small copy of a folder of material, to be sent to another machine: coded excerpts, phrases, room recipes."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tas_core.datasets.mixing.bank import StemBank
from tas_core.datasets.mixing.codec import CodedClips, encode_clips
from tas_core.datasets.mixing.material import room_recipe
from tas_core.datasets.mixing.room_bank import RoomBank
from tas_core.datasets.sources.catalogue import SPLITS, Split
from tas_core.errors import InputError
from tas_core.system.files import make_folder, whole_folder, write_files
from tas_core.system.partial_files import remove_stale
from tas_core.system.progress import ignore

_BLOCK = 64
"""Clips coded together: enough for LZMA to learn from, few enough to decode on many cores."""
_HELD_OUT_FRACTION = 0.05
"""Of the bytes left after one clip of every source: for validation, and for test if it comes along."""
_OVERHEAD = 200_000
"""Bytes kept for names and tables."""


@dataclass(frozen=True)
class PackSettings:
    """What a pack holds.

    Attributes:
        megabytes: of everything in it, at most; one is 10^6 bytes.
        excerpt_s: of a clip, at most.
        rooms: simulated rooms for training.
        seed: of the rooms; that of the bank gives the rooms of the bank.
        with_test: whether test sources come along.
    """

    megabytes: float = 30.0
    excerpt_s: float = 4.0
    rooms: int = 500
    seed: int = 0
    with_test: bool = False


def pack_material(source: Path, out: Path, settings: PackSettings, progress: Callable[[str], None] = ignore) -> None:
    """Write a folder of bounded size that ``tas train`` takes like ``source``.

    The folder appears when all is in it; until then it grows under a hidden name beside its own.

    Every clip is cut to its liveliest excerpt and coded. Every source of every category comes along with one clip;
    sources get what is left in proportion to their clips. Test material stays behind unless requested. Rooms are
    simulated where the folder is opened.

    Args:
        source: folder made by ``tas data bank``.
        out: folder to make.
        settings: what it holds.
        progress: told what is done.

    Raises:
        InputError: ``source`` is no folder of material, ``out`` exists or cannot be made, or not even one clip per
            source fits.
        TasError: writing failed.
    """
    if os.path.lexists(out):
        raise InputError(f"{out}: exists; expected the name of a new folder")
    bank = StemBank.load(source / "bank.safetensors")
    phrases = sorted(source.glob("phrases-*.safetensors"))
    if not phrases:
        raise InputError(f"{source}: holds no phrases; expected a folder of training material", remedy="material")
    splits: list[Split] = [split for split in SPLITS if split != "test" or settings.with_test]
    make_folder(out.parent)
    remove_stale(out.parent)
    with whole_folder(out) as part:
        packer = _packed(bank, phrases, splits, settings)
        packer.save(part / "bank.safetensors")
        write_files({part / path.name: path.read_bytes() for path in phrases})
        for split in splits:
            room_recipe(split, settings.rooms, settings.seed).save(part / f"rooms-{split}.safetensors")
    progress(packer.summary(splits))


def unpack_material(source: Path, out: Path) -> None:
    """Write a folder of training material with all that is made anew whenever a packed one is opened.

    Clips are decoded and rooms simulated, once. The folder appears when all is in it.

    Args:
        source: folder made by ``tas data pack``, or by ``tas data bank``, of which this makes a copy.
        out: folder to make.

    Raises:
        InputError: ``source`` is no folder of material, or ``out`` exists or cannot be made.
        TasError: writing failed.
    """
    if os.path.lexists(out):
        raise InputError(f"{out}: exists; expected the name of a new folder")
    bank = StemBank.load(source / "bank.safetensors")
    make_folder(out.parent)
    remove_stale(out.parent)
    with whole_folder(out) as part:
        bank.save(part / "bank.safetensors")
        for path in sorted(source.glob("rooms-*.safetensors")):
            RoomBank.load(path).save(part / path.name)
        write_files({part / path.name: path.read_bytes() for path in sorted(source.glob("phrases-*.safetensors"))})


def _packed(bank: StemBank, phrases: Sequence[Path], splits: Sequence[Split], settings: PackSettings) -> _Packer:
    """Coded clips for what the phrases leave of the megabytes."""
    budget = round(settings.megabytes * 1e6) - sum(path.stat().st_size for path in phrases) - _OVERHEAD
    packer = _Packer(bank, round(settings.excerpt_s * bank.sample_rate_hz), budget)
    later: dict[Split, list[int]] = {}
    for split in splits:
        first, later[split] = _ordered(bank, split)
        if packer.add(first) < len(first):
            raise InputError(f"{settings.megabytes} MB: too little for one clip of each source; expected some more")
    most = round(packer.left * _HELD_OUT_FRACTION)
    for split in splits[1:]:
        packer.add(later[split], most)
    packer.add(later["train"])
    packer.sort()
    return packer


@dataclass(frozen=True)
class _Block:
    """Clips of one split by number, samples of each, and their code."""

    clips: list[int]
    length: list[int]
    coded: CodedClips


class _Packer:
    """Coded blocks of excerpts, and the bytes that are left for more."""

    def __init__(self, bank: StemBank, size: int, budget: int) -> None:
        self.bank, self.size, self.left = bank, size, budget
        self.blocks: list[_Block] = []

    def add(self, clips: Sequence[int], most: int | None = None) -> int:
        """Take clips while they fit into the bytes left, at most ``most``; returns how many were taken."""
        limit = self.left if most is None else min(most, self.left)
        jobs = os.cpu_count() or 1
        taken = 0
        pieces = [list(clips[at : at + _BLOCK]) for at in range(0, len(clips), _BLOCK)]
        with ThreadPoolExecutor(jobs) as pool:
            for at in range(0, len(pieces), jobs):
                for block in list(pool.map(self._code, pieces[at : at + jobs])):
                    whole = len(block.clips)
                    while block.coded.size > limit:
                        fewer = block.clips[: len(block.clips) // 2]
                        if not fewer:
                            return taken
                        block = self._code(fewer)
                    self.blocks.append(block)
                    limit -= block.coded.size
                    self.left -= block.coded.size
                    taken += len(block.clips)
                    if len(block.clips) < whole:
                        return taken
        return taken

    def _code(self, clips: list[int]) -> _Block:
        excerpts = [liveliest_excerpt(self.bank, clip, self.size) for clip in clips]
        together = torch.zeros(len(clips), self.size, dtype=torch.int16)
        for row, excerpt in enumerate(excerpts):
            together[row, : len(excerpt)] = excerpt
        return _Block(clips, [len(excerpt) for excerpt in excerpts], encode_clips(together))

    def sort(self) -> None:
        """Blocks of a split one after another."""
        self.blocks.sort(key=lambda block: int(self.bank.split[block.clips[0]]))

    def save(self, path: Path) -> None:
        clips = torch.tensor([clip for block in self.blocks for clip in block.clips])
        length = torch.tensor([size for block in self.blocks for size in block.length])
        self.bank.save_coded(path, clips, length, [block.coded for block in self.blocks])

    def summary(self, splits: Sequence[Split]) -> str:
        """Clips and minutes of each split."""
        parts = []
        for split in splits:
            found = [b for b in self.blocks if SPLITS[int(self.bank.split[b.clips[0]])] == split]
            minutes = sum(sum(b.length) for b in found) / self.bank.sample_rate_hz / 60
            parts.append(f"{split} {sum(len(b.clips) for b in found)} clips, {minutes:.0f} minutes")
        return "; ".join(parts)


def _ordered(bank: StemBank, split: Split) -> tuple[list[int], list[int]]:
    """Clips of a split: one of each source of each category, and the others so that any first part is balanced."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for clip in torch.nonzero(bank.split == SPLITS.index(split))[:, 0].tolist():
        groups[int(bank.category[clip]), int(bank.source[clip])].append(clip)
    first = [clips[0] for clips in groups.values()]
    ranked = [((rank + 0.5) / len(clips), clip) for clips in groups.values() for rank, clip in enumerate(clips) if rank]
    return first, [clip for _, clip in sorted(ranked)]


def liveliest_excerpt(bank: StemBank, clip: int, size: int) -> Tensor:
    """The ``size`` samples of a clip that sound longest, int16 (time): within 40 dB of its loudest 50 ms."""
    at, length = int(bank.start[clip]), int(bank.length[clip])
    samples = bank.samples[at : at + length]
    if length <= size:
        return samples
    block = bank.sample_rate_hz // 20
    power = samples[: length // block * block].float().reshape(-1, block).square().mean(dim=1)
    active = torch.cat([torch.zeros(1), (power > 1e-4 * power.max()).float().cumsum(0)])
    blocks = size // block
    begin = int((active[blocks:] - active[:-blocks]).argmax()) * block
    begin = min(begin, length - size)
    return samples[begin : begin + size]

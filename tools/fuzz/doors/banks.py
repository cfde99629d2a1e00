"""Training material: banks of stems, of rooms and of phrases, as ``tas train`` opens them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from tas_core.datasets.mixing import room_bank
from tas_core.datasets.mixing.bank import StemBank
from tas_core.datasets.mixing.codec import encode_clips
from tas_core.datasets.mixing.phrases import PhraseTable
from tas_core.datasets.mixing.room_bank import RoomBank, RoomRecipe, build_rooms
from tools.fuzz.door import Door


def _small() -> StemBank:
    numbers = torch.arange(3)
    samples = (torch.arange(1800) % 97 * 100).to(torch.int16)
    length = torch.full((3,), 600)
    names = ("cello", "dog"), ("a", "b", "c")
    return StemBank(samples, numbers * 600, length, numbers % 2, numbers.clone(), numbers.clone(), *names, 16000)


def _written(kind: str, folder: Path) -> bytes:
    path = folder / f"{kind}.safetensors"
    bank = _small()
    if kind == "bank":
        bank.save(path)
    elif kind == "coded-bank":
        blocks = [encode_clips(bank.samples[at : at + 600][None]) for at in (0, 600, 1200)]
        bank.save_coded(path, torch.arange(3), bank.length, blocks)
    elif kind == "rooms":
        RoomBank(torch.zeros(2, 3, 2, 8, dtype=torch.float16), torch.zeros(2, 3), torch.ones(2), 16000).save(path)
    elif kind == "recipe":
        RoomRecipe(1, 1, length_s=0.02).save(path)
    else:
        PhraseTable(("cello", "dog"), torch.zeros(2, 4), "hash").save(path)
    return path.read_bytes()


@cache
def _seed(kind: str) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return _written(kind, Path(folder))


def _bank(data: bytes, folder: Path) -> None:
    path = folder / "bank.safetensors"
    path.write_bytes(data)
    for split in (None, "train"):
        bank = StemBank.load(path, split)  # type: ignore[arg-type]
        for number in range(len(bank.start)):
            bank.clip(number)


def _rooms(data: bytes, folder: Path) -> None:
    """A bank, or a recipe of one; of many rooms, which may take minutes, only the first few are simulated."""
    path = folder / "rooms-train.safetensors"
    path.write_bytes(data)
    with mock.patch.object(room_bank, "build_rooms", _few_rooms):
        RoomBank.load(path)


def _few_rooms(rooms: int, sources: int, *, jobs: int, **how: Any) -> RoomBank:
    del jobs  # threads would take more than they give
    return build_rooms(min(rooms, 2), min(sources, 2), **how, jobs=1)


def _phrases(data: bytes, folder: Path) -> None:
    path = folder / "phrases-hash.safetensors"
    path.write_bytes(data)
    PhraseTable.load(path)


_TOKENS = tuple(
    word.encode()
    for word in (
        *(
            '"__metadata__"',
            '"blocks"',
            '"categories"',
            '"sources"',
            '"recipe"',
            '"rooms"',
            '"sample_rate_hz"',
            "[[1,600]]",
        ),
        *(
            "[[1000000000000,600]]",
            "[[-1,600]]",
            "[[1,0]]",
            "F16",
            "I64",
            "I16",
            "U8",
            "-1",
            "1e999",
            "1e308",
            "null",
            "9" * 30,
        ),
        json.dumps(json.dumps({"rooms": 10**9, "sources": 10**9}))[1:-1],
    )
)
DOORS = (
    Door("bank", _bank, lambda: [_seed("bank")], _TOKENS),
    Door("coded-bank", _bank, lambda: [_seed("coded-bank")], _TOKENS),
    Door("rooms", _rooms, lambda: [_seed("rooms"), _seed("recipe")], _TOKENS),
    Door("phrases", _phrases, lambda: [_seed("phrases")], _TOKENS),
)

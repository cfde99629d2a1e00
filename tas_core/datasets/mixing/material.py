"""A folder with all that training on the fly needs: the stem bank, rooms and phrases.

``bank.safetensors``, ``rooms-{train,val,test}.safetensors`` and ``phrases-{encoder}.safetensors``. In a folder that
:mod:`tas_core.datasets.mixing.packing` made, the bank is coded and the rooms are recipes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from tas_core.datasets.mixing.bank import BankSettings, StemBank, build_bank
from tas_core.datasets.mixing.composition import SceneComposer
from tas_core.datasets.mixing.draws import CompositionConfig, Material
from tas_core.datasets.mixing.phrases import PhraseTable
from tas_core.datasets.mixing.room_bank import RoomBank, RoomRecipe, build_rooms
from tas_core.datasets.mixing.tensor_file import open_tensors
from tas_core.datasets.sources.catalogue import SPLITS, Split, load_categories
from tas_core.errors import InputError
from tas_core.system.files import make_folder
from tas_core.system.locks import alone_in
from tas_core.system.partial_files import remove_stale


def build_material(
    folder: Path,
    settings: BankSettings,
    *,
    rooms: int = 500,
    jobs: int = 2,
    encode: Callable[[Sequence[str]], Tensor],
    encoder_name: str,
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> None:
    """Render the bank, simulate the rooms and encode the phrases into ``folder``; what is there is kept.

    Args:
        folder: made if missing.
        settings: of the bank; its seed is that of the rooms, too.
        rooms: simulated rooms for training.
        jobs: processes, and threads for the rooms.
        encode: phrases to text features (phrase, channel).
        encoder_name: of the text encoder, which the file of phrases is named by.
        progress: told (sources done, of how many, name) while the bank is rendered.

    Raises:
        InputError: the folder cannot be written, a file in it is damaged, or another program makes material there.
        TasError: the material to render is missing, or the disk is full.
    """
    make_folder(folder)
    with alone_in(folder, "makes material"):
        remove_stale(folder)
        for path in sorted(folder.glob("*.safetensors")):
            # A file's header says how long it has to be: so one that was copied by half is found.
            with open_tensors(path, "damaged", "remove it to have it made anew"):
                pass
        bank_path = folder / "bank.safetensors"
        if not bank_path.exists():
            build_bank(settings, jobs=jobs, progress=progress).save(bank_path)
        for split in SPLITS:
            path = folder / f"rooms-{split}.safetensors"
            if not path.exists():
                build_rooms(**asdict(room_recipe(split, rooms, settings.seed)), jobs=jobs).save(path)
        path = folder / f"phrases-{encoder_name}.safetensors"
        if not path.exists():
            PhraseTable.build(load_categories(), encode, encoder_name).save(path)


def room_recipe(split: Split, rooms: int, seed: int) -> RoomRecipe:
    """The rooms of a split where training has ``rooms``; every split has a seed of its own."""
    return RoomRecipe(rooms if split == "train" else max(4, rooms // 12), 8, seed=seed + SPLITS.index(split) + 1)


def open_material(
    folder: Path,
    split: Split,
    encoder_name: str,
    config: CompositionConfig | None = None,
    seed: int = 0,
    device: torch.device | None = None,
    captions: bool = True,
) -> SceneComposer:
    """A composer over the material of a folder, full or packed, that renders on ``device`` (CPU if None).

    Scenes come with ``captions`` for models that read whole prompts; without them they are drawn faster.

    Raises:
        InputError: the folder or one of its files is missing or not what it should be.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one of training material", remedy="material")
    return SceneComposer(
        Material(
            StemBank.load(folder / "bank.safetensors", split),
            RoomBank.load(folder / f"rooms-{split}.safetensors"),
            PhraseTable.load(folder / f"phrases-{encoder_name}.safetensors"),
            load_categories(),
        ),
        split,
        config,
        seed,
        device,
        captions,
    )

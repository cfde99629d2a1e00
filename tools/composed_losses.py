"""Losses of `slots` checkpoints on composed scenes of some validation clips: what does a network tell apart?

    python tools/composed_losses.py bank slots runs/one/checkpoint --categories "man talking" "woman talking" --talkers
    python tools/composed_losses.py bank slots runs/one/checkpoint --talkers --objects 3 4
    python tools/composed_losses.py bank slots runs/one/checkpoint --sources flare-game/

Scenes are drawn as for validation in training, from the clips of these categories whose source begins so; with
``--talkers``, of two objects, a man and a woman, or of more with ``--objects``. All checkpoints hear the same ones. For
each it prints the mean of ``separation_db`` (error power of the separated objects over that of the mixture),
``confusion``, ``recognition`` and ``presence`` (docs/TRAINING.md).
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from tas_core.datasets.mixing.bank import StemBank
from tas_core.datasets.mixing.composition import SceneComposer
from tas_core.datasets.mixing.draws import CompositionConfig, Material
from tas_core.datasets.mixing.phrases import PhraseTable
from tas_core.datasets.mixing.room_bank import RoomBank
from tas_core.datasets.sources.catalogue import load_categories
from tas_core.models.registry import load_network
from tas_core.training.settings import TrainingConfig
from tas_core.training.trainer import loss_function, validate

SHOWN = ("separation_db", "confusion", "recognition", "presence")
PLAIN = CompositionConfig(augment=False, odd_name_share=0.0, absent_share=0.0)
BATCH = 4


def some_clips(bank: StemBank, categories: Sequence[str], sources: Sequence[str]) -> StemBank:
    """The clips of these categories whose source begins with one of these names; none given are all."""
    wanted = [
        (not categories or bank.categories[category] in categories)
        and (not sources or bank.sources[source].startswith(tuple(sources)))
        for category, source in zip(bank.category.tolist(), bank.source.tolist(), strict=True)
    ]
    if not any(wanted):
        raise SystemExit(f"no clips of {', '.join((*categories, *sources))} are kept for validation in this bank")
    return bank.taking(torch.nonzero(torch.tensor(wanted))[:, 0])


def chosen_scenes(talkers: bool, objects: Sequence[int]) -> CompositionConfig:
    """How scenes are drawn: of so many objects, each number as often, or as usual; with a man and a woman, or not."""
    config = replace(PLAIN, talkers_share=1.0) if talkers else PLAIN
    counts = list(objects) or ([2] if talkers else [])
    if not counts:
        return config
    return replace(config, object_shares=tuple(counts.count(n) / len(counts) for n in range(1, max(counts) + 1)))


def composer(folder: Path, bank: StemBank, encoder: str, config: CompositionConfig, seed: int) -> SceneComposer:
    """Scenes of the clips of a bank, in the rooms of a folder that are kept for validation."""
    rooms = RoomBank.load(folder / "rooms-val.safetensors")
    phrases = PhraseTable.load(folder / f"phrases-{encoder}.safetensors")
    return SceneComposer(Material(bank, rooms, phrases, load_categories()), "val", config, seed, captions=False)


def main() -> None:
    """Compare checkpoints, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bank", type=Path, help="folder made by `tas data bank`")
    parser.add_argument("checkpoints", nargs="+", help="folders, or names of shipped models")
    parser.add_argument("--categories", nargs="*", default=[])
    parser.add_argument("--sources", nargs="*", default=[], help="what their names begin with")
    parser.add_argument("--talkers", action="store_true", help="a man and a woman in every scene")
    parser.add_argument("--objects", type=int, nargs="*", default=[], choices=range(1, 5), help="numbers of objects")
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    clips = some_clips(
        StemBank.load(arguments.bank / "bank.safetensors", "val"), arguments.categories, arguments.sources
    )
    for name in arguments.checkpoints:
        model = load_network(name)
        drawn = chosen_scenes(arguments.talkers, arguments.objects)
        scenes = composer(arguments.bank, clips, model.config.text_encoder, drawn, arguments.seed)
        config = TrainingConfig(batch_size=BATCH, validation_batches=max(1, arguments.scenes // BATCH))
        losses = validate(model, scenes, config, loss_function(model, None))
        print(f"{name}: " + ", ".join(f"{key} {losses[f'val_{key}']:.3f}" for key in SHOWN))


if __name__ == "__main__":
    main()

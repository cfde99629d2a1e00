"""A slots checkpoint with more blocks in its trunk and the same output, to be trained on with `tas train --init`.

    python scripts/deepen.py tas_core/models/weights/slots runs/deeper

Blocks and fusions are those of the preset `slots`. The blocks of the old trunk go to the first ones of equal dilation
between the same two fusions; the outputs of the other blocks begin at zero.
"""

import argparse
from dataclasses import asdict, replace

import torch

from tas_core.checkpoints import load_checkpoint, save_checkpoint
from tas_core.models.registry import load_model
from tas_core.models.slots import PRESETS, SlotsConfig, SlotsModel


def places(old: SlotsConfig, new: SlotsConfig) -> list[int]:
    """Where each block of the old trunk comes in the new one.

    Raises:
        ValueError: there is no place for one of them.
    """
    found: list[int] = []
    for fused, until in zip(old.fusion_after, new.fusion_after, strict=True):
        at = new.fusion_after[new.fusion_after.index(until) - 1] if found else 0
        for dilation in old.dilations[len(found) : fused]:
            at = new.dilations.index(dilation, at, until) + 1
            found.append(at - 1)
    if len(found) != len(old.dilations):
        raise ValueError("blocks after the last fusion")
    return found


def deepened(model: SlotsModel) -> SlotsModel:
    """The same function with the preset's blocks."""
    old, preset = model.config, PRESETS["slots"]
    new = replace(old, dilations=preset.dilations, fusion_after=preset.fusion_after)
    deeper = SlotsModel(new)
    try:
        to = places(old, new)
    except ValueError:
        raise SystemExit(f"a trunk of {old.dilations} does not fit into one of {new.dilations}") from None
    state = {}
    for name, value in model.state_dict().items():
        part, _, rest = name.partition(".")
        number, _, rest = rest.partition(".")
        state[f"{part}.{to[int(number)]}.{rest}" if part in ("frame_mixers", "band_mixers") else name] = value
    missing, unexpected = deeper.load_state_dict(state, strict=False)
    if unexpected or any(name.split(".")[0] not in ("frame_mixers", "band_mixers") for name in missing):
        raise SystemExit(f"the trunks differ in more than blocks: {[*missing, *unexpected]}")
    for number in set(range(len(new.dilations))) - set(to):
        torch.nn.init.zeros_(deeper.frame_mixers[number].expand.weight)
        torch.nn.init.zeros_(deeper.band_mixers[number].fall.weight)
    return deeper


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=0, help="of the new blocks' weights")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    model = deepened(load_model(arguments.checkpoint))
    provenance = {"deepened": load_checkpoint(arguments.checkpoint).digest}
    save_checkpoint(arguments.out, "slots", asdict(model.config), model.state_dict(), provenance)
    print(
        f"{arguments.out}: {len(model.config.dilations)} blocks, {sum(p.numel() for p in model.parameters())} weights"
    )


if __name__ == "__main__":
    main()

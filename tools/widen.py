"""Give a `slots` network twice its channels without changing what it computes: a start for training a wider one.

    python tools/widen.py slots runs/wide/start

Net2WiderNet (Chen, Goodfellow and Shlens 2016): every channel is there twice, and what reads channels reads both, with
weights that sum to the former one. They are unequal, for otherwise the two would have the same gradients for ever.
Products of query and key are sums over twice as many channels, and are divided by the root of their number: so the norm
before a fusion is divided by the root of two, and what is to keep its size after it is multiplied. Of a checkpoint of
several networks it is the mean of their weights, which makes sense where one run started from the other. The diffuse
part stays as it is.
"""

import argparse
import math
from collections.abc import Mapping
from dataclasses import asdict, replace

import torch
from torch import Tensor

from tas_core.models.checkpoints import load_checkpoint, save_checkpoint
from tas_core.models.registry import find_checkpoint, model_from_checkpoint
from tas_core.models.slots.config import SlotsConfig
from tas_core.models.slots.model import SlotsModel

NETWORK = "networks.0."
LOW, HIGH = 0.4, 0.6
"""Fraction of a weight that the first of two equal channels is read with."""


def mean_network(state: Mapping[str, Tensor], networks: int) -> dict[str, Tensor]:
    """State of a model of one network whose weights are the mean of those of several."""
    of = lambda name, number: state[name.replace(NETWORK, f"networks.{number}.", 1)]  # noqa: E731
    mean = {name: torch.stack([of(name, number) for number in range(networks)]).mean(dim=0)
            for name in state if name.startswith(NETWORK)}  # fmt: skip
    return {name: value for name, value in state.items() if not name.startswith("networks.")} | mean


def widened(state: Mapping[str, Tensor], config: SlotsConfig, seed: int) -> dict[str, Tensor]:
    """State of a model of one network with twice the channels, in the order of its own state."""
    wide = {}
    rng = torch.Generator().manual_seed(seed)
    for name, target in SlotsModel(replace(config, channels=2 * config.channels, networks=1)).state_dict().items():
        value = state[name]
        for axis in range(value.dim()):
            if value.shape[axis] == target.shape[axis]:
                continue
            if name.endswith("rise.weight") and axis == 0:  # values and gates
                value = torch.cat([torch.cat([half, half]) for half in value.chunk(2)])
            elif _reads(name, value, axis):
                # Presence has one number more, which is no channel.
                channels = target.shape[axis] - value.shape[axis]
                read, other = value.split([channels, value.shape[axis] - channels], axis)
                shape = [channels if a == axis else 1 for a in range(value.dim())]
                first = LOW + (HIGH - LOW) * torch.rand(shape, generator=rng)
                value = torch.cat([first * read, (1 - first) * read, other], axis)
            else:
                value = torch.cat([value, value], axis)
        if ".fusions." in name and name.endswith("norm.gain"):
            value = value / math.sqrt(2)
        if ".fusions." in name and name.endswith("values.weight"):
            value = value * math.sqrt(2)
        wide[name] = value
    return wide


def _reads(name: str, value: Tensor, axis: int) -> bool:
    """Whether an axis of a parameter is that of what it takes, rather than of what it gives."""
    if not name.endswith("weight") or value.dim() < 2:
        return False
    if value.dim() == 3:  # a map per band: (band, in, out)
        return ".maps." in name and axis == 1
    return axis == 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="a folder, or the name of a shipped model")
    parser.add_argument("out", help="folder of the wider one")
    parser.add_argument("--seed", type=int, default=0, help="of the unequal parts")
    arguments = parser.parse_args()
    checkpoint = load_checkpoint(find_checkpoint(arguments.checkpoint))
    source = model_from_checkpoint(checkpoint)
    assert isinstance(source, SlotsModel), f"{arguments.checkpoint}: expected a model of the family slots"
    mean = mean_network(source.state_dict(), source.config.networks)
    wide_config = replace(source.config, channels=2 * source.config.channels, networks=1)
    wide = widened(mean, source.config, arguments.seed)
    save_checkpoint(arguments.out, "slots", asdict(wide_config), wide, checkpoint.provenance)
    print(f"{arguments.out}: {wide_config.channels} channels")

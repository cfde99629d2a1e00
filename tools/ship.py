"""Make the shipped weights of one run's checkpoint or of several, in half precision or in 8 bits.

    python tools/ship.py slots runs/slots-8/checkpoint runs/slots-7/checkpoint,runs/slots-6/checkpoint \\
        --set sharpness=4.0 balance=0.75 --bits 8

Every checkpoint becomes a network of its own in the shipped model, whose masks are averaged; where names are joined by
a comma, it is the mean of their weights, which makes sense where one run started from the other: `a,a,b` is two thirds
of a. The diffuse part, and what is said of training, is that of the first. A shipped model by itself is stored anew,
and still made of the same.
"""

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

from tas_core.models.calibration import CALIBRATION_FILE
from tas_core.models.checkpoints import load_checkpoint, save_checkpoint
from tas_core.models.registry import load_network

NETWORK = "networks.0."
STORED = {8: torch.int8, 16: torch.float16}


def weights(checkpoints: str) -> dict[str, Tensor]:
    """Mean of the weights of checkpoints, joined by commas, of one network each."""
    states = [load_network(checkpoint).state_dict() for checkpoint in checkpoints.split(",")]
    return {name: torch.stack([state[name] for state in states]).mean(dim=0) for name in states[0]}


def ship(checkpoints: list[str], settings: list[str], target: Path, bits: int) -> None:
    """Make ``target`` of ``checkpoints`` and the ``settings`` of the config that change, each ``KEY=NUMBER``."""
    state = {}
    for number, joined in enumerate(checkpoints):
        for name, value in weights(joined).items():
            if name.startswith(NETWORK):
                state[f"networks.{number}.{name.removeprefix(NETWORK)}"] = value
            elif number == 0:
                state[name] = value
    first = load_checkpoint(checkpoints[0].split(",")[0])
    config = first.config | {key: json.loads(value) for key, _, value in (item.partition("=") for item in settings)}
    if len(checkpoints) > 1:
        config["networks"] = len(checkpoints)
    made_of = [[load_checkpoint(c).digest for c in joined.split(",")] for joined in checkpoints]
    if made_of == [[first.digest]]:
        made_of = first.provenance.get("made_of", made_of)
    provenance = first.provenance | {"made_of": made_of}
    if init := provenance.get("training", {}).get("init"):
        # A folder of this machine says nothing on another.
        provenance["training"] = provenance["training"] | {"init": provenance.get("init_digest", Path(init).name)}
    save_checkpoint(target, first.family, config, state, provenance, dtype=STORED[bits])
    if (stale := target / CALIBRATION_FILE).exists():
        stale.unlink()
        print(
            f"{stale}: removed, since it was fitted with other weights; fit it anew: python tools/calibrate.py {target}"
        )
    size = (target / "model.safetensors").stat().st_size
    print(f"{target}: step {first.provenance.get('steps')}, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("checkpoints", nargs="+")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=NUMBER", help="settings of the config to change")
    parser.add_argument("--bits", type=int, choices=sorted(STORED), default=16, help="of each large weight")
    parser.add_argument("--out", type=Path, default=Path("tas_core/models/weights"), help="folder to make it in")
    arguments = parser.parse_args()
    ship(arguments.checkpoints, arguments.set, arguments.out / arguments.name, arguments.bits)

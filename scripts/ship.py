"""Copy a run's checkpoint, or the mean of several, to the shipped weights, in half precision.

    python scripts/ship.py slots runs/slots-8/checkpoint runs/slots-7/checkpoint --set sharpness=4.0 balance=0.75

Weights of several runs are averaged; that makes sense where one run started from the other. What is said of training
is that of the first.
"""

import argparse
import json
from pathlib import Path

import torch

from tas_core.checkpoints import load_checkpoint, save_checkpoint

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("name")
parser.add_argument("checkpoints", nargs="+")
parser.add_argument("--set", nargs="*", default=[], metavar="KEY=NUMBER", help="settings of the config to change")
arguments = parser.parse_args()
found = [load_checkpoint(checkpoint) for checkpoint in arguments.checkpoints]
first = found[0]
state = {name: torch.stack([f.state[name].float() for f in found]).mean(dim=0) for name in first.state}
config = first.config | {key: json.loads(value) for key, _, value in (item.partition("=") for item in arguments.set)}
provenance = dict(first.provenance)
if len(found) > 1:
    provenance["averaged"] = [f.digest for f in found]
target = Path("tas_core/models/weights") / arguments.name
save_checkpoint(target, first.family, config, state, provenance, dtype=torch.float16)
size = (target / "model.safetensors").stat().st_size
print(f"{target}: step {first.provenance.get('steps')}, {size / 1e6:.1f} MB")

"""Copy a run's checkpoint to the shipped weights, in half precision.

python scripts/ship.py runs/slots-1/checkpoint slots
"""

import sys
from pathlib import Path

import torch

from tas_core.checkpoints import load_checkpoint, save_checkpoint

source, name = sys.argv[1:]
found = load_checkpoint(source)
target = Path("tas_core/models/weights") / name
save_checkpoint(target, found.family, found.config, found.state, found.provenance, dtype=torch.float16)
size = (target / "model.safetensors").stat().st_size
print(f"{target}: step {found.provenance.get('steps')}, {size / 1e6:.1f} MB")

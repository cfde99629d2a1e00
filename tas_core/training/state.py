"""What a training run needs to go on exactly: step, optimiser, averages, in one safetensors file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final

import safetensors.torch
from torch import Tensor

from tas_core.errors import CheckpointError
from tas_core.models.checkpoints import json_text, replace_files, storable
from tas_core.models.description import FORMAT_VERSION, check_keys, check_version, parse_json
from tas_core.system.configs import one_line

TRAINING_FILE: Final = "training.safetensors"


_STATE_KEYS: Final = ("format", "step", "extra", "param_groups", "scalars")


@dataclasses.dataclass(frozen=True)
class TrainingState:
    """What a training run needs to go on as if it had never stopped.

    Attributes:
        step: optimizer steps made so far.
        optimizer: what `optimizer.state_dict()` gave.
        tensors: named groups of tensors, e.g. {"model": ..., "ema": ..., "rng": {"torch": torch.get_rng_state()}}.
        extra: plain JSON values, e.g. the history of the validation loss.
    """

    step: int
    optimizer: dict[str, Any]
    tensors: dict[str, dict[str, Tensor]]
    extra: dict[str, Any] = dataclasses.field(default_factory=dict)


def save_training_state(folder: str | Path, state: TrainingState) -> Path:
    """Write `state` to `folder`/training.safetensors, atomically; values keep every bit.

    Raises:
        CheckpointError: a group named "optimizer", a name with "/" in a group name, an optimizer value that
            is neither a tensor nor JSON, or a folder that cannot be written.
    """
    path = Path(folder) / TRAINING_FILE
    tensors: dict[str, Tensor] = {}
    for group, members in state.tensors.items():
        if group == "optimizer" or "/" in group:
            raise CheckpointError(f"a group of tensors cannot be called {group!r}")
        tensors |= {f"{group}/{name}": storable(value) for name, value in members.items()}
    scalars: dict[str, dict[str, Any]] = {}
    for index, entries in state.optimizer["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{index}/{name}"] = storable(value)
            else:
                scalars.setdefault(str(index), {})[name] = value
    # JSON has no tuples, so their keys are noted.
    param_groups = [
        {"options": group, "tuples": [key for key, value in group.items() if isinstance(value, tuple)]}
        for group in state.optimizer["param_groups"]
    ]
    header = {
        "format": FORMAT_VERSION,
        "step": state.step,
        "extra": state.extra,
        "param_groups": param_groups,
        "scalars": scalars,
    }
    text = json_text(header, where=str(path))
    replace_files({path: safetensors.torch.save(tensors, metadata={"training": text})})
    return path


def load_training_state(folder: str | Path) -> TrainingState:
    """Read what :func:`save_training_state` wrote.

    Raises:
        CheckpointError: a missing or corrupt file, or another format version.
    """
    path = Path(folder) / TRAINING_FILE
    if not path.is_file():
        raise CheckpointError(f"no training state to resume from: {path} does not exist")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path} is not a valid safetensors file: {one_line(error)}") from error
    header = parse_json(metadata.get("training", "null").encode(), path)
    check_version(header, path)
    check_keys(header, _STATE_KEYS, path)
    try:
        groups = [
            {key: tuple(value) if key in group["tuples"] else value for key, value in group["options"].items()}
            for group in header["param_groups"]
        ]
        entries: dict[int, dict[str, Any]] = {}
        tensors: dict[str, dict[str, Tensor]] = {}
        for name, value in stored.items():
            group_name, rest = name.split("/", 1)
            if group_name == "optimizer":
                index, key = rest.split("/", 1)
                entries.setdefault(int(index), {})[key] = value
            else:
                tensors.setdefault(group_name, {})[rest] = value
        for index, scalars in header["scalars"].items():
            entries.setdefault(int(index), {}).update(scalars)
        optimizer = {"state": dict(sorted(entries.items())), "param_groups": groups}
        return TrainingState(header["step"], optimizer, tensors, header["extra"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path}: not a training state of format {FORMAT_VERSION}") from error

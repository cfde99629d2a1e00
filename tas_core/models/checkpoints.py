"""Checkpoints: a folder with weights (safetensors) and a description (JSON). Nothing is ever unpickled.

    model.safetensors        the state dict
    specialists.safetensors  in format 3, networks for kinds of objects
    config.json              {"format": 1, "family": "slots", "config": {...}, "provenance": {...},
                              "weights_sha256": "...", "specialists_sha256": "..."}

In format 2, large weights are stored in 8 bits (:mod:`tas_core.models.eight_bits`). In format 3, networks that were
trained on from another one are stored as what they differ by (:mod:`tas_core.models.differences`), in a file of their
own: that of the others stays as it was without them. In memory all are alike.

`weights_sha256` and its like tie the files together, so that a save which was cut off between them is found on
loading. The state of a training run, to resume it, is one more file, `training.safetensors`, whose header
carries the part that is plain JSON.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tas_core.errors import CheckpointError, TasError
from tas_core.models.description import (
    CONFIG_FILE,
    EIGHT_BIT_FORMAT,
    FAMILIES,
    FORMAT_VERSION,
    SPECIALIST_FORMAT,
    SPECIALISTS_FILE,
    WEIGHTS_FILE,
    read_description,
)
from tas_core.models.differences import from_differences
from tas_core.models.eight_bits import from_eight_bits, in_eight_bits
from tas_core.system.configs import one_line
from tas_core.system.files import make_folder, write_files

_TYPES: Final = (
    *(torch.float32, torch.float16, torch.bfloat16, torch.float64),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory.

    Attributes:
        family: which model class reads it, one of :data:`FAMILIES`.
        config: keyword arguments of that class's config.
        state: state dict on the CPU; half precision and 8 bits on disk come back as float32.
        provenance: where the weights came from (data, command, versions), free-form JSON.
        digest: SHA-256 in hex over family, config and weights; equal digests give equal outputs.
    """

    family: str
    config: dict[str, Any]
    state: dict[str, Tensor]
    provenance: dict[str, Any]
    digest: str


def save_checkpoint(
    folder: str | Path,
    family: str,
    config: Mapping[str, Any],
    state: Mapping[str, Tensor],
    provenance: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
    specialists: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write a checkpoint; files of the same name are replaced only once all new ones are complete on disk.

    Args:
        folder: made if missing; other files in it are left alone.
        family: one of :data:`FAMILIES`.
        config: plain JSON values (tuples become lists).
        state: state dict, on any device.
        provenance: plain JSON values.
        dtype: store float32 tensors as this type: `torch.float16` halves the file, `torch.int8` quarters it
            (:mod:`tas_core.models.eight_bits`); None keeps them.
        specialists: what goes into the second file, as :func:`tas_core.models.differences.as_differences` gives it.

    Raises:
        CheckpointError: unknown family, a value that JSON cannot hold, weights that are no numbers or that 8 bits
            cannot hold, or the folder cannot be written.
    """
    folder = Path(folder)
    if family not in FAMILIES:
        raise CheckpointError(f"unknown model family {family!r}, expected one of {', '.join(FAMILIES)}")
    version = EIGHT_BIT_FORMAT if dtype == torch.int8 else FORMAT_VERSION
    weights = _stored(state, dtype, folder)
    hashes, files = {"weights_sha256": hashlib.sha256(weights).hexdigest()}, {folder / WEIGHTS_FILE: weights}
    if specialists is not None:
        second = _stored(specialists, dtype, folder)
        version, hashes["specialists_sha256"] = SPECIALIST_FORMAT, hashlib.sha256(second).hexdigest()
        files[folder / SPECIALISTS_FILE] = second
    description = {
        "format": version,
        "family": family,
        "config": dict(config),
        "provenance": dict(provenance or {}),
        **hashes,
    }
    text = json_text(description, where=f"{folder / CONFIG_FILE}", indent=2) + "\n"
    replace_files({**files, folder / CONFIG_FILE: text.encode()})
    return folder


def _stored(state: Mapping[str, Tensor], dtype: torch.dtype | None, folder: Path) -> bytes:
    """Content of a file of weights, of a type as :func:`save_checkpoint` takes it."""
    if dtype == torch.int8:
        state, dtype = in_eight_bits(state), None
    stored = {name: storable(value, dtype) for name, value in state.items()}
    _check_numbers(stored, folder)
    return safetensors.torch.save(stored)


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """Read and check a checkpoint.

    Raises:
        CheckpointError: a missing folder or file, bad JSON, unknown keys, another format version, an
            unknown family, or weights that are corrupt (scales of 8 bits and differences included), no numbers, or
            belong to another config.json.
    """
    found = read_description(folder)
    path, second = Path(folder) / WEIGHTS_FILE, Path(folder) / SPECIALISTS_FILE
    state = _weights(found.weights, path, found.version)
    if found.specialists is not None:
        more = _weights(found.specialists, second, found.version)
        if twice := sorted(state.keys() & more.keys()):
            raise CheckpointError(f"{second}: {twice[0]!r} is in {WEIGHTS_FILE} as well")
        state = from_differences(state | more, second)
        _check_numbers(state, second)
    return Checkpoint(found.family, found.config, state, found.provenance, found.digest)


def _weights(content: bytes, path: Path, version: int) -> dict[str, Tensor]:
    """The weights of a file in a format, as float32."""
    try:
        stored = safetensors.torch.load(content)
    except (safetensors.SafetensorError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is not a valid safetensors file: {one_line(error)}") from error
    _check_types(stored, path)
    if version != FORMAT_VERSION:
        stored = from_eight_bits(stored, path)
    elif any(value.dtype == torch.int8 for value in stored.values()):
        raise CheckpointError(f"{path} has weights of 8 bits, but {CONFIG_FILE} says format {version}")
    state = {name: value.float() if _is_half(value) else value for name, value in stored.items()}
    _check_numbers(state, path)
    return state


def _check_types(stored: Mapping[str, Tensor], where: Path) -> None:
    """Refuse numbers of kinds that no model here is stored in."""
    for name, value in stored.items():
        if value.dtype not in _TYPES:
            known = ", ".join(_type_name(each) for each in _TYPES)
            raise CheckpointError(f"{where}: {name} is stored as {_type_name(value.dtype)}, expected one of {known}")


def _type_name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")


def _check_numbers(state: Mapping[str, Tensor], where: Path) -> None:
    """Refuse weights that are nan or infinite: with them, everything that a model makes is nan, or silence."""
    for name, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            wrong = int((~value.isfinite()).sum())
            raise CheckpointError(
                f"{where}: {wrong} of {value.numel()} weights in {name} are nan or infinite; expected an earlier save,"
                " or a training that did not diverge"
            )


def _is_half(value: Tensor) -> bool:
    return value.dtype in (torch.float16, torch.bfloat16)


def storable(value: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Own copy on the CPU: safetensors refuses tensors that share memory, as tied weights do."""
    if dtype is not None and value.dtype == torch.float32:
        value = value.to(dtype)
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def json_text(value: Any, where: str, indent: int | None = None) -> str:
    """A value as JSON.

    Raises:
        CheckpointError: JSON cannot hold it; ``where`` is named.
    """
    try:
        return json.dumps(value, indent=indent)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{where}: cannot be written as JSON: {one_line(error)}") from error


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Write files into folders that are made if missing, and move all into place once all are on disk.

    Raises:
        CheckpointError: a folder or a file cannot be written.
    """
    try:
        for folder in {path.parent for path in contents}:
            make_folder(folder)
        write_files(contents)
    except TasError as error:
        raise CheckpointError(str(error)) from error

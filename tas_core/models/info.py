"""What is known of a model without running it: from its description and the header of its weights, without torch."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

from tas_core.errors import CheckpointError, InputError
from tas_core.models.calibration import read_calibration
from tas_core.models.description import (
    CONFIG_FILE,
    SCALE_SUFFIX,
    SPECIALISTS_FILE,
    WEIGHTS_FILE,
    default_steps,
    read_description,
)
from tas_core.models.pretrained import find_checkpoint, shipped_models
from tas_core.system.json_values import json_value

_SHIPPED_LICENCE: Final = "trained on material under several licences, some of them copyleft; see the model card"
_OWN_LICENCE: Final = "follows from the material it was trained on"

# Stored beside the parameters, not trained: the head's filters, statistics of batch norms, scales of 8 bits.
_CONSTANTS: Final = ("direction.table", "running_mean", "running_var", "num_batches_tracked", SCALE_SUFFIX)


@dataclass(frozen=True)
class ModelInfo:
    """One model; ``as_dict`` is what ``--json`` prints.

    Attributes:
        name: of a shipped model, or the path of the folder as given.
        shipped: whether it comes with the package.
        folder: where it lies, absolute.
        family: one of :data:`tas_core.models.description.FAMILIES`.
        parameters: how many numbers training has set.
        stored_as: types of the stored numbers, such as ``F16``.
        size_bytes: size on disk of weights and description.
        weights_sha256: SHA-256 of the weights file in hex.
        digest: SHA-256 in hex over family, config and weights; equal digests give equal outputs.
        text_encoder: name of the encoder that it was trained with.
        steps_trained: training steps of the last run; None if the checkpoint does not say.
        hours_trained: hours of the last run; None if the checkpoint does not say.
        default_steps: diffusion steps unless the user asks for another number.
        calibrated: whether it gives a confidence for each object.
        licence: a note.
        model_card: file of the source repository that describes the model; None for the user's own.
    """

    name: str
    shipped: bool
    folder: str
    family: str
    parameters: int
    stored_as: tuple[str, ...]
    size_bytes: int
    weights_sha256: str
    digest: str
    text_encoder: str | None
    steps_trained: int | None
    hours_trained: float | None
    default_steps: int
    calibrated: bool
    licence: str
    model_card: str | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def checkpoint_folder(name: str) -> Path:
    """Absolute folder of a shipped model by name, or of a checkpoint by path; it holds both files.

    Raises:
        InputError: neither.
        CheckpointError: a folder without a complete checkpoint.
    """
    folder = find_checkpoint(name).resolve()
    for file in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / file).is_file():
            raise CheckpointError(f"incomplete checkpoint: {folder / file} does not exist")
    return folder


def model_info(name: str) -> ModelInfo:
    """What is known of a shipped model by name, or of a checkpoint by path; the weights are checked against their hash.

    Raises:
        InputError: neither.
        CheckpointError: the checkpoint is incomplete, damaged, or of another format, or its calibration is.
    """
    folder = checkpoint_folder(name)
    found = read_description(folder)
    shipped = name in shipped_models()
    parameters, stored_as = _count(found.weights, folder / WEIGHTS_FILE)
    files = [CONFIG_FILE, WEIGHTS_FILE]
    if found.specialists is not None:
        more, types = _count(found.specialists, folder / SPECIALISTS_FILE)
        parameters, stored_as = parameters + more, tuple(sorted({*stored_as, *types}))
        files.append(SPECIALISTS_FILE)
    return ModelInfo(
        name=name,
        shipped=shipped,
        folder=str(folder),
        family=found.family,
        parameters=parameters,
        stored_as=stored_as,
        size_bytes=sum((folder / file).stat().st_size for file in files),
        weights_sha256=found.weights_sha256,
        digest=found.digest,
        text_encoder=_as(str, found.config.get("text_encoder")),
        steps_trained=_as(int, found.provenance.get("steps")),
        hours_trained=_as(float, found.provenance.get("hours")),
        default_steps=default_steps(found.family, found.config),
        calibrated=read_calibration(folder, found.digest) is not None,
        licence=_SHIPPED_LICENCE if shipped else _OWN_LICENCE,
        model_card="MODEL_CARD.md" if shipped else None,
    )


def list_models(folders: Iterable[str | Path] = ()) -> Iterator[ModelInfo]:
    """The shipped models, then the checkpoints in and below ``folders``, each sorted by name.

    Raises:
        InputError: one of ``folders`` is none.
        CheckpointError: a checkpoint is damaged or of another format.
    """
    names = list(shipped_models())
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError(f"{folder}: not a folder, expected one with checkpoints in or below it")
        names += sorted(str(path.parent) for path in folder.rglob(CONFIG_FILE) if _is_checkpoint(path))
    for name in names:
        yield model_info(name)


def _is_checkpoint(config: Path) -> bool:
    """Whether this is the description of a checkpoint: other programs' folders have files of the same names."""
    if not (config.parent / WEIGHTS_FILE).is_file():
        return False
    try:
        description = json_value(config.read_bytes(), not_numbers=True)
    except (OSError, ValueError):
        return False
    return isinstance(description, dict) and {"format", "family"} <= description.keys()


def _count(weights: bytes, path: Path) -> tuple[int, tuple[str, ...]]:
    """Parameters in a file of weights and the types that they are stored as; those of a difference are its factors'."""
    # The format: length of the header, 8 bytes, little end first; the header, JSON; the numbers.
    length = int.from_bytes(weights[:8], "little")
    try:
        header = json_value(weights[8 : 8 + length])
        kept = {
            name: entry for name, entry in header.items() if name != "__metadata__" and not name.endswith(_CONSTANTS)
        }
        count = sum(prod(map(operator.index, e["shape"])) for e in kept.values())
        if not 0 <= count <= 8 * len(weights):
            raise ValueError("more numbers than there are bits")
        return count, tuple(sorted({str(e["dtype"]) for e in kept.values()}))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path} is not a valid safetensors file: no readable header") from error


def _as(kind: type, value: Any) -> Any:
    """``value`` as a ``kind``, None if it is something else: provenance is free-form."""
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
        return None
    return kind(value)

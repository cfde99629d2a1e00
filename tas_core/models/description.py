"""What a checkpoint says about itself, read without torch: names of its files, its description, its digest.

    model.safetensors        the state dict
    specialists.safetensors  in format 3, networks for kinds of objects
    config.json              {"format": 1, "family": "slots", "config": {...}, "provenance": {...},
                              "weights_sha256": "...", "specialists_sha256": "..."}

:mod:`tas_core.models.checkpoints` reads and writes the weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tas_core.errors import CheckpointError
from tas_core.system.configs import describe, one_line
from tas_core.system.json_values import json_value

FORMAT_VERSION: Final = 1
EIGHT_BIT_FORMAT: Final = 2
"""Format of checkpoints whose large weights are stored in 8 bits; otherwise as :data:`FORMAT_VERSION`."""
SPECIALIST_FORMAT: Final = 3
"""Format of checkpoints with networks in a second file, stored by differences (:mod:`tas_core.models.differences`)."""
SCALE_SUFFIX: Final = ".int8_scale"
"""Ends the name under which the scales of a weight of 8 bits are stored: no parameters of the model."""
FAMILIES: Final[Mapping[str, int]] = {"paper": 6, "slots": 1, "mono2binaural": 1, "apnet": 1}
"""Families of models by name, and the diffusion steps of each unless a request says another number."""
_MEAN_STEPS: Final = 1
"""Of a network that starts from noise and learned by the squared error of the signal: one evaluation gives its mean."""
WEIGHTS_FILE: Final = "model.safetensors"
SPECIALISTS_FILE: Final = "specialists.safetensors"
CONFIG_FILE: Final = "config.json"

_CONFIG_KEYS: Final = ("format", "family", "config", "provenance", "weights_sha256")
_SPECIALISTS_KEY: Final = "specialists_sha256"


def default_steps(family: str, config: Mapping[str, Any]) -> int:
    """Diffusion steps unless a request says another number: of the family, or fewer where its loss says so.

    A network that learned by the squared error of the signal estimates the mean of what may be: its first evaluation
    is the best guess in that sense, and more steps draw one of the many that are possible, at twice the error.

    Args:
        family: one of :data:`FAMILIES`.
        config: keyword arguments of the family's config, those that a checkpoint does not say left out.
    """
    return _MEAN_STEPS if config.get("loss") == "signal" else FAMILIES[family]


@dataclass(frozen=True)
class Description:
    """The description of a checkpoint and its weights as they lie on disk.

    Attributes:
        family: one of :data:`FAMILIES`.
        config: keyword arguments of the family's config.
        provenance: where the weights came from, free-form JSON.
        weights: content of the weights file, not yet parsed.
        weights_sha256: SHA-256 of ``weights`` in hex.
        version: of the format, :data:`FORMAT_VERSION`, :data:`EIGHT_BIT_FORMAT` or :data:`SPECIALIST_FORMAT`.
        specialists: content of the second file, not yet parsed; None without one.
    """

    family: str
    config: dict[str, Any]
    provenance: dict[str, Any]
    weights: bytes
    weights_sha256: str
    version: int
    specialists: bytes | None = None

    @property
    def digest(self) -> str:
        """SHA-256 in hex over family, config and weights; equal digests give equal outputs."""
        files = [self.weights_sha256]
        if self.specialists is not None:
            files.append(hashlib.sha256(self.specialists).hexdigest())
        identity = json.dumps([self.family, self.config, *files], sort_keys=True)
        return hashlib.sha256(identity.encode()).hexdigest()


def read_description(folder: str | Path) -> Description:
    """Read and check everything of a checkpoint but what is inside its weights.

    Raises:
        CheckpointError: a missing folder or file, bad JSON, unknown keys, another format version, an
            unknown family, or weights that belong to another config.json.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"no checkpoint folder at {folder}")
    path = folder / CONFIG_FILE
    description = parse_json(_read(path), path)
    check_version(description, path, (FORMAT_VERSION, EIGHT_BIT_FORMAT, SPECIALIST_FORMAT))
    in_two = description["format"] == SPECIALIST_FORMAT
    check_keys(description, (*_CONFIG_KEYS, _SPECIALISTS_KEY) if in_two else _CONFIG_KEYS, path)
    family = description.get("family")
    if not isinstance(family, str) or family not in FAMILIES:
        raise CheckpointError(f"{path}: unknown model family {family!r}, expected one of {', '.join(FAMILIES)}")
    description.setdefault("provenance", {})
    for key in ("config", "provenance"):
        if not isinstance(description.get(key), dict):
            raise CheckpointError(f"{path}: {key!r} must be an object, not {describe(description.get(key))}")
    weights, weights_sha256 = _checked(folder / WEIGHTS_FILE, description.get("weights_sha256"))
    second = _checked(folder / SPECIALISTS_FILE, description.get(_SPECIALISTS_KEY))[0] if in_two else None
    return Description(
        family, description["config"], description["provenance"], weights, weights_sha256, description["format"], second
    )


def _checked(path: Path, expected: Any) -> tuple[bytes, str]:
    """Content of a file of weights and its SHA-256, which is the one that is expected, if one is."""
    content = _read(path)
    found = hashlib.sha256(content).hexdigest()
    if expected not in (None, found):
        raise CheckpointError(f"{path} is damaged or belongs to another {CONFIG_FILE}: its SHA-256 differs")
    return content, found


def parse_json(data: bytes, path: Path) -> dict[str, Any]:
    """The JSON object in ``data``; ``path`` is named in errors.

    Raises:
        CheckpointError: not JSON, or not an object.
    """
    try:
        value = json_value(data, not_numbers=True)
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {one_line(error)}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: expected a JSON object, not {describe(value)}")
    return value


def check_version(description: Mapping[str, Any], path: Path, versions: tuple[int, ...] = (FORMAT_VERSION,)) -> None:
    """Refuse another format version than ``versions``.

    Raises:
        CheckpointError: it is another one.
    """
    version = description.get("format")
    if type(version) is not int or version not in versions:
        known = " and ".join([", ".join(map(str, versions[:-1])), str(versions[-1])]).removeprefix(" and ")
        raise CheckpointError(f"{path}: format {version!r} cannot be read, this version of tas reads format {known}")


def check_keys(description: Mapping[str, Any], known: tuple[str, ...], path: Path) -> None:
    """Refuse unknown keys.

    Raises:
        CheckpointError: there is one.
    """
    for key in description:
        if key not in known:
            raise CheckpointError(f"{path}: unknown key {key!r}, expected some of {', '.join(known)}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"incomplete checkpoint: {path} does not exist") from error
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error

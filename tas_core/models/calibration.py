"""How far to believe a model: from what it shows of an object to a calibrated probability. Imports no torch.

A checkpoint may hold one file more,

    calibration.json    {"format": 1, "model_digest": "...", "intercept": -1.2, "weights": {"presence": 0.8, ...},
                         "low": 0.3, "provenance": {...}}

With z = intercept + sum of weights times evidence, the confidence is 1 / (1 + exp(-z)) (logistic regression; Platt,
1999, for the scores of a classifier). It was fitted on scenes whose sounds are known, with the weights of one model:
``model_digest`` ties it to them.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from tas_core.errors import CheckpointError
from tas_core.models.description import check_version, parse_json
from tas_core.system.configs import config_from_dict
from tas_core.system.files import write_files

CALIBRATION_FILE: Final = "calibration.json"
CALIBRATION_FORMAT: Final = 1


@dataclass(frozen=True)
class Evidence:
    """What a separating model shows of an object over a span; see :mod:`tas_core.inference.evidence`.

    Attributes:
        sharpness: part of the stem that the model expects to be the object, 0 to 1.
        presence: log odds that the object sounds, the mean over what is not silent, -10 to 10.
        energy_share: fraction of the sound's energy that its mask takes, 0 to 1.
        alone: fraction of the span in which the prompts name nothing else, 0 to 1: a single name takes nearly all of a
            sound, whatever it is, and sharpness says little then.
        alone_presence: presence times alone.
    """

    sharpness: float
    presence: float
    energy_share: float
    alone: float
    alone_presence: float


FEATURES: Final = tuple(item.name for item in fields(Evidence))


@dataclass(frozen=True)
class Calibration:
    """Maps evidence to confidence.

    Attributes:
        model_digest: of the model that it was fitted with.
        intercept: log odds where all evidence is zero.
        weights: log odds for each unit of evidence, by the names of :class:`Evidence`.
        low: confidence below which people are warned.
        provenance: what it was fitted on, free-form JSON.
        format: :data:`CALIBRATION_FORMAT`.

    Raises:
        ValueError: no evidence or one of another name, numbers that are not finite, ``low`` outside 0 to 1.
    """

    model_digest: str
    intercept: float
    weights: dict[str, float]
    low: float
    provenance: dict[str, Any] = field(default_factory=dict)
    format: int = CALIBRATION_FORMAT

    def __post_init__(self) -> None:
        unknown = sorted(self.weights.keys() - set(FEATURES))
        if unknown or not self.weights:
            raise ValueError(f"weights of {', '.join(unknown) or 'nothing'}, expected some of {', '.join(FEATURES)}")
        for name, value in {**self.weights, "intercept": self.intercept}.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{name} is {value!r}, expected a finite number")
        if not 0 <= self.low <= 1:
            raise ValueError(f"low is {self.low}, expected 0 to 1")

    @property
    def digest(self) -> str:
        """SHA-256 in hex over all that confidence depends on; equal digests give equal confidence."""
        identity = json.dumps([self.model_digest, self.intercept, self.weights, self.low], sort_keys=True)
        return hashlib.sha256(identity.encode()).hexdigest()

    def confidence(self, evidence: Evidence) -> float:
        """Probability that the object's stem is right, 0 to 1."""
        shown = asdict(evidence)
        odds = self.intercept + sum(weight * shown[name] for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, odds))))


def read_calibration(folder: Path, model_digest: str) -> Calibration | None:
    """The calibration of a checkpoint; None where there is none.

    Args:
        folder: of the checkpoint.
        model_digest: of the checkpoint.

    Raises:
        CheckpointError: it cannot be read, is not what it should be, or was fitted with other weights.
    """
    path = folder / CALIBRATION_FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    values = parse_json(content, path)
    check_version(values, path, (CALIBRATION_FORMAT,))
    found = config_from_dict(Calibration, values, str(path))
    if found.model_digest != model_digest:
        raise CheckpointError(
            f"{path} was fitted with another model ({found.model_digest[:12]}) than this one ({model_digest[:12]}): "
            "fit it anew (tools/calibrate.py), or remove it to do without confidence"
        )
    return found


def write_calibration(folder: Path, calibration: Calibration) -> Path:
    """Write a calibration beside the weights that it was fitted with; one that is there is replaced.

    Raises:
        TasError: it cannot be written.
    """
    path = folder / CALIBRATION_FILE
    write_files({path: (json.dumps(asdict(calibration), indent=2, allow_nan=False) + "\n").encode()})
    return path

"""How to train: the settings of a run, its learning rate, and which of them a run that goes on may change."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tas_core.errors import InputError

_FREE: Final = frozenset(
    ("steps", "log_every", "validate_every", "save_every", "validation_batches", "compile", "decay_share", "workers")
)
"""Settings that an earlier run in the same folder need not have had."""


@dataclass(frozen=True)
class TrainingConfig:
    """How to train. ``warmup_steps`` rise linearly; the last ``decay_share`` of ``steps`` falls linearly to zero.

    ``workers`` threads compose as many batches ahead; what they compose does not depend on how many they are.
    """

    preset: str = "slots"
    steps: int = 3000
    batch_size: int = 8
    window_s: float = 3.0
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_steps: int = 200
    decay_share: float = 0.4
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    seed: int = 0
    precision: str = "fp32"
    compile: bool = False
    log_every: int = 10
    validate_every: int = 250
    validation_batches: int = 12
    save_every: int = 100
    init: str | None = None
    train_only: tuple[str, ...] = ()
    workers: int = 1
    fold: int = 1


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """Learning rate of a step counted from 0."""
    rise = min(1.0, (step + 1) / max(1, config.warmup_steps))
    fall = min(1.0, (config.steps - step) / max(1.0, config.decay_share * config.steps))
    return config.learning_rate * rise * fall


def check_same_run(earlier: dict[str, Any], config: TrainingConfig, out: Path) -> None:
    """Refuse to go on with a run under other settings; only its length, logging, saving and speed may change.

    Args:
        earlier: settings of the run in ``out``, as JSON has them.
        config: those wanted now.
        out: run folder, for the message.

    Raises:
        InputError: other settings differ.
    """
    now = json.loads(json.dumps(asdict(config)))
    # A setting that did not exist yet had its present default.
    earlier = {**json.loads(json.dumps(asdict(TrainingConfig()))), **earlier}
    changed = sorted(k for k in now if k not in _FREE and earlier.get(k) != now[k])
    if changed:
        listed = ", ".join(f"{k} (was {earlier.get(k)!r}, now {now[k]!r})" for k in changed)
        raise InputError(
            f"{out}: holds a run with other settings: {listed}; choose another folder to start afresh", remedy="out"
        )

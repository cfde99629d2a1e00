"""How to train: the settings of a run, its learning rate, and which of them a run that goes on may change."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from tas_core.errors import InputError

_FREE: Final = frozenset(
    (
        "steps",
        "minutes",
        "log_every",
        "validate_every",
        "save_every",
        "save_every_s",
        "validation_batches",
        "compile",
        "decay_share",
        "workers",
        "fitted_captions",
    )
)
"""Settings that an earlier run in the same folder need not have had."""

_STEPS_BETWEEN: Final = {"log": 10, "validate": 250, "save": 100}
"""Where the number of steps decides the end, and nothing else is said."""
_SECONDS_BETWEEN: Final = {"log": 10.0, "save": 60.0}
_VALIDATIONS: Final = 8
"""In a run whose end the clock decides."""


@dataclass(frozen=True)
class TrainingConfig:
    """How to train. ``warmup_steps`` rise linearly; the last ``decay_share`` of the run falls linearly to zero.

    Either ``steps`` or ``minutes`` decides the end. Minutes are those of the clock, with opening the material,
    compiling, validation and saving in them, and those of earlier parts of a run that was stopped.

    ``log_every``, ``validate_every`` and ``save_every`` are in steps; None is 10, 250 and 100 of them, and in a run of
    minutes 10 s, an eighth of the minutes, and 60 s. ``save_every_s`` is the most seconds between saves in any run.

    ``workers`` processes draw scenes ahead, or threads read recordings; one is a thread for both. What they give does
    not depend on how many they are.

    ``scenes`` names one of :data:`tas_core.datasets.mixing.draws.COMPOSITIONS`; recordings are what they are.

    At most ``fitted_captions`` captions are what the text layers of a model of whole prompts are fitted to before its
    first step (:mod:`tas_core.training.text_start`); with 0, or where ``init`` names weights, they are not.
    """

    preset: str = "slots"
    steps: int | None = None
    minutes: float | None = None
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
    log_every: int | None = None
    validate_every: int | None = None
    validation_batches: int = 12
    save_every: int | None = None
    save_every_s: float | None = None
    init: str | None = None
    train_only: tuple[str, ...] = ()
    workers: int = 1
    fold: int = 1
    scenes: str = "all"
    fitted_captions: int = 4096

    def between(self, what: Literal["log", "validate", "save"]) -> tuple[float, float]:
        """Steps and seconds between two logs, validations or saves, whichever are over first; infinite for no limit."""
        steps: int | None = getattr(self, f"{what}_every")
        seconds = self.save_every_s if what == "save" else None
        if self.minutes is None:
            steps = steps or _STEPS_BETWEEN[what]
        elif steps is None and seconds is None:
            seconds = _SECONDS_BETWEEN.get(what, 60 * self.minutes / _VALIDATIONS)
        return steps or math.inf, seconds or math.inf


def check_length(config: TrainingConfig) -> None:
    """Refuse settings that do not say when training ends, or say it twice.

    Raises:
        InputError: both steps and minutes, neither, or a number that is not above zero.
    """
    given = {name: value for name in ("steps", "minutes") if (value := getattr(config, name)) is not None}
    if not given:
        raise InputError(
            "when training ends is not said: expected a number of steps or of minutes", remedy="training_length"
        )
    if len(given) > 1:
        raise InputError(
            f"training would end after {config.steps} steps and after {config.minutes:g} minutes; expected one of them",
            remedy="training_length",
        )
    ((name, value),) = given.items()
    if not 0 < value < math.inf:
        raise InputError(f"training would end after {value:g} {name}; expected more than 0", remedy="training_length")


def captions_to_fit(config: TrainingConfig) -> int:
    """How many captions text layers are fitted to: no more than a run of steps is going to see."""
    if config.steps is None:
        return config.fitted_captions
    return min(config.fitted_captions, config.steps * config.batch_size)


def learning_rate_at(step: int, config: TrainingConfig, gone: float = 0.0) -> float:
    """Learning rate of a step counted from 0.

    Args:
        step: number of the step, which says how far it has risen.
        config: settings of the run.
        gone: fraction of the time that is over, 0 to 1; read only where the clock decides the end.
    """
    rise = min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.steps is not None:
        fall = min(1.0, (config.steps - step) / max(1.0, config.decay_share * config.steps))
    else:
        fall = min(1.0, (1.0 - gone) / max(1e-6, config.decay_share))
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

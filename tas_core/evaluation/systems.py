"""What is compared, all from the mono sum of a clip to two ears: models, and what stands beside them.

A model is :func:`tas_core.inference.stream.render` with a shipped model or a checkpoint; floors and ceilings are in
:mod:`tas_core.evaluation.baselines`. All of these keep (L + R) / 2 as it was. Any other program can be a row too
(:mod:`tas_core.evaluation.commands`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch

from tas_core.errors import InputError
from tas_core.evaluation.baselines import BASELINES, Baseline
from tas_core.evaluation.clips import RATE_HZ, EvalClip
from tas_core.evaluation.commands import COMMAND, TIMEOUT_S, Command, CommandSystem, is_command
from tas_core.inference.engine import LoadedModel, load_model
from tas_core.inference.presence import Detection
from tas_core.inference.renderer_choice import choose_renderer, flattened
from tas_core.inference.separation_cache import SeparationCache
from tas_core.inference.settings import RenderSettings
from tas_core.inference.stream import render
from tas_core.models.pretrained import find_checkpoint, shipped_models
from tas_core.models.text_encoders.base import CachedEncoder
from tas_core.timeline.segments import Timeline


class System(Protocol):
    """Anything that makes two ears.

    Attributes:
        identity: plain values that say all its output depends on, beside the clip and the seed.
        follows_text: whether the output depends on the timeline.
        separates: whether it tells objects apart, and says which are in the sound.
        needs_stems: whether it looks at the truth's stems.
        about: plain values for the results.
    """

    @property
    def identity(self) -> list[Any]: ...  # noqa: D102

    @property
    def follows_text(self) -> bool: ...  # noqa: D102

    @property
    def separates(self) -> bool: ...  # noqa: D102

    @property
    def needs_stems(self) -> bool: ...  # noqa: D102

    @property
    def about(self) -> dict[str, Any]: ...  # noqa: D102

    def __call__(self, clip: EvalClip, timeline: Timeline | None, seed: int) -> tuple[np.ndarray, float | None]:
        """Ears (ear, time) at 16 kHz for a clip under a timeline, and the seconds that took if they say anything."""
        ...

    def depends_on(self, clip: str) -> list[Any]:
        """Plain values that say what the output for a clip depends on beside its files; mostly nothing."""
        ...

    def detections(self, clip: EvalClip, timeline: Timeline) -> tuple[Detection, ...]:
        """Which objects of a timeline are in a clip; nothing from a system that cannot tell."""
        ...

    def heard(self, clip: EvalClip, timeline: Timeline) -> tuple[tuple[Detection, ...], Mapping[str, np.ndarray]]:
        """The same, and the estimated stem (time) of each object at 16 kHz."""
        ...


@dataclass(frozen=True)
class SystemSpec:
    """One line of a comparison.

    Attributes:
        name: what the results call it.
        source: one of :data:`BASELINES`, a shipped model, a checkpoint folder, or ``command[@VERSION]:WORDS``, see
            :mod:`tas_core.evaluation.commands`.
        steps: diffusion steps; None is the model's own default.

    Raises:
        InputError: an empty name or source, no steps, steps for something that has none, or a command that cannot be.
    """

    name: str
    source: str
    steps: int | None = None

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.source:
            raise InputError("a system has no name or no source, expected both")
        if is_command(self.source):
            Command.read(self.source)
        if self.steps is not None and not has_steps(self.source):
            raise InputError(f"{COMMAND if is_command(self.source) else self.source} has no steps")
        if self.steps is not None and self.steps < 1:
            raise InputError(f"{self.source}: {self.steps} steps, expected 1 or more")


def has_steps(source: str) -> bool:
    """Whether a source is a model, which alone has diffusion steps."""
    return source not in BASELINES and not is_command(source)


class ModelSystem:
    """A model on a device.

    Args:
        row: which model, and its steps.
        device: where it computes.

    Raises:
        InputError: an unknown name, a checkpoint that cannot be read, or more steps than the model has.
    """

    needs_stems = False
    follows_text = True

    def __init__(self, row: SystemSpec, device: torch.device) -> None:
        try:
            folder = find_checkpoint(row.source)
        except InputError as error:
            raise InputError(
                f"unknown model '{row.source}'; expected one of {', '.join((*shipped_models(), *BASELINES))}, "
                f"a checkpoint folder, or {COMMAND}:WORDS"
            ) from error
        model = load_model(folder, device.type)
        network = model.network
        self.steps = int(row.steps or network.default_steps)
        if self.steps > network.max_steps:
            raise InputError(
                f"{row.name}: {self.steps} steps; a {network.family} model takes at most {network.max_steps}"
            )
        if network.config.sample_rate_hz != RATE_HZ:
            raise InputError(f"{row.name}: a model at {network.config.sample_rate_hz} Hz; scores are at {RATE_HZ} Hz")
        self.identity: list[Any] = ["model", model.digest, self.steps, device.type]
        self.about: dict[str, Any] = {
            "kind": "model",
            "family": network.family,
            "digest": model.digest,
            "steps": self.steps,
            "text_encoder": network.config.text_encoder,
        }
        if model.calibration is not None:
            self.about["calibration"] = model.calibration.digest
        self.separates = network.separates
        self._device = device
        # One for all clips: no text is encoded for two of them, and what a clip's mirrored and centred prompts
        # need of it is found once.
        self._model = replace(model, encoder=CachedEncoder(model.encoder), separations=SeparationCache())
        self._is_warm = False

    def __call__(self, clip: EvalClip, timeline: Timeline | None, seed: int) -> tuple[np.ndarray, float | None]:
        """Ears (ear, time), and the seconds they took, text encoding left out.

        Raises:
            InputError: the clip has no timeline, or the model refuses the request.
        """
        if timeline is None:
            raise InputError(f"clip {clip.name}: no timeline, which a model needs")
        timeline, settings = choose_renderer(timeline, RenderSettings(steps=self.steps, seed=seed), RATE_HZ)
        model = self._ready(timeline)
        self._wait()
        began = time.perf_counter()
        ears = render(clip.mono, RATE_HZ, timeline, model, settings).ears
        self._wait()
        return ears, time.perf_counter() - began

    def depends_on(self, clip: str) -> list[Any]:
        """Nothing."""
        del clip
        return []

    def detections(self, clip: EvalClip, timeline: Timeline) -> tuple[Detection, ...]:
        """Which objects of a timeline are in a clip."""
        timeline = flattened(timeline)
        return render(clip.mono, RATE_HZ, timeline, self._ready(timeline), RenderSettings(steps=1)).detections

    def heard(self, clip: EvalClip, timeline: Timeline) -> tuple[tuple[Detection, ...], Mapping[str, np.ndarray]]:
        """Which objects of a timeline are in a clip, and their estimated stems (time)."""
        timeline = flattened(timeline)
        found = render(clip.mono, RATE_HZ, timeline, self._ready(timeline), RenderSettings(steps=1, stems=True))
        return found.detections, dict(found.stems)

    def _ready(self, timeline: Timeline) -> LoadedModel:
        """The model, having run once and read what it reads of a timeline."""
        if not self._is_warm:
            # The first run on a device pays for what later ones find ready.
            second = Timeline.from_prompt("sound on the left")
            render(np.zeros(RATE_HZ), RATE_HZ, second, self._model, RenderSettings(steps=1))
            self._is_warm = True
        return self._model.encoding(timeline)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()


def build_system(row: SystemSpec, device: torch.device, *, timeout_s: float = TIMEOUT_S) -> System:
    """The system of a row, loaded; ``timeout_s`` is how long a command may take for one clip.

    Raises:
        InputError: as :class:`ModelSystem` and :class:`tas_core.evaluation.commands.CommandSystem`.
    """
    if is_command(row.source):
        return CommandSystem(row.name, row.source, timeout_s)
    return Baseline(row.source) if row.source in BASELINES else ModelSystem(row, device)

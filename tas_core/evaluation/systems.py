"""What is compared: models, floors and ceilings, all from the mono sum x of a clip to two ears.

``truth``          the recording itself, the best that any measure can say
``mono``           x in both ears (Mono-Mono)
``pan``            the whole of x panned to the mean of the asked azimuths
``hrtf``           the whole of x through the measured head at that mean azimuth
``oracle-mask``    ideal ratio masks from the true stems, at the *asked* azimuths
``oracle-direct``  the true stems themselves, at their *true* azimuths, without their rooms' reflections
a model            :func:`tas_core.inference.stream.render` with a shipped model or a checkpoint

All keep (L + R) / 2 = x. With mid = 2 x and spectrograms as the ``slots`` model has them (1024 samples every 256),
and G the direction filter (:class:`tas_core.acoustics.direction_filter.DirectionFilter`):

    oracle-direct   side = sum_k G(a_k(t)) mid_k                mid_k = L + R of stem k,  a_k its true azimuth
    oracle-mask     side = sum_k m_k G(b_k(t)) mid              m_k = |mid_k|^2 / sum_j |mid_j|^2,  b_k as asked
    hrtf            side = G(b(t)) mid                          b = mean of the azimuths asked at time t, 0 if none
    pan             side = tan(pi / 4 * b(t) / 90 degrees) mid

``hrtf`` is the head's pair of filters, divided in every frequency by half their sum, so that the mono sum stays.
``pan`` has the level ratio of the constant-power law, L : R = cos(u) : sin(u) with u = (1 - b / 90 degrees) pi / 4,
scaled likewise; without the scale it would lose 3 dB of the mono sum at 90 degrees.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor

from tas_core.acoustics.direction_filter import DirectionFilter
from tas_core.acoustics.stft import istft, stft
from tas_core.conventions import LEFT_EAR, LEFT_SIGN, MAX_AZIMUTH_DEG, RIGHT_EAR
from tas_core.errors import InputError
from tas_core.evaluation.clips import RATE_HZ, EvalClip
from tas_core.inference.baselines import mean_azimuth_deg, through_head
from tas_core.inference.engine import LoadedModel, load_model
from tas_core.inference.presence import Detection
from tas_core.inference.settings import RenderSettings
from tas_core.inference.stream import render
from tas_core.models.pretrained import find_checkpoint, shipped_models
from tas_core.models.text_encoders.base import CachedEncoder
from tas_core.timeline.segments import Timeline

_N_FFT: Final = 1024
_HOP: Final = 256


class System(Protocol):
    """Anything that makes two ears.

    Attributes:
        identity: plain values that say all its output depends on, beside the clip and the seed.
        follows_text: whether the output depends on the timeline.
        separates: whether it tells objects apart, and says which are in the sound.
        needs_stems: whether it looks at the truth's stems.
        about: plain values for the report.
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

    def detections(self, clip: EvalClip, timeline: Timeline) -> tuple[Detection, ...]:
        """Which objects of a timeline are in a clip; nothing from a system that cannot tell."""
        ...


@dataclass(frozen=True)
class Row:
    """One line of a comparison.

    Attributes:
        name: what the results call it.
        source: one of :data:`BASELINES`, a shipped model, or a checkpoint folder.
        steps: diffusion steps; None is the model's own default.

    Raises:
        InputError: an empty name or source, no steps, or steps for something that has none.
    """

    name: str
    source: str
    steps: int | None = None

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.source:
            raise InputError("a system has no name or no source, expected both")
        if self.steps is not None and self.source in BASELINES:
            raise InputError(f"{self.source} has no steps")
        if self.steps is not None and self.steps < 1:
            raise InputError(f"{self.source}: {self.steps} steps, expected 1 or more")


# ---------------------------------------------------------------------------- floors and ceilings


@dataclass(frozen=True)
class Baseline:
    """A floor or a ceiling by name; what each is, the module says."""

    name: str

    @property
    def identity(self) -> list[Any]:
        """Its name."""
        return [self.name]

    @property
    def follows_text(self) -> bool:
        """Whether it asks for azimuths."""
        return self.name in ("pan", "hrtf", "oracle-mask")

    @property
    def separates(self) -> bool:
        """Never."""
        return False

    @property
    def needs_stems(self) -> bool:
        """Whether it is an oracle."""
        return self.name.startswith("oracle")

    @property
    def about(self) -> dict[str, Any]:
        """Its kind."""
        return {"kind": self.name}

    def __call__(self, clip: EvalClip, timeline: Timeline | None, seed: int) -> tuple[np.ndarray, float | None]:
        """Ears (ear, time).

        Raises:
            InputError: the clip has no stems or no timeline, and they are needed.
        """
        del seed
        x = clip.mono
        if self.name == "truth":
            return clip.truth, None
        if self.name == "mono":
            return np.stack([x, x]), None
        if self.needs_stems and clip.stems is None:
            raise InputError(f"clip {clip.name}: no stems, which {self.name} needs")
        if self.follows_text and timeline is None:
            raise InputError(f"clip {clip.name}: no timeline, which {self.name} needs")
        if self.name == "hrtf":
            assert timeline is not None
            return through_head(x, RATE_HZ, timeline), None
        mid = torch.from_numpy(2 * x)
        spectrum = stft(mid, _N_FFT, _HOP)
        times_s = np.arange(spectrum.shape[-1]) * _HOP / RATE_HZ
        if self.name == "oracle-direct":
            azimuth = clip.true_azimuth_deg(np.minimum(times_s, clip.duration_s))
            side = (_direction(azimuth) * _stem_mids(clip)).sum(dim=0)
        elif self.name == "oracle-mask":
            assert timeline is not None
            power = _stem_mids(clip).abs().square()
            masks = power / power.sum(dim=0).clamp_min(1e-12)
            side = (masks * _direction(clip.asked_azimuth_deg(timeline, times_s))).sum(dim=0) * spectrum
        else:
            assert timeline is not None
            mean_deg = mean_azimuth_deg(timeline, times_s, clip.duration_s)
            ratio = LEFT_SIGN * np.tan(math.pi / 4 * mean_deg / MAX_AZIMUTH_DEG)
            side = torch.from_numpy(ratio) * spectrum
        return _to_ears(x, istft(side.to(spectrum.dtype), _N_FFT, _HOP, len(x)).numpy()), None

    def detections(self, clip: EvalClip, timeline: Timeline) -> tuple[Detection, ...]:
        """Nothing."""
        del clip, timeline
        return ()


BASELINES: Final = ("truth", "mono", "pan", "hrtf", "oracle-mask", "oracle-direct")
"""Names of the floors and ceilings."""


def _stem_mids(clip: EvalClip) -> Tensor:
    """Spectrograms (object, freq, frame) of L + R of every stem."""
    assert clip.stems is not None
    return stft(torch.from_numpy(clip.stems.sum(axis=1)), _N_FFT, _HOP)


def _direction(azimuth_deg: np.ndarray) -> Tensor:
    """Filters (object, freq, frame) for azimuths (object, frame)."""
    filters = DirectionFilter(_N_FFT, RATE_HZ)
    return filters(torch.from_numpy(azimuth_deg).float()).transpose(-1, -2)


def _to_ears(x: np.ndarray, side: np.ndarray) -> np.ndarray:
    ears = np.empty((2, len(x)))
    ears[LEFT_EAR] = x + side / 2
    ears[RIGHT_EAR] = x - side / 2
    return ears


# ---------------------------------------------------------------------------- models


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

    def __init__(self, row: Row, device: torch.device) -> None:
        try:
            folder = find_checkpoint(row.source)
        except InputError as error:
            raise InputError(
                f"unknown model '{row.source}'; expected one of {', '.join((*shipped_models(), *BASELINES))}, "
                "or a checkpoint folder"
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
        self.separates = network.separates
        self._device = device
        # One for all clips: no text is encoded for two of them.
        self._model = replace(model, encoder=CachedEncoder(model.encoder))
        self._is_warm = False

    def __call__(self, clip: EvalClip, timeline: Timeline | None, seed: int) -> tuple[np.ndarray, float | None]:
        """Ears (ear, time), and the seconds they took, text encoding left out.

        Raises:
            InputError: the clip has no timeline, or the model refuses the request.
        """
        if timeline is None:
            raise InputError(f"clip {clip.name}: no timeline, which a model needs")
        model = self._ready(timeline)
        self._wait()
        began = time.perf_counter()
        ears = render(clip.mono, RATE_HZ, timeline, model, RenderSettings(steps=self.steps, seed=seed)).ears
        self._wait()
        return ears, time.perf_counter() - began

    def detections(self, clip: EvalClip, timeline: Timeline) -> tuple[Detection, ...]:
        """Which objects of a timeline are in a clip."""
        return render(clip.mono, RATE_HZ, timeline, self._ready(timeline), RenderSettings(steps=1)).detections

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


def build_system(row: Row, device: torch.device) -> System:
    """The system of a row, loaded.

    Raises:
        InputError: as :class:`ModelSystem`.
    """
    return Baseline(row.source) if row.source in BASELINES else ModelSystem(row, device)

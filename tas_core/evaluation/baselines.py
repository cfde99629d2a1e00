"""Floors and ceilings of an evaluation, all from the mono sum x of a clip to two ears.

``truth``          the recording itself, the best that any measure can say
``mono``           x in both ears (Mono-Mono)
``pan``            the whole of x panned to the mean of the requested azimuths
``hrtf``           the whole of x through the measured head at that mean azimuth
``oracle-mask``    ideal ratio masks from the true stems, at the *requested* azimuths
``oracle-direct``  the true stems themselves, at their *true* azimuths, without their rooms' reflections
``sources``        the same by the renderer of given sounds (:mod:`tas_core.inference.given`), what who has the stems
                   gets
``sources-asked``  that at the *requested* places: what coarse words cost
``sources-plane``  that, at the true places, on the frontal plane, also of places all around: as far to the side as they
                   are, in front

All but ``sources`` and ``sources-asked`` on clips of the 3D twin, where they are the renderer of the whole sphere, keep
(L + R) / 2 = x. There a "stem" is the dry sound of an object, and what the plane says of a place is how far to the side
it is. With mid = 2 x and spectrograms as the ``slots`` model has them (1024 samples every 256), and G the direction
filter (:class:`tas_core.acoustics.direction_filter.DirectionFilter`):

    oracle-direct   side = sum_k G(a_k(t)) mid_k            mid_k = L + R of stem k,  a_k its true azimuth
    oracle-mask     side = sum_k m_k G(b_k(t)) mid          m_k = |mid_k|^2 / sum_j |mid_j|^2,  b_k as requested

:mod:`tas_core.inference.baselines` has the formulas of ``pan`` and ``hrtf``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from tas_core.acoustics.direction_filter import DirectionFilter
from tas_core.acoustics.stft import istft, stft
from tas_core.conventions import to_ears
from tas_core.errors import InputError
from tas_core.evaluation.clips import RATE_HZ, EvalClip
from tas_core.inference.baselines import panned, through_head
from tas_core.inference.blocks import gathered
from tas_core.inference.given import GivenSpatializer, render_given
from tas_core.inference.presence import Detection
from tas_core.inference.renderer_choice import choose_renderer, flattened
from tas_core.inference.settings import RenderSettings
from tas_core.timeline.segments import Timeline

_N_FFT: Final = 1024
_HOP: Final = 256


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
        return self.name in ("pan", "hrtf", "oracle-mask", "sources-asked")

    @property
    def separates(self) -> bool:
        """Never."""
        return False

    @property
    def needs_stems(self) -> bool:
        """Whether it is an oracle."""
        return self.name.startswith(("oracle", "sources"))

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
            return through_head(x, RATE_HZ, flattened(timeline, without_ways=True)), None
        if self.name == "pan":
            assert timeline is not None
            return panned(x, RATE_HZ, flattened(timeline, without_ways=True)), None
        if self.name.startswith("sources"):
            where = timeline if self.name == "sources-asked" and timeline is not None else clip.true_timeline()
            return _given(clip, where, on_plane=self.name == "sources-plane"), None
        spectrum = stft(torch.from_numpy(2 * x), _N_FFT, _HOP)
        times_s = np.arange(spectrum.shape[-1]) * _HOP / RATE_HZ
        if self.name == "oracle-direct":
            azimuth = clip.true_azimuth_deg(np.minimum(times_s, clip.duration_s))
            side = (_direction(azimuth) * _stem_mids(clip)).sum(dim=0)
        else:
            assert timeline is not None
            power = _stem_mids(clip).abs().square()
            masks = power / power.sum(dim=0).clamp_min(1e-12)
            side = (masks * _direction(clip.requested_azimuth_deg(timeline, times_s))).sum(dim=0) * spectrum
        return to_ears(x, istft(side.to(spectrum.dtype), _N_FFT, _HOP, len(x)).numpy()), None

    def depends_on(self, clip: str) -> list[Any]:
        """Nothing."""
        del clip
        return []

    def detections(self, clip: EvalClip, timeline: Timeline) -> tuple[Detection, ...]:
        """Nothing."""
        del clip, timeline
        return ()

    def heard(self, clip: EvalClip, timeline: Timeline) -> tuple[tuple[Detection, ...], Mapping[str, np.ndarray]]:
        """Nothing."""
        del clip, timeline
        return (), {}


BASELINES: Final = (
    *("truth", "mono", "pan", "hrtf", "oracle-mask", "oracle-direct"),
    *("sources", "sources-asked", "sources-plane"),
)
"""Names of the floors and ceilings."""


def _given(clip: EvalClip, timeline: Timeline, *, on_plane: bool) -> np.ndarray:
    """Ears (ear, time) of the true stems, mixed down, at the places of a timeline."""
    named = [k for k, phrase in enumerate(clip.phrases) if phrase in timeline.objects]
    stems = clip.mono_stems[named]
    sounds = dict(zip([clip.phrases[k] for k in named], stems[:, None], strict=True))
    if clip.on_sphere and not on_plane:
        timeline, settings = choose_renderer(timeline, RenderSettings(renderer="sphere"), RATE_HZ)
        return render_given(None, RATE_HZ, timeline, sounds, None, settings).ears
    rest = clip.mono - stems.sum(axis=0)
    job = GivenSpatializer(len(rest), RATE_HZ, flattened(timeline, without_ways=True), dict.fromkeys(sounds, 1))
    return gathered(job, job.blocks([np.concatenate([*sounds.values(), rest[None]])])).ears


def _stem_mids(clip: EvalClip) -> Tensor:
    """Spectrograms (object, freq, frame) of L + R of every stem."""
    return stft(torch.from_numpy(2 * clip.mono_stems), _N_FFT, _HOP)


def _direction(azimuth_deg: np.ndarray) -> Tensor:
    """Filters (object, freq, frame) for azimuths (object, frame)."""
    filters = DirectionFilter(_N_FFT, RATE_HZ)
    return filters(torch.from_numpy(azimuth_deg).float()).transpose(-1, -2)

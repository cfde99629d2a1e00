"""One call from samples and words to two ears, for notebooks and other programs.

:func:`spatialize` takes what people have (a prompt, a path, a model's name), checks it with errors that say what to do,
and keeps loaded models for the next call. :class:`tas_core.inference.stream.Spatializer` is for signals that come in
pieces, :mod:`tas_core.jobs.spatialize` for files.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final, Unpack

import numpy as np

from tas_core.acoustics.hrtf import HrirSet
from tas_core.acoustics.sofa import read_sofa
from tas_core.audio.reader import MAX_RATE_HZ, MIN_RATE_HZ
from tas_core.errors import InputError
from tas_core.inference.engine import LoadedModel, load_model
from tas_core.inference.given import others, render_given
from tas_core.inference.renderer_choice import choose_renderer, wants_sphere
from tas_core.inference.result import Spatialized, complaints
from tas_core.inference.settings import RenderKeywords, RenderSettings
from tas_core.models.calibration import CALIBRATION_FILE
from tas_core.models.description import CONFIG_FILE
from tas_core.models.pretrained import DEFAULT_MODEL, find_checkpoint
from tas_core.system.progress import Progress, ignore
from tas_core.timeline.doubts import warn_of_doubts
from tas_core.timeline.files import EXTENSIONS, load_timeline
from tas_core.timeline.matching import match_name
from tas_core.timeline.segments import Timeline, TimelineWarning

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from tas_core.models.base import SpatialModel
    from tas_core.models.text_encoders.base import TextEncoder

_MODELS_KEPT: Final = 2


class SpatializeKeywords(RenderKeywords, total=False):
    """What :func:`spatialize` takes beside settings of the rendering: whom to tell the fraction done."""

    progress: Progress


def spatialize(
    audio: ArrayLike | None,
    sample_rate_hz: int,
    timeline: str | PathLike[str] | Timeline,
    *,
    model: str | PathLike[str] | LoadedModel | SpatialModel = DEFAULT_MODEL,
    device: str = "auto",
    sources: Mapping[str, ArrayLike] | None = None,
    **settings: Unpack[SpatializeKeywords],
) -> Spatialized:
    """Put each named sound where the words say.

    ::

        result = tas_core.spatialize(samples, 48000, "cello on the left, piano on the right")

    The mean of the ears is the input (on the plane, and where no prompt changes a level), and the same arguments give
    the same result.

    Args:
        audio: mono samples (time), floating point, full scale 1; anything that NumPy takes for such an array. None if
            all sounds are given.
        sample_rate_hz: 8000 to 192000.
        timeline: a prompt for all of it, the path of a timeline file of any format (a ``pathlib.Path``, since a str is
            a prompt), or a :class:`tas_core.timeline.Timeline`.
        model: name of a shipped model or a checkpoint folder, loaded once and kept for later calls; or a loaded one, of
            :func:`tas_core.load_model` or :func:`tas_core.models.registry.load_network`.
        device: "auto", "cpu" or "cuda"; for models that are loaded by this call.
        sources: sounds of objects, by the names of these, that are placed as they are: (time) or two channels
            (channel, time), at the same rate. With ``audio``, which has to be their sum and something else, a network
            looks for the other objects in what they leave; without, no network and no torch is needed.
        progress: told the fraction done, 0 to 1.
        settings: those of :class:`tas_core.RenderSettings`: ``steps`` (diffusion steps; None is the model's own
            default), ``seed`` (of the noise), ``head`` (whose ears to make: a SOFA file or what
            :func:`tas_core.read_sofa` made of it; None is a KEMAR), ``width`` (factor of the difference between the
            ears, 0 to 2), ``transition_s`` (how long places take to change where a prompt begins or ends, seconds),
            ``stems`` (whether to return each object's estimated stem), ``stereo`` ("keep" for samples of two
            channels that stay where no prompt places their sounds) and ``renderer`` ("plane", "sphere", or "auto",
            which is the sphere where words ask for more than the plane).

    Warns:
        UserWarning: an object that the timeline names is not in the sound, or something else was probably taken for it,
            or two have nearly the same masks, as far as the model can tell.
        TimelineWarning: the timeline outlasts the audio; words that were read in a doubtful way, and names that look
            misspelt or have a word that the text encoder does not know, as for files.

    Raises:
        InputError: what cannot be used, what was expected, and what to do: samples that are not mono, not floating
            point or not finite, a rate out of range, a prompt that cannot be read, an unknown model.
    """
    progress = settings.pop("progress", ignore)
    if audio is None and not sources:
        raise InputError("audio is None and there are no sources; expected samples, or sounds of all objects")
    chosen = _render_settings(settings)
    samples = None
    if audio is not None:
        samples = _both_channels(audio) if chosen.keeps_stereo else _mono_samples(audio)
    rate_hz = _checked_rate(sample_rate_hz)
    what = _read_timeline(timeline)
    if isinstance(path := settings.get("head"), (str, PathLike)) and wants_sphere(what, chosen):
        chosen = replace(chosen, head=read_sofa(Path(path), everywhere=True))
    what, chosen = choose_renderer(what, chosen, rate_hz)
    given = {match_name(name, what.objects, what="source"): _channels(name, x) for name, x in (sources or {}).items()}
    if len(given) < len(sources or {}):
        raise InputError(f"two sources are of one object ({', '.join(sources or {})}); expected one for each")
    warn_of_doubts(what, given=given)
    separated = others(what, given) if given else what
    ready = None
    if separated is not None and samples is not None:
        ready = _loaded(model, device)
        from tas_core.inference.unknown_words import unknown_word_notes

        for note in unknown_word_notes(separated, ready.encoder):
            warnings.warn(note, TimelineWarning, stacklevel=2)
    if given:
        result = render_given(samples, rate_hz, what, given, ready, chosen, progress)
    else:
        from tas_core.inference.stream import render

        assert samples is not None
        assert ready is not None
        result = render(samples, rate_hz, what, ready, chosen, progress)
    for complaint in complaints(result.detections, result.alike):
        warnings.warn(complaint, stacklevel=2)
    return result


def _both_channels(audio: ArrayLike) -> np.ndarray:
    """Samples of two channels as an array (channel, time) of floats."""
    samples = np.asarray(audio)
    if samples.ndim != 2 or 2 not in samples.shape:
        raise InputError(
            f"audio has the shape {samples.shape}; expected two channels (channel, time), which are to stay"
        )
    both = samples if len(samples) == 2 else samples.T
    return np.stack([_mono_samples(channel) for channel in both])


def _channels(name: str, sound: ArrayLike) -> np.ndarray:
    """The sound of an object as an array (channel, time) of floats, one channel or two."""
    try:
        if isinstance(sound, (str, PathLike)):
            raise InputError("a path, expected samples: read them (tas_core.audio.read_audio)")
        samples = np.asarray(sound)
        if samples.ndim == 2 and 2 in samples.shape:
            return _both_channels(samples)
        return _mono_samples(samples)[None]
    except InputError as error:
        raise InputError(f"source '{name}': {error}") from error


def _render_settings(settings: RenderKeywords) -> RenderSettings:
    """Settings as they were given, a head read from its file."""
    if unknown := sorted(settings.keys() - RenderKeywords.__annotations__.keys()):
        raise TypeError(f"spatialize() got an unexpected keyword argument '{unknown[0]}'")
    head = settings.get("head")
    if isinstance(head, (str, PathLike)):
        head = read_sofa(Path(head))
    if not isinstance(head, HrirSet | None):
        raise InputError(f"head is of the type {type(head).__name__}; expected a SOFA file or what read_sofa returns")
    others = {name: value for name, value in settings.items() if name != "head"}
    return RenderSettings(**others, head=head)  # type: ignore[arg-type] # their types are those of the keywords


def _mono_samples(audio: ArrayLike) -> np.ndarray:
    """The samples as an array (time) of floats."""
    if isinstance(audio, (str, PathLike)):
        raise InputError(
            f"audio is the path {os.fspath(audio)}; expected samples: read them (tas_core.audio.read_audio), "
            "or use tas_core.spatialize_file"
        )
    try:
        samples = np.asarray(audio)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"audio is no array of samples: {str(error).splitlines()[0]}") from error
    if samples.ndim == 2 and samples.size:
        # A channel axis is shorter than time.
        axis = int(samples.shape[0] > samples.shape[1])
        raise InputError(
            f"audio has the shape {samples.shape}, {samples.shape[axis]} channels; expected mono samples (time): mix "
            f"down with audio.mean(axis={axis}), or take one channel, audio{'[:, 0]' if axis else '[0]'}"
        )
    if samples.ndim != 1 or samples.size == 0:
        raise InputError(f"audio has the shape {samples.shape}; expected mono samples (time), at least one")
    if samples.dtype.kind in "iu":
        size = 2 ** (8 * samples.dtype.itemsize - 1)
        scaled = f"audio / {size}" if samples.dtype.kind == "i" else f"(audio - {size:.1f}) / {size}"
        raise InputError(f"audio is {samples.dtype}; expected floating point with full scale 1: pass {scaled}")
    if samples.dtype.kind != "f":
        raise InputError(f"audio is {samples.dtype}; expected floating point with full scale 1")
    finite = np.isfinite(samples)
    if not finite.all():
        at = int(np.argmin(finite))
        raise InputError(f"sample {at} of audio is {samples[at]}; expected finite samples")
    return samples


def _checked_rate(sample_rate_hz: int) -> int:
    """The rate in Hz."""
    rate = sample_rate_hz
    expected = f"expected whole Hz from {MIN_RATE_HZ} to {MAX_RATE_HZ}"
    if not isinstance(rate, Real) or isinstance(rate, bool):
        raise InputError(f"sample_rate_hz is {rate!r}; {expected}")
    if not MIN_RATE_HZ <= rate <= MAX_RATE_HZ or rate != int(rate):
        from_khz = 1000 * float(rate)
        hint = f" (did you mean {from_khz:.0f}?)" if MIN_RATE_HZ <= from_khz <= MAX_RATE_HZ else ""
        raise InputError(f"sample_rate_hz is {rate}; {expected}{hint}")
    return int(rate)


def _read_timeline(timeline: str | PathLike[str] | Timeline) -> Timeline:
    """A timeline from whatever stands for one."""
    if isinstance(timeline, Timeline):
        return timeline
    if isinstance(timeline, PathLike):
        return load_timeline(Path(timeline))
    if not isinstance(timeline, str):
        raise InputError(
            f"timeline is of the type {type(timeline).__name__}; expected a prompt, the path of a file or a Timeline"
        )
    if timeline.strip().lower().endswith(EXTENSIONS):
        raise InputError(
            f"timeline is the text {timeline!r}, which would be a prompt; to read a file, pass Path({timeline!r})"
        )
    return Timeline.from_prompt(timeline)


def _loaded(model: str | PathLike[str] | LoadedModel | SpatialModel, device: str) -> LoadedModel:
    """A model and the text encoder that it was trained with."""
    if isinstance(model, (str, PathLike)):
        from tas_core.system.devices import choose_device

        folder = find_checkpoint(os.fspath(model)).resolve()
        description = folder / CONFIG_FILE
        # It holds the hash of the weights, so a folder that was written anew is loaded anew.
        files = [path for path in (description, folder / CALIBRATION_FILE) if path.is_file()]
        state = b"".join(path.read_bytes() for path in files)
        return _kept_model(str(folder), choose_device(device).type, state)
    if device != "auto":
        raise InputError(f"device is '{device}', but a loaded model stays where it is; expected auto")
    if isinstance(model, LoadedModel):
        return model
    from tas_core.models.base import is_spatial_model

    if not is_spatial_model(model):
        raise InputError(f"model is of the type {type(model).__name__}; expected a name, a folder or a loaded model")
    return LoadedModel.of(model, _kept_encoder(model.config.text_encoder))


@lru_cache(maxsize=_MODELS_KEPT)
def _kept_model(folder: str, device: str, state: bytes) -> LoadedModel:  # noqa: ARG001 - a part of the key
    return load_model(folder, device)


@lru_cache(maxsize=_MODELS_KEPT)
def _kept_encoder(name: str) -> TextEncoder:
    from tas_core.models.text_encoders.registry import build_text_encoder

    return build_text_encoder(name)

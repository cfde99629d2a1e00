"""Every measure of one output of one clip, by name.

**Objects.** Each object of a simulated clip is looked at where it rests, over the whole of that span, and while it
moves, in spans of 0.5 s with the azimuth at their middle; :mod:`tas_core.evaluation.metrics.objects` makes scores of
that. Sides are those of the *true* azimuth at +-15 degrees, whatever the prompt's wording; ``azimuth_error_deg`` exists
where the prompt gives degrees.

**All around.** Of clips of the 3D twin, an ideal observer (:mod:`tas_core.evaluation.metrics.sphere`) hears each object
over the whole of its time, or while it moves in pieces of 0.3 s, in an output and in the truth. Their sides are those
of how far they are to the side; (L + R) / 2 and silence of the input promise nothing there and are not measured.

**Levels** that may be infinite (an exact mono sum is -inf dB) are held within +-200 dB, so that they have means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

import numpy as np

from tas_core.acoustics.hrtf import direction_vectors
from tas_core.datasets.tasbench.scenes import SceneObject
from tas_core.errors import InputError
from tas_core.evaluation.clips import RATE_HZ, EvalClip, OutputError
from tas_core.evaluation.metrics import (
    LONG_STFT,
    SHORT_STFT,
    StftSettings,
    azimuth_error_deg,
    binaqual,
    center_spl_db,
    gcc_itd_error_us,
    ic_error,
    ild_error_db,
    itd_error_us,
    mirror_db,
    mono_sum_error_db,
    mrstft_error,
    object_azimuth_spans_deg,
    paper_metrics,
    pesq_mos,
    rank_audio,
    rank_object,
    silence_floor_db,
    spl_difference_curve_db,
    stoi_score,
    swap_accuracy,
)
from tas_core.evaluation.metrics.sphere import (
    great_circle_deg,
    is_confused,
    spectral_error_db,
)
from tas_core.evaluation.systems import System

Better = Literal["higher", "lower"]
Also = Literal["cited", "speech", "confidence"]
ALSO: Final[tuple[Also, ...]] = get_args(Also)
"""Groups of measures that are taken only where they are requested."""
ALSO_OF_FILES: Final[tuple[Also, ...]] = ("cited", "speech")
"""Those that need nothing but an output and the truth."""
LEVEL_LIMIT_DB: Final = 200.0
_SPL_LIMIT_DB: Final = 40.0
_SPAN_S: Final = 0.5
_WIDE: Final = 0.5
_SILENT_DB: Final = -80.0
_LEVEL_ERROR_LIMIT_DB: Final = 40.0

STFTS: Final[Mapping[str, StftSettings]] = MappingProxyType({"short": SHORT_STFT, "long": LONG_STFT})
"""Transforms behind ``amp`` and ``pha`` by name."""

MEASURES: Final[Mapping[str, Mapping[str, Better]]] = MappingProxyType(
    {
        "paper": {
            "stft": "lower",
            "env": "lower",
            "wav_x1000": "lower",
            "amp": "lower",
            "pha": "lower",
            "snr_db": "higher",
        },
        "direction": {"rank_object": "higher", "rank_audio": "higher", "azimuth_error_deg": "lower"},
        "sphere": {
            "great_circle_deg": "lower",
            "front_back_confused": "lower",
            "up_down_confused": "lower",
            "left_right_confused": "lower",
            "level_error_db": "lower",
            "spectral_error_db": "lower",
        },
        "space": {"ic_error": "lower", "ild_error_db": "lower", "itd_error_us": "lower", "spl_error_db": "lower"},
        "cited": {"binaqual": "higher", "gcc_itd_error_us": "lower", "mrstft": "lower"},
        "speech": {"pesq": "higher", "stoi": "higher"},
        "confidence": {
            "right_stems": "higher",
            "confidence_auc": "higher",
            "confidence_brier": "lower",
            "confidence_ece": "lower",
            "trusted_right": "higher",
            "trusted_wrong": "lower",
            "trusted_present": "higher",
            "trusted_absent": "lower",
        },
        "control": {
            "mirror_db": "lower",
            "swap_accuracy": "higher",
            "center_spl_db": "lower",
            "mono_sum_error_db": "lower",
            "silence_floor_db": "lower",
            "found_present": "higher",
            "found_absent": "lower",
        },
        "speed": {"real_time_factor": "lower"},
    }
)
"""All measures by group, and which way is better."""

GROUPED: Final = ("snr_db", "rank_object", "rank_audio", "azimuth_error_deg", "great_circle_deg")
"""Measures that are also given for some kinds of clips."""


@dataclass(frozen=True)
class ObjectSpan:
    """Where an object is, and where it is perceived; degrees, ``measured_deg`` None where it cannot be told."""

    object: int
    start_s: float
    end_s: float
    true_deg: float
    measured_deg: float | None


@dataclass(frozen=True)
class PlaceSpan:
    """Where an object is all around, and how it is heard there.

    Degrees and metres. What is heard is None where it cannot be told: too little sound, or, of a direction, a sound
    that is all around. The errors are against the truth as it is heard: of the level of both ears together, and of
    third octaves.
    """

    object: int
    start_s: float
    end_s: float
    azimuth_deg: float
    elevation_deg: float
    distance_m: float
    heard_azimuth_deg: float | None
    heard_elevation_deg: float | None
    level_error_db: float | None
    spectral_error_db: float | None


def file_measures(
    output: np.ndarray, truth: np.ndarray, *, normalise: bool = True, stft: str = "short"
) -> dict[str, float]:
    """The measures that need nothing but an output and the truth, by name.

    Args:
        output: (ear, time) at 16 kHz.
        truth: the same shape.
        normalise: divide each by its own peak before the six measures of the paper; the others never do.
        stft: a key of :data:`STFTS`.

    Returns:
        Values; a measure without a value (``pha`` of silence) is missing.

    Raises:
        ValueError: unequal shapes, not two ears, no samples, or non-finite samples.
    """
    found = {
        name: float(value)
        for name, value in asdict(paper_metrics(output, truth, normalise=normalise, phase_stft=STFTS[stft])).items()
    }
    found["ic_error"] = float(ic_error(output, truth, RATE_HZ))
    found["ild_error_db"] = float(ild_error_db(output, truth, RATE_HZ))
    found["itd_error_us"] = float(itd_error_us(output, truth, RATE_HZ))
    found["spl_error_db"] = spl_error_db(output, truth)
    return _known(found)


def check_also(also: Sequence[str], known: Sequence[Also] = ALSO) -> None:
    """See that groups of measures are some of those that there are, each once.

    Raises:
        InputError: another name, or one twice.
    """
    for number, group in enumerate(also):
        if group not in known:
            what = "files have no measures of" if group in ALSO else "unknown measures"
            raise InputError(f"{what} '{group}'; expected some of {', '.join(known)}")
        if group in also[:number]:
            raise InputError(f"the measures '{group}' are requested twice")


def cited_measures(output: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Measures that other papers give (:mod:`tas_core.evaluation.metrics.cited`), of levels as they are.

    Arguments and errors as :func:`file_measures`.
    """
    return _known(
        {
            "binaqual": float(binaqual(output, truth, RATE_HZ)),
            "gcc_itd_error_us": float(gcc_itd_error_us(output, truth, RATE_HZ)),
            "mrstft": float(mrstft_error(output, truth)),
        }
    )


def speech_measures(output: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """PESQ and STOI (:mod:`tas_core.evaluation.metrics.speech`). Arguments as :func:`file_measures`.

    Raises:
        InputError: a package is missing.
        ValueError: as :func:`file_measures`.
    """
    return _known({"pesq": pesq_mos(output, truth, RATE_HZ), "stoi": stoi_score(output, truth, RATE_HZ)})


def spl_error_db(output: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference of the SPL difference (paper, Fig. 7), dB, over windows of 100 ms every 50 ms.

    Windows in which the truth is below -60 dBFS are left out; those in which only the output is have 0 dB. Values stop
    at +-40 dB. nan where no window is left.
    """
    _, ours = spl_difference_curve_db(output, RATE_HZ)
    _, theirs = spl_difference_curve_db(truth, RATE_HZ)
    measured = ~np.isnan(theirs)
    if not measured.any():
        return math.nan
    limited = [np.clip(np.nan_to_num(v[measured], nan=0.0), -_SPL_LIMIT_DB, _SPL_LIMIT_DB) for v in (ours, theirs)]
    return float(np.abs(limited[0] - limited[1]).mean())


def clip_measures(
    output: np.ndarray, clip: EvalClip, *, normalise: bool = True, stft: str = "short"
) -> tuple[dict[str, float], tuple[ObjectSpan, ...], tuple[PlaceSpan, ...]]:
    """All measures of an output for a clip that need no further output, and where its objects are perceived.

    Arguments and errors as :func:`file_measures`.

    Returns:
        Measures; where objects are to the side; and where they are all around, nothing for clips that are not of the
        3D twin.
    """
    found = file_measures(output, clip.truth, normalise=normalise, stft=stft)
    if not clip.asks_for_sphere:
        x = clip.mono
        found["mono_sum_error_db"] = _limited(mono_sum_error_db(output, x))
        found["silence_floor_db"] = _limited(silence_floor_db(output, x, RATE_HZ))
    spans = object_spans(output, clip)
    found |= direction_measures(spans, degrees=clip.style == "degrees" and not clip.on_sphere)
    places = place_spans(output, clip)
    return _known(found | sphere_measures(places)), spans, places


def place_spans(output: np.ndarray, clip: EvalClip) -> tuple[PlaceSpan, ...]:
    """How each object of a clip of the 3D twin is heard in an output (ear, time) at 16 kHz; nothing for other clips."""
    if clip.scene is None or clip.dry is None:
        return ()
    found = []
    for (k, start_s, end_s), truth, heard in zip(clip.place_spans_s, clip.heard_truth, clip.heard(output), strict=True):
        item = clip.scene.objects[k]
        azimuth_deg, elevation_deg, distance_m = _true_place(item, clip.dry[k], start_s, end_s)
        assert item.place is not None
        audible = truth is not None and heard is not None and heard.level_db > _SILENT_DB
        pointed = heard if audible and item.place.start.spread < _WIDE else None
        level_db = abs(heard.level_db - truth.level_db) if truth and heard else None
        colour_db = spectral_error_db(heard, truth) if truth and heard and audible else None
        found.append(
            PlaceSpan(
                *(k, start_s, end_s, azimuth_deg, elevation_deg, distance_m),
                pointed.azimuth_deg if pointed else None,
                pointed.elevation_deg if pointed else None,
                None if level_db is None else min(level_db, _LEVEL_ERROR_LIMIT_DB),
                colour_db,
            )
        )
    return tuple(found)


def _true_place(item: SceneObject, sound: np.ndarray, start_s: float, end_s: float) -> tuple[float, float, float]:
    """Azimuth, elevation and distance of an object over a span: where it is while it sounds (time), by its power."""
    times_s = np.linspace(start_s, end_s, 21)
    edges = np.round(times_s * RATE_HZ).astype(int)
    power = [float(np.square(sound[a:b]).sum()) for a, b in zip(edges, edges[1:], strict=False)]
    weights = np.array(power) + 1e-12
    trace = item.trace((times_s[1:] + times_s[:-1]) / 2)
    x, y, z = weights @ direction_vectors(trace.azimuth_deg, trace.elevation_deg)
    distance_m = float(weights @ trace.distance_m / weights.sum())
    return float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y)))), distance_m


def sphere_measures(places: Sequence[PlaceSpan]) -> dict[str, float]:
    """Errors all around of a clip: means over the time of an object, then over the objects that count in each."""
    values: dict[str, dict[int, list[tuple[float, float]]]] = {name: {} for name in MEASURES["sphere"]}
    for span in places:
        found: dict[str, float | None] = {
            "level_error_db": span.level_error_db,
            "spectral_error_db": span.spectral_error_db,
        }
        if span.heard_azimuth_deg is not None and span.heard_elevation_deg is not None:
            true = direction_vectors(np.array(span.azimuth_deg), np.array(span.elevation_deg))
            heard = direction_vectors(np.array(span.heard_azimuth_deg), np.array(span.heard_elevation_deg))
            found["great_circle_deg"] = great_circle_deg(true, heard)
            for axis, name in enumerate(("front_back_confused", "left_right_confused", "up_down_confused")):
                found[name] = is_confused(true, heard, axis)
        for name, value in found.items():
            if value is not None:
                values[name].setdefault(span.object, []).append((float(value), span.end_s - span.start_s))
    means = {
        name: [sum(v * s for v, s in spans) / sum(s for _, s in spans) for spans in by_object.values()]
        for name, by_object in values.items()
    }
    return {name: float(np.mean(found)) for name, found in means.items() if found}


def spans_of(path: tuple[tuple[float, float], ...], end_s: float) -> list[tuple[float, float]]:
    """Stretches of rest, and pieces of about 0.5 s of movement, of a path of (seconds, degrees) points."""
    pieces: list[tuple[float, float]] = []
    resting = False
    for (start, first_deg), (stop, last_deg) in zip(path, path[1:], strict=False):
        stop = min(stop, end_s)
        if stop <= start:
            continue
        if first_deg == last_deg:
            if resting:
                start = pieces.pop()[0]
            pieces.append((start, stop))
        else:
            edges = np.linspace(start, stop, max(1, round((stop - start) / _SPAN_S)) + 1)
            pieces += [(float(a), float(b)) for a, b in zip(edges, edges[1:], strict=False)]
        resting = first_deg == last_deg
    return pieces or [(0.0, end_s)]


def object_spans(output: np.ndarray, clip: EvalClip) -> tuple[ObjectSpan, ...]:
    """Where each object of a clip is perceived in an output (ear, time) at 16 kHz; nothing for a clip without stems."""
    if clip.scene is None or clip.stems is None:
        return ()
    wanted = [(k, span) for k, item in enumerate(clip.scene.objects) for span in spans_of(item.path, clip.duration_s)]
    distinct = sorted({span for _, span in wanted})
    perceived = object_azimuth_spans_deg(output, clip.stems, RATE_HZ, distinct, clip.head)
    found = []
    for k, span in wanted:
        middle_s = np.array([(span[0] + span[1]) / 2])
        value = float(perceived[distinct.index(span), k])
        true_deg = float(clip.scene.objects[k].azimuth_deg(middle_s)[0])
        found.append(ObjectSpan(k, *span, true_deg, None if math.isnan(value) else value))
    return tuple(found)


def direction_measures(spans: tuple[ObjectSpan, ...], *, degrees: bool) -> dict[str, float]:
    """``rank_object``, ``rank_audio`` and, if captions give degrees, ``azimuth_error_deg`` of a clip."""
    mine = [[span for span in spans if span.object == k] for k in sorted({span.object for span in spans})]
    table = np.full((3, len(mine), max(map(len, mine), default=0)), np.nan)
    for k, row in enumerate(mine):
        for i, span in enumerate(row):
            measured_deg = math.nan if span.measured_deg is None else span.measured_deg
            table[:, k, i] = measured_deg, span.true_deg, span.end_s - span.start_s
    found = {"rank_object": rank_object(*table), "rank_audio": rank_audio(*table)}
    if degrees:
        found["azimuth_error_deg"] = azimuth_error_deg(*table)
    return _known(found)


def mirror_measures(system: System, clip: EvalClip, output: np.ndarray, seed: int) -> dict[str, float]:
    """``mirror_db`` and ``center_spl_db`` of a system, whose output for the clip's own prompts is ``output``."""
    assert clip.timeline is not None
    mirrored, _ = system(clip, clip.timeline.mirrored(), seed)
    found = {"mirror_db": _limited(mirror_db(output, mirrored))}
    if (centre := clip.centred_timeline()) is not None:
        centred, _ = system(clip, centre, seed)
        found["center_spl_db"] = _limited(center_spl_db(centred, RATE_HZ))
    return _known(found)


def swap_measures(system: System, clip: EvalClip, output: np.ndarray, seed: int) -> dict[str, float]:
    """``swap_accuracy`` of one clip, 0 or 1; nothing where it cannot be swapped or one object cannot be measured."""
    swapped = clip.swapped_timeline()
    if swapped is None or clip.stems is None:
        return {}
    exchanged, _ = system(clip, swapped, seed)
    whole = [(0.0, clip.duration_s)]
    before = object_azimuth_spans_deg(output, clip.stems, RATE_HZ, whole, clip.head)
    after = object_azimuth_spans_deg(exchanged, clip.stems, RATE_HZ, whole, clip.head)
    return _known({"swap_accuracy": swap_accuracy(before, after)})


def presence_measures(system: System, clip: EvalClip) -> dict[str, float]:
    """``found_present`` and ``found_absent``: fractions of the time in which objects are found, 0 to 1.

    The prompts are the clip's own with one more name, of something that does not sound in it.
    """
    extended = clip.decoy_timeline()
    if extended is None:
        return {}
    timeline, decoy = extended
    times_s: dict[bool, list[tuple[float, bool]]] = {True: [], False: []}
    for item in system.detections(clip, timeline):
        times_s[item.object == decoy].append((item.end_s - item.start_s, item.found))
    fraction = lambda spans: sum(s for s, found in spans if found) / sum(s for s, _ in spans)  # noqa: E731
    return {
        name: fraction(times_s[absent])
        for name, absent in (("found_present", False), ("found_absent", True))
        if times_s[absent]
    }


def check_output(output: np.ndarray, clip: EvalClip) -> None:
    """Refuse what no measure can be taken of.

    Raises:
        OutputError: another shape than the truth's, or non-finite samples.
    """
    if output.shape != clip.truth.shape:
        raise OutputError(f"the output is {output.shape}, expected {clip.truth.shape}")
    if not np.isfinite(output).all():
        raise OutputError("the output holds nan or infinite samples")


def _limited(level_db: float) -> float:
    return max(-LEVEL_LIMIT_DB, min(LEVEL_LIMIT_DB, level_db)) if not math.isnan(level_db) else level_db


def _known(values: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in values.items() if not math.isnan(value)}

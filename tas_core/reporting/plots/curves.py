"""The numbers behind the pictures: from sounds and timelines to curves, without drawing anything.

Every kind keeps its resolution up to a number of windows; longer sounds get longer windows, so that a picture
and its table stay of one size:

| kind | a window | a step | longer steps after |
|---|---|---|---|
| ``spl`` | 100 ms | 50 ms | 10 min |
| ``envelope`` | 20 ms | 5 ms | 20 s |
| ``spectrogram`` | 40 ms | 20 ms | 12 s |
| ``azimuth`` | 100 ms | 100 ms | 20 min |
| ``places`` | a moment | 50 ms | 10 min |
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from tas_core.acoustics.hrtf import direction_vectors
from tas_core.audio.resampling import require_ears, resample
from tas_core.conventions import LEFT_EAR, LEFT_SIGN, RIGHT_EAR, power_to_db
from tas_core.errors import InputError
from tas_core.timeline.segments import Segment, Timeline

KINDS: Final = ("spl", "envelope", "spectrogram", "azimuth", "places")

_SPL_WINDOW_S: Final = 0.1
_SPL_HOP_S: Final = 0.05
_ENVELOPE_HOP_S: Final = 0.005
_ENVELOPE_HOPS: Final = 4
_SPECTRUM_WINDOW_S: Final = 0.04
_SPECTRUM_HOP_S: Final = 0.02
_AZIMUTH_WINDOW_S: Final = 0.1
_AZIMUTH_RATE_HZ: Final = 16_000  # cues above 7.8 kHz do not count
_PLACES_HOP_S: Final = 0.05
_MAX_WINDOWS: Final = {"spl": 12_000, "envelope": 4_000, "spectrogram": 600, "azimuth": 12_000, "places": 12_000}
MAX_SOURCES: Final = 40
"""More sounds make no picture that anyone can read."""

_BLOCK: Final = 2**19
_CONTEXT: Final = 2**15

TableRow: TypeAlias = tuple[float | str, ...]


@dataclass(frozen=True)
class Source:
    """A binaural sound to look at.

    Args:
        label: its name in the picture, unique among the sources.
        ears: (ear, time), full scale 1.
        sample_rate_hz: rate of the sound; sources of one picture may differ.
        timeline: the requested places, if any.
        is_reference: whether it is what the others are compared with.
    """

    label: str
    ears: np.ndarray
    sample_rate_hz: int
    timeline: Timeline | None = None
    is_reference: bool = False

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.ears.shape[-1] / self.sample_rate_hz


@dataclass(frozen=True)
class SplCurve:
    """SPL difference over time: ``time_s`` (window), window centres; ``spl_difference_db`` (window), nan in silence."""

    label: str
    time_s: np.ndarray
    spl_difference_db: np.ndarray
    is_reference: bool = False

    columns = ("spl_difference_db",)

    def rows(self) -> Iterator[TableRow]:
        """Time in seconds, label and dB of every window."""
        for time_s, value in zip(self.time_s.tolist(), self.spl_difference_db.tolist(), strict=True):
            yield time_s, self.label, value


@dataclass(frozen=True)
class EnvelopeCurve:
    """Envelopes of both ears: ``time_s`` (window), window centres; ``envelope`` (ear, window), full scale 1."""

    label: str
    time_s: np.ndarray
    envelope: np.ndarray
    is_reference: bool = False

    columns = ("left", "right")

    def rows(self) -> Iterator[TableRow]:
        """Time in seconds, label, left and right of every window."""
        both = self.envelope[[LEFT_EAR, RIGHT_EAR]].T
        for time_s, (left, right) in zip(self.time_s.tolist(), both.tolist(), strict=True):
            yield time_s, self.label, left, right


@dataclass(frozen=True)
class DifferenceSpectrogram:
    """Spectrogram of L - R: ``time_s`` (frame), ``frequency_hz`` (freq), ``level_db`` (freq, frame).

    0 dB is a sine of amplitude 1 in L - R; -inf where there is nothing.
    """

    label: str
    time_s: np.ndarray
    frequency_hz: np.ndarray
    level_db: np.ndarray
    is_reference: bool = False

    columns = ("frequency_hz", "level_db")

    def rows(self) -> Iterator[TableRow]:
        """Time in seconds, label, frequency in Hz and level in dB of every frame and frequency; nan for -inf."""
        frequencies = self.frequency_hz.tolist()
        levels = np.where(np.isfinite(self.level_db), self.level_db, np.nan)
        for time_s, column in zip(self.time_s.tolist(), levels.T, strict=True):
            for frequency_hz, level in zip(frequencies, column.tolist(), strict=True):
                yield time_s, self.label, frequency_hz, level


@dataclass(frozen=True)
class RequestedAzimuth:
    """Requested azimuth of an object: ``azimuth_deg`` (window), nan where no prompt names it.

    Of places all around, the azimuth in front that is as far to the side, which is what is estimated, too.
    """

    object: str
    azimuth_deg: np.ndarray


@dataclass(frozen=True)
class AzimuthCurve:
    """Estimated azimuth of the whole sound, degrees, positive left.

    ``time_s`` (window), window centres; ``azimuth_deg`` (window), nan in silence; ``requested``: what the timeline
    requests of each object at the same times; ``segments``: the timeline itself, all ends closed.
    """

    label: str
    time_s: np.ndarray
    azimuth_deg: np.ndarray
    requested: tuple[RequestedAzimuth, ...] = ()
    segments: tuple[Segment, ...] = ()
    is_reference: bool = False

    columns = ("object", "azimuth_deg")

    def rows(self) -> Iterator[TableRow]:
        """Time in seconds, label, object and degrees of every window; object "" is the estimate."""
        for time_s, value in zip(self.time_s.tolist(), self.azimuth_deg.tolist(), strict=True):
            yield time_s, self.label, "", value
        for track in self.requested:
            for time_s, value in zip(self.time_s.tolist(), track.azimuth_deg.tolist(), strict=True):
                if not math.isnan(value):
                    yield time_s, self.label, track.object, value


@dataclass(frozen=True)
class RequestedPlace:
    """Where a timeline puts an object, each (window) and nan where no prompt gives it a place.

    ``azimuth_deg`` above -180 to 180, positive left, ``elevation_deg`` positive up, ``distance_m``, ``spread`` 0 to 1.
    """

    object: str
    azimuth_deg: np.ndarray
    elevation_deg: np.ndarray
    distance_m: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True)
class PlacesCurve:
    """Where a timeline puts its objects all around: ``time_s`` (window), and the places at these times."""

    label: str
    time_s: np.ndarray
    places: tuple[RequestedPlace, ...]
    segments: tuple[Segment, ...] = ()
    is_reference: bool = False

    columns = ("object", "azimuth_deg", "elevation_deg", "distance_m", "spread")

    def rows(self) -> Iterator[TableRow]:
        """Time in seconds, label, object, degrees, metres and spread of every moment and object that has a place."""
        for place in self.places:
            values = (place.azimuth_deg, place.elevation_deg, place.distance_m, place.spread)
            for time_s, *numbers in zip(self.time_s.tolist(), *(each.tolist() for each in values), strict=True):
                if not math.isnan(numbers[0]):
                    yield time_s, self.label, place.object, *numbers


Curve: TypeAlias = SplCurve | EnvelopeCurve | DifferenceSpectrogram | AzimuthCurve | PlacesCurve


@dataclass(frozen=True)
class Lane:
    """Prompts to show below a picture: segments with closed ends, and the labels of the sources that they belong to."""

    labels: tuple[str, ...]
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class PlotData:
    """All that a picture shows.

    Args:
        kind: one of :data:`KINDS`.
        curves: of one type, in the order of the sources, references last.
        lanes: one per timeline.
        duration_s: length of the longest source.
        window_s: length of a window, over which values are averaged.
        start_s: where all sources begin in what they are passages of, seconds; all times count from its beginning.
    """

    kind: str
    curves: tuple[Curve, ...]
    lanes: tuple[Lane, ...]
    duration_s: float
    window_s: float
    start_s: float = 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of :meth:`rows`."""
        return "time_s", "label", *self.curves[0].columns

    def rows(self) -> Iterator[TableRow]:
        """The numbers as a table; silence is nan."""
        for curve in self.curves:
            yield from curve.rows()


def plot_data(kind: str, sources: Sequence[Source], start_s: float = 0.0) -> PlotData:
    """The numbers of a picture.

    A timeline that several sources share gives one lane, and has to fit the longest of them.

    Args:
        kind: one of :data:`KINDS`.
        sources: 1 to 40, labels unique.
        start_s: where the sources begin in what they are passages of, seconds; the times of timelines, and all that
            come out, are those of the whole.

    Warns:
        TimelineWarning: as :meth:`tas_core.timeline.segments.Timeline.resolved`.

    Raises:
        InputError: unknown kind, no source or too many, a label twice, a source that has not two ears or no samples,
            a timeline that does not fit, or places of which no timeline says any.
    """
    check_kind(kind)
    _check(sources)
    sources = sorted(sources, key=lambda source: source.is_reference)
    duration_s = max(source.duration_s for source in sources)
    lanes = _lanes(sources, start_s)
    curves: tuple[Curve, ...]
    if kind == "spl":
        scale = _scale(kind, duration_s, _SPL_HOP_S)
        window_s = scale * _SPL_WINDOW_S
        curves = tuple(_spl(source, window_s, scale * _SPL_HOP_S) for source in sources)
    elif kind == "envelope":
        hop_s = _scale(kind, duration_s, _ENVELOPE_HOP_S) * _ENVELOPE_HOP_S
        window_s = _ENVELOPE_HOPS * hop_s
        curves = tuple(_envelope(source, hop_s) for source in sources)
    elif kind == "spectrogram":
        window_s = _SPECTRUM_WINDOW_S
        group = _scale(kind, duration_s, _SPECTRUM_HOP_S)
        curves = tuple(_spectrogram(source, group) for source in sources)
    elif kind == "places":
        window_s = _scale(kind, duration_s, _PLACES_HOP_S) * _PLACES_HOP_S
        curves = tuple(_places(lane, window_s) for lane in lanes)
        if not any(curve.places for curve in curves if isinstance(curve, PlacesCurve)):
            raise InputError("no prompt gives anything a place, expected a timeline of what is drawn")
    else:
        window_s = _scale(kind, duration_s, _AZIMUTH_WINDOW_S) * _AZIMUTH_WINDOW_S
        segments = {label: lane.segments for lane in lanes for label in lane.labels}
        curves = tuple(_azimuth(source, window_s, segments.get(source.label, ())) for source in sources)
    if start_s:
        curves = tuple(_later(curve, start_s) for curve in curves)
        lanes = tuple(replace(lane, segments=_later_segments(lane.segments, start_s)) for lane in lanes)
    return PlotData(kind, curves, lanes, duration_s, window_s, start_s)


def check_kind(kind: str) -> None:
    """Refuse unknown kinds.

    Raises:
        InputError: not one of :data:`KINDS`.
    """
    if kind not in KINDS:
        raise InputError(f"unknown kind of picture {kind!r}; expected one of {', '.join(KINDS)}")


def analytic_magnitude(signal: np.ndarray) -> np.ndarray:
    """Magnitude of the analytic signal (Hilbert envelope), (time) float64, of a real signal (time).

    Signals of more than half a million samples are transformed in blocks that overlap by 32,768 on either side.
    """
    import torch

    from tas_core.evaluation.metrics.paper import envelope

    out = np.empty(len(signal))
    for start in range(0, len(signal), _BLOCK):
        first, stop = max(0, start - _CONTEXT), min(start + _BLOCK, len(signal))
        block = torch.from_numpy(np.array(signal[first : stop + _CONTEXT], np.float64))
        out[start:stop] = envelope(block).numpy()[start - first : stop - first]
    return out


# ---------------------------------------------------------------------------- one source


def _spl(source: Source, window_s: float, hop_s: float) -> SplCurve:
    from tas_core.evaluation.metrics import spl_difference_curve_db

    time_s, values = spl_difference_curve_db(source.ears, source.sample_rate_hz, window_s, hop_s)
    return SplCurve(source.label, time_s, values, source.is_reference)


def _envelope(source: Source, hop_s: float) -> EnvelopeCurve:
    """Hilbert magnitude, weighted by a Hann window of four steps around each time, that lies inside the sound."""
    hop = max(1, round(hop_s * source.sample_rate_hz))
    reach = _ENVELOPE_HOPS * hop // 2
    weights = np.hanning(2 * reach + 1)
    weights = weights if weights.any() else np.ones(len(weights))
    inside = _smoothed(np.ones(source.ears.shape[-1]), weights, hop)
    ears = [_smoothed(analytic_magnitude(ear), weights, hop) / inside for ear in source.ears]
    return EnvelopeCurve(
        source.label, np.arange(len(inside)) * hop / source.sample_rate_hz, np.array(ears), source.is_reference
    )


def _smoothed(signal: np.ndarray, weights: np.ndarray, hop: int) -> np.ndarray:
    """Weighted sums (window) of signal (time) around every ``hop``-th sample, zeros beyond the ends."""
    padded = np.pad(signal, len(weights) // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(weights))[::hop]
    return np.concatenate([windows[i : i + 256] @ weights for i in range(0, len(windows), 256)])


def _spectrogram(source: Source, group: int) -> DifferenceSpectrogram:
    """Periodic Hann windows, centred on their times; each column is the mean power of ``group`` steps."""
    rate_hz = source.sample_rate_hz
    side = source.ears[LEFT_EAR].astype(np.float64) - source.ears[RIGHT_EAR]
    size, hop = round(_SPECTRUM_WINDOW_S * rate_hz), round(_SPECTRUM_HOP_S * rate_hz)
    weights = np.hanning(size + 1)[:-1]
    # A sine of amplitude 1 gives |X| = sum(weights) / 2; the constant and the highest bin have no twin.
    gain = np.full(size // 2 + 1, 2 / weights.sum())
    gain[0] /= 2
    if size % 2 == 0:
        gain[-1] /= 2
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(side, (size // 2, size)), size)
    frames = frames[: len(side) + 1 : hop]
    columns = []
    for start in range(0, len(frames), group):
        power = np.abs(np.fft.rfft(frames[start : start + group] * weights) * gain) ** 2
        columns.append(power.mean(axis=0))
    level_db = power_to_db(np.array(columns).T)
    starts = np.arange(0, len(frames), group)
    centres = (starts + np.minimum(starts + group, len(frames)) - 1) / 2
    return DifferenceSpectrogram(
        source.label, centres * hop / rate_hz, np.fft.rfftfreq(size, 1 / rate_hz), level_db, source.is_reference
    )


def _azimuth(source: Source, window_s: float, segments: tuple[Segment, ...]) -> AzimuthCurve:
    """The whole sound taken as one object, in windows side by side."""
    from tas_core.evaluation.metrics import object_azimuth_spans_deg

    ears, rate_hz = source.ears, source.sample_rate_hz
    if rate_hz > _AZIMUTH_RATE_HZ:
        ears, rate_hz = resample(ears, rate_hz, _AZIMUTH_RATE_HZ), _AZIMUTH_RATE_HZ
    edges_s = np.arange(max(1, round(source.duration_s / window_s)) + 1) * window_s
    spans_s = list(zip(edges_s[:-1].tolist(), edges_s[1:].tolist(), strict=True))
    found = object_azimuth_spans_deg(ears, ears[None], rate_hz, spans_s)[:, 0]
    time_s = np.minimum((edges_s[:-1] + edges_s[1:]) / 2, source.duration_s)
    requested: list[RequestedAzimuth] = []
    if segments:
        end_s = max(segment.end_s or 0.0 for segment in segments)
        inside = time_s < end_s
        timeline = Timeline(segments)
        for track in timeline.tracks(time_s, end_s):
            azimuth_deg = track.azimuth_deg
            if timeline.needs_sphere:
                lateral = LEFT_SIGN * direction_vectors(azimuth_deg, track.elevation_deg)[:, 1]
                azimuth_deg = np.degrees(np.arcsin(np.clip(lateral, -1, 1)))
            requested.append(RequestedAzimuth(track.object, np.where(track.active & inside, azimuth_deg, np.nan)))
    return AzimuthCurve(source.label, time_s, found, tuple(requested), segments, source.is_reference)


def _places(lane: Lane, hop_s: float) -> PlacesCurve:
    """Places of all objects of a timeline at even moments, from its beginning to its end."""
    end_s = max(segment.end_s or 0.0 for segment in lane.segments)
    time_s = np.arange(max(1, math.ceil(end_s / hop_s - 1e-9))) * hop_s
    found = []
    for track in Timeline(lane.segments).tracks(time_s, end_s):
        there = track.active & track.placed
        azimuth_deg = track.azimuth_deg - 360 * np.ceil((track.azimuth_deg - 180) / 360)
        values = (azimuth_deg, track.elevation_deg, track.distance_m, track.spread)
        if there.any():
            found.append(RequestedPlace(track.object, *(np.where(there, value, np.nan) for value in values)))
    return PlacesCurve(", ".join(lane.labels), time_s, tuple(found), lane.segments)


# ---------------------------------------------------------------------------- helpers


def _check(sources: Sequence[Source]) -> None:
    if not sources:
        raise InputError("no sound to plot, expected at least one")
    if len(sources) > MAX_SOURCES:
        raise InputError(f"{len(sources)} sounds for one picture, expected at most {MAX_SOURCES}")
    seen = set()
    for source in sources:
        require_ears(source.label, len(source.ears) if source.ears.ndim == 2 else 1)
        if source.ears.shape[-1] == 0:
            raise InputError(f"{source.label}: no samples")
        if source.label in seen:
            raise InputError(f"the label {source.label!r} is given twice, expected a different one for each sound")
        seen.add(source.label)


def _scale(kind: str, duration_s: float, hop_s: float) -> int:
    """How many times longer than usual a step has to be to stay within the number of windows."""
    return max(1, math.ceil(duration_s / (hop_s * _MAX_WINDOWS[kind]) - 1e-9))


def _lanes(sources: Sequence[Source], start_s: float) -> tuple[Lane, ...]:
    """A lane for each timeline, for the longest of the sources that share it, with times from their beginning."""
    groups: dict[Timeline, list[Source]] = {}
    for source in sources:
        if source.timeline is not None:
            groups.setdefault(source.timeline, []).append(source)
    lanes = []
    for timeline, group in groups.items():
        duration_s = max(source.duration_s for source in group)
        closed: Timeline | None
        if start_s:
            closed = _passage(timeline, start_s, start_s + duration_s)
        else:
            closed = timeline.resolved(duration_s)
        if closed is not None:
            lanes.append(Lane(tuple(source.label for source in group), closed.segments))
    return tuple(lanes)


def _passage(timeline: Timeline, start_s: float, end_s: float) -> Timeline | None:
    """What a timeline has in a passage, whatever it has after it."""
    before = tuple(segment for segment in timeline.segments if segment.start_s < end_s)
    if not before:
        return None
    closed = [replace(segment, end_s=min(segment.end_s or end_s, end_s)) for segment in before]
    for number, following in enumerate(before[1:]):
        if before[number].end_s is None:
            closed[number] = replace(before[number], end_s=following.start_s)
    return Timeline(tuple(closed)).cut_out(start_s, end_s)


def _later(curve: Curve, start_s: float) -> Curve:
    """A curve with times from the beginning of the whole that it is a passage of."""
    if isinstance(curve, AzimuthCurve | PlacesCurve):
        curve = replace(curve, segments=_later_segments(curve.segments, start_s))
    return replace(curve, time_s=curve.time_s + start_s)


def _later_segments(segments: tuple[Segment, ...], start_s: float) -> tuple[Segment, ...]:
    return tuple(
        replace(segment, start_s=segment.start_s + start_s, end_s=(segment.end_s or 0.0) + start_s)
        for segment in segments
    )

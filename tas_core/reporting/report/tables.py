"""What the tables of a report say, in words and rows; ``tables.html`` makes HTML of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tas_core.acoustics.level_difference import SILENCE_DBFS
from tas_core.conventions import LEFT_SIGN
from tas_core.reporting.report.places import NEEDS_STEMS, SegmentPlaces
from tas_core.reporting.report.sounds import MeasuredLevels, Played, SoundFile
from tas_core.timeline.segments import Timeline
from tas_core.timeline.sphere_words import format_point

EXACT_DB: Final = -40.0
"""Below this a mono sum counts as the input; rounding to 16 bits leaves more only of sounds below -60 dBFS."""

_MINUS: Final = "\u2212"
_NONE: Final = "\u2013"


def clock(seconds: float) -> str:
    """Minutes and seconds, "1:02.50"."""
    minutes, hundredths = divmod(round(100 * seconds), 6000)
    return f"{minutes}:{hundredths / 100:05.2f}"


def number(value: float | None, unit: str = "", *, digits: int = 1, sign: bool = False) -> str:
    """A number with its unit and a real minus sign; a dash for None."""
    if value is None:
        return _NONE
    unit = f"\u00a0{unit}" if unit else ""
    if math.isinf(value):
        return ("+" if value > 0 else _MINUS) + "\u221e" + unit
    rounded = round(value, digits) + 0.0  # no -0.0
    return f"{rounded:{'+' if sign and rounded else ''}.{digits}f}".replace("-", _MINUS) + unit


def percent(fraction: float | None) -> str:
    """A fraction in percent, "38 %"; a dash for None."""
    return number(None if fraction is None else 100 * fraction, "%", digits=0)


def direction(azimuth_deg: float) -> str:
    """An azimuth in words: "55\u00b0 left", "0\u00b0"."""
    degrees = round(abs(azimuth_deg))
    if degrees == 0:
        return "0\u00b0"
    return f"{degrees}\u00b0 {'left' if azimuth_deg * LEFT_SIGN > 0 else 'right'}"


WORDS: Final[Mapping[str, Callable[..., str] | float]] = {
    "clock": clock,
    "direction": direction,
    "number": number,
    "percent": percent,
    "silence_dbfs": SILENCE_DBFS,
}
"""What the templates use of this module."""


def asked_around(timeline: Timeline | None) -> tuple[Mapping[str, str], ...]:
    """Where each object of each segment is asked to be, in words, where that is more than the frontal plane has."""
    found = []
    for segment in timeline.segments if timeline else ():
        here = {}
        for clause in (clause for clause in segment.clauses if clause.sphere):
            ends = [format_point(clause.path.start), format_point(clause.path.end)]
            here[clause.object] = " \u2192 ".join(dict.fromkeys(ends))
        found.append(here)
    return tuple(found)


def places_summary(segments: Sequence[SegmentPlaces]) -> str:
    """What was tested and how it came out: places, of estimated sounds or of all there is; never what sounds."""
    places = [place for segment in segments for place in segment.places]
    if not places:
        return "No prompt holds in the part that this page plays."
    judged = [place.passed for place in places if place.passed is not None]
    open_ = [place for place in places if place.passed is None]
    parts = []
    if judged:
        by_stem = sum(place.basis == "stem" for place in places if place.passed is not None)
        tested = {0: "the whole sound", len(judged): "estimated stems"}.get(
            by_stem, "estimated stems or the whole sound"
        )
        verb = "is" if sum(judged) == 1 else "are"
        parts.append(
            f"Places of {tested}, against the requested ones: {sum(judged)} of {len(judged)} {verb} on the requested"
            " side. Whether a name got the right sound is not tested: listen to the stems."
        )
    for reason in dict.fromkeys(place.reason for place in open_):
        count = sum(place.reason == reason for place in open_)
        if reason == NEEDS_STEMS:
            parts.append(f"{count} of {len(places)} cannot be measured without stems.")
        else:
            parts.append(f"{count} of {len(places)} have {reason} to be measured.")
    return " ".join(parts)


def energy_shares(
    segments: Sequence[SegmentPlaces], provenance: Mapping[str, Any]
) -> tuple[Mapping[str, float | None], ...]:
    """Fraction of the energy of each segment that each object took, by its name, as far as the provenance says so.

    Args:
        segments: those of the page.
        provenance: how the output was made; its ``segments`` are those of
            :meth:`tas_core.jobs.result.FileResult.as_dict`, or anything else, which then says nothing.
    """
    said = provenance.get("segments")
    said = said if isinstance(said, list | tuple) else ()
    found: list[dict[str, float | None]] = []
    for i, each in enumerate(segments):
        own = said[i] if i < len(said) and isinstance(said[i], Mapping) else {}
        clauses = own.get("clauses") if own.get("text") == each.segment.text else ()
        shares: dict[str, float | None] = {}
        for clause in clauses if isinstance(clauses, list | tuple) else ():
            share = clause.get("energy_share") if isinstance(clause, Mapping) else None
            if isinstance(share, int | float) and 0 <= share <= 1:
                shares[str(clause.get("object"))] = float(share)
        found.append(shares)
    return tuple(found)


@dataclass(frozen=True)
class Said:
    """Confidence in an object, 0 to 1, and whether it is so low that people should be told."""

    value: float
    doubtful: bool


def confidences(
    segments: Sequence[SegmentPlaces], provenance: Mapping[str, Any], start_s: float
) -> tuple[Mapping[str, Said], ...]:
    """Confidence in each object of each segment, by its name, as far as the provenance says so.

    Args:
        segments: those of the page.
        provenance: how the output was made; its ``objects`` are those of
            :meth:`tas_core.jobs.result.FileResult.as_dict`, or anything else, which then says nothing.
        start_s: where the page begins in what the times of ``objects`` are of.
    """
    said = provenance.get("objects")
    spans = [each for each in said if isinstance(each, Mapping)] if isinstance(said, list | tuple) else []
    found: list[dict[str, Said]] = []
    for each in segments:
        middle_s = start_s + (each.segment.start_s + (each.segment.end_s or each.segment.start_s)) / 2
        here: dict[str, Said] = {}
        for span in spans:
            numbers = _numbers(span.get(key) for key in ("confidence", "start_s", "end_s"))
            if numbers is not None and 0 <= numbers[0] <= 1 and numbers[1] <= middle_s <= numbers[2]:
                here[str(span.get("object"))] = Said(numbers[0], span.get("doubtful") is True)
        found.append(here)
    return tuple(found)


def _numbers(values: Iterable[object]) -> list[float] | None:
    """Values as numbers; None if one of them is none."""
    found: list[float] = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        found.append(float(value))
    return found


def level_rows(
    source: SoundFile, output: SoundFile, played: Played, *, shortened: bool
) -> list[tuple[str, Sequence[str]]]:
    """Names and cells for input, output and the plain head filter."""
    tracks = [played.tracks[name] for name in ("input", "output", "hrtf")]
    whole: list[MeasuredLevels | None] = [source.levels, output.levels, None if shortened else tracks[2].levels]
    rows: list[tuple[str, Sequence[str]]] = [
        ("Loudness", [number(None if each is None else each.loudness_lufs, "LUFS") for each in whole]),
        ("True peak", [number(None if each is None else each.true_peak_dbtp, "dBTP") for each in whole]),
        ("Clipped samples", [_NONE if each is None else f"{each.clipped}" for each in whole]),
    ]
    if shortened:
        rows.append(("Loudness of what is played here", [number(t.levels.loudness_lufs, "LUFS") for t in tracks]))
    rows.append(("Turned down to match", [number(track.match_db, "dB") for track in tracks]))
    return rows


def mono_sum_note(played: Played, *, on_sphere: bool = False) -> str:
    """What (L + R) / 2 of the output says about where it came from."""
    if on_sphere:
        return (
            "Places are all around (renderer: sphere), so (L + R) / 2 of the output is not the input. Azimuths on this"
            " page are angles to the side: a place behind or above has that of the place in front that is as far to"
            " the side."
        )
    error_db, gain_db = played.mono_sum_error_db, played.mono_sum_gain_db
    if error_db is None or gain_db is None:
        return "(L + R) / 2 of the output has nothing in common with the input, or one of them is silent."
    gain = "" if abs(gain_db) < 0.05 else f" after a gain of {number(gain_db, 'dB', sign=True)}"
    if error_db < EXACT_DB:
        rest = "nothing" if math.isinf(error_db) else number(error_db, "dB", digits=0)
        return f"(L + R) / 2 of the output is the input{gain}; what differs is {rest}."
    return (
        f"(L + R) / 2 of the output is not the input{gain}; what differs is {number(error_db, 'dB', digits=0)}."
        " tas keeps the input there, so the output was made of something else, was changed afterwards, or"
        " is in a lossy format."
    )


@dataclass(frozen=True)
class Fact:
    """A row of a table of facts.

    Attributes:
        name: of the row.
        values: plain values, shown side by side.
        lines: in place of values, a list of more than plain values as JSON, which is folded away.
        entries: how many entries that list has.
    """

    name: str
    values: tuple[Any, ...] = ()
    lines: tuple[str, ...] = ()
    entries: int = 0


def facts(values: Mapping[str, Any], prefix: str = "") -> Iterator[Fact]:
    """A row for each value; mappings within are rows of their own, whose names begin with the mapping's name."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from facts(value, f"{name} \u203a ")
        elif isinstance(value, list | tuple) and any(isinstance(each, Mapping | list | tuple) for each in value):
            lines = json.dumps(value, indent=1, ensure_ascii=False).split("\n")
            yield Fact(name, lines=tuple(lines), entries=len(value))
        else:
            yield Fact(name, tuple(value) if isinstance(value, Mapping | list | tuple) else (value,))


def file_facts(role: str, file: SoundFile) -> dict[str, str]:
    """Names of rows and their values, about a file."""
    channels = {1: "mono", 2: "stereo"}.get(file.num_channels, f"{file.num_channels} channels")
    coding = f"{file.format} {file.subtype}, {file.sample_rate_hz} Hz"
    return {
        role: file.path.name,
        f"{role} format": f"{coding}, {channels}, {clock(file.file_frames / file.sample_rate_hz)}",
        f"{role} SHA-256": file.sha256,
    }

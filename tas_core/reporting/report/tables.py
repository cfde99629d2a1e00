"""The tables of a report as HTML. Whatever comes from a file, a name or a prompt goes through :func:`escaped`."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tas_core.acoustics.level_difference import SILENCE_DBFS
from tas_core.conventions import LEFT_SIGN
from tas_core.reporting.report.places import NEEDS_STEMS, MeasuredPlace, SegmentPlaces
from tas_core.reporting.report.sounds import MeasuredLevels, Played, SoundFile

EXACT_DB: Final = -40.0
"""Below this a mono sum counts as the input; rounding to 16 bits leaves more only of sounds below -60 dBFS."""

_MINUS: Final = "\u2212"
_NONE: Final = "\u2013"
_CONTROL: Final = {code: chr(0x2400 + code) for code in range(32)} | {0x7F: "\u2421"}


def escaped(text: object) -> str:
    """Text for HTML, also inside attributes; control characters become visible signs, lone surrogates "?"."""
    clean = str(text).translate(_CONTROL).encode("utf-8", "replace").decode("utf-8")
    return html.escape(clean)


def clock(seconds: float) -> str:
    """Minutes and seconds, "1:02.50"."""
    minutes, hundredths = divmod(round(100 * seconds), 6000)
    return f"{minutes}:{hundredths / 100:05.2f}"


def number(value: float | None, unit: str, *, digits: int = 1, sign: bool = False) -> str:
    """A number with its unit and a real minus sign; a dash for None."""
    if value is None:
        return _NONE
    if math.isinf(value):
        return ("+" if value > 0 else _MINUS) + "\u221e\u00a0" + unit
    rounded = round(value, digits) + 0.0  # no -0.0
    return f"{rounded:{'+' if sign and rounded else ''}.{digits}f}".replace("-", _MINUS) + f"\u00a0{unit}"


def direction(azimuth_deg: float) -> str:
    """An azimuth in words: "55\u00b0 left", "0\u00b0"."""
    degrees = round(abs(azimuth_deg))
    if degrees == 0:
        return "0\u00b0"
    return f"{degrees}\u00b0 {'left' if azimuth_deg * LEFT_SIGN > 0 else 'right'}"


# ---------------------------------------------------------------------------- places


def places_table(segments: Sequence[SegmentPlaces]) -> str:
    """Requested against measured, a group of rows per segment."""
    groups = []
    for number_, each in enumerate(segments):
        segment = each.segment
        span = f"{clock(segment.start_s)} \u2013 {clock(segment.end_s or 0.0)}"
        level = number(each.spl_difference_db, "dB", sign=True)
        rows = "".join(map(_place_row, each.places))
        silent = f", below {SILENCE_DBFS:g} dBFS".replace("-", _MINUS) if each.spl_difference_db is None else ""
        groups.append(
            f'<tbody><tr class="segment"><th colspan="5" scope="rowgroup">'
            f'<button type="button" class="seek" data-segment="{number_}" aria-label="Go to {span}">{span}</button> '
            f"<bdi>{escaped(segment.text)}</bdi>"
            f'<span class="level">L over R: {level}{silent}</span></th></tr>{rows}</tbody>'
        )
    return "".join(groups)


def _place_row(place: MeasuredPlace) -> str:
    part = f' <span class="part">{place.part}</span>' if place.part else ""
    if place.measured_deg is None:
        result = f'<td colspan="2" class="soft">{place.reason}</td><td class="verdict"><span>not measured</span></td>'
    else:
        apart = number(abs(place.measured_deg - place.requested_deg), "", digits=0).strip() + "\u00b0"
        verdict = '<span class="pass">\u2713 pass</span>' if place.passed else '<span class="fail">\u2717 fail</span>'
        basis = "" if place.basis == "whole sound" else ' <span class="part">by its stem</span>'
        result = f'<td>{direction(place.measured_deg)}{basis}</td><td>{apart}</td><td class="verdict">{verdict}</td>'
    return (
        f'<tr><th scope="row"><bdi>{escaped(place.object)}</bdi>{part}</th>'
        f"<td>{direction(place.requested_deg)}</td>{result}</tr>"
    )


def places_summary(segments: Sequence[SegmentPlaces]) -> str:
    """One sentence or two about :func:`places_table`."""
    places = [place for segment in segments for place in segment.places]
    if not places:
        return "No prompt holds in the part that this page plays."
    judged = [place.passed for place in places if place.passed is not None]
    open_ = [place for place in places if place.passed is None]
    parts = []
    if judged:
        verb = "is" if sum(judged) == 1 else "are"
        parts.append(f"{sum(judged)} of {len(judged)} measured places {verb} on the side asked for.")
    for reason in dict.fromkeys(place.reason for place in open_):
        count = sum(place.reason == reason for place in open_)
        if reason == NEEDS_STEMS:
            parts.append(f"{count} of {len(places)} cannot be measured without stems.")
        else:
            parts.append(f"{count} of {len(places)} have {reason} to be measured.")
    return " ".join(parts)


# ---------------------------------------------------------------------------- levels


def levels_table(source: SoundFile, output: SoundFile, played: Played, *, excerpt: bool) -> str:
    """Rows of levels: input, output and the plain head filter."""
    files = (source.levels, output.levels)
    tracks = [played.tracks[name] for name in ("input", "output", "hrtf")]
    whole: list[MeasuredLevels | None] = [*files, None if excerpt else tracks[2].levels]
    rows = [
        ("Loudness", [number(None if each is None else each.loudness_lufs, "LUFS") for each in whole]),
        ("True peak", [number(None if each is None else each.true_peak_dbtp, "dBTP") for each in whole]),
        ("Clipped samples", [_NONE if each is None else f"{each.clipped}" for each in whole]),
    ]
    if excerpt:
        rows.append(("Loudness of what is played here", [number(t.levels.loudness_lufs, "LUFS") for t in tracks]))
    rows.append(("Turned down to match", [number(track.match_db, "dB") for track in tracks]))
    return "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>' for name, cells in rows
    )


def mono_sum_note(played: Played) -> str:
    """What (L + R) / 2 of the output says about where it came from."""
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


# ---------------------------------------------------------------------------- provenance


def provenance_table(provenance: Mapping[str, Any]) -> str:
    """A row per value; mappings within are rows of their own, lists of anything but plain values are folded away."""
    return "".join(f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in _rows(provenance, ""))


def _rows(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{prefix}{escaped(key)}"
        if isinstance(value, Mapping) and value:
            yield from _rows(value, f"{name} \u203a ")
        elif isinstance(value, list | tuple) and any(isinstance(each, Mapping | list | tuple) for each in value):
            text = json.dumps(value, indent=1, ensure_ascii=False)
            lines = "\n".join(map(escaped, text.split("\n")))
            entries = f"{len(value)} entr{'y' if len(value) == 1 else 'ies'}"
            yield name, f"<details><summary>{entries}</summary><pre>{lines}</pre></details>"
        elif isinstance(value, Mapping | list | tuple):
            yield name, ", ".join(map(_plain, value)) or _NONE
        else:
            yield name, _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return _NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return escaped(f"{value:.6g}")
    return f"<bdi>{escaped(value)}</bdi>"


def file_rows(role: str, file: SoundFile) -> dict[str, str]:
    """Facts about a file."""
    channels = {1: "mono", 2: "stereo"}.get(file.num_channels, f"{file.num_channels} channels")
    coding = f"{file.format} {file.subtype}, {file.sample_rate_hz} Hz"
    return {
        role: file.path.name,
        f"{role} format": f"{coding}, {channels}, {clock(file.file_frames / file.sample_rate_hz)}",
        f"{role} SHA-256": file.sha256,
    }

"""Making a report page: read, check, measure, fill the page, write."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from tas_core.audio.excerpt import Excerpt
from tas_core.audio.reader import AudioReader
from tas_core.audio.resampling import require_ears, resample, to_mono
from tas_core.errors import InputError, warnings_about
from tas_core.inference.renderer_choice import flattened
from tas_core.reporting.html_page import fill_page
from tas_core.reporting.plots.curves import AzimuthCurve, Source, SplCurve, plot_data
from tas_core.reporting.report import tables
from tas_core.reporting.report.places import SegmentPlaces, measure_places
from tas_core.reporting.report.sounds import (
    LENGTH_TOLERANCE_S,
    MAX_PLAYED_S,
    TRACKS,
    Played,
    SoundFile,
    check_lengths,
    encode_tracks,
    play,
    read_sound,
)
from tas_core.system.files import check_new_file, write_files
from tas_core.system.json_values import json_value
from tas_core.timeline.doubts import warn_of_doubts
from tas_core.timeline.files import load_timeline
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.prompts import Clause
from tas_core.timeline.segments import Timeline

_SUFFIXES: Final = (".html", ".htm")
_SCRIPTS: Final = ("player.js", "pictures.js", "page.js")
_WAVEFORM_BINS: Final = 1600
_AROUND_STEP_S: Final = 0.1
_LARGEST_DB: Final = 99.0
"""Infinite level differences, of one silent ear, are drawn as this one."""


def check_report_path(path: Path, inputs: Sequence[Path] = (), *, overwrite: bool = False) -> None:
    """Find out before any work whether a page can be written.

    Args:
        path: the page.
        inputs: files that it must not replace.
        overwrite: whether an existing page may be replaced.

    Raises:
        InputError: another ending than ``.html`` or ``.htm``, or as :func:`tas_core.system.files.check_new_file`.
    """
    if path.suffix.lower() not in _SUFFIXES:
        shown = f"the extension {path.suffix}" if path.suffix else "no extension"
        raise InputError(f"{path}: {shown}, expected {' or '.join(_SUFFIXES)}")
    check_new_file(path, inputs, overwrite=overwrite)


@dataclass(frozen=True)
class ReportedOutput:
    """The file that a page is about, and what it was made of.

    Args:
        output: binaural file, two channels, as long as what it was made of (to 0.1 s).
        source: what it was made of.
        stems: object phrase -> the object's estimated stem, mixed down if it has more channels; see
            :mod:`tas_core.reporting.report.places`.
        start_s: where the output begins in the source, seconds, if it is a passage; None if it is all of it.
        channel: which channel of the source it was made of, counted from 1; None is all, mixed down.
        track: which audio track of the source, counted from 1; None is its default.
    """

    output: Path
    source: Path
    stems: Mapping[str, Path] = field(default_factory=dict)
    start_s: float | None = None
    channel: int | None = None
    track: int | None = None

    @property
    def paths(self) -> list[Path]:
        """All its files."""
        return [self.source, self.output, *self.stems.values()]

    def read(self) -> tuple[SoundFile, SoundFile, Excerpt]:
        """The source as far as the output was made of it, the output, and which part of the source that is.

        Raises:
            InputError: files that cannot be read, or do not belong together.
        """
        made = read_sound(self.output, mix_down=False)
        require_ears(self.output, made.num_channels)
        excerpt = Excerpt(self.channel, track=self.track)
        if self.start_s is not None:
            excerpt = Excerpt(self.channel, self.start_s, made.duration_s, self.track)
        given = read_sound(self.source, mix_down=True, excerpt=excerpt)
        check_lengths(given, made)
        return given, made, excerpt


def write_report(
    page: Path,
    about: ReportedOutput,
    timeline: Timeline,
    provenance: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> Path:
    """Write the page about one spatialized sound: one HTML file that asks no network for anything.

    It plays input, output and the plain head filter at one loudness, draws level difference and azimuth over the
    prompts, sets measured places against requested ones, and gives levels and provenance. Of files longer than ten
    minutes it plays, draws and measures the beginning; levels are of the whole files. The same input gives the
    same bytes.

    Args:
        page: ``.html`` or ``.htm``.
        about: the output and what it was made of.
        timeline: the requested places, with the times of the source; of places all around, how far to the side they
            are is drawn over time and measured, and where they are is on the circle and in the table.
        provenance: how the output was made, plain JSON values, such as those of
            :meth:`tas_core.jobs.result.FileResult.as_dict`.
        overwrite: whether an existing page may be replaced.

    Returns:
        ``page``.

    Warns:
        TimelineWarning: as :meth:`tas_core.timeline.segments.Timeline.resolved`.

    Raises:
        InputError: anything about the request that cannot be carried out; nothing is written then.
        TasError: writing failed.
    """
    check_report_path(page, about.paths, overwrite=overwrite)
    given, made, excerpt = about.read()
    whole_s = made.duration_s if about.start_s is None else given.file_frames / given.sample_rate_hz
    on_sphere = timeline.needs_sphere or provenance.get("renderer") == "sphere"
    closed = flattened(timeline, without_ways=True).resolved(whole_s)
    played = play(given, made, closed, excerpt.start_s)
    around = None
    if timeline.needs_sphere:
        around = timeline.resolved(whole_s).cut_out(excerpt.start_s, excerpt.start_s + played.duration_s)
    places = _places(played, closed, about.stems)
    codec, sounds, gain = encode_tracks(played)
    shortened = made.duration_s > played.duration_s + LENGTH_TOLERANCE_S
    files = {
        **tables.file_facts("input", given),
        **_excerpt_facts(excerpt),
        **tables.file_facts("output", made),
        **{f"stem of {name}": stem.name for name, stem in about.stems.items()},
        "page made by": f"tas {importlib.metadata.version('tas')}",
        "sounds in the page": f"{codec}, {played.sample_rate_hz} Hz",
    }
    shown = {
        **tables.WORDS,
        "source": given,
        "output": made,
        "played": played,
        "start_s": excerpt.start_s,
        "passage": about.start_s is not None,
        "prompts": _prompts_in(closed, excerpt.start_s, made.duration_s),
        "shortened": shortened,
        "places": places,
        "asked": tables.asked_around(around),
        "shares": tables.energy_shares(places, provenance),
        "confidences": tables.confidences(places, provenance, excerpt.start_s),
        "summary": tables.places_summary(places),
        "levels": tables.level_rows(given, made, played, shortened=shortened),
        "mono_sum": tables.mono_sum_note(played, on_sphere=on_sphere),
        "provenance": list(tables.facts(provenance)),
        "files": list(tables.facts(files)),
    }
    data = _data(played, gain, excerpt.start_s)
    if around is not None:
        data["around"] = _around(around, played.duration_s)
    write_files({page: fill_page("report", data, sounds, shown, scripts=_SCRIPTS)}, overwrite=overwrite)
    return page


def report_file(
    page: Path,
    about: ReportedOutput,
    timeline_path: Path,
    *,
    provenance_path: Path | None = None,
    overwrite: bool = False,
) -> Path:
    """:func:`write_report` with the timeline, and optionally the provenance, from files.

    Args:
        page: as :func:`write_report`.
        about: as :func:`write_report`.
        timeline_path: prompts with times, as for :func:`tas_core.timeline.files.load_timeline`.
        provenance_path: a JSON object, such as ``tas spatialize --json`` prints.
        overwrite: as :func:`write_report`.

    Warns:
        TimelineWarning: doubts about the timeline.

    Raises:
        InputError: also a timeline or a provenance that cannot be read.
        TasError: writing failed.
    """
    check_report_path(page, [timeline_path, *([provenance_path] if provenance_path else [])], overwrite=overwrite)
    timeline = load_timeline(timeline_path)
    with warnings_about(str(about.output)):
        warn_of_doubts(timeline)
    provenance: dict[str, Any] = {"timeline": timeline_path.name}
    if provenance_path is not None:
        provenance |= read_provenance(provenance_path)
    return write_report(page, about, timeline, provenance, overwrite=overwrite)


def read_provenance(path: Path) -> dict[str, Any]:
    """How an output was made, from a file.

    Raises:
        InputError: it cannot be read, or is no JSON object.
    """
    try:
        value = json_value(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot read the provenance: {error.strerror}") from error
    except ValueError as error:
        raise InputError(
            f"{path}: not JSON ({error}), expected an object that says how a file was made", remedy="provenance"
        ) from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a JSON object, expected one that says how a file was made", remedy="provenance")
    return value


def _places(played: Played, whole: Timeline, stems: Mapping[str, Path]) -> tuple[SegmentPlaces, ...]:
    named = {clause.object for segment in whole.segments for clause in segment.clauses}
    ears, rate_hz = played.tracks["output"].ears, played.sample_rate_hz
    sounds: dict[str, np.ndarray] = {}
    for name, path in stems.items():
        phrase = Clause(name, AzimuthPath(0.0, 0.0)).object
        if phrase not in named:
            raise InputError(f"{path}: a stem of '{name}', expected one of {', '.join(sorted(named))}")
        if phrase in sounds:
            raise InputError(f"{path}: a second stem of '{phrase}', expected one of each object")
        with AudioReader(path) as reader:  # no more of a stem than is played: its file may last for hours
            seconds = reader.count_frames() / reader.sample_rate_hz
            if seconds < played.duration_s - LENGTH_TOLERANCE_S:
                raise InputError(f"{path}: lasts {seconds:.2f} s, expected {played.duration_s:.2f} s as the output")
            mono = to_mono(reader.read(round(MAX_PLAYED_S * reader.sample_rate_hz)))
            sounds[phrase] = resample(mono, reader.sample_rate_hz, rate_hz, ears.shape[-1]).astype(np.float32)
    if played.timeline is None:
        return ()
    return measure_places(ears, rate_hz, played.timeline, played.tracks["input"].ears[0], sounds)


def _prompts_in(timeline: Timeline, start_s: float, duration_s: float) -> int:
    found = timeline.overlapping(start_s, start_s + duration_s)
    return 0 if found is None else len(found.segments)


def _excerpt_facts(excerpt: Excerpt) -> dict[str, str]:
    """What of the input the output was made of, if not of all."""
    facts = {}
    if excerpt.duration_s is not None:
        end_s = excerpt.start_s + excerpt.duration_s
        facts["input from, to"] = f"{tables.clock(excerpt.start_s)}, {tables.clock(end_s)}"
    if excerpt.channel is not None:
        facts["input channel"] = str(excerpt.channel)
    return facts


# ---------------------------------------------------------------------------- numbers for the pictures


def _data(played: Played, gain: float, start_s: float) -> dict[str, Any]:
    """What the script of the page reads: times from the beginning of what it plays, and when that is in the source."""
    rate_hz, timeline = played.sample_rate_hz, played.timeline
    sounds = {name: played.tracks[name].ears for name in ("output", "hrtf")}
    spl = plot_data("spl", [Source(name, ears, rate_hz) for name, ears in sounds.items()])
    azimuth = plot_data("azimuth", [Source("output", sounds["output"], rate_hz)])
    output_spl, head_spl = (curve for curve in spl.curves if isinstance(curve, SplCurve))
    (estimate,) = (curve for curve in azimuth.curves if isinstance(curve, AzimuthCurve))
    return {
        "rate_hz": rate_hz,
        "start_s": start_s,
        "duration_s": played.duration_s,
        "file_gain": gain,
        "tracks": [
            {
                "id": name,
                "match_db": played.tracks[name].match_db,
                "loudness_lufs": played.tracks[name].levels.loudness_lufs,
                "peaks": _waveform(played.tracks[name].ears),
            }
            for name in TRACKS
        ],
        "spl": {
            "time_s": _numbers(output_spl.time_s, 4),
            "output": _numbers(np.clip(output_spl.spl_difference_db, -_LARGEST_DB, _LARGEST_DB), 2),
            "hrtf": _numbers(np.clip(head_spl.spl_difference_db, -_LARGEST_DB, _LARGEST_DB), 2),
        },
        "azimuth": {
            "time_s": _numbers(estimate.time_s, 4),
            "heard": _numbers(estimate.azimuth_deg, 1),
            "asked": [{"object": name, "lines": lines} for name, lines in _requested_lines(timeline).items()],
        },
        "segments": [
            {"start_s": segment.start_s, "end_s": segment.end_s, "text": segment.text}
            for segment in (timeline.segments if timeline else ())
        ],
    }


def _requested_lines(timeline: Timeline | None) -> dict[str, list[list[float]]]:
    """Object -> lines from its place at the start of a segment to that at its end: start, end, degrees at both."""
    lines: dict[str, list[list[float]]] = {}
    for segment in timeline.segments if timeline else ():
        for clause in (clause for clause in segment.clauses if clause.is_placed):
            line = [segment.start_s, segment.end_s or 0.0, clause.azimuth.start_deg, clause.azimuth.end_deg]
            lines.setdefault(clause.object, []).append(line)
    return lines


def _around(timeline: Timeline, duration_s: float) -> dict[str, Any]:
    """Where objects are all around at even moments, for the circle: null where nothing gives them a place."""
    times_s = np.arange(max(1, round(duration_s / _AROUND_STEP_S))) * _AROUND_STEP_S
    objects = []
    for track in timeline.tracks(times_s, duration_s):
        there = track.active & track.placed
        azimuth_deg = track.azimuth_deg - 360 * np.round(track.azimuth_deg / 360)
        values = {"azimuth_deg": azimuth_deg, "elevation_deg": track.elevation_deg}
        values |= {"distance_m": track.distance_m, "spread": track.spread}
        found = {name: _numbers(np.where(there, value, np.nan), 2) for name, value in values.items()}
        objects.append({"object": track.object, **found})
    return {"step_s": _AROUND_STEP_S, "objects": objects}


def _waveform(ears: np.ndarray) -> list[list[float]]:
    """Largest magnitude of each ear in windows side by side, (ear, window)."""
    edges = np.unique(np.linspace(0, ears.shape[-1], _WAVEFORM_BINS + 1).astype(int))
    return [_numbers(np.maximum.reduceat(np.abs(ear), edges[:-1]), 4) for ear in ears]


def _numbers(values: np.ndarray, digits: int) -> list[Any]:
    """Rounded numbers (window); None for nan."""
    return [None if value != value else value for value in values.astype(np.float64).round(digits).tolist()]

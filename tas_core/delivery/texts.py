"""Files of text about where objects are: tables and JSON, a project for REAPER, messages of ADM-OSC.

Times are seconds from the beginning of the sounds, azimuths are positive to the left.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from tas_core.delivery.formats import Delivery
from tas_core.delivery.panning import stereo_gains
from tas_core.delivery.scene import Scene
from tas_core.delivery.stems import stem_paths
from tas_core.delivery.trajectory import Places, Trajectory, wrapped_deg

SCENE_FILE: Final = "scene.json"
COLUMNS: Final = ("time_s", "azimuth_deg", "elevation_deg", "distance_m", "gain")
_OSC_STEP_S: Final = 0.02
_PAN_STEP_S: Final = 0.02


def text_paths(delivery: Delivery, stems: Sequence[Path]) -> tuple[Path, ...]:
    """Files of text of a format.

    Args:
        delivery: format and file or folder.
        stems: files of the objects' sounds, and of the rest.
    """
    if delivery.format.is_folder:
        return (delivery.path / SCENE_FILE, *(path.with_suffix(".csv") for path in stems))
    return (delivery.path,)


def delivery_paths(delivery: Delivery, names: Sequence[str]) -> tuple[Path, ...]:
    """Every file and folder of a format, for objects of given names and the rest."""
    folder = delivery.folder
    if folder is None:
        return (delivery.path,)
    stems = stem_paths(folder, names)
    return (folder, *stems, *text_paths(delivery, stems))


def scene_tables(delivery: Delivery, scene: Scene, stems: Sequence[Path]) -> Mapping[Path, bytes]:
    """``scene.json``, and a table for each sound: straight lines between rows, and two of one time are a jump."""
    paths = text_paths(delivery, stems)
    contents: dict[Path, bytes] = {}
    listed = []
    for place, sound, table in zip((*scene.objects, scene.rest), stems, paths[1:], strict=True):
        rows = _rows(*place.points())
        written = io.StringIO(newline="")
        lines = csv.writer(written)
        lines.writerow(COLUMNS)
        lines.writerows([f"{value:.6f}" for value in row] for row in rows)
        contents[table] = written.getvalue().encode()
        points = [dict(zip(COLUMNS, (round(value, 6) for value in row), strict=True)) for row in rows]
        listed.append({"object": place.object, "sound": sound.name, "table": table.name, "points": points})
    said = {
        "title": scene.title,
        "duration_s": scene.duration_s,
        "sample_rate_hz": scene.sample_rate_hz,
        "azimuth": "degrees, 0 is ahead, positive is left",
        "elevation": "degrees, positive is up",
        "gain": "factor of amplitude",
        "between_points": "linear; two points of one time are a jump",
        "objects": listed[:-1],
        "rest": {**listed[-1], "channels_azimuth_deg": list(scene.rest_deg)},
    }
    text = json.dumps(said, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    return {paths[0]: text.encode("utf-8", "backslashreplace"), **contents}


def _rows(times_s: np.ndarray, at: Places) -> list[tuple[float, ...]]:
    """Rows of times and places, azimuths from -180 to 180 degrees.

    Where a line passes behind, it goes on at the other end of the circle, as two rows of one time, so that straight
    lines between rows are those of the object.
    """
    points = np.column_stack([times_s, *at]) + 0.0
    rows: list[tuple[float, ...]] = []
    for first, last in zip(points[:-1], points[1:], strict=True):
        if first[0] == last[0]:
            continue
        low, high = sorted((first[1], last[1]))
        behind_deg = 180 + 360 * np.arange(math.ceil((low - 180) / 360), math.floor((high - 180) / 360) + 1)
        parts = np.unique([0.0, *((behind_deg - first[1]) / (last[1] - first[1]) if low < high else ()), 1.0])
        for start, end in zip(parts[:-1], parts[1:], strict=True):
            ends = [
                first if part == 0 else last if part == 1 else first + part * (last - first) for part in (start, end)
            ]
            around_deg = 360 * np.round((ends[0][1] + ends[1][1]) / 720)
            for time_s, azimuth_deg, *others in ends:
                row = (float(time_s), float(azimuth_deg - around_deg) + 0.0, *map(float, others))
                if not rows or rows[-1] != row:
                    rows.append(row)
    return rows


# ------------------------------------------------------------------------------------------------ ADM-OSC


def osc_file(delivery: Delivery, scene: Scene, stems: Sequence[Path]) -> Mapping[Path, bytes]:
    """Messages of ADM-OSC 1.0 as lines of time tag, address, types and values, in the order of time.

    So ``oscdump`` writes them, and ``oscsendfile`` sends them (both of liblo). The rest comes after the objects.
    Distances are of the largest, at least 1 m. A name is a word of ASCII, since the lines know no other.
    """
    del stems
    messages: list[tuple[float, str]] = []
    for number, place in enumerate(scene.objects, start=1):
        messages.append((0.0, f"/adm/obj/{number}/name s {osc_word(place.object, number)}"))
        messages += _osc_places(number, place, scene.reference_m)
    for number, azimuth_deg in enumerate(scene.rest_deg, start=len(scene.objects) + 1):
        messages.append((0.0, f"/adm/obj/{number}/name s {osc_word(scene.rest.object, number)}"))
        beside = replace(scene.rest, azimuth_deg=scene.rest.azimuth_deg + azimuth_deg)
        messages += _osc_places(number, beside, scene.reference_m)
    messages.sort(key=lambda message: message[0])
    lines = "".join(f"{_time_tag(time_s)} {text}\n" for time_s, text in messages)
    return {delivery.path: lines.encode("ascii")}


def osc_word(name: str, number: int) -> str:
    """A name as a word of ASCII letters and digits; ``object-3`` where none is left."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or f"object-{number}"


def _osc_places(number: int, place: Trajectory, reference_m: float) -> list[tuple[float, str]]:
    times_s, at = place.points(_OSC_STEP_S)
    found: list[tuple[float, str]] = []
    before: tuple[str, str] = ("", "")
    for n, time_s in enumerate(times_s.tolist()):
        if n + 1 < len(times_s) and times_s[n + 1] == time_s:  # the moment before a jump
            continue
        azimuth_deg, distance = wrapped_deg(float(at.azimuth_deg[n])) + 0.0, float(at.distance_m[n]) / reference_m
        values = (f"{azimuth_deg:.6f} {at.elevation_deg[n]:.6f} {distance:.6f}", f"{at.gain[n]:.6f}")
        texts = (f"/adm/obj/{number}/aed fff {values[0]}", f"/adm/obj/{number}/gain f {values[1]}")
        found += [(time_s, text) for text, new, old in zip(texts, values, before, strict=True) if new != old]
        before = values
    return found


def _time_tag(time_s: float) -> str:
    whole, fraction = divmod(round(time_s * 2**32), 2**32)
    return f"{whole:08x}.{fraction:08x}"


# ------------------------------------------------------------------------------------------------ REAPER


def reaper_project(delivery: Delivery, scene: Scene, stems: Sequence[Path]) -> Mapping[Path, bytes]:
    """A project for REAPER: a track for each sound, with its azimuth as automation of pan and its gain of volume."""
    lines = ['<REAPER_PROJECT 0.1 "6.0" 0', "  RIPPLE 0", f"  SAMPLERATE {scene.sample_rate_hz} 1 0", "  PANLAW 1"]
    for place, sound in zip((*scene.objects, scene.rest), stems, strict=True):
        times_s, at = place.points(_PAN_STEP_S)
        gains = stereo_gains(at.azimuth_deg, at.elevation_deg)
        # REAPER's envelopes of pan are positive to the left.
        pan = _envelope("PANENV2", times_s, (gains[:, 0] - gains[:, 1]) / 2) if place is not scene.rest else []
        gain = at.gain if place is scene.rest else at.gain * scene.loudness_of(at.distance_m)
        volume = _envelope("VOLENV2", times_s, gain) if (gain != 1).any() else []
        lines += _track(place.object, delivery.path, sound, scene.duration_s, [*volume, *pan])
    return {delivery.path: ("\n".join([*lines, ">"]) + "\n").encode("utf-8", "backslashreplace")}


def _track(name: str, project: Path, sound: Path, length_s: float, envelopes: Sequence[str]) -> list[str]:
    item = [
        "<ITEM",
        "  POSITION 0",
        f"  LENGTH {length_s:.9f}",
        "  LOOP 0",
        f"  NAME {_quoted(sound.name)}",
        "  <SOURCE WAVE",
        f"    FILE {_quoted(str(sound.relative_to(project.parent)))}",
        "  >",
        ">",
    ]
    inner = [f"NAME {_quoted(name)}", "VOLPAN 1 0 1", "NCHAN 2", *envelopes, *item]
    return ["  <TRACK", *(f"    {line}" for line in inner), "  >"]


def _envelope(kind: str, times_s: np.ndarray, values: np.ndarray) -> list[str]:
    points = [
        f"  PT {time_s:.6f} {value + 0.0:.6f} 0"
        for time_s, value in zip(times_s.tolist(), values.tolist(), strict=True)
    ]
    return [f"<{kind}", "  ACT 1 -1", "  VIS 1 1 1", "  ARM 0", *points, ">"]


def _quoted(text: str) -> str:
    """A text in quotes that it does not hold; where it holds all three, the last are replaced."""
    text = " ".join(text.split())
    mark = next((mark for mark in "\"'" if mark not in text), "`")
    return f"{mark}{text.replace('`', chr(39)) if mark == '`' else text}{mark}"

"""What a timeline says, on stdout: its segments as a table, and where each object is over time as a small chart."""

from __future__ import annotations

import math
import string
from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.text import Text

from tas_cli.output.tables import print_table
from tas_core.conventions import LEFT_SIGN, MAX_AZIMUTH_DEG, REFERENCE_M
from tas_core.timeline.check import TimelineCheck
from tas_core.timeline.clock import clock_time
from tas_core.timeline.formats.subtitles import cue_time
from tas_core.timeline.gains import SILENT_DB, GainPath
from tas_core.timeline.prompts import Clause
from tas_core.timeline.sphere import SpherePoint

_LETTERS: Final = string.ascii_lowercase + string.ascii_uppercase
_COLORS: Final = ("cyan", "magenta", "green", "yellow", "blue", "red")
_ROW_DEG: Final = 15.0
_MARGIN: Final = 10
_MAX_COLUMNS: Final = 110
_TICK_COLUMNS: Final = 12
_TICKS_S: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 36000)
_LISTED_GAPS: Final = 5


def print_check(check: TimelineCheck) -> None:
    """Print a check; without colors and 80 columns wide where stdout is no terminal."""
    console = Console(highlight=False)
    counts = [_count(len(check.segments), "segment"), _count(len(check.objects), "object")]
    if check.duration_s is not None:
        counts.append(f"{_time(check.duration_s)} of audio")
    console.print(Text(f"{check.timeline}: {', '.join(counts)}"), soft_wrap=True)
    levels = any(segment.changes_levels for segment in check.segments)
    where = "place" if any(segment.needs_sphere for segment in check.segments) else "azimuth"
    columns = ("#", "start", "end", "", "object", where, *(["level"] if levels else []))
    print_table(columns, (row if levels else row[:-1] for row in _rows(check)), right=("#",))
    for name, item in check.sources:
        more = [f"from {_time(item.start_s)}"] * bool(item.start_s) + [f"{item.gain_db:+g} dB"] * bool(item.gain_db)
        console.print(Text(f"{name} is {item.file}" + "".join(f", {what}" for what in more)), soft_wrap=True)
    for note in (_uncovered(check), *(f"warning: {warning}" for warning in check.warnings)):
        console.print(Text(note), soft_wrap=True)
    console.print()
    for line in _chart(check, max(min(console.width, _MAX_COLUMNS) - _MARGIN, 2 * _TICK_COLUMNS)):
        console.print(line, soft_wrap=True)
    legend = Text(" " * _MARGIN)
    for i, name in enumerate(check.objects[: len(_LETTERS)]):
        legend.append(", " if i else "").append(_letter(i), style=_color(i)).append(f" {name}")
    if len(check.objects) > len(_LETTERS):
        legend.append(f", and {len(check.objects) - len(_LETTERS)} more by the same letters")
    console.print(legend)


def _rows(check: TimelineCheck) -> Iterator[tuple[str, ...]]:
    index = _index(check)
    for number, segment in enumerate(check.segments, 1):
        end = "end of audio" if segment.end_s is None else _time(segment.end_s)
        times = (str(number), _time(segment.start_s), end)
        for clause in segment.clauses:
            place = place_words(clause) if clause.is_placed else "as it is"
            yield *times, _letter(index[clause.object]), clause.object, place, gain_words(clause.gain)
            times = ("", "", "")
        if segment.rest.changes_level:
            yield *times, "", "all else", "", gain_words(segment.rest)
        if segment.room:
            yield "", "", "", "", "room", segment.room.words(), ""


def _uncovered(check: TimelineCheck) -> str:
    if not check.uncovered:
        return "every moment has a prompt"
    shown = [f"{_time(gap.start_s)} to {_time(gap.end_s)}" for gap in check.uncovered[:_LISTED_GAPS]]
    if len(check.uncovered) > _LISTED_GAPS:
        shown.append(f"and {len(check.uncovered) - _LISTED_GAPS} more")
    return f"no prompt, all in the center: {', '.join(shown)} ({check.uncovered_s:.3f} s)"


def _chart(check: TimelineCheck, width: int) -> Iterator[Text]:
    """Azimuth over time: a letter for each object, left on top; below, the segments by their number, and the time."""
    ends_s = [segment.end_s for segment in check.segments if segment.end_s is not None]
    last_s = max([check.segments[-1].start_s, *ends_s, check.duration_s or 0.0])
    is_open = check.segments[-1].end_s is None
    length_s = (1.25 * last_s or 1.0) if is_open else last_s  # an open end is drawn as a fifth of the whole

    index = _index(check)
    rows = round(MAX_AZIMUTH_DEG / _ROW_DEG)
    cells: list[list[list[int]]] = [[[] for _ in range(width)] for _ in range(2 * rows + 1)]
    lane = [" "] * width
    for number, segment in enumerate(check.segments, 1):
        end_s = length_s if segment.end_s is None else segment.end_s
        first = min(round(segment.start_s / length_s * width), width - 1)
        stop = max(first + 1, round(end_s / length_s * width))
        lane[first:stop] = _bracket(str(number), stop - first)
        for clause in segment.clauses:
            for column in range(first, stop):
                fraction = (column - first) / max(stop - first - 1, 1)
                azimuth_deg = (1 - fraction) * clause.azimuth.start_deg + fraction * clause.azimuth.end_deg
                if clause.sphere:  # as far to the side as it is, in front or behind
                    azimuth_deg = clause.sphere.point(fraction, max(end_s - segment.start_s, 1e-9)).lateral_deg
                row = rows - math.floor(LEFT_SIGN * azimuth_deg / _ROW_DEG + 0.5)
                cells[row][column].append(index[clause.object])

    for row, line in enumerate(cells):
        text = Text(_row_label(rows - row) + "|")
        for column, there in enumerate(line):
            if there:  # objects in one place take turns
                i = there[column % len(there)]
                text.append(_letter(i), style=_color(i))
            else:
                text.append("." if row == rows else " ")
        text.rstrip()
        yield text
    yield Text(f"{'segments':>{_MARGIN - 2}}  {''.join(lane)}".rstrip())
    yield Text(" " * _MARGIN + _time_axis(length_s, width, last_s if is_open else None))


def _row_label(steps_to_left: int) -> str:
    """Label of a row so many steps from the center, every other one."""
    side = {6: "left", 0: "center", -6: "right"}.get(steps_to_left, "")
    degrees = "" if steps_to_left % 2 else f"{abs(steps_to_left) * _ROW_DEG:.0f}"
    return f"{side:<6}{degrees:>3}"


def _bracket(label: str, width: int) -> str:
    if width == 1:
        return "|"
    return f"[{(label if len(label) <= width - 2 else '').ljust(width - 2, '-')}]"


def _time_axis(length_s: float, width: int, open_from_s: float | None) -> str:
    """Times below their columns; where the end is open, nothing is known behind the last start."""
    step_s = next((step for step in _TICKS_S if step * width >= _TICK_COLUMNS * length_s), _TICKS_S[-1])
    step_s *= math.ceil(_TICK_COLUMNS * length_s / (step_s * width))  # for timelines of days
    axis = ""
    for i in range(math.floor((length_s if open_from_s is None else open_from_s) / step_s + 1e-9) + 1):
        label = clock_time(i * step_s)
        column = round(i * step_s / length_s * width)
        if column + len(label) <= width - (4 if open_from_s is not None else 0):
            axis = axis.ljust(column) + label
    return axis if open_from_s is None else axis.ljust(width - 3) + "end"


def place_words(clause: Clause) -> str:
    """Where an object is: "45\N{DEGREE SIGN} left -> 0\N{DEGREE SIGN}", or all coordinates beyond the plane."""
    path = clause.sphere
    if path and path.is_circle:
        turn = path.turns or path.turn_s
        sense = "counterclockwise" if turn * LEFT_SIGN > 0 else "clockwise"
        speed = f"{abs(turn):g} turns" if path.turns else f"a turn in {abs(turn):g} s"
        ends = dict.fromkeys(map(point_words, (path.start, path.end)))
        return f"{' -> '.join(ends)}, {sense}, {speed}"
    if path:
        stops = (path.start, *([path.via] if path.via else []), path.end)
        return " -> ".join(dict.fromkeys(map(point_words, stops)))
    return " -> ".join(dict.fromkeys(map(azimuth_words, (clause.azimuth.start_deg, clause.azimuth.end_deg))))


def point_words(point: SpherePoint) -> str:
    """A place all around: "125\N{DEGREE SIGN} left, 30\N{DEGREE SIGN} up, 3 m", but for what is as usual."""
    words = [azimuth_words(point.azimuth_deg)]
    if point.elevation_deg:
        words.append(f"{abs(point.elevation_deg):g}\N{DEGREE SIGN} {'up' if point.elevation_deg > 0 else 'down'}")
    if point.distance_m != REFERENCE_M:
        words.append(f"{point.distance_m:g} m")
    if point.spread:
        words.append(f"spread {point.spread:g}")
    return ", ".join(words)


def gain_words(path: GainPath) -> str:
    """How loud something is made: "-3 dB", "+0 dB -> silent"; nothing where it stays as it is."""
    if not path.changes_level:
        return ""
    words = lambda gain_db: "silent" if gain_db == SILENT_DB else f"{gain_db:+.4g} dB"  # noqa: E731
    return " -> ".join(dict.fromkeys(map(words, (path.start_db, path.end_db))))


def azimuth_words(azimuth_deg: float) -> str:
    """A place in words: "45\N{DEGREE SIGN} left", "0\N{DEGREE SIGN}" in front, "behind"."""
    if azimuth_deg == 0:
        return "0\N{DEGREE SIGN}"
    if abs(azimuth_deg) == 180:
        return "behind"
    return f"{abs(azimuth_deg):g}\N{DEGREE SIGN} {'left' if azimuth_deg * LEFT_SIGN > 0 else 'right'}"


def _time(seconds: float) -> str:
    return cue_time(round(1000 * seconds))


def _index(check: TimelineCheck) -> dict[str, int]:
    return {name: i for i, name in enumerate(check.objects)}


def _letter(i: int) -> str:
    return _LETTERS[i % len(_LETTERS)]


def _color(i: int) -> str:
    return _COLORS[i % len(_COLORS)]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

"""A comparison as one table on stdout: measures down, systems across."""

from __future__ import annotations

import math
import sys

from rich.text import Text

from tas_cli.output.json_lines import ResultOutput
from tas_cli.output.tables import print_table
from tas_core.evaluation.metrics import Interval
from tas_core.evaluation.results import GROUPS, Evaluation, RowResult
from tas_core.evaluation.scoring import GROUPED, MEASURES

_ARROWS = {"higher": "\u2191", "lower": "\u2193"}


def print_evaluation(evaluation: Evaluation) -> None:
    """Print means, intervals and differences to the first row."""
    rows = evaluation.rows
    lines: list[tuple[str | Text, ...]] = []
    for group, measures in MEASURES.items():
        lines.append(())
        for measure, better in measures.items():
            if any(measure in row.measures for row in rows):
                cells = [_cell(row.measures.get(measure), row.differences.get(measure)) for row in rows]
                lines.append((f"{measure} {_ARROWS[better]}" + _count(evaluation, measure), *cells))
        if group == "direction":
            lines += _by_group(rows)
        if not lines[-1]:
            lines.pop()
    names = [row.name for row in rows]
    print_table(("measure", *names), lines[1:], right=names)
    count = len(evaluation.clips)
    print(f"\n{count} {'clip' if count == 1 else 'clips'}; brackets: 95 % bootstrap intervals over clips")
    if len(rows) > 1:
        print(f"+ and -: paired differences to {rows[0].name}")


def put_evaluation(evaluation: Evaluation, output: ResultOutput) -> None:
    """Say on stderr what was left out, and give the comparison to people, programs and files."""
    print_exclusions(evaluation)
    output.put(evaluation.as_dict(), lambda: print_evaluation(evaluation))


def print_exclusions(evaluation: Evaluation) -> None:
    """Say on stderr what was left out, and why."""
    for clip, why in evaluation.excluded.items():
        print(f"tas: excluded: {clip}: {why}", file=sys.stderr)
    for row in evaluation.rows:
        for clip, why in row.excluded.items():
            print(f"tas: excluded from {row.name}: {clip}: {why}", file=sys.stderr)
    for note in evaluation.notes:
        print(f"tas: note: {note}", file=sys.stderr)


def _by_group(rows: tuple[RowResult, ...]) -> list[tuple[str | Text, ...]]:
    lines: list[tuple[str | Text, ...]] = []
    for measure in (name for name in GROUPED if name != "rank_audio"):
        for group in GROUPS:
            if any(measure in row.groups.get(group, {}) for row in rows):
                cells = [_cell(row.groups.get(group, {}).get(measure), None) for row in rows]
                lines.append((f"  {measure}, {group}", *cells))
    return lines


def _count(evaluation: Evaluation, measure: str) -> str:
    """How many clips have a measure, where not all do."""
    count = max(row.measures[measure].count for row in evaluation.rows if measure in row.measures)
    return "" if count == len(evaluation.clips) else f" (of {count})"


def _cell(value: Interval | None, difference: Interval | None) -> Text:
    if value is None or math.isnan(value.mean):
        return Text("-")
    text = Text(_number(value.mean), style="bold")
    if not math.isnan(value.low):
        text.append(f" [{_number(value.low)}, {_number(value.high)}]", style="not bold dim")
    if difference is not None and not math.isnan(difference.mean):
        text.append(f"\n{_number(difference.mean, '+')}", style="not bold")
        if not math.isnan(difference.low):
            text.append(f" [{_number(difference.low, '+')}, {_number(difference.high, '+')}]", style="not bold dim")
    return text


def _number(value: float, sign: str = "") -> str:
    """Three significant digits, and no more than three behind the point."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:{sign}.{digits}f}"

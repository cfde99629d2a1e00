"""What ``tas spatialize`` prints: the result of one file, and of each file of many."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import typer

from tas_cli.output.json_lines import print_json
from tas_cli.output.timeline import gain_words, place_words
from tas_cli.remedies import advice, with_option
from tas_core.delivery.formats import BINAURAL
from tas_core.jobs.batch.worker import FileOutcome
from tas_core.jobs.result import FileResult
from tas_core.system.files import STANDARD_STREAM
from tas_core.timeline.prompts import Clause


def print_skipped(outcome: FileOutcome, as_json: bool) -> None:
    """Say that the one file of a run was there already."""
    if as_json:
        print_json(outcome.as_dict())
    else:
        typer.echo(f"{outcome.request.main_out}: exists, left out")


def print_result(result: FileResult, as_json: bool) -> None:
    """Say how the one file of a run came out, segment by segment; on stderr where stdout has the sound."""
    to_stderr = result.output == STANDARD_STREAM
    if as_json:
        print_json(result.as_dict(), to_stderr)
        return
    lines = [f"{_head(result)}, {f'model {result.model}' if result.model else 'no model needed'}", *_others(result)]
    if result.renderer == "sphere":
        lines.append("  sphere: places all around, so (L + R) / 2 is not the mono input")
    for item in result.segments:
        level = f"{item.spl_difference_db:+.1f} dB" if math.isfinite(item.spl_difference_db) else "silent"
        segment = item.segment
        text = " ".join(segment.text.split())  # of several lines where it comes from subtitles
        lines.append(f"  {segment.start_s:8.2f} - {segment.end_s:8.2f} s  {level:>9}  {text}")
        lines += map(_understood, segment.clauses, item.energy_shares)
        if segment.rest.changes_level:
            lines.append(f"    all else {gain_words(segment.rest)}")
    total = sum(result.seconds.values())
    lines.append(f"  {total:.1f} s in all, {result.real_time_factor:.3f} of real time after loading; + dB is left")
    typer.echo("\n".join(lines), err=to_stderr)


def _understood(clause: Clause, share: float | None) -> str:
    """What was understood of a clause, and how much of the sound it took: "dog 45\N{DEGREE SIGN} left", 38 %."""
    words = [clause.object, place_words(clause) if clause.is_placed else "", gain_words(clause.gain)]
    energy = "" if share is None else f" \N{MIDDLE DOT} {100 * share:.0f} % of the energy"
    return f"    {' '.join(filter(None, words))}{energy}"


def print_outcome(outcome: FileOutcome, as_json: bool) -> None:
    """Say how one of many files ended."""
    for warning in outcome.warnings:
        print(f"tas: warning: {advice(warning)}", file=sys.stderr)
    error = with_option(outcome.error, outcome.remedy)
    if as_json:
        print_json(outcome.as_dict() | ({"error": error} if error else {}))
    elif outcome.result is not None:
        typer.echo(f"{_head(outcome.result)}, {sum(outcome.result.seconds.values()):.1f} s of work")
        for line in _others(outcome.result):
            typer.echo(line)
    if error:
        print(f"tas: error: {error}", file=sys.stderr)


def print_counts(outcomes: Sequence[FileOutcome], total: int) -> None:
    """Say on stderr how many files there are of which kind; ``total`` counts those that were not tried, too."""
    done = sum(outcome.result is not None for outcome in outcomes)
    counts = {
        "skipped": sum(outcome.skipped for outcome in outcomes),
        "failed": sum(bool(outcome.error) for outcome in outcomes),
        "not tried": total - len(outcomes),
    }
    rest = "".join(f", {count} {what}" for what, count in counts.items() if count)
    print(f"{done} of {total} done{rest}", file=sys.stderr)


def _others(result: FileResult) -> list[str]:
    """Lines of the formats that were written beside the first, and what the first is where it is not two ears."""
    named = [output for output in result.outputs if output.format != BINAURAL or len(result.outputs) > 1]
    files = lambda output: f", {len(output.files)} files" if len(output.files) > 1 else ""  # noqa: E731
    sound = lambda output: f", {output.channels} channels" if len(output.files) == 1 and output.channels else ""  # noqa: E731
    return [f"  {output.format:>8}: {output.path}{sound(output)}{files(output)}" for output in named]


def _head(result: FileResult) -> str:
    name = "standard output" if result.output == STANDARD_STREAM else result.output
    return f"{name}: {result.duration_s:.2f} s, {result.sample_rate_hz} Hz"

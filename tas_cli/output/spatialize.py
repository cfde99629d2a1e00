"""What ``tas spatialize`` prints while it works and after it."""

from __future__ import annotations

import math
import sys

import typer

from tas_cli.output.json_lines import print_json
from tas_cli.output.progress import progress_bar
from tas_cli.remedies import with_option
from tas_core.jobs.batch.plan import BatchPlan
from tas_core.jobs.batch.worker import FileOutcome
from tas_core.jobs.result import FileResult
from tas_core.jobs.spatialize import FileWorker, JobSettings
from tas_core.system.files import STANDARD_STREAM


def run_one(plan: BatchPlan, settings: JobSettings, *, progress: str, as_json: bool) -> None:
    """Make the one file of a plan and say how it came out."""
    (request,) = plan.requests
    if plan.skipped:
        skipped = FileOutcome(request, skipped=True)
        if as_json:
            print_json(skipped.as_dict())
        else:
            typer.echo(f"{request.out}: exists, left out")
        return
    with progress_bar(request.source.name, progress) as report_progress:
        result = FileWorker(settings).make(request, overwrite=bool(plan.again), progress=report_progress)
    to_stderr = str(request.out) == STANDARD_STREAM
    if as_json:
        print_json(result.as_dict(), to_stderr)
        return
    lines = [f"{_head(result)}, model {result.model}"]
    for item in result.segments:
        level = f"{item.spl_difference_db:+.1f} dB" if math.isfinite(item.spl_difference_db) else "silent"
        segment = item.segment
        text = " ".join(segment.text.split())  # of several lines where it comes from subtitles
        lines.append(f"  {segment.start_s:8.2f} - {segment.end_s:8.2f} s  {level:>9}  {text}")
    total = sum(result.seconds.values())
    lines.append(f"  {total:.1f} s in all, {result.real_time_factor:.3f} of real time after loading; + dB is left")
    typer.echo("\n".join(lines), err=to_stderr)


def run_many(
    plan: BatchPlan, settings: JobSettings, *, jobs: int, fail_fast: bool, progress: str, as_json: bool
) -> None:
    """Make all files of a plan: a line for each as it ends, and on stderr how many there are of which kind.

    Raises:
        typer.Exit: with 1, a file failed.
    """
    from tas_core.jobs.batch.run import run_batch

    def tell(outcome: FileOutcome) -> None:
        for warning in outcome.warnings:
            print(f"tas: warning: {warning}", file=sys.stderr)
        error = with_option(outcome.error, outcome.remedy)
        if as_json:
            print_json(outcome.as_dict() | ({"error": error} if error else {}))
        elif outcome.result is not None:
            typer.echo(f"{_head(outcome.result)}, {sum(outcome.result.seconds.values()):.1f} s of work")
        if error:
            print(f"tas: error: {error}", file=sys.stderr)

    total = len(plan.requests)
    with progress_bar(f"{total} file{'s' * (total != 1)}", progress) as report_progress:
        outcomes = run_batch(plan, settings, jobs=jobs, fail_fast=fail_fast, progress=report_progress, on_outcome=tell)
    failed = sum(bool(outcome.error) for outcome in outcomes)
    counts = {"skipped": len(plan.skipped), "failed": failed, "not tried": total - len(outcomes)}
    done = sum(outcome.result is not None for outcome in outcomes)
    rest = "".join(f", {count} {what}" for what, count in counts.items() if count)
    print(f"{done} of {total} done{rest}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def _head(result: FileResult) -> str:
    name = "standard output" if result.output == STANDARD_STREAM else result.output
    return f"{name}: {result.duration_s:.2f} s, {result.sample_rate_hz} Hz"

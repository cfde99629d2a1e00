"""What ``tas data`` prints."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict

from tas_cli.output.json_lines import ResultOutput, print_json
from tas_cli.output.terminal import print_paths
from tas_core.datasets.tasbench.annotations import ImportSummary
from tas_core.datasets.tasbench.checking import Problem


def material_progress(mode: str) -> Callable[[int, int, str], None]:
    """What to call with the number of sources done, that of all, and the name of the last; see ``tas --progress``."""

    def tell(done: int, total: int, name: str) -> None:
        if mode == "json":
            print_json({"file": name, "done": done / total}, err=True)
        elif mode != "off":
            print(f"{done}/{total} {name}", file=sys.stderr)

    return tell


def packing_progress(mode: str) -> Callable[[str], None]:
    """What to call with a line about each step of packing; see ``tas --progress``."""

    def tell(message: str) -> None:
        if mode == "json":
            print_json({"message": message}, err=True)
        elif mode != "off":
            print(message, file=sys.stderr)

    return tell


def print_import(report: ImportSummary) -> None:
    """Say how many timelines were made and what has none, on stderr, and where they are."""
    lines = [f"{len(report.timelines)} timelines from {report.frames} annotations"]
    if report.late:
        lines.append(f"{report.late} annotations after the end of their clips were left out")
    if report.silent:
        lines.append(f"{len(report.silent)} clips have no timeline, nothing sounds: {_some(report.silent)}")
    if report.unannotated:
        lines.append(f"{len(report.unannotated)} clips are not annotated: {_some(report.unannotated)}")
    print("\n".join(lines), file=sys.stderr)
    print_paths(report.folder)


def put_problems(problems: Sequence[Problem], clips: int, output: ResultOutput) -> None:
    """Print what is wrong with a data set of so many clips, and on stderr how much."""
    errors = sum(problem.severity == "error" for problem in problems)
    summary = {"clips": clips, "errors": errors, "warnings": len(problems) - errors}
    output.put(
        {**summary, "problems": [asdict(problem) for problem in problems]},
        lambda: print(*(f"{problem}\n" for problem in problems), sep="", end=""),
    )
    print(", ".join(f"{count} {name}" for name, count in summary.items()), file=sys.stderr)


def _some(clips: Sequence[str]) -> str:
    return ", ".join(clips[:5]) + (", ..." if len(clips) > 5 else "")

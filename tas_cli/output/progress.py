"""Progress on stderr: a bar on a terminal, or lines of JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tas_cli.output.json_lines import print_json
from tas_cli.output.terminal import is_terminal
from tas_core.system.progress import ignore


@contextmanager
def progress_bar(label: str, mode: str) -> Iterator[Callable[[float], None]]:
    """Yields a function that takes the fraction done, 0 to 1.

    Args:
        label: what is being done, such as a file name.
        mode: what ``tas --progress`` says: ``bar`` draws a bar, ``auto`` does where stderr is a terminal, ``json``
            prints a line such as ``{"file": "in.wav", "done": 0.25}`` whenever another hundredth is done, ``off``
            prints nothing.
    """
    if mode == "json":
        yield _json_lines(label)
        return
    if mode == "off" or (mode == "auto" and not is_terminal(sys.stderr)):
        yield ignore
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    # A bar that was asked for is drawn wherever stderr leads.
    console = Console(stderr=True, force_terminal=True if mode == "bar" else None)
    # Results that come meanwhile appear above the bar if both are on the terminal; else they must not go to stderr.
    both = is_terminal(sys.stdout) and is_terminal(sys.stderr)
    with Progress(*columns, console=console, transient=True, redirect_stdout=both) as bar:
        task = bar.add_task(label, total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)


def _json_lines(label: str) -> Callable[[float], None]:
    printed = -1

    def report(fraction: float) -> None:
        nonlocal printed
        if int(100 * fraction) > printed:
            printed = int(100 * fraction)
            print_json({"file": label, "done": printed / 100}, err=True)

    report(0.0)
    return report

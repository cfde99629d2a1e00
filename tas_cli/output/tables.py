"""Plain tables on stdout: as wide as the terminal, or, into a pipe or a file, as wide as they are."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tas_cli.output.terminal import is_terminal

_NO_TERMINAL_WIDTH = 10_000


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print ``rows`` below ``columns``, of which ``right`` are aligned to the right; empty names make no header."""
    table = Table(box=None, pad_edge=False, show_header=any(columns), header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    if is_terminal(sys.stdout):
        Console().print(table)
        return
    console = Console(width=_NO_TERMINAL_WIDTH)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip())  # without the blanks that fill up the last column

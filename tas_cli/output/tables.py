"""Plain tables on stdout: as wide as the terminal, or, into a pipe or a file, as wide as they are."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tas_cli.output.terminal import is_terminal

_NO_TERMINAL_WIDTH = 10_000


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], right: Sequence[str] = ()) -> None:
    """Print a table.

    Args:
        columns: headings; a table of empty ones has no line of headings.
        rows: cells, which may have several lines; a row without cells is an empty line.
        right: columns that are aligned to the right.
    """
    table = Table(box=None, pad_edge=False, show_header=any(columns), header_style="bold")
    for column in columns:
        table.add_column(Text(column), justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    if is_terminal(sys.stdout):
        Console().print(table)
        return
    console = Console(width=_NO_TERMINAL_WIDTH)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip())  # without the blanks that fill up the last column

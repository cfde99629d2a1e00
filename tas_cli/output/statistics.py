"""The figures of a data set as tables on stdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tas_core.datasets.tasbench.statistics import Statistics, shares


def print_statistics(statistics: Statistics) -> None:
    """Print all figures; categories that are not one of ``prompts/objects.yaml`` get an asterisk."""
    console = Console()
    rows = {
        "clips": f"{statistics.clips:,}",
        "clips with a timeline": f"{statistics.annotated_clips:,}",
        "hours": f"{statistics.hours:.2f}",
        "frames of 0.1 s": f"{statistics.frames:,}",
        "annotations (frames with a text)": f"{statistics.annotations:,}",
        "object-frames": f"{statistics.object_frames:,}",
        "frames in which nothing sounds": f"{100 * statistics.silent_frame_share:.1f} %",
        "clips in which something moves": f"{100 * statistics.moving_clip_share:.1f} %",
    }
    overview = Table("", "", show_header=False)
    overview.columns[1].justify = "right"
    for name, value in rows.items():
        overview.add_row(name, value)
    console.print(overview)

    categories = _table("category", "clips", "object-frames")
    for count in statistics.categories:
        label = Text(count.name if count.known else f"{count.name} *")
        categories.add_row(label, f"{count.clips:,}", f"{count.object_frames:,}")
    console.print(categories)
    if not all(count.known for count in statistics.categories):
        console.print("* in no category of the catalogue, or in several")

    console.print(_counts("objects in a clip", "clips", statistics.objects_per_clip))
    console.print(_counts("categories in a clip", "clips", statistics.categories_per_clip))
    console.print(_counts("direction", "object-frames", statistics.directions))


def _counts(name: str, unit: str, counts: Mapping[Any, int]) -> Table:
    table = _table(name, unit, "share")
    for (key, count), part in zip(counts.items(), shares(counts).values(), strict=True):
        table.add_row(Text(str(key)), f"{count:,}", f"{100 * part:.1f} %")
    return table


def _table(name: str, *columns: str) -> Table:
    table = Table(name)
    for column in columns:
        table.add_column(column, justify="right")
    return table

"""The figures of a data set as tables on stdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tas_cli.output.tables import print_table
from tas_core.datasets.tasbench.statistics import Statistics, fraction, fractions


def print_statistics(statistics: Statistics) -> None:
    """Print all figures; categories that are not one of ``prompts/objects.yaml`` get an asterisk."""
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
    print_table(("data set", "value"), rows.items(), right=("value",))
    print()
    counted = ("clips", "object-frames")
    print_table(
        ("category", *counted),
        [
            (count.name if count.known else f"{count.name} *", f"{count.clips:,}", f"{count.object_frames:,}")
            for count in statistics.categories
        ],
        right=counted,
    )
    if not all(count.known for count in statistics.categories):
        print("* in no category of the catalogue, or in several")
    _print_counts("objects in a clip", "clips", statistics.objects_per_clip)
    _print_counts("categories in a clip", "clips", statistics.categories_per_clip)
    _print_counts("direction", "object-frames", statistics.directions)
    if statistics.sphere:
        print()
        share = lambda frames: f"{100 * fraction(frames, statistics.object_frames):.1f} %"  # noqa: E731
        places = [(name, f"{frames:,}", share(frames)) for name, frames in statistics.sphere.items()]
        print_table(("all around", "object-frames", "share"), places, right=("object-frames", "share"))


def _print_counts(name: str, unit: str, counts: Mapping[Any, int]) -> None:
    print()
    rows = [
        (str(key), f"{count:,}", f"{100 * part:.1f} %")
        for (key, count), part in zip(counts.items(), fractions(counts).values(), strict=True)
    ]
    print_table((name, unit, "share"), rows, right=(unit, "share"))

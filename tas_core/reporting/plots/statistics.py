"""The figures of a data set as one picture: clips per category, objects per clip, directions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tas_core.datasets.tasbench.statistics import DIRECTIONS, Statistics, fractions
from tas_core.reporting.plots.pictures import STYLE, picture_bytes, picture_format
from tas_core.system.files import check_new_file, write_files

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_CATEGORIES: Final = 24
"""More bars than this are too many to read; the title says how many there are."""

# One colour, and every bar with its number: hue carries no meaning, so the picture can be printed in grey.
_COLOUR: Final = "#0072b2"


def check_figure_path(path: Path, *, overwrite: bool = False) -> None:
    """Find out before any work whether a picture can be written, and, with ``overwrite``, replace an existing one.

    Raises:
        InputError: unknown ending, a folder, a folder that is missing or read-only, or a picture that may not be
            replaced.
    """
    picture_format(path)
    check_new_file(path, overwrite=overwrite)


def draw_statistics(statistics: Statistics, path: Path, *, overwrite: bool = False) -> None:
    """Draw a data set's figures; the same figures give the same bytes.

    Args:
        statistics: what to draw.
        path: picture to write; its ending is one of :data:`tas_core.reporting.plots.pictures.FORMATS`.
        overwrite: whether an existing picture is replaced.

    Raises:
        InputError: as :func:`check_figure_path`.
        TasError: the file cannot be written.
    """
    check_figure_path(path, overwrite=overwrite)
    import matplotlib
    from matplotlib.figure import Figure

    categories = statistics.categories
    names = [category.name for category in categories[:MAX_CATEGORIES]]
    clips = [category.clips for category in categories[:MAX_CATEGORIES]]
    style: dict[Any, Any] = {
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        **STYLE,
    }
    # Without pyplot there is no state to clean up, and the canvas of a format draws without a screen.
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(9.0, max(4.0, 1.3 + 0.22 * len(names))), layout="constrained")
        grid = figure.add_gridspec(2, 2, width_ratios=(1.6, 1.0))
        title = "Clips per category"
        if len(categories) > len(names):
            title += f", the {len(names)} most frequent of {len(categories)}"
        _bars(figure.add_subplot(grid[:, 0]), names, clips, [f"{count:,}" for count in clips], title, "clips")
        parts = fractions(statistics.objects_per_clip)
        labels = [f"{number} object{'' if number == 1 else 's'}" for number in parts]
        _share_bars(figure.add_subplot(grid[0, 1]), labels, list(parts.values()), "Objects per clip", "clips, %")
        parts = fractions(statistics.directions)
        values = [parts[direction] for direction in DIRECTIONS]
        _share_bars(figure.add_subplot(grid[1, 1]), list(DIRECTIONS), values, "Directions", "object-frames, %")
        figure.suptitle(
            f"{statistics.annotated_clips:,} clips, {statistics.hours:.2f} h, {statistics.annotations:,} annotations,"
            f" {statistics.object_frames:,} object-frames",
            x=0.01,
            horizontalalignment="left",
        )
        picture = picture_bytes(figure, picture_format(path))
    write_files({path: picture}, overwrite=overwrite)


def _bars(
    axes: Axes, names: Sequence[str], values: Sequence[float], labels: Sequence[str], title: str, unit: str
) -> None:
    """Horizontal bars from top to bottom, each with its number at its end."""
    container = axes.barh(range(len(names)), values, color=_COLOUR, height=0.72)
    axes.bar_label(container, labels=list(labels), padding=3, fontsize=8)
    axes.set_yticks(range(len(names)), labels=list(names))
    axes.invert_yaxis()
    axes.margins(y=0.02)
    axes.set_xlim(0, 1.25 * max(values, default=0.0) or 1.0)  # room for the numbers
    axes.set_title(title)
    axes.set_xlabel(unit)


def _share_bars(axes: Axes, names: Sequence[str], values: Sequence[float], title: str, unit: str) -> None:
    percent = [100 * value for value in values]
    _bars(axes, names, percent, [f"{value:.1f} %" for value in percent], title, unit)

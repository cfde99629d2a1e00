"""The page of a picture: title, key, panels, lanes of prompts, time axis and colour bar; sizes in inches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from tas_core.reporting.plots.curves import Lane, PlotData
from tas_core.reporting.plots.lettering import plain, text_width_in, wrapped
from tas_core.reporting.plots.panels import (
    ESTIMATE,
    QUIET_COLOR,
    REFERENCE_ESTIMATE,
    TEXT_PT,
    Panel,
    Panels,
    Style,
    closed_span,
)
from tas_core.timeline.segments import Segment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_WIDTH_IN: Final = 9.0
_LEFT_IN: Final = 1.1
_RIGHT_IN: Final = 0.4
_LANE_PT: Final = 7.5
_LANE_LINE_IN: Final = 0.135
_LANE_LINES: Final = 4
_KEY_LINE_IN: Final = 0.2

_NOTES: Final = {
    "spl": "levels over {}",
    "envelope": "Hilbert magnitude, mean over a Hann window of {}",
    "spectrogram": "Hann window of {}; 0 dB is a sine of amplitude 1",
    "azimuth": "estimated in windows of {}",
    "places": "from above: right is right, up is in front",
}


class Page:
    """The layout of a picture from top to bottom, in inches.

    Args:
        data: what to show.
        title: above the picture, plain text; may be empty.
    """

    def __init__(self, data: PlotData, title: str) -> None:
        self.data = data
        self.title = title
        self.keyed = len(data.curves) > 1 and data.kind in ("spl", "envelope")
        self.lane_in = _WIDTH_IN - _LEFT_IN - _RIGHT_IN - (0.55 if data.kind == "spectrogram" else 0)
        self.panels = Panels(data, self.lane_in)
        self.key = _key_rows(self._key_entries())
        self.right_in = _WIDTH_IN - _LEFT_IN - self.lane_in
        self.names = {c.label for c in data.curves if not c.is_reference}
        if data.kind == "places":
            self.names = {label for lane in data.lanes for label in lane.labels}

    def figure(self) -> Figure:
        """The page, drawn under whatever settings matplotlib has."""
        from matplotlib.figure import Figure

        panels = self.panels.build()
        lanes = [self._lane(lane) for lane in self.data.lanes]
        rows = [*panels, *lanes]
        top_in = 0.12 + (0.3 if self.title else 0) + len(self.key) * _KEY_LINE_IN + (0.06 if self.key else 0)
        height_in = top_in + sum(row.gap_in + row.height_in for row in rows) + 0.55
        figure = Figure(figsize=(_WIDTH_IN, height_in))
        at_in = 0.12
        if self.title:
            shown = wrapped(self.title, _WIDTH_IN - _LEFT_IN - 0.2, TEXT_PT + 2, 1)
            figure.text(
                _LEFT_IN / _WIDTH_IN, 1 - at_in / height_in, "".join(shown), fontsize=TEXT_PT + 2, va="top", ha="left"
            )
            at_in += 0.3
        self._draw_key(figure, at_in, height_in)
        at_in = top_in
        shared: Axes | None = None
        axes: list[Axes] = []
        for row in rows:
            at_in += row.gap_in
            box = (
                _LEFT_IN / _WIDTH_IN,
                1 - (at_in + row.height_in) / height_in,
                self.lane_in / _WIDTH_IN,
                row.height_in / height_in,
            )
            ax = figure.add_axes(box, sharex=shared if row.timed else None)
            row.paint(ax)
            if row.timed:
                shared = shared or ax
                axes.append(ax)
            at_in += row.height_in
        for ax in axes:
            ax.tick_params(labelbottom=ax is axes[-1])
        axes[0].set_xlim(self.data.start_s, self.data.start_s + self.data.duration_s)
        axes[-1].set_xlabel("time (s)")
        note = _NOTES[self.data.kind].format(f"{1000 * self.data.window_s:g} ms")
        figure.text(
            1 - self.right_in / _WIDTH_IN, 0.1 / height_in, note, fontsize=_LANE_PT, ha="right", color=QUIET_COLOR
        )
        if self.data.kind == "spectrogram":
            self._colour_bar(figure, axes[: len(panels)])
        return figure

    def _key_entries(self) -> list[tuple[str, Style]]:
        if self.keyed:
            return [(plain(curve.label), self.panels.styles[curve.label]) for curve in self.data.curves]
        if self.data.kind == "places":
            return [(plain(name), style) for name, style in self.panels.objects.items()]
        if self.data.kind != "azimuth":
            return []
        references = [(plain(c.label), REFERENCE_ESTIMATE) for c in self.data.curves if c.is_reference]
        if not references and not self.panels.objects:
            return []
        requested = [(f"requested: {plain(name)}", style) for name, style in self.panels.objects.items()]
        return [("estimate", ESTIMATE), *references, *requested]

    def _lane(self, lane: Lane) -> Panel:
        def lines(segment: Segment, most: int) -> list[str]:
            start_s, end_s = closed_span(segment)
            room_in = (end_s - start_s) / self.data.duration_s * self.lane_in - 0.08
            return wrapped(plain(segment.text), room_in, _LANE_PT, most)

        texts = [lines(segment, _LANE_LINES) for segment in lane.segments]
        height_in = 0.13 + _LANE_LINE_IN * max(1, *map(len, texts))

        def paint(ax: Axes) -> None:
            from matplotlib.patches import Rectangle

            ax.set_ylim(0, 1)
            for i, (segment, text) in enumerate(zip(lane.segments, texts, strict=True)):
                start_s, end_s = closed_span(segment)
                shade = ("#e3e3e3", "#f1f1f1")[i % 2]
                ax.add_patch(
                    Rectangle((start_s, 0), end_s - start_s, 1, facecolor=shade, edgecolor="#888888", linewidth=0.5)
                )
                # A line is a text of its own, so that the distance of lines is ours and not the font's.
                for row, line in enumerate(text):
                    down_in = height_in / 2 + (row - (len(text) - 1) / 2) * _LANE_LINE_IN
                    at = ((start_s + end_s) / 2, 1 - down_in / height_in)
                    ax.text(*at, line, fontsize=_LANE_PT, ha="center", va="center")
            ax.set_yticks([])
            self._lane_name(ax, lane)

        return Panel(height_in, 0.1, paint)

    def _lane_name(self, ax: Axes, lane: Lane) -> None:
        whose = [label for label in lane.labels if label in self.names]
        to_all = set(whose) == self.names
        name = "prompts" if to_all else plain(", ".join(whose))
        sample = not to_all and self.keyed and len(whose) == 1
        points = 1 / self.lane_in
        shown = "\n".join(wrapped(name, _LEFT_IN - (0.43 if sample else 0.13), _LANE_PT - 0.5, 2))
        ax.text(
            -(0.38 if sample else 0.06) * points,
            0.5,
            shown,
            transform=ax.transAxes,
            fontsize=_LANE_PT - 0.5,
            linespacing=1.0,
            ha="right",
            va="center",
        )
        if sample:
            at = [-0.32 * points, -0.18 * points, -0.04 * points]
            ax.add_line(_sample(self.panels.styles[whose[0]], at, 0.5, transform=ax.transAxes, clip_on=False))

    def _draw_key(self, figure: Figure, at_in: float, height_in: float) -> None:
        for row in self.key:
            y = 1 - (at_in + _KEY_LINE_IN / 2) / height_in
            for x_in, shown, style in row:
                at = [x_in / _WIDTH_IN, (x_in + 0.18) / _WIDTH_IN, (x_in + 0.36) / _WIDTH_IN]
                figure.add_artist(_sample(style, at, y))
                figure.text((x_in + 0.43) / _WIDTH_IN, y, shown, fontsize=TEXT_PT, ha="left", va="center_baseline")
            at_in += _KEY_LINE_IN

    def _colour_bar(self, figure: Figure, axes: Sequence[Axes]) -> None:
        top, bottom = axes[0].get_position().y1, axes[-1].get_position().y0
        box = (1 - (self.right_in - 0.15) / _WIDTH_IN, bottom, 0.14 / _WIDTH_IN, top - bottom)
        bar = figure.colorbar(self.panels.image, cax=figure.add_axes(box))
        bar.set_label("level of L \N{MINUS SIGN} R (dB)")


def _sample(style: Style, x: list[float], y: float, **where: Any) -> Line2D:
    """A short line beside a name, with one marker in its middle; three places across, one height."""
    from matplotlib.lines import Line2D

    return Line2D(
        x,
        [y] * 3,
        color=style.color,
        linestyle=style.dashes,
        linewidth=style.width,
        marker=style.marker,
        markersize=4,
        markevery=[1],
        **where,
    )


def _key_rows(entries: Sequence[tuple[str, Style]]) -> list[list[tuple[float, str, Style]]]:
    """Where the entries of the key go: rows of (left end in inches, text, style)."""
    rows: list[list[tuple[float, str, Style]]] = []
    x_in = _WIDTH_IN
    for label, style in entries:
        room_in = _WIDTH_IN - _LEFT_IN - _RIGHT_IN - 0.43
        shown = "".join(wrapped(label, room_in, TEXT_PT, 1))
        entry_in = 0.43 + text_width_in(shown, TEXT_PT)
        if x_in + entry_in > _WIDTH_IN - _RIGHT_IN:
            rows.append([])
            x_in = _LEFT_IN
        rows[-1].append((x_in, shown, style))
        x_in += entry_in + 0.25
    return rows

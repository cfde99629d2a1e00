"""The curves of a picture: one or more panels for each kind, and how their lines look.

Curves differ in line style and marker as well as in colour (Okabe and Ito's and three dark ones, which colour-blind
people tell apart), so that pictures survive a grey printer. Objects that are requested at one place at one time are
drawn side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tas_core.acoustics.hrtf import direction_vectors
from tas_core.conventions import LEFT_EAR, LEFT_SIGN, MAX_AZIMUTH_DEG, REFERENCE_M, RIGHT_EAR
from tas_core.reporting.plots.curves import (
    AzimuthCurve,
    Curve,
    DifferenceSpectrogram,
    EnvelopeCurve,
    PlacesCurve,
    PlotData,
    SplCurve,
)
from tas_core.reporting.plots.lettering import plain, wrapped
from tas_core.timeline.prompts import Clause
from tas_core.timeline.segments import Segment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TEXT_PT: Final = 9.0
QUIET_COLOR: Final = "#666666"

_COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#332288", "#5D3A00")
_SIDE_BY_SIDE_PT: Final = 2.8
_EQUAL_DEG: Final = 2.0
"""Places that are less apart would be drawn over each other."""
_DASHES: Final = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1.2, 1, 1.2, 1, 1.2)))
_OBJECT_COLORS: Final = _COLORS[1:]
_MARKERS: Final = "os^Dv*P"
_REFERENCE_COLOR: Final = "#000000"
_RANGE_DB: Final = 70.0
_RINGS_M: Final = (0.2, 0.5, 1.4, 5, 10, 20, 50, 100, 300, 1000, 3000, 10_000)
_MIDDLE_M: Final = 0.08
"""Distance that lies in the middle of a picture from above; the nearest that there is lies a little outside of it."""
_WIDE: Final = 0.5
_WRAP_DEG: Final = 90.0
_TICKS_KHZ: Final = (0, 0.5, 1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Style:
    """How a line looks, in matplotlib's terms; width in points."""

    color: str
    dashes: Any
    marker: str
    width: float = 1.4
    order: float = 3.0


ESTIMATE: Final = Style("#0072B2", "-", "o", 0.6)
REFERENCE_ESTIMATE: Final = Style("#000000", "-", "", 1.6, 2.5)


@dataclass(frozen=True)
class Panel:
    """A pair of axes before it is drawn: its height, the space above it, and the function that draws it.

    ``timed`` is whether it goes along the axis of time that all such panels share.
    """

    height_in: float
    gap_in: float
    paint: Callable[[Axes], None]
    timed: bool = True


class Panels:
    """The panels of a picture, above the lanes of prompts.

    Args:
        data: what to show.
        width_in: of the panels, inches.

    Attributes:
        styles: lines of curves, by label.
        objects: lines of requested azimuths, by the object's phrase.
        image: the coloured cells of a spectrogram, once painted.
    """

    def __init__(self, data: PlotData, width_in: float) -> None:
        self.data = data
        self.width_in = width_in
        self.styles = curve_styles(data.curves)
        self.objects = _object_styles(data.curves)

    def build(self) -> list[Panel]:
        """The panels of the kind of picture, from top to bottom."""
        return {
            "spl": self._spl_panels,
            "envelope": self._envelope_panels,
            "spectrogram": self._spectrogram_panels,
            "azimuth": self._azimuth_panels,
            "places": self._places_panels,
        }[self.data.kind]()

    def _spl_panels(self) -> list[Panel]:
        curves = [c for c in self.data.curves if isinstance(c, SplCurve)]
        values = np.concatenate([c.spl_difference_db for c in curves])
        finite = np.abs(values[np.isfinite(values)])
        limit = max(3.0, 1.1 * float(finite.max(initial=0.0)))
        endless = bool(np.isinf(values).any())
        if endless:
            limit = max(12.0, 1.2 * limit)

        def paint(ax: Axes) -> None:
            from matplotlib.ticker import MaxNLocator

            ax.axhline(0, color=QUIET_COLOR, linewidth=0.8, zorder=2)
            for i, curve in enumerate(curves):
                shown = np.clip(curve.spl_difference_db, -limit, limit)
                _line(ax, curve.time_s, shown, self.styles[curve.label], i, len(curves))
            ax.set_ylim(*(np.array([-limit, limit]) * (1.06 if endless else 1.0)))
            ax.set_ylabel("SPL difference L \N{MINUS SIGN} R (dB)")
            ticks = [t for t in MaxNLocator(10, steps=[1, 2, 3, 5, 10]).tick_values(-limit, limit) if abs(t) <= limit]
            if endless:
                ticks = [-limit, *[t for t in ticks if abs(t) < 0.9 * limit], limit]

            names = [f"{abs(t):g}" for t in ticks]
            if endless:
                names[0] = names[-1] = "\N{INFINITY}"
            ax.set_yticks(ticks, [_signed(name, t) for name, t in zip(names, ticks, strict=True)])
            _sides(ax)
            _grid(ax)

        return [Panel(3.1, 0.08, paint)]

    def _envelope_panels(self) -> list[Panel]:
        curves = [c for c in self.data.curves if isinstance(c, EnvelopeCurve)]
        highest = max(float(c.envelope.max()) for c in curves)

        def panel(ear: int, name: str) -> Panel:
            def paint(ax: Axes) -> None:
                for i, curve in enumerate(curves):
                    style = self.styles[curve.label]
                    style = replace(style, width=0.75 * style.width)
                    _line(ax, curve.time_s, curve.envelope[ear], style, i, len(curves))
                ax.set_ylim(0, 1.08 * highest if highest > 0 else 1.0)
                ax.set_ylabel(f"envelope, {name} ear")
                _grid(ax)

            return Panel(1.75, 0.1, paint)

        return [panel(LEFT_EAR, "left"), panel(RIGHT_EAR, "right")]

    def _spectrogram_panels(self) -> list[Panel]:
        curves = [c for c in self.data.curves if isinstance(c, DifferenceSpectrogram)]
        highest = max(float(c.level_db.max(initial=-200.0)) for c in curves)
        self.top_db = float(np.ceil(highest / 5) * 5) if highest > -200 else 0.0
        highest_hz = max(float(c.frequency_hz[-1]) for c in curves)

        def panel(curve: DifferenceSpectrogram) -> Panel:
            def paint(ax: Axes) -> None:
                self.image = ax.pcolormesh(
                    _edges(curve.time_s, self.data.start_s),
                    _edges(curve.frequency_hz, 0.0) / 1000,
                    np.maximum(curve.level_db, self.top_db - _RANGE_DB),
                    cmap="magma",
                    vmin=self.top_db - _RANGE_DB,
                    vmax=self.top_db,
                    rasterized=True,
                )
                ax.set_facecolor("#eeeeee")
                ax.set_yscale("function", functions=(_mel, _from_mel))
                ax.set_ylim(0, highest_hz / 1000)
                ticks = [khz for khz in _TICKS_KHZ if khz <= highest_hz / 1000]
                ax.set_yticks(ticks, [f"{khz:g}" for khz in ticks])
                ax.set_ylabel("kHz (mel scale)")
                self._panel_name(ax, curve.label)

            return Panel(1.55 if len(curves) < 5 else 1.15, 0.3, paint)

        return [panel(curve) for curve in curves]

    def _azimuth_panels(self) -> list[Panel]:
        """A panel for each sound: requested azimuths of each object, the estimate, and the reference in every panel."""
        curves = [c for c in self.data.curves if isinstance(c, AzimuthCurve)]
        references = [c for c in curves if c.is_reference]
        sounds = [c for c in curves if not c.is_reference] or curves
        named = len(sounds) > 1

        def panel(curve: AzimuthCurve) -> Panel:
            def paint(ax: Axes) -> None:
                from matplotlib.transforms import offset_copy

                ax.axhline(0, color=QUIET_COLOR, linewidth=0.8, zorder=1)
                for segment in curve.segments:
                    placed = [clause for clause in segment.clauses if clause.is_placed]
                    for clause, shift_pt in zip(placed, _shifts_pt(placed), strict=True):
                        style = self.objects[clause.object]
                        ax.plot(
                            *_requested_line(curve, segment, clause),
                            color=style.color,
                            linestyle=style.dashes,
                            linewidth=style.width,
                            solid_capstyle="butt",
                            zorder=style.order,
                            transform=offset_copy(ax.transData, ax.get_figure(root=True), y=shift_pt, units="points"),
                        )
                for estimate in (*references, curve):
                    style = REFERENCE_ESTIMATE if estimate.is_reference else ESTIMATE
                    _line(ax, estimate.time_s, estimate.azimuth_deg, style, 0, 1)
                    ax.plot(
                        *(estimate.time_s, estimate.azimuth_deg),
                        linestyle="",
                        marker=style.marker,
                        markersize=3.5,
                        color=style.color,
                        zorder=style.order,
                    )
                ax.set_ylim(-MAX_AZIMUTH_DEG - 6, MAX_AZIMUTH_DEG + 6)
                ticks = np.arange(-MAX_AZIMUTH_DEG, MAX_AZIMUTH_DEG + 1, 30).tolist()
                ax.set_yticks(ticks, [_signed(f"{abs(t):g}°", t) for t in ticks])
                around = any(segment.needs_sphere for each in curves for segment in each.segments)
                ax.set_ylabel("angle to the side" if around else "azimuth")
                _sides(ax)
                _grid(ax)
                if named:
                    self._panel_name(ax, curve.label)

            return Panel(2.6 if len(sounds) == 1 else 1.9, 0.3 if named else 0.08, paint)

        return [panel(curve) for curve in sounds]

    def _places_panels(self) -> list[Panel]:
        curves = [c for c in self.data.curves if isinstance(c, PlacesCurve) and c.places]
        return [panel for curve in curves for panel in self._place_panels(curve)]

    def _place_panels(self, curve: PlacesCurve) -> list[Panel]:
        """Places of a timeline from above, and their angles and distances over time."""
        named = len(self.data.curves) > 1
        far_m = max(float(np.nanmax(place.distance_m)) for place in curve.places)
        near_m = min(float(np.nanmin(place.distance_m)) for place in curve.places)
        segments = curve.segments

        def above(ax: Axes) -> None:
            paint_from_above(ax, curve, self.objects, far_m)
            if named:
                self._panel_name(ax, curve.label)

        def over_time(values: str, paint: Callable[[Axes], None]) -> Callable[[Axes], None]:
            def painted(ax: Axes) -> None:
                for place in curve.places:
                    style = self.objects[place.object]
                    for segment in segments:
                        inside = (curve.time_s >= segment.start_s - 1e-9) & (curve.time_s < (segment.end_s or 0) - 1e-9)
                        y = np.where(inside, getattr(place, values), np.nan)
                        if values != "distance_m":  # what is all around has no direction
                            y[place.spread >= _WIDE] = np.nan
                        if values == "azimuth_deg":  # no line from one side of behind to the other
                            y[1:][np.abs(np.diff(y)) > _WRAP_DEG] = np.nan
                        line = {"color": style.color, "linestyle": style.dashes, "linewidth": style.width}
                        ax.plot(curve.time_s, y, solid_capstyle="butt", zorder=style.order, **line)
                paint(ax)
                _grid(ax)

            return painted

        def azimuths(ax: Axes) -> None:
            ax.set_ylim(-190, 190)
            ax.set_yticks([-180, -90, 0, 90, 180], ["behind", "right", "front", "left", "behind"])

        def elevations(ax: Axes) -> None:
            ax.axhline(0, color=QUIET_COLOR, linewidth=0.8, zorder=1)
            ax.set_ylim(-96, 96)
            ax.set_yticks([-90, -45, 0, 45, 90], [_signed(f"{abs(t):g}°", t) for t in (-90, -45, 0, 45, 90)])
            ax.set_ylabel("elevation")

        def distances(ax: Axes) -> None:
            ax.set_yscale("log")
            ax.set_ylim(near_m / 1.6, far_m * 1.6)
            rings = [metres for metres in _RINGS_M if near_m / 1.6 <= metres <= far_m * 1.6]
            ax.set_yticks(rings, [f"{metres:g} m" for metres in rings])
            ax.minorticks_off()
            ax.set_ylabel("distance")

        panels = [
            Panel(3.6, 0.3 if named else 0.08, above, timed=False),
            Panel(1.5, 0.3, over_time("azimuth_deg", azimuths)),
            Panel(1.2, 0.1, over_time("elevation_deg", elevations)),
        ]
        if far_m != near_m:
            panels.append(Panel(1.1, 0.1, over_time("distance_m", distances)))
        return panels

    def _panel_name(self, ax: Axes, label: str) -> None:
        shown = "".join(wrapped(plain(label), self.width_in, TEXT_PT, 1))
        ax.set_title(shown, fontsize=TEXT_PT, loc="left", pad=3)


def curve_styles(curves: Sequence[Curve]) -> dict[str, Style]:
    """Lines by label: references are plain and black, the others each another colour, dash and marker."""
    styles = {}
    number = 0
    for curve in curves:
        if curve.is_reference:
            styles[curve.label] = Style(_REFERENCE_COLOR, "-", "", 2.0, 2.5)
        else:
            styles[curve.label] = Style(
                _COLORS[number % len(_COLORS)], _DASHES[number % len(_DASHES)], _MARKERS[number % len(_MARKERS)]
            )
            number += 1
    return styles


def _object_styles(curves: Sequence[Curve]) -> dict[str, Style]:
    """Lines of requested azimuths: eight colours that are not the estimate's, and dashes that change with each."""
    names = [
        *(k.object for c in curves if isinstance(c, AzimuthCurve) for segment in c.segments for k in segment.clauses),
        *(place.object for c in curves if isinstance(c, PlacesCurve) for place in c.places),
    ]
    styles = {}
    for i, name in enumerate(dict.fromkeys(names)):
        # One more dash after each round of colours, so that no two of them are alike in both.
        dashes = _DASHES[(i + i // len(_OBJECT_COLORS)) % len(_DASHES)]
        styles[name] = Style(_OBJECT_COLORS[i % len(_OBJECT_COLORS)], dashes, "", 2.4, 2.0 + 0.01 * i)
    return styles


def paint_from_above(ax: Axes, curve: PlacesCurve, styles: Mapping[str, Style], far_m: float) -> None:
    """Places as a listener has them who is seen from above, on circles of distances on a logarithmic scale.

    What is above or below is nearer to the middle, as it is over or under that. A ring of dots is a sound all around.
    """
    reach = lambda distance_m: np.log(distance_m / _MIDDLE_M) / np.log(max(far_m, REFERENCE_M) / _MIDDLE_M)  # noqa: E731
    turn = np.linspace(0, 2 * np.pi, 181)
    for metres in (each for each in _RINGS_M if each <= max(far_m, REFERENCE_M) * 1.001):
        radius = float(reach(metres))
        ax.plot(radius * np.sin(turn), radius * np.cos(turn), color="#d9d9d9", linewidth=0.7, zorder=1)
        ax.text(radius * 0.71, -radius * 0.71, f" {metres:g} m", fontsize=TEXT_PT - 2, color=QUIET_COLOR, va="top")
    for x, y, word in ((0, 1.1, "front"), (0, -1.1, "behind"), (-1.1, 0, "left"), (1.1, 0, "right")):
        horizontal = {"left": "right", "right": "left"}.get(word, "center")
        ax.text(x, y, word, fontsize=TEXT_PT, ha=horizontal, va={1.1: "bottom", -1.1: "top"}.get(y, "center"))
    ax.plot(0.05 * np.sin(turn), 0.05 * np.cos(turn), color=QUIET_COLOR, linewidth=1.2, zorder=2)
    ax.plot([-0.018, 0, 0.018], [0.05, 0.085, 0.05], color=QUIET_COLOR, linewidth=1.2, zorder=2)
    for place in curve.places:
        style = styles[place.object]
        vectors = direction_vectors(place.azimuth_deg, place.elevation_deg) * reach(place.distance_m)[:, None]
        # Positive y of the listener is left, which lies at negative x of the picture.
        x, y = -LEFT_SIGN * vectors[:, 1], vectors[:, 0]
        wide = place.spread >= _WIDE
        for segment in curve.segments:
            there = (curve.time_s >= segment.start_s - 1e-9) & (curve.time_s < (segment.end_s or 0) - 1e-9)
            there &= ~np.isnan(x)
            if not there.any():
                continue
            if wide[there].all():
                radius = float(reach(place.distance_m[there][0]))
                ring: dict[str, Any] = {"linestyle": (0, (0.1, 3)), "linewidth": 3.0, "dash_capstyle": "round"}
                ax.plot(radius * np.sin(turn), radius * np.cos(turn), color=style.color, zorder=style.order, **ring)
                continue
            ax.plot(x[there], y[there], color=style.color, linestyle=style.dashes, linewidth=1.8, zorder=style.order)
            ax.plot(x[there][0], y[there][0], "o", color=style.color, markersize=6.5, zorder=style.order + 1)
            if np.hypot(x[there] - x[there][0], y[there] - y[there][0]).max() > 0.02:
                ends = np.flatnonzero(there)[[-2, -1]] if there.sum() > 1 else np.flatnonzero(there)[[0, 0]]
                arrow = {"arrowstyle": "-|>", "color": style.color, "mutation_scale": 14, "shrinkA": 0, "shrinkB": 0}
                ax.annotate("", (x[ends[1]], y[ends[1]]), (x[ends[0]], y[ends[0]]), arrowprops=arrow, zorder=5)
    ax.set_aspect("equal")
    ax.set_xlim(-1.25, 1.25)
    ax.set_ylim(-1.25, 1.25)
    ax.set_axis_off()


def _requested_line(curve: AzimuthCurve, segment: Segment, clause: Clause) -> tuple[Any, Any]:
    """Times and angles of a requested place in a segment: straight from end to end, or as a way all around goes."""
    if clause.sphere is None or not clause.sphere.is_moving:
        return closed_span(segment), [clause.azimuth.start_deg, clause.azimuth.end_deg]
    start_s, end_s = closed_span(segment)
    inside = (curve.time_s >= start_s) & (curve.time_s < end_s)
    for track in curve.requested:
        if track.object == clause.object:
            return curve.time_s[inside], track.azimuth_deg[inside]
    return [], []


def _shifts_pt(clauses: Sequence[Clause]) -> list[float]:
    """How far up each line of a segment is moved, points, so that lines of equal places lie side by side."""
    groups: list[list[int]] = []
    for number, clause in enumerate(clauses):
        path = clause.azimuth
        for group in groups:
            first = clauses[group[0]].azimuth
            if max(abs(path.start_deg - first.start_deg), abs(path.end_deg - first.end_deg)) < _EQUAL_DEG:
                group.append(number)
                break
        else:
            groups.append([number])
    shifts = [0.0] * len(clauses)
    for group in groups:
        for place, number in enumerate(group):
            shifts[number] = ((len(group) - 1) / 2 - place) * _SIDE_BY_SIDE_PT
    return shifts


def _line(ax: Axes, time_s: np.ndarray, values: np.ndarray, style: Style, number: int, count: int) -> None:
    """A curve with gaps at nan; markers are sparse, and those of several curves take turns."""
    step = max(1, len(time_s) // 12)
    marked = (number * step // count, step) if count > 1 else []
    ax.plot(
        time_s,
        values,
        color=style.color,
        linestyle=style.dashes,
        linewidth=style.width,
        marker=style.marker,
        markersize=4.5,
        markevery=marked,
        markeredgewidth=0,
        zorder=style.order,
    )
    # A single window between two gaps has no line.
    there = np.concatenate([[False], np.isfinite(values), [False]])
    alone = there[1:-1] & ~there[:-2] & ~there[2:]
    if alone.any():
        ax.plot(time_s[alone], values[alone], linestyle="", marker=".", markersize=4, color=style.color, zorder=3)


def _sides(ax: Axes) -> None:
    """The words left and right beside the axis, each at its half."""
    for y, word in ((0.75, "left \N{BLACK RIGHT-POINTING TRIANGLE}"), (0.25, "\N{BLACK LEFT-POINTING TRIANGLE} right")):
        ax.text(1.012, y, word, transform=ax.transAxes, rotation=90, ha="left", va="center", fontsize=TEXT_PT)


def _grid(ax: Axes) -> None:
    ax.grid(True, color="#d9d9d9", linewidth=0.5)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def closed_span(segment: Segment) -> tuple[float, float]:
    """Start and end of a segment whose end is closed, seconds."""
    assert segment.end_s is not None
    return segment.start_s, segment.end_s


def _signed(text: str, value: float) -> str:
    return text if value == 0 else ("+" if value > 0 else "\N{MINUS SIGN}") + text


def _mel(khz: np.ndarray) -> np.ndarray:
    """The mel scale (O'Shaughnessy, 1987) of frequencies in kHz: linear at the bottom, logarithmic at the top."""
    return 2595 * np.log10(1 + np.asarray(khz) / 0.7)


def _from_mel(mel: np.ndarray) -> np.ndarray:
    return 0.7 * (10 ** (np.asarray(mel) / 2595) - 1)


def _edges(centres: np.ndarray, lowest: float) -> np.ndarray:
    """Borders (n + 1) of cells around increasing centres (n), none below ``lowest``."""
    if len(centres) == 1:
        return np.array([max(lowest, centres[0] - 0.01), centres[0] + 0.01])
    between = (centres[1:] + centres[:-1]) / 2
    ends = (centres[0] - (between[0] - centres[0]), centres[-1] + (centres[-1] - between[-1]))
    return np.maximum(np.concatenate([[ends[0]], between, [ends[1]]]), lowest)

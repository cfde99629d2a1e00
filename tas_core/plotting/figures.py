"""Pictures of curves, with matplotlib, which is imported only when something is drawn.

The same data give the same bytes: no dates, fixed identifiers in SVG, and no settings of the user. Curves differ in
line style and marker as well as in colour (Okabe and Ito's, which colour-blind people tell apart), so that
pictures survive a grey printer. Text is drawn as it is, never as a formula, and stays text in SVG and PDF.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tas_core.errors import InputError
from tas_core.plotting.curves import (
    AzimuthCurve,
    Curve,
    DifferenceSpectrogram,
    EnvelopeCurve,
    Lane,
    PlotData,
    SplCurve,
)
from tas_core.plotting.lettering import plain, text_width_in, wrapped
from tas_core.timeline import Segment
from tas_core.types import LEFT_EAR, MAX_AZIMUTH_DEG, RIGHT_EAR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS: Final = ("png", "svg", "pdf")

_WIDTH_IN: Final = 9.0
_LEFT_IN: Final = 1.1
_RIGHT_IN: Final = 0.4
_DPI: Final = 150
_TEXT_PT: Final = 9.0
_LANE_PT: Final = 7.5
_LANE_LINE_IN: Final = 0.135
_LANE_LINES: Final = 4
_KEY_LINE_IN: Final = 0.2

_COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES: Final = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1.2, 1, 1.2, 1, 1.2)))
_MARKERS: Final = "os^Dv*P"
_REFERENCE_COLOR: Final = "#000000"
_QUIET_COLOR: Final = "#666666"
_RANGE_DB: Final = 70.0
_TICKS_KHZ: Final = (0, 0.5, 1, 2, 4, 8, 16, 32, 64)

# Fonts for scripts that matplotlib's own has no letters for, the first ones installed win.
_FALLBACK_FONTS: Final = (
    *("Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "PingFang SC"),
    *("Hiragino Sans", "Microsoft YaHei", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback"),
    *("Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Emoji"),
    *("Arial Unicode MS", "Unifont"),
)

_NAMES: Final = {
    "spl": "SPL difference between the ears",
    "envelope": "Envelopes of both ears",
    "spectrogram": "Spectrogram of left minus right",
    "azimuth": "Estimated azimuth",
}
_NOTES: Final = {
    "spl": "levels over {}",
    "envelope": "Hilbert magnitude, mean over a Hann window of {}",
    "spectrogram": "Hann window of {}; 0 dB is a sine of amplitude 1",
    "azimuth": "estimated in windows of {}",
}


def draw(data: PlotData, format: str = "png", title: str = "") -> bytes:
    """A picture in memory.

    Args:
        data: what to show.
        format: one of :data:`FORMATS`.
        title: above the picture.

    Returns:
        The file, the same for the same arguments.

    Warns:
        UserWarning: no installed font has a character (PNG and PDF; SVG leaves fonts to the viewer).

    Raises:
        InputError: unknown format.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r}; expected one of {', '.join(FORMATS)}")
    with _settings(), _missing_glyphs(format) as missing:
        figure = _Page(data, plain(title)).figure()
        buffer = io.BytesIO()
        figure.savefig(buffer, format=format, dpi=_DPI, metadata=_metadata(data, format, title))
    if missing:
        shown = " ".join(sorted(missing))
        warnings.warn(f"no installed font has the characters {shown}; the picture shows boxes instead", stacklevel=2)
    return buffer.getvalue()


# ---------------------------------------------------------------------------- the page


@dataclass(frozen=True)
class _Style:
    color: str
    dashes: Any
    marker: str
    width: float = 1.4
    order: float = 3.0


_HEARD: Final = _Style("#0072B2", "-", "o", 0.6)
_REFERENCE_HEARD: Final = _Style("#000000", "-", "", 1.6, 2.5)


@dataclass(frozen=True)
class _Panel:
    height_in: float
    gap_in: float
    paint: Callable[[Axes], None]


class _Page:
    """Everything from top to bottom: title, key, panels, lanes, time axis; sizes in inches."""

    def __init__(self, data: PlotData, title: str) -> None:
        self.data = data
        self.title = title
        self.styles = _styles(data.curves)
        self.objects = _object_styles(data.curves)
        self.keyed = len(data.curves) > 1 and data.kind in ("spl", "envelope")
        self.key = _key_rows(self._key_entries())
        self.lane_in = _WIDTH_IN - _LEFT_IN - _RIGHT_IN - (0.55 if data.kind == "spectrogram" else 0)
        self.right_in = _WIDTH_IN - _LEFT_IN - self.lane_in
        self.names = {c.label for c in data.curves if not c.is_reference}

    def figure(self) -> Figure:
        from matplotlib.figure import Figure

        panels = {
            "spl": self._spl_panels,
            "envelope": self._envelope_panels,
            "spectrogram": self._spectrogram_panels,
            "azimuth": self._azimuth_panels,
        }[self.data.kind]()
        lanes = [self._lane(lane) for lane in self.data.lanes]
        rows = [*panels, *lanes]
        top_in = 0.12 + (0.3 if self.title else 0) + len(self.key) * _KEY_LINE_IN + (0.06 if self.key else 0)
        height_in = top_in + sum(row.gap_in + row.height_in for row in rows) + 0.55
        figure = Figure(figsize=(_WIDTH_IN, height_in))
        at_in = 0.12
        if self.title:
            shown = wrapped(self.title, _WIDTH_IN - _LEFT_IN - 0.2, _TEXT_PT + 2, 1)
            figure.text(
                _LEFT_IN / _WIDTH_IN, 1 - at_in / height_in, "".join(shown), fontsize=_TEXT_PT + 2, va="top", ha="left"
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
            ax = figure.add_axes(box, sharex=shared)
            shared = shared or ax
            row.paint(ax)
            axes.append(ax)
            at_in += row.height_in
        for ax in axes:
            ax.tick_params(labelbottom=ax is axes[-1])
        axes[0].set_xlim(0, self.data.duration_s)
        axes[-1].set_xlabel("time (s)")
        note = _NOTES[self.data.kind].format(f"{1000 * self.data.window_s:g} ms")
        figure.text(
            1 - self.right_in / _WIDTH_IN, 0.1 / height_in, note, fontsize=_LANE_PT, ha="right", color=_QUIET_COLOR
        )
        if self.data.kind == "spectrogram":
            self._colour_bar(figure, axes[: len(panels)])
        return figure

    # ------------------------------------------------------------------ kinds

    def _spl_panels(self) -> list[_Panel]:
        curves = [c for c in self.data.curves if isinstance(c, SplCurve)]
        values = np.concatenate([c.spl_difference_db for c in curves])
        finite = np.abs(values[np.isfinite(values)])
        limit = max(3.0, 1.1 * float(finite.max(initial=0.0)))
        endless = bool(np.isinf(values).any())
        if endless:
            limit = max(12.0, 1.2 * limit)

        def paint(ax: Axes) -> None:
            from matplotlib.ticker import MaxNLocator

            ax.axhline(0, color=_QUIET_COLOR, linewidth=0.8, zorder=2)
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

        return [_Panel(3.1, 0.08, paint)]

    def _envelope_panels(self) -> list[_Panel]:
        curves = [c for c in self.data.curves if isinstance(c, EnvelopeCurve)]
        highest = max(float(c.envelope.max()) for c in curves)

        def panel(ear: int, name: str) -> _Panel:
            def paint(ax: Axes) -> None:
                for i, curve in enumerate(curves):
                    style = self.styles[curve.label]
                    style = replace(style, width=0.75 * style.width)
                    _line(ax, curve.time_s, curve.envelope[ear], style, i, len(curves))
                ax.set_ylim(0, 1.08 * highest if highest > 0 else 1.0)
                ax.set_ylabel(f"envelope, {name} ear")
                _grid(ax)

            return _Panel(1.75, 0.1, paint)

        return [panel(LEFT_EAR, "left"), panel(RIGHT_EAR, "right")]

    def _spectrogram_panels(self) -> list[_Panel]:
        curves = [c for c in self.data.curves if isinstance(c, DifferenceSpectrogram)]
        highest = max(float(c.level_db.max(initial=-200.0)) for c in curves)
        self.top_db = float(np.ceil(highest / 5) * 5) if highest > -200 else 0.0
        highest_hz = max(float(c.frequency_hz[-1]) for c in curves)

        def panel(curve: DifferenceSpectrogram) -> _Panel:
            def paint(ax: Axes) -> None:
                self.image = ax.pcolormesh(
                    _edges(curve.time_s, 0.0),
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

            return _Panel(1.55 if len(curves) < 5 else 1.15, 0.3, paint)

        return [panel(curve) for curve in curves]

    def _azimuth_panels(self) -> list[_Panel]:
        """A panel for each sound: what was asked of each object, what was heard, and the reference in every panel."""
        curves = [c for c in self.data.curves if isinstance(c, AzimuthCurve)]
        references = [c for c in curves if c.is_reference]
        sounds = [c for c in curves if not c.is_reference] or curves
        named = len(sounds) > 1

        def panel(curve: AzimuthCurve) -> _Panel:
            def paint(ax: Axes) -> None:
                ax.axhline(0, color=_QUIET_COLOR, linewidth=0.8, zorder=1)
                for segment in curve.segments:
                    for clause in segment.clauses:
                        style, path = self.objects[clause.object], clause.azimuth
                        ax.plot(
                            _span(segment),
                            [path.start_deg, path.end_deg],
                            color=style.color,
                            linestyle=style.dashes,
                            linewidth=style.width,
                            solid_capstyle="butt",
                            zorder=style.order,
                        )
                for heard in (*references, curve):
                    style = _REFERENCE_HEARD if heard.is_reference else _HEARD
                    _line(ax, heard.time_s, heard.azimuth_deg, style, 0, 1)
                    ax.plot(
                        *(heard.time_s, heard.azimuth_deg),
                        linestyle="",
                        marker=style.marker,
                        markersize=3.5,
                        color=style.color,
                        zorder=style.order,
                    )
                ax.set_ylim(-MAX_AZIMUTH_DEG - 6, MAX_AZIMUTH_DEG + 6)
                ticks = np.arange(-MAX_AZIMUTH_DEG, MAX_AZIMUTH_DEG + 1, 30).tolist()
                ax.set_yticks(ticks, [_signed(f"{abs(t):g}°", t) for t in ticks])
                ax.set_ylabel("azimuth")
                _sides(ax)
                _grid(ax)
                if named:
                    self._panel_name(ax, curve.label)

            return _Panel(2.6 if len(sounds) == 1 else 1.9, 0.3 if named else 0.08, paint)

        return [panel(curve) for curve in sounds]

    def _panel_name(self, ax: Axes, label: str) -> None:
        shown = "".join(wrapped(plain(label), self.lane_in, _TEXT_PT, 1))
        ax.set_title(shown, fontsize=_TEXT_PT, loc="left", pad=3)

    def _key_entries(self) -> list[tuple[str, _Style]]:
        if self.keyed:
            return [(plain(curve.label), self.styles[curve.label]) for curve in self.data.curves]
        if self.data.kind != "azimuth":
            return []
        references = [(plain(c.label), _REFERENCE_HEARD) for c in self.data.curves if c.is_reference]
        if not references and not self.objects:
            return []
        asked = [(f"asked: {plain(name)}", style) for name, style in self.objects.items()]
        return [("estimate", _HEARD), *references, *asked]

    # ------------------------------------------------------------------ parts

    def _lane(self, lane: Lane) -> _Panel:
        def lines(segment: Segment, most: int) -> list[str]:
            start_s, end_s = _span(segment)
            room_in = (end_s - start_s) / self.data.duration_s * self.lane_in - 0.08
            return wrapped(plain(segment.text), room_in, _LANE_PT, most)

        texts = [lines(segment, _LANE_LINES) for segment in lane.segments]
        height_in = 0.13 + _LANE_LINE_IN * max(1, *map(len, texts))

        def paint(ax: Axes) -> None:
            from matplotlib.patches import Rectangle

            ax.set_ylim(0, 1)
            for i, (segment, text) in enumerate(zip(lane.segments, texts, strict=True)):
                start_s, end_s = _span(segment)
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

        return _Panel(height_in, 0.1, paint)

    def _lane_name(self, ax: Axes, lane: Lane) -> None:
        from matplotlib.lines import Line2D

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
            style = self.styles[whose[0]]
            line = Line2D(
                [-0.32 * points, -0.18 * points, -0.04 * points],
                [0.5] * 3,
                transform=ax.transAxes,
                clip_on=False,
                color=style.color,
                linestyle=style.dashes,
                linewidth=style.width,
                marker=style.marker,
                markersize=4,
                markevery=[1],
            )
            ax.add_line(line)

    def _draw_key(self, figure: Figure, at_in: float, height_in: float) -> None:
        from matplotlib.lines import Line2D

        for row in self.key:
            y = 1 - (at_in + _KEY_LINE_IN / 2) / height_in
            for x_in, shown, style in row:
                figure.add_artist(
                    Line2D(
                        [x_in / _WIDTH_IN, (x_in + 0.18) / _WIDTH_IN, (x_in + 0.36) / _WIDTH_IN],
                        [y] * 3,
                        color=style.color,
                        linestyle=style.dashes,
                        linewidth=style.width,
                        marker=style.marker,
                        markersize=4,
                        markevery=[1],
                    )
                )
                figure.text((x_in + 0.43) / _WIDTH_IN, y, shown, fontsize=_TEXT_PT, ha="left", va="center_baseline")
            at_in += _KEY_LINE_IN

    def _colour_bar(self, figure: Figure, axes: Sequence[Axes]) -> None:
        top, bottom = axes[0].get_position().y1, axes[-1].get_position().y0
        box = (1 - (self.right_in - 0.15) / _WIDTH_IN, bottom, 0.14 / _WIDTH_IN, top - bottom)
        bar = figure.colorbar(self.image, cax=figure.add_axes(box))
        bar.set_label("level of L \N{MINUS SIGN} R (dB)")


# ---------------------------------------------------------------------------- parts of panels


def _styles(curves: Sequence[Curve]) -> dict[str, _Style]:
    styles = {}
    number = 0
    for curve in curves:
        if curve.is_reference:
            styles[curve.label] = _Style(_REFERENCE_COLOR, "-", "", 2.0, 2.5)
        else:
            styles[curve.label] = _Style(
                _COLORS[number % len(_COLORS)], _DASHES[number % len(_DASHES)], _MARKERS[number % len(_MARKERS)]
            )
            number += 1
    return styles


def _object_styles(curves: Sequence[Curve]) -> dict[str, _Style]:
    """Lines of what was asked; later objects are narrower, so that objects at one place show side by side."""
    clauses = [
        clause for c in curves if isinstance(c, AzimuthCurve) for segment in c.segments for clause in segment.clauses
    ]
    styles = {}
    for i, name in enumerate(dict.fromkeys(clause.object for clause in clauses)):
        color = _COLORS[(i + 1) % len(_COLORS)]
        styles[name] = _Style(color, _DASHES[i % len(_DASHES)], "", max(1.5, 4.2 - 1.2 * i), 2.0 + 0.01 * i)
    return styles


def _line(ax: Axes, time_s: np.ndarray, values: np.ndarray, style: _Style, number: int, count: int) -> None:
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
        ax.text(1.012, y, word, transform=ax.transAxes, rotation=90, ha="left", va="center", fontsize=_TEXT_PT)


def _grid(ax: Axes) -> None:
    ax.grid(True, color="#d9d9d9", linewidth=0.5)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _span(segment: Segment) -> tuple[float, float]:
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


def _key_rows(entries: Sequence[tuple[str, _Style]]) -> list[list[tuple[float, str, _Style]]]:
    """Where the entries of the key go: rows of (left end in inches, text, style)."""
    rows: list[list[tuple[float, str, _Style]]] = []
    x_in = _WIDTH_IN
    for label, style in entries:
        room_in = _WIDTH_IN - _LEFT_IN - _RIGHT_IN - 0.43
        shown = "".join(wrapped(label, room_in, _TEXT_PT, 1))
        entry_in = 0.43 + text_width_in(shown, _TEXT_PT)
        if x_in + entry_in > _WIDTH_IN - _RIGHT_IN:
            rows.append([])
            x_in = _LEFT_IN
        rows[-1].append((x_in, shown, style))
        x_in += entry_in + 0.25
    return rows


# ---------------------------------------------------------------------------- matplotlib's surroundings


@contextmanager
def _settings() -> Iterator[None]:
    """Matplotlib's own defaults and ours, whatever the user or the program has set; restored afterwards."""
    import matplotlib
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "font.family": ["DejaVu Sans", *(f for f in _FALLBACK_FONTS if f in installed)],
                "font.size": _TEXT_PT,
                "text.parse_math": False,
                "svg.fonttype": "none",
                "svg.hashsalt": "tas",
                "pdf.fonttype": 42,
                "axes.formatter.use_mathtext": False,
            }
        )
        yield


@contextmanager
def _missing_glyphs(format: str) -> Iterator[set[str]]:
    """Collects the characters that no font has, instead of one warning for each place; empty for SVG."""
    missing: set[str] = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield missing
    for warning in caught:
        words = str(warning.message).split()
        if words[:1] == ["Glyph"] and words[1].isdigit():
            if format != "svg":
                missing.add(chr(int(words[1])))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _metadata(data: PlotData, format: str, title: str) -> dict[str, Any]:
    """Title and description for those who do not see the picture, and no dates."""
    names = ", ".join(plain(curve.label) for curve in data.curves)
    prompts = "; ".join(plain(segment.text) for lane in data.lanes for segment in lane.segments)
    described = f"{_NAMES[data.kind]}: {names}" + (f". Prompts: {prompts}" if prompts else "")
    shown = plain(title) or _NAMES[data.kind]
    if format == "pdf":
        return {"Title": shown, "Subject": described, "CreationDate": None}
    if format == "svg":
        return {"Title": shown, "Description": described, "Date": None}
    return {"Title": shown, "Description": described}

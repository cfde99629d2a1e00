"""Pictures of curves, with matplotlib, which is imported only when something is drawn.

The same data give the same bytes: no dates, fixed identifiers in SVG, and no settings of the user. Text is
drawn as it is, never as a formula, and stays text in SVG and PDF.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tas_core.reporting.plots.curves import PlotData
from tas_core.reporting.plots.lettering import plain
from tas_core.reporting.plots.page import Page
from tas_core.reporting.plots.panels import TEXT_PT
from tas_core.reporting.plots.pictures import STYLE, check_format, picture_bytes

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
    "places": "Requested places",
}


def draw(data: PlotData, format: str = "png", title: str = "") -> bytes:
    """A picture in memory.

    Args:
        data: what to show.
        format: one of :data:`tas_core.reporting.plots.pictures.FORMATS`.
        title: above the picture.

    Returns:
        The file, the same for the same arguments.

    Warns:
        UserWarning: no installed font has a character (PNG and PDF; SVG leaves fonts to the viewer).

    Raises:
        InputError: unknown format.
    """
    check_format(format)
    with _settings(), _missing_glyphs(format) as missing:
        picture = picture_bytes(Page(data, plain(title)).figure(), format, _metadata(data, format, title))
    if missing:
        shown = " ".join(sorted(missing))
        warnings.warn(f"no installed font has the characters {shown}; the picture shows boxes instead", stacklevel=2)
    return picture


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
                "font.size": TEXT_PT,
                **STYLE,
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


def _metadata(data: PlotData, format: str, title: str) -> dict[str, str]:
    """Title and description for those who do not see the picture."""
    names = ", ".join(plain(curve.label) for curve in data.curves)
    prompts = "; ".join(plain(segment.text) for lane in data.lanes for segment in lane.segments)
    described = f"{_NAMES[data.kind]}: {names}" + (f". Prompts: {prompts}" if prompts else "")
    shown = plain(title) or _NAMES[data.kind]
    return {"Title": shown, "Subject" if format == "pdf" else "Description": described}

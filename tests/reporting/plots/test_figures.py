"""Pictures: what their files hold, and that they are whole and repeatable."""

from __future__ import annotations

import io
import sys
import warnings
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from tas_core.errors import InputError
from tas_core.reporting.plots.curves import (
    KINDS,
    PlotData,
    Source,
    plot_data,
)
from tas_core.reporting.plots.figures import draw
from tas_core.reporting.plots.lettering import wrapped
from tas_core.reporting.plots.page import Page
from tas_core.reporting.plots.panels import ESTIMATE, Panels
from tas_core.reporting.plots.pictures import FORMATS
from tas_core.timeline.segments import Segment, Timeline
from tests.reporting.plots.conftest import RATE, duet, svg_texts, two_prompts


def test_unknown_kinds_and_formats_are_refused() -> None:
    with pytest.raises(InputError, match="unknown kind of picture 'pie'; expected one of spl, envelope, spectrogram"):
        plot_data("pie", [duet()])
    with pytest.raises(InputError, match="unknown format 'gif'; expected one of png, svg, pdf"):
        draw(plot_data("spl", [duet()]), "gif")


@pytest.mark.parametrize("format", FORMATS)
def test_every_kind_in_every_format_is_whole_and_repeatable(data: PlotData, format: str) -> None:
    first = draw(data, format, title="A title")
    assert draw(data, format, title="A title") == first
    if format == "png":
        with Image.open(io.BytesIO(first)) as image:
            image.load()
            assert image.format == "PNG"
            assert image.size[0] == 1350
            assert 300 < image.size[1] < 1500
            assert image.info["Title"] == "A title"
            assert "cello moves" in image.info["Description"]
            assert len(image.convert("RGB").getcolors(2**24) or []) > 10
    elif format == "svg":
        texts = svg_texts(first)
        assert {"A title", "time (s)", "cello on the left"} <= set(texts)
        assert b"<dc:date>" not in first
    else:
        assert first.startswith(b"%PDF-1.")
        assert first.rstrip().endswith(b"%%EOF")
        assert b"CreationDate" not in first


def test_signs_of_formulas_and_of_xml_are_shown_as_they_are() -> None:
    odd = r"$x_1^2$ & <b>_a_\frac"
    timeline = Timeline.from_prompt('"costs $5 & <more> than $4" on the left')
    source = duet("_under $y$", timeline)
    picture = draw(plot_data("spl", [source, duet(odd)]), "svg", title=odd)
    texts = svg_texts(picture)
    assert texts.count(odd) == 2
    assert "_under $y$" in texts
    assert '"costs $5 & <more> than $4" on the left' in texts
    for format in ("png", "pdf"):
        assert draw(plot_data("spl", [source]), format, title=odd)


def test_unreadable_characters_do_not_break_the_file() -> None:
    source = duet("bell\x07 and half\ud800 of a pair\nsecond line")
    texts = svg_texts(draw(plot_data("spl", [source, duet("b")]), "svg", title="\x1b[1m\ufffe"))
    assert "bell\ufffd and half\ufffd of a pair second line" in texts
    assert "\ufffd[1m\ufffd" in texts


def test_letters_that_no_font_has_are_told_once_and_stay_in_svg(monkeypatch: pytest.MonkeyPatch) -> None:
    from tas_core.reporting.plots import figures

    monkeypatch.setattr(figures, "_FALLBACK_FONTS", ())
    timeline = Timeline.from_prompt('"大提琴 и čело" on the left')
    data = plot_data("spl", [duet("a", timeline)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        png = draw(data, "png")
        svg = draw(data, "svg")
    assert [str(w.message) for w in caught] == [
        "no installed font has the characters 大 提 琴; the picture shows boxes instead"
    ]
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert '"大提琴 и čело" on the left' in svg_texts(svg)


def test_long_prompts_are_wrapped_then_shortened_and_kept_in_the_description() -> None:
    def lines_of(timeline: Timeline) -> list[str]:
        picture = draw(plot_data("spl", [duet("a", timeline)]), "svg")
        text = timeline.segments[0].text
        assert text in "".join(ElementTree.fromstring(picture).itertext())
        return [t for t in svg_texts(picture) if len(t) > 4 and t.rstrip("\N{HORIZONTAL ELLIPSIS}") in text]

    wide = Timeline.from_prompt(", ".join(f"instrument number {i} on the left" for i in range(8)))
    lines = lines_of(wide)
    assert len(lines) > 1
    assert " ".join(lines) == wide.segments[0].text
    words = ", ".join(f"instrument number {i} on the left" for i in range(40))
    narrow = Timeline((Segment.from_prompt(0, 0.3, words), Segment.from_prompt(0.3, 0.301, words)))
    lines = lines_of(narrow)
    assert 1 < len(lines) <= 4
    assert lines[-1].endswith("\N{HORIZONTAL ELLIPSIS}")
    assert words.startswith(" ".join(lines).rstrip("\N{HORIZONTAL ELLIPSIS}"))


def test_many_curves_differ_without_colour() -> None:
    from tas_core.reporting.plots.panels import curve_styles

    sources = [duet(f"take {i}", seconds=0.5) for i in range(8)]
    data = plot_data("spl", sources)
    styles = curve_styles(data.curves).values()
    assert len({(str(s.dashes), s.marker) for s in styles}) == 8
    texts = svg_texts(draw(data, "svg"))
    assert {f"take {i}" for i in range(8)} <= set(texts)


def test_settings_of_the_program_neither_matter_nor_change() -> None:
    import matplotlib

    data = plot_data("spl", [duet("a", two_prompts())])
    before = draw(data, "svg")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.parse_math": True}):
        assert draw(data, "svg") == before
        assert matplotlib.rcParams["axes.facecolor"] == "red"
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [1, 50, 1700])
def test_very_short_and_silent_sounds_have_pictures(kind: str, samples: int) -> None:
    for level in (0.0, 0.5):
        source = Source("short", np.full((2, samples), level), RATE, Timeline.from_prompt("cello left"))
        assert draw(plot_data(kind, [source]), "png").startswith(b"\x89PNG")


def pixels(text: str) -> np.ndarray:
    """A line of text as it is drawn, cut out: (row, column), 0 to 255."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 0.5))
    figure.text(0.05, 0.3, text, fontsize=14)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    ink = 255 - np.asarray(canvas.buffer_rgba())[..., 0]
    rows, columns = np.nonzero(ink.any(axis=1))[0], np.nonzero(ink.any(axis=0))[0]
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\u05e9\u05dc\u05d5\u05dd", "\u05dd\u05d5\u05dc\u05e9"),  # Hebrew, from right to left
        ("\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "\u05dd\u05dc\u05d5\u05e2 \u05dd\u05d5\u05dc\u05e9"),
        ("\u05e9\u05dc\u05d5\u05dd 45 degrees left", "\u05dd\u05d5\u05dc\u05e9 45 degrees left"),
        ("dog left, \u05e9\u05dc\u05d5\u05dd 45 degrees", "dog left, \u05dd\u05d5\u05dc\u05e9 45 degrees"),
    ],
)
def test_hebrew_stands_as_it_is_read(text: str, seen: str) -> None:
    """Each letter of ``seen`` is drawn from left to right, by an override."""
    (line,) = wrapped(text, 9.0, 14, 1)
    np.testing.assert_array_equal(pixels(line), pixels(f"\u202d{seen}\u202c"))


def test_arabic_letters_are_joined() -> None:
    word = "\u0643\u0645\u0627\u0646"
    alone = "\u200c".join(word)  # kept from joining
    assert pixels(word).shape[1] < 0.95 * pixels(alone).shape[1]
    # Presentation forms, from left to right: nun by itself (nothing joins alef), final alef, medial meem, initial kaf.
    np.testing.assert_array_equal(pixels(word), pixels("\u202d\ufee5\ufe8e\ufee4\ufedb\u202c"))


def lines_at_one_place(count: int) -> PlotData:
    names = ", ".join(f"thing{chr(97 + i)} on the left" for i in range(count))
    return plot_data("azimuth", [Source("a", np.zeros((2, 1600)), 16_000, Timeline.from_prompt(names))])


def test_objects_at_one_place_are_all_seen() -> None:
    data = lines_at_one_place(8)
    styles = Panels(data, 7.5).objects.values()
    assert len({style.color for style in styles}) == 8
    assert ESTIMATE.color not in {style.color for style in styles}
    with Image.open(io.BytesIO(draw(data))) as image:
        picture = np.asarray(image.convert("RGB")) / 255
    box = Page(data, "").figure().axes[0].get_position()
    height, width = picture.shape[:2]
    panel = picture[int((1 - box.y1) * height) : int((1 - box.y0) * height), int(box.x0 * width) : int(box.x1 * width)]
    rows = []
    for style in styles:
        like = np.abs(panel - np.array(to_rgb(style.color))).max(axis=-1) < 0.02
        assert like.any(axis=0).mean() > 0.3, style  # over its length, but for the gaps of its dashes
        rows.append(int(np.nonzero(like.any(axis=1))[0].mean()))
    assert sorted(rows) == rows  # from top to bottom, in the order of the prompt


def test_no_two_of_many_objects_look_alike() -> None:
    styles = Panels(lines_at_one_place(24), 7.5).objects.values()
    assert len({(style.color, str(style.dashes)) for style in styles}) == 24


def test_the_colours_are_told_apart_by_the_colour_blind() -> None:
    """Machado, Oliveira and Fernandes (2009), no red or no green cones: CIE Lab distances of all pairs."""
    without = {
        "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        "none": np.eye(3).tolist(),
    }
    colours = np.array([to_rgb(style.color) for style in Panels(lines_at_one_place(8), 7.5).objects.values()])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    for matrix in without.values():
        xyz = np.clip(linear @ np.array(matrix).T, 0, 1) @ to_xyz.T / [0.9505, 1.0, 1.089]
        x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
        lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
        apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + 100 * np.eye(8)
        assert apart.min() > 15  # 2.3 is just noticeable side by side

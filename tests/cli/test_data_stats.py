"""``tas data stats``: figures against a count by hand, and the picture of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tas_core.conventions import side_name
from tas_core.datasets.tasbench import clip_jobs
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.datasets.tasbench.statistics import CategoryCount, Statistics, category_of, dataset_statistics
from tas_core.errors import InputError
from tas_core.reporting.plots.statistics import MAX_CATEGORIES, draw_statistics
from tests.conftest import Finished
from tests.support.fairplay import write_clip, write_timelines

Run = Callable[..., Finished]
RATE_HZ = 8000

TIMELINES = {
    # 100 frames: 30 with two objects, 20 with nothing, 50 with one
    "000001": [
        'start: 0, end: 3, text: "cello on the left, piano 15 degrees to the right"',
        "start: 5, text: cellist in the center",
    ],
    # 100 frames (the last middle is at 9.95 s of 9.984): 40 of a movement, of which 20 on either side
    "000002": ["start: 1, end: 5, text: the unicorn moves from 30 degrees left to 30 degrees right"],
    # 100 frames (10.05 s is after 10.005): all of one violin that is on the left, then on the right
    "000003": [
        "start: 0, end: 2, text: second violin 16 degrees to the left",
        "start: 2, text: second violin on the right",
    ],
    # 100 frames of four objects, two of which are of one category
    "000004": ['start: 0, text: "piano, first guitar, second guitar and drums in the center"'],
}
LENGTHS = {"000001": 80_000, "000002": 79_872, "000003": 80_040, "000004": 80_000, "000005": 80_000}


def make(root: Path) -> TasBench:
    for clip, num_frames in LENGTHS.items():
        write_clip(root, clip, num_frames, RATE_HZ)
    write_timelines(root, TIMELINES)
    return TasBench(root)


def hand_counted() -> Statistics:
    """Of the timelines above.

    Movement from 30 to -30 degrees in 40 frames of 1.5 degrees: middles at 29.25, 27.75, ..., of which
    |azimuth| <= 15 are 14.25, 12.75, ..., -14.25: 20 frames; 10 are left of them and 10 right.
    """
    return Statistics(
        clips=5,
        annotated_clips=4,
        hours=(3 * 10 + 9.984 + 10.005) / 3600,
        frames=400,
        annotations=30 + 50 + 40 + 100 + 100,
        object_frames=60 + 50 + 40 + 100 + 400,
        moving_clips=2,
        categories=(
            CategoryCount("piano", True, 2, 130),
            CategoryCount("guitar", False, 1, 200),
            CategoryCount("drums", True, 1, 100),
            CategoryCount("violin", True, 1, 100),
            CategoryCount("cello", True, 1, 80),
            CategoryCount("unicorn", False, 1, 40),
        ),
        objects_per_clip={1: 2, 3: 1, 4: 1},
        categories_per_clip={1: 2, 2: 1, 3: 1},
        directions={"left": 30 + 10 + 20, "center": 30 + 50 + 20 + 400, "right": 10 + 80},
    )


# ------------------------------------------------------------------ figures


def test_figures_against_a_count_by_hand(tmp_path: Path) -> None:
    found = dataset_statistics(make(tmp_path))
    expected = hand_counted()
    assert found.hours == pytest.approx(expected.hours)
    assert found.as_dict() | {"hours": 0} == expected.as_dict() | {"hours": 0}
    assert found.silent_frame_share == pytest.approx(80 / 400)
    assert found.moving_clip_share == 0.5


def test_processes_count_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make(tmp_path)
    monkeypatch.setattr(clip_jobs, "MIN_CLIPS", 1)
    assert dataset_statistics(data, jobs=2) == dataset_statistics(data, jobs=1)


@pytest.mark.parametrize(
    ("azimuth_deg", "direction"),
    [(0, "center"), (15, "center"), (-15, "center"), (15.01, "left"), (-15.01, "right"), (90, "left"), (-90, "right")],
)
def test_directions(azimuth_deg: float, direction: str) -> None:
    assert side_name(azimuth_deg) == direction


@pytest.mark.parametrize(
    ("phrase", "category", "known"),
    [
        ("cello", "cello", True),
        ("cellist", "cello", True),
        ("violoncello", "cello", True),
        ("cellos", "cello", True),
        ("second cello", "cello", True),
        ("cello 2", "cello", True),
        ("cello #12", "cello", True),
        ("two cellos", "cello", True),
        ("drums", "drums", True),  # in several, and the name of one
        ("horn", "French horn", True),
        ("french horn", "French horn", True),
        ("violins", "string ensemble", True),  # a word of its own, not the plural of another
        ("guitar", "guitar", False),  # in several categories
        ("guitars", "guitar", False),
        ("unicorn", "unicorn", False),
        ("second unicorn", "unicorn", False),
        ("second", "second", False),
        ("707", "707", False),
    ],
)
def test_categories_of_phrases(phrase: str, category: str, known: bool) -> None:
    assert category_of(phrase) == (category, known)


def test_data_sets_that_cannot_be_counted(tas: Run, tmp_path: Path) -> None:
    assert "no folder binaural_audios" in tas("data", "stats", tmp_path).error_line
    write_clip(tmp_path, "000001", 80_000, RATE_HZ)
    done = tas("data", "stats", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.error_line == f"{tmp_path / 'timelines'}: no timelines of this data set's clips, expected some"
    write_timelines(tmp_path, {"000001": ["start: 11, text: cello on the left"]})
    assert "timelines/000001.yaml:2:5: the segment starts at 11 s" in tas("data", "stats", tmp_path).error_line
    write_timelines(tmp_path, {"000001": ["start: 0, text: cello on the left"]})
    (tmp_path / "binaural_audios" / "000001.wav").write_text("cello")
    assert "not an audio file" in tas("data", "stats", tmp_path).error_line


# ------------------------------------------------------------------ the command


def cells(out: str) -> list[list[str]]:
    """Rows of all tables, as texts of their cells."""
    return [re.split(r" {2,}", line.strip()) for line in out.splitlines()]


def test_tables_say_what_was_counted(tas: Run, tmp_path: Path) -> None:
    make(tmp_path)
    done = tas("data", "stats", tmp_path)
    assert (done.code, done.err) == (0, "")
    rows = cells(done.out)
    for row in (
        ["clips", "5"],
        ["clips with a timeline", "4"],
        ["hours", "0.01"],
        ["frames of 0.1 s", "400"],
        ["annotations (frames with a text)", "320"],
        ["object-frames", "650"],
        ["frames in which nothing sounds", "20.0 %"],
        ["clips in which something moves", "50.0 %"],
        ["piano", "2", "130"],
        ["guitar *", "1", "200"],
        ["1", "2", "50.0 %"],
        ["4", "1", "25.0 %"],
        ["left", "60", "9.2 %"],
        ["center", "500", "76.9 %"],
        ["right", "90", "13.8 %"],
    ):
        assert row in rows, row


def test_names_are_no_markup(tas: Run, tmp_path: Path) -> None:
    write_clip(tmp_path, "000001", 80_000, RATE_HZ)
    write_timelines(tmp_path, {"000001": ["start: 0, text: '\"[red]fox[/nope]\" on the left'"]})
    done = tas("data", "stats", tmp_path)
    assert done.code == 0
    assert ["[red]fox[/nope] *", "1", "100"] in cells(done.out)


def test_json_has_all_figures(tas: Run, tmp_path: Path) -> None:
    data = make(tmp_path)
    (tmp_path / "stats.json").write_text("of an earlier run")
    done = tas("data", "stats", tmp_path, "--save", tmp_path / "stats.json")
    assert done.error_line.endswith(
        "stats.json: the file exists, expected a new name or permission to overwrite it (--force)"
    )
    assert (tmp_path / "stats.json").read_text() == "of an earlier run"
    done = tas("data", "stats", tmp_path, "--json", "--save", tmp_path / "stats.json", "--force")
    assert done.code == 0
    assert json.loads(done.out) == json.loads((tmp_path / "stats.json").read_text())
    found = json.loads((tmp_path / "stats.json").read_text())
    assert found == json.loads(json.dumps(dataset_statistics(data).as_dict()))
    assert found["directions"] == {"left": 60, "center": 500, "right": 90}
    assert found["direction_shares"]["left"] == pytest.approx(60 / 650)
    assert found["objects_per_clip_shares"] == {"1": 0.5, "3": 0.25, "4": 0.25}
    assert found["categories"][0] == {"name": "piano", "known": True, "clips": 2, "object_frames": 130}


@pytest.mark.parametrize(
    ("ending", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")]
)
def test_pictures(tas: Run, tmp_path: Path, ending: str, begins: bytes) -> None:
    make(tmp_path)
    path = tmp_path / f"figure.{ending}"
    assert tas("data", "stats", tmp_path, "--figure", path).code == 0
    first = path.read_bytes()
    assert first.startswith(begins)
    assert "(--force)" in tas("data", "stats", tmp_path, "--figure", path).error_line
    assert tas("data", "stats", tmp_path, "--figure", path, "--force").code == 0
    assert path.read_bytes() == first
    assert not list(tmp_path.glob(".*"))


def test_what_stands_in_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "figure.svg"
    draw_statistics(hand_counted(), path)
    text = path.read_text()
    for word in ("piano", "guitar", "Clips per category", "3 objects", "1 object", "left", "76.9 %"):
        assert f">{word}<" in text, word
    assert "4 clips, 0.01 h, 320 annotations, 650 object-frames" in text


def test_more_categories_than_bars(tmp_path: Path) -> None:
    few = hand_counted()
    categories = tuple(CategoryCount(f"${i}^x$ kind", False, 100 - i, 1) for i in range(MAX_CATEGORIES + 3))
    path = tmp_path / "figure.svg"
    draw_statistics(Statistics(**{**vars(few), "categories": categories}), path)
    text = path.read_text()
    assert f">Clips per category, the {MAX_CATEGORIES} most frequent of {MAX_CATEGORIES + 3}<" in text
    assert ">$0^x$ kind<" in text
    assert f">${MAX_CATEGORIES}^x$ kind<" not in text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("figure.jpg", "expected one of .png, .svg, .pdf"),
        ("figure", "figure: no extension, expected one of .png, .svg, .pdf"),
        ("missing/figure.png", "does not exist"),
        ("folder.png", "a folder, expected a file name"),
    ],
)
def test_pictures_that_cannot_be_written(tas: Run, tmp_path: Path, name: str, message: str) -> None:
    make(tmp_path)
    (tmp_path / "folder.png").mkdir()
    done = tas("data", "stats", tmp_path, "--figure", tmp_path / name)
    assert (done.code, done.out) == (2, "")
    assert message in done.error_line
    with pytest.raises(InputError, match=message):
        draw_statistics(hand_counted(), tmp_path / name)


def test_a_png_is_not_blank(tmp_path: Path) -> None:
    from matplotlib.image import imread

    draw_statistics(hand_counted(), tmp_path / "figure.png")
    pixels = imread(tmp_path / "figure.png")[..., :3]
    assert pixels.shape[0] >= 500
    assert pixels.shape[1] >= 1000
    blue = (pixels[..., 2] > 0.5) & (pixels[..., 0] < 0.2)
    assert 0.02 < blue.mean() < 0.5


def test_matplotlib_is_needed_for_pictures_only(
    tas_process: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path)
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "matplotlib.py").write_text("raise ImportError('not for tables')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "shadow"))
    done = tas_process("data", "stats", tmp_path)
    assert done.code == 0, done.err
    done = tas_process("data", "stats", tmp_path, "--figure", tmp_path / "figure.png")
    assert "not for tables" in done.err

"""Captions say what they were made for: every wording reads back as the place that it stands for."""

from __future__ import annotations

import numpy as np
import pytest

from tas_core.datasets.sources.catalogue import load_categories
from tas_core.datasets.tasbench.captions import (
    STYLES,
    CaptionedObject,
    Captioner,
    CaptionStyle,
    benchmark_data,
    dense_segments,
    quoted,
    said_azimuth_deg,
)
from tas_core.errors import TasError
from tas_core.timeline.prompts import parse_prompt
from tas_core.timeline.segments import Timeline

NAMES = sorted({w.lower() for c in load_categories() for w in (*c.words, *c.held_out)})


class FixedChoice:
    """Stands for a random generator: always the wording of the same number (modulo how many there are)."""

    def __init__(self, number: int) -> None:
        self.number = number

    def integers(self, high: int) -> int:
        return self.number % high


def captioner(style: CaptionStyle, number: int) -> Captioner:
    return Captioner(style, FixedChoice(number))  # type: ignore[arg-type]


@pytest.mark.parametrize("style", STYLES)
def test_every_wording_reads_as_its_place(style: CaptionStyle) -> None:
    for number in range(20):
        words = captioner(style, number)
        for azimuth in (-90.0, -75.0, -55.0, -40.0, -25.0, 0.0, 25.0, 40.0, 55.0, 75.0, 90.0):
            clause = parse_prompt(words.caption([CaptionedObject("cello", azimuth, azimuth)]))[0]
            expected = azimuth if style != "coarse" or azimuth == 0 else np.sign(azimuth) * 55.0
            assert clause.object == "cello"
            assert clause.azimuth.start_deg == clause.azimuth.end_deg == expected


def test_what_a_place_is_called() -> None:
    assert [said_azimuth_deg(a, "coarse") for a in (-80, -15.1, -15, 3, 15, 16)] == [-55, -55, 0, 0, 0, 55]
    assert [said_azimuth_deg(a, "words") for a in (-84, -12, 33, 47, 48, 66, 89)] == [-90, 0, 40, 40, 55, 75, 90]
    assert [said_azimuth_deg(a, "degrees") for a in (-12.4, 0.4, 12.6)] == [-12, 0, 13]


@pytest.mark.parametrize("style", STYLES)
def test_random_scenes_read_back(style: CaptionStyle) -> None:
    """1 to 4 objects under any name of the catalogue, in any wording; the captioner itself checks what it wrote."""
    rng = np.random.default_rng(5)
    for _ in range(150):
        words = Captioner(style, rng)
        count = int(rng.integers(1, 5))
        names = [str(n) for n in rng.choice(NAMES, count, replace=False)]
        azimuths = rng.uniform(-90, 90, count)
        text = words.caption([CaptionedObject(n, a, a) for n, a in zip(names, azimuths, strict=True)])
        read = {c.object: c.azimuth.start_deg for c in parse_prompt(text)}
        assert read == {n: said_azimuth_deg(a, style) for n, a in zip(names, azimuths, strict=True)}


def test_objects_come_from_left_to_right() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        placed = [CaptionedObject(n, a, a) for n, a in (("cello", -40.0), ("piano", 70.0), ("harp", 0.0))]
        read = parse_prompt(Captioner("words", rng).caption(placed))
        assert [c.object for c in read] == ["piano", "harp", "cello"]


def test_words_vary() -> None:
    rng = np.random.default_rng(1)
    texts = {
        Captioner("coarse", rng).caption([CaptionedObject("cello", 60, 60), CaptionedObject("harp", -60, -60)])
        for _ in range(200)
    }
    assert len(texts) > 30


def test_names_that_read_as_something_else_are_quoted() -> None:
    assert quoted("cello") == "cello"
    for name in ("slap and pop bass", "bass and lead", "harp playing"):
        assert quoted(name) == f'"{name}"'
        assert parse_prompt(f"{quoted(name)} on the left")[0].object == name


def test_a_template_that_says_something_else_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(benchmark_data(), "clauses", ["{name} and a dog {place}"])
    with pytest.raises(TasError, match="reads as"):
        captioner("coarse", 0).caption([CaptionedObject("cello", 60, 60)])


def test_segments_follow_what_sounds() -> None:
    active = np.array([1, 1, 0, 0, 1, 1], bool)
    always = np.array([1, 1, 1, 0, 0, 1], bool)
    places = [np.full(7, 60.0), np.full(7, -60.0)]
    found = dense_segments(captioner("coarse", 0), ["cello", "harp"], places, [active, always], 0.1, 0.6)
    spans = [(s.start_s, s.end_s, [c.object for c in s.clauses]) for s in found]
    assert spans == [
        (0.0, 0.2, ["cello", "harp"]),
        (0.2, 0.3, ["harp"]),
        (0.4, 0.5, ["cello"]),
        (0.5, 0.6, ["cello", "harp"]),
    ]


def test_the_last_segment_ends_with_the_clip() -> None:
    sounding = np.ones(3, bool)
    (segment,) = dense_segments(captioner("coarse", 0), ["cello"], [np.zeros(4)], [sounding], 0.1, 0.26)
    assert (segment.start_s, segment.end_s) == (0.0, 0.26)


def test_movement_is_one_clause_in_degrees_and_steps_in_words() -> None:
    """40 degrees left to 40 degrees right over two seconds, with a rest of half a second on both ends."""
    edges = np.concatenate([np.full(5, 40.0), np.linspace(40, -40, 21), np.full(5, -40.0)])
    sounding = np.ones(30, bool)
    found = dense_segments(captioner("degrees", 0), ["cello"], [edges], [sounding], 0.1, 3.0)
    assert [(s.start_s, s.end_s) for s in found] == [(0.0, 0.5), (0.5, 2.5), (2.5, 3.0)]
    paths = [s.clauses[0].azimuth for s in found]
    assert [(p.start_deg, p.end_deg) for p in paths] == [(40, 40), (40, -40), (-40, -40)]
    coarse = dense_segments(captioner("coarse", 0), ["cello"], [edges], [sounding], 0.1, 3.0)
    assert [s.clauses[0].azimuth.start_deg for s in coarse] == [55, 0, -55]
    # Frame middles go 38, 34, .. by 4 degrees a frame: 14 to -14 are the center, which is frames 6 to 13 of 20.
    assert [(s.start_s, s.end_s) for s in coarse] == [(0.0, 1.1), (1.1, 1.9), (1.9, 3.0)]


def test_a_movement_cut_by_another_object_keeps_its_course() -> None:
    edges = np.linspace(40, -40, 21)
    other = np.zeros(20, bool)
    other[10:] = True
    active = [np.ones(20, bool), other]
    found = dense_segments(captioner("degrees", 0), ["cello", "harp"], [edges, np.full(21, 80.0)], active, 0.1, 2.0)
    track = next(t for t in Timeline(found).tracks(np.arange(20) * 0.1 + 0.05, 2.0) if t.object == "cello")
    # Ends of clauses are whole degrees, so the course is off by half a degree at most.
    np.testing.assert_allclose(track.azimuth_deg, (edges[1:] + edges[:-1]) / 2, atol=0.5)

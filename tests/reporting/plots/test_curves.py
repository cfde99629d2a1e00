"""The numbers behind pictures, against known signals."""

from __future__ import annotations

import numpy as np
import pytest

from tas_core.acoustics.rooms import direct_response
from tas_core.errors import InputError
from tas_core.reporting.plots.curves import (
    KINDS,
    AzimuthCurve,
    DifferenceSpectrogram,
    EnvelopeCurve,
    Source,
    SplCurve,
    analytic_magnitude,
    plot_data,
)
from tas_core.reporting.plots.figures import draw
from tas_core.reporting.plots.page import Page
from tas_core.timeline.segments import Segment, Timeline, TimelineWarning
from tests.reporting.plots.conftest import RATE, duet, noise, svg_texts, two_prompts


def sine(hz: float, seconds: float, level: float = 0.5, rate_hz: int = RATE) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


# ------------------------------------------------------------------ spl


def test_spl_has_the_sign_of_the_side_and_the_value_of_the_level() -> None:
    tone = sine(440, 1.0)
    ears = np.block([[tone, 0.5 * tone], [0.5 * tone, tone]])
    (curve,) = plot_data("spl", [Source("tone", ears, RATE)]).curves
    assert isinstance(curve, SplCurve)
    np.testing.assert_allclose(curve.time_s, np.arange(1, 40) * 0.05)
    np.testing.assert_allclose(curve.spl_difference_db[curve.time_s < 0.94], 20 * np.log10(2), atol=1e-6)
    np.testing.assert_allclose(curve.spl_difference_db[curve.time_s > 1.06], -20 * np.log10(2), atol=1e-6)


def test_silence_is_nan_and_one_silent_ear_is_infinite() -> None:
    tone = sine(440, 0.5)
    silence = np.zeros_like(tone)
    ears = np.block([[tone, silence, silence], [silence, silence, tone]])
    (curve,) = plot_data("spl", [Source("tone", ears, RATE)]).curves
    assert isinstance(curve, SplCurve)
    at = dict(zip(np.round(curve.time_s, 3).tolist(), curve.spl_difference_db.tolist(), strict=True))
    assert (at[0.25], at[1.25]) == (np.inf, -np.inf)
    assert np.isnan(at[0.75])
    assert draw(plot_data("spl", [Source("tone", ears, RATE)]), "svg").count("\N{INFINITY}".encode()) == 2


# ------------------------------------------------------------------ envelope


@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
def test_envelope_of_an_amplitude_modulated_tone_is_its_modulation(rate_hz: int) -> None:
    """A slow modulation passes: a Hann window of 20 ms takes 0.3 % off the depth of 2 Hz."""
    t = np.arange(3 * rate_hz) / rate_hz
    modulation = 0.5 * (1 + 0.8 * np.cos(2 * np.pi * 2 * t))
    ears = np.stack([modulation, 0.25 * modulation]) * np.sin(2 * np.pi * 1000 * t)
    (curve,) = plot_data("envelope", [Source("am", ears, rate_hz)]).curves
    assert isinstance(curve, EnvelopeCurve)
    hop = round(0.005 * rate_hz)
    np.testing.assert_allclose(curve.time_s, np.arange(len(curve.time_s)) * hop / rate_hz)
    inside = (curve.time_s > 0.05) & (curve.time_s < 2.95)
    wanted = 0.5 * (1 + 0.8 * np.cos(2 * np.pi * 2 * curve.time_s))
    np.testing.assert_allclose(curve.envelope[0, inside], wanted[inside], atol=0.004)
    np.testing.assert_allclose(curve.envelope[1, inside], 0.25 * wanted[inside], atol=0.001)
    # The ends average what is there; without that they would be half as high.
    assert curve.envelope[0, 0] == pytest.approx(0.9, rel=0.1)


def test_analytic_magnitude_of_blocks_is_that_of_the_whole() -> None:
    """Against SciPy's transform of the whole, across the border between two blocks."""
    signal = pytest.importorskip("scipy.signal")
    samples = noise(40.0)
    magnitude = analytic_magnitude(samples)
    whole = np.abs(signal.hilbert(samples))
    level = np.sqrt(np.mean(whole**2))
    for inside in (slice(10_000, -10_000), slice(2**19 - 100, 2**19 + 100)):
        error = np.sqrt(np.mean((magnitude - whole)[inside] ** 2)) / level
        assert error < 3e-3  # white noise is the worst case: the transform's tail falls only with 1 / distance


# ------------------------------------------------------------------ spectrogram


@pytest.mark.parametrize(("rate_hz", "hz"), [(16_000, 1000), (44_100, 3000), (48_000, 12_000), (11_025, 2000)])
def test_difference_spectrogram_of_a_tone_peaks_at_its_frequency_and_level(rate_hz: int, hz: float) -> None:
    tone = sine(hz, 1.0, 0.2, rate_hz)
    (panel,) = plot_data("spectrogram", [Source("tone", np.stack([tone, -0.5 * tone]), rate_hz)]).curves
    assert isinstance(panel, DifferenceSpectrogram)
    assert panel.level_db.shape == (len(panel.frequency_hz), len(panel.time_s))
    middle = panel.level_db[:, (panel.time_s > 0.1) & (panel.time_s < 0.9)]
    assert set(panel.frequency_hz[middle.argmax(axis=0)]) == {hz}
    np.testing.assert_allclose(middle.max(axis=0), 20 * np.log10(0.3), atol=0.01)


def test_what_both_ears_share_is_not_in_the_difference() -> None:
    shared = noise(1.0)
    (panel,) = plot_data("spectrogram", [Source("mono", np.stack([shared, shared]), RATE)]).curves
    assert isinstance(panel, DifferenceSpectrogram)
    assert np.isneginf(panel.level_db).all()
    assert draw(plot_data("spectrogram", [Source("mono", np.stack([shared, shared]), RATE)]))


# ------------------------------------------------------------------ azimuth


def rendered(azimuth_deg: float, seconds: float, rate_hz: int, seed: int = 0) -> np.ndarray:
    """Noise through the measured head, (ear, time)."""
    dry = noise(seconds, seed, rate_hz)
    return np.stack([np.convolve(dry, ear)[: len(dry)] for ear in direct_response(azimuth_deg, rate_hz)])


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_azimuth_of_rendered_noise_is_where_it_was_put(rate_hz: int) -> None:
    places = (60.0, -30.0, 0.0, -75.0)
    silence = np.zeros((2, rate_hz // 2))
    parts = [rendered(place, 0.5, rate_hz, i) for i, place in enumerate(places)]
    timeline = Timeline(
        (
            Segment.from_prompt(0, 0.5, "noise 60 degrees to the left"),
            Segment.from_prompt(0.5, 1.0, "noise 30 degrees to the right, a dog moves from the left to the right"),
        )
    )
    source = Source("noise", np.concatenate([*parts, silence], axis=1), rate_hz, timeline)
    data = plot_data("azimuth", [source])
    (curve,) = data.curves
    assert isinstance(curve, AzimuthCurve)
    np.testing.assert_allclose(curve.time_s, 0.05 + 0.1 * np.arange(25))
    for i, place in enumerate(places):
        np.testing.assert_allclose(curve.azimuth_deg[5 * i : 5 * i + 5], place, atol=5)
    assert np.isnan(curve.azimuth_deg[21:]).all()

    asked = {track.object: track.azimuth_deg for track in curve.requested}
    assert list(asked) == ["noise", "dog"]
    np.testing.assert_array_equal(asked["noise"], [60] * 5 + [-30] * 5 + [np.nan] * 15)
    np.testing.assert_allclose(asked["dog"], [np.nan] * 5 + [44, 22, 0, -22, -44] + [np.nan] * 15, atol=1e-9)
    rows = list(data.rows())
    assert [row[2] for row in rows] == [""] * 25 + ["noise"] * 10 + ["dog"] * 5
    assert {"requested: noise", "requested: dog", "estimate"} <= set(svg_texts(draw(data, "svg")))


def test_a_timeline_longer_than_one_of_its_sounds_asks_only_as_long_as_it_sounds() -> None:
    timeline = Timeline((Segment.from_prompt(0, 1, "noise left"), Segment.from_prompt(1.5, 2, "a dog right")))
    long, short = duet("long", timeline), duet("short", timeline, seconds=1.2)
    first, second = plot_data("azimuth", [long, short]).curves
    assert isinstance(first, AzimuthCurve)
    assert isinstance(second, AzimuthCurve)
    assert len(second.time_s) == 12
    assert [int(np.isfinite(t.azimuth_deg).sum()) for t in first.requested] == [10, 5]
    assert [int(np.isfinite(t.azimuth_deg).sum()) for t in second.requested] == [10, 0]


# ------------------------------------------------------------------ all kinds


def test_long_sounds_get_longer_windows_and_not_more() -> None:
    """A rate of 400 Hz stands for a long file here; nothing below the reader of files minds it."""
    rate_hz, seconds = 400, 3600
    ears = np.random.default_rng(0).standard_normal((2, seconds * rate_hz))
    counts = {}
    for kind in ("spl", "envelope", "spectrogram"):
        data = plot_data(kind, [Source("long", ears, rate_hz)])
        counts[kind] = len(data.curves[0].time_s)
        assert data.curves[0].time_s[-1] == pytest.approx(seconds, abs=10)
    assert 10_000 < counts["spl"] <= 12_000
    assert 3_500 < counts["envelope"] <= 4_000
    assert 500 < counts["spectrogram"] <= 601


def test_the_reference_comes_last_and_rates_and_lengths_may_differ() -> None:
    fast = np.stack([noise(1.0, 5, 44_100), noise(1.0, 6, 44_100)])
    sources = [duet("truth", is_reference=True), duet("a"), Source("b", fast, 44_100)]
    for kind in ("spl", "envelope", "spectrogram"):
        data = plot_data(kind, sources)
        assert [(c.label, c.is_reference) for c in data.curves] == [("a", False), ("b", False), ("truth", True)]
        assert data.duration_s == 2.0
        assert [c.time_s[-1] for c in data.curves] == pytest.approx([2.0, 1.0, 2.0], abs=0.06)


def test_a_timeline_that_sounds_share_gives_one_lane() -> None:
    same, equal, other = two_prompts(), two_prompts(), Timeline.from_prompt("cello in the center")
    data = plot_data("spl", [duet("a", same), duet("b", equal), duet("c", other), duet("d")])
    assert [lane.labels for lane in data.lanes] == [("a", "b"), ("c",)]
    assert [(s.start_s, s.end_s) for s in data.lanes[0].segments] == [(0, 1), (1, 2)]


def test_a_timeline_that_outlasts_the_sound_warns() -> None:
    timeline = Timeline((Segment.from_prompt(0, 5, "cello left"),))
    with pytest.warns(TimelineWarning, match=r"ends at 5 s, after the audio of 2 s"):
        data = plot_data("spl", [duet("a", timeline)])
    assert data.lanes[0].segments[0].end_s == 2.0


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([], "no sound to plot"),
        ([duet("a")] * 41, "41 sounds for one picture, expected at most 40"),
        ([duet("a"), duet("a")], "the label 'a' is given twice"),
        ([Source("m", np.zeros((1, 100)), RATE)], "m: 1 channel, expected two, left and right"),
        ([Source("m", np.zeros(100), RATE)], "m: 1 channel, expected two, left and right"),
        ([Source("m", np.zeros((6, 100)), RATE)], "m: 6 channels, expected two, left and right"),
        ([Source("m", np.zeros((2, 0)), RATE)], "m: no samples"),
    ],
)
def test_sources_are_checked(sources: list[Source], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plot_data("spl", sources)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "places"])
def test_a_passage_has_the_times_of_the_whole(kind: str) -> None:
    """From 95 s on: the curves are those of the piece, later; the prompts are cut, and movements with them."""
    whole = Timeline(
        (
            Segment.from_prompt(90, 96, "cello moves from 60 degrees left to the front"),
            Segment.from_prompt(96, None, "dog on the right"),
            Segment.from_prompt(96.5, None, "piano left"),
            Segment.from_prompt(200, None, "rain left"),
        )
    )
    ears = 0.1 * np.random.default_rng(0).standard_normal((2, 2 * 16_000))
    piece = plot_data(kind, [Source("a", ears, 16_000)])
    made = plot_data(kind, [Source("a", ears, 16_000, whole)], 95.0)
    assert (made.start_s, made.duration_s) == (95.0, 2.0)
    np.testing.assert_allclose(made.curves[0].time_s, piece.curves[0].time_s + 95, atol=1e-9)
    (lane,) = made.lanes
    spans = [(segment.start_s, segment.end_s, segment.clauses[0].object) for segment in lane.segments]
    assert spans == [(95, 96, "cello"), (96, 96.5, "dog"), (96.5, 97, "piano")]
    path = lane.segments[0].clauses[0].azimuth
    assert (path.start_deg, path.end_deg) == pytest.approx((10, 0))
    assert min(row[0] for row in made.rows()) >= 95
    if isinstance(made.curves[0], AzimuthCurve):
        assert made.curves[0].segments == lane.segments
        named = {row[2] for row in made.rows() if row[0] > 96.5}
        assert named == {"", "piano"}
    axis = Page(made, "").figure().axes[0]
    assert axis.get_xlim() == (95, 97)
    assert plot_data(kind, [Source("a", ears, 16_000, whole)], 10.0).lanes == ()  # no prompt holds there

"""Rendering without a network: the filter of the head, and the mean of the places asked for."""

from __future__ import annotations

import numpy as np
import pytest

from tas_core.acoustics.hrtf import direction_ratio
from tas_core.inference import baselines
from tas_core.inference.baselines import mean_azimuth_deg, through_head
from tas_core.timeline.files import parse_timeline
from tas_core.timeline.segments import Timeline
from tests.support.bursts import noise, scene

RATE = 16_000


def test_mean_of_the_asked_places() -> None:
    timeline = parse_timeline(
        'prompts:\n - {start: 0, end: 1, text: "cello 60 degrees to the left, piano 20 degrees to the right"}\n'
        ' - {start: 2, end: 3, text: "piano 20 degrees to the right"}\n'
    )
    found = mean_azimuth_deg(timeline, np.array([0.5, 1.5, 2.5]), 4.0)
    np.testing.assert_allclose(found, [20.0, 0.0, -20.0])


# ------------------------------------------------------------------ the plain head filter


def test_the_plain_head_has_the_heads_ratio_and_keeps_the_mono_sum() -> None:
    rate_hz, bin_ = 48_000, 40  # a sine in the middle of a bin
    freq_hz = bin_ * rate_hz / 3072
    x = np.sin(2 * np.pi * freq_hz * np.arange(rate_hz) / rate_hz)
    ears = through_head(x, rate_hz, Timeline.from_prompt("cello 30 degrees to the left"))
    np.testing.assert_allclose(ears.mean(axis=0), x, atol=1e-12)
    inner = slice(3072, 3072 * 11)
    left, right, mono = (np.fft.rfft(s[inner])[bin_ * 10] for s in (*ears, x))
    (expected,) = direction_ratio(np.array([30.0]), np.array([freq_hz]))[0]
    # The window spreads the sine over three bins, in which the filter is not quite the same.
    assert (left - right) / (2 * mono) == pytest.approx(expected, rel=5e-3)


def test_the_plain_head_does_not_depend_on_blocks_and_mirrors(monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(2.0)
    timeline = scene((0, 1, "the cello moves from the left to the right; a dog 20 degrees to the left"))
    whole = through_head(x, RATE, timeline)
    monkeypatch.setattr(baselines, "_BLOCK_HOPS", 7)
    np.testing.assert_allclose(through_head(x, RATE, timeline), whole, atol=1e-12)
    np.testing.assert_allclose(through_head(x, RATE, timeline.mirrored())[::-1], whole, atol=1e-12)
    np.testing.assert_allclose(whole[:, 18_000:], [x[18_000:]] * 2, atol=1e-12)  # no prompt: center


def test_a_tone_where_the_ears_are_in_antiphase_rises_by_nearly_twelve_decibels() -> None:
    """What the documents promise as the worst of all: less than 12.04 dB, and this place and tone come near."""
    tone = np.sin(2 * np.pi * 4671.875 * np.arange(RATE) / RATE)
    ears = through_head(tone, RATE, Timeline.from_prompt("a flute 10 degrees to the left"))
    level_db = 20 * np.log10(np.abs(ears[0, 2000:-2000]).max())
    assert level_db == pytest.approx(11.9, abs=0.1)

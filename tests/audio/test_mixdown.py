"""What mixing down costs: figures that follow from the channels, and nothing said where nothing is lost."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tas_core.audio.mixdown import MixdownLoss, MixdownMeter
from tas_core.audio.resampling import to_mono

A, B = np.random.default_rng(4).standard_normal((2, 48_000)) / 8


def measured(*channels: np.ndarray) -> MixdownLoss | None:
    meter = MixdownMeter(len(channels))
    for start in range(0, 48_000, 7001):
        block = np.stack(channels)[:, start : start + 7001]
        meter.add(block, to_mono(block))
    return meter.loss()


@pytest.mark.parametrize(
    ("channels", "loudest", "loss_db", "silent"),
    [
        ((A, -A), 1, math.inf, ()),
        ((A / 2, -A), 2, 20 * math.log10(4), ()),
        ((A, -0.9 * A), 1, 20 * math.log10(20), ()),
        ((A, 0 * A), 1, 20 * math.log10(2), (2,)),
        ((A * 1e-4, A), 2, 20 * math.log10(2), (1,)),
        ((0 * A, 0 * A, A, 0 * A, 0 * A, 0 * A), 3, 20 * math.log10(6), (1, 2, 4, 5, 6)),
        ((A, -A, 0 * A), 1, math.inf, ()),
    ],
)
def test_what_is_lost(channels: tuple[np.ndarray, ...], loudest: int, loss_db: float, silent: tuple[int, ...]) -> None:
    loss = measured(*channels)
    assert loss is not None
    assert (loss.loudest, loss.silent) == (loudest, silent)
    assert loss.loss_db == pytest.approx(loss_db, abs=0.01)


@pytest.mark.parametrize("channels", [(A,), (A, A), (A, B), (A + B, A - B), (A, 0.1 * B), (0 * A, 0 * A), (A, -A / 5)])
def test_where_nothing_is_lost_nothing_is_said(channels: tuple[np.ndarray, ...]) -> None:
    assert measured(*channels) is None


def test_words_have_the_figure_and_the_way_out() -> None:
    assert MixdownLoss(1, math.inf, ()).words() == (
        "the channels cancel each other: their mean is more than 100 dB quieter than channel 1 alone; take that one"
    )
    assert MixdownLoss(2, 6.02, (1,)).words().startswith("channel 1 is silent: the mean of all is 6.0 dB quieter than")
    assert MixdownLoss(2, 9.54, (1, 3)).words().startswith("channels 1, 3 are silent: ")


def test_two_of_several_channels_that_cancel_are_named() -> None:
    half = (B, -A, A / 2)  # of A, a sixth is left
    for channels, figure in (((A, -A, B), math.inf), ((A / 4, -A / 4, 2 * B), math.inf), (half, 20 * math.log10(6))):
        loss = measured(*channels)
        assert loss is not None
        a, b = (2, 3) if channels[0] is B else (1, 2)
        assert (loss.pair, loss.loudest) == ((a, b), a)
        assert loss.loss_db == pytest.approx(figure, abs=0.001)
        assert f"channels {a} and {b} cancel each other: what both have is" in loss.words()
    assert measured(A, -A, B, -B).pair == ()  # type: ignore[union-attr]
    assert measured(A, A / 2, B, 2e-3 * B, -2e-3 * B) is None  # too faint to matter, and no silence

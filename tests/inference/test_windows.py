"""Windows of whole prompts, the paper's procedure."""

from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor

from tas_core.inference.result import Spatialized
from tas_core.models.paper.model import PaperModel
from tas_core.timeline.segments import Segment, Timeline
from tests.support.tiny import TINY_PAPER, rendered

pytestmark = pytest.mark.usefixtures("one_thread")


def _noise(samples: int, seed: int = 0) -> np.ndarray:
    return 0.2 * np.random.default_rng(seed).standard_normal(samples)


def _side(result: Spatialized) -> np.ndarray:
    return result.ears[0] - result.ears[1]


def test_windows_without_a_prompt_are_centred(paper: PaperModel) -> None:
    timeline = Timeline((Segment.from_prompt(2.0, 3.0, "cello on the left"),))
    ears = rendered(_noise(80000), 16000, timeline, paper, steps=2).ears
    side = ears[0] - ears[1]
    # Windows of 1 s are placed by their centre, so a segment is heard half a second around it.
    assert not side[: round(1.39 * 16000)].any()
    assert not side[round(3.61 * 16000) :].any()
    assert (side[32000:48000] ** 2).mean() > 1e-6


class _Echo(PaperModel):
    """Returns mid as the side signal: all to the left, whatever the text says."""

    def window_sides(self, mid: Tensor, *_: object) -> Tensor:
        return mid


def test_overlapping_windows_average_to_the_signal() -> None:
    model = _Echo(TINY_PAPER).eval()
    x = _noise(40000)
    side = _side(rendered(x, 16000, Timeline.from_prompt("cello on the left"), model))
    # side = mid = 2 x; the first and last half second are told apart below.
    np.testing.assert_allclose(side[8000:-8000], 2 * x[8000:-8000], rtol=0, atol=1e-5)
    np.testing.assert_allclose(side[:8000], 2 * x[:8000], rtol=0, atol=1e-5)


def test_the_last_half_second_is_as_far_left_as_the_rest() -> None:
    model = _Echo(TINY_PAPER).eval()
    x = _noise(40000)
    side = _side(rendered(x, 16000, Timeline.from_prompt("cello on the left"), model))
    np.testing.assert_allclose(side[-8000:], 2 * x[-8000:], rtol=0, atol=1e-5)

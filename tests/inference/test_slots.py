"""Noise for the diffuse part: the same however it is cut, and on the side of what was asked."""

from __future__ import annotations

import pytest
import torch

from tas_core.inference.slots import handedness, white_noise
from tas_core.timeline.segments import Timeline

pytestmark = pytest.mark.usefixtures("one_thread")


def test_noise_is_the_same_however_it_is_cut() -> None:
    size = 2**20
    whole = white_noise(0, 2 * size + 10, 3)
    for start, count in ((0, 5), (size - 3, 6), (size, 10), (2 * size - 1, 11), (7, size)):
        assert torch.equal(white_noise(start, count, 3), whole[start : start + count])
    assert not torch.equal(white_noise(0, 5, 4), whole[:5])
    assert float(whole.std()) == pytest.approx(1, abs=0.01)


def test_the_side_of_noise_is_that_of_the_first_place_asked() -> None:
    for text, expected in (
        ("cello on the left", 1),
        ("cello on the right, dog on the left", -1),
        ("cello in the center, dog on the right", -1),
        ("the cello moves from the center to the right", -1),
        ("cello in the center", 1),
    ):
        timeline = Timeline.from_prompt(text).resolved(1)
        assert handedness(timeline) == expected, text
        if text != "cello in the center":
            assert handedness(timeline.mirrored()) == -expected

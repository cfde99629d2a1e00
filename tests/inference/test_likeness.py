"""Objects that a model does not tell apart: how alike their masks are, and what is said of them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tas_core.inference.likeness import ALIKE, AlikePair, LikenessMeter
from tas_core.inference.renderer_choice import flattened
from tas_core.timeline.segments import Segment, Timeline
from tests.support.tiny import rendered, tiny_slots

SCENE = Timeline(
    (
        Segment.from_prompt(0.0, 2.0, "cello on the left, dog on the right"),
        Segment.from_prompt(2.0, 4.0, "cello on the left, piano on the right"),
        Segment.from_prompt(4.0, 6.0, "dog on the right, cello on the left"),
        Segment.from_prompt(6.0, 8.0, "dog and cello on the right"),
        Segment.from_prompt(8.0, 8.9, "dog on the right, cello on the left"),
    )
)
NAMES = ("cello", "dog", "piano")


def _measured(masks: np.ndarray, size: int = 100) -> LikenessMeter:
    """Masks (object, frame, freq) of a sound with a power of one, a frame each tenth of a second, ``size`` at once."""
    meter = LikenessMeter(SCENE)
    times_s = np.arange(masks.shape[1]) / 10
    products = np.einsum("itf,jtf->tij", masks, masks)
    for at in range(0, len(times_s), size):
        meter.add(times_s[at : at + size], NAMES, products[at : at + size])
    return meter


def _masks() -> np.ndarray:
    """The dog's masks are those of the cello in the first segment, turned by 60 degrees in all others."""
    rng = np.random.default_rng(0)
    one, other = np.linalg.qr(rng.standard_normal((40, 2)))[0].T
    masks = np.zeros((3, 89, 40))
    masks[0] = one
    masks[1] = 0.5 * one + np.sqrt(0.75) * other
    masks[1, :20] = 0.3 * one
    masks[2] = one
    return masks


@pytest.mark.parametrize("size", [1, 7, 100])
def test_likeness_is_the_cosine_of_masks_however_frames_come(size: int) -> None:
    meter = _measured(_masks(), size)
    np.testing.assert_allclose([meter.likeness(n)[0, 1] for n in range(5)], [1, 1, 0.5, 0.5, 0.5], atol=1e-9)
    np.testing.assert_allclose(np.diag(meter.likeness(1)), 1)


def test_pairs_are_said_once_and_only_where_places_differ() -> None:
    masks = _masks()
    assert _measured(masks).pairs() == (
        AlikePair(("cello", "dog"), 0.0, 2.0, pytest.approx(1.0), 1),
        AlikePair(("cello", "piano"), 2.0, 4.0, pytest.approx(1.0), 1),
    )
    masks[1] = 0.3 * masks[0]  # now they are alike everywhere: at one place and within a moment nobody minds
    first, _ = _measured(masks).pairs()
    assert (first.objects, first.segments) == (("cello", "dog"), 2)
    masks[1, :20] = 0.9 * masks[0, :20] + 0.1
    assert _measured(masks).pairs()[0].start_s == 4.0  # where it is worst


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("cello in front, dog behind me", 1),
        ("cello left, dog 125 degrees left", 1),
        ("cello in front, dog overhead", 1),
        ("cello in front, dog far away", 1),
        ("cello in front, dog all around", 1),
        ("cello circles around every 4 seconds, dog in front", 1),
        ("cello and dog behind me", 0),
        ("cello 3 m behind me, dog at the same place as the cello", 0),
    ],
)
def test_places_of_the_whole_sphere_differ_though_the_plane_has_one_for_them(prompt: str, said: int) -> None:
    asked = Timeline((Segment.from_prompt(0.0, 4.0, prompt),))
    meter = LikenessMeter(flattened(asked))
    meter.add(np.arange(40) / 10, ("cello", "dog"), np.ones((40, 2, 2)))
    assert len(meter.pairs(asked)) == said


def test_silence_is_like_nothing() -> None:
    meter = _measured(np.zeros((3, 89, 40)))
    assert meter.pairs() == ()
    assert meter.likeness(0).tolist() == [[0, 0], [0, 0]]


def test_what_is_said_names_both_and_the_figure() -> None:
    pair = AlikePair(("trumpt", "drmus"), 3.5, 7.0, 0.934, 1)
    assert pair.message.startswith(
        "'trumpt' and 'drmus' share 93 % of their masks from 0:03.5 to 0:07: the model does not tell them apart, "
    )
    assert "(and in 2 more segments)" in AlikePair(("a", "b"), 0.0, 1.0, 0.9, 3).message


def test_a_model_that_hears_no_text_gives_all_names_one_mask() -> None:
    """Against masks computed another way: with the text left out, every mask is the same, and likeness is one."""
    network = tiny_slots(0)
    for part in network.networks:
        for parameter in part.text.parameters():
            parameter.data.zero_()
    noise = 0.1 * np.random.default_rng(1).standard_normal(32_000)
    scene = Timeline.from_prompt("cello on the left, piano on the right")
    (pair,) = rendered(noise, 16_000, scene, network).alike
    assert pair.likeness == pytest.approx(1.0, abs=1e-5)
    assert re.match("'cello' and 'piano' share 100 %", pair.message)
    assert rendered(noise, 16_000, Timeline.from_prompt("cello and piano on the left"), network).alike == ()
    (pair,) = rendered(
        noise, 16_000, Timeline.from_prompt("cello in front, piano behind me"), network, renderer="sphere"
    ).alike
    assert pair.objects == ("cello", "piano")
    assert 0.5 < ALIKE < 1

"""Levels that prompts change: what the ears come to, against sums of stems times gains."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tas_core.errors import InputError
from tas_core.inference import stream
from tas_core.inference.levels import smooth
from tas_core.inference.result import Spatialized
from tas_core.models.paper.model import PaperModel
from tas_core.models.slots.model import SlotsModel
from tas_core.timeline.segments import Segment, Timeline
from tests.support.tiny import rendered, tiny_slots

pytestmark = pytest.mark.usefixtures("one_thread")

RATE_HZ = 16000
PLACES = "cello on the left; piano 30 degrees to the right"


@pytest.fixture(scope="module")
def slots() -> SlotsModel:
    return tiny_slots()


def noise(samples: int) -> np.ndarray:
    return 0.2 * np.random.default_rng(0).standard_normal(samples)


def timeline(*texts: str) -> Timeline:
    return Timeline(tuple(Segment.from_prompt(0.7 * n, None, text) for n, text in enumerate(texts)))


def stems(result: Spatialized) -> dict[str, np.ndarray]:
    return dict(result.stems)


def mono(result: Spatialized) -> np.ndarray:
    return result.ears.mean(axis=0)


@pytest.mark.parametrize(("rate_hz", "steps"), [(RATE_HZ, 1), (44100, 2)])
def test_the_mono_sum_is_that_of_the_stems_times_their_gains(slots: SlotsModel, rate_hz: int, steps: int) -> None:
    x = noise(round(1.3 * rate_hz))
    prompt = "cello on the left 6 dB louder; remove the dog; piano at -30 degrees; the rest 20 dB quieter"
    result = rendered(x, rate_hz, Timeline.from_prompt(prompt), slots, steps=steps, stems=True)
    part = stems(result)
    np.testing.assert_allclose(sum(part.values()), x, atol=1e-12)  # the stems themselves are without gains
    want = 10 ** (6 / 20) * part["cello"] + part["piano"] + 0.1 * part["rest"]
    np.testing.assert_allclose(mono(result), want, atol=1e-12)
    assert np.abs(result.ears[0] - result.ears[1]).max() > 1e-3


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 44100])
def test_one_gain_for_everything_is_a_gain(slots: SlotsModel, rate_hz: int) -> None:
    x = noise(round(1.3 * rate_hz))
    plain = rendered(x, rate_hz, Timeline.from_prompt(PLACES), slots, steps=2)
    prompt = "cello on the left at -6 dB; piano 30 degrees to the right at -6 dB; the rest at -6 dB"
    quieter = rendered(x, rate_hz, Timeline.from_prompt(prompt), slots, steps=2)
    # Single precision of the network's side signal.
    np.testing.assert_allclose(quieter.ears, 10 ** (-6 / 20) * plain.ears, atol=2e-6)


def test_what_is_removed_and_what_is_left_are_the_whole(slots: SlotsModel) -> None:
    x = noise(20000)
    without = rendered(x, RATE_HZ, Timeline.from_prompt("remove the cello"), slots, steps=1)
    alone = rendered(x, RATE_HZ, Timeline.from_prompt("only the cello"), slots, steps=1)
    np.testing.assert_allclose(mono(without) + mono(alone), x, atol=1e-12)
    assert np.square(mono(without)).sum() < 0.99 * np.square(x).sum()
    np.testing.assert_array_equal(without.ears[0], without.ears[1])  # nothing has a place


def test_a_prompt_without_levels_is_rendered_as_before_beside_one_with_levels(slots: SlotsModel) -> None:
    x = noise(24000)
    plain = rendered(x, RATE_HZ, timeline(PLACES, PLACES), slots, steps=1)
    louder = rendered(x, RATE_HZ, timeline(PLACES, PLACES + " 10 dB louder"), slots, steps=1)
    before = slice(0, round(0.6 * RATE_HZ))
    np.testing.assert_allclose(louder.ears[:, before], plain.ears[:, before], rtol=0, atol=1e-6)
    after = slice(round(0.8 * RATE_HZ), None)
    assert np.square(louder.ears[:, after]).sum() > 1.3 * np.square(plain.ears[:, after]).sum()


def test_a_fade_goes_linearly_and_a_step_makes_no_click(slots: SlotsModel) -> None:
    x = np.full(24000, 0.25)
    fade = Timeline.from_prompt("cello from silence to +0 dB; the rest from silence to +0 dB")
    ramp = mono(rendered(x, RATE_HZ, fade, slots, steps=1))
    np.testing.assert_allclose(ramp, 0.25 * np.arange(24000) / 24000, atol=0.25 * 0.016)
    step = mono(rendered(x, RATE_HZ, timeline("cello at +0 dB", "remove the cello, mute everything else"), slots))
    assert np.abs(np.diff(step)).max() < 0.25 / (0.02 * RATE_HZ)  # a step within 20 ms would be as steep
    assert np.abs(step[round(0.75 * RATE_HZ) :]).max() == 0


def test_levels_glide_in_a_transition(slots: SlotsModel) -> None:
    x = np.full(24000, 0.25)
    change = timeline("cello at +0 dB", "remove the cello; mute everything else")
    gliding = mono(rendered(x, RATE_HZ, change, slots, steps=1, transition_s=0.4))
    at = lambda time_s: gliding[round(time_s * RATE_HZ)] / 0.25  # noqa: E731
    assert [at(0.5), at(0.6), at(0.7), at(0.8), at(0.95)] == pytest.approx([1, 0.75, 0.5, 0.25, 0], abs=0.02)


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 48000])
def test_blocks_do_not_show(slots: SlotsModel, monkeypatch: pytest.MonkeyPatch, rate_hz: int) -> None:
    x = noise(round(2.5 * rate_hz))
    scene = timeline(PLACES, "cello moves from left to right from -20 dB to 3 dB; only the piano", "remove the cello")
    whole = rendered(x, rate_hz, scene, slots, steps=1)
    monkeypatch.setattr(stream, "_BLOCK_S", 0.5)
    np.testing.assert_allclose(rendered(x, rate_hz, scene, slots, steps=1).ears, whole.ears, atol=2e-6)


def test_mirrored_prompts_give_mirrored_ears(slots: SlotsModel) -> None:
    x = noise(20000)
    scene = Timeline.from_prompt("cello on the left fades out; piano on the right twice as loud")
    ears = rendered(x, RATE_HZ, scene, slots, steps=2).ears
    np.testing.assert_array_equal(rendered(x, RATE_HZ, scene.mirrored(), slots, steps=2).ears, ears[::-1])


def test_a_model_that_does_not_separate_refuses_levels(paper: PaperModel) -> None:
    with pytest.raises(InputError, match="a paper model does not tell objects apart; only slots models change levels"):
        rendered(noise(16000), RATE_HZ, Timeline.from_prompt("cello 3 dB quieter"), paper)


def test_curves_are_those_of_a_transform_and_back() -> None:
    """Frames of a Fourier transform times gains, and overlap-add, in plain NumPy."""
    hop, size = 4, 16
    gains = np.array([1.0, 1.0, 0.0, 0.5, 2.0, 2.0, math.pi, 1.0])
    window = np.sin(np.pi * np.arange(size) / size) ** 2
    total, norm = np.zeros(60), np.zeros(60)
    for number, gain in enumerate(gains):
        at = number * hop + size
        total[at : at + size] += window**2 * gain
        norm[at : at + size] += window**2
    inner = np.arange(2 * hop, 5 * hop)  # where all frames are there
    want = total[inner + size + size // 2] / norm[inner + size + size // 2]
    np.testing.assert_allclose(smooth(gains, inner / hop), want, rtol=1e-12)

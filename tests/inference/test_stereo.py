"""An input of two channels that stays where no prompt places its sounds."""

from __future__ import annotations

import numpy as np
import pytest

import tas_core
from tas_core.errors import InputError
from tas_core.inference import stream
from tas_core.inference.result import Spatialized
from tas_core.inference.settings import RenderSettings
from tas_core.inference.stream import render
from tas_core.models.paper.model import PaperModel
from tas_core.models.slots.model import SlotsModel
from tas_core.timeline.segments import Segment, Timeline
from tests.support.tiny import in_memory, rendered, tiny_slots

pytestmark = pytest.mark.usefixtures("one_thread")

RATE_HZ = 16000
LEFT, RIGHT = 0.9, 0.3
"""How loud one sound is in either channel: a mask takes as much of each as of the mean."""


@pytest.fixture(scope="module")
def slots() -> SlotsModel:
    return tiny_slots()


def noise(samples: int, rows: int = 1) -> np.ndarray:
    return 0.2 * np.random.default_rng(rows).standard_normal((rows, samples)).astype("f4").astype(float)


def kept(
    signal: np.ndarray, timeline: Timeline, model: SlotsModel, rate_hz: int = RATE_HZ, **more: object
) -> Spatialized:
    settings = RenderSettings(steps=1, stereo="keep", **more)  # type: ignore[arg-type]
    return render(signal, rate_hz, timeline, in_memory(model), settings)


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 44100])
def test_what_no_clause_names_stays_to_the_bit(slots: SlotsModel, rate_hz: int) -> None:
    signal = noise(2 * rate_hz, 2)
    found = kept(signal, Timeline((Segment.from_prompt(0.9, 1.1, "cello on the left"),)), slots, rate_hz)
    outside = np.abs(np.arange(2 * rate_hz) / rate_hz - 1.0) > 0.6
    np.testing.assert_array_equal(found.ears.astype("f4")[:, outside], signal.astype("f4")[:, outside])
    assert np.abs(found.ears - signal).max() > 0.01


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 44100])
def test_what_is_named_leaves_its_old_place_and_goes_to_the_new_one(slots: SlotsModel, rate_hz: int) -> None:
    x = noise(rate_hz)[0]
    middle = (LEFT + RIGHT) / 2 * x
    scene = Timeline.from_prompt("cello on the left, piano on the right")
    found = kept(np.stack([LEFT * x, RIGHT * x]), scene, slots, rate_hz, stems=True)
    mix = rendered(middle, rate_hz, scene, slots, steps=1, stems=True)
    stems = dict(mix.stems)
    rest = (LEFT - RIGHT) / ((LEFT + RIGHT) / 2) * stems["rest"]  # what is left of the side signal
    np.testing.assert_allclose(found.ears, mix.ears + np.stack([rest, -rest]) / 2, atol=2e-6)
    np.testing.assert_allclose(found.ears.mean(axis=0), middle, atol=1e-12)
    for name, stem in found.stems:
        np.testing.assert_allclose(stem, stems[name], atol=1e-6)


def test_a_level_without_a_place_leaves_the_image(slots: SlotsModel) -> None:
    x = noise(RATE_HZ)[0]
    scene = Timeline.from_prompt("the cello 6 dB quieter, the rest 6 dB louder")
    found = kept(np.stack([LEFT * x, RIGHT * x]), scene, slots)
    mono = rendered(x, RATE_HZ, scene, slots, steps=1).ears.mean(axis=0)
    np.testing.assert_allclose(found.ears, np.stack([LEFT * mono, RIGHT * mono]), atol=2e-6)


def test_equal_channels_are_a_mono_input(slots: SlotsModel) -> None:
    x, scene = noise(RATE_HZ)[0], Timeline.from_prompt("cello moves from left to right; piano 3 dB louder")
    mix = rendered(x, RATE_HZ, scene, slots, steps=1)
    np.testing.assert_allclose(kept(np.stack([x, x]), scene, slots).ears, mix.ears, atol=1e-9)


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 48000])
def test_blocks_do_not_show(slots: SlotsModel, monkeypatch: pytest.MonkeyPatch, rate_hz: int) -> None:
    signal = noise(2 * rate_hz, 2)
    scene = Timeline((Segment.from_prompt(0.3, 1.2, "cello left, piano 3 dB quieter"),))
    whole = kept(signal, scene, slots, rate_hz).ears
    monkeypatch.setattr(stream, "_BLOCK_S", 0.5)
    np.testing.assert_allclose(kept(signal, scene, slots, rate_hz).ears, whole, atol=2e-6)


def test_given_sounds_leave_exactly_and_the_rest_stays_to_the_bit() -> None:
    cello, other = noise(RATE_HZ, 2), noise(RATE_HZ, 3)[:2]
    whole = cello + other
    found = tas_core.spatialize(whole, RATE_HZ, "cello hard left", sources={"cello": cello}, stereo="keep")
    alone = tas_core.spatialize(None, RATE_HZ, "cello hard left", sources={"cello": cello})
    np.testing.assert_allclose(found.ears, alone.ears + other, atol=1e-12)
    louder = tas_core.spatialize(whole, RATE_HZ, "cello 6 dB louder", sources={"cello": cello}, stereo="keep")
    np.testing.assert_allclose(louder.ears, 10 ** (6 / 20) * cello + other, atol=1e-12)


def test_what_cannot_stay_is_refused(slots: SlotsModel, paper: PaperModel) -> None:
    x, scene = noise(RATE_HZ), Timeline.from_prompt("cello left")
    with pytest.raises(InputError, match="expected two channels"):
        kept(x[0], scene, slots)
    with pytest.raises(InputError, match="only slots models keep stereo"):
        kept(noise(RATE_HZ, 2), scene, paper)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"audio has the shape \(1, 16000\); expected two channels"):
        tas_core.spatialize(x, RATE_HZ, scene, stereo="keep")
    with pytest.raises(InputError, match="unknown stereo 'wide'; expected one of mix, keep"):
        RenderSettings(stereo="wide")  # type: ignore[arg-type]

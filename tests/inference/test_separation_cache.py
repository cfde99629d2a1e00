"""One sound under the same names is separated once, wherever it is put; the ears are those without it, to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tas_core.inference.separation_cache import SeparationCache
from tas_core.inference.settings import RenderSettings
from tas_core.inference.stream import render
from tas_core.timeline.segments import Timeline
from tests.support.tiny import in_memory, tiny_slots

pytestmark = pytest.mark.usefixtures("one_thread")
RATE_HZ = 16_000
SCENES = (
    "cello on the left, dog on the right",
    "cello on the right, dog on the left",
    "cello and dog in the center",
    "the cello moves from the left to the right, dog far right",
)
SETTINGS = RenderSettings(stems=True)


@pytest.mark.filterwarnings("ignore:no '.*' found")
def test_what_is_put_elsewhere_is_separated_once() -> None:
    model = in_memory(tiny_slots())
    kept = replace(model, separations=SeparationCache())
    rng = np.random.default_rng(0)
    sound, other = 0.1 * rng.standard_normal((2, RATE_HZ))
    assert kept.separations is not None
    for number, text in enumerate(SCENES):
        plain, again = (render(sound, RATE_HZ, Timeline.from_prompt(text), m, SETTINGS) for m in (model, kept))
        assert np.array_equal(plain.ears, again.ears), text
        assert kept.separations.hits == number
    hits = len(SCENES) - 1
    for x, text in ((other, SCENES[0]), (sound, "cello on the left, cat on the right"), (2 * sound, SCENES[0])):
        plain, again = (render(x, RATE_HZ, Timeline.from_prompt(text), m, SETTINGS) for m in (model, kept))
        assert np.array_equal(plain.ears, again.ears)
        assert kept.separations.hits == hits


def test_only_the_latest_are_kept() -> None:
    model = replace(in_memory(tiny_slots()), separations=SeparationCache(entries=1))
    first, second = 0.1 * np.random.default_rng(1).standard_normal((2, RATE_HZ // 2))
    prompt = Timeline.from_prompt(SCENES[0])
    assert model.separations is not None
    for sound, hits in ((first, 0), (first, 1), (second, 1), (first, 1)):
        render(sound, RATE_HZ, prompt, model, SETTINGS)
        assert model.separations.hits == hits

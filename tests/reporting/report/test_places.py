"""Places that a report measures: of one object, of a moving one, and of several by their stems."""

from __future__ import annotations

import numpy as np
import pytest

from tas_core.inference.baselines import through_head
from tas_core.reporting.report.places import NEEDS_STEMS, TOO_LITTLE, measure_places
from tas_core.timeline.segments import Timeline
from tests.support.bursts import noise, scene

RATE = 16_000


def test_one_object_is_measured_and_judged_by_its_side() -> None:
    x = noise(4.0)
    timeline = scene((0, 2, "cello 60 degrees to the left"), (2, 4, "cello in the center"))
    ears = through_head(x, RATE, timeline)
    for output, verdicts, first_deg in ((ears, [True, True], 60.0), (ears[::-1], [False, True], -60.0)):
        found = measure_places(output, RATE, timeline, x, {})
        places = [place for segment in found for place in segment.places]
        assert [place.passed for place in places] == verdicts
        assert places[0].measured_deg == pytest.approx(first_deg, abs=3)  # tas eval's measure of the same filter
        assert places[1].measured_deg == pytest.approx(0, abs=3)
        assert [place.basis for place in places] == ["whole sound"] * 2
        own = 10 * np.log10(np.square(output[0, : 2 * RATE]).sum() / np.square(output[1, : 2 * RATE]).sum())
        assert found[0].spl_difference_db == pytest.approx(own, abs=1e-9)


def test_of_a_moving_object_the_first_and_last_quarter_are_measured() -> None:
    x = noise(4.0)
    timeline = scene((0, 4, "the cello moves from 80 degrees left to 80 degrees right"))
    (segment,) = measure_places(through_head(x, RATE, timeline), RATE, timeline, x, {})
    assert [(p.part, p.requested_deg, p.passed) for p in segment.places] == [
        ("first quarter", 60.0, True),
        ("last quarter", -60.0, True),
    ]
    for place in segment.places:
        assert place.measured_deg == pytest.approx(place.requested_deg, abs=20)  # 40 degrees pass in a quarter


def test_of_several_objects_only_stems_tell() -> None:
    cello, dog = noise(3.0, 1), np.roll(noise(3.0, 2), 800)
    timeline = scene((0, 3, "cello on the left, dog on the right"))
    x = cello + dog
    ears = through_head(cello, RATE, Timeline.from_prompt("flute on the left"))
    ears += through_head(dog, RATE, Timeline.from_prompt("flute on the right"))
    (segment,) = measure_places(ears, RATE, timeline, x, {})
    assert [(p.measured_deg, p.reason, p.passed) for p in segment.places] == [(None, NEEDS_STEMS, None)] * 2
    (segment,) = measure_places(ears, RATE, timeline, x, {"cello": cello, "dog": dog})
    assert [p.measured_deg for p in segment.places] == pytest.approx([55, -55], abs=4)
    assert [(p.passed, p.basis) for p in segment.places] == [(True, "stem")] * 2
    (segment,) = measure_places(ears, RATE, timeline, x, {"dog": dog})  # what the stem leaves is another sound
    assert [p.reason for p in segment.places] == [NEEDS_STEMS, ""]
    assert segment.places[1].measured_deg == pytest.approx(-55, abs=4)


def test_silence_is_not_measured() -> None:
    timeline = scene((0, 1, "cello on the left"))
    (segment,) = measure_places(np.zeros((2, RATE)), RATE, timeline, np.zeros(RATE), {})
    assert segment.spl_difference_db is None
    assert [(p.measured_deg, p.reason) for p in segment.places] == [(None, TOO_LITTLE)]

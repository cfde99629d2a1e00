"""What a model heard: shares of energy, presence, and the stretches they are reported for."""

from __future__ import annotations

import numpy as np
import pytest

from tas_core.inference.presence import FOUND, Detection, PresenceTracker
from tas_core.timeline.clock import clock_time
from tas_core.timeline.segments import Segment, Timeline
from tests.support.tiny import rendered, tiny_slots


def _timeline(*segments: tuple[float, float, str]) -> Timeline:
    return Timeline(tuple(Segment.from_prompt(start, end, text) for start, end, text in segments))


def _listened(timeline: Timeline, presence: dict[str, list[float]], spacing_s: float = 0.25) -> PresenceTracker:
    """All frames at once; every object takes a quarter of a power of one."""
    listener = PresenceTracker(timeline)
    frames = len(next(iter(presence.values())))
    quarter = {name: np.full(frames, 0.25) for name in presence}
    arrays = {name: np.array(values) for name, values in presence.items()}
    listener.add(np.arange(frames) * spacing_s, np.ones(frames), quarter, arrays)
    return listener


def test_a_stretch_goes_on_as_long_as_segments_name_the_object() -> None:
    timeline = _timeline(
        (0, 1, "cello on the left"),
        (1, 3, "cello on the right, dog on the left"),
        (3, 4, "dog on the left"),
        (5, 6, "dog on the left"),  # after a gap
    )
    heard = _listened(timeline, {"cello": [1.0] * 24, "dog": [0.0] * 24})
    found = [(f.object, f.start_s, f.end_s, f.found) for f in heard.detections()]
    assert found == [("cello", 0, 3, True), ("dog", 1, 4, False), ("dog", 5, 6, False)]


def test_energy_shares_are_means_over_energy() -> None:
    timeline = _timeline(
        (0, 2, "cello on the left, dog on the right"),
        (2, 3, "cello on the left"),
        (3, 4, "cello on the left, dog on the right"),
    )
    power = np.array([1.0, 3.0, 0.0, 4.0])
    cello, dog = np.array([1.0, 0.0, 0.0, 2.0]), np.array([0.0, 3.0, 0.0, 1.0])
    for size in (1, 3, 4):  # however the frames come
        listener = PresenceTracker(timeline)
        for at in range(0, 4, size):
            part = slice(at, at + size)
            taken = {"cello": cello[part], "dog": dog[part]}
            listener.add(np.arange(4.0)[part], power[part], taken, {name: np.ones(4)[part] for name in taken})
        assert listener.energy_share(0, "cello") == pytest.approx(1 / 4)
        assert listener.energy_share(0, "dog") == pytest.approx(3 / 4)
        assert listener.energy_share(1, "cello") is None
        assert listener.energy_share(2, "cello") == pytest.approx(1 / 2)
        assert [(f.object, f.energy_share) for f in listener.detections()] == [
            ("cello", pytest.approx(3 / 8)),
            ("dog", pytest.approx(3 / 4)),
            ("dog", pytest.approx(1 / 4)),
        ]


@pytest.mark.parametrize(
    ("presence", "end_s", "expected"),
    [
        # Four frames are a second: a dog that barks for one is there,
        ([0.1] * 20 + [0.9] * 4 + [0.1] * 16, 10.0, 0.9),
        # one that may have barked for half a second is not.
        ([0.1] * 20 + [0.8] * 2 + [0.1] * 18, 10.0, 0.45),
        ([0.1] * 20 + [0.9] * 4 + [0.1] * 16, 5.0, 0.1),
        # A stretch shorter than a second is taken whole.
        ([0.2, 0.4, 0.9, 0.9], 0.5, 0.3),
    ],
)
def test_presence_is_that_of_the_best_second(presence: list[float], end_s: float, expected: float) -> None:
    timeline = _timeline((0, end_s, "dog on the left"))
    (found,) = _listened(timeline, {"dog": presence}).detections()
    assert found.presence == pytest.approx(expected)
    assert found.found == (expected >= FOUND)


def test_nothing_is_found_in_silence() -> None:
    listener = PresenceTracker(_timeline((0, 2, "cello on the left")))
    listener.add(np.arange(8) * 0.25, np.zeros(8), {"cello": np.zeros(8)}, {"cello": np.ones(8)})
    assert listener.detections() == (Detection("cello", 0, 2, None, 0.0),)
    assert not listener.detections()[0].found


def test_silence_around_a_short_sound_does_not_count() -> None:
    listener = PresenceTracker(_timeline((0, 2, "click on the left")))
    power = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    listener.add(np.arange(8) * 0.25, power, {"click": power / 2}, {"click": np.full(8, 0.8)})
    (found,) = listener.detections()
    assert found.presence == pytest.approx(0.8)
    assert found.energy_share == pytest.approx(0.5)


def test_too_short_to_be_looked_at_is_no_complaint() -> None:
    timeline = _timeline((0, 0.3, "dog on the left"), (0.3, 0.4, "cello on the left"))
    found = _listened(timeline, {"dog": [0.0] * 4}).detections()
    assert found[1] == Detection("cello", 0.3, 0.4, None, None)
    assert found[1].found


def test_a_model_shares_the_energy_out() -> None:
    model = tiny_slots()
    x = 0.1 * np.random.default_rng(0).standard_normal(4 * 16000)
    x[16000:32000] = 0
    timeline = _timeline(
        (0, 1, "cello on the left, dog on the right"),
        (1.1, 1.9, "cello on the left"),
        (2, 3, "dog in the center"),
        (3, 4, "cello in the center, dog on the left"),
    )
    result = rendered(x, 16000, timeline, model)
    both, silent, one, again = (s.energy_shares for s in result.segments)
    assert silent == (None,)
    # The masks leave nothing but the share of everything else, which is above 0.
    for shares in (both, one, again):
        assert None not in shares
        assert 0 < sum(shares) < 1  # type: ignore[arg-type]
    names = [(f.object, f.start_s, f.end_s) for f in result.detections]
    assert names == [("cello", 0, 1), ("dog", 0, 1), ("cello", 1.1, 1.9), ("dog", 2, 4), ("cello", 3, 4)]
    assert all(f.presence is not None and 0 <= f.presence <= 1 for f in result.detections)
    assert result.detections[2].presence == 0
    # White noise: both seconds of the dog weigh the same, but for the network's windows at the prompt's change.
    assert result.detections[3].energy_share == pytest.approx((one[0] + again[1]) / 2, abs=0.02)  # type: ignore


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (3, "0:03"), (62.5, "1:02.5"), (59.97, "1:00"), (3723.04, "1:02:03")]
)
def test_clock_time(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text

"""What a model shows of each object: sums over spans, however frames come, and the confidence made of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tas_core.inference.evidence import EvidenceMeter, FrameSums
from tas_core.inference.likeness import AlikePair
from tas_core.inference.presence import Detection
from tas_core.inference.result import Spatialized, complaints
from tas_core.inference.settings import RenderSettings
from tas_core.inference.stream import render
from tas_core.models.calibration import Calibration, Evidence
from tas_core.timeline.segments import Segment, Timeline
from tests.support.tiny import in_memory, tiny_slots

SCENE = Timeline(
    (
        Segment.from_prompt(0.0, 2.0, "cello on the left, dog on the right"),
        Segment.from_prompt(2.0, 3.0, "cello on the left"),
        Segment.from_prompt(5.0, 6.0, "dog on the right"),
    )
)
SIZES = [1, 3, 100]


def _measured(size: int, masks: np.ndarray, power: np.ndarray) -> tuple[Evidence | None, ...]:
    """Masks (object, frame, freq) under a power (frame, freq), a frame each tenth of a second."""
    meter = EvidenceMeter(SCENE)
    log_odds = np.linspace(-2, 2, len(power))[:, None].repeat(2, axis=1)
    over = lambda each: (each * power).sum(axis=2).T  # noqa: E731
    times_s = np.arange(len(power)) / 10
    for at in range(0, len(power), size):
        part = slice(at, at + size)
        each = (over(masks)[part], over(masks**2)[part], log_odds[part])
        meter.add(times_s[part], ("cello", "dog"), FrameSums(power.sum(axis=1)[part], *each))
    return meter.evidence()


@pytest.mark.parametrize("size", SIZES)
def test_evidence_is_taken_over_spans_however_frames_come(size: int) -> None:
    rng = np.random.default_rng(0)
    masks, power = rng.uniform(0, 0.5, (2, 60, 5)), rng.uniform(0, 1, (60, 5))
    power[10:15] = 0
    cello, dog, again = _measured(size, masks, power)
    assert cello is not None
    assert dog is not None
    assert again is not None
    m, p = masks[0, :30], power[:30]
    assert cello.sharpness == pytest.approx((m * m * p).sum() / (m * p).sum())
    assert cello.energy_share == pytest.approx((m * p).sum() / p.sum())
    log_odds = np.linspace(-2, 2, 60)
    assert cello.presence == pytest.approx(np.delete(log_odds[:30], range(10, 15)).mean())
    assert again.presence == pytest.approx(log_odds[50:60].mean())
    assert [each.alone for each in (cello, dog, again)] == pytest.approx([1 / 3, 0, 1])
    assert [each.alone_presence for each in (cello, again)] == pytest.approx([cello.presence / 3, again.presence])


def test_a_sharp_mask_expects_to_be_right_and_an_even_one_to_be_half_right() -> None:
    power = np.ones((60, 4))
    sharp, even = np.zeros((2, 60, 4)), np.full((2, 60, 4), 0.5)
    sharp[0, :, :2] = sharp[1, :, 2:] = 1
    assert [each and (each.sharpness, each.energy_share) for each in _measured(100, sharp, power)] == [(1, 0.5)] * 3
    assert [each and each.sharpness for each in _measured(100, even, power)] == [0.5] * 3


def test_nothing_is_known_of_silence_and_of_what_is_never_looked_at() -> None:
    assert _measured(100, np.ones((2, 60, 4)), np.zeros((60, 4))) == (None, None, None)
    assert EvidenceMeter(SCENE).evidence() == (None, None, None)


# ------------------------------------------------------------------ confidence

CALIBRATION = Calibration("", -1.0, {"sharpness": 3.0, "presence": 0.1, "alone": -2.0}, 0.5)


def _rendered(calibration: Calibration | None) -> Spatialized:
    noise = 0.1 * np.random.default_rng(1).standard_normal(6 * 16_000)
    noise[round(4.9 * 16_000) :] = 0
    model = replace(in_memory(tiny_slots(0)), calibration=calibration)
    return render(noise, 16_000, SCENE, model, RenderSettings())


def test_confidence_is_what_a_calibration_makes_of_evidence() -> None:
    plain, calibrated = _rendered(None), _rendered(CALIBRATION)
    assert [item.confidence for item in plain.detections] == [None] * 3
    assert not any(item.doubtful for item in plain.detections)
    assert calibrated.evidence == plain.evidence
    *known, silent = zip(calibrated.detections, calibrated.evidence, strict=True)
    for item, evidence in known:
        assert evidence is not None
        assert 0 < evidence.sharpness <= 1
        assert item.confidence == CALIBRATION.confidence(evidence)
        assert item.doubtful == (item.confidence < CALIBRATION.low)
    assert silent[0].confidence is silent[1] is None
    assert not silent[0].doubtful
    np.testing.assert_array_equal(calibrated.ears, plain.ears)


# ------------------------------------------------------------------ what is said

FOUND = Detection("cello", 0.0, 3.0, 0.5, 0.9, 0.8, doubtful=False)


def test_people_are_told_of_what_is_doubtful_once() -> None:
    doubtful = replace(FOUND, confidence=0.123, doubtful=True)
    missing = replace(doubtful, presence=0.1)
    assert list(complaints([FOUND], [])) == []
    (said,) = complaints([FOUND, doubtful], [])
    assert said.startswith("confidence of only 0.12 in 'cello' from 0:00 to 0:03: what was taken for it may be another")
    assert list(complaints([missing], [])) == ["no 'cello' found from 0:00 to 0:03"]
    pair = AlikePair(("cello", "dog"), 0.0, 2.0, 0.9, 1)
    assert list(complaints([doubtful], [pair])) == [pair.message]
    assert list(complaints([missing], [pair])) == [missing.message, pair.message]

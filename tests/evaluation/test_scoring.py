"""Scores of one clip: where objects are, what is found, and levels over time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tas_core.datasets.tasbench.layout import TasBench
from tas_core.evaluation.baselines import Baseline
from tas_core.evaluation.clips import EvalClip, read_clip
from tas_core.evaluation.metrics import azimuth_error_deg, rank_audio, rank_object, side_of
from tas_core.evaluation.scoring import (
    ObjectSpan,
    direction_measures,
    presence_measures,
    spans_of,
    spl_error_db,
)
from tas_core.inference.presence import Detection
from tas_core.timeline.segments import Timeline
from tests.conftest import tone

RATE_HZ = 16_000


# ------------------------------------------------------------------ where objects are


def test_spans_of_rest_and_movement() -> None:
    assert spans_of(((0.0, 10.0), (10.0, 10.0)), 9.5) == [(0.0, 9.5)]
    assert spans_of(((0.0, 10.0), (4.0, 10.0), (6.0, -50.0), (10.0, -50.0)), 10.0) == [
        (0.0, 4.0), (4.0, 4.5), (4.5, 5.0), (5.0, 5.5), (5.5, 6.0), (6.0, 10.0)
    ]  # fmt: skip
    # Movement from the first moment, and a clip that ends on the way.
    assert spans_of(((0.0, 0.0), (0.0, 0.0), (2.0, 40.0)), 1.0) == [(0.0, 0.5), (0.5, 1.0)]


def test_scores_of_resting_objects_are_those_of_the_measures() -> None:
    asked, heard = [40.0, 3.0, -60.0], [20.0, -18.0, None]
    spans = tuple(ObjectSpan(k, 0.0, 10.0, a, h) for k, (a, h) in enumerate(zip(asked, heard, strict=True)))
    found = direction_measures(spans, degrees=True)
    measured = np.array([np.nan if h is None else h for h in heard])
    assert found == {
        "rank_object": rank_object(measured, asked),
        "rank_audio": rank_audio(measured, asked),
        "azimuth_error_deg": azimuth_error_deg(measured, asked),
    }
    assert "azimuth_error_deg" not in direction_measures(spans, degrees=False)
    assert direction_measures((ObjectSpan(0, 0, 1, 30.0, None),), degrees=True) == {}


def test_scores_of_moving_objects_are_their_formulas() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        spans = []
        for k in range(int(rng.integers(1, 4))):
            edges = np.cumsum(rng.uniform(0.2, 3.0, int(rng.integers(2, 9))))
            for start, end in zip(edges, edges[1:], strict=False):
                heard = None if rng.random() < 0.3 else float(rng.uniform(-90, 90))
                spans.append(ObjectSpan(k, float(start), float(end), float(rng.uniform(-90, 90)), heard))
        # Their definitions, span by span.
        right, errors = [], []
        for k in sorted({span.object for span in spans}):
            mine = [span for span in spans if span.object == k and span.measured_deg is not None]
            if not mine:
                continue
            length_s = np.array([span.end_s - span.start_s for span in mine])
            true_deg = np.array([span.true_deg for span in mine])
            measured_deg = np.array([span.measured_deg for span in mine], float)
            right.append(float(np.average(side_of(measured_deg) == side_of(true_deg), weights=length_s)))
            errors.append(float(np.average(np.abs(measured_deg - true_deg), weights=length_s)))
        expected = {}
        if right:
            expected = {
                "rank_object": float(np.mean(right)),
                "rank_audio": float(min(right) > 0.5),
                "azimuth_error_deg": float(np.mean(errors)),
            }
        assert direction_measures(tuple(spans), degrees=True) == expected


def test_movement_counts_by_its_time() -> None:
    spans = (ObjectSpan(0, 0.0, 3.0, 60.0, 50.0), ObjectSpan(0, 3.0, 4.0, 20.0, 10.0))
    found = direction_measures(spans, degrees=True)
    assert found == {"rank_object": 0.75, "rank_audio": 1.0, "azimuth_error_deg": 10.0}


# ------------------------------------------------------------------ names of what is not there


class Hearing(Baseline):
    """Finds everything but what it is told, in stretches of one and three seconds."""

    def __init__(self, deaf_to: set[str]) -> None:
        super().__init__("mono")
        object.__setattr__(self, "deaf_to", deaf_to)

    def detections(self, clip: EvalClip, timeline: Timeline) -> tuple[Detection, ...]:
        assert clip.timeline != timeline
        names = dict.fromkeys(clause.object for segment in timeline.segments for clause in segment.clauses)
        return tuple(
            Detection(name, start_s, end_s, 0.5, 0.0 if name in self.deaf_to and start_s == 1 else 1.0)
            for name in names
            for start_s, end_s in ((0.0, 1.0), (1.0, 4.0))
        )


def test_presence_is_a_share_of_the_time(scored: TasBench) -> None:
    clip = read_clip(scored, scored.clips()[0], "degrees")
    extended = clip.decoy_timeline()
    assert extended is not None
    assert clip.timeline is not None
    first = clip.timeline.segments[0].clauses[0].object
    assert len(clip.phrases) == 2
    all_found = presence_measures(Hearing(set()), clip)
    assert all_found == {"found_present": 1.0, "found_absent": 1.0}
    some = presence_measures(Hearing({first, extended[1]}), clip)
    # One of two objects is missed for three of its four seconds, and so is the decoy.
    assert some == pytest.approx({"found_present": (4 + 1) / 8, "found_absent": 0.25})
    assert presence_measures(Hearing(set()), replace(clip, scene=None)) == {}


def pair(seed: int = 0, seconds: float = 1.0, rate_hz: int = RATE_HZ) -> tuple[np.ndarray, np.ndarray]:
    """A prediction and a reference, (ear, time)."""
    truth = tone(seconds, rate_hz, channels=2)
    return truth + 0.05 * np.random.default_rng(seed).standard_normal(truth.shape), truth


def test_difference_of_levels_over_time() -> None:
    _, truth = pair()
    # Half the level on the right is 6.02 dB throughout.
    assert spl_error_db(truth * np.array([[1.0], [0.5]]), truth) == pytest.approx(20 * np.log10(2), abs=1e-9)
    assert spl_error_db(truth, truth) == 0
    assert np.isnan(spl_error_db(truth, 0 * truth))
    # One silent ear stops at 40 dB.
    assert spl_error_db(np.stack([truth[0], 0 * truth[0]]), np.stack([truth[0], truth[0]])) == 40

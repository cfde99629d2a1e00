"""Whether confidence is judged rightly: right stems, prompts that are wrong, scores, what an evaluation keeps."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from tas_core.datasets.tasbench.layout import TasBench
from tas_core.errors import InputError
from tas_core.evaluation.baselines import Baseline
from tas_core.evaluation.clips import EvalClip, read_clip
from tas_core.evaluation.confidence import (
    confidence_measures,
    judged_objects,
    outcome,
    prompts_of,
    reliability,
    stem_is_right,
)
from tas_core.evaluation.files import evaluate_files
from tas_core.evaluation.runner import evaluate
from tas_core.inference.presence import Detection
from tas_core.models.calibration import Calibration, write_calibration
from tas_core.models.checkpoints import load_checkpoint
from tas_core.timeline.segments import Timeline
from tests.evaluation.conftest import ONE

SETTINGS = replace(ONE, also=("confidence",))


# ------------------------------------------------------------------ what is right


@pytest.mark.parametrize(
    ("own_share", "other_share", "right"),
    [
        (1.0, 0.0, True),
        (0.6, 0.5, True),
        (0.6, 0.7, False),  # more of the rest than of the object
        (0.4, 0.0, False),  # not half of the object
        (0.0, 0.0, False),
        (0.0, 1.0, False),  # two names exchanged
    ],
)
def test_a_right_stem_has_most_of_its_object_and_is_mostly_it(
    own_share: float, other_share: float, right: bool
) -> None:
    rng = np.random.default_rng(0)
    own, other = np.linalg.qr(rng.standard_normal((4000, 2)))[0].T
    assert stem_is_right(own_share * own + other_share * other, own, own + other) == right


def test_energies_count() -> None:
    """A loud rest spoils a stem of a soft object that takes little of it."""
    own, other = np.linalg.qr(np.random.default_rng(0).standard_normal((4000, 2)))[0].T
    assert stem_is_right(0.9 * own + 0.3 * other, own, own + other)
    assert not stem_is_right(0.9 * own + 0.3 * (2 * other), own, own + 2 * other)
    assert not stem_is_right(own, 0 * own, own)


def test_an_object_is_judged_over_its_span() -> None:
    sound = np.random.default_rng(0).standard_normal(32_000)
    own = np.concatenate([sound[:16_000], 0.01 * sound[16_000:]])
    first, second = Detection("cello", 0, 1, 0.5, 1.0), Detection("cello", 1, 2, 0.5, 1.0)
    estimate = np.concatenate([sound[:16_000], np.zeros(16_000)])
    assert outcome(first, estimate, sound, own) == (True, True)
    assert outcome(second, estimate, sound, own) == (False, False)  # -40 dB is not there
    assert outcome(second, estimate, sound, sound) == (True, False)
    assert outcome(first, estimate, sound, None) == (False, False)


# ------------------------------------------------------------------ prompts


def _objects(timeline: Timeline) -> list[set[str]]:
    return [{clause.object for clause in segment.clauses} for segment in timeline.segments]


def test_prompts_have_a_name_too_many_or_a_wrong_one(scored: TasBench) -> None:
    for name in scored.clips():
        clip = read_clip(scored, name, "degrees")
        assert clip.timeline is not None
        *_, (kind, more, true), (other_kind, wrong, left) = prompts_of(clip)
        assert (kind, other_kind) == ("extended", "replaced")
        assert next(prompts_of(clip))[:2] == ("own", clip.timeline)
        (added,) = set(more.objects) - set(clip.timeline.objects)
        assert set(true) == set(clip.phrases)
        (gone,) = set(true) - set(left)
        assert _objects(more) == [names | {added} for names in _objects(clip.timeline)]
        assert _objects(wrong) == [{added if n == gone else n for n in names} for names in _objects(clip.timeline)]
        for before, after in zip(clip.timeline.segments, wrong.segments, strict=True):
            assert [clause.azimuth for clause in before.clauses] == [clause.azimuth for clause in after.clauses]
        # The same for whoever asks again.
        assert wrong == list(prompts_of(clip))[2][1]
    assert list(prompts_of(replace(clip, scene=None, stems=None))) == []


class Sure(Baseline):
    """Hears the true stems of all but one object, and is sure of names by their length."""

    def __init__(self, wrong: str) -> None:
        super().__init__("mono")
        object.__setattr__(self, "wrong", wrong)

    def heard(self, clip: EvalClip, timeline: Timeline) -> tuple[tuple[Detection, ...], dict[str, np.ndarray]]:
        assert clip.stems is not None
        stems = dict(zip(clip.phrases, clip.stems.mean(axis=1), strict=True))
        stems |= {name: clip.mono for name in timeline.objects if name not in stems}
        if self.wrong:
            stems[self.wrong] = clip.mono - stems[self.wrong]
        span = 0.0, clip.duration_s
        found = [Detection(name, *span, 0.5, 1.0, 1 / len(name), len(name) > 9) for name in timeline.objects]
        return (*found, Detection(timeline.objects[0], 0.0, 0.01, None, None)), stems


def test_objects_are_judged_under_all_prompts(scored: TasBench) -> None:
    clip = read_clip(scored, scored.clips()[0], "degrees")
    first, second = clip.phrases
    judged = judged_objects(Sure(first), clip)
    assert [(item.prompts, item.object) for item in judged] == [
        (kind, name) for kind, timeline, _ in prompts_of(clip) for name in timeline.objects
    ]
    gone = ({first, second} - {item.object for item in judged if item.prompts == "replaced"}).pop()
    for item in judged:
        there = item.object in (first, second)
        assert item.sounds == there
        assert item.right == (there and item.object != first)
        assert item.confidence == 1 / len(item.object)
        assert item.doubtful == (len(item.object) > 9)
    assert sum(item.sounds for item in judged) == 5
    assert gone in (first, second)
    assert judged_objects(Baseline("mono"), clip) == ()


# ------------------------------------------------------------------ scores


def _object(confidence: float, right: bool, sounds: bool = True) -> dict[str, object]:
    return {"confidence": confidence, "right": right, "doubtful": confidence < 0.3, "sounds": sounds}


CLIPS = [
    [_object(0.9, True), _object(0.2, True), _object(0.1, False, sounds=False)],
    [],
    [_object(0.4, False), _object(0.8, True), _object(0.25, False, sounds=False), _object(0.6, False, sounds=False)],
]


def test_scores_by_hand() -> None:
    found = {name: item.mean for name, item in confidence_measures(CLIPS, seed=0).items()}
    assert found == pytest.approx(
        {
            "right_stems": 3 / 7,
            # Of the twelve pairs of right and wrong: 0.9 and 0.8 are above all four, 0.2 above one.
            "confidence_auc": 9 / 12,
            "confidence_brier": (0.01 + 0.64 + 0.01 + 0.16 + 0.04 + 0.0625 + 0.36) / 7,
            "confidence_ece": (0.1 + 0.55 / 2 * 2 + 0.1 + 0.4 + 0.2 + 0.6 - 0.55 + abs(0.225 - 0.5) * 2) / 7,
            "trusted_right": 2 / 3,
            "trusted_wrong": 2 / 4,
            "trusted_present": 3 / 4,
            "trusted_absent": 1 / 3,
        }
    )
    assert {item.count for item in confidence_measures(CLIPS, seed=0).values()} == {2}
    assert sum(item.count for item in reliability(CLIPS)) == 7
    assert confidence_measures([[], []], seed=0) == {}
    assert reliability([[], []]) == ()


def test_what_there_is_none_of_has_no_score() -> None:
    found = confidence_measures([[_object(0.9, True)], [_object(0.8, True)]], seed=0)
    assert {name for name, item in found.items() if np.isnan(item.mean)} == {
        "confidence_auc",
        "trusted_wrong",
        "trusted_absent",
    }


# ------------------------------------------------------------------ evaluations


def test_an_evaluation_scores_confidence_and_keeps_it(scored: TasBench, calibrated: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=2)
    table = evaluate(scored, [str(calibrated), "mono"], settings, out=tmp_path)
    row = table.row(str(calibrated))
    assert {"confidence_brier", "confidence_ece", "trusted_present", "trusted_absent"} <= row.measures.keys()
    assert not [name for name in table.row("mono").measures if name.startswith(("confidence", "trusted"))]
    kept = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text("utf-8").splitlines()]
    assert [line["kind"] for line in kept].count("confidence") == 2
    said = table.as_dict()["rows"][0]
    for name, clip in said["clips"].items():
        (line,) = (line for line in kept if (line["kind"], line["clip"]) == ("confidence", name))
        assert clip["confidence"] == line["result"]["confidence"]
        # Two names and one more, and two names one of which is wrong; some with pauses.
        named = lambda prompts: {(i["object"], i["sounds"]) for i in clip["confidence"] if i["prompts"] == prompts}  # noqa: E731, B023
        assert [sorted(sounds for _, sounds in named(prompts)) for prompts in ("own", "extended", "replaced")] == [
            [True, True],
            [False, True, True],
            [False, True],
        ]
        assert all(0 < item["confidence"] < 1 for item in clip["confidence"])
    count = sum(len(clip["confidence"]) for clip in said["clips"].values())
    assert sum(item["count"] for item in said["reliability"]) == count
    assert evaluate(scored, [str(calibrated), "mono"], settings, out=tmp_path).computed == 0
    # Another calibration is another confidence, and nothing else.
    model = load_checkpoint(calibrated)
    other = shutil.copytree(calibrated, tmp_path / "other")
    write_calibration(other, Calibration(model.digest, 1.0, {"sharpness": 2.0}, 0.4))
    again = evaluate(scored, [str(other)], settings, out=tmp_path)
    assert again.computed == 2
    after = again.row(str(other)).measures
    assert after["snr_db"] == row.measures["snr_db"]
    assert after["right_stems"] == row.measures["right_stems"]
    assert after["confidence_brier"] != row.measures["confidence_brier"]


def test_a_model_without_a_calibration_is_named(scored: TasBench, tiny_model: Path) -> None:
    table = evaluate(scored, [str(tiny_model), "mono"], replace(SETTINGS, clips=1))
    assert table.notes == (f"{tiny_model}: its model has no calibration, so no confidence in what it finds is known",)
    row = table.as_dict()["rows"][0]
    assert "reliability" not in row
    assert all(clip.keys() == {"measures", "objects"} for clip in row["clips"].values())


def test_files_have_no_confidence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="files have no measures of 'confidence'; expected some of cited, speech"):
        evaluate_files(tmp_path, tmp_path, also=("confidence",))


def test_judged_objects_are_plain_values(scored: TasBench) -> None:
    clip = read_clip(scored, scored.clips()[0], "degrees")
    values = [asdict(item) for item in judged_objects(Sure(""), clip)]
    assert json.loads(json.dumps(values)) == values

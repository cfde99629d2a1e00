"""Scores of systems on a data set: floors and ceilings are where they must be, and nothing is computed twice."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file, save_file

from tas_core.acoustics.rooms import direct_response
from tas_core.datasets.sources.catalogue import SOUND_KINDS, load_categories
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.errors import InputError, TasError
from tas_core.evaluation import runner, workers
from tas_core.evaluation.baselines import Baseline
from tas_core.evaluation.clips import read_clip, read_ears
from tas_core.evaluation.metrics import paper_metrics
from tas_core.evaluation.results import Evaluation
from tas_core.evaluation.runner import evaluate
from tas_core.evaluation.scoring import MEASURES
from tas_core.evaluation.settings import EvaluationSettings
from tas_core.evaluation.systems import SystemSpec
from tas_core.system.processes import KILLED
from tests.conftest import Finished
from tests.evaluation.conftest import ONE, mean
from tests.support.fairplay import write_fairplay, write_timelines
from tests.support.scored import PLACES, dry_scene, write_scenes
from tests.support.sofa_files import uneven_head

CENTRE_SHARE = np.mean([abs(a) <= 15 for pair in PLACES for a in pair])


# ------------------------------------------------------------------ floors and ceilings


def test_truth_is_the_ceiling(table: Evaluation) -> None:
    assert mean(table, "truth", "rank_object") > 0.9
    assert mean(table, "truth", "azimuth_error_deg") < 5
    for measure in ("stft", "env", "wav_x1000", "amp", "pha", "ic_error", "ild_error_db", "itd_error_us"):
        assert mean(table, "truth", measure) == pytest.approx(0, abs=1e-12)
    for row in table.rows[1:]:
        for clip, values in row.values.items():
            assert values["snr_db"] < table.row("truth").values[clip]["snr_db"]


def test_mono_is_right_exactly_where_the_center_was_asked(table: Evaluation) -> None:
    assert mean(table, "mono", "rank_object") == pytest.approx(CENTRE_SHARE, abs=1e-12)
    assert mean(table, "mono", "rank_audio") == 0
    expected = np.mean([abs(a) for pair in PLACES for a in pair])
    assert mean(table, "mono", "azimuth_error_deg") == pytest.approx(expected, abs=1e-6)


def test_mono_and_truth_by_the_measures_themselves(table: Evaluation, scored: TasBench) -> None:
    for clip in table.clips:
        ears, _ = soundfile.read(scored.audio_path(clip))
        middle = ears.mean(axis=1)
        expected = paper_metrics(np.stack([middle, middle]), ears.T)
        found = table.row("mono").values[clip]
        assert found["snr_db"] == pytest.approx(float(expected.snr_db), abs=1e-4)
        assert found["stft"] == pytest.approx(float(expected.stft), rel=1e-5)


def test_oracles_stand_above_floors(table: Evaluation) -> None:
    """Dry objects in bands of their own: their true stems at their true places are nearly the truth."""
    assert mean(table, "oracle-direct", "snr_db") > mean(table, "mono", "snr_db") + 6
    assert mean(table, "oracle-mask", "snr_db") > mean(table, "mono", "snr_db") + 4
    for row in ("oracle-direct", "oracle-mask"):
        assert mean(table, row, "rank_object") == 1
        assert mean(table, row, "azimuth_error_deg") < 3
        assert mean(table, row, "ild_error_db") < 0.7 * mean(table, "mono", "ild_error_db")
        assert mean(table, row, "itd_error_us") < 0.5 * mean(table, "mono", "itd_error_us")
    # The whole mix goes to one place: never both objects right where they are on two sides.
    assert mean(table, "hrtf", "rank_audio") < 0.5


def test_true_stems_through_the_renderer_of_given_sounds_are_the_oracle(table: Evaluation, scored: TasBench) -> None:
    clip = read_clip(scored, table.clips[0])
    made, _ = Baseline("sources")(clip, None, 0)
    oracle, _ = Baseline("oracle-direct")(clip, None, 0)
    np.testing.assert_allclose(made, oracle, atol=1e-6)
    assert np.abs(made[0] - made[1]).max() > 0.01


def test_the_mean_place_is_right_for_one_object(tmp_path: Path) -> None:
    data = write_scenes(tmp_path / "d", [dry_scene(n, [a], "degrees") for n, a in enumerate((50.0, -65.0, 20.0), 1)])
    table = evaluate(data, ["hrtf", "pan", "mono"], ONE)
    assert mean(table, "hrtf", "azimuth_error_deg") < 3
    assert mean(table, "hrtf", "snr_db") > mean(table, "mono", "snr_db") + 6
    assert table.row("hrtf").groups.keys() - set(SOUND_KINDS) == {"1 object", "dry"}
    louder = {clip: values["rank_object"] for clip, values in table.row("pan").values.items()}
    assert set(louder.values()) <= {0.0, 1.0}


def test_obedience(table: Evaluation) -> None:
    for row in ("tiny", "pan", "hrtf", "oracle-mask"):
        assert mean(table, row, "mirror_db") < -100
        assert mean(table, row, "center_spl_db") == pytest.approx(0, abs=1e-9)
    assert mean(table, "oracle-mask", "swap_accuracy") == 1
    assert mean(table, "pan", "swap_accuracy") == 0
    # Pairs on two sides, more than 30 degrees apart: all five.
    assert table.row("oracle-mask").measures["swap_accuracy"].count == 5
    for row in ("truth", "mono", "oracle-direct"):
        assert not {"mirror_db", "swap_accuracy", "center_spl_db"} & table.row(row).measures.keys()
    for each in table.rows:
        assert each.measures["mono_sum_error_db"].mean < -120


def test_control_clips_are_a_limit(scored: TasBench) -> None:
    table = evaluate(scored, ["pan"], replace(ONE, control=True, control_clips=2))
    counts = {name: table.row("pan").measures[name].count for name in ("snr_db", "mirror_db", "swap_accuracy")}
    assert counts == {"snr_db": 5, "mirror_db": 2, "swap_accuracy": 2}


def test_intervals_and_differences(table: Evaluation) -> None:
    for row in table.rows:
        for value in row.measures.values():
            assert np.isnan(value.low) or value.low - 1e-9 <= value.mean <= value.high + 1e-9
        for measure, value in row.differences.items():
            first = table.rows[0].measures[measure].mean
            assert value.mean == pytest.approx(row.measures[measure].mean - first, abs=1e-9)
    assert table.rows[0].differences == {}
    assert table.rows[1].differences.keys() >= {"snr_db", "rank_object"}


def test_only_models_have_a_speed(table: Evaluation) -> None:
    assert [row.name for row in table.rows if "real_time_factor" in row.measures] == ["tiny"]
    assert 0 < mean(table, "tiny", "real_time_factor") < 100
    assert table.row("tiny").about["steps"] == 1


def test_the_untrained_model_is_what_spatialize_makes(table: Evaluation, scored: TasBench, tiny_model: Path) -> None:
    from tas_core.inference.engine import load_model
    from tas_core.inference.stream import render

    clip = table.clips[0]
    ears, _ = soundfile.read(scored.audio_path(clip))
    made = render(ears.mean(axis=1), 16000, scored.timeline(clip), load_model(str(tiny_model))).ears
    expected = paper_metrics(made, ears.T.copy())
    assert table.row("tiny").values[clip]["snr_db"] == pytest.approx(float(expected.snr_db), abs=1e-3)


# ------------------------------------------------------------------ where objects are


def test_a_moving_object_is_followed(tmp_path: Path) -> None:
    still = dry_scene(1, [70.0], "degrees")
    path = ((0.0, 70.0), (0.4, 70.0), (1.6, -70.0), (10.0, -70.0))
    moving = replace(still, objects=(replace(still.objects[0], path=path),))
    table = evaluate(write_scenes(tmp_path / "d", [moving]), ["truth", "hrtf", "mono"], replace(ONE, control=True))
    spans = table.row("truth").objects[moving.clip]
    assert [round(span["true_deg"]) for span in spans] == [70, 35, -35, -70]
    assert mean(table, "truth", "azimuth_error_deg") < 12
    assert mean(table, "hrtf", "azimuth_error_deg") < 12
    assert "swap_accuracy" not in table.row("hrtf").measures


# ------------------------------------------------------------------ going on, and processes


def without_speed(table: Evaluation) -> dict[str, dict[str, dict[str, float]]]:
    return {
        row.name: {
            clip: {name: value for name, value in values.items() if name != "real_time_factor"}
            for clip, values in row.values.items()
        }
        for row in table.rows
    }


def test_a_second_run_computes_nothing(scored: TasBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = evaluate(scored, ["mono", "pan"], ONE, out=tmp_path / "o")
    assert first.computed == 10
    calls: list[str] = []
    original = Baseline.__call__
    monkeypatch.setattr(Baseline, "__call__", lambda self, *a: (calls.append(self.name), original(self, *a))[1])
    again = evaluate(scored, ["mono", "pan"], ONE, out=tmp_path / "o")
    assert calls == []
    assert again.computed == 0
    assert without_speed(again) == without_speed(first)
    assert again.row("pan").objects == first.row("pan").objects
    # Another name is the same system; other captions and control are more to do.
    assert evaluate(scored, [SystemSpec("x", "mono")], ONE, out=tmp_path / "o").computed == 0
    assert evaluate(scored, ["pan"], replace(ONE, control=True), out=tmp_path / "o").computed == 5
    assert evaluate(scored, ["pan"], replace(ONE, captions="coarse"), out=tmp_path / "o").computed == 5


def test_changed_clips_and_cut_lines_are_computed_anew(own: TasBench, tmp_path: Path) -> None:
    evaluate(own, ["mono"], ONE, out=tmp_path / "o")
    results = tmp_path / "o" / "results.jsonl"
    results.write_bytes(results.read_bytes()[:-20])
    assert evaluate(own, ["mono"], ONE, out=tmp_path / "o").computed == 1
    clip = own.clips()[0]
    ears, rate_hz = soundfile.read(own.audio_path(clip))
    soundfile.write(own.audio_path(clip), ears[:, ::-1], rate_hz)
    assert evaluate(own, ["mono"], ONE, out=tmp_path / "o").computed == 1
    assert evaluate(own, ["mono"], ONE, out=tmp_path / "o").computed == 0


def test_an_interrupted_run_is_gone_on_with(scored: TasBench, tmp_path: Path) -> None:
    def interrupt(share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(scored, ["mono", "truth"], ONE, out=tmp_path / "o", progress=interrupt)
    table = evaluate(scored, ["mono", "truth"], ONE, out=tmp_path / "o")
    assert table.computed == 4
    assert without_speed(table) == without_speed(evaluate(scored, ["mono", "truth"], ONE))


@pytest.mark.slow
def test_processes_change_nothing(scored: TasBench, tiny_model: Path) -> None:
    rows = [SystemSpec("tiny", str(tiny_model)), SystemSpec("sampled", str(tiny_model), 3), "oracle-mask"]
    shares: list[float] = []
    one = evaluate(scored, rows, replace(ONE, control=True, control_clips=1))
    two = evaluate(scored, rows, replace(ONE, control=True, control_clips=1, jobs=2), progress=shares.append)
    assert without_speed(one) == without_speed(two)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert two.machine["jobs"] == 2


@pytest.mark.slow
def test_an_interruption_ends_the_processes(scored: TasBench, tmp_path: Path) -> None:
    def interrupt(share: float) -> None:
        if share > 0:
            raise KeyboardInterrupt

    before = set(multiprocessing.active_children())
    with pytest.raises(KeyboardInterrupt):
        evaluate(scored, ["mono", "hrtf"], replace(ONE, jobs=2), out=tmp_path / "o", progress=interrupt)
    until_s = time.monotonic() + 20
    while set(multiprocessing.active_children()) - before:
        assert time.monotonic() < until_s
        time.sleep(0.05)
    assert evaluate(scored, ["mono", "hrtf"], ONE, out=tmp_path / "o").computed == 9


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False])
def test_a_process_that_is_killed_costs_its_task_only(scored: TasBench, tmp_path: Path, kept: bool) -> None:
    """What it was at is named; where results are kept, a later run has only that left to do."""
    before = set(multiprocessing.active_children())
    killed: list[int | None] = []

    def kill(fraction: float) -> None:
        del fraction
        if not killed:
            process = (set(multiprocessing.active_children()) - before).pop()
            killed.append(process.pid)
            process.kill()

    rows, out = ["mono", "hrtf"], tmp_path / "o"
    with pytest.raises(TasError) as caught:
        evaluate(scored, rows, replace(ONE, jobs=2), out=out if kept else None, progress=kill)
    said = re.fullmatch(rf"(mono|hrtf), clip (\w+): {re.escape(KILLED)}(.*)", str(caught.value))
    assert said is not None
    assert said[2] in scored.clips()
    assert not set(multiprocessing.active_children()) - before
    if not kept:
        assert said[3] == ""
        return
    assert said[3] == f"; all other results are kept in {out}, run it again for the rest"
    table = evaluate(scored, rows, ONE, out=out)
    assert table.computed == 1
    assert without_speed(table) == without_speed(evaluate(scored, rows, ONE))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("whole", "said"),
    [
        (True, "^mine: its checkpoint was written to while it was read; run it again\n"),
        (False, "model.safetensors is damaged or belongs to another config.json: its SHA-256 differs"),
    ],
)
def test_a_checkpoint_that_changes_before_all_have_read_it_is_refused(
    scored: TasBench, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool, said: str
) -> None:
    """As where a training run saves one meanwhile, or is just at it."""
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))

    def train(*arguments: Any) -> Any:
        path = model / "model.safetensors"
        save_file({name: value + 1 for name, value in load_file(path).items()}, path)
        if whole:
            config = json.loads((model / "config.json").read_text())
            config["weights_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
            (model / "config.json").write_text(json.dumps(config))
        return workers.computed(*arguments)

    monkeypatch.setattr(runner, "computed", train)
    with pytest.raises(TasError, match=said):
        evaluate(scored, [SystemSpec("mine", str(model))], replace(ONE, jobs=2))


def test_fewer_clips_are_the_first_of_more(scored: TasBench) -> None:
    two = evaluate(scored, ["mono"], replace(ONE, clips=2)).clips
    three = evaluate(scored, ["mono"], replace(ONE, clips=3)).clips
    assert len(two) == 2
    assert set(two) < set(three)


def test_outputs_are_kept(scored: TasBench, tmp_path: Path) -> None:
    settings = replace(ONE, clips=1, save_audio=True)
    table = evaluate(scored, [SystemSpec("my pan", "pan")], settings, out=tmp_path / "o")
    path = tmp_path / "o" / "audio" / "my_pan" / f"{table.clips[0]}.wav"
    ears, rate_hz = soundfile.read(path)
    truth, _ = soundfile.read(scored.audio_path(table.clips[0]))
    assert rate_hz == 16000
    np.testing.assert_allclose(ears.mean(axis=1), truth.mean(axis=1), atol=1e-6)
    path.unlink()
    assert evaluate(scored, [SystemSpec("my pan", "pan")], settings, out=tmp_path / "o").computed == 1
    assert path.exists()
    with pytest.raises(InputError, match="only with a folder to write to"):
        evaluate(scored, ["pan"], settings)


# ------------------------------------------------------------------ what cannot be used


def test_useless_clips_are_excluded_and_counted(own: TasBench) -> None:
    silent, nan, narrow, ruined, kept = own.clips()
    ears, rate_hz = soundfile.read(own.audio_path(kept))
    soundfile.write(own.audio_path(silent), 0 * ears, rate_hz)
    spoilt = ears.copy()
    spoilt[100, 1] = np.nan
    soundfile.write(own.audio_path(nan), spoilt, rate_hz, subtype="FLOAT")
    soundfile.write(own.audio_path(narrow), ears[:, 0], rate_hz)
    (own.stem_folder(ruined) / "scene.json").write_text("{")
    table = evaluate(own, ["mono", "truth"], ONE)
    assert table.clips == (kept,)
    assert table.row("mono").measures["snr_db"].count == 1
    report = table.as_dict()["excluded"]
    assert report["count"] == 4
    assert "silent" in report["clips"][silent]
    assert "nan" in report["clips"][nan]
    assert "1 channel, expected two" in report["clips"][narrow]
    assert "not JSON" in report["clips"][ruined]
    own.audio_path(kept).write_bytes(b"no audio")
    with pytest.raises(InputError, match=r"no clip can be used; .*and 4 more"):
        evaluate(own, ["mono"], ONE)


def test_missing_stems_and_timelines(own: TasBench) -> None:
    lost, untold, *_ = own.clips()
    (own.stem_folder(lost) / "0.flac").unlink()
    own.timeline_path(untold).unlink()
    table = evaluate(own, ["pan", "mono"], ONE)
    assert set(table.excluded) == {lost, untold}
    # Rows that follow no text need none.
    assert set(evaluate(own, ["mono"], ONE).excluded) == {lost}


def test_a_system_that_fails_is_excluded_alone(scored: TasBench, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Baseline.__call__
    bad = scored.clips()[1]

    def broken(self: Baseline, clip: object, *others: object) -> tuple[np.ndarray, float | None]:
        ears, seconds = original(self, clip, *others)  # type: ignore[arg-type]
        return (ears * np.nan if self.name == "pan" and clip.name == bad else ears), seconds  # type: ignore[attr-defined]

    monkeypatch.setattr(Baseline, "__call__", broken)
    table = evaluate(scored, ["mono", "pan"], ONE)
    assert set(table.row("pan").excluded) == {bad}
    assert table.row("pan").measures["snr_db"].count == 4
    assert table.row("mono").measures["snr_db"].count == 5
    assert table.row("pan").differences["snr_db"].count == 4
    report = next(row for row in table.as_dict()["rows"] if row["name"] == "pan")
    assert report["excluded"]["count"] == 1


def test_a_data_set_without_stems(tmp_path: Path) -> None:
    data = TasBench(write_fairplay(tmp_path / "fp"))
    text = 'start: 0, end: 9.9, text: "cello on the left, piano in the center"'
    write_timelines(data.root, {clip: [text] for clip in data.clips()})
    table = evaluate(data, ["oracle-mask", "pan", "mono", "truth"], replace(ONE, control=True))
    assert [row.name for row in table.rows] == ["pan", "mono", "truth"]
    assert any("oracle-mask left out" in note for note in table.notes)
    found = table.row("pan").measures.keys()
    assert {"snr_db", "ic_error", "mirror_db", "center_spl_db"} <= found
    assert not {"rank_object", "azimuth_error_deg", "swap_accuracy"} & found
    assert mean(table, "pan", "center_spl_db") == 0
    with pytest.raises(InputError, match="cannot be worded anew"):
        evaluate(data, ["mono"], replace(ONE, captions="degrees"))
    with pytest.raises(InputError, match="no clip has stems, which oracle-mask need"):
        evaluate(data, ["oracle-mask"], ONE)


def test_all_folds(tmp_path: Path) -> None:
    data = TasBench(write_fairplay(tmp_path / "fp"))
    table = evaluate(data, ["mono"], replace(ONE, folds=()))
    row = table.row("mono")
    assert set(table.clips) == {"000003", "000004", "000005"}
    assert row.folds["1"]["snr_db"] == row.values["000004"]["snr_db"]
    values = [row.values[clip]["snr_db"] for clip in ("000003", "000005")]
    assert row.folds["2"]["snr_db"] == pytest.approx(np.mean(values))
    with pytest.raises(InputError, match="no such split file"):
        evaluate(data, ["mono"], replace(ONE, folds=(3,)))


# ------------------------------------------------------------------ the request itself


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nobody"], "unknown model 'nobody'"),
        (["--model", "mono", "--model", "mono"], "two rows are called 'mono'"),
        (["--split", "val", "--model", "mono"], "the part 'val' has no clips"),
        (["--fold", "4", "--model", "mono"], "no such split file"),
        (["--model", "mono", "--save", "no/such/folder.json"], "does not exist"),
        (["--model", "mono", "--save-audio"], "--out"),
    ],
)
def test_bad_requests_are_one_line(
    scored: TasBench, tas: Callable[..., Finished], arguments: list[str], message: str
) -> None:
    done = tas("eval", "data", scored.root, "--jobs", 1, *arguments)
    assert done.code == 2
    assert message in done.error_line
    assert done.out == ""


@pytest.mark.parametrize(
    ("option", "value"), [("split", "dev"), ("captions", "long"), ("names", "odd"), ("stft", "middle")]
)
def test_only_what_is_listed_can_be_chosen(
    scored: TasBench, tas: Callable[..., Finished], option: str, value: str
) -> None:
    done = tas("eval", "data", scored.root, "--jobs", 1, f"--{option}", value)
    assert (done.code, done.out) == (2, "")
    assert f"Invalid value for '--{option}'" in done.err.splitlines()[-1]
    assert f"'{value}' is not one of " in done.err.splitlines()[-1]
    with pytest.raises(InputError, match=f"unknown {option} '{value}'"):
        EvaluationSettings(**{option: value})


def test_more_steps_than_a_model_has(scored: TasBench, tmp_path: Path, tas: Callable[..., Finished]) -> None:
    from dataclasses import asdict

    from tas_core.models.checkpoints import save_checkpoint
    from tas_core.models.paper.model import PaperModel
    from tests.support.tiny import TINY_PAPER

    config = replace(TINY_PAPER, text_encoder="minilm", text_width=384)
    folder = save_checkpoint(tmp_path / "p", "paper", asdict(config), PaperModel(config).state_dict())
    done = tas("eval", "data", scored.root, "--jobs", 1, "--model", f"p={folder}@9")
    assert done.code == 2
    assert "takes at most 5" in done.error_line
    table = evaluate(scored, [SystemSpec("p", str(folder), 2)], replace(ONE, clips=1))
    assert table.row("p").about["steps"] == 2
    assert mean(table, "p", "real_time_factor") > 0


def test_the_command_and_its_json(scored: TasBench, tmp_path: Path, tas: Callable[..., Finished]) -> None:
    target = tmp_path / "scores.json"
    done = tas(
        "eval", "data", scored.root, "--model", "floor=mono", "--model", "truth", "--save", target, "--jobs", 1,
        "--clips", 3, "--out", tmp_path / "o", "--device", "cpu",
    )  # fmt: skip
    assert done.code == 0
    assert done.err == ""
    assert "snr_db" in done.out
    assert "floor" in done.out
    assert "3 clips" in done.out
    report = json.loads(target.read_text())
    assert report["format"] == 1
    assert report["settings"]["clips"] == 3
    assert report["settings"]["normalise"] is True
    assert len(report["clips"]) == 3
    first, second = report["rows"]
    assert (first["name"], first["kind"], second["name"]) == ("floor", "mono", "truth")
    assert set(first["measures"]["snr_db"]) == {"mean", "low", "high", "count"}
    assert second["differences"]["snr_db"]["mean"] > 0
    clip = report["clips"][0]
    values = [row["clips"][clip]["measures"]["snr_db"] for row in (first, second)]
    assert values[1] > values[0]
    assert first["clips"][clip]["objects"][0].keys() == {"object", "start_s", "end_s", "true_deg", "measured_deg"}
    assert {"torch", "tas", "numpy", "python"} <= report["machine"]["versions"].keys()
    assert report["machine"]["threads"] == 1
    known = {name for group in MEASURES.values() for name in group}
    assert first["measures"].keys() <= known


def test_folders_that_cannot_be_made_are_found_before_anything_is_computed(
    scored: TasBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tas: Callable[..., Finished]
) -> None:
    def refuse(self: Baseline, *_: object) -> None:
        raise AssertionError(f"{self.name} was computed")

    monkeypatch.setattr(Baseline, "__call__", refuse)
    (tmp_path / "file").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "audio").touch()
    for out, message in ((tmp_path / "file", "not a folder"), (tmp_path / "out", "audio/mono: no folder can be made")):
        done = tas("eval", "data", scored.root, "-m", "mono", "--clips", 1, "--jobs", 1, "--out", out, "--save-audio")
        assert done.code == 2
        assert message in done.error_line


def test_exclusions_are_said_on_stderr(own: TasBench, tas: Callable[..., Finished]) -> None:
    clip = own.clips()[0]
    own.audio_path(clip).write_bytes(b"")
    done = tas("eval", "data", own.root, "--model", "mono", "--jobs", 1)
    assert done.code == 0
    assert done.err.startswith(f"tas: excluded: {clip}: ")
    assert len(done.err.splitlines()) == 1
    assert "4 clips" in done.out


# ------------------------------------------------------------------ kinds of sounds


def test_objects_of_each_kind_of_sound_have_scores_of_their_own(tmp_path: Path) -> None:
    """What an object is, its scene says or its category; an average over clips of these objects alone."""
    scenes = [dry_scene(n, [50.0, -40.0], "degrees") for n in (1, 2, 3)]
    kinds = (("voice", "everyday"), ("voice", "music"), ("music", "music"))
    scenes = [
        replace(scene, objects=tuple(replace(o, kind=kind) for o, kind in zip(scene.objects, mine, strict=True)))
        for scene, mine in zip(scenes, kinds, strict=True)
    ]
    table = evaluate(write_scenes(tmp_path / "d", scenes), ["oracle-direct", "mono"], ONE)
    for row, right in (("oracle-direct", 1.0), ("mono", 0.0)):
        groups = table.row(row).groups
        assert {kind: groups[kind]["rank_object"].count for kind in SOUND_KINDS} == {
            "voice": 2, "music": 2, "everyday": 1,
        }  # fmt: skip
        for kind in SOUND_KINDS:
            assert groups[kind].keys() == {"rank_object", "azimuth_error_deg"}
            assert groups[kind]["rank_object"].mean == right
    assert table.row("mono").groups["everyday"]["azimuth_error_deg"].mean == pytest.approx(40, abs=0.1)
    assert table.row("mono").groups["voice"]["azimuth_error_deg"].mean == pytest.approx(50, abs=0.1)
    assert table.row("mono").groups["music"]["azimuth_error_deg"].mean == pytest.approx((40 + 45) / 2, abs=0.1)


def test_a_kind_that_the_scene_does_not_say_is_that_of_the_category(scored: TasBench, table: Evaluation) -> None:
    known = {category.name: category.sound_kind for category in load_categories()}
    counts = Counter(
        kind for clip in scored.clips() for kind in {known[o["category"]] for o in scored.scene(clip)["objects"]}
    )
    found = {kind: table.row("truth").groups[kind]["rank_object"].count for kind in counts}
    assert found == dict(counts)


# ------------------------------------------------------------------ a head of its own


def test_a_data_set_with_a_head_is_measured_with_it(tmp_path: Path) -> None:
    """The truth is right by its own head's cues and not by KEMAR's; another head is another result."""
    data = write_scenes(tmp_path / "d", [dry_scene(n, [a], "degrees") for n, a in enumerate((20.0, -8.0), 1)])
    head = uneven_head(tmp_path, (1.0, 0.5))
    for number, place in enumerate((20.0, -8.0), 1):
        clip = f"{10 * number:06d}"
        mono = read_ears(data.audio_path(clip)).sum(axis=0)
        ears = np.stack([np.convolve(mono, ear)[: len(mono)] for ear in direct_response(place, 16000, head=head)])
        for path in (data.audio_path(clip), data.stem_folder(clip) / data.scene(clip)["objects"][0]["file"]):
            soundfile.write(path, 0.5 * ears.T / np.abs(ears).max(), 16000, subtype="PCM_24")
    by_kemar = mean(evaluate(data, ["truth"], ONE, out=tmp_path / "out"), "truth", "azimuth_error_deg")
    shutil.copy(tmp_path / "uneven.sofa", data.root / "head.sofa")
    (data.root / "dataset.json").write_text(json.dumps({"length_s": 2.0, "head": "head.sofa"}))
    table = evaluate(data, ["truth"], ONE, out=tmp_path / "out")
    assert table.computed == 2
    assert mean(table, "truth", "azimuth_error_deg") < 3 < by_kemar

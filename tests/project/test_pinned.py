"""What other people's programs rest on stays as it is: fields of JSON, keys of kept results, shipped weights, sound.

The fields in ``tests/data/json_fields.yaml``, the samples in ``tests/data/duet_witness.yaml`` and the digests here are
promises, written down and not computed by the code that is tested. A field that is new is added there by hand; one that
goes or changes its type breaks somebody's script and belongs into ``CHANGELOG.md``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from tas_core.datasets.tasbench.layout import TasBench
from tas_core.evaluation.files import evaluate_files
from tas_core.evaluation.runner import evaluate
from tas_core.evaluation.settings import EvaluationSettings
from tas_core.evaluation.systems import SystemSpec
from tas_core.reporting.report.page import ReportedOutput, write_report
from tas_core.timeline.segments import Segment, Timeline
from tas_core.timeline.sphere import SpherePoint
from tests.conftest import Finished
from tests.support.around import BEHIND, placed_scene, write_placed
from tests.support.fairplay import write_fairplay, write_timelines
from tests.support.scored import dry_scene, write_scenes
from tests.support.scripts import load_script

Run = Callable[..., Finished]
ROOT = Path(__file__).resolve().parents[2]
FIELDS: dict[str, dict[str, str]] = yaml.safe_load((ROOT / "tests" / "data" / "json_fields.yaml").read_text("utf-8"))
PROMPTS = ("start: 0, end: 0.5, text: cello on the left", 'start: 0.5, text: "cello on the right, a dog in the center"')

_BY_NAME = ("excluded.clips", "rows[].clips", "rows[].excluded.clips")
"""Objects whose keys are names of the user's files, not fields."""


def fields(value: Any, path: str = "") -> dict[str, set[str]]:
    """Types of all values in JSON by their paths: ``[]`` is any entry of a list, ``*`` any file of the user's.

    A mean with its interval and count is one value.
    """
    found: dict[str, set[str]] = {}
    if isinstance(value, dict) and value.keys() == {"mean", "low", "high", "count"}:
        return {path: {"interval"}}
    if isinstance(value, dict):
        children = [(f"{path}.{'*' if path in _BY_NAME else key}".lstrip("."), child) for key, child in value.items()]
    else:
        children = [(f"{path}[]", child) for child in value] if isinstance(value, list) else []
    for child_path, child in children:
        for name, kinds in fields(child, child_path).items():
            found.setdefault(name, set()).update(kinds)
    if not children:
        empty = {dict: "empty object", list: "empty list", type(None): "null"}
        found[path] = {empty.get(type(value), type(value).__name__)}
    return found


def written(*values: Any) -> dict[str, str]:
    """Fields of JSON values as ``tests/data/json_fields.yaml`` writes them, of one or of several alike."""
    merged: dict[str, set[str]] = {}
    for value in values:
        for name, kinds in fields(value).items():
            merged.setdefault(name, set()).update(kinds)
    return {name: ", ".join(sorted(kinds)) for name, kinds in merged.items()}


def as_json(value: Any) -> Any:
    """What a program reads of a value that is written as JSON."""
    return json.loads(json.dumps(value, allow_nan=False))


# ------------------------------------------------------------------ tas spatialize


@pytest.fixture
def request_of(make_audio: Callable[..., Path], make_timeline: Callable[..., Path], tiny_model: Path) -> list[object]:
    """Words of a request without its output."""
    return ["spatialize", make_audio(seconds=1.0), "-t", make_timeline(*PROMPTS), "--model", tiny_model]


def test_json_of_one_file(tas: Run, request_of: list[object], tmp_path: Path) -> None:
    done = tas(*request_of, "-o", tmp_path / "out.wav", "--json")
    assert written(json.loads(done.out)) == FIELDS["spatialize"]


def test_json_of_one_file_with_stems_and_loudness(tas: Run, request_of: list[object], tmp_path: Path) -> None:
    done = tas(*request_of, "-o", tmp_path / "o.wav", "--json", "--stems", tmp_path / "stems", "--loudness", -30)
    report = json.loads(done.out)
    assert written({name: report[name] for name in ("stems", "loudness_lufs")}) == FIELDS["stems and loudness"]
    outputs = [output | {"loudness_lufs": None} for output in report["outputs"]]
    assert written(report | {"stems": [], "loudness_lufs": None, "outputs": outputs}) == FIELDS["spatialize"]


def test_json_of_a_model_with_a_calibration(
    tas: Run, request_of: list[object], calibrated: Path, tmp_path: Path
) -> None:
    *request, _ = request_of
    objects = json.loads(tas(*request, calibrated, "-o", tmp_path / "out.wav", "--json").out)["objects"]
    new = FIELDS["spatialize, calibrated"]
    assert {name: kind for name, kind in written({"objects": objects}).items() if name in new} == new


def test_json_of_many_files_is_a_line_for_each(
    tas: Run, make_audio: Callable[..., Path], make_timeline: Callable[..., Path], tmp_path: Path, tiny_model: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b", "c"):
        make_audio(f"in/{name}.wav", seconds=1.0)
    (folder / "c.wav").write_bytes((folder / "c.wav").read_bytes()[:30])
    options = ["-t", make_timeline(*PROMPTS), "--model", tiny_model, "--json"]
    (tmp_path / "out").mkdir()
    assert tas("spatialize", folder / "a.wav", "-o", tmp_path / "out" / "a.binaural.wav", *options).code == 0
    done = tas("spatialize", folder, "--out-dir", tmp_path / "out", "--skip-existing", *options)
    assert done.code == 1
    lines = {Path(line.get("source", line.get("input"))).stem: line for line in map(json.loads, done.out.splitlines())}
    assert written(lines["a"]) == FIELDS["spatialize, skipped"]
    assert written(lines["b"]) == FIELDS["spatialize"]
    assert written(lines["c"]) == FIELDS["spatialize, error"]
    assert lines["a"]["skipped"] is True


def test_json_of_one_file_that_is_skipped(tas: Run, request_of: list[object], tmp_path: Path) -> None:
    (tmp_path / "out.wav").write_bytes(b"made before")
    done = tas(*request_of, "-o", tmp_path / "out.wav", "--json", "--skip-existing")
    assert written(json.loads(done.out)) == FIELDS["spatialize, skipped"]


def test_json_beside_the_output(tas: Run, request_of: list[object], tmp_path: Path) -> None:
    """Every setting is there, under the name that it always had."""
    options = ["--sidecar", "--start", 0.25, "--duration", 0.5, "--transition", 0.1, "--json"]
    report = json.loads(tas(*request_of, "-o", tmp_path / "out.wav", *options).out)
    beside = json.loads((tmp_path / "out.wav.tas.json").read_text("utf-8"))
    assert {name: beside[name] for name in report} == report
    assert written({name: value for name, value in beside.items() if name not in report}) == FIELDS["sidecar"]
    assert beside["settings"] == {
        "steps": None,
        "seed": 0,
        "channel": None,
        "start_s": 0.25,
        "duration_s": 0.5,
        "track": None,
        "levels": {"gain_db": 0.0, "loudness_lufs": None, "clip": "rescale", "shared_gain_db": None},
        "subtype": None,
        "hrtf": None,
        "width": 1.0,
        "transition_s": 0.1,
        "stereo": "mix",
        "renderer": "auto",
        "separator": None,
        "sidecar": True,
        "overwrite": False,
    }


def test_json_in_the_report_page(tas: Run, request_of: list[object], tmp_path: Path) -> None:
    tas(*request_of, "-o", tmp_path / "out.wav", "--report", tmp_path / "out.html")
    page = (tmp_path / "out.html").read_text("utf-8")
    (data,) = re.findall(r'<script id="report" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert written(json.loads(data)) == FIELDS["report page"]


# ------------------------------------------------------------------ other commands


def test_json_of_a_timeline_check(
    tas: Run, make_audio: Callable[..., Path], make_timeline: Callable[..., Path]
) -> None:
    scene = make_timeline("start: 0, end: 0.4, text: cello on the left", "start: 0.5, text: cello on the right")
    alone = json.loads(tas("timeline", "check", scene, "--json").out)
    with_audio = json.loads(tas("timeline", "check", scene, "--audio", make_audio(seconds=1.0), "--json").out)
    assert written(alone) == FIELDS["timeline check"]
    assert written(with_audio) == FIELDS["timeline check, audio"]
    levels = make_timeline('start: 0, text: "cello fades out; the rest 3 dB quieter"')
    assert written(json.loads(tas("timeline", "check", levels, "--json").out)) == FIELDS["timeline check, levels"]
    around = make_timeline(
        'start: 0, end: 1, text: "a plane passes overhead from front to back, in a church"',
        'start: 1, end: 2, text: "a bee circles around every 8 seconds"',
        'start: 2, end: 3, text: "a bee circles around twice", room: {rt60: 1, size: [4, 3, 2]}',
    )
    found = json.loads(tas("timeline", "check", around, "--json").out)
    assert written(found) == FIELDS["timeline check, all around"]


def test_json_of_models(tas: Run, tiny_model: Path) -> None:
    info = json.loads(tas("models", "info", "slots", "--json").out)
    assert written(info) == FIELDS["models info"]
    assert written(json.loads(tas("models", "info", tiny_model, "--json").out)) == FIELDS["models info, own"]
    listed = json.loads(tas("models", "list", "--json").out)
    assert listed.keys() == {"models"}
    assert written(*listed["models"]) == FIELDS["models info"]


def test_json_of_the_doctor(tas: Run) -> None:
    found = json.loads(tas("doctor", "--json", "--device", "cpu").out)
    assert Path(found["places"]["program"]) == ROOT / "tas_core"
    found["machine"]["cuda"] = []  # as on a machine without a card
    for group in ("versions", "places"):  # what of these is there is the machine's affair
        found[group] = dict.fromkeys(found[group], "")
    assert written(found) == FIELDS["doctor"]


def test_json_of_the_configuration(tas: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(json.loads(tas("config", "--json").out)) == FIELDS["config, nothing"]
    (tmp_path / "tas.toml").write_text("[spatialize]\nsteps = 2\n")
    monkeypatch.setenv("TAS_CONFIG", str(tmp_path / "tas.toml"))
    monkeypatch.setenv("TAS_SPATIALISE_STEPS", "3")
    assert written(json.loads(tas("config", "--json").out)) == FIELDS["config"]


# ------------------------------------------------------------------ tas eval


@pytest.fixture
def pairs(tmp_path: Path) -> tuple[Path, Path]:
    """Two pairs of 16-bit noise, and a prediction without a reference."""
    rng = np.random.default_rng(0)
    for folder, names in (("pred", "abc"), ("ref", "ab")):
        (tmp_path / folder).mkdir()
        for name in names:
            ears = rng.integers(-3000, 3000, (16_000, 2), np.int16)
            soundfile.write(tmp_path / folder / f"{name}.wav", ears, 16_000, subtype="PCM_16")
    return tmp_path / "pred", tmp_path / "ref"


def test_json_of_scored_files(pairs: tuple[Path, Path]) -> None:
    assert written(as_json(evaluate_files(*pairs).as_dict())) == FIELDS["eval files"]


def test_json_of_systems_on_a_data_set(tmp_path: Path, tiny_model: Path) -> None:
    scenes = [dry_scene(1, (60.0, -45.0), "degrees"), dry_scene(2, (40.0, -70.0), "degrees")]
    data = write_scenes(tmp_path / "d", [*scenes, dry_scene(3, (10.0,), "degrees")])
    data.audio_path(scenes[1].clip).write_bytes(b"damaged")
    settings = EvaluationSettings(jobs=1, device="cpu", control=True)
    found = evaluate(data, ["mono", str(tiny_model)], settings, out=tmp_path / "o").as_dict()
    assert written(as_json(found)) == FIELDS["eval data"]
    lines = [json.loads(line) for line in (tmp_path / "o" / "results.jsonl").read_text("utf-8").splitlines()]
    assert {line["kind"] for line in lines} == {"score", "mirror", "swap", "presence"}
    for kind in ("score", "mirror", "swap", "presence"):
        assert written(*(line for line in lines if line["kind"] == kind)) == FIELDS[f"results.jsonl, {kind}"]


def test_json_of_systems_all_around(tmp_path: Path) -> None:
    data = write_placed(tmp_path / "d", [placed_scene(1, [BEHIND, SpherePoint(90.0, 30.0)])])
    found = as_json(evaluate(data, ["mono"], EvaluationSettings(jobs=1, device="cpu")).as_dict())
    known = {*FIELDS["eval data"], "excluded.clips"}  # which is empty here
    assert {name: kind for name, kind in written(found).items() if name not in known} == FIELDS["eval data, all around"]


def test_json_of_a_report_page_all_around(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-3000, 3000, 16_000, np.int16)
    soundfile.write(tmp_path / "in.wav", noise, 16_000)
    soundfile.write(tmp_path / "out.wav", np.stack([noise, noise], axis=1), 16_000)
    segments = Segment.from_prompt(0, 0.5, "dog behind me"), Segment.from_prompt(0.5, None, "cow left")
    about = ReportedOutput(tmp_path / "out.wav", tmp_path / "in.wav")
    page = write_report(tmp_path / "page.html", about, Timeline(segments), {}).read_text("utf-8")
    (data,) = re.findall(r'<script id="report" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert written(json.loads(data)["around"]) == FIELDS["report page, all around"]
    assert set(FIELDS["report page"]) - set(written(json.loads(data))) == set()


def test_json_of_a_command_and_of_measures_of_other_papers(tmp_path: Path) -> None:
    data = write_scenes(tmp_path / "d", [dry_scene(1, (60.0, -45.0), "degrees")])
    row = SystemSpec("made", f"command@2:cp {data.audio_path('{clip}')} {{out}}")
    settings = EvaluationSettings(jobs=1, device="cpu", also=("cited",))
    found = written(as_json(evaluate(data, [row], settings, out=tmp_path / "o").as_dict()))
    new = FIELDS["eval data, cited"]
    assert {name: kind for name, kind in found.items() if name in new} == new
    assert set(found) - set(new) - {"excluded.clips"} <= set(FIELDS["eval data"])
    lines = [json.loads(line) for line in (tmp_path / "o" / "results.jsonl").read_text("utf-8").splitlines()]
    (kept,) = (line for line in lines if line["kind"] == "cited")
    assert written(kept) == FIELDS["results.jsonl, cited"]


def test_json_of_confidence(tmp_path: Path, calibrated: Path) -> None:
    data = write_scenes(tmp_path / "d", [dry_scene(1, (60.0, -45.0), "degrees")])
    settings = EvaluationSettings(jobs=1, device="cpu", also=("confidence",))
    found = written(as_json(evaluate(data, [str(calibrated)], settings, out=tmp_path / "o").as_dict()))
    new = FIELDS["eval data, confidence"]
    assert {name: kind for name, kind in found.items() if name in new} == new
    assert set(found) - set(new) - {"excluded.clips"} <= set(FIELDS["eval data"])
    lines = [json.loads(line) for line in (tmp_path / "o" / "results.jsonl").read_text("utf-8").splitlines()]
    (kept,) = (line for line in lines if line["kind"] == "confidence")
    assert written(kept) == FIELDS["results.jsonl, confidence"]


def test_kept_results_are_found_again(tmp_path: Path, tiny_model: Path) -> None:
    """Keys of ``results.jsonl`` depend on nothing but what they promise, so an evaluation that was begun goes on."""
    data = TasBench(write_fairplay(tmp_path / "d"))
    write_timelines(data.root, {"000004": ["start: 0, text: cello on the left"]})
    evaluate(data, ["mono", str(tiny_model)], EvaluationSettings(jobs=1, device="cpu"), out=tmp_path / "o")
    lines = [json.loads(line) for line in (tmp_path / "o" / "results.jsonl").read_text("utf-8").splitlines()]
    clip = hashlib.sha256()
    for content in (data.audio_path("000004").read_bytes(), data.timeline_path("000004").read_bytes(), b"none"):
        clip.update(len(content).to_bytes(8, "little") + content)
    description = json.loads((tiny_model / "config.json").read_text("utf-8"))
    parts = [description["family"], description["config"], description["weights_sha256"]]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    keys = []
    for identity in (["mono"], ["model", digest, 1, "cpu"]):
        value = [2, "own", "trained", True, "short", 0, identity, clip.hexdigest(), "score", "cpu"]
        keys.append(hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32])
    assert [line["key"] for line in lines] == keys


# ------------------------------------------------------------------ shipped weights

PINS: dict[str, dict[str, str]] = yaml.safe_load((ROOT / "tests/data/shipped.yaml").read_text("utf-8"))
SHIPPED, DIGESTS = PINS["files"], PINS["digests"]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_are_those_that_were_measured(name: str) -> None:
    content = (ROOT / "tas_core" / "models" / "weights" / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHIPPED[name]


def test_nothing_else_is_shipped() -> None:
    folder = ROOT / "tas_core" / "models" / "weights"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == set(SHIPPED)


@pytest.mark.parametrize("name", DIGESTS)
def test_digests_of_shipped_models(tas: Run, name: str) -> None:
    """Family, config and weights: what sidecars and kept results name a model by."""
    found = json.loads(tas("models", "info", name, "--json").out)
    assert found["digest"] == DIGESTS[name]
    assert found["weights_sha256"] == SHIPPED[f"{name}/model.safetensors"]


# ------------------------------------------------------------------ the sound of the shipped model

WITNESS: dict[int, dict[str, list[float]]] = yaml.safe_load((ROOT / "tests/data/duet_witness.yaml").read_text("utf-8"))
ROUNDING = 1e-4
"""How far samples may be off, full scale is 1.

Numbers of threads change them by 1e-7, and processors that sum in another order hardly more than ten times that; noise
of another seed changes the difference between the ears by 0.04, a step more by 0.03. So bytes may differ from machine
to machine and are compared nowhere, and yet no change of the model, the noise or the head goes unseen.
"""


@pytest.mark.parametrize("steps", sorted(WITNESS))
def test_the_duet_sounds_as_it_did(steps: int) -> None:
    found = load_script("tools/renew_pins.py").duet(steps)
    for name, tolerance in (("samples", ROUNDING), ("segment_rms", ROUNDING), ("confidence", 0.01)):
        np.testing.assert_allclose(found[name], WITNESS[steps][name], rtol=0, atol=tolerance, err_msg=name)


def test_the_tool_that_renews_pins_finds_those_that_are_there() -> None:
    tool = load_script("tools/renew_pins.py")
    assert tool.pins() == PINS
    assert yaml.safe_load(tool.rewritten(tool.PINS, PINS)) == PINS
    assert tool.rewritten(tool.PINS, PINS) == tool.PINS.read_bytes()

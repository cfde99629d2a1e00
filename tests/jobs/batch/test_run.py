"""Many files in one call: failures that stay alone, processes, interrupts, and going on after a kill."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.acoustics.sofa import read_sofa
from tas_core.jobs.batch.inputs import find_inputs
from tas_core.jobs.batch.plan import BatchPlan, Destinations, plan_batch
from tas_core.jobs.batch.run import run_batch
from tas_core.jobs.batch.worker import FileOutcome
from tas_core.jobs.spatialize import FileWorker, JobSettings
from tests.conftest import Finished, tone
from tests.jobs.batch.conftest import COUNT, PROMPT, write_sounds
from tests.support.sofa_files import FULL_CIRCLE, on_the_plane, spherical_hrir, write_sofa

Run = Callable[..., Finished]


def plan(sources: list[Path], folder: Path, **more: bool) -> BatchPlan:
    return plan_batch(find_inputs(sources), Destinations(folder), prompt=PROMPT, **more)


def break_three(sounds: list[Path]) -> dict[Path, str]:
    """A WAV that is cut off, a text in place of a WAV, and one without a timeline; with what is to be said of them."""
    for path in sounds:
        path.with_suffix(".yaml").write_text(f"prompts:\n  - {{start: 0, text: '{PROMPT}'}}\n")
    cut, text, alone = sounds[4], sounds[9], sounds[14]
    cut.write_bytes(cut.read_bytes()[:1000])
    text.write_text("not a sound\n")
    alone.with_suffix(".yaml").unlink()
    return {
        cut: f"tas: error: {cut}: the file is cut off: its header says 4800 bytes of samples, but it holds 956",
        text: f"tas: error: {text}: not an audio file that can be read: ",
        alone: f"tas: error: {alone}: no timeline: expected a file {alone.with_suffix('')} with the ending ",
    }


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_three_broken_files_of_twenty_fail_alone(tas: Run, tiny_model: Path, tmp_path: Path, jobs: int) -> None:
    sounds = write_sounds(tmp_path / "in", COUNT)
    reasons = break_three(sounds)
    arguments = ("spatialize", tmp_path / "in", "--out-dir", tmp_path / "out", "--model", tiny_model)
    done = tas(*arguments, "--json", "--jobs", jobs)
    assert done.code == 1
    *errors, summary = done.err.splitlines()
    assert summary == "17 of 20 done, 3 failed"
    assert len(errors) == 3
    for error, reason in zip(sorted(errors), sorted(reasons.values()), strict=True):
        assert error.startswith(reason)
    results = [json.loads(line) for line in done.out.splitlines()]
    failed = {result["input"]: result["error"] for result in results if "error" in result}
    assert sorted(f"tas: error: {error}" for error in failed.values()) == sorted(errors)
    assert set(failed) == set(map(str, reasons))
    made = {result["source"]: result["output"] for result in results if "source" in result}
    assert set(made) | set(failed) == set(map(str, sounds))
    assert sorted(made.values()) == sorted(str(path) for path in (tmp_path / "out").iterdir())
    if jobs == 1:
        assert [result.get("source", result.get("input")) for result in results] == list(map(str, sounds))
    for output in made.values():
        assert soundfile.info(output).frames == 2400

    # What failed is tried again, and nothing else.
    for path in reasons:
        soundfile.write(path, tone(0.3, 8000)[0], 8000)
        path.with_suffix(".yaml").write_text(f"prompts:\n  - {{start: 0, text: '{PROMPT}'}}\n")
    done = tas(*arguments, "--skip-existing")
    assert (done.code, done.err) == (0, "3 of 20 done, 17 skipped\n")
    assert len(done.out.splitlines()) == 3
    assert len(list((tmp_path / "out").iterdir())) == COUNT


@pytest.mark.parametrize("fail_fast", [False, True])
def test_names_that_make_none_for_an_output_fail_alone(
    tas: Run, tiny_model: Path, tmp_path: Path, fail_fast: bool
) -> None:
    sounds = write_sounds(tmp_path / "in", 2)
    sounds[0].rename(tmp_path / "in" / "a\nb.wav")
    shutil.copy(sounds[1], tmp_path / "in" / ("x" * 240 + ".wav"))
    arguments = ("spatialize", tmp_path / "in", "--out-dir", tmp_path / "out", "--model", tiny_model, "-p", PROMPT)
    done = tas(*arguments, *["--fail-fast"] * fail_fast)
    assert done.code == 1
    odd, long, summary = done.err.splitlines()
    assert odd.startswith("tas: error: '")
    assert odd.endswith("gives 'a\\nb.binaural.wav', expected a name without control characters")
    assert long.endswith("expected names of at most 200 bytes")
    assert summary == ("0 of 3 done, 2 failed, 1 not tried" if fail_fast else "1 of 3 done, 2 failed")
    made = [str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")]
    assert made == ([] if fail_fast else ["v01.binaural.wav"])


def test_the_first_failure_can_end_it(tas: Run, tiny_model: Path, tmp_path: Path) -> None:
    sounds = write_sounds(tmp_path / "in", 4)
    sounds[1].write_text("not a sound\n")
    arguments = ("spatialize", tmp_path / "in", "--out-dir", tmp_path / "out", "--model", tiny_model, "-p", PROMPT)
    done = tas(*arguments, "--fail-fast")
    assert done.code == 1
    assert done.err.splitlines()[1] == "1 of 4 done, 1 failed, 2 not tried"
    assert os.listdir(tmp_path / "out") == ["v00.binaural.wav"]


def test_files_are_those_of_single_calls_and_reports_lie_beside_them(
    tas: Run, tiny_model: Path, tmp_path: Path
) -> None:
    sounds = write_sounds(tmp_path / "in", 2)
    common = ("-p", PROMPT, "--model", tiny_model, "--sidecar", "--gain", -3)
    done = tas("spatialize", *sounds, "--out-dir", tmp_path / "out", *common)
    assert (done.code, done.err) == (0, "2 of 2 done\n")
    for sound in sounds:
        assert tas("spatialize", sound, "-o", tmp_path / "one.wav", *common, "--force").code == 0
        out = tmp_path / "out" / f"{sound.stem}.binaural.wav"
        assert out.read_bytes() == (tmp_path / "one.wav").read_bytes()
        assert json.loads(out.with_name(out.name + ".tas.json").read_text())["gain_db"] == pytest.approx(-3)


def test_warnings_and_progress_of_many_files(tas: Run, tiny_model: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path in paths:
        soundfile.write(path, tone(0.3, 8000, channels=2).T, 8000)
    arguments = ("spatialize", *paths, "-p", PROMPT, "--model", tiny_model, "--out-dir", tmp_path / "out")
    done = tas("--progress", "json", *arguments)
    assert done.code == 0
    lines = done.err.splitlines()
    assert [line for line in lines if line.startswith("tas: ")] == [
        f"tas: warning: {path}: 2 channels mixed down to mono" for path in paths
    ]
    shares = [json.loads(line) for line in lines if line.startswith("{")]
    assert {share["file"] for share in shares} == {"2 files"}
    assert [share["done"] for share in shares] == sorted({share["done"] for share in shares})
    assert (shares[0]["done"], shares[-1]["done"]) == (0, 1)
    done = tas("--progress", "bar", *arguments, "--force")
    assert "2 files" in done.err
    assert len(done.out.splitlines()) == 2  # where the bar is on stderr, results still are on stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["-o", "out.wav"],
            "out.wav: one output for 2 inputs (a.wav, b.wav), expected --out-dir DIR in place of --out",
        ),
        ([], "no output, expected --out FILE for one input, or --out-dir DIR for any number"),
        (["--out-dir", "out", "-t", "no.yaml"], "no.yaml"),
        (["--out-dir", "out", "-p", "a dog"], "--prompt: "),
        (["--out-dir", "a.wav"], "a.wav: not a folder, expected one for the outputs"),
        (["--out-dir", "a.wav/out"], "a.wav/out: the folder cannot be made (Not a directory)"),
        (["--out-dir", "out", "--subtype", "PCM_24", "--output-template", "{stem}.ogg"], "OGG has no PCM_24"),
        (["--out-dir", "out", "--model", "none"], "none"),
        (["--out-dir", "out", "--hrtf", "none.sofa"], "none.sofa: no such file"),
        (["--out-dir", "out", "--jobs", "0"], "--jobs"),
    ],
)
def test_what_is_wrong_for_all_files_is_said_once(
    tas: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], message: str
) -> None:
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, tone(0.1, 8000)[0], 8000)
    monkeypatch.chdir(tmp_path)
    prompt = [] if {"-t", "-p"} & set(more) else ["-p", PROMPT]
    before = sorted(map(str, tmp_path.rglob("*")))
    done = tas("spatialize", "a.wav", "b.wav", *prompt, *more)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Traceback" not in done.err
    assert sorted(map(str, tmp_path.rglob("*"))) == before


def test_outputs_that_exist_are_found_before_anything_is_computed(
    tas: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds = write_sounds(tmp_path / "in", 3)
    (tmp_path / "v01.binaural.wav").write_text("mine")
    monkeypatch.setattr("tas_core.jobs.spatialize.load_model", lambda *_: pytest.fail("something is computed"))
    done = tas("spatialize", *sounds, "-p", PROMPT, "--out-dir", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.error_line == (
        f"{tmp_path}/v01.binaural.wav: the file exists, expected another folder, or permission to skip or to overwrite"
        " it (--skip-existing or --force)"
    )
    assert sorted(os.listdir(tmp_path)) == ["in", "v01.binaural.wav"]


def test_an_output_name_is_for_one_input(tas: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    done = tas("spatialize", tmp_path / "in", "-o", tmp_path / "out.wav")
    assert (done.code, done.error_line) == (
        2,
        f"{tmp_path}/in: a folder of inputs, expected --out-dir DIR in place of --out",
    )
    for option in ("--input-list", "--manifest", "--out-dir"):
        done = tas("spatialize", "a.wav", option, "x", "-o", tmp_path / "out.wav")
        assert done.code == 2
        assert done.error_line.endswith("expected --out-dir DIR in place of --out")


def test_one_file_that_exists_can_be_left_out(tas: Run, tmp_path: Path, tiny_model: Path) -> None:
    (sound,) = write_sounds(tmp_path / "in", 1)
    arguments = ("spatialize", sound, "-p", PROMPT, "-o", tmp_path / "out.wav", "--skip-existing")
    assert tas(*arguments, "--model", tiny_model).code == 0
    before = (tmp_path / "out.wav").stat()
    done = tas(*arguments)
    assert (done.code, done.out, done.err) == (0, f"{tmp_path}/out.wav: exists, left out\n", "")
    assert json.loads(tas(*arguments, "--json").out)["skipped"] is True
    assert (tmp_path / "out.wav").stat() == before


def test_one_file_of_which_something_is_missing_is_made_again(tas: Run, tmp_path: Path, tiny_model: Path) -> None:
    """The rule for one output is that for many."""
    (sound,) = write_sounds(tmp_path / "in", 1)
    out, parts = tmp_path / "out.wav", tmp_path / "parts"
    arguments = ("spatialize", sound, "-p", PROMPT, "-o", out, "--skip-existing", "--model", tiny_model)
    assert tas(*arguments).code == 0
    done = tas(*arguments, "--stems", parts, "--sidecar")
    assert (done.code, done.err) == (0, "")
    assert sorted(os.listdir(parts)) == ["1-tone.wav", "rest.wav"]
    assert (tmp_path / "out.wav.tas.json").exists()
    before = out.stat()
    done = tas(*arguments, "--stems", parts, "--sidecar")
    assert (done.code, done.out) == (0, f"{out}: exists, left out\n")
    assert out.stat() == before


@pytest.mark.parametrize("many", [False, True])
def test_a_missing_input_is_not_left_out(tas: Run, tmp_path: Path, tiny_model: Path, many: bool) -> None:
    (sound,) = write_sounds(tmp_path / "in", 1)
    out = ("--out-dir", tmp_path / "out") if many else ("-o", tmp_path / "out.wav")
    arguments = ("spatialize", sound, "-p", PROMPT, *out, "--skip-existing", "--model", tiny_model)
    assert tas(*arguments).code == 0
    sound.unlink()
    done = tas(*arguments)
    assert (done.code, done.out) == (1 if many else 2, "")
    assert done.err.startswith(f"tas: error: {sound}: No such file or directory\n")


def test_a_manifest_names_outputs_anywhere(tas: Run, tmp_path: Path, tiny_model: Path) -> None:
    sounds = write_sounds(tmp_path / "in", 2)
    lines = [
        {"audio": f"in/{sound.name}", "prompt": prompt, "out": f"{sound.stem}/made.flac"}
        for sound, prompt in zip(sounds, ("a tone on the left", "a tone on the right"), strict=True)
    ]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = tas("spatialize", "--manifest", tmp_path / "m.jsonl", "--model", tiny_model, "--json")
    assert (done.code, done.err) == (0, "2 of 2 done\n")
    results = [json.loads(line) for line in done.out.splitlines()]
    assert [result["output"] for result in results] == [f"{tmp_path}/v00/made.flac", f"{tmp_path}/v01/made.flac"]
    left, right = (soundfile.read(result["output"])[0] for result in results)
    # Two prompts that mirror each other, up to the rounding of 16 bits.
    np.testing.assert_allclose(left, right[:, ::-1], rtol=0, atol=1.1 * 2.0**-15)


# ------------------------------------------------------------------ in Python


def test_an_unexpected_error_fails_one_file_too(
    settings: JobSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tas_core.jobs import spatialize

    sounds = write_sounds(tmp_path / "in", 2)
    inner = spatialize.process_file

    def fails(prepared: object, *args: object, **more: object) -> object:
        if "v00" in str(prepared.request.source):  # type: ignore[attr-defined]
            raise RuntimeError("out of\nmemory")
        return inner(prepared, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(spatialize, "process_file", fails)
    told: list[FileOutcome] = []
    outcomes = run_batch(plan(sounds, tmp_path / "out"), settings, on_outcome=told.append)
    assert outcomes == told
    assert outcomes[0].error == f"{sounds[0]}: unexpected RuntimeError: out of memory"
    assert outcomes[1].result is not None


def test_folders_that_stay_empty_are_removed(settings: JobSettings, tmp_path: Path) -> None:
    sounds = write_sounds(tmp_path / "in", 1)
    sounds[0].write_text("not a sound\n")
    (outcome,) = run_batch(plan(sounds, tmp_path / "out" / "deep"), settings)
    assert "not an audio file" in outcome.error
    assert sorted(os.listdir(tmp_path)) == ["in"]


def test_a_head_is_read_once_for_all_files_and_processes(
    settings: JobSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = write_sofa(tmp_path / "me.sofa", spherical_hrir(FULL_CIRCLE, 44_100), on_the_plane(FULL_CIRCLE))
    reads: list[Path] = []
    monkeypatch.setattr("tas_core.acoustics.sofa.read_sofa", lambda path: (reads.append(path), read_sofa(path))[1])
    settings = replace(settings, options=replace(settings.options, hrtf=head))
    outcomes = run_batch(plan(write_sounds(tmp_path / "in", 2), tmp_path / "out"), settings)
    assert all(outcome.result for outcome in outcomes)
    assert reads == [head]
    handed: list[FileWorker] = []
    monkeypatch.setattr(
        "tas_core.jobs.batch.run.compute_in_processes",
        lambda tasks, given, jobs: (handed.append(given), (_ for _ in ()))[1],
    )
    monkeypatch.setattr("tas_core.jobs.batch.run.usable_cores", lambda: 2)
    assert run_batch(plan(write_sounds(tmp_path / "other", 2), tmp_path / "out2"), settings, jobs=2) == []
    assert reads == [head, head]
    again = plan(write_sounds(tmp_path / "third", 1), tmp_path / "out3").requests[0]
    (tmp_path / "out3").mkdir()
    handed[0].make(again)  # which has the head and reads no more
    assert reads == [head, head]

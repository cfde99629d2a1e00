"""Many files in one call: failures that stay alone, processes, interrupts, and going on after a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.errors import InputError
from tas_core.jobs.batch.inputs import find_inputs
from tas_core.jobs.batch.plan import BatchPlan, Destinations, plan_batch
from tas_core.jobs.batch.run import run_batch
from tas_core.jobs.batch.worker import FileOutcome
from tas_core.jobs.request import FileOptions
from tas_core.jobs.spatialize import JobSettings
from tas_core.system.processes import usable_cores
from tests.conftest import TAS, Finished, tone

Run = Callable[..., Finished]
PROMPT = "a tone on the left"
COUNT = 20


def write_sounds(folder: Path, count: int, seconds: float = 0.3) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"v{number:02}.wav" for number in range(count)]
    for path in paths:
        soundfile.write(path, tone(seconds, 8000)[0], 8000)
    return paths


def leftovers(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob(".*")]


@pytest.fixture
def settings(tiny_model: Path) -> JobSettings:
    return JobSettings(FileOptions(subtype="FLOAT"), str(tiny_model), "cpu")


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
    sounds = write_sounds(tmp_path / "in", 2)
    from tas_core.jobs import spatialize as main_job

    inner = main_job.process_file

    def fails(prepared: object, *args: object, **more: object) -> object:
        if "v00" in str(prepared.request.source):  # type: ignore[attr-defined]
            raise RuntimeError("out of\nmemory")
        return inner(prepared, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(main_job, "process_file", fails)
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


# ------------------------------------------------------------------ processes


@pytest.mark.slow
def test_processes_give_the_same_files_and_share_the_cores(settings: JobSettings, tmp_path: Path) -> None:
    sounds = write_sounds(tmp_path / "in", 6, seconds=2.0)
    told: list[FileOutcome] = []
    shares: list[float] = []
    many = run_batch(plan(sounds, tmp_path / "many"), settings, jobs=2, on_outcome=told.append, progress=shares.append)
    one = run_batch(plan(sounds, tmp_path / "one"), settings)
    assert [outcome.request.source for outcome in many] == sounds
    assert sorted(map(str, told)) == sorted(map(str, many))
    assert shares == pytest.approx(np.arange(1, 7) / 6)
    for a, b in zip(many, one, strict=True):
        assert a.result is not None
        # Fewer threads sum in another order.
        np.testing.assert_allclose(soundfile.read(a.request.out)[0], soundfile.read(b.request.out)[0], atol=1e-6)


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_is_said_once(tmp_path: Path) -> None:
    sounds = write_sounds(tmp_path / "in", 4)
    with pytest.raises(InputError, match="none"):
        run_batch(plan(sounds, tmp_path / "out"), JobSettings(model_name=str(tmp_path / "none")), jobs=2)
    assert sorted(os.listdir(tmp_path)) == ["in"]


# ------------------------------------------------------------------ killed


@pytest.fixture
def long_batch(tiny_model: Path, tmp_path: Path) -> list[str]:
    """A command for twenty files, of which each takes some time."""
    write_sounds(tmp_path / "in", COUNT, seconds=40.0)
    return [
        *(str(TAS), "spatialize", str(tmp_path / "in"), "--out-dir", str(tmp_path / "out"), "--model", str(tiny_model)),
        *("-p", PROMPT, "--skip-existing"),
    ]


def children(pid: int) -> Iterator[int]:
    """Processes that a process has started, and those that these have."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                yield int(folder.name)
                yield from children(int(folder.name))
        except (OSError, IndexError):  # it has ended meanwhile
            continue


def run_until_half(command: list[str], out: Path) -> tuple[subprocess.Popen[str], list[int]]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    began = time.monotonic()
    while time.monotonic() - began < 200:
        assert process.poll() is None, process.communicate()[1]
        if len(list(out.glob("*.wav"))) >= 5 and leftovers(out):
            return process, list(children(process.pid))
        time.sleep(0.005)
    process.kill()
    process.communicate()
    raise AssertionError("the batch did not get half-way")


def wait_for_end(pids: list[int]) -> None:
    began = time.monotonic()
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() - began < 60, "a process goes on"
        time.sleep(0.05)


def check_whole(folder: Path) -> None:
    for path in folder.iterdir():
        assert soundfile.info(path).frames == 320_000


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_batch_that_was_ended_half_way_goes_on(
    long_batch: list[str], tmp_path: Path, jobs: int, number: signal.Signals
) -> None:
    command = [*long_batch, "--jobs", str(jobs)]
    process, started = run_until_half(command, tmp_path / "out")
    process.send_signal(number)
    err = process.communicate(timeout=60)[1]
    wait_for_end(started)
    if number == signal.SIGINT:
        assert (process.returncode, err) == (130, "tas: interrupted\n")
        assert leftovers(tmp_path / "out") == []
    made = len(list((tmp_path / "out").glob("*.wav")))
    assert 5 <= made < COUNT
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.wav")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert (done.returncode, done.stderr) == (0, f"{COUNT - made} of {COUNT} done, {made} skipped\n")
    assert len(list((tmp_path / "out").iterdir())) == COUNT
    assert leftovers(tmp_path / "out") == []
    check_whole(tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_a_process_that_is_killed_fails_its_file_and_another_goes_on(long_batch: list[str], tmp_path: Path) -> None:
    process, started = run_until_half([*long_batch, "--jobs", "2"], tmp_path / "out")
    workers = [pid for pid in started if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(workers) == 2
    threads = min(usable_cores() // 2, int(os.environ["OMP_NUM_THREADS"]))
    for pid in workers:
        assert f"OMP_NUM_THREADS={threads}" in Path(f"/proc/{pid}/environ").read_text().split("\0")
    os.kill(workers[0], signal.SIGKILL)
    err = process.communicate(timeout=200)[1]
    assert process.returncode == 1
    failure, summary = err.splitlines()
    assert failure.endswith(
        ": the process that worked on it was killed (out of memory?), try fewer processes (fewer --jobs)"
    )
    assert summary == "19 of 20 done, 1 failed"
    assert leftovers(tmp_path / "out") == []
    check_whole(tmp_path / "out")

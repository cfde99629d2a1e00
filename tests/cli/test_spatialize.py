"""``tas spatialize``: pipes, progress for programs, and every option on the command line."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from tas_core.models.slots.model import SlotsModel
from tests.conftest import TAS, Finished
from tests.support.tiny import HashEncoder, tiny_slots

Run = Callable[..., Finished]
Make = Callable[..., Path]
PROMPT = "a tone on the left, noise 30 degrees to the right"
SCENE = f"start: 0, text: '{PROMPT}'"
ENCODER = HashEncoder()


@pytest.fixture
def to_stdout(tas: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Finished, bytes]]:
    """Runs the command in this process with ``-o -``; also gives the bytes on standard output, a file here."""

    def run(*arguments: object) -> tuple[Finished, bytes]:
        path = tmp_path / "stdout"
        with open(path, "w") as file, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", file)
            done = tas("spatialize", *arguments, "-o", "-")
        data = path.read_bytes()
        path.unlink()
        return done, data

    return run


# ------------------------------------------------------------------ pipes


def test_standard_output_gets_the_sound_and_nothing_else(
    to_stdout: Callable[..., tuple[Finished, bytes]], tas: Run, make_audio: Make, tiny_model: Path, tmp_path: Path
) -> None:
    source = make_audio(subtype="PCM_24")
    arguments = (source, "-p", PROMPT, "--model", tiny_model)
    done, data = to_stdout(*arguments)
    assert done.code == 0
    assert tas("spatialize", *arguments, "-o", tmp_path / "out.wav").code == 0
    assert data == (tmp_path / "out.wav").read_bytes()
    head, segment, *understood, tail = done.err.splitlines()
    assert head.startswith("standard output: 1.00 s, 16000 Hz")
    assert segment.endswith(PROMPT)
    first, second = (re.sub(r"\d+ %", "N %", line) for line in understood)
    assert first == "    tone 55\N{DEGREE SIGN} left \N{MIDDLE DOT} N % of the energy"
    assert second == "    noise 30\N{DEGREE SIGN} right \N{MIDDLE DOT} N % of the energy"
    assert "+ dB is left" in tail


def test_the_json_of_a_sound_on_standard_output_is_on_stderr(
    to_stdout: Callable[..., tuple[Finished, bytes]], make_audio: Make, tiny_model: Path
) -> None:
    done, data = to_stdout(make_audio(), "-p", PROMPT, "--model", tiny_model, "--json", "--subtype", "FLOAT")
    assert json.loads(done.err)["output"] == "-"
    assert soundfile.info(io.BytesIO(data)).subtype == "FLOAT"


def test_an_error_leaves_standard_output_empty(
    to_stdout: Callable[..., tuple[Finished, bytes]], tmp_path: Path, tiny_model: Path
) -> None:
    samples = np.zeros(16_000)
    samples[8000] = 0.999
    soundfile.write(tmp_path / "click.wav", samples, 16_000)
    arguments = (tmp_path / "click.wav", "-p", "a click far left", "--model", tiny_model)
    done, data = to_stdout(*arguments, "--clip", "error")
    assert (done.code, data) == (1, b"")
    assert done.error_line.startswith("standard output: an ear would reach +")
    done, data = to_stdout(*arguments, "--sidecar")
    assert (done.code, data) == (2, b"")
    assert "standard output has no file beside it" in done.error_line


def test_through_both_pipes_comes_what_comes_through_files(
    make_audio: Make, make_timeline: Make, tiny_model: Path, tmp_path: Path
) -> None:
    """The header on standard input does not know the length, as ffmpeg writes it; that on standard output does."""
    source, timeline = make_audio(), make_timeline(SCENE)
    data = bytearray(source.read_bytes())
    for at in (4, data.index(b"data") + 4):
        data[at : at + 4] = b"\xff\xff\xff\xff"
    spool = tmp_path / "spool"
    spool.mkdir()
    command = [str(TAS), "spatialize", "-", "-t", str(timeline), "-o", "-", "--model", str(tiny_model)]
    done = subprocess.run(
        command, input=bytes(data), capture_output=True, timeout=120, env=os.environ | {"TMPDIR": str(spool)}
    )
    assert done.returncode == 0, done.stderr
    command[2], command[6] = str(source), str(tmp_path / "out.wav")
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert done.stdout == (tmp_path / "out.wav").read_bytes()
    assert os.listdir(spool) == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_between_two_ffmpegs(make_audio: Make, make_timeline: Make, tiny_model: Path, tmp_path: Path) -> None:
    make_audio("x.flac", rate_hz=44_100)
    make_timeline(SCENE)
    line = (
        f"set -o pipefail; ffmpeg -v error -i x.flac -f wav - | {TAS} spatialize - -t scene.yaml -o -"
        f" --model {tiny_model} | ffmpeg -v error -i - y.flac"
    )
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    info = soundfile.info(tmp_path / "y.flac")
    assert (info.samplerate, info.channels, info.frames, info.subtype) == (44_100, 2, 44_100, "PCM_16")
    mono = soundfile.read(tmp_path / "x.flac")[0]
    np.testing.assert_allclose(soundfile.read(tmp_path / "y.flac")[0].mean(axis=1), mono, rtol=0, atol=2.0**-16)


def test_a_reader_that_leaves_is_no_traceback(make_audio: Make, tiny_model: Path) -> None:
    command = [
        str(TAS),
        "spatialize",
        str(make_audio(seconds=5.0)),
        "-p",
        PROMPT,
        "-o",
        "-",
        "--model",
        str(tiny_model),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(120) == 1
        assert process.stderr.read() == b""


def test_standard_input_needs_a_prompt_and_a_sound(tas_process: Run, tmp_path: Path) -> None:
    done = tas_process("spatialize", "-", "-o", tmp_path / "out.wav")
    assert done.code == 2
    assert done.error_line == "no timeline: expected one, or a prompt (--timeline FILE or --prompt TEXT)"
    with open(os.devnull) as nothing:
        command = [str(TAS), "spatialize", "-", "-p", PROMPT, "-o", str(tmp_path / "out.wav")]
        done = subprocess.run(command, stdin=nothing, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "tas: error: standard input: not a regular file\n"


# ------------------------------------------------------------------ options


def test_options_reach_the_job(
    tas: Run, make_audio: Make, make_timeline: Make, tiny_model: Path, tmp_path: Path
) -> None:
    source, out = make_audio("voice.wav", channels=2, seconds=2.0, subtype="FLOAT"), tmp_path / "out.flac"
    make_timeline(SCENE, name="voice.yaml")
    done = tas(
        *(
            "spatialize",
            source,
            "-o",
            out,
            "--model",
            tiny_model,
            "--channel",
            2,
            "--start",
            "0:00.5",
            "--end",
            "0:1.5",
        ),
        *("--gain", -6, "--subtype", "pcm_16", "--clip", "Clamp", "--seed", 3, "--sidecar", "--json"),
        *("--transition", 0.25),
    )
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    beside = json.loads((tmp_path / "out.flac.tas.json").read_text())
    assert {key: beside[key] for key in report} == report
    assert beside["command"].startswith(f"tas spatialize {source} -o {out} --model")
    assert beside["settings"] == {
        "steps": None,
        "seed": 3,
        "channel": 2,
        "track": None,
        "start_s": 0.5,
        "duration_s": 1.0,
        "levels": {"gain_db": -6.0, "loudness_lufs": None, "clip": "clamp", "shared_gain_db": None},
        "subtype": "PCM_16",
        "hrtf": None,
        "width": 1.0,
        "stereo": "mix",
        "renderer": "auto",
        "separator": None,
        "transition_s": 0.25,
        "sidecar": True,
        "overwrite": False,
    }
    assert (report["start_s"], report["duration_s"], report["gain_db"]) == (0.5, 1.0, pytest.approx(-6.0))
    ears, _ = soundfile.read(out)
    expected = soundfile.read(source)[0][8000:24_000, 1] * 10 ** (-6 / 20)
    # Each ear is off by up to one and a half steps of dithered rounding.
    np.testing.assert_allclose(ears.mean(axis=1), expected, rtol=0, atol=1.5 * 2.0**-15)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", PROMPT, "-t", "scene.yaml"], "a timeline and a prompt were given"),
        (["-p", PROMPT, "--gain", "3", "--loudness", "-23"], "a gain and a loudness were given"),
        (["-p", PROMPT, "-o", "x" * 300 + ".wav"], "no file can be made under this name (File name too long)"),
        (["-p", PROMPT, "--stems", "x" * 300], "no file can be made under this name (File name too long)"),
        (["-p", PROMPT, "--report", "x" * 300 + ".html"], "no file can be made under this name (File name too long)"),
        (["-p", PROMPT, "--output-template", "{bogus}"], "--output-template is for many files, and --out names one"),
        (["-p", PROMPT, "--fail-fast"], "--fail-fast is for many files, and --out names one"),
        (["-p", PROMPT, "--duration", "0"], "the duration is 0.0 s, expected more than 0"),
        (["-p", PROMPT, "--duration", "1", "--end", "2"], "--duration and --end were given, expected one of them"),
        (["-p", PROMPT, "--start", "0:02", "--end", "0:02"], "--end is 2 s, expected a time after the start at 2 s"),
        (
            ["-p", PROMPT, "--start", "0:60"],
            "'0:60' is not a time, expected seconds of at least 0, or [HH:]MM:SS[.fff]",
        ),
        (["-p", PROMPT, "--start=-1"], "'-1' is not a time, expected seconds of at least 0, or [HH:]MM:SS[.fff]"),
        (["-p", PROMPT, "--end", "1m"], "'1m' is not a time, expected seconds of at least 0, or [HH:]MM:SS[.fff]"),
        (["-p", "violin", "left"], "left: no such file; put the prompt in quotes: -p 'violin left'"),
        (
            ["-p", "violin", "on", "the", "left,", "it's", "right"],
            "no such file; put the prompt in quotes: -p 'violin on the left, it'\"'\"'s right'",
        ),
        (
            ["-p", "dog", "at", "-30", "degrees"],
            "No such option: -3; put the prompt in quotes: -p 'dog at -30",
        ),
        (["-p", "car", "left", "->", "right"], "No such option: ->; put the prompt in quotes: -p 'dog at -30 degrees'"),
        (["-p", PROMPT, "left.wav"], "out.wav: one output for 2 inputs"),
        (["-p", PROMPT, "lessons"], "out.wav: one output for 2 inputs"),
        (["-p", PROMPT, "--start", "1"], "the start is 1 s, expected less than 1 s"),
        (["-p", PROMPT, "--channel", "2"], "there is no channel 2, expected 1 to 1"),
        (["-p", PROMPT, "--transition", "inf"], "transition is inf s; expected 0 or more"),
        (["-p", PROMPT, "--transition", "0.1", "--model", "paper-small"], "only slots models take a transition"),
    ],
)
def test_impossible_options_are_answered_in_a_line(
    tas: Run,
    make_audio: Make,
    make_timeline: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    make_audio()
    make_timeline(SCENE)
    monkeypatch.chdir(tmp_path)
    done = tas("spatialize", "in.wav", "-o", "out.wav", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.error_line
    assert sorted(os.listdir(tmp_path)) == ["in.wav", "scene.yaml"]


@pytest.mark.parametrize(
    ("option", "value", "known"),
    [
        ("--clip", "wrap", "'rescale', 'rescale-all', 'clamp', 'error'"),
        ("--subtype", "PCM_12", "'pcm_16', 'pcm_24', 'float'"),
        ("--device", "tpu", "'auto', 'cpu', 'cuda'"),
    ],
)
def test_only_what_is_listed_can_be_chosen(
    tas: Run, make_audio: Make, tmp_path: Path, option: str, value: str, known: str
) -> None:
    done = tas("spatialize", make_audio(), "-p", PROMPT, "-o", tmp_path / "out.wav", option, value)
    assert (done.code, done.out) == (2, "")
    assert done.error_line == f"Invalid value for '{option}': '{value}' is not one of {known}; see tas spatialize -h"
    assert os.listdir(tmp_path) == ["in.wav"]


@pytest.mark.parametrize("seconds", ["-0.1", "nan", "soon"])
def test_transitions_that_are_no_lengths_are_usage_errors(
    tas: Run, make_audio: Make, tmp_path: Path, seconds: str
) -> None:
    done = tas("spatialize", make_audio(), "-p", PROMPT, "-o", tmp_path / "out.wav", "--transition", seconds)
    assert (done.code, done.out) == (2, "")
    assert "Invalid value for '--transition'" in done.err
    assert os.listdir(tmp_path) == ["in.wav"]


# ------------------------------------------------------------------ progress


def test_progress_for_programs_is_a_line_of_json_per_step(
    tas: Run, make_audio: Make, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tas_core.inference.stream._BLOCK_S", 2)
    arguments = (make_audio(seconds=20.0), "-p", PROMPT, "-o", tmp_path / "out.wav", "--model", tiny_model)
    done = tas("--progress", "json", "spatialize", *arguments)
    lines = [json.loads(line) for line in done.err.splitlines()]
    assert {line["file"] for line in lines} == {"in.wav"}
    shares = [line["done"] for line in lines]
    assert len(shares) >= 4
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert shares == sorted(set(shares))


@pytest.mark.parametrize(("mode", "drawn"), [("bar", True), ("off", False), ("auto", False)])
def test_a_bar_is_drawn_where_there_is_no_terminal_if_asked_for(
    tas: Run, make_audio: Make, tiny_model: Path, tmp_path: Path, mode: str, drawn: bool
) -> None:
    arguments = (make_audio(), "-p", PROMPT, "-o", tmp_path / "out.wav", "--model", tiny_model)
    done = tas("--progress", mode, "spatialize", *arguments)
    assert done.code == 0
    assert ("━" in done.err) == drawn
    assert ("in.wav" in done.err) == drawn


def test_progress_is_chosen_for_all_commands(tas: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.fairplay import write_fairplay, write_timelines

    write_fairplay(tmp_path)
    write_timelines(tmp_path, {f"00000{i}": ["start: 0, text: a dog left"] for i in range(1, 6)})
    done = tas("--progress", "json", "data", "check", tmp_path, "--jobs", 1)
    *lines, summary = done.err.splitlines()
    assert summary == "5 clips, 0 errors, 0 warnings"
    assert [json.loads(line) for line in (lines[0], lines[-1])] == [
        {"file": "check", "done": 0.0},
        {"file": "check", "done": 1.0},
    ]
    monkeypatch.setenv("TAS_PROGRESS", "json")
    assert tas("data", "check", tmp_path, "--jobs", 1).err == done.err
    assert tas("--progress", "off", "data", "check", tmp_path, "--jobs", 1).err == summary + "\n"
    refused = tas("--progress", "dots", "data", "check", tmp_path)
    assert (refused.code, refused.out) == (2, "")
    assert "'dots' is not one of 'auto', 'bar', 'json', 'off'" in refused.err.splitlines()[-1]


def test_the_command_line_says_what_it_did_not_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is made deaf to one of two names: a warning for that one, and both in the JSON."""
    from tas_cli.main import app
    from tas_core.models import registry

    class Deaf(SlotsModel):
        def separate(self, *arguments):  # type: ignore[no-untyped-def]
            found = super().separate(*arguments)
            found.presence[:, 0] = 5
            found.presence[:, 1] = -5
            return found

    model = Deaf(tiny_slots().config).eval()
    monkeypatch.setattr(registry, "network_of", lambda checkpoint, folder: model)
    monkeypatch.setattr("tas_core.models.text_encoders.registry.build_text_encoder", lambda name: ENCODER)
    source, timeline, out = tmp_path / "in.wav", tmp_path / "scene.yaml", tmp_path / "out.wav"
    soundfile.write(source, 0.1 * np.random.default_rng(0).standard_normal(48000), 16000)
    timeline.write_text("prompts: [{start: 0, text: 'cello on the left, dog on the right'}]", encoding="utf-8")
    monkeypatch.setattr("tas_core.inference.likeness.ALIKE", 1.1)  # random masks are, more or less
    # Those of the shipped weights, which this is not.
    monkeypatch.setattr("tas_core.inference.engine.read_calibration", lambda *arguments: None)
    with pytest.warns(UserWarning, match="found from") as warned:
        done = CliRunner().invoke(app, ["spatialize", str(source), "-t", str(timeline), "-o", str(out), "--json"])
    assert done.exit_code == 0, done.stderr
    assert [str(w.message) for w in warned] == [f"{source}: no 'dog' found from 0:00 to 0:03"]
    report = json.loads(done.stdout)
    assert [(o["object"], o["found"]) for o in report["objects"]] == [("cello", True), ("dog", False)]
    shares = [clause["energy_share"] for clause in report["segments"][0]["clauses"]]
    assert shares == [o["energy_share"] for o in report["objects"]]
    assert 0 < sum(shares) < 1


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_the_track_of_a_film_is_named_and_chosen(
    tas: Callable[..., Finished], make_audio: Make, tiny_model: Path, tmp_path: Path
) -> None:
    film = tmp_path / "film.mka"
    sounds = [str(make_audio(f"{n}.wav", seconds=seconds)) for n, seconds in enumerate((1.0, 2.0))]
    inputs = [option for sound in sounds for option in ("-i", sound)]
    marks = ["-map", "0", "-map", "1", "-disposition:a:0", "0", "-disposition:a:1", "default"]
    subprocess.run(["ffmpeg", "-v", "error", *inputs, *marks, str(film)], check=True, timeout=60)
    words = ["spatialize", film, "-p", PROMPT, "--model", tiny_model, "--json", "-o"]
    done = tas(*words, tmp_path / "a.wav")
    assert (json.loads(done.out)["track"], round(json.loads(done.out)["duration_s"])) == (2, 2)
    assert re.search(r"film\.mka: 2 audio tracks; taken is 2 .*, there is also 1 .* \(--track N\)$", done.err, re.M)
    done = tas(*words, tmp_path / "b.wav", "--track", 1, "--report", tmp_path / "b.html")
    assert (json.loads(done.out)["track"], round(json.loads(done.out)["duration_s"])) == (1, 1)
    assert "audio tracks" not in done.err
    done = tas(*words, tmp_path / "c.wav", "--track", 3)
    assert done.code == 2
    assert done.error_line == f"{film}: there is no audio track 3, the file has 2 audio tracks (--track N)"


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        ((1, -1), "the channels cancel each other: their mean is more than 100 dB quieter than channel 1 alone; .*"),
        ((0, 1), "channel 1 is silent: the mean of all is 6.0 dB quieter than channel 2 alone; .*"),
    ],
)
@pytest.mark.parametrize("many", [False, True])
def test_channels_that_are_lost_in_the_mean_are_said_with_the_option(
    tas: Callable[..., Finished], tiny_model: Path, tmp_path: Path, channels: tuple[int, int], said: str, many: bool
) -> None:
    sound = 0.1 * np.random.default_rng(0).standard_normal(16_000)
    soundfile.write(tmp_path / "a.wav", np.outer(sound, channels), 16_000, subtype="FLOAT")
    output = ["--out-dir", tmp_path / "out"] if many else ["-o", tmp_path / "o.wav"]
    words = ["spatialize", tmp_path / "a.wav", "-p", PROMPT, "--model", tiny_model, *output]
    done = tas(*words)
    assert done.code == 0
    number = 1 if channels[1] == -1 else 2
    assert re.search(rf"^tas: warning: .*a\.wav: {said} \(--channel {number}\)$", done.err, re.M)
    done = tas(*words, "--force", "--channel", 2)
    assert "quieter" not in done.err


def test_what_is_wrong_with_an_input_is_said_once_also_with_a_page(
    tas: Callable[..., Finished], make_audio: Make, tiny_model: Path, tmp_path: Path
) -> None:
    data = bytearray(make_audio(seconds=1.0).read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = bytes(4)
    (tmp_path / "a.wav").write_bytes(data)
    words = ["spatialize", tmp_path / "a.wav", "-p", PROMPT, "--model", tiny_model, "-o", tmp_path / "o.wav"]
    done = tas(*words, "--report", tmp_path / "o.html")
    assert done.code == 0
    assert done.err.count("its header says that it holds no samples") == 1
    assert soundfile.info(tmp_path / "o.wav").duration == 1.0


# ------------------------------------------------------------------ names


def test_a_word_that_the_encoder_does_not_know_is_said_and_refused_with_strict(
    tas: Run, make_audio: Make, tiny_model: Path, tmp_path: Path
) -> None:
    source = make_audio()
    words = ("spatialize", source, "-p", "a snargle on the left, noise on the right", "--model", tiny_model)
    done = tas(*words, "-o", tmp_path / "a.wav", "--json")
    assert done.code == 0
    assert json.loads(done.out)["segments"][0]["clauses"][0]["object"] == "snargle"
    said = "'snargle' is a word that the text encoder does not know: another sound may be taken for it; "
    assert done.err.startswith(f"tas: warning: {source}: {said}")
    for more in (("-o", tmp_path / "b.wav"), ("--out-dir", tmp_path / "many", "--clip", "rescale-all")):
        done = tas(*words, *more, "--strict")
        assert done.code in (1, 2)
        assert f"{said}expected a name in English" in done.err
    assert sorted(os.listdir(tmp_path)) == ["a.wav", source.name]


def test_names_with_nearly_the_same_masks_are_said_with_the_figure(
    tas: Run, make_audio: Make, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_audio()
    words = ("spatialize", source, "-p", PROMPT, "--model", tiny_model, "--json")
    assert json.loads(tas(*words, "-o", tmp_path / "a.wav").out)["alike"] == []
    monkeypatch.setattr("tas_core.inference.likeness.ALIKE", 0.0)
    done = tas(*words, "-o", tmp_path / "b.wav", "--sidecar")
    (pair,) = json.loads(done.out)["alike"]
    assert pair == {"objects": ["tone", "noise"], "start_s": 0, "end_s": 1, "likeness": pair["likeness"], "segments": 1}
    percent = f"{100 * pair['likeness']:.0f} %"
    assert done.err.startswith(f"tas: warning: {source}: 'tone' and 'noise' share {percent} of their masks from 0:00")
    assert json.loads((tmp_path / "b.wav.tas.json").read_text("utf-8"))["alike"] == [pair]
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()

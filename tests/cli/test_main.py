"""The command line: what it prints where, how it exits, and that help loads little."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import soundfile
import typer

from tas_cli.main import app
from tas_core.audio.writer import AudioWriter
from tas_core.errors import TasError
from tests.conftest import TAS, Finished, tone

Run = Callable[..., Finished]
Make = Callable[..., Path]

SCENE = (
    "start: 0, end: 0.5, text: 'a tone on the left, noise 30 degrees to the right'",
    "start: 0.5, text: a tone moves from the left to the right",
)
HEAVY = (
    "torch torchaudio torchvision transformers tokenizers open_clip safetensors numpy scipy soundfile soxr h5py"
    " yaml rich huggingface_hub matplotlib starlette uvicorn h11"
).split()  # not pydantic: newer versions of Typer need it themselves


def command_lines() -> list[str]:
    """Every command and group of commands, as words after ``tas``."""

    def below(command: object, words: tuple[str, ...]) -> list[str]:
        inner = getattr(command, "commands", {})
        return [" ".join(words), *(line for name, sub in inner.items() for line in below(sub, (*words, name)))]

    return below(typer.main.get_command(app), ())


def refuse_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


def strict_json(text: str) -> dict:
    """The only JSON object of a text, read as strictly as other languages do."""
    (line,) = text.splitlines()
    value = json.loads(line, parse_constant=refuse_constant)
    assert isinstance(value, dict)
    return value


def leftovers(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".") or name.endswith(".part")]


# ------------------------------------------------------------------ help


def test_help_imports_nothing_heavy() -> None:
    """That of every command, one after another in one process, so that all that is loaded is seen at the end."""
    program = (
        "import contextlib, io, sys\n"
        "from tas_cli.main import main\n"
        "for line in sys.argv[1:]:\n"
        "    sys.argv, page = ['tas', *line.split(), '--help'], io.StringIO()\n"
        "    with contextlib.redirect_stdout(page), contextlib.suppress(SystemExit):\n"
        "        main()\n"
        "    assert page.getvalue().startswith('Usage: tas ' + line), line\n"
        "print(*{name.split('.')[0] for name in sys.modules})\n"
    )
    lines = command_lines()
    assert len(lines) > 25
    done = subprocess.run(
        [sys.executable, "-c", program, *lines], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    loaded = set(done.stdout.split())
    assert "typer" in loaded
    assert not loaded & set(HEAVY)


def test_help_loads_little() -> None:
    """Of the first help page that a person sees: most of its time goes into loading, and how long that takes varies.

    171 modules when this was written, 24 of them our own, of Typer and of Python's library.
    """
    program = (
        "import contextlib, io, sys\n"
        "from tas_cli.main import main\n"
        "sys.argv = ['tas', '--help']\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main()\n"
        "print(len(sys.modules), sum(name.startswith('tas_') for name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    everything, ours = map(int, done.stdout.split())
    assert everything < 260
    assert ours < 40


def test_no_summary_of_a_command_is_cut_short(tas: Run) -> None:
    lines = tas("--help").out.partition("Commands:")[2].splitlines()
    assert len(lines) > 10
    assert not [line for line in lines if line.endswith("...")]


def test_help_names_every_command_and_option_of_the_main_job(tas: Run) -> None:
    overview = tas("--help")
    assert overview.code == 0
    assert overview.err == ""
    assert {line.split()[0] for line in overview.out.splitlines() if line.startswith("  ")} >= {"spatialize", "train"}
    page = tas("spatialize", "--help").out
    documented = set(re.findall(r"--[a-z]+", (Path(__file__).parents[2] / "docs" / "SPATIALIZE.md").read_text()))
    assert set(re.findall(r"(?<!\w)--[a-z]+", page)) - {"--help"} == documented - {"--progress"}  # of every command
    assert "--progress" in overview.out
    for words in ((), ("spatialize",), ("data", "bank")):
        assert tas(*words, "-h").out == tas(*words, "--help").out


def test_options_of_the_main_job_stand_under_headings(tas: Run) -> None:
    page = tas("spatialize", "--help").out
    sections = dict(re.findall(r"^(\w[\w ]*):\n((?:  .*\n)+)", page, re.MULTILINE))
    assert list(sections) == ["Arguments", "Input", "Output", "Rendering", "Levels", "Many files", "Options"]
    for heading, option in (
        ("Input", "-p, --prompt TEXT"),
        ("Output", "-o, --out FILE"),
        ("Rendering", "--device <auto|cpu|cuda>"),
        ("Levels", "--clip <rescale|rescale-all|clamp|error>"),
        ("Many files", "--out-dir DIR"),
        ("Options", "-h, --help"),
    ):
        assert re.search(re.escape(f"  {option}") + r"\s", sections[heading])


# ------------------------------------------------------------------ the report


def test_json_is_one_strict_object_with_the_documented_fields(
    tas: Run, make_audio: Make, make_timeline: Make, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.wav"
    source = make_audio(seconds=1.25, rate_hz=22_050)
    done = tas(
        "spatialize", source, "-t", make_timeline(*SCENE), "-o", out, "--model", tiny_model, "--seed", 7, "--json"
    )
    assert done.code == 0
    assert done.err == ""
    report = strict_json(done.out)
    assert " ".join(report) == (
        "source output start_s duration_s track sample_rate_hz subtype model steps seed device seconds"
        " real_time_factor peak gain_db shared_gain_db clamped_samples loudness_lufs segments objects alike stems"
        " outputs sources renderer keeps_mono"
    )
    assert (report["source"], report["output"]) == (str(source), str(out))
    assert (report["start_s"], report["subtype"]) == (0.0, "PCM_16")
    assert (report["clamped_samples"], report["loudness_lufs"]) == (0, None)
    assert report["duration_s"] == round(1.25 * 22_050) / 22_050
    assert report["sample_rate_hz"] == 22_050
    assert report["model"] == str(tiny_model)
    assert report["seed"] == 7
    assert report["steps"] >= 1
    assert report["device"] in ("cpu", "cuda")
    assert list(report["seconds"]) == ["load", "encode", "sample", "write"]
    assert all(value >= 0 for value in report["seconds"].values())
    assert report["real_time_factor"] == pytest.approx(report["seconds"]["sample"] / report["duration_s"])
    ears = soundfile.read(out)[0].T
    assert report["gain_db"] == 0.0
    assert report["peak"] == pytest.approx(np.abs(ears).max(), abs=2**-15)

    first, second = report["segments"]
    for segment in (first, second):
        assert set(segment) == {"start_s", "end_s", "text", "clauses", "spl_difference_db"}
    assert (first["start_s"], first["end_s"], second["start_s"]) == (0.0, 0.5, 0.5)
    assert second["end_s"] == report["duration_s"]
    assert first["text"] == "a tone on the left, noise 30 degrees to the right"
    left_deg = first["clauses"][0]["azimuth_start_deg"]
    shares = [clause["energy_share"] for clause in first["clauses"]]
    assert left_deg > 0
    assert first["clauses"] == [
        {"object": "tone", "azimuth_start_deg": left_deg, "azimuth_end_deg": left_deg, "energy_share": shares[0]},
        {"object": "noise", "azimuth_start_deg": -30.0, "azimuth_end_deg": -30.0, "energy_share": shares[1]},
    ]
    assert min(shares) > 0
    assert sum(shares) < 1
    assert {k: v for k, v in second["clauses"][0].items() if k != "energy_share"} == (
        {"object": "tone", "azimuth_start_deg": left_deg, "azimuth_end_deg": -left_deg}
    )
    tone, noise = report["objects"]
    assert set(tone) == {
        *("object", "start_s", "end_s", "energy_share", "presence", "found"),
        *("confidence", "doubtful"),
    }
    assert (tone["confidence"], tone["doubtful"]) == (None, False)
    assert (tone["object"], tone["start_s"], tone["end_s"]) == ("tone", 0.0, report["duration_s"])
    assert (noise["object"], noise["start_s"], noise["end_s"]) == ("noise", 0.0, 0.5)
    assert noise["energy_share"] == pytest.approx(shares[1])
    power = (ears[:, : round(0.5 * 22_050)] ** 2).sum(axis=1)
    assert first["spl_difference_db"] == pytest.approx(10 * np.log10(power[0] / power[1]), abs=0.01)


def test_silence_is_null_in_json_and_a_word_in_text(
    tas: Run, make_timeline: Make, tiny_model: Path, tmp_path: Path
) -> None:
    source, out, timeline = tmp_path / "silence.wav", tmp_path / "out.wav", make_timeline("start: 0, text: a dog left")
    soundfile.write(source, np.zeros(8000), 16_000)
    arguments = ("spatialize", source, "-t", timeline, "-o", out, "--model", tiny_model, "--force")
    report = strict_json(tas(*arguments, "--json").out)
    assert report["segments"][0]["spl_difference_db"] is None
    assert (report["peak"], report["gain_db"]) == (0.0, 0.0)
    assert not soundfile.read(out)[0].any()
    assert re.search(r"silent\s+a dog left", tas(*arguments).out)


def test_a_prompt_of_several_lines_is_reported_in_one(
    tas: Run, make_audio: Make, tiny_model: Path, tmp_path: Path
) -> None:
    done = tas(
        "spatialize",
        make_audio(),
        "-p",
        "a tone on the left,\nnoise right",
        "-o",
        tmp_path / "o.wav",
        "--model",
        tiny_model,
    )
    assert (done.code, len(done.out.splitlines())) == (0, 5)
    assert "a tone on the left, noise right" in done.out


def test_the_report_for_people_has_a_line_per_segment(
    tas: Run, make_audio: Make, make_timeline: Make, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.flac"
    done = tas("spatialize", make_audio(), "-t", make_timeline(*SCENE), "-o", out, "--model", tiny_model)
    assert done.code == 0
    assert done.err == ""
    head, *lines, tail = done.out.splitlines()
    first, second = (line for line in lines if " dB " in line)
    assert head.startswith(f"{out}: 1.00 s, 16000 Hz")
    assert re.search(r"0\.00 - +0\.50 s +[+-]\d+\.\d dB +a tone on the left, noise", first)
    assert re.search(r"0\.50 - +1\.00 s +[+-]\d+\.\d dB +a tone moves", second)
    assert "+ dB is left" in tail


def test_nothing_but_the_result_is_printed_where_there_is_no_terminal(
    tas_process: Run, make_audio: Make, make_timeline: Make, tiny_model: Path, tmp_path: Path
) -> None:
    done = tas_process(
        *("spatialize", make_audio(), "-t", make_timeline(*SCENE), "-o", tmp_path / "out.wav"),
        *("--model", tiny_model, "--json"),
    )
    assert done.code == 0
    assert done.err == ""
    strict_json(done.out)
    assert leftovers(tmp_path) == []


def test_a_terminal_gets_a_progress_bar_and_the_pipe_does_not(
    make_audio: Make, make_timeline: Make, tiny_model: Path, tmp_path: Path
) -> None:
    source, timeline = make_audio("sound.wav"), make_timeline(*SCENE)
    command = [str(TAS), "spatialize", str(source), "-t", str(timeline), "-o", str(tmp_path / "out.wav"), "--json"]
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        [*command, "--model", str(tiny_model)], stdout=subprocess.PIPE, stderr=slave, env=environment
    ) as process:
        os.close(slave)
        shown = b""
        try:
            while piece := os.read(master, 65_536):
                shown += piece
        except OSError:  # how Linux says that the other side is closed
            pass
        finally:
            os.close(master)
        assert process.stdout is not None
        out = process.stdout.read().decode()
        assert process.wait(60) == 0
    screen = shown.decode()
    assert "sound.wav" in screen
    assert re.search("[━╸╺]", screen)
    strict_json(out)


# ------------------------------------------------------------------ what happens to the sound


def test_stereo_is_mixed_down_with_a_warning(
    tas: Run, make_audio: Make, make_timeline: Make, tiny_model: Path, tmp_path: Path
) -> None:
    stereo = make_audio("stereo.wav", "FLOAT", channels=2)
    left, right = soundfile.read(stereo)[0].T
    mono = tmp_path / "mono.wav"
    soundfile.write(mono, (left + right) / 2, 16_000, subtype="FLOAT")
    timeline, outs = make_timeline(*SCENE), (tmp_path / "from_stereo.wav", tmp_path / "from_mono.wav")
    loud = tas("spatialize", stereo, "-t", timeline, "-o", outs[0], "--model", tiny_model)
    quiet = tas("spatialize", mono, "-t", timeline, "-o", outs[1], "--model", tiny_model)
    assert (loud.code, quiet.code) == (0, 0)
    assert loud.err.splitlines() == [f"tas: warning: {stereo}: 2 channels mixed down to mono"]
    assert quiet.err == ""
    ears, same = (soundfile.read(out)[0] for out in outs)
    np.testing.assert_allclose(ears, same, atol=1e-6)
    np.testing.assert_allclose(ears.mean(axis=1), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize(("options", "warned"), [
    (("--clip", "clamp"), r"an ear would reach .* at 0\.500 s; \d+ samples beyond full scale were limited"),
    ((), r"an ear would reach .* at 0\.500 s; the whole file was turned down by \d\.\d\d dB"),
])  # fmt: skip
@pytest.mark.parametrize("batch", [False, True])
def test_warnings_of_levels_are_seen(
    tas: Run, make_timeline: Make, tiny_model: Path, tmp_path: Path, options: tuple[str, ...], warned: str, batch: bool
) -> None:
    samples = np.zeros(16_000)
    samples[8000] = 0.999
    soundfile.write(tmp_path / "click.wav", samples, 16_000, subtype="PCM_16")
    out = ("--out-dir", tmp_path / "made") if batch else ("-o", tmp_path / "out.wav")
    timeline = make_timeline("start: 0, text: a click far left")
    done = tas("spatialize", tmp_path / "click.wav", "-t", timeline, *out, "--model", tiny_model, *options)
    assert done.code == 0
    assert re.search(warned, done.err)


@pytest.mark.parametrize(
    ("name", "options", "warned"),
    [
        ("silence.wav", ("-p", "a dog left", "--loudness", "-23"), ": silence has no loudness; the level was kept"),
        ("tone.wav", ("-p", "a tone left"), "tone.wav: no 'tone' found from 0:00 to 0:01"),
        ("tone.wav", ("-t", "early.yaml", "--start", "0.6"), "tone.wav: no prompt holds from 0:00.6 to 0:01; all of"),
        ("tone.wav", ("-t", "late.yaml"), "late.yaml:2:5: the segment ends at 3 s, after the audio of 1 s; it is cut"),
        ("stereo.wav", ("-p", "a dog left"), "stereo.wav: 2 channels mixed down to mono"),
        ("talk.mp4", ("-p", "a dog left"), "talk.mp4: ffmpeg: a packet is odd"),
    ],
)
@pytest.mark.parametrize("batch", [False, True])
def test_all_other_warnings_are_seen(
    tas: Run,
    make_audio: Make,
    make_timeline: Make,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    options: tuple[str, ...],
    warned: str,
    batch: bool,
) -> None:
    """Once each, through the filters of the program."""
    make_audio("tone.wav")
    make_audio("stereo.wav", channels=2)
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 16_000)
    (tmp_path / "talk.mp4").write_text("no sound")
    ffmpeg = tmp_path / "bin" / "ffmpeg"
    ffmpeg.parent.mkdir()
    ffmpeg.write_text(f"#!/bin/sh\necho '[error] a packet is odd' >&2\nexec cat '{tmp_path}/tone.wav'\n")
    ffmpeg.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ffmpeg.parent}:{os.environ['PATH']}")
    make_timeline("start: 0, end: 0.5, text: a dog left", name="early.yaml")
    make_timeline("start: 0, end: 3, text: a dog left", name="late.yaml")
    if "found" in warned:
        monkeypatch.setattr("tas_core.inference.presence.FOUND", 2.0)  # more than any presence
    monkeypatch.chdir(tmp_path)
    out = ("--out-dir", "made") if batch else ("-o", "out.wav")
    done = tas("spatialize", name, *out, "--model", tiny_model, *options)
    assert done.code == 0
    (line,) = (line for line in done.err.splitlines() if warned in line)
    assert line.startswith("tas: warning: ")


def test_too_loud_is_turned_down_as_a_whole_with_a_warning(
    tas: Run, make_timeline: Make, tiny_model: Path, tmp_path: Path
) -> None:
    """A full-scale click on one side needs more than full scale in one ear; a file of floats may hold it."""
    samples = np.zeros(16_000)
    samples[8000] = 0.999
    source, out = tmp_path / "click.wav", tmp_path / "out.wav"
    soundfile.write(source, samples, 16_000, subtype="PCM_16")
    timeline = make_timeline("start: 0, text: a click far left")
    arguments = ("-t", timeline, "-o", out, "--model", tiny_model, "--json", "--force")
    done = tas("spatialize", source, *arguments)
    report = strict_json(done.out)
    gain = 10 ** (report["gain_db"] / 20)
    assert gain < 1
    assert report["peak"] == pytest.approx(1 - 2**-15)
    assert re.fullmatch(rf"tas: warning: {re.escape(f'{source}: {out}')}: .*turned down by \d\.\d\d dB\n", done.err)
    mono = soundfile.read(source)[0]
    np.testing.assert_allclose(soundfile.read(out)[0].mean(axis=1), gain * mono, atol=2**-16 + 1e-9)

    soundfile.write(source, mono, 16_000, subtype="FLOAT")
    done = tas("spatialize", source, *arguments)
    report = strict_json(done.out)
    assert done.err == ""
    assert report["gain_db"] == 0.0
    assert report["peak"] > 1
    np.testing.assert_allclose(soundfile.read(out)[0].mean(axis=1), mono, atol=1e-6)


def test_a_timeline_longer_than_the_audio_is_cut_with_one_warning(
    tas: Run, make_audio: Make, make_timeline: Make, tiny_model: Path, tmp_path: Path
) -> None:
    timeline = make_timeline("start: 0, end: 3, text: a tone on the left")
    done = tas(
        *("spatialize", make_audio(), "-t", timeline, "-o", tmp_path / "out.wav"), *("--model", tiny_model, "--json")
    )
    assert strict_json(done.out)["segments"][0]["end_s"] == 1.0
    (line,) = done.err.splitlines()
    assert line.startswith(f"tas: warning: {tmp_path / 'in.wav'}: {timeline}:2:5: the segment ends at 3 s")


def test_a_timeline_of_which_a_part_is_after_the_audio_is_one_error(
    tas: Run, make_audio: Make, make_timeline: Make, tmp_path: Path
) -> None:
    """Nothing is said of what would have been cut."""
    timeline = make_timeline("start: 0, end: 3, text: a tone on the left", "start: 3, text: a tone on the right")
    done = tas("spatialize", make_audio(), "-t", timeline, "-o", tmp_path / "out.wav")
    assert done.code == 2
    assert done.error_line.startswith(f"{timeline}:3:5: the segment starts at 3 s, expected a start before the end")


def test_the_same_seed_gives_the_same_file(
    tas: Run, make_audio: Make, make_timeline: Make, tiny_model: Path, tmp_path: Path
) -> None:
    source, timeline = make_audio(), make_timeline(*SCENE)
    outs = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for out in outs:
        arguments = ("-t", timeline, "-o", out, "--model", tiny_model, "--seed", 5)
        assert tas("spatialize", source, *arguments).code == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()


# ------------------------------------------------------------------ exit codes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in.wav", "-t", "scene.yaml", "-o", "out.wav", "--louder"], "--louder"),
        (["in.wav", "-o", "out.wav"], "--timeline"),
        (["in.wav", "-t", "scene.yaml"], "--out"),
        (["-t", "scene.yaml", "-o", "out.wav"], "IN"),
        (["in.wav", "other.wav", "-t", "scene.yaml", "-o", "out.wav"], "other.wav"),
        (["in.wav", "-t", "scene.yaml", "-o", "out.wav", "--steps", "0"], "--steps"),
        (["in.wav", "-t", "scene.yaml", "-o", "out.wav", "--steps", "many"], "--steps"),
        (["in.wav", "-t", "scene.yaml", "-o", "out.wav", "--seed", "-1"], "--seed"),
    ],
)
def test_wrong_usage_exits_with_two_and_names_the_option(
    tas: Run,
    make_audio: Make,
    make_timeline: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    make_audio()
    make_timeline(*SCENE)
    monkeypatch.chdir(tmp_path)
    done = tas("spatialize", *arguments)
    assert done.code == 2
    assert done.out == ""
    assert message in done.error_line
    assert sorted(os.listdir(tmp_path)) == ["in.wav", "scene.yaml"]


def test_an_unknown_command_exits_with_two(tas_process: Run) -> None:
    done = tas_process("spatialise")
    assert done.code == 2
    assert "spatialise" in done.error_line


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("plot", "x.wav"),
            "Missing option '--kind' / '-k': expected spl, envelope, spectrogram, azimuth, places; see tas plot -h",
        ),
        (("plot", "x.wav", "--kind", "a\nb"), "Invalid value for '--kind' / '-k': 'a\\nb' is not one of"),
        (("spa\nt",), "No such command 'spa\\nt'"),
        (("plot", "--a\nb"), "No such option: --a\\x0ab"),
    ],
)
def test_what_the_parser_refuses_is_one_line(tas: Run, arguments: tuple[str, ...], line: str) -> None:
    done = tas(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.error_line.startswith(line)


def test_an_existing_output_is_kept_unless_forced(
    tas: Run, make_audio: Make, make_timeline: Make, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.wav"
    arguments = ("spatialize", make_audio(), "-t", make_timeline(*SCENE), "-o", out, "--model", tiny_model)
    assert tas(*arguments).code == 0
    out.write_bytes(out.read_bytes() + b"edited")
    kept = out.read_bytes()
    again = tas(*arguments)
    assert again.code == 2
    assert again.error_line.startswith(f"{out}: the file exists")
    assert out.read_bytes() == kept
    assert tas(*arguments, "--force").code == 0
    assert out.read_bytes() == kept.removesuffix(b"edited")


def test_a_failure_that_is_not_the_request_exits_with_one(
    tas: Run, make_audio: Make, make_timeline: Make, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise TasError("out.wav: cannot write the file; is the disk full?")

    monkeypatch.setattr(AudioWriter, "write", full)
    arguments = ("-t", make_timeline(*SCENE), "-o", tmp_path / "out.wav", "--model", tiny_model)
    done = tas("spatialize", make_audio(), *arguments)
    assert done.code == 1
    assert done.error_line == "out.wav: cannot write the file; is the disk full?"


def test_an_interrupt_while_writing_leaves_nothing(
    tas: Run, make_audio: Make, make_timeline: Make, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: AudioWriter, _: np.ndarray) -> NoReturn:
        assert leftovers(self.path.parent) != []
        raise KeyboardInterrupt

    monkeypatch.setattr(AudioWriter, "_check", interrupt)
    source, timeline = make_audio(), make_timeline(*SCENE)
    before = sorted(os.listdir(tmp_path))
    done = tas("spatialize", source, "-t", timeline, "-o", tmp_path / "out.wav", "--model", tiny_model)
    assert done.code == 130
    assert done.err == "tas: interrupted\n"
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "tas: interrupted\n"), (signal.SIGTERM, 143, ""), (signal.SIGHUP, 129, "")],
)
def test_a_signal_during_a_long_job_ends_it_and_leaves_nothing(
    make_timeline: Make, tiny_model: Path, tmp_path: Path, number: signal.Signals, code: int, said: str
) -> None:
    """Ctrl-C, kill and a closed terminal after sampling began, in a process of its own; stdout tells when that is."""
    source = tmp_path / "long.wav"
    soundfile.write(source, np.tile(tone(10.0, 8000)[0], 24), 8000, subtype="PCM_16")  # four blocks
    timeline = make_timeline("start: 0, text: a tone on the left")
    before = sorted(os.listdir(tmp_path))
    program = (
        "import sys\n"
        "from tas_cli.main import main\n"
        "from tas_core.jobs import spatialize\n"
        "inner = spatialize.process_file\n"
        "tell = lambda fraction: print('sampling', flush=True)\n"
        "spatialize.process_file = lambda *a, **k: inner(*a, **{**k, 'progress': tell})\n"
        "main()\n"
    )
    arguments = ["spatialize", source, "-t", timeline, "-o", tmp_path / "out.wav", "--model", tiny_model]
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "sampling\n"
        process.send_signal(number)
        err = process.stderr.read()
        assert process.wait(60) == code
    assert err == said
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("module", ["typer", "tas_cli.commands.spatialize", "tas_core.jobs.request", "torch"])
@pytest.mark.parametrize("program", [f"runpy.run_path({str(TAS)!r}", "runpy.run_module('tas_cli'"])
def test_an_interrupt_while_modules_are_imported_is_a_word(
    make_audio: Make, tmp_path: Path, module: str, program: str
) -> None:
    """Ctrl-C before anything is there to catch it: the console script and the module, stopped at an import."""
    program = (
        "import os, runpy, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        f"{program}, run_name='__main__')\n"
    )
    arguments = ["spatialize", str(make_audio()), "-p", "a tone on the left", "-o", str(tmp_path / "out.wav")]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "tas: interrupted\n")
    assert os.listdir(tmp_path) == ["in.wav"]


def test_the_command_line_leaves_no_warning_settings_behind(tas: Run) -> None:
    """What the fixture promises, so that tests run in one process do not depend on their order."""
    before = (warnings.showwarning, list(warnings.filters))
    tas("--help")
    assert (warnings.showwarning, list(warnings.filters)) == before

"""Other programs as rows: what they are given, what they may do wrong, and when they are run again."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.datasets.tasbench.layout import TasBench
from tas_core.errors import InputError, TasError
from tas_core.evaluation.clips import OutputError, read_clip
from tas_core.evaluation.commands import Command, CommandSystem
from tas_core.evaluation.runner import evaluate
from tas_core.evaluation.systems import SystemSpec
from tas_core.evaluation.tasks import drawn_clips
from tas_core.timeline.files import load_timeline
from tests.conftest import Finished
from tests.evaluation.conftest import ONE, mean

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "pan_command.py"
PYTHON = shlex.quote(sys.executable)


@pytest.fixture
def shell(tmp_path: Path) -> Callable[[str], str]:
    """The source of a row that runs a shell script: $1 is the input, $2 the output, $3 the clip."""

    def source(script: str, words: str = "{mono} {out} {clip}") -> str:
        path = tmp_path / "program with a space.sh"
        path.write_text(script, encoding="utf-8")
        return f"command:/bin/sh {shlex.quote(str(path))} {words}"

    return source


@pytest.fixture
def ready(scored: TasBench, tmp_path: Path) -> Path:
    """A folder with a good output for each clip, as some program may have made it."""
    folder = tmp_path / "ready"
    folder.mkdir()
    for name in scored.clips():
        clip = read_clip(scored, name)
        soundfile.write(folder / f"{name}.wav", np.stack([clip.mono] * 2, axis=1), 16_000, subtype="FLOAT")
    return folder


# ------------------------------------------------------------------ how a command is written


def test_words_and_places_for_files() -> None:
    command = Command.read("command:python 'my program.py' --in={mono} -o {out} \\{seed}")
    assert command.words == ("python", "my program.py", "--in={mono}", "-o", "{out}", "{seed}")
    assert command.version == ""
    # A value is a word or a part of one, whatever it holds, and is not read again.
    filled = command.filled({"mono": "/a b/'{out}'; rm", "out": "$HOME", "seed": "3"})
    assert filled == ["python", "my program.py", "--in=/a b/'{out}'; rm", "-o", "$HOME", "3"]
    assert Command.read("command@v1.2 beta:x {mono} {out}").version == "v1.2 beta"
    assert Command.read("command:x {mono} {out} '{\"a\": [1, {}]}'").words[-1] == '{"a": [1, {}]}'
    assert Command.read("command:cp made/{clip}.wav {out}").words[0] == "cp"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("command:", "no {mono} and no {out} in it"),
        ("command:x {mono}", "no {out} in it"),
        ("command:x {out}", "no {mono} in it"),
        ("command:x {mono} {out} {text}", "unknown {text}; expected one of {mono}, {out}, {timeline}, {places}"),
        ("command:x '{mono} {out}", "quotes or a backslash that lead nowhere"),
        ("mono", "expected command:WORDS or command@VERSION:WORDS"),
    ],
)
def test_commands_that_cannot_be(source: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        Command.read(source)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_that_are_commands() -> None:
    with pytest.raises(InputError, match="command has no steps"):
        SystemSpec("x", "command:x {mono} {out}", 3)
    with pytest.raises(InputError, match="no {out}"):
        SystemSpec("x", "command:x {mono}")


def test_a_program_that_is_not_there_is_named_before_any_work(scored: TasBench, tmp_path: Path) -> None:
    for program in ("no-such-program-of-any-kind", str(tmp_path / "none.sh"), str(tmp_path)):
        with pytest.raises(InputError, match="mine: no program ") as caught:
            evaluate(
                scored, ["mono", SystemSpec("mine", f"command:{program} {{mono}} {{out}}")], ONE, out=tmp_path / "o"
            )
        assert program in str(caught.value)
    assert not (tmp_path / "o" / "results.jsonl").read_bytes()


# ------------------------------------------------------------------ what a program is given


def test_the_example_is_the_row_that_it_imitates(scored: TasBench) -> None:
    """Panning by another program is what the row ``pan`` does, but between places; mirrored prompts reach it, too."""
    source = f"command:{PYTHON} {shlex.quote(str(EXAMPLE))} {{mono}} {{places}} {{out}}"
    settings = replace(ONE, clips=1, control=True, control_clips=1, also=("cited",))
    table = evaluate(scored, ["pan", SystemSpec("mine", source)], settings)
    ours, theirs = table.row("mine"), table.row("pan")
    assert ours.values.keys() == theirs.values.keys()
    for clip, expected in theirs.values.items():
        assert ours.values[clip].keys() == {*expected, "real_time_factor"}
        for name in ("stft", "amp", "snr_db", "ild_error_db", "itd_error_us", "binaqual", "mrstft"):
            assert ours.values[clip][name] == pytest.approx(expected[name], rel=0.05), name
    assert mean(table, "mine", "mirror_db") < -100
    assert mean(table, "mine", "mono_sum_error_db") < -120
    assert ours.about == {
        "kind": "command",
        "command": [sys.executable, str(EXAMPLE), "{mono}", "{places}", "{out}"],
        "version": "",
    }
    assert 0 < mean(table, "mine", "real_time_factor") < 30


def test_what_a_program_finds(scored: TasBench, shell: Callable[..., str], tmp_path: Path, ready: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    script = (
        f'cp "$1" "$2" "$3" {kept}; echo "$4 $5 $OMP_NUM_THREADS $(pwd)" > {kept}/said; cat; cp {ready}/$6.wav "$7"\n'
    )
    source = shell(script, "{mono} {timeline} {places} {seed} {rate} {clip} {out}")
    clip = read_clip(scored, scored.clips()[0])
    assert clip.timeline is not None
    ears, seconds = CommandSystem("mine", source)(clip, clip.timeline, 7)
    np.testing.assert_allclose(ears, np.stack([clip.mono] * 2), atol=1e-7)
    assert seconds is not None
    assert 0 < seconds < 10
    given, rate_hz = soundfile.read(kept / "mono.wav")
    assert soundfile.info(kept / "mono.wav").subtype == "FLOAT"
    assert rate_hz == 16_000
    np.testing.assert_allclose(given, clip.mono, atol=1e-7)
    asked = load_timeline(kept / "timeline.yaml")
    assert [s.as_dict() for s in asked.segments] == [s.as_dict() for s in clip.timeline.segments]
    places = json.loads((kept / "places.json").read_text("utf-8"))
    assert places == {
        "clip": clip.name,
        "rate_hz": 16_000,
        "duration_s": 2.0,
        "segments": json.loads(json.dumps([s.as_dict() for s in clip.timeline.segments])),
    }
    assert (kept / "said").read_text().split() == ["7", "16000", "1", os.getcwd()]


def test_a_program_that_is_given_no_words_follows_none(scored: TasBench, ready: Path) -> None:
    """Control runs are then left out, and a clip without a timeline will do."""
    source = f"command:cp {shlex.quote(str(ready))}/{{clip}}.wav {{out}}"
    table = evaluate(scored, ["mono", SystemSpec("made", source)], replace(ONE, clips=2, control=True, control_clips=1))
    assert not {"mirror_db", "center_spl_db", "swap_accuracy"} & table.row("made").measures.keys()
    assert mean(table, "made", "snr_db") == pytest.approx(mean(table, "mono", "snr_db"), abs=1e-4)
    assert mean(table, "made", "rank_object") == mean(table, "mono", "rank_object")


# ------------------------------------------------------------------ what it may do wrong

WRONG = {
    "exit 3": "sh failed with exit code 3",
    "echo first; echo 'no   weights\tfound' >&2; exit 1": "sh failed with exit code 1; it said: no weights found",
    "kill -9 $$": "sh was ended by signal 9",
    "true": "the program ended well but wrote nothing to {out} (out.wav)",
    'echo nonsense > "$2"': "the output",
    'cp "$1" "$2"': "the output: 1 channel, expected two, left and right",
    'cp READY/late.wav "$2"': "the output has 31999 samples, expected 32000 as the input has",
    'cp READY/rate.wav "$2"': "the output has a rate of 48000 Hz, expected 16000",
    'cp READY/nan.wav "$2"': "the output: sample nan at 0.01 s in channel 2, expected finite numbers",
    'mkdir "$2"': "the output",
}


@pytest.mark.parametrize("script", WRONG)
def test_each_wrong_is_one_line_and_costs_one_clip(
    scored: TasBench, shell: Callable[..., str], ready: Path, script: str
) -> None:
    """The other clips of that row, and the other rows, are scored."""
    bad, good = scored.clips()[:2]
    ears, rate_hz = soundfile.read(ready / f"{bad}.wav")
    soundfile.write(ready / "late.wav", ears[:-1], rate_hz, subtype="FLOAT")
    soundfile.write(ready / "rate.wav", ears, 48_000, subtype="FLOAT")
    ears[160, 1] = np.nan
    soundfile.write(ready / "nan.wav", ears, rate_hz, subtype="FLOAT")
    script = script.replace("READY", str(ready))
    row = CommandSystem("mine", shell(script))
    clip = read_clip(scored, bad)
    with pytest.raises(OutputError) as caught:
        row(clip, clip.timeline, 0)
    said = str(caught.value)
    assert said.startswith(WRONG[script.replace(str(ready), "READY")])
    assert "\n" not in said
    assert ".parts" not in said
    assert good != bad


def test_a_clip_that_fails_is_named_and_the_rest_is_scored(
    scored: TasBench, shell: Callable[..., str], ready: Path, tmp_path: Path
) -> None:
    two = replace(ONE, clips=2)
    bad, good = drawn_clips({1: scored.split_clips("test")}, two)
    source = shell(f'[ "$3" = {bad} ] && echo out of memory && exit 1; cp {ready}/$3.wav "$2"\n')
    rows = ["mono", SystemSpec("mine", source)]
    table = evaluate(scored, rows, two, out=tmp_path / "o")
    assert dict(table.row("mine").excluded) == {bad: "sh failed with exit code 1; it said: out of memory"}
    assert set(table.row("mine").values) == {good}
    assert set(table.row("mono").values) == {bad, good}
    assert table.excluded == {}
    # A failure is not kept: it is tried again, and nothing else is.
    assert evaluate(scored, rows, two, out=tmp_path / "o").computed == 0
    (tmp_path / "program with a space.sh").write_text(f'cp {ready}/$3.wav "$2"\n')
    assert evaluate(scored, rows, two, out=tmp_path / "o").computed == 2  # another script: anew


def test_a_failure_on_other_prompts_leaves_the_clip_out(
    scored: TasBench, shell: Callable[..., str], ready: Path
) -> None:
    """The first run is for the clip's own prompts, the next for mirrored ones; half an answer is none."""
    mark = ready / "ran"
    script = f'[ -e {mark} ] && exit 5; touch {mark}; cp {ready}/$3.wav "$2"\n'
    source = shell(script, "{mono} {out} {clip} {timeline}")
    table = evaluate(scored, ["mono", SystemSpec("mine", source)], replace(ONE, clips=1, control=True, control_clips=1))
    assert list(table.row("mine").excluded.values()) == ["sh failed with exit code 5"]
    assert table.row("mine").values == {}


def test_a_program_that_does_not_end_is_ended(scored: TasBench, shell: Callable[..., str], tmp_path: Path) -> None:
    """And so is what it has started."""
    clip = read_clip(scored, scored.clips()[0])
    pid = tmp_path / "pid"
    source = shell(f"sleep 60 & echo $! > {pid}; echo loading; wait\n")
    began = time.monotonic()
    with pytest.raises(OutputError, match=r"^sh was stopped after 0\.3 s, its limit; it said: loading$"):
        CommandSystem("mine", source, timeout_s=0.3)(clip, clip.timeline, 0)
    assert time.monotonic() - began < 10
    child = Path(f"/proc/{pid.read_text().strip()}")
    until_s = time.monotonic() + 10
    while child.exists() and "Z" not in (child / "stat").read_text().split()[2]:
        assert time.monotonic() < until_s
        time.sleep(0.02)


def test_the_limit_is_a_setting(scored: TasBench, shell: Callable[..., str]) -> None:
    row = SystemSpec("mine", shell("sleep 60\n"))
    table = evaluate(scored, ["mono", row], replace(ONE, clips=1, timeout_s=0.2))
    assert list(table.row("mine").excluded.values()) == ["sh was stopped after 0.2 s, its limit"]
    with pytest.raises(InputError, match="timeout_s is 0; expected more than 0"):
        replace(ONE, timeout_s=0)


# ------------------------------------------------------------------ when it is run again


def test_results_are_known_by_the_words_the_version_and_the_script(
    scored: TasBench, shell: Callable[..., str], ready: Path, tmp_path: Path
) -> None:
    def computed(source: str) -> int:
        return evaluate(scored, [SystemSpec("any name", source)], replace(ONE, clips=1), out=tmp_path / "o").computed

    source = shell(f'cp {ready}/$3.wav "$2"\n')
    assert computed(source) == 1
    assert computed(source) == 0
    assert computed(source.replace("command:", "command@2:")) == 1
    assert computed(source.replace("command:", "command@2:")) == 0
    assert computed(source + " --fast") == 1
    assert computed(source) == 0
    assert computed(shell(f'# new\ncp {ready}/$3.wav "$2"\n')) == 1


def test_outputs_that_are_made_anew_are_scored_anew(scored: TasBench, ready: Path, tmp_path: Path) -> None:
    """Those of the clip alone, whatever their size."""
    row = SystemSpec("made", f"command:cp {shlex.quote(str(ready))}/{{clip}}.wav {{out}}")
    first = evaluate(scored, [row], replace(ONE, clips=2), out=tmp_path / "o")
    assert evaluate(scored, [row], replace(ONE, clips=2), out=tmp_path / "o").computed == 0
    path = ready / f"{first.clips[0]}.wav"
    ears, rate_hz = soundfile.read(path)
    soundfile.write(path, 0.5 * ears, rate_hz, subtype="FLOAT")
    again = evaluate(scored, [row], replace(ONE, clips=2), out=tmp_path / "o")
    assert again.computed == 1
    levels = [[table.row("made").values[clip]["mono_sum_error_db"] for clip in first.clips] for table in (first, again)]
    assert levels[0][0] != levels[1][0]
    assert levels[0][1] == levels[1][1]


def test_an_interruption_ends_the_program(scored: TasBench, shell: Callable[..., str], tmp_path: Path) -> None:
    """As Ctrl-C, which a program in a session of its own does not hear."""
    clip = read_clip(scored, scored.clips()[0])
    pid = tmp_path / "pid"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.4)
    try:
        with pytest.raises(KeyboardInterrupt):
            CommandSystem("mine", shell(f"echo $$ > {pid}; sleep 60\n"))(clip, clip.timeline, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_temporary_folder_that_cannot_be_used_is_named(
    scored: TasBench, shell: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = read_clip(scored, scored.clips()[0])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(
        TasError, match=re.escape(f"{tmp_path / 'none'}: cannot write a temporary folder (No such file")
    ):
        CommandSystem("mine", shell("true\n"))(clip, clip.timeline, 0)


@pytest.mark.slow
def test_processes_run_commands_side_by_side(scored: TasBench, shell: Callable[..., str], ready: Path) -> None:
    bad = scored.clips()[2]
    source = shell(f'[ "$3" = {bad} ] && exit 4; cp {ready}/$3.wav "$2"\n')
    rows = [SystemSpec("mine", source), "mono"]
    one, two = (evaluate(scored, rows, replace(ONE, jobs=jobs)) for jobs in (1, 2))
    assert dict(one.row("mine").excluded) == dict(two.row("mine").excluded) == {bad: "sh failed with exit code 4"}
    for clip, values in one.row("mine").values.items():
        ours = {name: value for name, value in two.row("mine").values[clip].items() if name != "real_time_factor"}
        assert ours == {name: value for name, value in values.items() if name != "real_time_factor"}


# ------------------------------------------------------------------ on the command line


def test_on_the_command_line(scored: TasBench, tas: Callable[..., Finished], ready: Path) -> None:
    options = ["--clips", 1, "--jobs", 1, "--device", "cpu"]
    good = f"made=command@1:cp {ready}/{{clip}}.wav {{out}}"
    done = tas("eval", "data", scored.root, "--model", "mono", "--model", good, *options, "--json")
    assert done.code == 0
    row = json.loads(done.out)["rows"][1]
    assert (row["name"], row["kind"], row["version"]) == ("made", "command", "1")
    assert row["command"] == ["cp", f"{ready}/{{clip}}.wav", "{out}"]
    done = tas("eval", "data", scored.root, "--model", "mono", "--model", "bad=command:false {mono} {out}", *options)
    assert done.code == 1
    (clip,) = (line.split(": ")[2] for line in done.err.splitlines() if "excluded" in line)
    assert done.err.splitlines() == [
        f"tas: excluded from bad: {clip}: false failed with exit code 1",
        "tas: error: bad: not one clip could be scored; see above why",
    ]
    assert "snr_db" in done.out  # of the other row
    done = tas("eval", "data", scored.root, "--model", "command:x {mono} {out}", *options)
    assert done.code == 2
    assert done.error_line == "--model 'command:x {mono} {out}': expected a name, NAME=command:WORDS"

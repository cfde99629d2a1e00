"""``tas timeline``: what it says that it understood, in text, as a chart and in JSON, and conversions."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tas_core.timeline.check import check_timeline
from tas_core.timeline.files import load_timeline
from tests.conftest import TAS, Finished

Run = Callable[..., Finished]
Make = Callable[..., Path]

ROOT = Path(__file__).parents[2]
SCENE = """\
1
00:00:00,000 --> 00:00:03,200
cello on the left
piano on the right

2
00:00:03,280 --> 00:00:08,000
the cello moves from the left to the right
piano in the center

3
00:00:09,000 --> 00:00:12,000
a man talking 30 degrees to the left
"""


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A relative path to SubRip: the timeline of the documentation."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    Path("scene.srt").write_text(SCENE)
    return "scene.srt"


def refused(run: Run, *arguments: object) -> str:
    done = run("timeline", *arguments)
    assert done.code == 2
    assert done.out == ""
    return done.error_line


def chart(out: str) -> list[str]:
    """What stands in each row of the chart from left 90 to right 90, then the segments and the times."""
    lines = out.split("\n\n", 1)[1].split("\n")
    return [line[10:] for line in lines[:15]]


# ------------------------------------------------------------------ check


def test_the_documentation_shows_what_is_printed(tas: Run, scene: str, make_audio: Make) -> None:
    make_audio(seconds=12.0)
    done = tas("timeline", "check", scene, "--audio", "in.wav")
    assert done.code == 0
    assert done.err == ""
    text = (ROOT / "docs" / "TIMELINES.md").read_text()
    shown = text.split("$ tas timeline check scene.srt --audio in.wav\n")[1].split("```")[0]
    assert done.out == shown


def test_the_chart_has_each_object_at_its_azimuth(tas: Run, scene: str) -> None:
    """A row per 15 degrees, left on top; the objects of one place take turns."""
    rows = chart(tas("timeline", "check", scene).out)
    columns = {row: {c for c in line.rstrip() if c not in " ."} for row, line in enumerate(rows[:13])}
    assert columns[2] == {"a"}  # 55 is nearest to 60
    assert columns[4] == {"a", "c"}
    assert columns[6] == {"a", "b"}
    assert columns[10] == {"a", "b"}
    assert not columns[0] | columns[1] | columns[11] | columns[12]
    cells = [(i, rows[i].ljust(70)[column]) for column in range(47) for i in range(13)]  # to 8 s of 12
    heights = [i for i, letter in cells if letter == "a"]
    assert len(heights) > 40  # "b" has its turns in the center
    assert heights == sorted(heights)
    assert set(rows[6][47:]) == {"."}  # nothing in the center at the end
    assert [match.start() for match in re.finditer(r"\[", rows[13])] == [0, 19, 52]
    assert rows[14].split() == ["0:00", "0:05", "0:10"]


def test_a_pipe_gets_plain_text_within_80_columns(tas_process: Run, scene: str) -> None:
    done = tas_process("timeline", "check", scene)
    assert done.code == 0
    assert "\x1b" not in done.out
    assert max(map(len, chart(done.out))) <= 70
    assert done.err == ""


def test_a_terminal_gets_the_same_text_in_color(scene: str) -> None:
    """Colors only mark objects: without them the output is that of a pipe."""
    leader, follower = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
    command = [str(TAS), "timeline", "check", scene]
    shown = subprocess.Popen(command, stdout=follower, env={**environment, "TERM": "xterm-256color", "COLUMNS": "80"})
    os.close(follower)
    raw = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # how Linux says that the other end was closed
            break
        if not part:
            break
        raw += part
    assert shown.wait(60) == 0
    os.close(leader)
    assert b"\x1b[36m" in raw
    plain = re.sub(r"\x1b\[[0-9;]*m", "", raw.decode().replace("\r\n", "\n"))
    piped = subprocess.run(command, capture_output=True, text=True, env={**environment, "COLUMNS": "80"}, check=True)
    assert chart(plain) == chart(piped.stdout)


def test_without_audio_the_last_end_stays_open(tas: Run, make_timeline: Make) -> None:
    path = make_timeline("start: 0, text: cello left", "start: 8, text: the cello moves from the left to the right")
    done = tas("timeline", "check", path)
    assert done.code == 0
    assert "00:00:08.000  end of audio  a  cello   55° left -> 55° right" in done.out
    assert "every moment has a prompt" in done.out
    assert chart(done.out)[14].endswith(" end")


@pytest.mark.parametrize("entries", [("start: 0, text: cello left",), ("start: 0, end: 0.0004, text: cello left",)])
def test_the_shortest_timelines_are_drawn(tas: Run, make_timeline: Make, entries: tuple[str, ...]) -> None:
    rows = chart(tas("timeline", "check", make_timeline(*entries)).out)
    assert rows[2] == "a" * 70
    assert rows[13] == "[1" + "-" * 67 + "]"
    assert rows[14].startswith("0:00")


def test_many_short_segments_and_objects_are_drawn(tas: Run, make_timeline: Make) -> None:
    """More of both than there are columns and letters; days long."""
    entries = [f"start: {1000 * i}, end: {1000 * i + 1}, text: '\"drum {i}\" left'" for i in range(400)]
    done = tas("timeline", "check", make_timeline(*entries))
    assert done.code == 0
    rows = chart(done.out)
    assert set(rows[2]) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert len(rows[2]) == 70
    assert set(rows[13]) == {"|"}
    assert len(rows[14]) <= 70
    assert ", and 394 more (" in done.out
    assert "and 348 more by the same letters" in " ".join(done.out.split())


def test_json_says_the_same(tas: Run, scene: str, make_audio: Make) -> None:
    make_audio(seconds=12.5)
    done = tas("timeline", "check", scene, "--audio", "in.wav", "--json")
    assert done.code == 0
    report = json.loads(done.out)
    assert report["timeline"] == scene
    assert report["duration_s"] == 12.5
    assert report["objects"] == ["cello", "piano", "man talking"]
    assert [(s["start_s"], s["end_s"]) for s in report["segments"]] == [(0.0, 3.2), (3.28, 8.0), (9.0, 12.0)]
    assert report["segments"][1]["clauses"] == [
        {"object": "cello", "azimuth_start_deg": 55.0, "azimuth_end_deg": -55.0},
        {"object": "piano", "azimuth_start_deg": 0.0, "azimuth_end_deg": 0.0},
    ]
    assert [(g["start_s"], g["end_s"]) for g in report["uncovered"]] == [(3.2, 3.28), (8.0, 9.0), (12.0, 12.5)]
    assert report["uncovered_s"] == pytest.approx(1.58, abs=1e-12)  # sums of doubles near 10
    (warning,) = report["warnings"]
    assert warning.startswith("scene.srt:2:1: no prompt for 0.08 s")


def test_json_without_audio_has_open_ends_as_null(tas: Run, make_timeline: Make) -> None:
    path = make_timeline("start: 1, text: cello left", "start: 2, text: cello right")
    report = json.loads(tas("timeline", "check", path, "--json").out)
    assert report["duration_s"] is None
    assert [s["end_s"] for s in report["segments"]] == [2.0, None]
    assert report["uncovered"] == [{"start_s": 0.0, "end_s": 1.0}]


def test_a_segment_that_outlasts_the_audio_is_a_warning(tas: Run, scene: str, make_audio: Make) -> None:
    make_audio(seconds=10.0)
    done = tas("timeline", "check", scene, "--audio", "in.wav")
    assert done.code == 0
    assert "warning: scene.srt:12:1: the segment ends at 12 s, after the audio of 10 s; it is cut\n" in done.out
    assert "00:00:09.000  00:00:10.000" in done.out


def test_only_short_gaps_between_prompts_are_doubted(tmp_path: Path) -> None:
    """Not the beginning and the end, where a label may well start late; not what is long enough to be meant."""
    path = tmp_path / "labels.txt"
    path.write_text("0.1\t1\tdog left\n1.24\t2\tdog left\n2.25\t2.9\tdog left\n")
    (warning,) = check_timeline(path, 3.0).warnings
    assert ":1:1: no prompt for 0.24 s after the segment's end at 1 s" in warning


def test_markup_of_the_terminal_library_is_text(tas: Run, make_timeline: Make) -> None:
    done = tas("timeline", "check", make_timeline("start: 0, text: '\"[red]:dog: horn[/red]\" left'"))
    assert done.out.count("[red]:dog: horn[/red]") == 2


def test_what_cannot_be_used_is_refused(tas: Run, scene: str, make_audio: Make, make_timeline: Make) -> None:
    assert refused(tas, "check", "no.srt") == "no.srt: cannot read the timeline: No such file or directory"
    assert refused(tas, "check", make_audio()).endswith("expected a timeline: .yaml, .yml, .srt, .vtt, .txt")
    late = make_timeline("start: 5, text: dog left")
    assert "expected a start before the end of the audio at 1 s" in refused(tas, "check", late, "--audio", "in.wav")
    assert refused(tas, "check", scene, "--audio", "no.wav", "--json").startswith("no.wav: ")
    Path("bad.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\ncello on the lefft\n")
    done = tas("timeline", "check", "bad.vtt")
    assert done.code == 2
    assert done.err.startswith('tas: error: bad.vtt:4:1: an object without a place (did you mean "left"?)')
    assert "^^^^^" in done.err


def test_neither_command_loads_torch(scene: str) -> None:
    program = (
        "import sys\n"
        "from tas_cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print(*sys.modules.keys() & {'torch', 'transformers'}, file=sys.stderr)\n"
    )
    for arguments in (["check", scene], ["convert", scene, "-o", "out.vtt"]):
        command = [sys.executable, "-c", program, "timeline", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert done.stderr.split() == []


# ------------------------------------------------------------------ convert


@pytest.mark.parametrize("out", ["out.yaml", "out.yml", "out.srt", "out.vtt", "out.txt", "OUT.VTT"])
def test_convert_writes_what_is_read_back(tas: Run, scene: str, out: str) -> None:
    done = tas("timeline", "convert", scene, "--out", out)
    assert (done.code, done.out, done.err) == (0, f"{out}\n", "")
    found, expected = load_timeline(out), load_timeline(scene)
    # Audacity has no line breaks within a label; a semicolon means the same.
    assert [(s.start_s, s.end_s, s.clauses) for s in found.segments] == [
        (s.start_s, s.end_s, s.clauses) for s in expected.segments
    ]
    assert [s.text.replace("; ", "\n") for s in found.segments] == [s.text for s in expected.segments]


def test_the_examples_survive_every_format(tas: Run, tmp_path: Path) -> None:
    for example in sorted((ROOT / "examples").glob("*.yaml")):
        paths = [example, *(tmp_path / f"{example.stem}{end}" for end in (".srt", ".txt", ".vtt", ".yml"))]
        for source, out in zip(paths, paths[1:], strict=False):
            assert tas("timeline", "convert", source, "-o", out).code == 0
        assert load_timeline(paths[-1]) == load_timeline(example)


def test_convert_overwrites_only_by_force(tas: Run, scene: str) -> None:
    Path("out.vtt").write_text("mine")
    assert refused(tas, "convert", scene, "-o", "out.vtt").startswith("out.vtt: the file exists")
    assert Path("out.vtt").read_text() == "mine"
    assert tas("timeline", "convert", scene, "-o", "out.vtt", "--force").code == 0
    assert Path("out.vtt").read_text().startswith("WEBVTT\n")
    assert "the output is the input" in refused(tas, "convert", scene, "-o", scene, "--force")


def test_convert_refuses_what_it_cannot_write(tas: Run, scene: str, make_timeline: Make) -> None:
    assert refused(tas, "convert", scene, "-o", "out.ass").startswith(
        "out.ass: the extension .ass, expected a timeline: "
    )
    assert "the folder" in refused(tas, "convert", scene, "-o", "no/out.vtt")
    short = make_timeline("start: 0, end: 0.0004, text: dog left")
    assert refused(tas, "convert", short, "-o", "out.srt").startswith(
        f"{short}:2:5: the segment at 0 s lasts less than a step"
    )
    assert sorted(os.listdir()) == ["scene.srt", "scene.yaml"]


def test_doubts_about_words_and_names_are_warnings_and_strict_refuses_the_names(tas: Run, make_timeline: Make) -> None:
    path = make_timeline('start: 0, text: "trumpt stage left, drmus on the right"')
    done = tas("timeline", "check", path)
    assert done.code == 0
    assert [line.split(": ", 2)[2] for line in done.out.splitlines() if line.startswith("warning")] == [
        '"stage left" is seen from the stage: the listener\'s right',
        "\"trumpt\" is no known sound: did you mean 'trumpet'?",
        "\"drmus\" is no known sound: did you mean 'drums'?",
    ]
    assert len(json.loads(tas("timeline", "check", path, "--json").out)["warnings"]) == 3
    assert "\"trumpt\" is no known sound: did you mean 'trumpet'?" in refused(tas, "check", path, "--strict")


def test_check_doubts_the_names_that_spatialize_doubts(tas: Run, make_timeline: Make) -> None:
    path = make_timeline("start: 0, end: 1, text: 'trumpt left, shawm right, piano stage left'")
    stage, typo, unknown = json.loads(tas("timeline", "check", path, "--json").out)["warnings"]
    assert '"stage left" is seen from the stage' in stage
    assert typo.endswith("did you mean 'trumpet'?")
    assert "'shawm' is a word that the text encoder does not know" in unknown
    assert unknown.endswith("such as 'oboe'")
    refused = tas("timeline", "check", make_timeline("start: 0, end: 1, text: shawm right"), "--strict")
    assert refused.code == 2
    assert "'shawm' is a word" in refused.err


def test_the_words_that_a_check_knows_cost_no_torch() -> None:
    code = "import sys, tas_core.models.text_encoders.minilm_words; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_levels_have_a_column_of_their_own(tas: Run, make_timeline: Make) -> None:
    scene = make_timeline(
        'start: 0, end: 4, text: "cello on the left at -3 dB, remove the dog"', "start: 4, text: only the voice"
    )
    done = tas("timeline", "check", scene)
    assert done.code == 0
    rows = [" ".join(line.split()) for line in done.out.splitlines()[1:7]]
    assert rows[0] == "# start end object azimuth level"
    assert rows[1].endswith("a cello 55\N{DEGREE SIGN} left -3 dB")
    assert rows[2].endswith("b dog as it is silent")
    assert rows[3].endswith("c voice as it is")
    assert rows[4].endswith("all else silent")


def test_places_all_around_are_shown_with_their_coordinates(tas: Run, tmp_path: Path) -> None:
    scene = tmp_path / "around.yaml"
    scene.write_text(
        "prompts:\n"
        '  - {start: 0, end: 2, text: "dog 3 m behind me on the left, bird 30 degrees up; in a church"}\n'
        '  - {start: 2, end: 4, text: "bee circles around twice, piano left, cello behind the piano", room: car}\n'
        '  - {start: 4, end: 6, text: "a helicopter passes overhead from front to back, rain everywhere"}\n'
    )
    done = tas("timeline", "check", scene)
    assert done.code == 0
    rows = [" ".join(line.split()) for line in done.out.split("\n")[1:12]]
    assert rows[0].endswith("object place")
    for shown in (
        "dog 125° left, 3 m",
        "bird 0°, 30° up",
        "room church, RT60 3.5 s, 38 x 18 x 16 m",
        "bee 0°, clockwise, 2 turns",
        "piano 55° left",
        "cello 55° left, 2.8 m",
        "room car, RT60 0.07 s, 2.4 x 1.4 x 1.15 m",
        "helicopter 0° -> 0°, 90° up -> behind",
        "rain 0°, spread 1",
    ):
        assert any(row.endswith(shown) for row in rows), shown

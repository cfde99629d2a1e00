"""``tas plot``: files in, picture and table out, and what it refuses."""

from __future__ import annotations

import csv
import math
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.reporting.plots.curves import KINDS
from tas_core.timeline.files import EXTENSIONS, convert_timeline
from tests.conftest import Finished
from tests.support.refusal import refused, tree

Run = Callable[..., Finished]
Make = Callable[..., Path]
Files = Callable[..., Path]
RATE = 16_000


@pytest.fixture
def ears(tmp_path: Path) -> Files:
    """Writes samples (ear, time), by default noise that is louder on the left; returns the path."""

    def write(name: str = "in.wav", samples: np.ndarray | None = None, rate_hz: int = RATE, seconds: float = 1) -> Path:
        if samples is None:
            rng = np.random.default_rng(len(name))
            samples = 0.1 * rng.standard_normal((2, round(seconds * rate_hz))) * [[1.0], [0.5]]
        path = tmp_path / name
        soundfile.write(path, samples.T, rate_hz, subtype="FLOAT")
        return path

    return write


def sides() -> np.ndarray:
    """A second of a tone in the left ear, half a second of silence, a second in the right ear, one 6.02 dB to it."""
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    silence, quiet = np.zeros(RATE), np.zeros(RATE // 2)
    return np.stack([np.concatenate([tone, quiet, silence, tone]), np.concatenate([silence, quiet, tone, tone / 2])])


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------------ tables


def test_spl_table_has_signs_values_and_empty_cells(tas: Run, ears: Files, tmp_path: Path) -> None:
    out, table = tmp_path / "out.png", tmp_path / "out.csv"
    done = tas("plot", ears("sides.wav", sides()), "--kind", "spl", "-o", out, "--csv", table)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [str(out), str(table)]
    assert table.read_text().splitlines()[0] == "time_s,label,spl_difference_db"
    cells = {row["time_s"]: row["spl_difference_db"] for row in rows(table)}
    assert {row["label"] for row in rows(table)} == {"sides"}
    assert cells["0.500000"] == "inf"
    assert cells["1.250000"] == ""
    assert cells["2.000000"] == "-inf"
    assert float(cells["3.000000"]) == pytest.approx(6.0206, abs=1e-3)
    assert len(cells) == 69


def test_tables_have_a_row_per_window_and_sound(tas: Run, ears: Files, tmp_path: Path) -> None:
    columns = {
        "spl": ["spl_difference_db"],
        "envelope": ["left", "right"],
        "spectrogram": ["frequency_hz", "level_db"],
        "azimuth": ["object", "azimuth_deg"],
    }
    assert set(KINDS) - set(columns) == {"places"}  # which are a timeline's: tests/reporting/plots/test_places.py
    a, b = ears("a.wav"), ears("b.wav", rate_hz=44_100)
    for kind in columns:
        table = tmp_path / f"{kind}.csv"
        done = tas("plot", a, "--reference", b, "-k", kind, "-o", tmp_path / f"{kind}.svg", "--csv", table)
        assert (done.code, done.err) == (0, "")
        found = rows(table)
        assert list(found[0]) == ["time_s", "label", *columns[kind]]
        labels = [row["label"] for row in found]
        assert labels == ["a"] * labels.count("a") + ["reference"] * labels.count("reference")
        assert {"a", "reference"} == set(labels)
        times = [float(row["time_s"]) for row in found if row["label"] == "a"]
        assert times == sorted(times)
        for row in found:
            for column in set(columns[kind]) - {"object"}:
                assert math.isfinite(float(row[column]))


# ------------------------------------------------------------------ pictures


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_timelines_of_any_format_are_drawn(
    tas: Run, ears: Files, make_timeline: Make, tmp_path: Path, extension: str
) -> None:
    scene = tmp_path / f"other{extension}"
    convert_timeline(make_timeline("start: 0, text: a dog on the left"), scene)
    out = tmp_path / "figure.svg"
    done = tas("plot", ears("take.wav"), "-t", scene, "--kind", "spl", "-o", out)
    assert (done.code, done.err) == (0, "")
    assert "a dog on the left" in out.read_text()


def test_one_picture_of_several_sounds_with_a_lane_each(
    tas: Run, ears: Files, make_timeline: Make, tmp_path: Path
) -> None:
    """The picture that a person makes: one sound under three prompts, and the truth."""
    prompts = ("a dog on the left", "a dog in the center", "a dog & <friends> on the right")
    timelines = [make_timeline(f"start: 0, text: '{text}'", name=f"{i}.yaml") for i, text in enumerate(prompts)]
    options = [word for path in timelines for word in ("-t", path)]
    labels = ("--label", "à gauche", "--label", "the center", "--label", "right, $5")
    out, table = tmp_path / "figure.svg", tmp_path / "figure.csv"
    sounds = [ears(f"take{'x' * i}.wav") for i in range(3)]
    done = tas(
        *("plot", *sounds, *options, *labels, "--reference", ears("truth.wav"), "--kind", "spl"),
        *("-o", out, "--csv", table, "--title", "Three prompts"),
    )
    assert (done.code, done.err) == (0, "")
    texts = ["".join(e.itertext()) for e in ElementTree.parse(out).iter("{http://www.w3.org/2000/svg}text")]
    assert {*prompts, "à gauche", "the center", "right, $5", "reference", "Three prompts"} <= set(texts)
    assert b"&amp; &lt;friends&gt;" in out.read_bytes()
    assert list(dict.fromkeys(row["label"] for row in rows(table))) == [
        *("à gauche", "the center", "right, $5", "reference")
    ]


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG\r\n\x1a\n"), ("SVG", b"<?xml"), ("pdf", b"%PDF-")])
def test_the_ending_chooses_the_format_and_the_bytes_repeat(
    tas: Run, tas_process: Run, ears: Files, make_timeline: Make, tmp_path: Path, ending: str, magic: bytes
) -> None:
    sound, timeline = ears(), make_timeline("start: 0, text: a dog left")
    outs = [tmp_path / f"{name}.{ending}" for name in ("first", "second")]
    for run, out in zip((tas, tas_process), outs, strict=True):
        done = run("plot", sound, "-t", timeline, "-k", "envelope", "-o", out)
        assert (done.code, done.err) == (0, "")
    first, second = (out.read_bytes() for out in outs)
    assert first.startswith(magic)
    assert first == second
    assert sorted(p.suffix for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_file_names_become_labels_as_short_as_they_can_be(tas: Run, ears: Files, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    table = tmp_path / "t.csv"
    for names, labels in [
        (("a.wav", "b.wav"), ["a", "b"]),
        (("a.wav", "a.flac"), ["a.wav", "a.flac"]),
        (("a.wav", "sub/a.wav"), [str(tmp_path / "a.wav"), str(tmp_path / "sub/a.wav")]),
    ]:
        sounds = [ears(name, np.full((2, 4000), 0.1)) if name.endswith("wav") else None for name in names]
        if sounds[1] is None:
            sounds[1] = tmp_path / names[1]
            soundfile.write(sounds[1], np.full((4000, 2), 0.1), RATE)
        done = tas("plot", *sounds, "-k", "spl", "-o", tmp_path / "o.png", "--csv", table, "--force")
        assert (done.code, done.err) == (0, "")
        assert list(dict.fromkeys(row["label"] for row in rows(table))) == labels


def test_a_reference_of_another_length_is_drawn_with_a_warning(tas: Run, ears: Files, tmp_path: Path) -> None:
    long, short = ears("long.wav", seconds=2), ears("short.wav", seconds=1)
    done = tas("plot", long, "--reference", short, "-k", "spl", "-o", tmp_path / "o.png")
    assert done.code == 0
    assert done.err.splitlines() == [
        f"tas: warning: {long} is 2.00 s long and the reference {short} 1.00 s; both are drawn from their beginnings"
    ]


# ------------------------------------------------------------------ what is refused


def test_requests_that_cannot_be_drawn(tas: Run, ears: Files, make_timeline: Make, tmp_path: Path) -> None:
    sound, mono = ears(), ears("mono.wav", np.full((1, 8000), 0.1))
    many, out = ears("many.wav", np.full((4, 8000), 0.1)), tmp_path / "out.png"
    scene = make_timeline("start: 0, text: a dog left")
    late = make_timeline("start: 5, text: a dog left", name="l.yaml")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "there.png").write_bytes(b"precious")
    (tmp_path / "there.csv").write_bytes(b"precious")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(sound)
    spl = ("-k", "spl", "-o", out)
    for arguments, message in [
        ((mono, *spl), rf"{mono}: 1 channel, expected two, left and right"),
        ((many, *spl), rf"{many}: 4 channels, expected two, left and right"),
        ((sound, "--reference", mono, *spl), rf"{mono}: 1 channel, expected two"),
        ((tmp_path / "no.wav", *spl), r"no\.wav: No such file"),
        ((tmp_path / "empty.wav", *spl), "the file is empty"),
        ((sound, "-t", tmp_path / "no.yaml", *spl), r"no\.yaml: cannot read the timeline"),
        ((sound, "-t", late, *spl), r"l\.yaml:2:5: the segment starts at 5 s"),
        ((sound, sound, sound, "-t", scene, "-t", late, *spl), "2 timelines for 3 sounds, expected one for all or one"),
        ((sound, mono, "--label", "a", *spl), r"1 label for 2 sounds, expected one for each \(--label\)"),
        ((sound, sound, *spl), r"the label '.*in\.wav' is given twice, .*\(--label\)"),
        ((sound, "--label", "a", "--label", "a", "--reference", sound, *spl), "the label 'a' is given twice"),
        ((sound, "-k", "spl", "-o", tmp_path / "out.gif"), r"the extension \.gif, expected one of \.png, \.svg, \.pdf"),
        ((sound, "-k", "spl", "-o", tmp_path / "out"), r"no extension, expected one of \.png"),
        ((sound, "-k", "spl", "-o", tmp_path / "no" / "out.png"), "the folder .* does not exist"),
        ((sound, "-k", "spl", "-o", tmp_path / "folder.png"), "a folder, expected a file name"),
        ((sound, "-k", "spl", "-o", tmp_path / "there.png"), "the file exists"),
        ((sound, "-k", "spl", "-o", tmp_path / "link.png", "--force"), "the output is the input"),
        ((sound, *spl, "--csv", tmp_path / "there.csv"), r"there\.csv: the file exists"),
        ((sound, *spl, "--csv", sound, "--force"), "the output is the input"),
        ((sound, *spl, "-t", scene, "--csv", scene, "--force"), "the output is the input"),
        ((sound, *spl, "--csv", out), "the table is the picture"),
    ]:
        assert re.search(message, refused(tas, tmp_path, "plot", *arguments)), arguments


def test_existing_outputs_are_replaced_only_on_request(tas: Run, ears: Files, tmp_path: Path) -> None:
    out, table = tmp_path / "out.png", tmp_path / "out.csv"
    for path in (out, table):
        path.write_bytes(b"old")
    sound = ears()
    refused(tas, tmp_path, "plot", sound, "-k", "spl", "-o", out, "--csv", table)
    assert tas("plot", sound, "-k", "spl", "-o", out, "--csv", table, "--force").code == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert table.read_text().startswith("time_s,")


def test_a_kind_is_one_of_those_listed(tas: Run, ears: Files, tmp_path: Path) -> None:
    done = tas("plot", ears(), "-k", "pie", "-o", tmp_path / "out.png")
    assert (done.code, done.out) == (2, "")
    assert "'pie' is not one of 'spl', 'envelope', 'spectrogram', 'azimuth'" in done.err.splitlines()[-1]


def test_nothing_is_written_where_one_of_two_outputs_cannot_be(
    tas: Run, ears: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    calls: list[int] = []
    sound, out, table = ears(), tmp_path / "out.png", tmp_path / "out.csv"
    before = tree(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    done = tas("plot", sound, "-k", "spl", "-o", out, "--csv", table)
    assert done.code == 1
    assert done.error_line == f"{table}: cannot write the file (No space left on device); is the disk full?"
    assert tree(tmp_path) == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that takes no files, such as /proc")
def test_a_file_system_that_takes_no_files(tas: Run, ears: Files) -> None:
    done = tas("plot", ears(), "-k", "spl", "-o", "/proc/out.png")
    assert done.code == 2
    assert done.error_line.startswith("/proc/out.png: no file can be made in /proc")


def test_mistakes_are_answered_without_loading_matplotlib(ears: Files, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from tas_cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print(*sorted(sys.modules.keys() & {'matplotlib', 'torch'}))\n"
    )
    mono = ears("mono.wav", np.full((1, 8000), 0.1))
    arguments = ["plot", str(mono), "-k", "spl", "-o", str(tmp_path / "o.png")]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout.split() == []

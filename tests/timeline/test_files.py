"""Timelines in files of any format: what is read, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tas_core.errors import InputError, TimelineError
from tas_core.timeline.check import check_timeline
from tas_core.timeline.files import convert_timeline, format_timeline, load_timeline
from tas_core.timeline.segments import Timeline
from tests.timeline.conftest import LEFT, SRT, SRT_SPANS, Load, spans


@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.txt", "a.yaml", "a.yml"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"WEBVTT\n\n\xe9\n", "3:1: not a UTF-8 character"),
        ("WEBVTT\n".encode("utf-16"), "1:1: not a UTF-8 character"),
        (b"#" * 1_000_001, "more than 1000000 bytes"),
    ],
)
def test_what_is_no_short_utf8_text_is_refused(load: Load, name: str, content: bytes, what: str) -> None:
    with pytest.raises(TimelineError, match=name) as caught:
        load(name, content)
    assert what in str(caught.value)


@pytest.mark.parametrize("name", ["scene", "scene.json", "scene.ass", "scene.srt.bak", ".srt"])
def test_another_extension_names_the_known_ones(tmp_path: Path, name: str) -> None:
    """Before anything is read: the file is not even there."""
    for path in (tmp_path / name, tmp_path / "folder" / name):
        with pytest.raises(InputError, match=r"expected a timeline: \.yaml, \.yml, \.srt, \.vtt, \.txt$"):
            load_timeline(path)
        with pytest.raises(InputError, match=r"expected a timeline"):
            format_timeline(Timeline.from_prompt(LEFT), path)


def test_capitals_in_the_extension_are_fine(load: Load) -> None:
    assert spans(load("SCENE.SRT", SRT)) == SRT_SPANS


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TimelineError, match="cannot read the timeline: No such file"):
        load_timeline(tmp_path / "no.srt")


def test_large_files_are_read_quickly(load: Load) -> None:
    """Linear in the number of labels: quadratic would take minutes."""
    lines = (f"{i}\t{i}\t{'' if i % 2 else 'bell left'}\n" for i in range(40_000))
    assert len(load("labels.txt", "".join(lines)).segments) == 20_000


def test_no_heavy_library_is_imported() -> None:
    program = (
        "import sys, tas_core.timeline.files\n"
        "print(*[m for m in ('torch', 'soundfile', 'typer', 'rich', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(["a.srt", "a.vtt", "a.txt"]),
    lines=st.lists(
        st.sampled_from(
            [
                "WEBVTT",
                "NOTE",
                "1",
                "",
                " ",
                "00:01.000 --> 00:02.000",
                "-->",
                "0\t1\tbell left",
                "\\\t1\t2",
                "a left",
                "<i>",
            ]
        )
        | st.text(alphabet="0123456789:,.->\t a\\&#;<{}", max_size=20),
        max_size=12,
    ),
)
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str, lines: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_text("\n".join(lines))
    try:
        load_timeline(path)
    except InputError:
        return


def test_sources_stay_the_files_that_are_meant_when_a_timeline_is_converted(tmp_path: Path) -> None:
    scene = tmp_path / "scene.yaml"
    scene.write_text(
        "sources:\n  cello: parts/cello.wav\n  piano: {file: /far/p.wav, start: 1.5, gain_db: -3}\n"
        "prompts:\n  - {start: 0, text: cello left; piano right}\n"
    )
    read = load_timeline(scene)
    assert [(s.name, s.file, s.start_s, s.gain_db) for s in read.sources] == [
        ("cello", tmp_path / "parts" / "cello.wav", 0, 0),
        ("piano", Path("/far/p.wav"), 1.5, -3),
    ]
    (tmp_path / "other").mkdir()
    for name in ("other.yaml", "other/scene.yml"):
        convert_timeline(scene, tmp_path / name)
        again = load_timeline(tmp_path / name)
        assert [s.file.resolve() for s in again.sources] == [s.file.resolve() for s in read.sources]
        assert again.segments == read.segments
    with pytest.raises(TimelineError, match="sources of objects, which only a YAML timeline holds"):
        convert_timeline(scene, tmp_path / "scene.srt")
    assert not (tmp_path / "scene.srt").exists()


def test_a_check_says_what_sources_are_and_which_file_is_missing(tmp_path: Path) -> None:
    scene = tmp_path / "scene.yaml"
    text = "sources:\n  The Cello: {file: cello.wav, start: 2}\nprompts:\n  - {start: 0, text: cello left}\n"
    scene.write_text(text)
    found = check_timeline(scene)
    (warning,) = found.warnings
    assert warning == f"{scene}:2:3: {tmp_path / 'cello.wav'}: no such file"
    assert found.as_dict()["sources"] == (
        {"object": "cello", "file": str(tmp_path / "cello.wav"), "start_s": 2.0, "gain_db": 0.0},
    )
    scene.write_text(text.replace("The Cello", "dog"))
    with pytest.raises(TimelineError, match=r"scene\.yaml:2:3: source 'dog' is named by no prompt"):
        check_timeline(scene)

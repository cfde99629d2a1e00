"""A scene under somebody's hands: what changes in the file, what can be taken back, and that nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tas_core.errors import InputError, TasError
from tas_core.studio import session as module
from tas_core.studio.document import Document
from tas_core.studio.operations import read_operation
from tas_core.studio.session import (
    ChangedFileError,
    Session,
    StaleError,
    UndecidedError,
    autosave_path,
)
from tas_core.studio.words import error_facts, prompt_facts, scene_facts
from tas_core.timeline.files import load_timeline

SCENE = """# evening
prompts:
  - {start: 0.0, end: 3.2, text: "cello on the left, piano on the right"}   # first
  # the long way
  - start: 3.2
    text: |
      the cello moves from the left to the right
"""


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.yaml"
    path.write_text(SCENE)
    return path


def do(session: Session, kind: str, **fields: Any) -> str:
    session.change(read_operation({"kind": kind, **fields}), session.revision)
    return session.document.text


# ------------------------------------------------------------------ what changes in the file


def test_a_drag_changes_the_words_of_its_place_alone(scene: Path) -> None:
    text = do(Session(scene, 8.0), "put", segment=0, object="piano", start={"azimuth_deg": -35})
    assert text == SCENE.replace("piano on the right", "piano 35° right")


@pytest.mark.parametrize(
    ("text", "start", "end", "expected"),
    [
        (
            "a bird circles clockwise around me every 4 seconds",
            90,
            0,
            "a bird circles around clockwise every 4 seconds, starting hard left",
        ),
        ("a bird circles clockwise around me every 4 seconds", 90, None, "a bird hard left"),
        (
            "a plane flies overhead from the left to the right",
            80,
            -55,
            "a plane flies overhead from 80° left to the right",
        ),
        ("a bird flies from the left to the right", 80, -55, "a bird flies from 80° left to the right"),
    ],
)
def test_what_circles_or_passes_overhead_still_does(
    scene: Path, text: str, start: float, end: float | None, expected: str
) -> None:
    session = Session(scene, 8.0)
    do(session, "text", segment=0, text=text)
    (clause,) = session.document.timeline.segments[0].clauses  # type: ignore[union-attr]
    places = {"start": {"azimuth_deg": start}, **({} if end is None else {"end": {"azimuth_deg": end}})}
    do(session, "put", segment=0, object=clause.object, **places)
    segment = session.document.timeline.segments[0]  # type: ignore[union-attr]
    (after,) = segment.clauses
    assert expected in segment.text
    assert after.path.start.azimuth_deg == start
    if end is not None:
        assert (after.path.turn_s, after.path.via) == (clause.path.turn_s, clause.path.via)


def test_words_and_times_change_where_they_stand(scene: Path) -> None:
    session = Session(scene, 8.0)
    assert do(session, "text", segment=1, text='a "big" dog left') == SCENE.replace(
        "|\n      the cello moves from the left to the right\n", '"a \\"big\\" dog left"\n'
    )
    session.undo(session.revision)
    moved = do(session, "times", segment=0, start_s=0.25, end_s=3.0)
    assert moved == SCENE.replace("start: 0.0, end: 3.2", "start: 0.25, end: 3.0")
    assert "start: 3.5\n    end: 8.0\n" in do(session, "times", segment=1, start_s=3.5, end_s=8.0)


def test_a_split_goes_on_where_it_was(scene: Path) -> None:
    session = Session(scene, 8.0)
    before = load_timeline(scene).resolved(8.0)
    text = do(session, "split", segment=1, at_s=4.1)
    assert text == SCENE.replace(
        "    text: |\n      the cello moves from the left to the right\n",
        '    end: 4.1\n    text: "cello moves from the left to 34.4° left"\n'
        '  - {start: 4.1, text: "cello moves from 34.4° left to the right"}\n',
    )
    assert session.document.timeline is not None
    times_s = np.linspace(3.2, 7.99, 200)
    for a, b in zip(before.tracks(times_s, 8.0), session.document.timeline.tracks(times_s, 8.0), strict=True):
        np.testing.assert_allclose(a.azimuth_deg, b.azimuth_deg, atol=0.06)


def test_what_stays_is_split_word_for_word_and_joined_again(scene: Path) -> None:
    session = Session(scene, 8.0)
    do(session, "split", segment=0, at_s=1.0)
    assert [s.text for s in session.document.timeline.segments][:2] == ["cello on the left, piano on the right"] * 2  # type: ignore[union-attr]
    do(session, "join", segment=0)
    joined = load_timeline(scene)
    assert session.document.timeline == joined


def test_segments_come_and_go_without_a_comment_less(scene: Path) -> None:
    session = Session(scene, 8.0)
    do(session, "times", segment=0, start_s=1.0, end_s=3.0)
    text = do(session, "add", start_s=0.0, end_s=1.0, text="dog left")
    assert '  - {start: 0.0, end: 1.0, text: "dog left"}\n  - {start: 1.0' in text
    text = do(session, "remove", segment=1)
    assert text == SCENE.replace(
        '{start: 0.0, end: 3.2, text: "cello on the left, piano on the right"}   # first',
        '{start: 0.0, end: 1.0, text: "dog left"}',
    )


def test_a_file_that_cannot_be_edited_in_place_is_written_anew_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text('{prompts: [{start: 0, end: 1, text: "cello left"}, {start: 1, text: "dog left"}]} # all\n')
    session = Session(path, 4.0)
    text = do(session, "remove", segment=0)
    assert text == 'prompts:\n  - {start: 1.0, text: "dog left"}\n'
    assert "without its comments" in session.state()["note"]


def test_sources_and_rooms_stay(tmp_path: Path) -> None:
    path = tmp_path / "given.yaml"
    path.write_text(
        "sources: {cello: parts/c.wav}\nroom: church\n"
        'prompts: [{start: 0, text: "cello left"}, {start: 2, text: "cello right"}]\n'
    )
    session = Session(path, 4.0)
    assert do(session, "put", segment=0, object="cello", start={"azimuth_deg": 8}).startswith(
        "sources: {cello: parts/c.wav}\nroom: church\n"
    )
    text = do(session, "split", segment=1, at_s=3.0)  # no line of its own: written anew
    assert text.startswith('sources:\n  "cello": {file: "parts/c.wav"}\n')
    assert text.count("church") == 3


@pytest.mark.parametrize("name", ["s.srt", "s.vtt", "s.txt"])
def test_other_formats_are_written_as_themselves(tmp_path: Path, name: str) -> None:
    from tas_core.timeline.files import convert_timeline

    (tmp_path / "s.yaml").write_text(SCENE)
    convert_timeline(tmp_path / "s.yaml", tmp_path / name)
    session = Session(tmp_path / name, 8.0)
    do(session, "put", segment=0, object="cello", start={"azimuth_deg": 35})
    session.save()
    assert load_timeline(tmp_path / name).segments[0].text == "cello 35° left, piano on the right"


def test_line_breaks_of_another_system_stay(tmp_path: Path) -> None:
    path = tmp_path / "dos.yaml"
    path.write_bytes(SCENE.replace("\n", "\r\n").encode())
    session = Session(path, 8.0)
    text = do(session, "split", segment=0, at_s=1.0)
    assert text.count("\r\n") == text.count("\n") == SCENE.count("\n") + 1


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"kind": "burn"}, "a change of the kind 'burn', expected one of text, times"),
        ({"kind": "text", "segment": 0}, "change 'text': missing key 'text'"),
        ({"kind": "text", "segment": 0, "text": 3}, "change 'text': text must be str, not int 3"),
        ({"kind": "text", "segment": 9, "text": "dog left"}, "no segment 10: there are 2"),
        ({"kind": "text", "segment": -1, "text": "dog left"}, "no segment 0: there are 2"),
        ({"kind": "text", "segment": 0, "text": "dog"}, "an object without a place"),
        ({"kind": "times", "segment": 0, "start_s": 2, "end_s": 1}, "the end is 1 s, expected a time after the start"),
        ({"kind": "times", "segment": 0, "start_s": 0, "end_s": 4}, "expected no overlap"),
        (
            {"kind": "times", "segment": 1, "start_s": 9, "end_s": None},
            "expected a start before the end of the sound at 8",
        ),
        ({"kind": "times", "segment": 0, "start_s": float("nan"), "end_s": 1}, "expected"),
        ({"kind": "split", "segment": 0, "at_s": 3.2}, "expected a time within the segment, from 0 to 3.2 s"),
        ({"kind": "join", "segment": 1}, "no segment 3: there are 2"),
        ({"kind": "add", "start_s": 3.0, "end_s": 5, "text": "dog left"}, "expected no overlap"),
        ({"kind": "put", "segment": 0, "object": "cello", "start": {"azimuth_deg": float("inf")}}, "azimuth"),
        ({"kind": "put", "segment": 0, "object": "cello", "start": {"azimuth_deg": 3, "distance_m": 0}}, "distance"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(scene: Path, asked: dict[str, Any], said: str) -> None:
    session = Session(scene, 8.0)
    with pytest.raises(InputError) as caught:
        session.change(read_operation(asked), 0)
    assert said in error_facts(caught.value)["error"]
    assert (session.document.text, session.revision) == (SCENE, 0)
    assert not autosave_path(scene).exists()


def test_the_last_segment_stays(tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    session = Session(path, 4.0)
    do(session, "add", start_s=0, end_s=None, text="dog left")
    with pytest.raises(InputError, match="it is the only segment"):
        do(session, "remove", segment=0)


def test_a_change_of_what_is_no_more_is_refused(scene: Path) -> None:
    session = Session(scene, 8.0)
    do(session, "text", segment=0, text="dog left")
    with pytest.raises(StaleError, match="another tab"):
        session.change(read_operation({"kind": "remove", "segment": 0}), 0)
    assert "dog left" in session.document.text


# ------------------------------------------------------------------ past and future


def test_undo_and_redo_go_all_the_way(scene: Path) -> None:
    session = Session(scene, 8.0)
    texts = [session.document.text]
    for degrees in range(20):
        texts.append(do(session, "put", segment=0, object="cello", start={"azimuth_deg": degrees}))
    for text in texts[-2::-1]:
        session.undo(session.revision)
        assert session.document.text == text
    assert session.is_saved
    assert not autosave_path(scene).exists()
    with pytest.raises(InputError, match="nothing to undo"):
        session.undo(session.revision)
    for text in texts[1:]:
        session.redo(session.revision)
        assert session.document.text == text
    with pytest.raises(InputError, match="nothing to redo"):
        session.redo(session.revision)


# ------------------------------------------------------------------ nothing is lost


def test_a_killed_studio_loses_nothing(scene: Path) -> None:
    changed = do(Session(scene, 8.0), "put", segment=0, object="cello", start={"azimuth_deg": 12})
    assert scene.read_text() == SCENE  # never over it without asking
    again = Session(scene, 8.0)
    assert again.state()["left"]
    with pytest.raises(UndecidedError):
        do(again, "remove", segment=0)
    with pytest.raises(UndecidedError):
        again.save()
    again.decide(take_up=True)
    assert again.document.text == changed
    again.save()
    assert scene.read_text() == changed
    assert os.listdir(scene.parent) == [scene.name]
    again.undo(again.revision)
    assert again.document.text == SCENE


def test_what_was_not_saved_can_be_left(scene: Path) -> None:
    do(Session(scene, 8.0), "remove", segment=0)
    again = Session(scene, 8.0)
    again.decide(take_up=False)
    assert again.document.text == SCENE
    assert os.listdir(scene.parent) == [scene.name]
    with pytest.raises(InputError, match="not saved"):
        again.decide(take_up=False)


def test_what_was_not_saved_and_does_not_fit_the_sound_is_refused_and_still_there(scene: Path) -> None:
    session = Session(scene, 80.0)
    do(session, "times", segment=1, start_s=40.0, end_s=None)
    again = Session(scene, 8.0)
    with pytest.raises(InputError, match="expected a start before the end of the audio"):
        again.decide(take_up=True)
    assert again.state()["left"]
    assert again.document.text == SCENE


@pytest.mark.parametrize(
    "kept",
    [
        *(b"\xff", b"[1]", b"text: 3", b"text: [", b"!!python/object:os.system {}", b"", b"text", b"- text\n- a\n"),
        *(b"[" * 400, b"text: " + b"[" * 400, b"{text: a, file: 2001-99-99}", b"text: a\nfile: " + b"9" * 5000),
        *(b'text: "\\UFFFFFFFF"', b'text: "\\U00110000"', b"text: !!binary aGk=", b"text: a\n---\ntext: b"),
        *(b"text: {a: b}", b"&a {text: *a}", b"{text: a, b: c, d: e}", b"? [a]\n: b", b"text: a\nfile: null"),
        pytest.param(b"a: b\n" * 700_000, id="many keys"),
    ],
)
def test_an_autosave_that_cannot_be_read_is_an_error_and_stays(scene: Path, kept: bytes) -> None:
    autosave_path(scene).write_bytes(kept)
    with pytest.raises(InputError, match=r"scene\.yaml\.tas-autosave\.yaml: "):
        Session(scene, 8.0)
    assert autosave_path(scene).read_bytes() == kept


def test_an_autosave_that_is_no_file_is_not_waited_for(scene: Path) -> None:
    os.mkfifo(autosave_path(scene))
    with pytest.raises(InputError, match=r"scene\.yaml\.tas-autosave\.yaml: "):
        Session(scene, 8.0)


@pytest.mark.parametrize(
    "text", ["", "3", "null", "a: b\n", SCENE, "\u00e9\u2028 \U0001f415 \t\\x\n", "- 'x'\r\n", "x " * 99]
)
def test_an_autosave_says_what_it_was_told(text: str, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(yaml.safe_dump({"file": "a b.yaml", "text": text}, allow_unicode=True, sort_keys=True).encode())
    assert module._read_autosave(path) == text


def test_a_file_that_another_program_changed_is_replaced_only_when_asked(scene: Path) -> None:
    session = Session(scene, 8.0)
    mine = do(session, "text", segment=0, text="dog left")
    theirs = SCENE.replace("piano", "viola")
    scene.write_text(theirs)
    assert session.state()["changed_by_another"]
    with pytest.raises(ChangedFileError):
        session.save()
    assert scene.read_text() == theirs
    assert autosave_path(scene).exists()
    session.load()
    assert session.document.text == theirs
    assert session.is_saved
    session.undo(session.revision)
    session.save()
    assert scene.read_text() == mine


def test_a_file_that_another_program_broke_leaves_the_scene(scene: Path) -> None:
    session = Session(scene, 8.0)
    scene.write_text("prompts: [")
    with pytest.raises(InputError, match=r"scene\.yaml:1"):
        session.load()
    assert session.document.text == SCENE
    session.save(overwrite=True)
    assert scene.read_text() == SCENE


def test_a_file_that_was_touched_and_says_the_same_is_no_change(scene: Path) -> None:
    session = Session(scene, 8.0)
    os.utime(scene, (1, 1))
    assert not session.changed_by_another()


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    session = Session(path, 8.0)
    with pytest.raises(InputError, match="says nothing yet"):
        session.save()
    do(session, "add", start_s=0, end_s=None, text="dog left")
    path.write_text(SCENE)
    with pytest.raises(ChangedFileError):
        session.save()
    assert path.read_text() == SCENE
    session.save(overwrite=True)
    assert load_timeline(path).objects == ("dog",)


def test_a_full_disk_is_said_and_the_scene_is_as_it_was_changed(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(scene, 8.0)

    def full(*_: object, **__: object) -> None:
        raise TasError("cannot write the file (No space left on device); is the disk full?")

    monkeypatch.setattr(module, "write_files", full)
    with pytest.raises(TasError, match="the scene is changed and not kept beside its file: cannot write"):
        do(session, "text", segment=0, text="dog left")
    assert "dog left" in session.document.text
    with pytest.raises(TasError, match="disk full"):
        session.save()
    assert not session.is_saved
    monkeypatch.undo()
    session.save()
    assert "dog left" in scene.read_text()


# ------------------------------------------------------------------ what is said of it


def test_facts_of_a_scene(scene: Path) -> None:
    facts = scene_facts(Document.read(scene, SCENE), 8.0)
    first, second = facts["segments"]
    assert [clause["words"] for clause in first["clauses"]] == ["cello on the left", "piano on the right"]
    assert (second["end_s"], second["closed_end_s"]) == (None, 8.0)
    way = np.array(second["clauses"][0]["way"])
    np.testing.assert_allclose(way[:, 0], np.linspace(55, -55, len(way)), atol=1e-3)
    assert facts["objects"] == ["cello", "piano"]


def test_facts_of_a_prompt_say_what_is_wrong_where() -> None:
    assert prompt_facts("dog left")["clauses"][0]["azimuth_start_deg"] == 55
    wrong = prompt_facts("dog left, cello")
    assert wrong["error"].startswith("an object without a place")
    assert wrong["text"][slice(*wrong["span"])] == "cello"


# ------------------------------------------------------------------ another file is taken in


SUBRIP = "1\n00:00:00,500 --> 00:00:02,000\ndog left\n\n2\n00:00:03,000 --> 00:00:04,000\ncat behind me\n"
OTHERS = [
    ("x.srt", SUBRIP),
    ("X.VTT", "WEBVTT\n\n00:00.500 --> 00:02.000\ndog left\n\n00:03.000 --> 00:04.000\ncat behind me\n"),
    ("a b.txt", "0.5\t2.0\tdog left\n3.0\t4.0\tcat behind me\n"),
    ("other.yml", "prompts:\n- {start: 0.5, end: 2, text: dog left}\n- {start: 3, end: 4, text: cat behind me}\n"),
]


@pytest.mark.parametrize(("name", "text"), OTHERS, ids=[name for name, _ in OTHERS])
def test_segments_of_another_file_are_taken_and_can_be_given_back(scene: Path, name: str, text: str) -> None:
    session = Session(scene, 8.0)
    session.take_in(name, b"\xef\xbb\xbf" + text.encode(), 0)
    timeline = session.document.timeline
    assert timeline is not None
    found = [(segment.start_s, segment.end_s, segment.text) for segment in timeline.segments]
    assert found == [(0.5, 2.0, "dog left"), (3.0, 4.0, "cat behind me")]
    assert session.document.text.startswith("# evening\n")  # it is still this file
    session.undo(session.revision)
    assert session.document.text == SCENE


def test_sounds_that_a_scene_names_stay_where_another_file_names_none(tmp_path: Path) -> None:
    path = tmp_path / "given.yaml"
    path.write_text('sources: {cello: c.wav}\nprompts: [{start: 0, text: "cello left"}]\n')
    session = Session(path, 8.0)
    session.take_in("x.srt", SUBRIP.replace("dog", "cello").encode(), 0)
    timeline = session.document.timeline
    assert timeline is not None
    assert [item.name for item in timeline.sources] == ["cello"]
    session.take_in("o.yaml", b'sources: {dog: d.wav}\nprompts: [{start: 1, text: "dog left"}]\n', session.revision)
    timeline = session.document.timeline
    assert timeline is not None
    assert [(item.name, item.file) for item in timeline.sources] == [("dog", tmp_path / "d.wav")]


def test_a_new_scene_takes_another_file(tmp_path: Path) -> None:
    session = Session(tmp_path / "new.yaml", 8.0)
    session.take_in("../../x.srt", SUBRIP.encode(), 0)
    assert session.document.text.count("start:") == 2
    assert os.listdir(tmp_path) == ["new.yaml.tas-autosave.yaml"]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x.srt", b"1\n00:00:00,500 --> 00:00:02,000\ndog sideways\n", "x.srt:3"),
        ("x.srt", b"\xff\xfe1", "x.srt:1:1: not a UTF-8 character"),
        ("x.srt", b" " * 1_000_001, "more than 1000000 bytes"),
        ("x.srt", b"", "no segments"),
        ("x.json", b"{}", "the extension .json, expected a timeline"),
        ("", b"", "no extension"),
        ("late.txt", b"9.0\t10.0\tdog left\n", "expected a start before the end"),
    ],
)
def test_another_file_that_cannot_be_taken_leaves_the_scene(scene: Path, name: str, data: bytes, said: str) -> None:
    session = Session(scene, 8.0)
    with pytest.raises(InputError) as caught:
        session.take_in(name, data, 0)
    assert said in error_facts(caught.value)["error"]
    assert (session.document.text, session.revision) == (SCENE, 0)

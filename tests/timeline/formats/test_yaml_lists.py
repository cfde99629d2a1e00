"""Timelines in YAML: what is read, and what is refused where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tas_core.errors import TimelineError
from tas_core.timeline.files import load_timeline, parse_timeline
from tests.timeline.conftest import SCENE, one, times


def test_the_example_is_read() -> None:
    timeline = parse_timeline(SCENE)
    assert times(timeline) == [(0.0, 3.2), (3.2, 8.0), (8.0, None)]
    assert [[c.object for c in s.clauses] for s in timeline.segments] == [
        ["cello", "piano"],
        ["cello", "piano"],
        ["man talking"],
    ]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("8", 8.0),
        ("8.25", 8.25),
        ('"08"', 8.0),
        ("1:10", 70.0),
        ("1:30", 90.0),  # YAML 1.1 agrees by accident
        ("01:30.5", 90.5),
        ("1:00:00", 3600.0),  # and here
        ("0:01:30.125", 90.125),
        ("'90:00'", 5400.0),
        ("010", 10.0),  # YAML 1.1: octal 8
        ("0.5", 0.5),
        ("7.", 7.0),
    ],
)
def test_times_mean_what_people_mean(written: str, seconds: float) -> None:
    timeline = parse_timeline(one(f"start: {written}, text: cello left"))
    assert times(timeline) == [(seconds, None)]


def test_scalars_stay_text() -> None:
    timeline = parse_timeline("prompts:\n  - start: 0\n    end:\n    text: yes on the left\n")
    assert timeline.segments[0].clauses[0].object == "yes"
    assert timeline.segments[0].end_s is None


def test_folded_text_and_disordered_segments_are_accepted() -> None:
    timeline = parse_timeline(
        "prompts:\n- start: 4\n  text: >\n    cello on the left,\n    piano right\n- {start: 0, text: dog left}\n"
    )
    assert times(timeline) == [(0.0, None), (4.0, None)]
    assert [c.object for c in timeline.segments[1].clauses] == ["cello", "piano"]


REFUSED = [
    # document, line:column, part of the message
    ("sources: cello.wav\nprompts: [{start: 0, text: dog left}]\n", "1:10", "`sources` are not names with files"),
    ("sources: {a: x.wav, a: y.wav}\nprompts: [{start: 0, text: dog left}]\n", "1:21", "`a` is given twice"),
    ("sources: {a: {fle: x.wav}}\nprompts: [{start: 0, text: dog left}]\n", "1:15", "did you mean `file`?"),
    ("sources: {a: 's3://b/x.wav'}\nprompts: [{start: 0, text: dog left}]\n", "1:14", "`a` is at an address, s3://b/x"),
    ("sources: {a: {start: 1}}\nprompts: [{start: 0, text: dog left}]\n", "1:14", "source `a` has no file"),
    ("sources: {a: {file: x.wav, gain_db: loud}}\nprompts: [{start: 0, text: dog left}]\n", "1:37", "no number of"),
    ("sources: {a: {file: x.wav, gain_db: 50}}\nprompts: [{start: 0, text: dog left}]\n", "1:11", "a gain of 50 dB"),
    ("", "", "empty"),
    ("# nothing\n", "", "empty"),
    ("- a\n", "1:1", "found a list, expected `prompts:`"),
    ("hello\n", "1:1", "found text, expected `prompts:`"),
    ("promts: []\n", "1:1", "did you mean `prompts`?"),
    ("{}\n", "1:1", "`prompts:` is missing"),
    ("prompts: []\n", "1:10", "at least one segment"),
    ("prompts: 3\n", "1:10", "not a list"),
    ("prompts: {start: 0}\n", "1:10", "not a list"),
    ("prompts: [cello left]\n", "1:11", "expected a segment such as"),
    ("prompts:\n  - {start: 0, txt: cello left}\n", "2:16", "did you mean `text`?"),
    ("prompts:\n  - {start: 0, volume: 3, text: cello left}\n", "2:16", "expected start, end, text"),
    ("prompts:\n  - {start: 0, start: 1, text: cello left}\n", "2:16", "twice"),
    ("prompts: []\nprompts: []\n", "2:1", "twice"),
    ("prompts:\n  - {start: 0, [a]: 1, text: cello left}\n", "2:16", "unknown key"),
    ("prompts:\n  - {text: cello left}\n", "2:5", "`start` is missing"),
    ("prompts:\n  - {start: 0}\n", "2:5", "`text` is missing"),
    ("prompts:\n  - {start: 0, text: }\n", "2:21", "empty"),
    ("prompts:\n  - {start: 0, text: [cello left]}\n", "2:22", "not text"),
    ("prompts:\n  - {start: -1, text: cello left}\n", "2:13", '"-1"'),
    ("prompts:\n  - {start: .nan, text: cello left}\n", "2:13", '".nan"'),
    ("prompts:\n  - {start: .inf, text: cello left}\n", "2:13", '".inf"'),
    ("prompts:\n  - {start: nan, text: cello left}\n", "2:13", '"nan"'),
    ("prompts:\n  - {start: 1e400, text: cello left}\n", "2:13", "expected seconds"),
    (f"prompts:\n  - {{start: {'9' * 400}, text: cello left}}\n", "2:13", "expected seconds"),
    ("prompts:\n  - {start: 0:90, text: cello left}\n", "2:13", "MM:SS"),
    ("prompts:\n  - {start: '1:60:00', text: cello left}\n", "2:13", "MM:SS"),
    ("prompts:\n  - {start: soon, text: cello left}\n", "2:13", '"soon"'),
    ("prompts:\n  - {start: , text: cello left}\n", "2:12", "not a time"),
    ("prompts:\n  - {start: [1], text: cello left}\n", "2:13", "not a time"),
    ("prompts:\n  - {start: 2, end: 2, text: cello left}\n", "2:21", "after the start at 2 s"),
    ("prompts:\n  - {start: 2, end: 0:01, text: cello left}\n", "2:21", "after the start at 2 s"),
    ("prompts:\n  - &a {start: 0, text: cello left}\n", "2:5", "anchors and aliases"),
    ("prompts: *a\n", "1:10", "anchors and aliases"),
    ("prompts: !!python/object:os.system []\n", "1:10", "tags"),
    ("prompts: [[[[[[]]]]]]\n", "1:15", "lists within lists"),
    ("prompts: [\n", "2:1", "expected plain YAML"),
    ("prompts:\n\t- a\n", "2:1", "expected plain YAML"),
    ("a: 1\n---\nb: 2\n", "2:1", "expected plain YAML"),
    ("prompts: \x07\n", "1:10", "does not allow"),
]


@pytest.mark.parametrize(("document", "where", "what"), REFUSED, ids=[repr(r[0][:60]) for r in REFUSED])
def test_refusal_names_file_line_and_column(document: str, where: str, what: str) -> None:
    with pytest.raises(TimelineError) as caught:
        parse_timeline(document, "scene.yaml")
    message = str(caught.value)
    assert message.startswith(f"scene.yaml:{where}:" if where else "scene.yaml:")
    assert what in message
    assert "\n" not in message


def test_prompt_error_has_the_position_of_the_text_and_the_caret() -> None:
    with pytest.raises(TimelineError) as caught:
        parse_timeline("prompts:\n  - start: 0\n    text: cello left, dog above and below\n", "scene.yaml")
    first, shown, caret, *_ = str(caught.value).split("\n")
    assert first.startswith("scene.yaml:3:11: a sound has one place at a time")
    assert shown[caret.index("^") : caret.rindex("^") + 1] == "above and below"


@pytest.mark.parametrize("end", ["end: 5, ", ""])
def test_overlap_names_both_lines(end: str) -> None:
    document = (
        f"prompts:\n  - {{start: 4, end: 6, text: dog left}}\n  - {{start: 4, {end}text: cello left}}\n"
        if not end
        else f"prompts:\n  - {{start: 4, end: 6, text: dog left}}\n  - {{start: 0, {end}text: cello left}}\n"
    )
    with pytest.raises(TimelineError, match="expected no overlap") as caught:
        parse_timeline(document, "s.yaml")
    assert "s.yaml:2:5" in str(caught.value)
    assert "s.yaml:3:5" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("missing.yaml", None, "No such file"),
        ("latin.yaml", b"prompts:\n - \xe9\n", "latin.yaml:2:4: not a UTF-8 character"),
        ("huge.yaml", b"#" * 1_000_001, "more than 1000000 bytes"),
    ],
)
def test_load_refuses_a_file(tmp_path: Path, name: str, content: bytes | None, what: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TimelineError, match=name) as caught:
        load_timeline(path)
    assert what in str(caught.value)


def test_load_refuses_a_folder_and_a_name_that_cannot_be(tmp_path: Path) -> None:
    folder = tmp_path / "folder.yaml"
    folder.mkdir()
    with pytest.raises(TimelineError, match="Is a directory"):
        load_timeline(folder)
    with pytest.raises(TimelineError, match="null"):
        load_timeline("a\0b.yaml")


def test_load_reads_windows_files(tmp_path: Path) -> None:
    path = tmp_path / "scene.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SCENE.replace("\n", "\r\n").encode())
    assert load_timeline(path) == parse_timeline(SCENE)


def test_deep_nesting_and_long_files_end_quickly() -> None:
    with pytest.raises(TimelineError, match="lists within lists"):
        parse_timeline("[" * 900_000)
    with pytest.raises(TimelineError, match="more than"):
        parse_timeline("#" * 1_000_001)


# ------------------------------------------------------------------ round trips


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="prompts:stardex[]{}-,'\"&*!|>#\n 0123456789", max_size=60))
def test_any_document_is_read_or_refused(document: str) -> None:
    try:
        parse_timeline(document)
    except TimelineError:
        return


# ------------------------------------------------------------------ texts that YAML takes for its own


@pytest.mark.parametrize(
    ("item", "where", "quoted"),
    [
        ("text: vocals: center", "3:17", '"vocals: center"'),
        ("text: LEFT: cello, piano RIGHT: drums", "3:15", '"LEFT: cello, piano RIGHT: drums"'),
        ("text: cello left,\n      vocals: center", "4:13", '"cello left, vocals: center"'),
        ("text: - cello on the left", "3:11", '"- cello on the left"'),
        ("text: #1 cello left", "3:10", '"#1 cello left"'),
        ("text: @cello left", "3:11", '"@cello left"'),
        ("text: `cello` left", "3:11", '"`cello` left"'),
        ("text: %cello left", "3:11", '"%cello left"'),
        ("text: &cello left", "3:11", '"&cello left"'),
        ("text: *cello left", "3:11", '"*cello left"'),
        ("text: !cello left", "3:11", '"!cello left"'),
        ("text: ? cello left", "3:11", '"? cello left"'),
        ("text: | cello left", "3:13", '"| cello left"'),
        ("text: > cello left", "3:13", '"> cello left"'),
        ("text: [cello] left", "3:19", '"[cello] left"'),
        ('text: "drum and bass" on the left', "3:27", "'\"drum and bass\" on the left'"),
        ("text: 'it's' left", "3:15", "\"'it's' left\""),
    ],
)
def test_a_text_that_needs_quotes_is_shown_in_them(item: str, where: str, quoted: str) -> None:
    with pytest.raises(TimelineError) as caught:
        parse_timeline(f"prompts:\n  - start: 0\n    {item}\n", "scene.yaml")
    assert str(caught.value).startswith(f"scene.yaml:{where}: ")
    assert str(caught.value).endswith(f"put the text in quotes: text: {quoted}")


@pytest.mark.parametrize(
    ("fields", "quoted"),
    [
        ("start: 0, text: vocals: center", '"vocals: center"'),
        ("start: 0, text: vocals: center, end: 3", '"vocals: center"'),
        ("start: 0, text: cello left, piano right", '"cello left, piano right"'),
        ("text: cello left, piano right, start: 0, end: 0:05", '"cello left, piano right"'),
        ("start: 0, text: cello [x] left", '"cello [x] left"'),
    ],
)
def test_so_in_braces(fields: str, quoted: str) -> None:
    with pytest.raises(TimelineError) as caught:
        parse_timeline(one(fields), "scene.yaml")
    assert str(caught.value).startswith("scene.yaml:2:")
    assert str(caught.value).endswith(f"put the text in quotes: text: {quoted}")


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ("prompts:\n\t- {start: 0, text: cello left}\n", "2:1: .*: spaces in front of a line, not tabs$"),
        ("prompts:\n  - start: 0\n\ttext: cello left\n", "3:1: .*: spaces in front of a line, not tabs$"),
        ("prompts:\n  - start: 0\n    text:cello left\n", "4:1: .*: a space behind `text:`$"),
        ('prompts:\n  - {start: 0, text:"cello left"}\n', "2:16: .* expected a space behind `text:`$"),
        ("prompts:\n  - start: 0 text: cello left\n", "2:18: .*, expected plain YAML$"),
        ('prompts:\n  - {start: 0, text: "cello left}\n', "3:1: .*, expected plain YAML$"),
        ("prompts:\n  - start: 0\n   text: cello left\n", "3:4: .*, expected plain YAML$"),
        ("prompts: \x07\n", "1:10: a character that YAML does not allow, <U\\+0007>, expected plain text$"),
    ],
)
def test_other_slips_get_advice_of_their_own(document: str, what: str) -> None:
    with pytest.raises(TimelineError, match=rf"^scene.yaml:{what}"):
        parse_timeline(document, "scene.yaml")


@pytest.mark.parametrize(
    ("behind", "notes"),
    [
        (" # the first scene", ()),
        (
            " #2, piano right",
            ('what follows # is a comment: "2, piano right" is left out; if it belongs to the text, quote it',),
        ),
    ],
)
def test_a_comment_that_may_be_text_is_said(behind: str, notes: tuple[str, ...]) -> None:
    timeline = parse_timeline(f"prompts:\n  - start: 0\n    text: cello on the left{behind}\n")
    assert timeline.segments[0].notes == notes


def test_what_nobody_sees_does_not_matter() -> None:
    scene = parse_timeline("prompts:\n  - {start: 0, end: 2, text: cello on the left}\n")
    unseen = (
        "\ufeffprompts:\n\u00a0\u00a0- {start:\u00a00, \u200eend: 2\u200b, text: cel\u00adlo\u00a0on the\u202fleft}\n"
    )
    assert parse_timeline(unseen) == scene

"""Which files a batch is about and what it will write: lists, manifests, folders, templates and collisions."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tas_core.errors import InputError
from tas_core.jobs.batch.inputs import BatchInput, find_inputs, read_list, read_manifest
from tas_core.jobs.batch.plan import BatchPlan, Destinations, plan_batch
from tests.conftest import Finished

Run = Callable[..., Finished]


def files(folder: Path, *names: str) -> list[Path]:
    """Empty files: a plan does not look into them."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def plan(sources: list[Path], folder: Path, template: str = "{stem}.binaural.{ext}", **settings: object) -> BatchPlan:
    inputs = find_inputs(sources, without=[folder])
    return plan_batch(inputs, Destinations(folder, template), **settings)  # type: ignore[arg-type]


def outs(found: BatchPlan, folder: Path) -> list[str]:
    return [str(request.out.relative_to(folder)) for request in found.requests]


def output_name(template: str, source: str, number: int = 1) -> str:
    """What a plan calls the output of one input, below the folder, with others before it."""
    inputs = [*(BatchInput(Path(f"other/{i}.wav")) for i in range(1, number)), BatchInput(Path(source))]
    found = plan_batch(inputs, Destinations(Path("out"), template))
    for complaint in found.refused.values():
        raise InputError(complaint)
    return outs(found, Path("out"))[-1]


# ------------------------------------------------------------------ inputs


def test_a_folder_gives_its_audio_files_and_keeps_their_places(tmp_path: Path) -> None:
    files(tmp_path / "in", "b.wav", "a.MP3", "notes.txt", "a.yaml", ".hidden.wav", "x/y/c.flac", ".git/d.wav", "x/.wav")
    files(tmp_path / "in" / "out", "old.binaural.wav")
    found = plan([tmp_path / "in"], tmp_path / "in" / "out")
    assert [str(r.source.relative_to(tmp_path / "in")) for r in found.requests] == ["a.MP3", "b.wav", "x/y/c.flac"]
    assert outs(found, tmp_path / "in" / "out") == ["a.binaural.wav", "b.binaural.wav", "x/y/c.binaural.flac"]
    assert all(r.timeline_path is None and r.prompt is None for r in found.requests)


def test_a_folder_that_cannot_serve_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="none: no audio files in the folder"):
        find_inputs([tmp_path / "none"])
    with pytest.raises(InputError, match="none: the folder of inputs is that of outputs"):
        find_inputs([tmp_path / "none"], without=[tmp_path / "x" / ".." / "none"])
    with pytest.raises(InputError, match="no input, expected files, folders, a list or a manifest"):
        find_inputs()
    with pytest.raises(InputError, match="standard input is one of several inputs"):
        find_inputs([Path("a.wav"), Path("-")])


def test_a_list_is_a_path_per_line_whatever_the_path(tmp_path: Path) -> None:
    odd = b"with blank .wav\n\r\n\n# no comment.wav\r\n\xff.wav\n-t\nlast"
    (tmp_path / "list").write_bytes(odd)
    names = ["with blank .wav", "# no comment.wav", os.fsdecode(b"\xff.wav"), "-t", "last"]
    assert read_list(tmp_path / "list") == list(map(Path, names))
    found = find_inputs([Path("first.wav")], input_list=tmp_path / "list")
    assert [item.source for item in found] == [Path("first.wav"), *map(Path, names)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": no paths, expected files"),
        (b"\n\n", ": no paths, expected files"),
        (b"a.wav\nRIFF\0\0", ":2: a zero byte, expected a text file with a path on each line"),
        (b"-\n", "standard input is one of several inputs"),
        (None, ": cannot be read (No such file or directory)"),
    ],
)
def test_a_list_that_is_none_is_one_line(tas: Run, tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "list").write_bytes(content)
    done = tas(
        "spatialize", "--input-list", tmp_path / "list", "--out-dir", tmp_path / "out", "-p", "a dog on the left"
    )
    assert (done.code, done.out) == (2, "")
    assert message in done.error_line
    assert not (tmp_path / "out").exists()


def test_a_manifest_is_relative_to_its_folder(tmp_path: Path) -> None:
    lines = [
        {"audio": "a.wav", "prompt": "a dog on the left", "out": "made/a.flac"},
        {"audio": "/abs/b.wav", "timeline": "b.srt"},
        {"audio": "c.wav"},
    ]
    (tmp_path / "m.jsonl").write_text("\n\n".join(map(json.dumps, lines)))
    found = find_inputs(manifest=tmp_path / "m.jsonl")
    assert found == (
        BatchInput(
            tmp_path / "a.wav", prompt=lines[0]["prompt"], out=tmp_path / "made/a.flac", where=f"{tmp_path}/m.jsonl:1"
        ),
        BatchInput(Path("/abs/b.wav"), timeline_path=tmp_path / "b.srt", where=f"{tmp_path}/m.jsonl:3"),
        BatchInput(tmp_path / "c.wav", where=f"{tmp_path}/m.jsonl:5"),
    )
    planned = plan_batch(found, Destinations(tmp_path / "out"), prompt="a cat on the right")
    first, second, third = planned.requests
    assert (first.out, first.prompt) == (tmp_path / "made/a.flac", "a dog on the left")
    # What a line says itself counts; what is given for all fills in the others.
    assert (second.out, second.prompt) == (tmp_path / "out/b.binaural.wav", None)
    assert second.timeline_path == tmp_path / "b.srt"
    assert third.prompt == "a cat on the right"
    with pytest.raises(InputError, match=r"m\.jsonl:3: no 'out', expected a folder for the outputs"):
        plan_batch(found, Destinations())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"audio": "a.wav", "tmeline": "x"}', ":2: unknown key 'tmeline', did you mean 'timeline'?"),
        ('{"audio": "a.wav", "volume": 3}', ":2: unknown key 'volume', expected some of audio, out, prompt, timeline"),
        ('{"prompt": "x"}', ":2: missing key 'audio'"),
        ('{"audio": 3}', ":2: audio must be"),
        ('{"audio": ""}', ":2: 'audio' is '', expected the name of a file"),
        ('{"audio": "-"}', ":2: 'audio' is '-', expected the name of a file"),
        ('{"audio": "a.wav", "out": "x\\ny.wav"}', ":2: 'out' is 'x\\ny.wav', expected the name of a file"),
        ('{"audio": "a.wav", "out": "x\\u0000"}', ":2: 'out' is 'x\\x00', expected the name of a file"),
        ('{"audio": "a.wav", "timeline": "x", "prompt": "y"}', ":2: 'timeline' and 'prompt' are given"),
        ('{"audio": "a.wav", "prompt": "cello on the lefft"}', ":2: "),
        ('{"audio": "a.wav", "audio": "b.wav"}', ":2: not a JSON object on one line (the key 'audio' is there twice)"),
        ('["a.wav"]', ":2: expected an object with named values, not list"),
        ('{"audio": NaN}', ":2: not a JSON object on one line (NaN is no JSON)"),
        ("a.wav", ":2: not a JSON object on one line (Expecting value)"),
        ("[" * 100_000, ":2: not a JSON object on one line"),
        ("\udcff", ":2: not a JSON object on one line (invalid start byte)"),
    ],
)
def test_a_wrong_manifest_is_one_line_with_file_line_and_key(tas: Run, tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"audio": "first.wav"}\n' + line.encode("utf-8", "surrogateescape") + b"\n")
    done = tas("spatialize", "--manifest", path, "--out-dir", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert done.err.startswith(f"tas: error: {path}{message}")
    assert sorted(os.listdir(tmp_path)) == ["m.jsonl"]


def test_a_manifest_without_entries_or_beside_inputs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text("\n")
    with pytest.raises(InputError, match=r"m\.jsonl: no entries"):
        read_manifest(tmp_path / "m.jsonl")
    with pytest.raises(InputError, match="a manifest and other inputs were given"):
        find_inputs([Path("a.wav")], manifest=tmp_path / "m.jsonl")


# ------------------------------------------------------------------ names of outputs


@pytest.mark.parametrize(
    ("template", "source", "name"),
    [
        ("{stem}.binaural.{ext}", "x/a.b.FLAC", "a.b.binaural.FLAC"),
        ("{stem}.{ext}", "a.mp3", "a.wav"),
        ("{stem}.{ext}", "talk.mp4", "talk.wav"),
        ("{stem}.flac", "a", "a.flac"),
        ("{index}.wav", "a.wav", "7.wav"),
        ("{index:03}-{stem}.wav", "a.wav", "007-a.wav"),
        ("{parent}/{stem}.wav", "/x/y/a.wav", "y/a.wav"),
        ("{{{stem}}}.wav", "a.wav", "{a}.wav"),
        ("{stem}.ogg", "with blank\u00e9.wav", "with blank\u00e9.ogg"),
    ],
)
def test_a_template_is_filled_in(template: str, source: str, name: str) -> None:
    assert output_name(template, source, 7) == name


@pytest.mark.parametrize(
    ("template", "source", "message"),
    [
        ("{name}.wav", "a.wav", "unknown field {name}, expected some of {stem}, {ext}, {parent}, {index}"),
        ("{}.wav", "a.wav", "unknown field {}"),
        ("{0}.wav", "a.wav", "unknown field {0}"),
        ("{stem.parent}", "a.wav", "unknown field {stem.parent}"),
        ("{stem!r}.wav", "a.wav", "unknown field {stem!r}"),
        ("{stem:>9999999999}.wav", "a.wav", "expected {stem}, or a width such as {index:03}"),
        ("{index:099}.wav", "a.wav", "or a width such as {index:03}"),
        ("{stem.wav", "a.wav", "expected '}' before end of string"),
        ("", "a.wav", "gives '', expected the name of a file in the output folder"),
        ("../{stem}.wav", "a.wav", "gives '../a.wav', expected the name of a file in the output folder"),
        ("/{stem}.wav", "a.wav", "gives '/a.wav', expected the name of a file"),
        ("x/../../{stem}.wav", "a.wav", "expected the name of a file in the output folder"),
        ("{stem}/", "a.wav", "expected the name of a file"),
        ("./{stem}.wav", "a.wav", "expected the name of a file"),
        ("{stem}", "...wav", "gives '..', expected the name of a file"),
        ("{parent}/{stem}.wav", "/a.wav", "gives '/a.wav', expected the name of a file"),
        ("x//{stem}.wav", "a.wav", "gives 'x//a.wav', expected the name of a file"),
        ("{stem}\n.wav", "a.wav", "expected a name without control characters"),
        ("{stem}.wav", "a\nb.wav", "expected a name without control characters"),
        ("{stem}\0.wav", "a.wav", "expected a name without control characters"),
        ("{stem}.wav", "x" * 240 + ".wav", "expected names of at most 200 bytes"),
    ],
)
def test_a_template_that_makes_no_name_is_refused(template: str, source: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        output_name(template, source)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@given(template=st.text(alphabet="{}stemxparnidex.:/!\\0 3\n", max_size=30), stem=st.text(min_size=1, max_size=10))
def test_no_template_leads_out_of_the_folder(template: str, stem: str) -> None:
    try:
        name = output_name(template, "in/" + stem.replace("/", "").replace("\0", "") + ".wav")
    except InputError:
        return
    assert os.path.normpath(f"/out/{name}") == f"/out/{name}"
    assert not any(ord(character) < 32 for character in str(name))


def test_a_wrong_template_is_said_before_anything_is_made(tas: Run, tmp_path: Path) -> None:
    (source,) = files(tmp_path, "a.wav")
    arguments = ("spatialize", source, "-p", "a dog on the left", "--out-dir", tmp_path / "out")
    for template, message in (("{stm}.wav", "unknown field {stm}"), ("../{stem}.wav", "in the output folder")):
        done = tas(*arguments, "--output-template", template)
        assert done.code == 2
        assert message in done.error_line
    done = tas(*arguments, "--output-template", "{stem}.mp3")
    assert done.code == 2
    assert "a.mp3: the extension .mp3, expected one of" in done.error_line
    assert os.listdir(tmp_path) == ["a.wav"]


# ------------------------------------------------------------------ collisions


def test_two_inputs_with_one_output_are_named(tmp_path: Path) -> None:
    sources = files(tmp_path, "x/a.wav", "y/a.wav")
    with pytest.raises(InputError, match=r"out/a\.binaural\.wav: the output for both .*x/a\.wav and .*y/a\.wav; "):
        plan(sources, tmp_path / "out")
    assert outs(plan(sources, tmp_path / "out", "{parent}/{stem}.{ext}"), tmp_path / "out") == ["x/a.wav", "y/a.wav"]


def test_one_output_by_two_names_is_found(tmp_path: Path) -> None:
    """Through a link between folders, and through a hard link."""
    sources = files(tmp_path, "x/a.wav", "y/a.wav")
    (tmp_path / "out" / "x").mkdir(parents=True)
    (tmp_path / "out" / "y").symlink_to("x")
    with pytest.raises(InputError, match="the output for both"):
        plan(sources, tmp_path / "out", "{parent}/{stem}.{ext}", overwrite=True)
    os.link(sources[0], tmp_path / "out" / "x" / "b.wav")
    with pytest.raises(InputError, match=r"out/x/b\.wav: the output for .*b\.wav is the input .*x/a\.wav, expected"):
        plan([sources[0], tmp_path / "x" / "b.wav"], tmp_path / "out", "{parent}/{stem}.{ext}", overwrite=True)


def test_an_output_over_an_input_is_named(tmp_path: Path) -> None:
    sources = files(tmp_path, "a.wav", "a.binaural.wav")
    with pytest.raises(InputError, match=r"a\.binaural\.wav: the output for .*/a\.wav is the input .*a\.binaural\.wav"):
        plan(sources, tmp_path, overwrite=True)
    with pytest.raises(InputError, match=r"a\.wav: the output for .*/a\.wav is the input .*/a\.wav"):
        plan(sources[:1], tmp_path, "{stem}.{ext}", skip_existing=True)


def test_pages_and_stems_of_two_outputs_do_not_meet(tmp_path: Path) -> None:
    inputs = find_inputs(files(tmp_path, "a.wav", "a.flac"))
    assert len({r.out for r in plan_batch(inputs, Destinations(tmp_path / "out")).requests}) == 2
    for places in (
        Destinations(tmp_path / "out", pages=tmp_path),
        Destinations(tmp_path / "out", stems=tmp_path / "s"),
    ):
        with pytest.raises(InputError, match="the output for both"):
            plan_batch(inputs, places)
    request = plan_batch(inputs[:1], Destinations(tmp_path / "out", stems=tmp_path / "s", pages=tmp_path)).requests[0]
    assert (request.stems, request.page) == (tmp_path / "s" / "a.binaural", tmp_path / "a.binaural.html")


# ------------------------------------------------------------------ what is there already


def test_existing_outputs_are_an_error_or_left_out_or_replaced(tmp_path: Path) -> None:
    sources = files(tmp_path, "a.wav", "b.wav", "c.wav")
    files(tmp_path / "out", "b.binaural.wav", "c.binaural.wav")
    with pytest.raises(
        InputError, match=r"b\.binaural\.wav: the file exists \(and those of 1 more input\), expected another folder"
    ):
        plan(sources, tmp_path / "out")
    assert plan(sources, tmp_path / "out", skip_existing=True).skipped == {1, 2}
    assert not plan(sources, tmp_path / "out", overwrite=True).skipped
    # With both, what is there is left out all the same.
    assert plan(sources, tmp_path / "out", overwrite=True, skip_existing=True).skipped == {1, 2}


def test_an_output_without_its_report_is_made_again(tmp_path: Path) -> None:
    sources = files(tmp_path, "a.wav", "b.wav", "c.wav")
    files(tmp_path / "out", "a.binaural.wav", "b.binaural.wav", "b.binaural.wav.tas.json")
    found = plan(sources, tmp_path / "out", skip_existing=True, sidecar=True)
    assert (found.skipped, found.again) == ({1}, {0})


def test_stems_of_which_some_are_missing_are_made_again(tmp_path: Path) -> None:
    """A run may be killed while it puts them in their places; a folder without any says nothing."""
    inputs = find_inputs(files(tmp_path, "a.wav", "b.wav", "c.wav", "d.wav"))
    files(tmp_path / "out", *(f"{name}.binaural.wav" for name in "abc"))
    files(tmp_path / "parts" / "a.binaural", "1-dog.wav", "rest.wav")
    files(tmp_path / "parts" / "b.binaural", "2-dog.wav", "rest.wav")
    (tmp_path / "parts" / "c.binaural").mkdir()
    (tmp_path / "parts" / "d.binaural").mkdir()
    places = Destinations(tmp_path / "out", stems=tmp_path / "parts")
    found = plan_batch(inputs, places, skip_existing=True)
    assert (found.skipped, found.again) == ({0}, {1, 2})


def test_a_name_that_fails_by_its_own_input_fails_alone(tmp_path: Path) -> None:
    (good,) = files(tmp_path, "good/a.wav")
    found = plan_batch([BatchInput(Path("/x.wav")), BatchInput(good)], Destinations(tmp_path, "{parent}/{stem}.b.wav"))
    assert list(found.refused) == [0]
    assert [request.source for _, request in found.tasks()] == [good]
    with pytest.raises(InputError, match="expected the name of a file"):  # with any input
        plan_batch([BatchInput(good)], Destinations(tmp_path, "{parent}//{stem}.wav"))


def test_the_input_of_a_refused_request_is_not_written_over(tmp_path: Path) -> None:
    """Its own output would have too long a name, and is refused; the output of the other would be this very file."""
    long = "x" * 186
    first, second = files(tmp_path, f"{long}.wav", f"{long}.binaural.wav")
    with pytest.raises(InputError, match="is the input"):
        plan_batch(
            [BatchInput(first), BatchInput(second)], Destinations(tmp_path, "{stem}.binaural.{ext}"), overwrite=True
        )

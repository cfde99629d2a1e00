"""Inputs of a batch: files, folders, lists and manifests."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tas_core.errors import InputError
from tas_core.jobs.batch.inputs import BatchInput, find_inputs, read_list, read_manifest
from tas_core.jobs.batch.plan import Destinations, plan_batch
from tas_core.jobs.sources import named_sources
from tests.conftest import Finished
from tests.jobs.batch.conftest import files, outs, plan

Run = Callable[..., Finished]


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


def test_a_list_and_a_pair_take_no_addresses(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("a.wav\ns3://bucket/b.wav\n")
    with pytest.raises(InputError, match=r"list:2: s3://bucket/b\.wav: an address, expected a path"):
        read_list(tmp_path / "list")
    for text in ("dog=s3://bucket/b.wav", "s3://bucket/b.wav"):
        with pytest.raises(InputError, match=r"^s3://bucket/b\.wav: an address, expected a path"):
            named_sources([text])


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
            tmp_path / "a.wav",
            prompt=lines[0]["prompt"],
            out=tmp_path / "made/a.flac",
            out_folder=tmp_path,
            where=f"{tmp_path}/m.jsonl:1",
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
        (
            '{"audio": "a.wav", "volume": 3}',
            ":2: unknown key 'volume', expected some of audio, objects, out, prompt, time",
        ),
        ('{"prompt": "x"}', ":2: missing key 'audio'"),
        ('{"objects": {"cello": {"file": "a.wav"}}}', ":2: objects must be dict[str, str] | None, not dict {'cello': "),
        ('{"objects": {"cello": 3}}', ":2: objects must be dict[str, str] | None, not dict {'cello': "),
        ('{"objects": {"cello": null}}', ":2: objects must be dict[str, str] | None, not dict {'cello': "),
        ('{"audio": 3}', ":2: audio must be"),
        ('{"audio": ""}', ":2: 'audio' is '', expected the name of a file"),
        ('{"audio": "-"}', ":2: 'audio' is '-', expected the name of a file"),
        ('{"audio": "a.wav", "out": "x\\ny.wav"}', ":2: 'out' is 'x\\ny.wav', expected the name of a file"),
        ('{"audio": "a.wav", "out": "x\\u0000"}', ":2: 'out' is 'x\\x00', expected the name of a file"),
        ('{"audio": "a.wav", "timeline": "x", "prompt": "y"}', ":2: 'timeline' and 'prompt' are given"),
        ('{"audio": "a.wav", "prompt": "cello on the lefft"}', ":2: "),
        ('{"audio": "a.wav", "audio": "b.wav"}', ":2: not a JSON object on one line (the key 'audio' is there twice)"),
        ('["a.wav"]', ":2: expected an object with named values, not list"),
        ('{"audio": NaN}', ":2: not a JSON object on one line (NaN is no number)"),
        ("a.wav", ":2: not a JSON object on one line (Expecting value)"),
        ('{"audio": "a\\ud800.wav"}', ":2: 'a\\ud800.wav' is the name of no file"),
        ('{"objects": {"dog": "a\\ud800.wav"}}', ":2: 'a\\ud800.wav' is the name of no file"),
        ('{"audio": "a.wav", "out": "' + "../" * 40 + 'etc/x.wav"}', ":2: "),
        ("{" + ", ".join(f'"k{n}": 1' for n in range(20_000)) + "}", ":2: unknown key 'k0'"),
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

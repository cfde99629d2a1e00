"""What a batch will write: collisions, what exists, and what is left out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tas_core.errors import InputError
from tas_core.jobs.batch.inputs import BatchInput, find_inputs, read_manifest
from tas_core.jobs.batch.plan import Destinations, plan_batch
from tests.jobs.batch.conftest import files, outs, plan

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
    files(tmp_path / "parts" / "a.binaural", "01-dog.wav", "rest.wav")  # of ten or more
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


# ------------------------------------------------------------------ out of the folder


@pytest.mark.parametrize("out", ["../a.wav", "/nowhere/a.wav", "made/../../a.wav", "elsewhere/a.wav", "link.wav"])
def test_a_manifest_leads_out_of_no_folder(tmp_path: Path, out: str) -> None:
    """That of the manifest and that of the outputs; also not through links."""
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "elsewhere").symlink_to(tmp_path)
    (tmp_path / "lists" / "link.wav").symlink_to(tmp_path / "new.wav")
    manifest = tmp_path / "lists" / "m.jsonl"
    manifest.write_text(json.dumps({"audio": "a.wav", "out": out}) + "\n")
    for places in (Destinations(), Destinations(tmp_path / "made")):
        with pytest.raises(InputError, match=r"m\.jsonl:1: .*out of .*lists.*; expected a name within") as caught:
            plan_batch(read_manifest(manifest), places, overwrite=True)
        assert caught.value.remedy == "out_dir"
    assert os.listdir(tmp_path) == ["lists"]


def test_a_manifest_names_outputs_below_itself_and_below_the_folder_of_outputs(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    manifest = tmp_path / "lists" / "m.jsonl"
    for out in ("a.wav", "deep/er/a.wav", str(tmp_path / "made" / "a.wav"), "../made/a.wav"):
        manifest.write_text(json.dumps({"audio": "in.wav", "out": out}) + "\n")
        planned = plan_batch(read_manifest(manifest), Destinations(tmp_path / "made"))
        assert planned.requests[0].out == tmp_path / "lists" / out


def test_links_in_the_folder_of_outputs_lead_nothing_out_of_it(tmp_path: Path) -> None:
    sources = files(tmp_path, "in/a.wav", "in/sub/b.wav")
    out = tmp_path / "out"
    (tmp_path / "other").mkdir()
    for made, overwrite in (("sub", False), ("a.binaural.wav", False), ("a.binaural.wav.tas.json", True)):
        out.mkdir()
        (out / made).symlink_to(tmp_path / "other" if made == "sub" else tmp_path / "other" / "new")
        with pytest.raises(InputError, match=rf"out/{made}.*: it leads to {tmp_path}/other/.*, out of {out}; expected"):
            plan([tmp_path / "in"], out, overwrite=overwrite, sidecar=True)
        (out / made).unlink()
        out.rmdir()
    out.symlink_to(tmp_path / "other")  # the folder itself may be a link: it was named
    assert len(plan(sources, out).requests) == 2
    for places in (Destinations(out, stems=tmp_path / "s"), Destinations(out, pages=tmp_path / "p")):
        for folder in filter(None, (places.stems, places.pages)):
            folder.mkdir()
            (folder / "a.binaural").symlink_to(tmp_path / "in")
            (folder / "a.binaural.html").symlink_to(tmp_path / "in" / "page")
        with pytest.raises(InputError, match=r"a\.binaural.*: it leads to .*/in.*, out of "):
            plan_batch(find_inputs(sources), places)


def test_whoever_calls_may_name_outputs_anywhere(tmp_path: Path) -> None:
    item = BatchInput(tmp_path / "a.wav", out=tmp_path / "b.wav")
    assert plan_batch([item], Destinations(tmp_path / "made"), prompt="dog left").requests[0].out == tmp_path / "b.wav"

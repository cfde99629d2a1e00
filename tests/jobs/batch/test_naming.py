"""Names of outputs: what a template gives, and what none may give."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tas_core.errors import InputError
from tas_core.jobs.batch.inputs import BatchInput
from tas_core.jobs.batch.plan import Destinations, plan_batch
from tests.conftest import Finished
from tests.jobs.batch.conftest import files, outs

Run = Callable[..., Finished]


def output_name(template: str, source: str, number: int = 1) -> str:
    """What a plan calls the output of one input, below the folder, with others before it."""
    inputs = [*(BatchInput(Path(f"other/{i}.wav")) for i in range(1, number)), BatchInput(Path(source))]
    found = plan_batch(inputs, Destinations(Path("out"), template))
    for complaint in found.refused.values():
        raise InputError(complaint)
    return outs(found, Path("out"))[-1]


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
    done = tas(*arguments, "--output-template", "{stem}.wma")
    assert done.code == 2
    assert "a.wma: the extension .wma, expected one of" in done.error_line
    assert os.listdir(tmp_path) == ["a.wav"]

"""What options choose from is what the core takes; what a command prints is printed by ``tas_cli.output``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import typer

import tas_cli
from tas_cli import options
from tas_cli.main import app
from tas_core.audio.normalised_writer import CLIP_MODES
from tas_core.datasets.sources.catalogue import SPLITS
from tas_core.errors import InputError
from tas_core.evaluation.clips import CAPTIONS, NAMES
from tas_core.evaluation.scoring import STFTS
from tas_core.inference.settings import RENDERERS, STEREO
from tas_core.jobs.request import SUBTYPES
from tas_core.models.text_encoders.registry import TEXT_ENCODERS
from tas_core.reporting.plots.curves import KINDS
from tas_core.system.devices import DEVICES

COMMANDS = sorted((Path(tas_cli.__file__).parent / "commands").glob("*.py"))


@pytest.mark.parametrize(
    ("choice", "known"),
    [
        (options.Device, DEVICES),
        (options.ClipMode, CLIP_MODES),
        (options.Stereo, STEREO),
        (options.Renderer, RENDERERS),
        (options.Subtype, SUBTYPES),
        (options.TextEncoder, TEXT_ENCODERS),
        (options.Split, SPLITS),
        (options.SplitOrAll, ("all", *SPLITS)),
        (options.Captions, CAPTIONS),
        (options.Names, NAMES),
        (options.Stft, STFTS),
        (options.PlotKind, KINDS),
    ],
)
def test_choices_are_those_of_the_core(choice: Any, known: Any) -> None:
    assert get_args(choice) == tuple(known)


def choices(command: Any, name: str = "tas") -> Iterator[tuple[str, Any]]:
    """Options that take one of some words, in the order of the commands."""
    for word, inner in getattr(command, "commands", {}).items():
        yield from choices(inner, f"{name} {word}")
    for parameter in command.params:
        if get_origin(parameter.type_descriptor.annotation) is Literal:
            yield f"{name} {parameter.opts[0]}", parameter


def test_no_choice_heeds_capitals() -> None:
    found = dict(choices(typer.main.get_command(app)))
    assert {"tas --progress", "tas spatialize --subtype", "tas plot --kind"} <= set(found)
    assert len(found) >= 15
    assert [name for name, parameter in found.items() if parameter.type_descriptor.case_sensitive] == []


@pytest.mark.parametrize("module", COMMANDS, ids=lambda module: module.stem)
def test_no_command_prints(module: Path) -> None:
    assert not re.search(r"\bprint\(|\becho\(|\bprint_json\(|sys\.std(out|err)", module.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "seconds"), [("1:02.5", 62.5), ("83.5", 83.5), (".5", 0.5), ("5e-05", 5e-05), (0.0, 0.0)]
)
def test_times_are_seconds_or_those_of_a_clock(text: Any, seconds: float) -> None:
    assert options.seconds(text) == seconds


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "-inf", "1m", "", "0:60"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a time, expected seconds of at least 0, or"):
        options.seconds(text)


def path_parameters(command: Any, name: str = "tas") -> Iterator[tuple[str, Any, Any]]:
    """Commands, and options and arguments of theirs that are paths."""
    for word, inner in getattr(command, "commands", {}).items():
        yield from path_parameters(inner, f"{name} {word}")
    for parameter in command.params:
        if Path in (annotation := parameter.type_descriptor.annotation, *get_args(annotation)):
            yield name, command, parameter


def test_no_command_takes_an_address_for_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address would be a folder here called ``s3:``, and nothing would be where somebody looks for it.

    Folders of such names are there: of one that is not, the core makes an error, too.
    """
    monkeypatch.chdir(tmp_path)
    urls = ("s3://bucket/key", "GS://bucket/key", "file:///tmp/x", "https://host/a.wav")
    for url in urls:
        Path(url.partition("/")[0]).mkdir()
    tried = 0
    for name, command, parameter in path_parameters(typer.main.get_command(app)):
        words = []
        for other in command.params:
            if other.required and other is not parameter:
                known = get_args(other.type_descriptor.annotation)
                value = known[0] if known and isinstance(known[0], str) else "1"
                words += [other.opts[0], value] if other.opts[0].startswith("-") else [value]
        url = urls[tried % len(urls)]
        ways = [[url]]
        if parameter.opts[0].startswith("-"):
            ways = [[f"{option}={url}" if option.startswith("--") else option + url] for option in parameter.opts]
            ways.append([parameter.opts[0], url])
        for way in ways:
            with pytest.raises(InputError, match=re.escape(f"{url}: an address, expected a path")):
                command.make_context(name, way + words)
        tried += 1
    assert tried > 50


@pytest.mark.parametrize("words", [["s3:/folder/a.wav"], ["a.wav", "-p", "s3://left"], ["a://b", "--prompt=s3://a"]])
def test_what_only_looks_like_an_address_is_none(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spatialize = typer.main.get_command(app).commands["spatialize"]  # type: ignore[attr-defined]
    if words[0] == "a://b":
        with pytest.raises(InputError, match="a://b: an address"):
            spatialize.make_context("spatialize", words)
    else:
        assert spatialize.make_context("spatialize", [*words]).params["sources"] == [Path(words[0])]


def test_pairs_of_a_name_and_an_address_are_refused() -> None:
    with pytest.raises(InputError, match="s3://bucket/a: an address, expected a path"):
        options.named_paths(["one=s3://bucket/a"], "--system", "NAME=FOLDER", "name")

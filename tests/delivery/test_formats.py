from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tas_core.audio.formats import WRITABLE
from tas_core.delivery.formats import (
    FORMATS,
    NAMES,
    check_encoder_of,
    deliveries,
    named_format,
    read_formats,
    renamed,
)
from tas_core.errors import InputError


def made(out: str, *formats: str) -> list[tuple[str, str]]:
    return [(delivery.format.name, str(delivery.path)) for delivery in deliveries(Path(out), formats)]


@pytest.mark.parametrize(
    ("name", "format_name"),
    [
        ("scene.adm.wav", "adm"),
        ("SCENE.ADM.WAV", "adm"),
        ("a.b.5.1.wav", "5.1"),
        ("scene.5.1.4.wav", "5.1.4"),
        ("scene.7.1.4.wav", "7.1.4"),
        ("scene.5.1.flac", "5.1"),
        ("scene.ambix3.wav", "ambix3"),
        ("scene.stereo.mp3", "stereo"),
        ("scene.binaural.wav", "binaural"),
        ("scene.rpp", "rpp"),
        ("scene.osc", "osc"),
        ("scene.objects", "objects"),
        ("scene.wav", None),
        ("take 5.1", None),
        ("adm.wav", None),
        ("scene-adm.wav", None),
    ],
)
def test_names_say_formats(name: str, format_name: str | None) -> None:
    assert named_format(Path(name)) == format_name
    if format_name is not None:
        assert made(name) == [(format_name, name)]


def test_one_format_goes_where_it_was_sent() -> None:
    assert made("x.wav") == [("binaural", "x.wav")]
    assert made("x.wav", "adm") == [("adm", "x.wav")]
    assert made("x.adm.wav", "adm") == [("adm", "x.adm.wav")]
    assert made("folder", "objects") == [("objects", "folder")]
    assert made("-", "ambix3") == [("ambix3", "-")]
    assert made("-") == [("binaural", "-")]


def test_several_formats_lie_beside_each_other() -> None:
    found = made("d/x.flac", *(name for name in NAMES if name != "iamf"))
    assert found == [
        ("binaural", "d/x.flac"),
        ("stereo", "d/x.stereo.flac"),
        ("5.1", "d/x.5.1.flac"),
        ("5.1.4", "d/x.5.1.4.wav"),
        ("7.1.4", "d/x.7.1.4.wav"),
        ("ambix1", "d/x.ambix1.wav"),
        ("ambix2", "d/x.ambix2.wav"),
        ("ambix3", "d/x.ambix3.wav"),
        ("adm", "d/x.adm.wav"),
        ("objects", "d/x.objects"),
        ("rpp", "d/x.rpp"),
        ("osc", "d/x.osc"),
    ]
    for name, path in found[1:]:
        assert made(path) == [(name, path)]


def test_a_name_that_says_a_format_gives_it_up_for_others() -> None:
    assert made("x.adm.wav", "adm", "5.1", "binaural") == [
        ("adm", "x.adm.wav"),
        ("5.1", "x.5.1.wav"),
        ("binaural", "x.binaural.wav"),
    ]
    assert renamed(Path("x.binaural.flac"), "adm") == Path("x.adm.wav")


def test_words_of_people() -> None:
    assert read_formats(["adm, AMBIX3", "5.1"]) == ("adm", "ambix3", "5.1")
    assert read_formats([]) == ()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["atmos"], "unknown format 'atmos'; expected one of binaural, stereo, 5.1"),
        (["5.1.2"], "unknown format '5.1.2'"),
        (["adm,"], "unknown format ''"),
        (["adm=1"], "unknown format 'adm=1'"),
        (["adm", "5.1,ADM"], "the format adm is given twice"),
    ],
)
def test_formats_that_are_none(texts: list[str], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        read_formats(texts)


@pytest.mark.parametrize(
    ("out", "formats", "message"),
    [
        ("x.5.1.wav", ["adm"], "x.5.1.wav: the name says 5.1, and the format adm was asked for; expected them alike"),
        ("x.rpp", ["binaural"], "x.rpp: the name says rpp"),
        ("x.flac", ["adm"], "x.flac: the extension .flac, and adm is .wav; expected that"),
        ("x.mp3", ["5.1"], "x.mp3: the extension .mp3, and 5.1 is .wav or .flac; expected that"),
        ("x.flac", ["7.1.4"], "x.flac: the extension .flac, and 7.1.4 is .wav; expected that"),
        ("x.wav", ["objects"], "x.wav: the name of a file, and objects is a folder"),
        ("x", ["rpp"], "x: no extension, and rpp is .rpp; expected that"),
        ("x", ["adm", "5.1"], "x: no extension, expected one of .wav"),
        ("-", ["adm", "5.1"], "standard output holds one format, expected a file name for adm, 5.1"),
        ("-", ["objects"], "standard output is WAV, which objects is not"),
        ("-", ["osc"], "standard output is WAV, which osc is not"),
    ],
)
def test_names_that_do_not_go_with_formats(out: str, formats: list[str], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        deliveries(Path(out), formats)


def test_every_ending_of_a_format_is_one_of_sound_or_its_own() -> None:
    own = {".rpp", ".osc", ".iamf", ""}
    assert all(set(form.endings) <= {*WRITABLE, *own} for form in FORMATS.values())


def test_iamf_is_refused_where_nothing_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(NAMES) - {"iamf"}:
        check_encoder_of(FORMATS[name])
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(InputError, match="iamf is written by ffmpeg, which is not installed; expected ffmpeg 7"):
        check_encoder_of(FORMATS["iamf"])
    monkeypatch.setattr("shutil.which", lambda _: "/bin/ffmpeg")
    old = subprocess.CompletedProcess([], 0, stdout=b" E  mp4   MP4\n")
    monkeypatch.setattr("tas_core.delivery.formats.captured", lambda *_, **__: old)
    with pytest.raises(InputError, match="iamf is not written by /bin/ffmpeg, which has no such container"):
        check_encoder_of(FORMATS["iamf"])

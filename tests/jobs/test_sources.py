"""Sounds of objects given as files: alone, beside an input, from timelines, folders and manifests; what is refused."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import tas_core
from tas_core.acoustics.placing import DirectionTable, frame_hop, placed_side
from tas_core.audio.excerpt import Excerpt
from tas_core.audio.parts import PartsMeter
from tas_core.audio.reader import read_audio
from tas_core.errors import InputError
from tas_core.inference.settings import RenderSettings
from tas_core.jobs.request import FileOptions
from tas_core.jobs.sources import GivenSources, named_sources, open_sources
from tas_core.jobs.spatialize import spatialize_file
from tas_core.timeline.matching import match_name
from tas_core.timeline.sources import SourceFile
from tests.conftest import Finished

Run = Callable[..., Finished]
RATE_HZ = 16000


def noise(seconds: float = 1.0, seed: int = 0, channels: int = 1, rate_hz: int = RATE_HZ) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((channels, round(seconds * rate_hz)))


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., np.ndarray]:
    """Writes samples (channel, time) to a file in the working folder; returns them as they are read."""
    monkeypatch.chdir(tmp_path)

    def make(name: str, samples: np.ndarray, rate_hz: int = RATE_HZ) -> np.ndarray:
        Path(name).parent.mkdir(exist_ok=True)
        soundfile.write(name, samples.T, rate_hz, subtype="FLOAT")
        return read_audio(name).samples.astype(np.float64)

    return make


def ears_of(name: str) -> np.ndarray:
    return read_audio(name).samples.astype(np.float64)


def placed(x: np.ndarray, azimuth_deg: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    hop = frame_hop(rate_hz)
    side = placed_side(x, np.full(1 + len(x) // hop, azimuth_deg), DirectionTable(4 * hop, rate_hz), hop)
    return np.stack([x + side / 2, x - side / 2])


# ------------------------------------------------------------------ without an input


def test_sounds_alone_are_placed_without_a_model(tas: Run, write: Callable[..., np.ndarray]) -> None:
    cello, piano = write("cello.wav", noise()), write("piano.wav", noise(seed=1, channels=2))
    done = tas("spatialize", "--object", "The Cello=cello.wav", "--object", "piano.wav", "-p",
               "cello on the left; piano 3 dB quieter", "-o", "out.wav", "--json")  # fmt: skip
    assert done.code == 0
    report = json.loads(done.out)
    assert (report["source"], report["model"], report["steps"]) == (None, None, None)
    assert report["sources"] == [
        {"object": "cello", "file": "cello.wav", "start_s": 0.0, "gain_db": 0.0},
        {"object": "piano", "file": "piano.wav", "start_s": 0.0, "gain_db": 0.0},
    ]
    gain = 10 ** (-3 / 20)
    want = placed(cello[0], 55) + gain / 2 * (placed(piano[0], 30) + placed(piano[1], -30))
    np.testing.assert_allclose(ears_of("out.wav"), want, atol=1e-6)


def test_neither_torch_nor_a_model_is_loaded(write: Callable[..., np.ndarray]) -> None:
    write("cello.wav", noise(0.2))
    code = (
        "import sys; sys.argv = 'tas spatialize --object cello.wav -o out.wav -p'.split() + ['cello left']\n"
        "from tas_cli.main import main\n"
        "try: main()\n"
        "finally: print([m for m in ('torch', 'scipy', 'transformers', 'tokenizers') if m in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_a_timeline_names_sources_with_start_and_gain(write: Callable[..., np.ndarray], tmp_path: Path) -> None:
    cello, piano = write("parts/cello.wav", noise()), write("piano.wav", noise(0.5, seed=1))
    (tmp_path / "scene.yaml").write_text(
        "sources:\n  cello: parts/cello.wav\n  pianos: {file: piano.wav, start: 0.75, gain_db: -6}\n"
        "prompts:\n  - {start: 0, text: cello left; piano right}\n"
    )
    result = spatialize_file(None, "out.wav", timeline=tmp_path / "scene.yaml")
    assert result.duration_s == 1.25
    late = np.zeros(round(1.25 * RATE_HZ))
    late[round(0.75 * RATE_HZ) :] = 10 ** (-6 / 20) * piano[0]
    whole = np.pad(cello[0], (0, len(late) - len(cello[0])))
    np.testing.assert_allclose(ears_of("out.wav").mean(axis=0), whole + late, atol=1e-6)
    np.testing.assert_allclose(ears_of("out.wav"), placed(whole, 55) + placed(late, -55), atol=1e-6)


def test_rates_and_channel_counts_may_differ(write: Callable[..., np.ndarray]) -> None:
    write("a.wav", np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)[None] * 0.2, 22050)
    b = write("b.wav", noise(channels=4))
    with pytest.warns(UserWarning, match=r"b\.wav: 4 channels mixed down"):
        result = spatialize_file(
            None, "out.wav", prompt="dog in the center; cat in the center", sources={"dog": "a.wav", "cat": "b.wav"}
        )
    assert result.sample_rate_hz == 22050
    tone = ears_of("out.wav")[0] - tas_core.audio.resampling.resample(b.mean(axis=0), RATE_HZ, 22050)
    np.testing.assert_allclose(
        tone[2000:-2000], 0.2 * np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)[2000:-2000], atol=1e-4
    )


def test_a_folder_of_stems_goes_by_its_file_names_and_has_a_rest(write: Callable[..., np.ndarray]) -> None:
    parts = [write(f"stems/{name}.wav", noise(seed=n)) for n, name in enumerate(("1-cello", "2-man-talking", "rest"))]
    given = named_sources(["stems"])
    assert [source.name for source in given] == ["1-cello", "2-man-talking", "rest"]
    spatialize_file(
        None, "out.wav", prompt="cello left; a man talking right", sources={s.name: s.file for s in given}, stems="made"
    )
    np.testing.assert_allclose(ears_of("out.wav").mean(axis=0), sum(p[0] for p in parts), atol=1e-6)
    for path in sorted(Path("stems").iterdir()):
        np.testing.assert_allclose(ears_of(f"made/{path.name}"), ears_of(str(path)), atol=1e-6)


def test_the_command_line_says_that_adm_is_resampled(tas: Run, write: Callable[..., np.ndarray]) -> None:
    write("cello.wav", noise())
    done = tas("spatialize", "--object", "cello.wav", "-p", "cello left", "--format", "binaural,adm", "-o", "x.wav")
    assert done.code == 0, done.err
    assert f"resampled from {RATE_HZ} Hz to 48000 Hz, that of adm" in done.err


def test_a_passage_is_that_of_the_whole(write: Callable[..., np.ndarray]) -> None:
    write("cello.wav", noise(2.0))
    write("other.wav", noise(2.0, rate_hz=22050), 22050)
    request = {
        "prompt": "cello moves from left to right; dog in the center",
        "sources": {"cello": "cello.wav", "dog": "other.wav"},
    }
    spatialize_file(None, "whole.wav", **request)
    spatialize_file(None, "part.wav", options=FileOptions(excerpt=Excerpt(None, 0.7, 0.9)), **request)
    first = round(0.7 * 22050)
    part = ears_of("part.wav")
    np.testing.assert_allclose(part, ears_of("whole.wav")[:, first : first + part.shape[1]], atol=1e-6)


def test_manifests_name_objects(tas: Run, write: Callable[..., np.ndarray], tmp_path: Path) -> None:
    cello = write("cello.wav", noise())
    (tmp_path / "jobs.jsonl").write_text(
        '{"objects": {"cello": "cello.wav"}, "prompt": "cello left", "out": "out.wav"}\n'
        '{"objects": {"dog": "cello.wav"}, "prompt": "cello left", "out": "other.wav"}\n'
    )
    done = tas("spatialize", "--manifest", "jobs.jsonl")
    assert done.code == 1
    assert "source 'dog' is named by no prompt" in done.err
    np.testing.assert_allclose(ears_of("out.wav").mean(axis=0), cello[0], atol=1e-6)
    assert not Path("other.wav").exists()


# ------------------------------------------------------------------ beside an input


def test_beside_an_input_the_rest_is_what_they_leave(tas: Run, write: Callable[..., np.ndarray]) -> None:
    cello, rain = write("cello.wav", noise()), noise(seed=2)
    whole = write("in.wav", cello + rain)
    done = tas("spatialize", "in.wav", "--object", "cello.wav", "-p", "cello on the left 6 dB quieter", "-o", "out.wav")
    assert done.code == 0
    assert "no model needed" in done.out
    want = 10 ** (-6 / 20) * placed(cello[0], 55) + (whole - cello)[0]
    np.testing.assert_allclose(ears_of("out.wav"), want, atol=1e-6)


def test_what_is_not_given_is_left_to_the_model(write: Callable[..., np.ndarray], tiny_model: Path) -> None:
    cello, rain = write("cello.wav", noise()), noise(seed=2)
    whole = write("in.wav", cello + rain)
    rest = write("rest.wav", whole - cello)
    request = {"prompt": "cello left, rain on the right", "model": str(tiny_model)}
    spatialize_file("in.wav", "out.wav", sources={"cello": "cello.wav"}, stems="stems", **request)
    spatialize_file("rest.wav", "rain.wav", prompt="rain on the right", model=str(tiny_model))
    np.testing.assert_allclose(ears_of("out.wav"), placed(cello[0], 55) + ears_of("rain.wav"), atol=1e-5)
    np.testing.assert_allclose(sum(ears_of(str(path)) for path in Path("stems").iterdir()), whole, atol=1e-6)
    np.testing.assert_allclose(ears_of("stems/1-cello.wav"), cello, atol=1e-6)
    assert rest.shape == whole.shape


def test_parts_are_told_from_what_is_no_part() -> None:
    a, b, c = (noise(2.0, seed=n)[0] for n in range(3))
    meter = PartsMeter(3)
    for at in range(0, len(a), 5000):  # b is there at half its level, c is not
        part = slice(at, at + 5000)
        meter.add(np.stack([a, b, c])[:, part], (a + 0.5 * b + 0.3 * noise(2.0, seed=9)[0])[part])
    assert meter.factors() == pytest.approx([1, 0.5, 0], abs=0.02)
    silent = PartsMeter(1)
    silent.add(np.zeros((1, 100)), a[:100])
    silent.check(["silence"], "in.wav", RATE_HZ)


def test_stereo_that_stays_is_the_input_but_for_what_is_given(write: Callable[..., np.ndarray]) -> None:
    cello, other = write("cello.wav", noise(channels=2)), noise(seed=3, channels=2)
    whole = write("in.wav", cello + other)
    options = FileOptions(RenderSettings(stereo="keep"))
    spatialize_file("in.wav", "out.wav", prompt="cello 6 dB quieter", sources={"cello": "cello.wav"}, options=options)
    np.testing.assert_allclose(ears_of("out.wav"), whole - (1 - 10 ** (-6 / 20)) * cello, atol=1e-6)


# ------------------------------------------------------------------ what is refused


CELLO = ("-p", "cello left")
REFUSED: dict[str, tuple[list[str], tuple[str, ...], str]] = {
    "nobody names it": (["in.wav", "--object", "dog=cello.wav"], CELLO,
                        "'dog' is named by no prompt; expected one of 'cello'"),
    "nearly named": (["--object", "celo=cello.wav"], CELLO, r"'celo' is named by no prompt \(did you mean 'cello'\?\)"),
    "no sound": (["--object", "cello.wav"], ("-p", "cello left, piano right"),
                 r"'piano' has a place and no sound, .* \(--object NAME=FILE\)"),
    "two for one": (["--object", "cello=cello.wav", "--object", "the cello=in.wav"], CELLO,
                    "two sources for 'cello', cello.wav and in.wav"),
    "other level": (["in.wav", "--object", "cello=half.wav"], CELLO,
                    r"half\.wav: it is in in\.wav at another level, \+6\.0 dB"),
    "no part": (["in.wav", "--object", "cello=other.wav"], CELLO, r"other\.wav: not a part of in\.wav \(\d+ % of it"),
    "a rest": (["in.wav", "--object", "cello.wav", "--object", "rest=other.wav"], CELLO,
               "the rest is what the objects leave of in.wav"),
    "no file": (["--object", "cello=none.wav"], CELLO, r"none\.wav: No such file"),
    "no form": (["--object", "cello"], CELLO, "expected NAME=FILE, a file or a folder that is there"),
    "two signs": (["--object", "a=b=none.wav"], CELLO, "more than one sign of equality"),
    "no name": (["--object", "=cello.wav"], CELLO, "expected NAME=FILE"),
    "empty folder": (["--object", "empty"], CELLO, "empty: no audio files in the folder"),
    "channel": (["--object", "cello.wav", "--channel", "1"], CELLO, "a channel of the input was given, and there"),
    "steps": (["--object", "cello.wav", "--steps", "2"], CELLO, "a number of steps was given, and there is no input"),
    "model": (["--object", "cello.wav", "--model", "slots"], CELLO, "--model is for an input that a network separates"),
    "no prompt": (["--object", "cello.wav"], (), "no timeline and no prompt"),
    "stereo of one": (["in.wav", "--object", "cello.wav", "--stereo", "keep"], CELLO, "in.wav: 1 channel, expected"),
    "stereo, format": (["--object", "cello.wav", "--stereo", "keep", "--format", "ambix1"], CELLO, "stereo can stay"),
    "over a sound": (["--object", "cello=out.wav"], CELLO, "out.wav"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_one_line_and_nothing_is_written(tas: Run, write: Callable[..., np.ndarray], case: str) -> None:
    arguments, prompt, what = REFUSED[case]
    cello = write("cello.wav", noise())
    write("half.wav", cello / 2)
    write("other.wav", noise(seed=5))
    write("in.wav", cello + noise(seed=2))
    Path("empty").mkdir()
    done = tas("spatialize", *arguments, *prompt, "-o", "out.wav")
    assert done.code == 2
    assert re.search(what, done.err), done.err
    assert done.err.count("\n") == 1
    assert not Path("out.wav").exists()


def test_a_name_with_a_sign_of_equality_is_found_by_its_file(write: Callable[..., np.ndarray]) -> None:
    write("b.wav", noise(0.1))
    (source,) = named_sources(["e=mc2=b.wav"])
    assert (source.name, source.file) == ("e=mc2", Path("b.wav"))
    write("mc2=b.wav", noise(0.1))
    with pytest.raises(InputError, match="several of what is behind one"):
        named_sources(["e=mc2=b.wav"])


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("Cello", "cello"), ("the cellos", "cello"), ("02_Acoustic-Guitar", "acoustic guitar"), ("Geige", "violin"),
        ("a dog", "dog"), ("dogs", "dogs"), ("Rest", "rest"),
    ],
)  # fmt: skip
def test_names_are_matched_as_people_write_them(name: str, match: str) -> None:
    assert match_name(name, ["cello", "acoustic guitar", "violin", "dog", "dogs"]) == match


def test_a_name_that_may_be_two_is_refused() -> None:
    with pytest.raises(InputError, match="object 'the dogs' may be 'dog' or 'a dog', expected one of these names"):
        match_name("the dogs", ["dog", "a dog"])


def test_silence_before_a_late_sound_is_made_piece_by_piece(write: Callable[..., np.ndarray], tmp_path: Path) -> None:
    """Hours of it do not fit into memory at once."""
    write("cello.wav", noise(0.1))
    source = SourceFile("cello", tmp_path / "cello.wav", start_s=40.0)
    opened = open_sources({"cello": source}).by_object["cello"]
    before = round(40.0 * opened.sample_rate_hz)
    sizes = [
        piece.shape[1]
        for piece in itertools.takewhile(lambda piece: not piece.any(), opened.samples(7, opened.sample_rate_hz))
    ]
    assert sum(sizes) == before - 7
    assert len(sizes) > 1
    assert max(sizes) <= 2**19


def test_bad_values_of_sources_are_refused(tmp_path: Path) -> None:
    for fields, what in (
        ({"start_s": -1.0}, "starts at -1 s"),
        ({"start_s": 1e308}, r"starts at 1e\+308 s, expected less than 100 hours"),
        ({"start_s": 360_000.0}, "starts at 360000 s, expected less than 100 hours"),
        ({"gain_db": 60.0}, "a gain of 60 dB"),
    ):
        with pytest.raises(InputError, match=what):
            SourceFile("cello", tmp_path / "cello.wav", **fields)
    with pytest.raises(InputError, match="not a regular file"):
        open_sources({"cello": SourceFile("cello", tmp_path)})


@pytest.mark.parametrize("prompt", ["dog on the left", "dog behind me"])
def test_what_was_rendered_of_an_input_beside_given_sounds_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prompt: str
) -> None:
    """No piece is kept for a network that is not there: memory does not grow with the input."""
    rng, pieces, alive = np.random.default_rng(0), [], []
    dog, rest = np.round(0.05 * rng.standard_normal((2, 80_000)) * 2**15) / 2**15
    soundfile.write(tmp_path / "dog.wav", dog, 8000)
    soundfile.write(tmp_path / "mix.wav", dog + rest, 8000)
    rows = GivenSources.rows

    def watched(*arguments: Any, **options: Any) -> Iterator[np.ndarray]:
        for piece in rows(*arguments, **options):
            pieces.append(weakref.ref(piece))
            alive.append(sum(each() is not None for each in pieces))
            yield piece

    monkeypatch.setattr(GivenSources, "rows", watched)
    monkeypatch.setattr("tas_core.jobs.sources._BLOCK_FRAMES", 4000)
    spatialize_file(tmp_path / "mix.wav", tmp_path / "o.wav", prompt=prompt, sources={"dog": tmp_path / "dog.wav"})
    assert len(pieces) == 20
    assert max(alive) < 12

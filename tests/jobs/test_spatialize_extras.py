"""Beside the ears of the built-in head: those of another, width, stems, and a page."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio.normalised_writer import Levels
from tas_core.errors import InputError, TasError
from tas_core.inference.settings import RenderSettings
from tas_core.jobs.request import Excerpt, FileOptions
from tas_core.jobs.result import FileResult
from tas_core.jobs.spatialize import spatialize_file
from tests.conftest import Finished, tone
from tests.support.sofa_files import FULL_CIRCLE, on_the_plane, spherical_hrir, write_sofa

Make = Callable[..., Path]
Run = Callable[..., Finished]
PROMPT = "a tone on the left, noise 30 degrees to the right"


@pytest.fixture
def job(tiny_model: Path, tmp_path: Path) -> Callable[..., FileResult]:
    def run(source: Path, out: str = "out.wav", **arguments: object) -> FileResult:
        arguments = {"model": str(tiny_model), "prompt": PROMPT} | arguments
        return spatialize_file(source, tmp_path / out, **arguments)  # type: ignore[arg-type]

    return run


def ears_of(path: Path) -> np.ndarray:
    """(ear, time)."""
    return soundfile.read(path, always_2d=True)[0].T


def side_of(path: Path) -> np.ndarray:
    left, right = ears_of(path)
    return left - right


def test_width_scales_the_difference_and_keeps_the_sum(
    job: Callable[..., FileResult], make_audio: Make, tmp_path: Path
) -> None:
    source = make_audio(subtype="FLOAT")
    for width in (0.0, 1.0, 2.0):
        job(source, f"{width:g}.wav", options=FileOptions(RenderSettings(width=width)))
    one = side_of(tmp_path / "1.wav")
    assert np.abs(one).max() > 1e-3
    # Single precision of the files.
    np.testing.assert_allclose(side_of(tmp_path / "2.wav"), 2 * one, rtol=0, atol=2.0**-22)
    assert not side_of(tmp_path / "0.wav").any()
    mono = soundfile.read(source)[0]
    for width in ("0", "1", "2"):
        np.testing.assert_allclose(ears_of(tmp_path / f"{width}.wav").mean(axis=0), mono, rtol=0, atol=2.0**-24)


def test_another_head_is_heard_and_named_in_the_sidecar(
    tas: Run, tiny_model: Path, make_audio: Make, tmp_path: Path
) -> None:
    """One ear of this head is hardly shadowed, so the ears differ from those of the built-in one."""
    me = write_sofa(tmp_path / "me.sofa", spherical_hrir(FULL_CIRCLE, 44_100), on_the_plane(FULL_CIRCLE))
    arguments = ("spatialize", make_audio(subtype="FLOAT"), "-p", "a tone far left", "--model", tiny_model)
    assert tas(*arguments, "-o", tmp_path / "kemar.wav").code == 0
    done = tas(*arguments, "-o", tmp_path / "me.wav", "--hrtf", me, "--width", 0.5, "--sidecar")
    assert (done.code, done.err) == (0, "")
    settings = json.loads((tmp_path / "me.wav.tas.json").read_text())["settings"]
    assert (settings["hrtf"], settings["width"]) == (str(me), 0.5)
    kemar, mine = side_of(tmp_path / "kemar.wav"), 2 * side_of(tmp_path / "me.wav")
    assert np.abs(kemar - mine).max() > 0.01 * np.abs(kemar).max()
    # The sound is on the same side with both.
    for name in ("kemar", "me"):
        left, right = np.square(ears_of(tmp_path / f"{name}.wav")).sum(axis=1)
        assert left > right


def test_stems_are_named_by_their_objects_and_sum_to_the_input(
    job: Callable[..., FileResult], make_audio: Make, tmp_path: Path
) -> None:
    source = make_audio(subtype="FLOAT", seconds=2.0)
    options = FileOptions(excerpt=Excerpt(start_s=0.5, duration_s=1.0), levels=Levels(gain_db=-6.0))
    report = job(source, stems=tmp_path / "parts", options=options)
    assert [(stem.object, Path(stem.path).name) for stem in report.stems] == [
        ("tone", "1-tone.wav"),
        ("noise", "2-noise.wav"),
        (None, "rest.wav"),
    ]
    parts = [soundfile.read(stem.path)[0] for stem in report.stems]
    # Three roundings to single precision; no gain.
    np.testing.assert_allclose(np.sum(parts, axis=0), soundfile.read(source)[0][8000:24_000], rtol=0, atol=3 * 2.0**-24)
    assert all(part.any() for part in parts[:2])
    assert sorted(os.listdir(tmp_path)) == ["in.wav", "out.wav", "parts"]
    with pytest.raises(InputError, match=r"1-tone\.wav: the file exists"):
        job(source, "more.wav", stems=tmp_path / "parts")
    assert not (tmp_path / "more.wav").exists()


def test_stems_go_where_the_output_goes(job: Callable[..., FileResult], tmp_path: Path) -> None:
    """Nothing stays of either if the other cannot be."""
    samples = np.zeros(16_000)
    samples[8000] = 0.999
    soundfile.write(tmp_path / "click.wav", samples, 16_000)
    with pytest.raises(TasError, match="beyond full scale"):
        job(
            tmp_path / "click.wav",
            prompt="a click far left",
            stems=tmp_path / "parts",
            options=FileOptions(levels=Levels(clip="error")),
        )
    assert os.listdir(tmp_path) == ["click.wav"]


def test_no_stem_is_written_over_an_input_or_the_output(
    job: Callable[..., FileResult], make_audio: Make, tmp_path: Path
) -> None:
    rest = make_audio("rest.wav")
    before = rest.read_bytes()
    with pytest.raises(InputError, match=r"rest\.wav: the stem is the file .*rest\.wav, expected another folder"):
        job(rest, stems=tmp_path, options=FileOptions(overwrite=True))
    assert rest.read_bytes() == before
    rest.unlink()
    with pytest.raises(InputError, match=r"1-tone\.wav: the stem is the file .*1-tone\.wav"):
        job(make_audio(), "1-tone.wav", stems=tmp_path)
    assert os.listdir(tmp_path) == ["in.wav"]


@pytest.mark.parametrize("passage", [[], ["--start", 0.25, "--duration", 0.5]])
def test_a_page_measures_by_the_stems(
    tas: Run, tiny_model: Path, make_audio: Make, tmp_path: Path, passage: list[object]
) -> None:
    arguments = ("spatialize", make_audio(rate_hz=44_100), "-p", PROMPT, "--model", tiny_model, *passage)
    done = tas(
        *(*arguments, "-o", tmp_path / "out.wav"),
        *("--stems", tmp_path / "parts", "--report", tmp_path / "page.html"),
    )
    assert (done.code, done.err) == (0, "")
    page = (tmp_path / "page.html").read_text()
    assert "out.wav" in page
    assert "stem of noise" in page
    assert "2-noise.wav" in page


def test_a_sidecar_of_a_name_that_is_no_utf8(tas: Run, tiny_model: Path, make_audio: Make, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9.wav")
    try:
        os.rename(make_audio(), odd)
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    done = tas("spatialize", odd, "-p", PROMPT, "--model", tiny_model, "-o", tmp_path / "out.wav", "--sidecar")
    assert done.code == 0
    (sidecar,) = tmp_path.glob("out*.json")
    assert json.loads(sidecar.read_bytes())


@pytest.mark.parametrize("passage", [["--start", 0.25], ["--duration", 0.5], ["--start", 0.25, "--duration", 0.5], []])
def test_the_page_of_a_passage_and_of_a_channel(
    tas: Run, tiny_model: Path, make_audio: Make, make_timeline: Make, tmp_path: Path, passage: list[object]
) -> None:
    source = make_audio(channels=2)
    scene = make_timeline("start: 0, end: 0.5, text: a tone on the left", "start: 0.5, text: a tone on the right")
    arguments = ("spatialize", source, "-t", scene, "--model", tiny_model, "--channel", 2, *passage)
    done = tas(*arguments, "-o", tmp_path / "out.wav", "--report", tmp_path / "page.html")
    assert (done.code, done.err) == (0, "")
    page = (tmp_path / "page.html").read_text()
    assert "input channel" in page
    assert ("input from, to" in page) == bool(passage)
    # (L + R) / 2 is the input, so the page has found the samples that the output was made of.
    assert "(L + R) / 2 of the output is the input" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--report", "page.txt"], "page.txt: the extension .txt, expected .html or .htm"),
        (["--report", "none/page.html"], "none/page.html: the folder"),
        (["--stems", "in.wav"], "in.wav: not a folder, expected one for the stems"),
        (["--stems", "none/parts"], "none/parts: the folder"),
        (["--hrtf", "in.wav"], "in.wav: not a readable SOFA file"),
        (["--width", "2.1"], "--width"),
        (["--width", "nan"], "width"),
    ],
)
def test_impossible_requests_are_answered_in_a_line(
    tas: Run,
    make_audio: Make,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    make_audio()
    monkeypatch.chdir(tmp_path)
    done = tas("spatialize", "in.wav", "-p", PROMPT, "-o", "out.wav", "--model", tiny_model, *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err.splitlines()[-1]
    assert os.listdir(tmp_path) == ["in.wav"]


def test_a_page_needs_files(tas: Run, tmp_path: Path) -> None:
    done = tas("spatialize", "-", "-p", PROMPT, "-o", tmp_path / "out.wav", "--report", tmp_path / "page.html")
    assert (done.code, done.error_line) == (
        2,
        "a report page is made of two files, expected names for the input and the output",
    )


def test_many_files_get_a_folder_of_stems_and_a_page_each(tas: Run, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "x").mkdir(parents=True)
    for name in ("a.wav", "x/b.wav"):
        soundfile.write(tmp_path / "in" / name, tone(1.0, 16_000)[0], 16_000)
    arguments = (
        *("spatialize", tmp_path / "in", "-p", "a tone on the left", "--model", tiny_model, "--json"),
        *("--out-dir", tmp_path / "out", "--stems", tmp_path / "parts", "--report", tmp_path / "pages"),
    )
    done = tas(*arguments)
    assert (done.code, done.err) == (0, "2 of 2 done\n")
    made = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert made == [
        "in/a.wav",
        "in/x/b.wav",
        "out/a.binaural.wav",
        "out/x/b.binaural.wav",
        "pages/a.binaural.html",
        "pages/x/b.binaural.html",
        "parts/a.binaural/1-tone.wav",
        "parts/a.binaural/rest.wav",
        "parts/x/b.binaural/1-tone.wav",
        "parts/x/b.binaural/rest.wav",
    ]
    # A page that is missing is made again, together with what belongs to it, and nothing else is.
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("b.*") if path.is_file()}
    (tmp_path / "pages" / "a.binaural.html").unlink()
    done = tas(*arguments, "--skip-existing")
    assert (done.code, done.err) == (0, "1 of 2 done, 1 skipped\n")
    assert (tmp_path / "pages" / "a.binaural.html").exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before

"""Films and encoded sound as outputs of the job: what is made, what is said, and what is refused before any work."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from tests.conftest import Finished, tone

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")

Run = Callable[..., Finished]
Make = Callable[..., Path]
PROMPT = "a tone on the left, noise 30 degrees to the right"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of picture, with half a second of sound that begins 0.4 s after it."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    soundfile.write(path.with_suffix(".wav"), tone(0.5).T, 16_000)
    picture = ["-f", "lavfi", "-i", "testsrc=size=32x32:rate=25:duration=1", "-itsoffset", "0.4"]
    sound = ["-i", str(path.with_suffix(".wav")), "-c:v", "mpeg4", "-c:a", "flac"]
    subprocess.run(["ffmpeg", "-v", "error", *picture, *sound, str(path)], check=True, timeout=60)
    return path


@pytest.fixture
def film(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The film in the folder of the test, where the test runs."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copy(made, tmp_path))


def streams(path: Path) -> list[tuple[str, str]]:
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", "stream=codec_name,codec_type", str(path)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)["streams"]
    return [(stream["codec_type"], stream["codec_name"]) for stream in found]


def test_a_film_gets_another_sound(tas: Run, tiny_model: Path, film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    words = ["spatialize", film, "-p", PROMPT, "--model", tiny_model, "--json", "-o"]
    done = tas(*words, out, "--sidecar", "--report", tmp_path / "out.html")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert (result["subtype"], result["sample_rate_hz"], result["start_s"]) == ("AAC", 16_000, 0.0)
    assert result["duration_s"] == pytest.approx(0.9, abs=0.001)  # with the silence before it
    assert streams(out) == [("video", "mpeg4"), ("audio", "aac")]
    assert sorted(path.name for path in tmp_path.glob("*out*")) == ["out.html", "out.mp4", "out.mp4.tas.json"]
    done = tas(*words, out)
    assert (done.code, "the file exists" in done.error_line) == (2, True)
    done = tas(*words, film, "--force")
    assert (done.code, "the output is the input" in done.err) == (2, True)


def test_films_of_a_batch_stay_films_where_their_names_say_so(
    tas: Run, tiny_model: Path, film: Path, make_audio: Make, tmp_path: Path
) -> None:
    words = ["spatialize", film, make_audio("sound.wav"), "-p", PROMPT, "--model", tiny_model, "--json"]
    done = tas(*words, "--out-dir", tmp_path / "made", "--output-template", "{stem}.mkv")
    assert done.code == 1  # one of them has no picture
    assert "sound.mkv: MKV is for films, and there is no picture in" in done.err
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["film.mkv"]
    assert streams(tmp_path / "made" / "film.mkv") == [("video", "mpeg4"), ("audio", "flac")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "out.mp4", "--start", "0.5"), "out.mp4: a passage of a film, whose picture .* -ss 0.5 -t 0.4 CUT.mp4'"),
        (
            ("-o", "out.mkv", "--duration", "0.5"),
            "out.mkv: a passage of a film, .* such as .m4a .* -ss 0 -t 0.5 CUT.mp4'",
        ),
        (("-o", "out.webm"), "out.webm: ffmpeg cannot write it: Only VP8 .* supported for WebM; .mkv holds almost any"),
        (("-o", "out.mp3", "--subtype", "PCM_16"), "MP3 has no PCM_16, its only sample encoding is MPEG_LAYER_III"),
        (("-o", "out.mkv", "--subtype", "FLOAT"), "MKV has no FLOAT, expected one of PCM_S8, PCM_16, PCM_24"),
        (("-o", "out.wma"), r"the extension .wma, expected one of .*\('-o - \| ffmpeg -i - OUT' encodes elsewhere\)"),
    ],
)
def test_what_cannot_be_made_is_one_line(
    tas: Run, film: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = tas("spatialize", film.name, "-p", PROMPT, "--model", "nowhere", *arguments)
    assert done.code == 2
    (line,) = [line for line in done.err.splitlines() if "error" in line]
    assert re.search(said, line), line
    assert not list(tmp_path.glob("*out*"))


def test_a_passage_of_a_film_can_be_a_file_of_sound(tas: Run, tiny_model: Path, film: Path, tmp_path: Path) -> None:
    words = ["spatialize", film, "-p", PROMPT, "--model", tiny_model, "--json"]
    done = tas(*words, "--start", 0.5, "--duration", 0.25, "-o", tmp_path / "out.mp3")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert (result["start_s"], result["duration_s"], result["subtype"]) == (0.5, 0.25, "MPEG_LAYER_III")


def test_a_film_on_standard_input(
    tas: Run, tiny_model: Path, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.mkv"
    for piped in (True, False):
        with open(film, "rb") as file, subprocess.Popen(["cat", film], stdout=subprocess.PIPE) as cat:
            monkeypatch.setattr("sys.stdin", cat.stdout if piped else file)
            done = tas("spatialize", "-", "-p", PROMPT, "--model", tiny_model, "-o", out, "--force")
        assert done.code == 0, done.err
        assert streams(out) == [("video", "mpeg4"), ("audio", "flac")]

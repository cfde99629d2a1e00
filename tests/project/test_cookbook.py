"""Every recipe of docs/COOKBOOK.md, run by bash as it stands there."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import tone

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "COOKBOOK.md"
RECIPES = {
    heading: (language, text)
    for heading, language, text in re.findall(
        r"^## ([^\n]+)\n+```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
}
SCENE = "prompts:\n  - {start: 0, text: 'a man talking on the left'}\n"
CUES = "1\n00:00:00,000 --> 00:00:01,000\na woman talking on the left\n"

Cook = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cook(tmp_path: Path, tiny_model: Path, warm_tas: Path) -> Cook:
    """Runs a recipe in the test's folder, with the small model; skips where a program of it is not installed."""

    def run(heading: str) -> subprocess.CompletedProcess[str]:
        language, text = RECIPES[heading]
        for program in ("ffmpeg", "sox", "parallel", "make"):
            if (re.search(rf"\b{program} ", text) or program == language) and shutil.which(program) is None:
                pytest.skip(f"needs {program}")
        if language == "make":
            (tmp_path / "Makefile").write_text(text)
            text = "make all"
        path = f"{warm_tas.parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=tmp_path,
            env=os.environ | {"PATH": path, "TAS_MODEL": str(tiny_model)},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    return run


def sound(path: Path, rate_hz: int = 16_000, seconds: float = 1.0) -> Path:
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, tone(seconds, rate_hz)[0], rate_hz)
    return path


def recordings(folder: Path) -> list[Path]:
    paths = [sound(folder / "recordings" / name) for name in ("a.wav", "b.wav", "with blank.wav")]
    for path in paths:
        path.with_suffix(".yaml").write_text(SCENE)
    return paths


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def by_ffmpeg(*arguments: object) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    subprocess.run(["ffmpeg", "-v", "error", *map(str, arguments)], check=True, timeout=60)


def test_every_recipe_is_tested() -> None:
    text = Path(__file__).read_text()
    assert len(RECIPES) == PAGE.read_text().count("\n## ") == PAGE.read_text().count("\n```\n")
    assert all(f'cook("{heading}")' in text for heading in RECIPES)


def test_a_client_that_goes_away_half_way_costs_nobody_else_theirs(warm_tas: Path) -> None:
    if not (address := warm_tas.parent / "socket").exists():
        pytest.skip("tas itself is used here")
    asked = json.dumps([["--version"], "/", {}]).encode()
    whole = len(asked).to_bytes(4, "big") + asked
    for sent in (None, b"", whole[:2], whole[:-1]):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(address))
            if sent is not None:
                socket.send_fds(client, [bytes([1])], [1])
                client.sendall(sent)
    done = subprocess.run([warm_tas, "--version"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout[:4]) == (0, "tas ")


def test_the_program_of_these_recipes_ends_as_tas_does(warm_tas: Path, tmp_path: Path) -> None:
    def run(*words: str) -> tuple[int, str, str]:
        done = subprocess.run([warm_tas, *words], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    assert run("--version") == (0, f"tas {version('tas')}\n", "")
    assert run("spatialize", "none.wav", "-p", "dog left")[:2] == (2, "")
    command = ["bash", "-c", f"exec {warm_tas} spatialize - -p 'drum left' -o x.wav"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as waits:
        with pytest.raises(subprocess.TimeoutExpired):  # it waits for its standard input
            waits.wait(0.5)
        waits.send_signal(signal.SIGINT)
        assert waits.wait(60) == 130
        assert waits.stderr is not None
        assert waits.stderr.read() == b"tas: interrupted\n"
    assert names(tmp_path) == []


def test_between_two_programs(cook: Cook, tmp_path: Path) -> None:
    by_ffmpeg("-i", sound(tmp_path / "talk.wav", 44_100), "-c:a", "flac", tmp_path / "talk.mkv")
    (tmp_path / "talk.yaml").write_text(SCENE)
    done = cook("Between two programs")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    ears, rate_hz = soundfile.read(tmp_path / "talk.binaural.flac")
    assert rate_hz == 44_100
    np.testing.assert_allclose(ears.mean(axis=1), soundfile.read(tmp_path / "talk.wav")[0], atol=2.0**-15)


def test_from_sox_to_opus(cook: Cook, tmp_path: Path) -> None:
    sound(tmp_path / "voice.wav", 48_000)
    done = cook("From SoX to Opus")
    assert done.returncode == 0, done.stderr
    info = soundfile.info(tmp_path / "voice.opus")
    assert (info.channels, info.subtype) == (2, "OPUS")
    assert info.duration == pytest.approx(1.0, abs=0.05)


def test_a_folder_overnight(cook: Cook, tmp_path: Path) -> None:
    recordings(tmp_path)[1].write_text("not a sound\n")
    assert cook("A folder overnight").returncode == 1
    assert names(tmp_path / "binaural") == ["a.binaural.wav", "with blank.binaural.wav"]
    sound(tmp_path / "recordings" / "b.wav")
    done = cook("A folder overnight")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(names(tmp_path / "binaural")) == 3
    results = [json.loads(line) for line in (tmp_path / "made.jsonl").read_text().splitlines()]
    assert [result.get("skipped", False) for result in results] == [True, True, False]
    error, first, second = (tmp_path / "errors.log").read_text().splitlines()
    assert "recordings/b.wav: not an audio file" in error
    assert (first, second) == ("2 of 3 done, 1 failed", "1 of 3 done, 2 skipped")


def test_only_what_is_new(cook: Cook, tmp_path: Path) -> None:
    old, new, _ = recordings(tmp_path)
    (tmp_path / "last-run").touch()
    os.utime(old, (1e9, 1e9))
    os.utime(tmp_path / "last-run", (1.1e9, 1.1e9))
    done = cook("Only what is new")
    assert done.returncode == 0, done.stderr
    assert names(tmp_path / "binaural") == ["b.binaural.wav", "with blank.binaural.wav"]
    assert (tmp_path / "last-run").stat().st_mtime > new.stat().st_mtime


def test_a_manifest_from_a_loop(cook: Cook, tmp_path: Path) -> None:
    for name in ("one-host.wav", "one-guest.wav", "with blank-guest.wav"):
        sound(tmp_path / "takes" / name)
    done = cook("A manifest from a loop")
    assert done.returncode == 0, done.stderr
    host, guest, blank = (
        soundfile.read(tmp_path / "takes" / f"{name}.binaural.flac")[0]
        for name in ("one-host", "one-guest", "with blank-guest")
    )
    # Mirrored prompts, one sound: mirrored ears, up to rounding.
    np.testing.assert_allclose(host, guest[:, ::-1], atol=1.1 * 2.0**-15)
    np.testing.assert_array_equal(guest, blank)


def test_a_film(cook: Cook, tmp_path: Path) -> None:
    """A second of picture, and sound that begins half a second after it."""
    wav = sound(tmp_path / "sound.wav", 48_000)
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x64:rate=25:duration=2")
    codecs = ("-c:v", "mpeg4", "-c:a", "aac")
    by_ffmpeg(*picture, "-itsoffset", 0.5, "-i", wav, "-map", "0:v", "-map", "1:a", *codecs, tmp_path / "film.mp4")
    (tmp_path / "film.srt").write_text(CUES)
    done = cook("A film with binaural sound")
    assert done.returncode == 0, done.stderr
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", tmp_path / "film.binaural.mp4"]
    streams = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)["streams"]
    assert [(s["codec_name"], s.get("channels")) for s in streams] == [("mpeg4", None), ("aac", 2)]
    packets = ("-map", "0:v", "-c", "copy", "-f", "md5")
    for name in ("film", "film.binaural"):
        by_ffmpeg("-i", tmp_path / f"{name}.mp4", *packets, tmp_path / f"{name}.md5")
    assert (tmp_path / "film.md5").read_text() == (tmp_path / "film.binaural.md5").read_text()
    by_ffmpeg("-i", tmp_path / "film.binaural.mp4", tmp_path / "heard.wav")
    heard = np.abs(soundfile.read(tmp_path / "heard.wav")[0]).max(axis=1)
    assert np.argmax(heard > 0.02) / 48_000 == pytest.approx(0.5, abs=0.05)


def test_gnu_parallel(cook: Cook, tmp_path: Path) -> None:
    recordings(tmp_path)
    (tmp_path / "binaural").mkdir()
    done = cook("GNU parallel")
    assert done.returncode == 0, done.stderr
    assert names(tmp_path / "binaural") == ["a.wav", "b.wav", "with blank.wav"]


def test_by_make(cook: Cook, tmp_path: Path) -> None:
    recordings(tmp_path)[2].unlink()  # make knows no names with blanks
    assert cook("Only what has changed, by make").returncode == 0
    first = (tmp_path / "recordings" / "a.binaural.flac").stat().st_mtime_ns
    (tmp_path / "recordings" / "b.yaml").write_text(SCENE.replace("left", "right"))
    done = cook("Only what has changed, by make")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("tas spatialize") == 1
    assert (tmp_path / "recordings" / "a.binaural.flac").stat().st_mtime_ns == first


def test_objects_for_another_renderer(cook: Cook, tmp_path: Path) -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("needs ffprobe")
    sound(tmp_path / "scene.wav", 48_000)
    (tmp_path / "scene.yaml").write_text(SCENE)
    done = cook("Objects for another renderer")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tracks.txt").read_text().split() == ["48000,2"]
    assert (tmp_path / "objects.txt").read_text() == "man talking 1-man-talking.wav\n"


def test_ambisonics_in_a_film(cook: Cook, tmp_path: Path) -> None:
    wav = sound(tmp_path / "sound.wav", 48_000)
    by_ffmpeg(
        "-f", "lavfi", "-i", "testsrc=size=64x64:rate=25:duration=1", "-i", wav, "-c:v", "mpeg4", tmp_path / "talk.mkv"
    )
    done = cook("Ambisonics in a film")
    assert done.returncode == 0, done.stderr
    assert soundfile.info(tmp_path / "talk.ambix1.wav").channels == 4
    assert (tmp_path / "talk.ambix1.mov").stat().st_size > 0


def test_every_delivery_of_a_folder(cook: Cook, tmp_path: Path) -> None:
    for path in recordings(tmp_path):
        soundfile.write(path, tone(1.0, 48_000)[0], 48_000)
    done = cook("Every delivery of a folder")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "made.jsonl").read_text().splitlines()]
    assert {len(line["outputs"]) for line in lines} == {5}
    assert (tmp_path / "made" / "with blank.7.1.4.wav").exists()
    assert (tmp_path / "made" / "b.rpp").exists()


def test_a_page_and_the_parts(cook: Cook, tmp_path: Path) -> None:
    recordings(tmp_path)
    done = cook("A page and the parts to check a mix by")
    assert done.returncode == 0, done.stderr
    stems = ["a.binaural", "b.binaural", "with blank.binaural"]
    assert names(tmp_path / "binaural") == sorted(f"{s}.wav{e}" for s in stems for e in ("", ".tas.json"))
    assert names(tmp_path / "pages") == [f"{stem}.html" for stem in stems]
    assert names(tmp_path / "parts") == [f"{s}/{part}.wav" for s in stems for part in ("1-man-talking", "rest")]


def test_a_scene_from_its_parts(cook: Cook, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cello, piano = 0.1 * rng.standard_normal((2, 16_000))
    (tmp_path / "parts").mkdir()
    for name, samples in {"parts/cello": cello, "parts/piano": piano, "scene-mono": cello + piano}.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, 16_000, subtype="FLOAT")
    done = cook("A scene from its parts")
    assert done.returncode == 0, done.stderr
    scene = soundfile.read(tmp_path / "scene.wav")[0].mean(axis=1)
    np.testing.assert_allclose(scene, cello + 10 ** (-3 / 20) * piano, atol=1e-6)
    np.testing.assert_allclose(soundfile.read(tmp_path / "without.wav")[0].mean(axis=1), piano, atol=1e-6)


def test_stems_by_another_separator(cook: Cook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    talk = sound(tmp_path / "talk.wav")
    (tmp_path / "separate.py").write_text(
        "import json, shutil, sys\n"
        "for stem in json.load(open(sys.argv[2]))['stems']: shutil.copy(sys.argv[1], stem['file'])\n"
    )
    done = cook("Stems by another separator")
    assert done.returncode == 0, done.stderr
    louder = soundfile.read(tmp_path / "talk.binaural.wav")[0].mean(axis=1)
    ratio = np.abs(louder).max() / np.abs(soundfile.read(talk)[0]).max()
    assert ratio == pytest.approx(10 ** (6 / 20), rel=0.05) or "turned down" in done.stderr


def test_a_voice_moved_in_a_stereo_mix(cook: Cook, tmp_path: Path) -> None:
    both = 0.1 * np.random.default_rng(0).standard_normal((16_000, 2))
    soundfile.write(tmp_path / "song.wav", both, 16_000, subtype="FLOAT")
    done = cook("A voice moved in a stereo mix")
    assert done.returncode == 0, done.stderr
    made = soundfile.read(tmp_path / "song.binaural.wav")[0]
    np.testing.assert_allclose(made.mean(axis=1), both.mean(axis=1), atol=1e-6)
    assert np.abs(made - both).max() > 1e-3

"""Films: sound stays in step with the picture, holes become silence, and tracks are chosen and named."""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tas_core.audio.reader import Audio, AudioReader, read_audio
from tas_core.audio.tracks import probe
from tas_core.errors import AudioError, TasError

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")

RATE = 48_000
PICTURE = ("-f", "lavfi", "-i", "testsrc=size=32x32:rate=10:duration=5")
MPEG4 = ("-c:v", "mpeg4")


def encode(path: Path, *options: str) -> Path:
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-y", *options, f"file:{path}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "Unknown encoder" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return path


def tone(hertz: int, seconds: float = 3.0) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"sine=frequency={hertz}:sample_rate={RATE}:duration={seconds}")


def heard(path: Path, track: int | None = None) -> tuple[Audio, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with AudioReader(path, track) as reader:
            samples = reader.read(10**7)
            audio = Audio(samples, reader.sample_rate_hz, reader.subtype, reader.format)
    return audio, [str(warning.message).removeprefix(f"{path}: ") for warning in caught]


def begins_s(audio: Audio) -> float:
    return int(np.argmax(np.abs(audio.samples[0]) > 0.02)) / audio.sample_rate_hz


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
@pytest.mark.parametrize("late_s", [0.0, 1.5])
@pytest.mark.parametrize("ffprobe", [True, False])
def test_sound_that_begins_after_the_picture_stays_in_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, late_s: float, ffprobe: bool
) -> None:
    encode(
        *(tmp_path / name, *PICTURE, "-itsoffset", str(late_s), *tone(440), "-map", "0:v", "-map", "1:a"),
        *(*MPEG4, "-c:a", "aac"),
    )
    if not ffprobe:
        found = shutil.which
        monkeypatch.setattr(shutil, "which", lambda program: None if program == "ffprobe" else found(program))
    audio, said = heard(tmp_path / name)
    assert begins_s(audio) == pytest.approx(late_s, abs=0.05)
    assert audio.duration_s == pytest.approx(late_s + 3.0, abs=0.1)
    if late_s == 0:
        assert said == []
    elif ffprobe:
        (line,) = said
        assert line.startswith("the sound begins 1.4") or line.startswith("the sound begins 1.5")
        assert line.endswith(" s after the picture; so much silence was put before it")


def test_a_hole_in_a_sound_track_becomes_silence(tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.webm", *tone(440, 6.0), "-c:a", "libopus")
    data = bytearray(whole.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    (tmp_path / "a.webm").write_bytes(data)
    audio, said = heard(tmp_path / "a.webm")
    assert audio.duration_s == pytest.approx(6.0, abs=0.02)
    (silent,) = [float(line.split()[0]) for line in said if line.endswith("damaged; silence took their place")]
    longest = max(
        map(
            len,
            "".join("01"[int(v)] for v in np.abs(audio.samples[0]).reshape(-1, 4)[:72_000].max(1) < 1e-4).split("0"),
        )
    )
    assert longest * 4 / RATE == pytest.approx(silent, abs=0.05)
    assert any(line.startswith("ffmpeg: ") for line in said)


def test_opus_in_webm_alone_gets_no_silence(tmp_path: Path) -> None:
    audio, said = heard(encode(tmp_path / "a.webm", *tone(440, 3.0), "-c:a", "libopus"))
    assert audio.num_frames == 3 * RATE
    assert said == []


def test_a_container_that_promises_more_than_can_be_decoded_is_said(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", *PICTURE, *tone(440, 5.0), *MPEG4, "-c:a", "aac", "-movflags", "+faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    audio, said = heard(path)
    assert audio.duration_s < 4.5
    (line,) = [line for line in said if line.startswith("its header says")]
    ends = f"it ends at {audio.duration_s:.2f} s; the rest is missing or damaged"
    assert line == f"its header says that the sound ends at 5.00 s, but {ends}"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Three sound tracks of 440, 660 and 880 Hz, of which the second is the default."""
    maps = [option for n in range(4) for option in ("-map", str(n))]
    languages = [
        option for n, code in enumerate(("eng", "deu", "fra")) for option in (f"-metadata:s:a:{n}", f"language={code}")
    ]
    marks = ["-disposition:a:0", "0", "-disposition:a:1", "default", "-disposition:a:2", "0"]
    sounds = [option for hertz in (440, 660, 880) for option in tone(hertz, 2.0)]
    return encode(tmp_path / "film.mkv", *PICTURE, *sounds, *maps, *MPEG4, "-c:a", "aac", *languages, *marks)


@pytest.mark.parametrize(("track", "hertz"), [(None, 660), (1, 440), (2, 660), (3, 880)])
def test_tracks_are_chosen_by_number_or_by_default(film: Path, track: int | None, hertz: int) -> None:
    audio, said = heard(film, track)
    spectrum = np.abs(np.fft.rfft(audio.samples[0, :RATE]))
    assert int(spectrum.argmax()) == pytest.approx(hertz, abs=2)
    with warnings.catch_warnings(), AudioReader(film, track or 2) as reader:
        assert reader.track == (track or 2)
    expected = ["3 audio tracks; taken is 2 (deu, aac), there is also 1 (eng, aac), 3 (fra, aac)"]
    assert said == ([] if track else expected)


def test_a_track_that_is_not_there_is_refused_with_how_many_are(film: Path, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"film\.mkv: there is no audio track 4, the file has 3 audio tracks"):
        AudioReader(film, 4)
    sound = encode(tmp_path / "a.wav", *tone(440, 1.0))
    with AudioReader(sound, 1) as reader:
        assert reader.track == 1
    with pytest.raises(AudioError, match=r"a\.wav: there is no audio track 2, the file has one audio track"):
        AudioReader(sound, 2)


def test_what_is_in_a_film_is_known_without_ffprobe_too(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_ffprobe = probe(film)
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda program: None if program == "ffprobe" else found(program))
    by_ffmpeg = probe(film)
    for contents in (by_ffprobe, by_ffmpeg):
        assert [track.language for track in contents.tracks] == ["eng", "deu", "fra"]
        assert [track.is_default for track in contents.tracks] == [False, True, False]
        assert contents.pictures == ("mpeg4",)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_a_film_without_sound_says_so(tmp_path: Path, name: str) -> None:
    codec = ("-c:v", "libvpx") if name == "a.webm" else MPEG4
    encode(tmp_path / name, *PICTURE, *codec)
    kind = "vp8" if name == "a.webm" else "mpeg4"
    with pytest.raises(AudioError, match=rf"{name}: a film without sound: a picture \({kind}\), but no audio track"):
        read_audio(tmp_path / name)


@pytest.mark.parametrize("piped", [False, True])
def test_a_full_temporary_folder_is_named_wherever_the_space_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_disk: Callable[[int], Path], piped: bool
) -> None:
    film = encode(tmp_path / "a.mp4", *tone(440, 1.0), "-c:a", "aac")
    length = read_audio(film).num_frames
    for pages in sorted({*range(1, 60, 7), *range(44, 52)}):
        folder = small_disk(pages * 4096)
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        source = film
        if piped:
            source = tmp_path / f"pipe{pages}"
            os.mkfifo(source)
            feeder = subprocess.Popen(["sh", "-c", f"cat {film} > {source} 2> /dev/null"])
        try:
            audio = read_audio(source)
        except TasError as error:
            said = str(error)
            assert said.startswith(f"{folder}: cannot write what "), said  # noqa: PT017 - both ends are right
            assert "is the disk full? TMPDIR in the environment names another folder" in said  # noqa: PT017
            assert not isinstance(error, AudioError)  # noqa: PT017
        else:
            assert audio.num_frames == length
        if piped:
            feeder.kill()
            feeder.wait()
        subprocess.run(["umount", str(folder)], check=True)

"""Outputs that ffmpeg encodes, and MP3: length to the sample, in step with the picture, and nothing half-written."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tas_core.audio.encoder import check_encoder
from tas_core.audio.formats import (
    BY_FFMPEG,
    WRITABLE,
    AudioFormat,
    check_output_path,
    output_rate_hz,
    output_subtype,
)
from tas_core.audio.tracks import Film, _by_ffmpeg, probe
from tas_core.audio.writer import AudioWriter, write_audio
from tas_core.errors import InputError, TasError
from tests.support.processes import wait_for_end

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")

RATE = 16_000
FLASH_S = 0.6
"""When the picture is white for one frame, and the sound to be written has its click."""
FILM_S = 1.0
ENDINGS = sorted(ending for ending, container in WRITABLE.items() if container in BY_FFMPEG)
FILMS = [ending for ending in ENDINGS if BY_FFMPEG[WRITABLE[ending]].has_picture]
SOUNDS = [".mp3", *(ending for ending in ENDINGS if ending not in FILMS)]


def ffmpeg(*arguments: object) -> bytes:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def decoded(path: Path) -> np.ndarray:
    """What ffmpeg decodes of a file's sound from its beginning in the film on, (ear, time)."""
    in_time = () if path.suffix in SOUNDS else ("-af", "aresample=async=1:first_pts=0")
    samples = ffmpeg("-i", path, "-map", "0:a:0", *in_time, "-f", "f32le", "-c:a", "pcm_f32le", "-")
    return np.frombuffer(samples, np.float32).reshape(-1, 2).T


def probed(path: Path, entries: str) -> dict[str, object]:
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", entries, path]
    found: dict[str, object] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def click(num_frames: int, rate_hz: int = RATE, at_s: float = FLASH_S) -> np.ndarray:
    """Silence with 50 ms of a tone that begins at once, the left ear twice as loud, (ear, time)."""
    first, size = round(at_s * rate_hz), rate_hz // 20
    ears = np.zeros((2, num_frames))
    ears[:, first : first + size] = np.outer([0.5, 0.25], np.sin(2 * np.pi * 1000 * (np.arange(size) + 0.5) / rate_hz))
    return ears


def onset_s(ears: np.ndarray, rate_hz: int) -> float:
    return float(np.argmax(np.abs(ears[0]) > 0.25)) / rate_hz


def flash_s(path: Path) -> float:
    """When the one white frame of a film is shown, seconds."""
    graph = "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-"
    lines = ffmpeg("-i", path, "-map", "0:V", "-vf", graph, "-f", "null", "-").decode().split("\n")
    lit = [line for line, level in zip(lines, lines[1:], strict=False) if float(level.partition("YAVG=")[2] or 0) > 100]
    assert len(lit) == 1, lines
    return float(lit[0].rpartition("pts_time:")[2])


@pytest.fixture(scope="module")
def film() -> Iterator[Callable[..., Film]]:
    """Films of a second whose sound begins 0.2 s after the picture, by their ending and the codec of the picture."""
    with tempfile.TemporaryDirectory() as folder:
        words = Path(folder) / "words.srt"
        words.write_text("1\n00:00:00,100 --> 00:00:00,500\nHello\n")
        made: dict[tuple[str, str], Film] = {}

        def make(ending: str = ".mkv", codec: str = "mpeg4") -> Film:
            if (ending, codec) not in made:
                path = Path(folder) / f"{codec}{ending}"
                picture = f"color=black:s=32x32:r=25:d={FILM_S},drawbox=enable='eq(n,{FLASH_S * 25:g})':c=white:t=fill"
                inputs = ["-f", "lavfi", "-i", picture, "-itsoffset", "0.2", "-f", "lavfi", "-i", "sine=d=0.7"]
                codecs = ["-c:v", codec, "-c:a", "libopus" if ending == ".webm" else "aac"]
                tags = ["-metadata", "title=Däs Öl", "-metadata:s:a:0", "language=deu"]
                written = [] if ending in (".ts", ".webm") else ["-i", words, "-map", "2"]
                if written:
                    codecs += ["-c:s", "mov_text" if ending in (".mp4", ".mov") else "srt"]
                ffmpeg(*inputs, *written[:2], "-map", "0", "-map", "1", *written[2:], *codecs, *tags, path)
                made[ending, codec] = Film(path, str(path), probe(path))
            return made[ending, codec]

        yield make


def write(path: Path, ears: np.ndarray, *, film: Film | None = None, rate_hz: int = RATE, **tags: str) -> AudioFormat:
    form = AudioFormat(rate_hz, 2, ears.shape[1], output_subtype(path, "PCM_16"), tags, film)
    check_encoder(path, form)
    with AudioWriter(path, form) as writer:
        writer.write(ears)
    return form


# ------------------------------------------------------------------ sound alone


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
@pytest.mark.parametrize("ending", [".mp3", ".m4a", ".opus"])
def test_length_and_time_are_kept_to_the_sample(tmp_path: Path, ending: str, rate_hz: int) -> None:
    path = tmp_path / f"a{ending}"
    num_frames = rate_hz + 4321
    write(path, click(num_frames, rate_hz), rate_hz=rate_hz)
    assert os.listdir(tmp_path) == [path.name]
    out_hz = output_rate_hz(path, rate_hz)
    wanted = round(num_frames * out_hz / rate_hz)
    ears = decoded(path)
    if ending == ".m4a":  # the header has the length; ffmpeg decodes the last block as a whole
        (stream,) = probed(path, "stream=time_base,duration_ts")["streams"]  # type: ignore[misc]
        assert stream == {"time_base": f"1/{rate_hz}", "duration_ts": wanted}
        assert wanted <= ears.shape[1] < wanted + 1024
        assert np.abs(ears[:, wanted:]).max(initial=0) < 1e-3
    else:
        assert ears.shape[1] == wanted
    assert onset_s(ears, out_hz) == pytest.approx(FLASH_S + 0.1 / 1000, abs=0.15 / 1000)  # the sine takes 0.08 ms


@pytest.mark.parametrize("num_frames", [1000, 1151, 1152, 1153, 2303, 2304, 2305, 9999])
def test_an_mp3_has_as_many_samples_as_were_written(tmp_path: Path, num_frames: int) -> None:
    path = tmp_path / "a.mp3"
    write_audio(path, np.random.default_rng(num_frames).uniform(-0.3, 0.3, (2, num_frames)), 44_100, "MPEG_LAYER_III")
    assert decoded(path).shape[1] == num_frames


@pytest.mark.parametrize("ending", [".mp3", ".m4a", ".opus"])
def test_the_differences_between_the_ears_are_those_of_the_sound(tmp_path: Path, ending: str) -> None:
    """Of noise on the left, in bands of 1 kHz: levels to 0.3 dB, the time to the sample; joint stereo moves neither."""
    rate_hz = 48_000
    noise = 0.1 * np.random.default_rng(1).standard_normal(rate_hz + 12)
    ears = np.stack([noise[12:], 0.4 * noise[:-12]])
    path = tmp_path / f"a{ending}"
    write(path, ears, rate_hz=rate_hz)
    heard = decoded(path)[:, :rate_hz]

    def bands(two: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        left, right = np.fft.rfft(two)[:, 1000:15_000].reshape(2, 14, 1000)
        level_db = 10 * np.log10((np.abs(left) ** 2).sum(axis=1) / (np.abs(right) ** 2).sum(axis=1))
        lag = np.fft.irfft(np.pad((left * right.conj()).ravel(), (1000, 9001)))
        return level_db, np.array([np.argmax(lag)])

    for wanted, got, tolerance in zip(bands(ears), bands(heard), (0.3, 0), strict=True):
        np.testing.assert_allclose(got, wanted, atol=tolerance)


@pytest.mark.parametrize("ending", [".mp3", ".m4a", ".opus"])
def test_tags_go_with_the_sound(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    write(path, click(RATE), title="Däs Öl = 1", artist="me", software="other")
    tags = probed(path, "format_tags:stream_tags")
    (stream,) = tags["streams"]  # type: ignore[misc]
    found = {**tags["format"].get("tags", {}), **stream.get("tags", {})}  # type: ignore[attr-defined]
    found = {key.lower(): value for key, value in found.items()}
    assert (found["title"], found["artist"]) == ("Däs Öl = 1", "me")
    assert "other" not in found.values()


@pytest.mark.parametrize(
    ("name", "rate_hz", "said"),
    [
        ("a.mp3", 96_000, "MP3 holds no sound of 96000 Hz, expected one of 8000, .* 48000, or .*wav, .flac"),
        ("a.m4a", 37_123, "M4A holds no sound of 37123 Hz, expected one of .* 96000, or .*wav, .flac"),
        ("a.mp4", 192_000, "MP4 holds no sound of 192000 Hz, expected one of .* 96000, or .*mkv"),
    ],
)
def test_a_rate_that_a_format_does_not_hold_is_refused(tmp_path: Path, name: str, rate_hz: int, said: str) -> None:
    path = tmp_path / name
    with pytest.raises(InputError, match=re.escape(name) + f": {said}"):
        check_encoder(path, AudioFormat(rate_hz, 2, rate_hz, output_subtype(path, "PCM_16")))


# ------------------------------------------------------------------ films


@pytest.mark.parametrize(
    ("source", "codec", "ending"),
    [
        (".mkv", "mpeg4", ".mp4"),
        (".mp4", "mpeg4", ".mkv"),
        (".ts", "mpeg2video", ".mov"),
        (".webm", "libvpx", ".webm"),
    ],
)
def test_the_picture_of_a_film_is_copied_and_the_new_sound_is_in_step(
    tmp_path: Path, film: Callable[..., Film], source: str, codec: str, ending: str
) -> None:
    given = film(source, codec)
    assert isinstance(given.source, Path)
    path = tmp_path / f"out{ending}"
    num_frames = round(0.9 * RATE) + 7
    write(path, click(num_frames), film=given)
    assert os.listdir(tmp_path) == [path.name]
    assert flash_s(path) == pytest.approx(FLASH_S, abs=0.0075 if ending == ".webm" else 0.0005)
    ears = decoded(path)
    rate_hz = output_rate_hz(path, RATE)
    assert onset_s(ears, rate_hz) - 0.1 / 1000 == pytest.approx(flash_s(path), abs=0.6 / 1000)  # WebM counts in ms
    extra = ears.shape[1] - round(num_frames * rate_hz / RATE)
    # The last block of AAC is decoded as a whole; WebM begins 6.5 ms before its picture, with what Opus needs.
    assert 0 <= extra < {".mkv": 1, ".webm": 361}.get(ending, 1024)
    pictures = [ffmpeg("-i", p, "-map", "0:V", "-f", "rawvideo", "-c:v", "rawvideo", "-") for p in (given.source, path)]
    assert pictures[0] == pictures[1]  # copied, not encoded again


@pytest.mark.parametrize("ending", [".ts", ".mkv"])
def test_a_picture_that_begins_after_the_sound_does_so_in_the_output(tmp_path: Path, ending: str) -> None:
    source, path = tmp_path / f"in{ending}", tmp_path / "out.mp4"
    picture = f"color=black:s=32x32:r=25:d={FILM_S},drawbox=enable='eq(n,{FLASH_S * 25:g})':c=white:t=fill"
    inputs = ["-f", "lavfi", "-i", "sine=d=1.2", "-itsoffset", "0.24", "-f", "lavfi", "-i", picture]
    ffmpeg(*inputs, "-map", "0", "-map", "1", "-c:a", "mp2", "-c:v", "mpeg2video", source)
    write(path, click(RATE), film=Film(source, str(source), probe(source)))
    starts = [float(s["start_time"]) for s in probed(source, "stream=start_time")["streams"]]  # type: ignore[attr-defined]
    assert flash_s(path) == pytest.approx(FLASH_S + starts[1] - starts[0], abs=0.002)
    assert starts[1] - starts[0] > 0.2


def test_a_picture_without_times_of_its_own_gets_them(tmp_path: Path) -> None:
    source, path = tmp_path / "in.mpg", tmp_path / "out.mkv"
    picture = f"color=black:s=32x32:r=25:d={FILM_S},drawbox=enable='eq(n,{FLASH_S * 25:g})':c=white:t=fill"
    inputs = ["-f", "lavfi", "-i", "sine=d=1.2", "-f", "lavfi", "-i", picture]
    ffmpeg(*inputs, "-map", "0", "-map", "1", "-c:a", "mp2", "-c:v", "mpeg2video", source)
    write(path, click(RATE), film=Film(source, str(source), probe(source)))
    assert flash_s(path) == pytest.approx(FLASH_S, abs=0.04)


@pytest.mark.parametrize("ending", [".mkv", ".webm", ".mp4", ".mov", ".m4a", ".opus", ".ogg", ".mp3"])
def test_the_same_work_gives_the_same_bytes(tmp_path: Path, film: Callable[..., Film], ending: str) -> None:
    given = film(".webm", "libvpx") if ending == ".webm" else film() if ending in (".mkv", ".mp4", ".mov") else None
    for name in ("one", "two"):
        write(tmp_path / f"{name}{ending}", click(RATE), film=given)
    assert (tmp_path / f"one{ending}").read_bytes() == (tmp_path / f"two{ending}").read_bytes()


def test_all_of_a_film_keeps_its_tags_and_can_be_told_apart_in_matroska(
    tmp_path: Path, film: Callable[..., Film]
) -> None:
    source, path, font = tmp_path / "fonts.mkv", tmp_path / "out.mkv", tmp_path / "font"
    font.write_bytes(b"letters")
    tags: list[object] = ["-metadata:s:v", "title=Bild", "-metadata:s:s", "language=fra", "-metadata:s:s", "title=Mots"]
    for number in range(2):
        told = f"-metadata:s:t:{number}"
        tags += ["-attach", font, told, f"filename={number}.ttf", told, "mimetype=font/ttf"]
    ffmpeg("-i", film().source, "-map", "0", "-c", "copy", *tags, source)
    contents = probe(source)
    assert contents.attachments == _by_ffmpeg(source).attachments == 2
    write(path, click(RATE), film=Film(source, str(source), contents))
    shown = "stream=codec_type:stream_tags=language,title,filename,mimetype"
    kept = [
        [(s["codec_type"], s.get("tags", {})) for s in probed(each, shown)["streams"]]  # type: ignore[attr-defined]
        for each in (source, path)
    ]
    assert sorted(kept[0], key=str) == sorted(kept[1], key=str)
    assert ("subtitle", {"language": "fra", "title": "Mots"}) in kept[1]
    # Identifiers of tracks and of attached files, of 8 bytes (RFC 9559, sections 5.1.4.1.2 and 5.1.6.1.5).
    data = path.read_bytes()
    for identifier, count in ((b"\x73\xc5\x88", 3), (b"\x46\xae\x88", 2)):
        found = {data[at.end() : at.end() + 8] for at in re.finditer(re.escape(identifier), data)}
        assert len(found) == count
        assert bytes(8) not in found


@pytest.mark.parametrize(("source", "ending"), [(".mkv", ".mp4"), (".mp4", ".mkv")])
def test_subtitles_titles_and_languages_stay(
    tmp_path: Path, film: Callable[..., Film], source: str, ending: str
) -> None:
    path = tmp_path / f"out{ending}"
    write(path, click(RATE), film=film(source))
    assert b"00:00:00,100 --> 00:00:00,500\nHello" in ffmpeg("-i", path, "-map", "0:s", "-f", "srt", "-")
    found = probed(path, "format_tags=title:stream=codec_type:stream_tags=language")
    assert found["format"]["tags"]["title"] == "Däs Öl"  # type: ignore[index]
    streams = [s for s in found["streams"] if s["codec_type"] == "audio"]  # type: ignore[attr-defined]
    assert len(streams) == 1  # the old sound has gone
    assert streams[0]["tags"]["language"] == "deu"


def test_a_lossless_container_holds_what_was_written(tmp_path: Path, film: Callable[..., Film]) -> None:
    path = tmp_path / "out.mkv"
    steps = np.random.default_rng(0).integers(-(2**14), 2**14, (2, 12_345))
    write(path, steps / 2**15, film=film())
    samples = ffmpeg("-i", path, "-map", "0:a:0", "-f", "s16le", "-c:a", "pcm_s16le", "-")
    np.testing.assert_array_equal(np.frombuffer(samples, "<i2").reshape(-1, 2).T, steps)


def test_subtitles_that_are_pictures_are_left_out_and_named(tmp_path: Path, film: Callable[..., Film]) -> None:
    given = film()
    contents = probe(given.source)
    fake = Film(given.source, "in.mkv", type(contents)(pictures=contents.pictures, subtitles=("dvd_subtitle",)))
    form = AudioFormat(RATE, 2, RATE, "AAC", film=fake)
    with pytest.warns(UserWarning, match=r"a.mp4: MP4 does not hold a subtitle track of in.mkv \(dvd_subtitle\); left"):
        check_encoder(tmp_path / "a.mp4", form)


@pytest.mark.parametrize("ending", FILMS)
def test_a_film_needs_a_picture(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    sound = tmp_path / "in.wav"
    write_audio(sound, click(RATE), RATE, "PCM_16")
    subtype = output_subtype(path, "PCM_16")
    for given in (None, Film(sound, "in.wav", probe(sound))):
        with pytest.raises(InputError, match=f"a{ending}: .* is for films, and there is no picture.*; expected a file"):
            check_encoder(path, AudioFormat(RATE, 2, RATE, subtype, film=given))
    with pytest.raises(InputError, match="there is no picture"):
        write_audio(path, click(RATE), RATE, subtype)
    assert os.listdir(tmp_path) == ["in.wav"]


def test_a_picture_that_a_container_does_not_hold_is_found_before_any_work(
    tmp_path: Path, film: Callable[..., Film]
) -> None:
    form = AudioFormat(RATE, 2, RATE, "OPUS", film=film())
    with pytest.raises(
        InputError, match=r"a.webm: ffmpeg cannot write it: Only VP8 .*; .mkv holds almost any"
    ) as caught:
        check_encoder(tmp_path / "a.webm", form)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------ what goes wrong


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a shell script in the place of ffmpeg; ``$REAL`` in it is the true one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    real = shutil.which("ffmpeg")

    def put(script: str) -> None:
        (folder / "ffmpeg").write_text(f'#!/bin/sh\nREAL={real}\nfor OUT; do :; done\nOUT="${{OUT#file:}}"\n{script}\n')
        (folder / "ffmpeg").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return put


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo '[error] it broke' >&2; exit 1", "ffmpeg could not write it: it broke$"),
        ("exit 3", "it ended with exit code 3$"),
        ("kill -9 $$", "it was ended by SIGKILL$"),
        ("echo '[error] No space left on device' >&2; exit 0", r"cannot write .*No space left on device.*disk full\?$"),
        ("echo '[error] Error writing trailer of it: x' >&2; exit 0", "Error writing trailer of it"),
        ("exit 0", "of 16000 samples, 0 can be decoded again$"),
        ('"$REAL" "$@" && truncate -s 300 "$OUT"', r"of 16000 samples, \d+ can be decoded again"),
    ],
)
def test_where_ffmpeg_fails_nothing_is_left_and_one_line_says_why(
    tmp_path: Path, instead: Callable[[str], None], script: str, said: str
) -> None:
    path = tmp_path / "out" / "a.m4a"
    path.parent.mkdir()
    path.write_bytes(b"old")
    instead(f'case "$*" in *u8*) exec "$REAL" "$@";; esac\n{script}')
    with pytest.raises(TasError, match=said) as caught:
        write_audio(path, click(RATE), RATE, "AAC", overwrite=True)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, InputError)
    assert {p.name: p.read_bytes() for p in path.parent.iterdir()} == {"a.m4a": b"old"}


def test_an_interrupt_ends_ffmpeg_and_leaves_nothing(tmp_path: Path, instead: Callable[[str], None]) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    instead(f"echo $$ > {tmp_path}/id; exec sleep 30")
    code = (
        "import numpy as np, sys; from tas_core.audio.writer import write_audio;"
        f"write_audio({str(folder / 'a.m4a')!r}, np.zeros((2, 1600)), 16000, 'AAC')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    while not (tmp_path / "id").exists() or not (tmp_path / "id").read_text().strip():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in said
    assert list(folder.iterdir()) == []
    wait_for_end([int((tmp_path / "id").read_text())])  # the kernel ends it where this came before it was known


@pytest.mark.parametrize("ending", [".m4a", ".mkv", ".mp3"])
def test_a_full_disk_is_said_and_leaves_nothing(
    small_disk: Callable[[int], Path], film: Callable[..., Film], ending: str
) -> None:
    """In blocks: room for the sound that waits, and more or less for what is made of it."""
    folder = small_disk(400_000)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, RATE))
    given = film() if ending in FILMS else None
    ends = set()
    for taken in (97, 40, 20, 0):
        with contextlib.suppress(OSError):
            (folder / "taken").write_bytes(bytes(taken * 4096))
        try:
            write(folder / f"a{ending}", noise, film=given)
        except TasError as error:
            assert "is the disk full?" in str(error), error  # noqa: PT017 - both ends are right
            assert os.listdir(folder) == ["taken"]
            ends.add("full")
        else:
            assert decoded(folder / f"a{ending}").shape[1] >= RATE
            (folder / f"a{ending}").unlink()
            ends.add("whole")
    assert ends == {"full", "whole"}


def test_without_ffmpeg_the_pipe_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        InputError, match=r"a.m4a: ffmpeg, which writes M4A, is not installed; expected it, or "
    ) as caught:
        check_output_path(tmp_path / "a.m4a")
    assert caught.value.remedy == "pipe"
    check_output_path(tmp_path / "a.mp3")  # by libsndfile
    with pytest.raises(InputError, match="the extension .wma, expected one of") as caught:
        check_output_path(tmp_path / "a.wma")
    assert caught.value.remedy == "pipe"

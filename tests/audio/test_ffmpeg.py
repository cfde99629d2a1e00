"""Audio that libsndfile does not read, through ffmpeg: what comes in, and one clear line where nothing does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio import tracks
from tas_core.audio.reader import AudioReader, read_audio
from tas_core.errors import AudioError

RATE = 44_100
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Encodes half a second of two tones, with ffmpeg's options and a file name."""
    t = np.arange(RATE // 2) / RATE
    tones = 0.5 * np.stack([np.sin(2 * np.pi * f * t) for f in (440, 1000)], axis=1)
    soundfile.write(tmp_path / "tones.wav", tones, RATE, subtype="PCM_24")

    def encode(name: str, *options: str) -> Path:
        command = ["ffmpeg", "-v", "error", "-y", "-i", str(tmp_path / "tones.wav"), *options]
        subprocess.run([*command, f"file:{tmp_path / name}"], check=True, timeout=60)
        return tmp_path / name

    return encode


def frequencies(samples: np.ndarray) -> list[float]:
    """The loudest frequency of each channel (channel, time), Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.shape[1])))
    return [float(f) for f in spectrum.argmax(axis=1) * RATE / samples.shape[1]]


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.m4a", ("-c:a", "aac")),
        ("a.mka", ("-c:a", "aac")),
        ("a.mp4", ("-f", "lavfi", "-i", "color=size=32x32:duration=0.5", "-c:a", "aac")),
        ("a.wma", ("-c:a", "wmav2")),
        ("-x: y.m4a", ("-c:a", "aac")),
    ],
)
def test_lossy_formats_are_read(make: Make, name: str, options: tuple[str, ...]) -> None:
    audio = read_audio(make(name, *options))
    assert (audio.sample_rate_hz, audio.subtype, len(audio.samples)) == (RATE, "PCM_24", 2)
    # Encoders add silence up to whole frames of 1024 or 2048 samples, at the beginning and the end.
    assert audio.duration_s == pytest.approx(0.5, abs=2 * 2048 / RATE)
    assert frequencies(audio.samples) == pytest.approx([440, 1000], abs=3)
    middle = audio.samples[:, RATE // 8 : -RATE // 8]  # codecs overshoot where a tone begins at once
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.05)


@needs_ffmpeg
def test_opus_in_webm_is_read_at_the_rate_of_opus(make: Make) -> None:
    with AudioReader(make("a.webm", "-c:a", "libopus")) as reader:
        assert reader.sample_rate_hz == 48_000
        assert reader.num_channels == 2


@needs_ffmpeg
@pytest.mark.parametrize(("format_", "subtype", "bits"), [("s16p", "PCM_16", 16), ("s32p", "PCM_24", 24)])
def test_lossless_formats_come_back_bit_by_bit_with_their_depth(
    make: Make, format_: str, subtype: str, bits: int
) -> None:
    path = make("a.m4a", "-c:a", "alac", "-sample_fmt", format_)
    audio = read_audio(path)
    assert audio.subtype == subtype
    expected = soundfile.read(path.with_name("tones.wav"))[0].T
    # ffmpeg rounds, or adds half a step of dither, on the way to 16 bits; 24 bits are the file's own.
    np.testing.assert_allclose(audio.samples, expected, rtol=0, atol=2.0**-14 if bits == 16 else 0)
    steps = audio.samples.astype(np.float64) * 2.0 ** (bits - 1)
    np.testing.assert_array_equal(steps, np.rint(steps))


@needs_ffmpeg
def test_tags_come_through(make: Make) -> None:
    with AudioReader(make("a.m4a", "-metadata", "title=Zwei Töne", "-metadata", "artist=Somebody")) as reader:
        assert (reader.tags["title"], reader.tags["artist"]) == ("Zwei Töne", "Somebody")


@needs_ffmpeg
def test_a_pipe_is_read_and_leaves_nothing_behind(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make("a.m4a").read_bytes()
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    os.mkfifo(tmp_path / "pipe")
    thread = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(data))
    thread.start()
    audio = read_audio(tmp_path / "pipe")
    thread.join()
    assert frequencies(audio.samples) == pytest.approx([440, 1000], abs=3)
    assert os.listdir(spool) == []


@needs_ffmpeg
@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("text", "(moov atom not found; )?Invalid data found when processing input"),
        ("cut off", "moov atom not found; Invalid data found when processing input"),
    ],
)
def test_what_ffmpeg_says_is_one_line(make: Make, tmp_path: Path, case: str, said: str) -> None:
    path = tmp_path / "bad.mp4"
    if case == "text":
        path.write_text("cello on the left, piano on the right\n" * 20)
    else:
        path.write_bytes(make("a.m4a").read_bytes()[:2000])
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    refused = "not an audio file that can be read: libsndfile: Format not recognised"
    assert re.fullmatch(rf"{re.escape(str(path))}: {refused}; ffmpeg: {said}", str(caught.value))


@needs_ffmpeg
def test_complaints_of_ffmpeg_about_a_file_that_it_reads_are_shown(make: Make) -> None:
    path = make("a.webm", "-c:a", "libopus")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.warns(UserWarning, match=r"a\.webm: ffmpeg: File ended prematurely"):
        audio = read_audio(path)
    assert 0.2 < audio.duration_s < 0.5


@needs_ffmpeg
def test_a_playlist_does_not_lead_to_addresses(tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(AudioError, match=r"list\.m3u8: .*ffmpeg: .*http.* not on whitelist"):
        read_audio(path)


@needs_ffmpeg
@pytest.mark.parametrize("probe", ["ffprobe", "ffmpeg"])
def test_a_list_of_other_files_is_no_sound_whatever_it_is_called(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probe: str
) -> None:
    """Else who sends a list would be sent back what somebody else has in a file of this machine."""
    if probe == "ffmpeg":
        which = shutil.which
        monkeypatch.setattr(tracks.shutil, "which", lambda name: None if name == "ffprobe" else which(name))
    other = make("other.ts", "-c:a", "aac")
    for name in ("list.m3u8", "list.wav", "list.mp4"):
        path = tmp_path / name
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n")
        with pytest.raises(
            AudioError, match=rf"{name}: a list of other files \(.*hls.*\), which are not read; expected"
        ):
            read_audio(path)
    make("other.wav")
    (tmp_path / "list.wav").write_text("ffconcat version 1.0\nfile 'other.wav'\n")
    with pytest.raises(AudioError, match=r"list\.wav: a list of other files \(concat\)"):
        read_audio(tmp_path / "list.wav")


def test_without_ffmpeg_the_message_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x18ftypM4A " + bytes(1000))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match=r"a\.m4a: not an audio file .*: libsndfile: Format .*; ffmpeg, which"):
        read_audio(tmp_path / "a.m4a")


@needs_ffmpeg
def test_a_damaged_file_of_a_known_format_is_not_read_half(tmp_path: Path) -> None:
    """ffmpeg would give what is left of it, without a word."""
    soundfile.write(tmp_path / "a.caf", np.zeros((4000, 2)), RATE)
    data = (tmp_path / "a.caf").read_bytes()
    (tmp_path / "a.caf").write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match=r"a\.caf: the file is cut off: its header says 16004 bytes"):
        read_audio(tmp_path / "a.caf")

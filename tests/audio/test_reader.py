"""Audio files and standard input: what is read, from where in it, and what is refused."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio.formats import output_subtype
from tas_core.audio.reader import AudioReader, read_audio
from tas_core.audio.writer import write_audio
from tas_core.errors import AudioError
from tests.conftest import noise, tone

RATE = 16_000


# ------------------------------------------------------------------ bad inputs


def lie_about_length(path: Path, length: int) -> None:
    data = bytearray(path.read_bytes())
    i = data.index(b"data") + 4
    data[i : i + 4] = length.to_bytes(4, "little")
    path.write_bytes(data)


def test_bad_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no audio " * 100)
    (tmp_path / "headless.raw").write_bytes(bytes(1000))
    soundfile.write(tmp_path / "nothing.wav", np.zeros((0, 1)), RATE)
    soundfile.write(tmp_path / "slow.wav", np.zeros(10), 4000)
    soundfile.write(tmp_path / "fast.wav", np.zeros(10), 384_000)
    cases = {
        "missing.wav": "No such file",
        "empty.wav": "the file is empty",
        "text.wav": "not an audio file",
        "headless.raw": "not an audio file",
        "nothing.wav": "no samples",
        "slow.wav": "4000 Hz, expected 8000 to 192000 Hz",
        "fast.wav": "384000 Hz",
    }
    for name, what in cases.items():
        with pytest.raises(AudioError, match=f"{name}: .*{what}"):
            read_audio(tmp_path / name)
    with pytest.raises(AudioError, match="not a regular file|Is a directory"):
        read_audio(tmp_path)
    with pytest.raises(AudioError, match="not a regular file"):
        read_audio("/dev/null")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("frame", [0, 8000])
def test_samples_that_are_no_numbers_are_refused_with_their_position(tmp_path: Path, value: float, frame: int) -> None:
    samples = noise(2, 16_000)
    samples[1, frame] = samples[0, frame + 50] = value
    soundfile.write(tmp_path / "a.wav", samples.T, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=rf"a.wav: sample {value} at {frame / RATE:g} s in channel 2"):
        read_audio(tmp_path / "a.wav")
    with AudioReader(tmp_path / "a.wav") as reader:
        if frame:
            reader.read(7000)
        with pytest.raises(AudioError, match=rf"at {frame / RATE:g} s"):
            reader.read(2000)


def test_names_that_are_no_utf_8_are_names(tmp_path: Path) -> None:
    """Old archives have them; Python shows such bytes as lone surrogates."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    path = folder / os.fsdecode(b"na\xefve.wav")
    samples = np.array([[0.25, -0.5, 0.125], [0.0, 0.5, -0.25]])
    write_audio(path, samples, 8000, "PCM_16")
    audio = read_audio(path)
    assert np.array_equal(audio.samples, samples)
    assert os.listdir(os.fsencode(folder)) == [b"na\xefve.wav"]


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.flac", "a.w64", "a.rf64", "a.caf"])
def test_files_that_are_cut_off_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_audio(path, noise(2, 40_000) / 2, RATE, output_subtype(path, "PCM_16"))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match=name):
        read_audio(path)


def test_a_header_that_promises_more_is_refused_but_one_that_does_not_know_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, noise(2, 1000), RATE, "PCM_16")
    lie_about_length(path, 4002)
    with pytest.raises(AudioError, match="header says 4002 bytes of samples, but it holds 4000"):
        read_audio(path)
    for unknown in (0xFFFFFFFF, 0x7FFFF000):
        lie_about_length(path, unknown)
        assert read_audio(path).num_frames == 1000


def test_a_pipe_is_read(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", noise(), RATE, "PCM_16")
    os.mkfifo(tmp_path / "pipe")

    def feed() -> None:
        (tmp_path / "pipe").write_bytes((tmp_path / "a.wav").read_bytes())

    thread = threading.Thread(target=feed)
    thread.start()
    audio = read_audio(tmp_path / "pipe")
    thread.join()
    np.testing.assert_array_equal(audio.samples, read_audio(tmp_path / "a.wav").samples)


# ------------------------------------------------------------------ seeking


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.aiff", "a.mp3"])
def test_reading_goes_on_at_any_sample(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / name, 0.5 * tone(3.0, channels=2).T, RATE)
    whole = read_audio(tmp_path / name).samples
    with AudioReader(tmp_path / name) as reader:
        for at in (30_001, 12_345, 0):
            reader.seek(at)
            # Decoders round in single precision.
            np.testing.assert_allclose(reader.read(2000), whole[:, at : at + 2000], rtol=0, atol=1e-6)


def test_an_mp3_is_the_same_however_it_is_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its frames depend on those before them; the rate, noise and places are such that decoders forget them."""
    soundfile.write(tmp_path / "a.mp3", tone(14.0, 22_050)[0], 22_050)
    whole = soundfile.read(tmp_path / "a.mp3", dtype="float32")[0]
    with AudioReader(tmp_path / "a.mp3") as reader:
        for at in (4771, 210_605, 210_651):
            reader.seek(at)
            np.testing.assert_allclose(reader.read(2000)[0], whole[at : at + 2000], rtol=0, atol=1e-6)
        reader.seek(0)
        blocks = [reader.read(4771) for _ in range(60)]
    np.testing.assert_allclose(np.concatenate(blocks, axis=1)[0], whole[: 60 * 4771], rtol=0, atol=1e-6)
    assert capfd.readouterr().err == ""  # the decoder's own complaints


# ------------------------------------------------------------------ standard streams


def test_standard_input_is_read_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_audio(tmp_path / "a.wav", tone(0.1), RATE, "PCM_16")
    with open(tmp_path / "a.wav") as file:
        monkeypatch.setattr(sys, "stdin", file)
        audio = read_audio("-")
    np.testing.assert_array_equal(audio.samples, read_audio(tmp_path / "a.wav").samples)


def test_standard_input_that_is_no_audio_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").touch()
    with open(tmp_path / "empty") as file:
        monkeypatch.setattr(sys, "stdin", file)
        with pytest.raises(AudioError, match="^standard input: the file is empty"):
            read_audio("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(AudioError, match="^standard input: a terminal, expected"):
        read_audio("-")


def test_a_file_that_cannot_be_closed_hides_nothing(tmp_path: Path) -> None:
    """As a network drive without space left says of a temporary file."""

    def fail() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_audio(tmp_path / "a.wav", tone(0.1), 16_000, "PCM_16")
    closed: list[bool] = []
    with pytest.raises(AudioError, match="said before"), AudioReader(tmp_path / "a.wav") as reader:
        _say_before(reader, closed, fail)
    assert closed == [True]


def _say_before(reader: AudioReader, closed: list[bool], fail: Callable[[], None]) -> None:
    reader._stack.callback(closed.append, True)
    reader._stack.callback(fail)
    raise AudioError("said before")

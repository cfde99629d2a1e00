"""What an audio file is by its ending, and which encoding an output gets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio.formats import (
    READABLE,
    WRITABLE,
    check_output_path,
    full_scale,
    is_readable,
    loses_depth,
    output_container,
    output_subtype,
)
from tas_core.audio.reader import AudioReader
from tas_core.errors import InputError
from tas_core.system.files import same_file

ENCODERS = {
    **{".mp3": "libmp3lame", ".m4a": "aac", ".m4b": "aac", ".aac": "aac", ".ac3": "ac3", ".wma": "wmav2"},
    **{".wv": "wavpack", ".mka": "flac", ".mp4": "aac", ".m4v": "aac", ".mov": "pcm_s16le", ".mkv": "libvorbis"},
    **{".webm": "libopus", ".avi": "pcm_s16le", ".opus": "libopus", ".ogg": "libvorbis", ".oga": "libvorbis"},
}
CONTAINERS = {".m4b": "ipod", ".oga": "ogg", ".m4v": "mp4"}


def test_what_is_written_can_be_read() -> None:
    assert set(WRITABLE) < set(READABLE)
    assert len(set(READABLE)) == len(READABLE)
    for ending in READABLE:
        assert ending == ending.lower()
        assert is_readable(f"a.b{ending.upper()}")
    for name in ("wav", "a", ".wav", "a.txt", "a.wav.part", "a.mid"):
        assert not is_readable(name)


@pytest.mark.parametrize("ending", sorted(set(READABLE) - set(ENCODERS) - {".ape", ".rf64", ".w64", ".caf"}))
def test_files_with_these_endings_are_read_by_libsndfile(tmp_path: Path, ending: str) -> None:
    container = {".wave": "WAV", ".aifc": "AIFF", ".aif": "AIFF", ".snd": "AU"}.get(ending, ending[1:].upper())
    path = tmp_path / f"a{ending}"
    soundfile.write(path, np.zeros((1600, 2)), 16_000, format=container, subtype="PCM_16")
    with AudioReader(path) as reader:
        assert (reader.num_frames, reader.num_channels) == (1600, 2)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize("ending", sorted(ENCODERS))
def test_files_with_these_endings_are_read_too(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=duration=0.5:sample_rate=48000", "-ac", "2"]
    container = ["-f", CONTAINERS[ending]] if ending in CONTAINERS else []
    done = subprocess.run(
        [*command, "-c:a", ENCODERS[ending], "-strict", "-2", *container, path], capture_output=True, text=True
    )
    if "Unknown encoder" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    with AudioReader(path) as reader:
        assert reader.sample_rate_hz == 48_000
        assert reader.count_frames() / 48_000 == pytest.approx(0.5, abs=0.06)  # codecs pad to whole frames


@pytest.mark.parametrize(
    ("name", "container"), [("a.WAV", "WAV"), ("b/c.aif", "AIFF"), ("-", "WAV"), ("x.rf64", "RF64")]
)
def test_the_ending_chooses_the_container(name: str, container: str) -> None:
    assert output_container(name) == container


@pytest.mark.parametrize(
    ("name", "said"),
    [("a.wma", "the extension .wma, expected one of .wav, .flac"), ("a", "no extension, expected one of .wav")],
)
def test_what_is_not_written_is_refused_with_what_is(name: str, said: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: {said}"):
        output_container(name)


@pytest.mark.parametrize(
    ("read", "written", "lost"),
    [
        ("PCM_16", "PCM_16", False),
        ("PCM_16", "PCM_24", False),
        ("PCM_24", "PCM_24", False),
        ("PCM_24", "PCM_16", True),
        ("PCM_32", "PCM_24", True),
        ("FLOAT", "PCM_24", True),
        ("FLOAT", "FLOAT", False),
        ("DOUBLE", "FLOAT", False),
        ("MPEG_LAYER_III", "PCM_24", False),
        ("VORBIS", "PCM_16", True),
        ("ULAW", "PCM_16", False),
        ("FLOAT", "VORBIS", False),
    ],
)
def test_depth_is_lost_where_there_are_fewer_bits(read: str, written: str, lost: bool) -> None:
    assert loses_depth(read, written) is lost


def test_full_scale_is_the_largest_integer() -> None:
    assert full_scale("PCM_16") == 32767 / 32768
    assert full_scale("PCM_24") == 1 - 2.0**-23
    assert full_scale("FLOAT") == np.inf


@pytest.mark.parametrize(
    ("name", "subtype", "expected"),
    [
        ("a.wav", "PCM_16", "PCM_16"),
        ("a.wav", "PCM_S8", "PCM_U8"),
        ("a.wav", "DOUBLE", "DOUBLE"),
        ("a.flac", "PCM_24", "PCM_24"),
        ("a.flac", "PCM_U8", "PCM_S8"),
        ("a.flac", "FLOAT", "PCM_24"),
        ("a.flac", "PCM_32", "PCM_24"),
        ("a.ogg", "PCM_16", "VORBIS"),
        ("a.wav", "VORBIS", "PCM_24"),
        ("a.wav", "MPEG_LAYER_III", "PCM_24"),
        ("a.wav", "ULAW", "PCM_16"),
        ("a.wav", "MS_ADPCM", "PCM_16"),
        ("a.rf64", "PCM_S8", "PCM_U8"),
        ("a.mp3", "PCM_16", "MPEG_LAYER_III"),
        ("a.M4A", "FLOAT", "AAC"),
        ("a.mp4", "PCM_24", "AAC"),
        ("a.webm", "PCM_16", "OPUS"),
        ("a.mkv", "PCM_16", "PCM_16"),
        ("a.mkv", "FLOAT", "PCM_24"),
    ],
)
def test_the_depth_of_the_input_is_kept_where_possible(name: str, subtype: str, expected: str) -> None:
    assert output_subtype(name, subtype) == expected


# ------------------------------------------------------------------ output paths


def test_good_output_paths_pass(tmp_path: Path) -> None:
    check_output_path(tmp_path / "new.wav", [tmp_path / "in.wav"])
    (tmp_path / "old.flac").touch()
    check_output_path(tmp_path / "old.flac", overwrite=True)


def test_bad_output_paths_are_refused(tmp_path: Path) -> None:
    (tmp_path / "old.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    cases = {
        "old.wav": "the file exists",
        "folder.wav": "a folder",
        "new.xyz": r"the extension .xyz, expected one of .wav, .flac",
        "new": "no extension",
        "new.aac": "the extension .aac",
        "nowhere/new.wav": "does not exist",
        "old.wav/new.wav": "does not exist",
    }
    for name, what in cases.items():
        with pytest.raises(InputError, match=f"{name}: .*{what}"):
            check_output_path(tmp_path / name)


def test_a_folder_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(InputError, match="no permission"):
        check_output_path(tmp_path / "new.wav")


def test_the_input_is_never_overwritten_through_any_name(tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    source.write_bytes(b"precious")
    (tmp_path / "soft.wav").symlink_to(source)
    (tmp_path / "hard.wav").hardlink_to(source)
    (tmp_path / "sub").mkdir()
    for name in ("in.wav", "soft.wav", "hard.wav", "sub/../in.wav"):
        assert same_file(tmp_path / name, source)
        with pytest.raises(InputError, match="the output is the input"):
            check_output_path(tmp_path / name, ["other.wav", source], overwrite=True)
    assert not same_file(tmp_path / "new.wav", source)
    assert same_file(tmp_path / "new.wav", tmp_path / "sub/../new.wav")


def test_a_terminal_is_no_place_for_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(InputError, match="standard output is a terminal"):
        check_output_path("-")


def test_the_encoding_asked_for_is_checked_before_any_work(tmp_path: Path) -> None:
    check_output_path(tmp_path / "a.flac", subtype="PCM_24")
    with pytest.raises(InputError, match=r"a\.flac: FLAC has no FLOAT, expected one of PCM_S8"):
        check_output_path(tmp_path / "a.flac", subtype="FLOAT")

"""Why a file could not be written, in words that fit, and file systems that cannot flush."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import soundfile

from tas_core.audio.formats import AudioFormat
from tas_core.audio.normalised_writer import NormalisedWriter
from tas_core.audio.reader import read_audio
from tas_core.audio.writer import AudioWriter, write_audio
from tas_core.errors import InputError, TasError
from tas_core.system.files import check_new_file, make_folder, whole_file, whole_folder, write_files

SAMPLES = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 40_000))


def failing(number: int) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def by_write_files(path: Path) -> None:
    write_files({path: b"content"})


def by_whole_file(path: Path) -> None:
    with whole_file(path) as part:
        part.write_bytes(b"content")


def by_whole_folder(path: Path) -> None:
    with whole_folder(path) as part:
        (part / "inside").write_bytes(b"content")


def by_audio_writer(path: Path) -> None:
    write_audio(path.with_suffix(".wav"), SAMPLES, 16_000, "PCM_16")


WRITERS = [by_write_files, by_whole_file, by_whole_folder, by_audio_writer]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
@pytest.mark.parametrize("write", WRITERS)
def test_a_file_system_that_cannot_flush_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], number: int
) -> None:
    monkeypatch.setattr(os, "fsync", failing(number))
    write(tmp_path / "out")
    (made,) = tmp_path.iterdir()
    assert made.stem == "out"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, r"\(No space left on device\); is the disk full\?"),
        (errno.EDQUOT, r"\(Disk quota exceeded\); the disk space that is allowed here is used up"),
        (errno.ESTALE, r"\(Stale file handle\); the network drive lost the folder; it has to be connected again"),
        (errno.EROFS, r"\(Read-only file system\); this file system can only be read, expected .*"),
        (errno.EIO, r"\(Input/output error\); the disk or the connection to it fails"),
    ],
)
@pytest.mark.parametrize("write", WRITERS)
def test_what_fails_is_said_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], number: int, said: str
) -> None:
    monkeypatch.setattr(os, "fsync", failing(number))
    with pytest.raises(TasError, match=rf"/out(\.wav)?: cannot write the (file|folder) {said}$"):
        write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", WRITERS)
def test_a_place_in_another_file_system_is_no_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    for name in ("link", "replace", "rename"):
        monkeypatch.setattr(os, name, failing(errno.EXDEV))
    with pytest.raises(TasError, match=r"\(Invalid cross-device link\); the place lies in another file system"):
        write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_file_system_is_no_matter_of_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    real = os.statvfs(tmp_path)
    read_only = os.statvfs_result((*real[:8], real.f_flag | os.ST_RDONLY, *real[9:]))
    with pytest.raises(InputError, match="no permission to write"):
        check_new_file(tmp_path / "out")
    monkeypatch.setattr(os, "statvfs", lambda _: read_only)
    with pytest.raises(InputError, match="out: the file system of the folder .* can only be read"):
        check_new_file(tmp_path / "out")
    with pytest.raises(InputError, match="can only be read"):
        make_folder(tmp_path)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.aiff", "a.w64", "a.caf"])
@pytest.mark.parametrize("room", [1, 2, 5, 17])
def test_sound_that_finds_a_full_disk_at_any_place_is_not_there(
    small_disk: Callable[[int], Path], name: str, room: int
) -> None:
    """``room`` is in blocks; a sound of many needs more, and one that fits is whole."""
    folder = small_disk(room * 4096)
    for count in range(500, 34_000, 1511):
        path = folder / name
        try:
            write_audio(path, SAMPLES[:, :count], 16_000, "VORBIS" if name == "a.ogg" else "PCM_16")
        except TasError as error:
            assert "is the disk full?" in str(error), error  # noqa: PT017 - both ends are right
            assert list(folder.iterdir()) == []
        else:
            assert read_audio(path).num_frames == count
            path.unlink()


def test_levels_that_wait_on_a_full_disk_name_the_folder(small_disk: Callable[[int], Path]) -> None:
    folder = small_disk(40_000)

    def write() -> None:
        with NormalisedWriter(folder / "a.wav", AudioFormat(16_000, 2, 40_000, "PCM_16"), "PCM_16") as writer:
            writer.write(SAMPLES)

    with pytest.raises(TasError, match=rf"^{folder}: cannot write .* \(No space left on device\); is the disk full\?"):
        write()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.EMFILE, r"\(Too many open files\)"), (errno.ENOSPC, r"\(No space left on device\); is the disk full\?")],
)
def test_a_file_that_cannot_be_opened_is_no_format_that_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    """The library calls it a system error, and the system says why when it is asked again."""

    def refused(*_: object, **__: object) -> NoReturn:
        raise soundfile.LibsndfileError(2)

    monkeypatch.setattr(soundfile, "SoundFile", refused)
    monkeypatch.setattr(tempfile, "TemporaryFile", failing(number))
    with pytest.raises(TasError, match=rf"a\.wav: cannot write the file {said}$"):
        AudioWriter(tmp_path / "a.wav", AudioFormat(16_000, 2, 10, "PCM_16"))
    assert list(tmp_path.iterdir()) == []


def test_an_error_without_a_reason_is_no_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = AudioWriter(tmp_path / "a.wav", AudioFormat(16_000, 2, 40_000, "PCM_16"))

    def fail(_: object) -> NoReturn:
        raise AssertionError

    def write() -> None:
        with writer:
            monkeypatch.setattr(writer._file, "write", fail)
            writer.write(SAMPLES)

    with pytest.raises(TasError, match=r"a\.wav: cannot write the file \(incomplete write\); the disk or"):
        write()

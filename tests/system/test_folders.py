"""Files of a folder by their stems."""

from __future__ import annotations

from pathlib import Path

import pytest

from tas_core.errors import InputError
from tas_core.system.folders import files_by_stem


def test_files_by_stem(tmp_path: Path) -> None:
    for name in ("b.WAV", "a.b.flac", "notes.txt", ".hidden.wav"):
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    endings = (".wav", ".flac")
    assert files_by_stem(tmp_path, endings, "audio") == {"a.b": tmp_path / "a.b.flac", "b": tmp_path / "b.WAV"}
    (tmp_path / "b.flac").touch()
    with pytest.raises(InputError, match=r"b\.WAV and b\.flac have the same stem, expected one audio file of each"):
        files_by_stem(tmp_path, endings, "audio")
    with pytest.raises(InputError, match=r"no timeline files in the folder, expected \.yaml"):
        files_by_stem(tmp_path, (".yaml",), "timeline")
    with pytest.raises(InputError, match="none: No such file or directory, expected a folder of audio files"):
        files_by_stem(tmp_path / "none", endings, "audio")

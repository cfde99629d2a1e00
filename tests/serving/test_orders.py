"""What a request names, before anything is looked into."""

from __future__ import annotations

from pathlib import Path

import pytest

from tas_core.jobs.request import FileOptions
from tas_core.serving.orders import AskedError, file_order
from tas_core.serving.settings import Folders


@pytest.mark.parametrize("key", ["sound", "output", "timeline", "stems", "report"])
def test_a_name_that_no_file_has_is_refused(tmp_path: Path, key: str) -> None:
    said = {"sound": f"{tmp_path}/a.wav", "output": f"{tmp_path}/o.wav", "prompt": "dog left"}
    named = {**said, key: f"{tmp_path}/a\ud800.wav"}
    with pytest.raises(AskedError, match=rf"^{key} .*\\ud800\.wav': the name of no file"):
        file_order(named, FileOptions(), Folders.of([tmp_path], [tmp_path]))

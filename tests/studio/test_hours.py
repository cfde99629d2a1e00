"""The benchmark of long sounds, in small: that it still fits the studio."""

from __future__ import annotations

import pytest

from tests.support.scripts import load_script


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_sound_is_opened_drawn_changed_and_heard(capsys: pytest.CaptureFixture[str]) -> None:
    load_script("benchmarks/studio_hours.py").main(0.5)
    said = capsys.readouterr().out
    for what in ("opened", "all of the waveform", "a change of the last prompt", "another place"):
        assert what in said

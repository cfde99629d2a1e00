"""Excerpts of audio files: which frames they are, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio.excerpt import Excerpt
from tas_core.audio.reader import AudioReader
from tas_core.errors import InputError

RATE = 8000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two seconds of two channels."""
    path = tmp_path / "two.wav"
    soundfile.write(path, np.zeros((2 * RATE, 2)), RATE)
    return path


@pytest.mark.parametrize(
    ("excerpt", "expected"),
    [
        (Excerpt(), (0, 2 * RATE)),
        (Excerpt(start_s=0.5), (RATE // 2, 2 * RATE)),
        (Excerpt(start_s=0.5, duration_s=1.0), (RATE // 2, RATE + RATE // 2)),
        (Excerpt(start_s=0.5, duration_s=100.0), (RATE // 2, 2 * RATE)),
        (Excerpt(start_s=1.0, duration_s=1e-9), (RATE, RATE + 1)),
        (Excerpt(start_s=0.5, duration_s=1e308), (RATE // 2, 2 * RATE)),
    ],
)
def test_an_excerpt_is_a_span_of_frames(file: Path, excerpt: Excerpt, expected: tuple[int, int]) -> None:
    with AudioReader(file) as reader:
        assert excerpt.span(reader, 2 * RATE) == expected


@pytest.mark.parametrize(
    ("excerpt", "message"),
    [
        (Excerpt(start_s=2.0), r"two\.wav: the start is 2 s, expected less than 2 s"),
        (Excerpt(start_s=1e308), r"two\.wav: the start is 1e\+308 s, expected less than 2 s"),
        (Excerpt(channel=3), r"two\.wav: there is no channel 3, expected 1 to 2"),
    ],
)
def test_a_file_has_to_hold_it(file: Path, excerpt: Excerpt, message: str) -> None:
    with AudioReader(file) as reader, pytest.raises(InputError, match=message):
        excerpt.span(reader, 2 * RATE)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"start_s": -0.1}, "the start is -0.1 s, expected 0 or more"),
        ({"start_s": math.nan}, "the start is nan s, expected 0 or more"),
        ({"duration_s": 0.0}, "the duration is 0.0 s, expected more than 0"),
        ({"duration_s": math.inf}, "the duration is inf s, expected more than 0"),
        ({"channel": 0}, "the channel is 0, expected 1 or more"),
    ],
)
def test_values_out_of_range(values: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Excerpt(**values)  # type: ignore[arg-type]

"""Times as people write them."""

from __future__ import annotations

import pytest

from tas_core.timeline.clock import clock_seconds, clock_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("8.25", 8.25),
        (".5", 0.5),
        ("7.", 7.0),
        ("090", 90.0),
        ("0:10", 10.0),
        ("1:10", 70.0),
        ("1:02.5", 62.5),
        ("90:00", 5400.0),
        ("1:02:03", 3723.0),
        ("100:00:00.25", 360_000.25),
        (" 0:10 ", 10.0),
    ],
)
def test_times_mean_what_people_mean(text: str, seconds: float) -> None:
    assert clock_seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-1",
        "+1",
        "0:60",
        "1:60:00",
        "1:2:3:4",
        ":10",
        "1:",
        "1e3",
        "nan",
        "inf",
        "1m",
        "1,5",
        "٣",
        "9" * 400,
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert clock_seconds(text) is None


@pytest.mark.parametrize("seconds", [0.0, 3.0, 62.5, 3599.9, 3723.0])
def test_what_is_shown_is_read(seconds: float) -> None:
    assert clock_seconds(clock_time(seconds)) == seconds

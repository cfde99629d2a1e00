"""Kept results: what is none of them is passed over, and computed anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tas_core.evaluation.cache import RESULTS_FILE, Cache

GOOD = '{"key": "a", "clip": "x", "kind": "score", "result": {"measures": {"snr_db": 1.5}}}'


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        "{",
        "\x00\xff",
        '{"key": "b", "result": 3}',
        '{"key": "b", "result": {"measures": {"snr_db": "much"}}}',
        '{"key": "b", "result": {"measures": {"snr_db": 1e999}}}',
        '{"key": "b", "result": {"measures": {"snr_db": NaN}}}',
        '{"key": "b", "result": {"measures": []}}',
        '{"key": "b", "result": {"measures": {}, "objects": 3}}',
        '{"key": [], "result": {"measures": {}}}',
        '{"result": {"measures": {}}}',
    ],
)
def test_lines_that_are_no_results_are_passed_over(tmp_path: Path, line: str) -> None:
    (tmp_path / RESULTS_FILE).write_bytes(f"{line}\n{GOOD}\n{line}".encode("latin-1"))
    cache = Cache(tmp_path)
    assert cache.get("a") == {"measures": {"snr_db": 1.5}}
    assert cache.get("b") is None

"""``benchmarks/scale.py``: what it measures can be measured, and the page says what follows from it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
FORMATS = ("flac", "wav", "mp3", "ogg")


@pytest.mark.parametrize("ending", FORMATS)
def test_a_sound_is_decoded_and_encoded(tmp_path: Path, ending: str) -> None:
    scale = load_script("benchmarks/scale.py")
    path = scale.write_sound(tmp_path / f"s.{ending}", 0.5)
    scale.decode(path)
    scale.encode(path)
    assert (tmp_path / f"encoded.{ending}").stat().st_size > 1000


def test_cpu_time_of_this_process_is_found() -> None:
    scale = load_script("benchmarks/scale.py")
    user, system, *_ = os.times()
    assert scale.cpu_by_process(os.getpid())[os.getpid()] == pytest.approx(user + system, abs=0.1)


def test_a_million_hours_follow_from_what_was_measured() -> None:
    """By hand: 90 s for the model; of the other format 20 + 30, and 0.5 GB at 4 and 1 GB at 2 s a GB: 144 s in all."""
    scale = load_script("benchmarks/scale.py")
    form = lambda decode, encode, come, go: {  # noqa: E731
        "decode_cpu_s_per_hour": decode,
        "encode_cpu_s_per_hour": encode,
        "megabytes_per_hour_in": come,
        "megabytes_per_hour_out": go,
    }
    measured = {
        "formats": {"flac": form(4.0, 6.0, 100.0, 100.0), "x": form(20.0, 30.0, 500.0, 1000.0)},
        "cpu_s_per_hour": {"2 processes": 100.0},
        "transfer": {"down_cpu_s_per_gigabyte": 4.0, "up_cpu_s_per_gigabyte": 2.0},
    }
    found = scale.a_million_hours(measured, "x")
    assert found["core_hours"] == pytest.approx(40_000)
    assert found["days_on_1000_cores"] == pytest.approx(40 / 24)
    assert (found["terabytes_in"], found["terabytes_out"]) == pytest.approx((500, 1000))
    assert found["gigabits_per_s_of_1000_cores"] == pytest.approx(25_000 * 1.5 * 8 / 3600)
    shares = (found["model_share"], found["coding_share"], found["transfer_share"])
    assert shares == pytest.approx((90 / 144, 50 / 144, 4 / 144))
    assert found["hours_per_core_hour_without_model"] == pytest.approx(3600 / 54)


def test_the_page_says_what_was_measured() -> None:
    found = json.loads((ROOT / "benchmarks/results/scale.json").read_text())["a_million_hours"]
    page = (ROOT / "docs/SCALE.md").read_text()
    for label, key, form in (
        ("core-hours", "core_hours", "{:,.0f}"),
        ("days on 1,000 cores", "days_on_1000_cores", "{:.1f}"),
        ("comes from the store, TB", "terabytes_in", "{:.0f}"),
        ("goes to the store, TB", "terabytes_out", "{:.0f}"),
        ("network of 1,000 cores, Gbit/s", "gigabits_per_s_of_1000_cores", "{:.1f}"),
        ("of the CPU seconds: the model", "model_share", "{:.0%}"),
        ("hours of sound that a core makes in an hour", "hours_per_core_hour", "{:.1f}"),
        ("the same if the model took no time", "hours_per_core_hour_without_model", "{:.0f}"),
    ):
        [row] = [line for line in page.splitlines() if line.startswith(f"| {label} |")]
        said = [cell.strip().replace(" %", "%") for cell in row.split("|")[2:-1]]
        for ending, cell in zip(FORMATS, said, strict=True):
            value = found[ending][key]
            steps = {form.format(value * by) for by in (0.998, 1.0, 1.002)}
            assert cell in steps, (label, ending, value)

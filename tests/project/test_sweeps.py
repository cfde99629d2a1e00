"""The sweeps of ``tools/`` in small: kills at random moments, calls that fail, and one process for many requests.

Each is one process that has imported everything and runs all of its cases in forks. Their figures in full are in
docs/ROBUSTNESS.md.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from tas_cli.main import app
from tas_core.audio.formats import WRITABLE
from tas_core.delivery.formats import BINAURAL, FORMATS
from tas_core.jobs.request import FileRequest
from tas_core.timeline.files import EXTENSIONS as TIMELINES
from tas_core.timeline.sources import SourceFile
from tests.support.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts and kills by means of Linux")


def swept(tool: str, *words: str) -> list[dict[str, Any]]:
    command = [sys.executable, str(ROOT / "tools" / tool), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@linux
@pytest.mark.slow
def test_what_is_killed_goes_on_to_the_same_bytes() -> None:
    names = ["batch", "simulate", "studio"]
    found = swept("kill_sweep.py", *names, "--moments", "1", "--files", "4", "--seed", "1")
    assert [line["scenario"] for line in found] == names
    assert all(line["moments"] == 1 and line["found"] == [] for line in found)


@linux
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="the calls that fail are compiled by cc, which is not installed")
def test_where_a_call_fails_old_outputs_are_whole_and_a_line_says_so() -> None:
    names = ["beside", "convert"]
    found = swept("write_sweep.py", *names, "--most", "1", "--seed", "2", "--errors", "EIO", "ENOSPC")
    assert [line["door"] for line in found] == names
    assert all(line["calls"] >= 2 and line["wrong"] == 0 for line in found)


READ = {
    *("--timeline", "--hrtf", "--input-list", "--manifest", "--reference", "--source", "--provenance", "--annotations"),
    *("--recordings", "--data", "--audio", "--timelines", "--allow-read"),
}
"""Options that are files or folders to read."""
WRITTEN = {"--out", "--out-dir", "--stems", "--report", "--csv", "--save", "--figure"}
"""Options that are files or folders to write."""
ASKED = {"serve": ("SERVE", "UPLOAD"), "studio": ("STUDIO",)}
"""Commands that write when they are asked to, and the doors that ask."""


def commands(command: Any, name: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for word, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*name, word))
    if not hasattr(command, "commands"):
        yield " ".join(name), command


def test_every_command_format_and_option_that_writes_is_swept() -> None:
    """A new one is not forgotten: it is neither read nor written, or written and no door."""
    doors = {name: door.words for name, door in load_script("tools/write_sweep.py").doors().items()}
    missing = []
    for name, command in commands(typer.main.get_command(app)):
        own = [words for words in doors.values() if f"{words} ".startswith(f"{name} ")]
        if not own and name not in ASKED:
            missing.append(f"tas {name}")
        for parameter in command.params:
            is_path = Path in (kind := parameter.type_descriptor.annotation, *get_args(kind))
            long = next((option for option in parameter.opts if option.startswith("--")), "")
            if not long or not (is_path or long in ("--sidecar", "--save-audio")) or name in ASKED:
                continue
            if is_path and long not in READ | WRITTEN:
                missing.append(f"tas {name} {long}: neither read nor written")
            elif long not in READ and not any({*parameter.opts} & {*words.split()} for words in own):
                missing.append(f"tas {name} {long}")
    missing += [door for name in ASKED for door in ASKED[name] if not any(w.startswith(door) for w in doors.values())]
    missing += sorted(FORMATS.keys() - {BINAURAL} - doors.keys())
    endings = {Path(word).suffix for words in doors.values() for word in words.split() if word.startswith("{out}/")}
    missing += sorted(set(WRITABLE.values()) - {WRITABLE.get(ending) for ending in endings})
    missing += sorted(set(TIMELINES) - {".yml"} - endings)
    missing += sorted({".png", ".svg", ".pdf"} - endings)
    assert not missing


def test_what_a_soak_never_made_is_said() -> None:
    soak = load_script("tools/soak.py")
    wav, cello = Path("in.wav"), SourceFile("cello", Path("cello.wav"))
    asked = soak.asked_for(FileRequest(wav, Path("out.adm"), prompt="cello left", objects=(cello,), formats=("adm",)))
    assert asked == ["prompt", "own files", "adm", "from wav", "to adm"]
    every = [*soak.ASKED, *soak.FORMATS, *(f"from {e}" for e in soak.INPUTS), *(f"to {e}" for e in soak.OUTPUTS)]
    assert soak.never_made(Counter(every)) == []
    assert soak.never_made(Counter(set(every) - {"page", "5.1"})) == ["never made: page", "never made: 5.1"]


def test_growth_and_what_is_left_are_found() -> None:
    soak = load_script("tools/soak.py")

    def samples(**changes: Any) -> list[Any]:
        steady = {"second": 0.0, "requests": 1, "resident_mb": 100.0, "descriptors": 5, "threads": 2}
        steady |= {"children": 0, "temporary": 0, "objects": 9}
        warming = [soak.Sample(**steady | {"resident_mb": 50.0 + 5 * number}) for number in range(10)]
        return [*warming, *(soak.Sample(**steady) for _ in range(29)), soak.Sample(**steady | changes)]

    assert soak.complaints(samples(), []) == []
    assert soak.complaints(samples(resident_mb=1e4), []) == []  # one moment is no growth
    rising = [replace(each, resident_mb=100.0 + number) for number, each in enumerate(samples())]
    assert soak.complaints(rising, []) == ["memory grew by 20.4% after the warm-up, allowed are 5%"]
    assert soak.complaints(samples(descriptors=6), []) == ["6 descriptors at the end, 5 after the warm-up"]
    assert soak.complaints(samples(temporary=1), ["odd"]) == ["odd", "1 temporary left at the end"]

"""Doors of the program under attack: a small, seeded part of what ``python -m tools.fuzz`` does for hours."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tas_core.errors import InputError
from tools.fuzz.door import Door
from tools.fuzz.doors import DOOR_NAMES, door
from tools.fuzz.guard import Guard

SLOW = {
    "checkpoint-config": 5,
    "checkpoint-weights": 5,
    "checkpoint-specialists": 5,
    "studio": 10,
    "sofa": 15,
    "config": 20,
    "variables": 15,
    "names": 20,
}
"""Inputs of doors that take long for each."""
BY_PROGRAMS = ("film", "adts")
"""Doors that start ffmpeg for each input."""


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """A seed with parts changed, left out, repeated, or replaced by words."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        stop = start + draw(st.integers(0, 8))
        part = draw(st.one_of(st.sampled_from([b"", *words]), st.binary(max_size=4), st.just(data[start:stop] * 3)))
        data = data[:start] + part + data[stop:]
    return data


@pytest.mark.parametrize("name", [name for name in DOOR_NAMES if name not in BY_PROGRAMS])
def test_nothing_but_clear_errors_comes_of_what_is_read(name: str, tmp_path: Path) -> None:
    attacked = door(name)
    seeds = attacked.seeds()
    guard = Guard(attacked, tmp_path, bounded=False)
    for data in seeds:  # imports what is imported late
        guard.attack(data)

    @settings(
        max_examples=SLOW.get(name, 40),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(mutated(seeds, attacked.words))
    def attack(data: bytes) -> None:
        assert guard.attack(data) == ""

    attack()


def _outside(data: bytes, folder: Path) -> None:
    (folder.parent / "outside.bin").write_bytes(data)


def _program(data: bytes, folder: Path) -> None:
    subprocess.run(["true"], check=True, cwd=folder, input=data)


def _network(data: bytes, folder: Path) -> None:
    del data, folder
    socket.create_server(("127.0.0.1", 0)).close()


def _code(data: bytes, folder: Path) -> None:
    del folder
    exec(data.decode())


def _breaks(data: bytes, folder: Path) -> None:
    del folder
    data.decode("ascii").index("?")


def _tells(data: bytes, folder: Path) -> None:
    raise InputError(f"{folder}: {len(data)} bytes are too few")


def _tells_all(data: bytes, folder: Path) -> None:
    raise InputError(f"{folder}: {data.decode() * 10_000}")


@pytest.mark.parametrize(
    ("enter", "said"),
    [
        (_outside, "written outside: "),
        (_program, "a program started: subprocess.Popen"),
        (_network, "a socket used: socket.bind"),
        (_code, "code run: exec"),
        (_breaks, "ValueError at "),
        (_tells, ""),
        (_tells_all, ""),
    ],
)
def test_what_must_not_happen_is_seen(enter: Callable[[bytes, Path], None], said: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    guard = Guard(Door("a test", enter, lambda: [b""]), tmp_path / "in", bounded=False)
    guard._allowed = (str(tmp_path / "in"),)  # not all temporary files: those of tests are some
    found = guard.attack(b"1 + 1")
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_warnings_of_numpy_are_seen_and_those_of_the_program_are_none(tmp_path: Path) -> None:
    def warn(kind: type[Warning], data: bytes, folder: Path) -> None:
        del data, folder
        warnings.warn_explicit("x", kind, "some.py", 3, module="tas_core.audio.reader")

    for kind, said in ((RuntimeWarning, "RuntimeWarning at some.py:3"), (UserWarning, "")):
        guard = Guard(Door("a test", lambda d, f, k=kind: warn(k, d, f), lambda: [b""]), tmp_path, bounded=False)
        assert guard.attack(b"") == said


def test_every_door_has_seeds_that_the_program_takes(tmp_path: Path) -> None:
    for name in DOOR_NAMES:
        if name in BY_PROGRAMS:
            continue
        attacked, taken = door(name), 0
        for data in attacked.seeds():
            with contextlib.suppress(InputError), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                attacked.enter(data, tmp_path)
                taken += 1
        assert taken, name
    with pytest.raises(KeyError):
        door("window")


def test_what_ffmpeg_makes_may_be_no_sound(tmp_path: Path) -> None:
    attacked = door("decoded")
    told, made, said = attacked.seeds()[0].split(b"\xfe\xfe")
    broken = made.replace(b"fmt ", b"fmx ")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InputError, match=r"in\.mp4: not an audio file that .*: ffmpeg: what it made is no sound"):
            attacked.enter(b"\xfe\xfe".join((told, broken, said)), tmp_path)


@pytest.mark.parametrize("inside", [True, False])
def test_files_that_are_named_from_an_open_folder_are_known_by_it(inside: bool, tmp_path: Path) -> None:
    """As shutil.rmtree names them."""
    (tmp_path / "in" / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b").mkdir(parents=True)

    def enter(data: bytes, folder: Path) -> None:
        del data
        shutil.rmtree(folder / "a" if inside else folder.parent / "a")

    guard = Guard(Door("a test", enter, lambda: [b""]), tmp_path / "in", bounded=False)
    guard._allowed = (str(tmp_path / "in"),)
    assert bool(guard.attack(b"")) != inside

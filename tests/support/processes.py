"""Processes that others have started: which there are, and when they are gone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path


def children(pid: int) -> Iterator[int]:
    """Processes that a process has started, and those that these have."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                yield int(folder.name)
                yield from children(int(folder.name))
        except (OSError, IndexError):  # it has ended meanwhile
            continue


def wait_for_end(pids: Iterable[int]) -> None:
    """Until none of the processes is there; a minute at most."""
    pids = list(pids)
    began = time.monotonic()
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() - began < 60, "a process goes on"
        time.sleep(0.05)

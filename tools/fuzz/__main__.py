"""Attack a door of the program with mutations that the coverage of its code leads.

    python -m tools.fuzz DOOR... --inputs 100000 --seed 1
    python -m tools.fuzz all
    python -m tools.fuzz DOOR --file FILE...

It needs PyPI's ``atheris``, which is no dependency of the project. An input that does what none may do is kept in
``--findings``, the first of each kind; files that are named are tried one by one, without mutations.
"""

from __future__ import annotations

import argparse
import collections
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.fuzz.door import Door

# Before anything of the program is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TAS_CONFIG"] = os.devnull


def _kind(said: str) -> str:
    """What is counted as one finding: the place, and not the values."""
    return re.sub(r"[\d.]+ s for \d+ bytes", "slow", said.partition("): ")[0])


class Tally:
    """Counts inputs and findings, and ends the process when there were enough.

    Args:
        name: of the door.
        most: inputs.
        folder: where findings are kept.
        scratch: what is removed at the end.
    """

    def __init__(self, name: str, most: int, folder: Path, scratch: Path) -> None:
        self._name, self._most, self._folder, self._scratch = name, most, folder, scratch
        self._count, self._begun_s = 0, time.process_time()
        self._found: collections.Counter[str] = collections.Counter()

    def add(self, data: bytes, said: str) -> None:
        """One input, and what was wrong with how it was read."""
        self._count += 1
        if said:
            kind = _kind(said)
            self._found[kind] += 1
            if self._found[kind] == 1:
                self._folder.mkdir(parents=True, exist_ok=True)
                number = len(self._found)
                (self._folder / f"{self._name}-{number}.bin").write_bytes(data)
                print(f"{self._name}-{number}: {said}", flush=True)
        if self._count >= self._most:
            self.end()

    def end(self) -> None:
        """Say what was found, and leave: libFuzzer would not."""
        took_s = time.process_time() - self._begun_s
        machine = f"{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} cores"
        kinds = f"{len(self._found)} kinds of findings"
        print(f"{self._name}: {self._count} inputs, {kinds}, {took_s:.0f} s of the processor; {machine}")
        for kind, count in self._found.most_common():
            print(f"  {count} times {kind}")
        sys.stdout.flush()
        shutil.rmtree(self._scratch, ignore_errors=True)
        os._exit(1 if self._found else 0)


def _scratch(attacked: Door) -> Path:
    """A folder for inputs, and one with seeds, on which everything has been imported that is imported late."""
    here = Path(tempfile.mkdtemp(prefix="tas-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    for name in ("in", "corpus"):
        (here / name).mkdir()
    for number, data in enumerate(attacked.seeds()):
        (here / "corpus" / f"{number:04}").write_bytes(data)
        try:
            attacked.enter(data, here / "in")
        except Exception as error:
            print(f"{attacked.name}: a seed: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
    return here


def _attack(attacked: Door, wanted: argparse.Namespace) -> None:
    """Mutate and attack until there were enough inputs, and end the process."""
    import atheris

    from tools.fuzz.guard import Guard

    here = _scratch(attacked)
    guard = Guard(attacked, here / "in")
    tally = Tally(attacked.name, wanted.inputs, wanted.findings, here)
    words = here / "words"
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in attacked.words)
    words.write_text("".join(f'"{word}"\n' for word in escaped), encoding="ascii")
    longest = max(path.stat().st_size for path in (here / "corpus").iterdir())
    arguments = [
        sys.argv[0],
        f"-seed={wanted.seed}",
        f"-max_len={max(wanted.longest, 2 * longest)}",
        "-timeout=3600",  # of the clock on the wall; that of the processor is for the guard
        "-rss_limit_mb=0",
        "-verbosity=0",
        "-handle_abrt=1",
        f"-artifact_prefix={wanted.findings}/{attacked.name}-crash-",
        *([f"-dict={words}"] if attacked.words else []),
        str(here / "corpus"),
    ]
    wanted.findings.mkdir(parents=True, exist_ok=True)
    atheris.Setup(arguments, lambda data: tally.add(data, guard.attack(data)))
    atheris.Fuzz()


def _in_processes(doors: Sequence[Door], wanted: argparse.Namespace) -> int:
    """Attack one door after the other, each in a process of its own; whether something was found in any."""
    found = False
    for attacked in doors:
        sys.stdout.flush()
        child = os.fork()
        if not child:
            _attack(attacked, wanted)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) not in (0, 1):
            print(f"{attacked.name}: the process ended with {os.waitstatus_to_exitcode(status)}")
        found |= status != 0
    return int(found)


def main() -> int:
    """Parse the command line and attack."""
    from tools.fuzz.doors import DOOR_NAMES, door

    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("doors", nargs="+", choices=[*DOOR_NAMES, "all"], metavar="DOOR", help=", ".join(DOOR_NAMES))
    parser.add_argument("--file", nargs="+", type=Path, help="try these inputs, and no others")
    parser.add_argument("--inputs", type=int, default=100_000, help="for each door")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=int, default=4096, help="bytes of an input")
    parser.add_argument("--findings", type=Path, default=Path("runs") / "fuzz")
    wanted = parser.parse_args()
    names = DOOR_NAMES if "all" in wanted.doors else wanted.doors
    if wanted.file:
        from tools.fuzz.guard import Guard

        said = []
        for attacked in map(door, names):
            here = _scratch(attacked)
            guard = Guard(attacked, here / "in")
            said += [(path, guard.attack(path.read_bytes())) for path in wanted.file]
            shutil.rmtree(here)
        for path, what in said:
            print(f"{path}: {what or 'well'}")
        return int(any(what for _, what in said))
    import atheris

    with atheris.instrument_imports(include=["tas_core", "tas_cli"], enable_loader_override=False):
        doors = [door(name) for name in names]
    return _in_processes(doors, wanted)


if __name__ == "__main__":
    sys.exit(main())

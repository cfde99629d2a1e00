"""Attack a door of the program with mutations that the coverage of its code leads.

    python -m tools.fuzz DOOR --inputs 100000 --seed 1
    python -m tools.fuzz DOOR FILE...

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
from pathlib import Path

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


def main() -> None:
    """Parse the command line and attack."""
    from tools.fuzz.doors import DOOR_NAMES, door

    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("door", choices=DOOR_NAMES)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=int, default=4096, help="bytes of an input")
    parser.add_argument("--findings", type=Path, default=Path("runs") / "fuzz")
    wanted = parser.parse_args()

    if not wanted.files:
        import atheris

        with atheris.instrument_imports(include=["tas_core", "tas_cli"], enable_loader_override=False):
            chosen = door(wanted.door)
            seeds = chosen.seeds()
    else:
        chosen = door(wanted.door)
        seeds = chosen.seeds()
    from tools.fuzz.guard import Guard

    here = Path(tempfile.mkdtemp(prefix="tas-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    for name in ("in", "corpus"):
        (here / name).mkdir()
    for data in seeds:  # what is imported late is imported now
        try:
            chosen.enter(data, here / "in")
        except Exception as error:
            print(f"a seed: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
    guard = Guard(chosen, here / "in")
    if wanted.files:
        for path in wanted.files:
            print(f"{path}: {guard.attack(path.read_bytes()) or 'well'}")
        shutil.rmtree(here)
        return
    tally = Tally(wanted.door, wanted.inputs, wanted.findings, here)
    for number, data in enumerate(seeds):
        (here / "corpus" / f"{number:04}").write_bytes(data)
    words = here / "words"
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in chosen.words)
    words.write_text("".join(f'"{word}"\n' for word in escaped), encoding="ascii")
    arguments = [
        sys.argv[0],
        f"-seed={wanted.seed}",
        f"-max_len={max([wanted.longest, *(2 * len(seed) for seed in seeds)])}",
        "-timeout=120",
        "-rss_limit_mb=0",
        "-verbosity=0",
        "-print_final_stats=0",
        "-handle_abrt=1",
        f"-artifact_prefix={wanted.findings}/{wanted.door}-crash-",
        *([f"-dict={words}"] if chosen.words else []),
        str(here / "corpus"),
    ]
    wanted.findings.mkdir(parents=True, exist_ok=True)
    import atheris

    atheris.Setup(arguments, lambda data: tally.add(data, guard.attack(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()

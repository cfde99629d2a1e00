"""``kill -9`` at random moments of everything that goes on where it stopped, and whether going on gives the same bytes.

    python tools/kill_sweep.py                              # 50 moments of batches, 10 of trainings, 10 of the others
    python tools/kill_sweep.py batch worker --moments 3 --seed 7

Each scenario is run once to its end. Then it is begun anew, killed at a moment of a seeded series (all of it, or some
of its processes), looked at, gone on with, killed again, five times, and gone on with to the end. Wrong is: a file
under its name that is not whole, other bytes than those of the run that nobody killed, something made twice, a process
that is still there 20 s later, a hidden or temporary file that is left in the end. It ends with 1 if anything is.

All runs are forks of this process, which has imported everything and started no thread, and workers are forks of
theirs: so a moment costs what is computed, and no import. Workers that are started as they always are get killed in
``tests/jobs/batch/test_processes.py``.
"""

import argparse
import contextlib
import ctypes
import hashlib
import importlib
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TAS_CONFIG"] = os.devnull
os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(tempfile.gettempdir(), "tas-torchinductor")  # torch's, not ours
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import soundfile
import torch

from tas_core.datasets.mixing.bank import BankSettings
from tas_core.datasets.mixing.material import build_material
from tas_core.datasets.sources.catalogue import VOICES, load_categories
from tas_core.datasets.tasbench import simulation
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.evaluation.runner import evaluate
from tas_core.evaluation.settings import EvaluationSettings
from tas_core.jobs.batch.inputs import find_inputs
from tas_core.jobs.batch.plan import Destinations, plan_batch
from tas_core.jobs.batch.run import run_batch
from tas_core.jobs.request import FileOptions
from tas_core.jobs.spatialize import JobSettings
from tas_core.models.checkpoints import save_checkpoint
from tas_core.models.registry import PRESETS
from tas_core.models.slots.model import SlotsModel
from tas_core.studio.operations import Add, Operation, SetText
from tas_core.studio.session import Session
from tas_core.system import processes
from tas_core.training.settings import TrainingConfig
from tas_core.training.state import TRAINING_FILE, load_training_state
from tas_core.training.trainer import train
from tests.support.scored import bands, write_scored
from tests.support.tiny import TINY_SLOTS, HashEncoder, write_material
from tests.support.warm import warm_up

PATIENCE_S: Final = 20.0
GROUP: Final = 5
"""Moments of one piece of work."""
CHANGES: Final = 150
MADE: Final = "made.txt"
"""Of a scene: the number of each change that was made, a line for each."""
_SUBREAPER: Final = 36
Contents = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """Something that can be killed and gone on with.

    Attributes:
        work: does it in a folder, or goes on with it there.
        contents: what is there when it is done, by name, without times of day and durations.
        kills_worker: whether one of its processes is killed, and not all.
        whole: whether what is there after a kill has to be a part of what is there in the end.
        moments: how many by default.
    """

    work: Callable[[Path], None]
    contents: Callable[[Path], Contents]
    kills_worker: bool = False
    whole: bool = True
    moments: int = 10


def digests(folder: Path) -> Contents:
    """SHA-256 of the files below a folder, hidden ones left out."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = [(str(path.relative_to(folder)), path) for path in files]
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in names
        if not any(part.startswith(".") for part in Path(name).parts)
    }


def without(value: Any, names: frozenset[str]) -> Any:
    """A JSON value without the keys that differ from run to run."""
    if isinstance(value, dict):
        return {key: without(inner, names) for key, inner in value.items() if key not in names}
    return [without(inner, names) for inner in value] if isinstance(value, list) else value


# ---------------------------------------------------------------------------- what is killed


def batches(root: Path, files: int) -> dict[str, Scenario]:
    """A batch of short files in one process, in two that are both killed, and in two of which one is."""
    sounds = root / "sounds"
    sounds.mkdir()
    rng = np.random.default_rng(0)
    for number in range(files):
        soundfile.write(sounds / f"v{number:02}.wav", 0.1 * rng.standard_normal(4000 + 100 * number), 8000)
    config = replace(TINY_SLOTS, context_frames=4, level_frames=8, text_encoder="minilm", text_width=384)
    torch.manual_seed(11)
    weights = SlotsModel(config).state_dict()
    model = save_checkpoint(root / "model", "slots", asdict(config), weights)
    settings = JobSettings(FileOptions(subtype="PCM_16", sidecar=True), str(model), "cpu")

    def work(out: Path, jobs: int) -> None:
        plan = plan_batch(
            find_inputs([sounds]),
            Destinations(out / "made", stems=out / "stems"),
            prompt="a tone on the left, rain on the right",
            sidecar=True,
            skip_existing=True,
        )
        there = {path: path.stat().st_mtime_ns for n in plan.skipped if (path := plan.requests[n].out).exists()}
        outcomes = run_batch(plan, settings, jobs=jobs)
        if again := [str(path) for path, when in there.items() if path.stat().st_mtime_ns != when]:
            raise AssertionError(f"made twice: {again}")
        if lost := [outcome.error for outcome in outcomes if outcome.error]:
            raise SystemExit("; ".join(lost))

    def contents(out: Path) -> Contents:
        found = digests(out)
        for name in found:
            path = out / name
            if name.endswith(".json"):
                made = without(json.loads(path.read_text()), frozenset({"seconds", "real_time_factor", "date", "load"}))
                found[name] = json.dumps(made, sort_keys=True).replace(str(out), "OUT")
            elif name.startswith("stems"):  # the header of floats has the time of day
                found[name] = hashlib.sha256(soundfile.read(path)[0].tobytes()).hexdigest()
        return found

    usable = processes.usable_cores()
    two = 2 if usable > 1 else 1
    return {
        "batch": Scenario(lambda out: work(out, 1), contents, moments=50),
        "processes": Scenario(lambda out: work(out, two), contents, moments=50),
        "worker": Scenario(lambda out: work(out, two), contents, kills_worker=True, moments=50),
    }


def trainings(root: Path, files: int) -> dict[str, Scenario]:
    """Eight steps of a tiny network, saved at every second one."""
    del files
    data = write_material(root / "material")
    PRESETS["tiny-slots"] = TINY_SLOTS
    config = TrainingConfig(
        preset="tiny-slots",
        steps=8,
        batch_size=2,
        window_s=0.5,
        warmup_steps=2,
        precision="fp32",
        log_every=1,
        validate_every=3,
        validation_batches=1,
        save_every=2,
        seed=3,
    )

    def work(out: Path) -> None:
        train(data, out, config, device=torch.device("cpu"))

    def contents(out: Path) -> Contents:
        if not (out / TRAINING_FILE).exists():
            return {}
        state = load_training_state(out)  # what is there can be read, at any moment
        log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines() if line.endswith("}")]
        weights = out / "checkpoint" / "model.safetensors"
        return {
            "step": state.step,
            "log": [without(line, frozenset({"seconds"})) for line in log],
            "files": sorted(digests(out)),
            "weights": hashlib.sha256(weights.read_bytes()).hexdigest() if weights.exists() else None,
            "state": {
                f"{group}/{name}": hashlib.sha256(value.numpy().tobytes()).hexdigest()
                for group, members in state.tensors.items()
                for name, value in members.items()
            },
        }

    return {"train": Scenario(work, contents, whole=False)}


def banks(root: Path, files: int) -> dict[str, Scenario]:
    """Training material of two synthesized voices, in two processes."""
    del root, files
    if shutil.which("espeak-ng") is None:
        print("bank: left out, it is rendered by espeak-ng, which is not installed", file=sys.stderr)
        return {}
    voices = tuple(voice for voice in VOICES if voice.engine == "espeak")[:2]
    few = tuple(c for c in load_categories() if c.name in ("man talking", "woman talking"))
    settings = BankSettings(1, 0.5, categories=few, fonts=(), voices=voices)

    def work(out: Path) -> None:
        build_material(out, settings, rooms=4, jobs=2, encode=HashEncoder(), encoder_name="hash")

    return {"bank": Scenario(work, digests)}


def simulations(root: Path, files: int) -> dict[str, Scenario]:
    """A data set of six clips, in two processes."""
    del root, files
    simulation._dry = _bursts

    def work(out: Path) -> None:
        simulation.simulate(out, 6, rate_hz=8000, jobs=2)

    return {"simulate": Scenario(work, digests)}


def _bursts(item: Any, split: Any, rate_hz: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """In place of material that may not be installed."""
    del split
    rng = np.random.default_rng(item.seed)
    time_s = np.arange(round(10 * rate_hz)) / rate_hz
    sounding = (np.sin(3 * time_s + item.seed % 7) > 0) & (time_s >= item.start_s) & (time_s < item.stop_s)
    return rng.standard_normal(len(time_s)) * sounding, ()


def evaluations(root: Path, files: int) -> dict[str, Scenario]:
    """Three rows over five clips in two processes, their outputs kept; and files against each other."""
    del files
    dry, simulation._dry = simulation._dry, bands
    data = write_scored(root / "scored")
    simulation._dry = dry
    settings = EvaluationSettings(jobs=2, device="cpu", save_audio=True)

    def work(out: Path) -> None:
        found = evaluate(TasBench(data.root), ["truth", "mono", "oracle-direct"], settings, out=out)
        rows = {row.name: {name: value.mean for name, value in row.measures.items()} for row in found.rows}
        (out.parent / "table.json").write_text(json.dumps(rows, sort_keys=True))

    def contents(out: Path) -> Contents:
        found: Contents = {str(p.relative_to(out)): soundfile.read(p)[0].tobytes() for p in out.rglob("[!.]*.wav")}
        results = out / "results.jsonl"
        for line in results.read_text().splitlines() if results.exists() else []:
            with contextlib.suppress(ValueError):  # cut off by a kill, hence made again
                record = json.loads(line)
                key = record["key"]
                found[f"{key} twice" if key in found else key] = without(record, frozenset({"real_time_factor"}))
        return found

    return {"eval": Scenario(work, contents)}


def pages(root: Path, files: int) -> dict[str, Scenario]:
    """What commands write at once: scores of files, a picture with its table, a listening study, a report."""
    del files
    rng = np.random.default_rng(0)
    given = root / "given"
    for name in ("ears", "truth", "timelines"):
        (given / name).mkdir(parents=True)
    soundfile.write(given / "a.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    for name in "ab":
        for kind in ("ears", "truth"):
            soundfile.write(given / kind / f"{name}.wav", 0.1 * rng.standard_normal((16_000, 2)), 16_000)
        text = "prompts:\n  - {start: 0, end: 1, text: a tone on the left}\n"
        (given / "timelines" / f"{name}.yaml").write_text(text)
    for module in ("matplotlib.backends.backend_agg", "matplotlib.figure"):
        importlib.import_module(module)
    timeline = f"{given}/timelines/a.yaml"
    commands = {
        "scores.json": f"eval files {given}/ears {given}/truth --save",
        "p.png": f"plot {given}/ears/a.wav -k spl --force --csv OUT/p.csv -o",
        "study": f"study make --system one={given}/ears --system two={given}/truth --timelines {given}/timelines -o",
        "r.html": f"report {given}/ears/a.wav -s {given}/a.wav -t {timeline} -o",
    }

    def work(out: Path) -> None:
        from tas_cli.main import main

        out.mkdir(exist_ok=True)
        for name, words in commands.items():
            if (out / name).exists():  # whole, as is looked at after each kill
                continue
            sys.argv = ["tas", *words.replace("OUT", str(out)).split(), str(out / name)]
            try:
                main()
            except SystemExit as stop:
                if stop.code:
                    raise

    def contents(out: Path) -> Contents:
        found = digests(out)
        for name in found:
            if name == "scores.json":
                said = without(
                    json.loads((out / name).read_text()), frozenset({"date", "seconds", "command", "machine"})
                )
                found[name] = json.dumps(said, sort_keys=True).replace(str(out), "OUT")
        return found

    return {"pages": Scenario(work, contents)}


def studios(root: Path, files: int) -> dict[str, Scenario]:
    """A scene that is changed by hand 150 times and saved at every tenth; of all changes, the latest may be lost."""
    del root, files

    def work(out: Path) -> None:
        out.mkdir(exist_ok=True)
        session = Session(out / "scene.yaml", 10.0)
        if session.left is not None:
            session.decide(take_up=True)
        with open(out / MADE, "a") as made:
            for number in range(_number(session.document.text) + 1, CHANGES + 1):
                said = f"a tone {number / 2:g} degrees to the left"
                change: Operation = Add(0.0, None, said) if number == 1 else SetText(0, said)
                session.change(change, session.revision)
                made.write(f"{number}\n")
                made.flush()
                if number % 10 == 0:
                    session.save()

    def contents(out: Path) -> Contents:
        session = Session(out / "scene.yaml", 10.0)
        text = session.document.text if session.left is None else session.left
        made = (out / MADE).read_text().split("\n")[:-1] if (out / MADE).exists() else []
        at = int(made[-1]) if made else 0
        if not at <= _number(text) <= at + 1:
            raise AssertionError(f"change {at} was made, and {_number(text)} is what is there")
        names = {name: what for name, what in digests(out).items() if name != MADE}
        return {"change": _number(text), **names}

    return {"studio": Scenario(work, contents, whole=False)}


def _number(text: str) -> int:
    """Which change of :func:`studios` a scene shows."""
    found = re.search(r"tone ([\d.]+) degrees", text)
    return round(2 * float(found[1])) if found else 0


# ---------------------------------------------------------------------------- killing


def children(pid: int) -> Iterator[int]:
    """Processes that a process has started, and those that these have."""
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from children(int(child))


class Sweep:
    """Runs of one scenario in a folder.

    Args:
        name: of the scenario.
        scenario: what is killed.
        root: where runs have their folders.
        seed: of the moments.
    """

    def __init__(self, name: str, scenario: Scenario, root: Path, seed: int) -> None:
        self.name, self._scenario, self._root = name, scenario, root / f"runs-{name}"
        self._random = random.Random(f"{seed} {name}")
        self._root.mkdir()
        self._temporary = self._root / "tmp"
        self._temporary.mkdir()
        self.found: list[str] = []
        self.killed = 0
        began = time.monotonic()
        if self._run("reference")[0]:
            raise SystemExit(f"{name}: a run that nobody kills fails: {self._said('reference')}")
        self.takes_s = time.monotonic() - began
        self._reference = scenario.contents(self._root / "reference")
        self._check_clean("reference")

    def moments(self, numbers: range) -> None:
        """Kill at some moments of one piece of work, look each time at what is there, and go on to the end.

        What is gone on with is killed again; of processes, several are killed in one run.
        """
        run, scenario = f"{numbers[0]:03d}", self._scenario
        out = self._root / run
        times_s = [self._random.uniform(0.0, self.takes_s) for _ in numbers]
        for at_s in [sorted(times_s)] if scenario.kills_worker else [[time_s / 2] for time_s in times_s]:
            self.killed += self._run(run, at_s)[1]
            try:
                there = scenario.contents(out) if out.exists() else {}
            except Exception as error:
                there = {}
                self._complain(run, at_s, f"what is there cannot be read: {type(error).__name__}: {error}")
            if scenario.whole and (odd := [n for n, what in there.items() if self._reference.get(n) != what]):
                self._complain(run, at_s, f"not whole, or not as it should be: {odd}")
        code, _ = self._run(run)
        if code:
            self._complain(run, times_s, f"going on ends with {code}: {self._said(run)}")
        elif (found := scenario.contents(out)) != self._reference:
            names = sorted(found.keys() | self._reference.keys())
            odd = [name for name in names if found.get(name) != self._reference.get(name)]
            self._complain(run, times_s, f"other than before: {odd}")
        self._check_clean(run)
        shutil.rmtree(out, ignore_errors=True)

    def _complain(self, run: str, at_s: list[float], what: str) -> None:
        times = ", ".join(f"{time_s:.3f}" for time_s in at_s)
        self.found.append(f"{self.name}, moments from {run} on ({times} of {self.takes_s:.3f} s): {what}")

    def _said(self, run: str) -> str:
        return (self._root / f"{run}.txt").read_text()[-2000:]

    def _run(self, run: str, kill_after_s: Sequence[float] = ()) -> tuple[int, int]:
        """Exit code of a run, and how often it, or one of its processes, was killed after some seconds."""
        pid = os.fork()
        if not pid:
            self._work(self._root / run, self._root / f"{run}.txt")
        began, left, killed = time.monotonic(), list(kill_after_s)[::-1], 0
        while left and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(max(0.0, min(0.002, began + left[-1] - time.monotonic())))
            victims = list(children(pid)) if self._scenario.kills_worker else [pid]
            if time.monotonic() < began + left[-1] or not victims:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._random.choice(victims), signal.SIGKILL)
                killed += 1
            left.pop()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._wait_for_others(run)
        return code, killed

    def _work(self, out: Path, said: Path) -> None:
        """The life of a forked process."""
        code = 1
        try:
            log = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            tempfile.tempdir = str(self._temporary)
            self._scenario.work(out)
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)

    def _wait_for_others(self, run: str) -> None:
        """Processes whose owner is gone are ours; they have to go, too."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                if time.monotonic() > until:
                    for orphan in list(children(os.getpid())):
                        words = Path(f"/proc/{orphan}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                        self.found.append(f"{self.name}, {run}: an orphaned process goes on: {words}")
                        os.kill(orphan, signal.SIGKILL)
                    until = time.monotonic() + PATIENCE_S
                time.sleep(0.002)

    def _check_clean(self, run: str) -> None:
        left = [str(path) for path in (self._root / run).rglob(".*")]
        left += [str(path) for path in self._temporary.rglob("*")]
        if left:
            self.found.append(f"{self.name}, {run}: left behind: {left}")
            for path in self._temporary.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()


MAKERS: Final[dict[str, Callable[..., dict[str, Scenario]]]] = {
    "batch": batches,
    "train": trainings,
    "bank": banks,
    "simulate": simulations,
    "eval": evaluations,
    "pages": pages,
    "studio": studios,
}
GROUPS: Final = {"processes": "batch", "worker": "batch"}
"""Scenarios that another one's maker makes."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", help=f"of {', '.join([*MAKERS, *GROUPS])}; all by default")
    parser.add_argument("--moments", type=int, help="of each; 50 for batches and 10 for the others by default")
    parser.add_argument("--files", type=int, default=30, help="of a batch")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    wanted = given.scenarios or [*MAKERS, *GROUPS]
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)  # processes whose owner was killed come to us
    warm_up()
    found: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tas-kill-") as folder:
        root = Path(folder)
        made = {GROUPS.get(name, name) for name in wanted}
        scenarios = {
            name: each for maker in MAKERS if maker in made for name, each in MAKERS[maker](root, given.files).items()
        }
        for name in (name for name in scenarios if name in wanted):
            sweep = Sweep(name, scenarios[name], root, given.seed)
            moments = given.moments or scenarios[name].moments
            began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
            for first in range(0, moments, GROUP):
                sweep.moments(range(first, min(first + GROUP, moments)))
            took_s = time.monotonic() - began
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            found += sweep.found
            print(json.dumps({
                "scenario": name, "moments": moments, "killed": sweep.killed, "found": sweep.found,
                "seed": given.seed, "run_s": round(sweep.takes_s, 2), "took_s": round(took_s, 1),
                "cpu_s": round(used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime, 1),
            }), flush=True)  # fmt: skip
    print(*found, sep="\n", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

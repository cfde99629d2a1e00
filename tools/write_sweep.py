"""Every command that writes, with the n-th call of the system failing, for every n; and on disks that are too small.

    python tools/write_sweep.py                           # EIO at the n-th call, ENOSPC or EDQUOT from it on; disks
    python tools/write_sweep.py wav beside --most 5 --seed 3
    python tools/write_sweep.py --disk                    # 24 disks of each, and one that can only be read
    python tools/write_sweep.py --list                    # all doors, and their commands

Calls are those by which files come to be: opening to write, write, fsync, ftruncate, close, rename, link, mkdir, of
this process and of those that it starts (ffmpeg), failed by ``tests/support/failing_calls.c``, which is compiled with
cc and loaded before the C library. Every command is run where nothing is there yet, and where other outputs are, which
it may replace. Disks are file systems in memory, for whoever may mount them. Wrong is: exit code 0 without the whole
output, a code other than 1 or 2, no error line or several, a traceback, a line that names no place, a file under its
name that is neither what was there nor what was to be, a hidden or temporary file. It ends with 1 if anything is.

All runs are forks of this process, which has imported everything and started no thread.
"""

import argparse
import asyncio
import contextlib
import ctypes
import errno
import hashlib
import json
import mmap
import os
import random
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn

ROOT: Final = Path(__file__).resolve().parents[1]
SHIM: Final = ROOT / "tests" / "support" / "failing_calls.c"
VARIABLES: Final = {
    "OMP_NUM_THREADS": "1",
    "TAS_CONFIG": os.devnull,
    "TORCHINDUCTOR_CACHE_DIR": os.path.join(tempfile.gettempdir(), "tas-torchinductor"),  # torch's, not ours
}
sys.path.insert(0, str(ROOT))

DISK_SIZES: Final = 24
FAILURES: Final = {"EIO": (errno.EIO, False), "ENOSPC": (errno.ENOSPC, True), "EDQUOT": (errno.EDQUOT, True)}
"""Errors, and whether all later calls fail, too."""
VOLATILE: Final = frozenset(
    ("seconds", "real_time_factor", "date", "machine", "hours", "clock_s", "digest", "command", "load", "overwrite")
)
SOUNDS: Final = (".wav", ".flac", ".ogg", ".aiff", ".caf", ".w64", ".rf64", ".mp3")
KEPT: Final = "a scene that was not saved"
PRINTED: Final = "printed"
"""What standard output goes to, where that is a file."""
_PR_SET_PDEATHSIG: Final = 1
_CONTROL: Final = struct.Struct("qqii4096s64s")


@dataclass(frozen=True)
class Door:
    """A command that writes.

    Attributes:
        words: of the command line, with {out} for the folder of outputs and {in} for that of inputs.
        other: words for the outputs that are there before, in place of some of them.
        force: whether it takes ``--force``; else what is there is kept, and only new outputs are tried.
        prints: whether standard output is a file, ``{out}/printed``, that is written to as others are.
    """

    words: str
    other: tuple[str, str] = ("rain on the right", "rain on the left")
    force: bool = True
    prints: bool = False


def doors() -> dict[str, Door]:
    """By name."""
    from tas_core.delivery.formats import FORMATS

    base = "spatialize {in}/a.wav -p 'a tone on the left, rain on the right' --model {in}/model --device cpu"
    found = {ending: Door(f"{base} -o {{out}}/o.{ending}") for ending in
             ("wav", "flac", "ogg", "mp3", "aiff", "caf", "w64", "rf64", "opus", "m4a")}  # fmt: skip
    found["float"] = Door(f"{base} -o {{out}}/o.wav --subtype FLOAT")
    found["stdout"] = Door(f"{base} -o -", force=False, prints=True)
    found["given"] = Door(
        "spatialize --object rain={in}/a.wav --object tone={in}/sounds/a.wav "
        "-p 'a tone on the left, rain on the right' -o {out}/o.wav"
    )
    found["separator"] = Door(
        "spatialize {in}/a.wav -p 'a tone on the left, rain on the right' -o {out}/o.wav "
        f"--separator '{sys.executable} {{in}}/separator.py {{mix}} {{names}}'"
    )
    found["loudness"] = Door(f"{base} -o {{out}}/o.wav --loudness -20")
    found["beside"] = Door(f"{base} -o {{out}}/o.wav --stems {{out}}/stems --report {{out}}/o.html --sidecar")
    for name, form in FORMATS.items():
        if name == "binaural":
            continue
        ending = "" if form.is_folder else (form.endings or (".wav",))[0]
        found[name] = Door(f"{base} -o {{out}}/o{ending or '.objects'} --format {name}")
    found["several"] = Door(f"{base} -o {{out}}/o.wav --format binaural,adm,objects,rpp,osc --sidecar")
    found["folder"] = Door(f"{base.replace('a.wav', 'sounds')} --out-dir {{out}}/made --sidecar")
    found["processes"] = Door(f"{found['folder'].words} --jobs 2")
    found["manifest"] = Door(
        "spatialize --manifest {in}/manifest.jsonl --out-dir {out}/made --stems {out}/stems --report {out}/pages "
        "--model {in}/model --device cpu",
        ("manifest.jsonl", "other.jsonl"),
    )
    found["train"] = Door(
        "train --data {in}/material --preset tiny-slots --steps 4 --batch-size 2 --window 0.5 --log-every 1 "
        "--validate-every 2 --save-every 2 --device cpu -o {out}/run",
        force=False,
    )
    found["bank"] = Door("data bank -o {out}/bank --clips 1 --rooms 4 --jobs 1", force=False)
    found["pack"] = Door("data pack {in}/material -o {out}/packed --rooms 4 --excerpt 0.5", force=False)
    found["simulate"] = Door("data simulate -o {out}/sim --clips 2 --rate 8000 --jobs 2", force=False)
    found["simulate-sphere"] = Door("data simulate --sphere -o {out}/sim --clips 1 --rate 8000 --jobs 1", force=False)
    found["realbench"] = Door(
        "data realbench --recordings {in}/recordings -o {out}/real --clips 1 --rate 8000 --jobs 1", force=False
    )
    found["import"] = Door(
        "data import {in}/scored --annotations {in}/a.jsonl -o {out}/imported", ("{in}/a.jsonl", "{in}/b.jsonl")
    )
    found["check"] = Door("data check {in}/real --jobs 1 --save {out}/check.json", force=False)
    found["stats"] = Door("data stats {in}/real --jobs 1 --figure {out}/p.png --save {out}/stats.json", force=False)
    found["score"] = Door(
        "study score {in}/study/key.json {in}/study/answers.json --save {out}/score.json", ("score ", "score --seed 1 ")
    )
    found["eval-data"] = Door(
        "eval data {in}/scored -m truth -m mono --jobs 1 --device cpu -o {out}/ev --save-audio --save {out}/ev.json",
        force=False,
    )
    found["eval-files"] = Door("eval files {in}/ears {in}/truth --save {out}/ev.json", ("{in}/ears", "{in}/truth"))
    found["plot"] = Door(
        "plot {in}/ears/a.wav -k spl -o {out}/p.png --csv {out}/p.csv", ("ears/a", "truth/a"), force=False
    )
    for ending in ("svg", "pdf"):
        found[f"plot-{ending}"] = Door(f"plot {{in}}/ears/a.wav -k spl -o {{out}}/p.{ending}", force=False)
    found["report"] = Door("report {in}/ears/a.wav -s {in}/a.wav -t {in}/a.yaml -o {out}/r.html", force=False)
    found["study"] = Door(
        "study make -o {out}/study --system one={in}/ears --system two={in}/truth --timelines {in}/timelines",
        ("study make", "study make --seed 1"),
    )
    found["convert"] = Door("timeline convert {in}/a.yaml -o {out}/a.srt", force=False)
    for ending in ("vtt", "txt", "yaml"):
        found[f"convert-{ending}"] = Door(f"timeline convert {{in}}/a.yaml -o {{out}}/a.{ending}", force=False)
    for ending in ("mp4", "mov", "mkv", "webm"):
        film = "film.webm" if ending == "webm" else "film.mkv"
        found[ending] = Door(f"{base.replace('a.wav', film)} -o {{out}}/o.{ending}")
    for name, command in {
        "results": f"{base} -o {{out}}/o.wav --json",
        "many-results": f"{found['folder'].words} --json",
        "scores": "eval files {in}/ears {in}/truth",
        "understood": "timeline check {in}/a.yaml",
        "models": "models list",
        "model": "models info {in}/model --json",
        "model-path": "models path slots",
        "configured": "config --all",
        "doctor": "doctor --json",
        "help": "spatialize --help",
        "answers": "study score {in}/study/key.json {in}/study/answers.json",
    }.items():
        found[f"print-{name}"] = Door(command, force=False, prints=True)
    words = "{out} {in} 'a tone on the left, rain on the right'"
    found["studio"] = Door(f"STUDIO {words}")
    found["serve"] = Door(f"SERVE {words}")
    found["serve-upload"] = Door(f"UPLOAD {words}", force=False)
    return found


# ---------------------------------------------------------------------------- what a page and a client ask for


def _studio(out: str, given: str, prompt: str, *more: str) -> None:
    """A scene written, saved, copied, and made a file of."""
    from tas_core.jobs.spatialize import JobSettings
    from tas_core.studio.app import build_app
    from tas_core.studio.server import StudioRequest, opened

    token, host, force = "x" * 43, "127.0.0.1:4711", bool(more)
    page = {"host": host, "origin": f"http://{host}", "cookie": f"tas-studio-4711={token}"}
    request = StudioRequest(Path(given, "a.wav"), Path(out, "scene.yaml"))
    settings = JobSettings(model_name=f"{given}/model", device="cpu")
    with opened(request, settings, lambda path: lambda name, formats: f"{path} {name} {formats}") as studio:
        app = build_app(studio, token, 4711)

        def post(asked_for: str, /, **fields: Any) -> None:
            answer = _asked(app, f"/api/{asked_for}", json.dumps(fields).encode(), page)
            if answer.status >= 400:
                _end(answer.json()["error"])

        text = f"prompts:\n- {{start: 0, text: '{prompt}'}}\n"
        post("text", revision=0, text=text)
        post("save", overwrite=force)
        post("copy", name="copy.srt", overwrite=force)
        post("export", out="o.wav", formats=[], overwrite=force)
        while (state := studio.exporter.state).state == "running":
            time.sleep(0.002)
        if state.state != "done":
            _end(state.error)


def _serve(out: str, given: str, prompt: str, *more: str) -> None:
    """A sound that is made for a client, in a folder that it may write to."""
    said = {"sound": f"{given}/a.wav", "output": f"{out}/o.wav", "prompt": prompt, "force": bool(more)}
    with _server(out, given) as app:
        answer = _asked(app, "/spatialize", json.dumps(said).encode(), {"content-type": "application/json"})
        if answer.status >= 400:
            _end(answer.error)


def _upload(out: str, given: str, prompt: str) -> None:
    """A sound that a client sends, and what is sent back; which folder it lay in is not the client's to know."""
    from tests.support.asgi import FORM, form

    body = form(("sound", "a.wav", Path(given, "a.wav")), ("options", None, json.dumps({"prompt": prompt})))
    with _server(out, given) as app:
        answer = _asked(app, "/spatialize", body, FORM)
    if answer.status >= 400:
        _end(f"{answer.error} [standard output]")
    sys.stdout.write(hashlib.sha256(answer.body).hexdigest())


@contextlib.contextmanager
def _server(out: str, given: str) -> Iterator[Any]:
    """What answers, and works in a thread of this process."""
    from tas_core.jobs.request import FileOptions
    from tas_core.jobs.spatialize import JobSettings
    from tas_core.serving.app import Service, build_app
    from tas_core.serving.maker import Loaded, Maker
    from tas_core.serving.queue import JobQueue
    from tas_core.serving.run import _temporary_folder
    from tas_core.serving.settings import Folders, Limits

    class Here:
        def __init__(self) -> None:
            self._make = Maker(JobSettings(FileOptions(), f"{given}/model", "cpu"))

        def do(self, task: Any, limit_s: float | None = None) -> Any:
            del limit_s
            return self._make(task)

        def close(self) -> None:
            pass

    queue = JobQueue(Here, 1, 1)
    try:
        with _temporary_folder() as temporary:
            folders = Folders.of([Path(given)], [Path(out)])
            yield build_app(Service(queue, Limits(), folders, FileOptions(), Loaded("tiny", "", "cpu"), temporary))
    finally:
        queue.close()


def _asked(app: Any, path: str, body: bytes, headers: dict[str, str]) -> Any:
    from tests.support.asgi import ask

    return asyncio.run(ask(app, path, body, headers))


def _end(line: str) -> NoReturn:
    """As the program ends with an error; what is answered is said to people."""
    print(f"tas: error: {line}", file=sys.stderr, flush=True)
    raise SystemExit(1)


SEPARATOR: Final = """
import json
import sys
import soundfile

mix, rate_hz = soundfile.read(sys.argv[1])
with open(sys.argv[2]) as file:
    for number, stem in enumerate(json.load(file)["stems"]):
        try:
            soundfile.write(stem["file"], mix / (number + 2), rate_hz)
        except Exception as error:
            sys.exit(f"{stem['file']}: {error!r}")
"""
"""A program that separates, in its own words."""

ASKED: Final[dict[str, Callable[..., None]]] = {"STUDIO": _studio, "SERVE": _serve, "UPLOAD": _upload}
"""Where a command's words are none: what is asked of a process that goes on."""


# ---------------------------------------------------------------------------- what is there to work on


def make_inputs(folder: Path) -> None:
    """Small inputs for all doors, and places in the program where they stand for what is large."""
    import numpy as np
    import pytest
    import soundfile
    import torch

    from tas_core.datasets.mixing import bank, material
    from tas_core.datasets.sources.catalogue import VOICES, load_categories
    from tas_core.datasets.tasbench import simulation
    from tas_core.datasets.tasbench.layout import TasBench
    from tas_core.models.checkpoints import save_checkpoint
    from tas_core.models.registry import PRESETS
    from tas_core.models.slots.model import SlotsModel
    from tests.support import real_recordings
    from tests.support.scored import bands, write_scored
    from tests.support.tiny import TINY_SLOTS, write_material

    rng = np.random.default_rng(0)
    for name in ("sounds", "ears", "truth", "timelines"):
        (folder / name).mkdir(parents=True)
    soundfile.write(folder / "a.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    picture = ["-f", "lavfi", "-i", "testsrc=size=32x32:rate=25:duration=1", "-i", str(folder / "a.wav")]
    for coded in (["mpeg4", "-c:a", "flac", str(folder / "film.mkv")], ["libvpx", str(folder / "film.webm")]):
        command = ["ffmpeg", "-v", "error", *picture, "-c:v", *coded]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    for name in "ab":
        soundfile.write(folder / "sounds" / f"{name}.wav", 0.1 * rng.standard_normal(4000), 8000)
        for kind in ("ears", "truth"):
            soundfile.write(folder / kind / f"{name}.wav", 0.1 * rng.standard_normal((16_000, 2)), 16_000)
        text = "prompts:\n  - {start: 0, end: 1, text: a tone on the left}\n"
        (folder / "timelines" / f"{name}.yaml").write_text(text)
        (folder / f"{name}.yaml").write_text(text)
    config = replace(TINY_SLOTS, context_frames=4, level_frames=8, text_encoder="minilm", text_width=384)
    torch.manual_seed(11)
    save_checkpoint(folder / "model", "slots", asdict(config), SlotsModel(config).state_dict())
    write_material(folder / "material")
    PRESETS["tiny-slots"] = TINY_SLOTS
    few = tuple(c for c in load_categories() if c.name in ("man talking", "woman talking"))
    voices = tuple(voice for voice in VOICES if voice.engine == "espeak")[:1]
    material.build_bank = lambda settings, **how: bank.build_bank(
        replace(settings, categories=few, fonts=(), voices=voices), **how
    )
    simulation._dry = bands
    write_scored(folder / "scored")
    patch = pytest.MonkeyPatch()  # for good: this process does nothing else
    real_recordings.write_recordings(folder / "recordings")
    real_recordings.use(patch)
    (folder / "tmp").mkdir()
    made = ("--recordings", str(folder / "recordings"), "-o", str(folder / "real"), "--clips", "1", "--rate", "8000")
    if (ended := run(["data", "realbench", *made, "--jobs", "1"], folder / "tmp")).code:
        raise SystemExit(f"there is no data set to check: {ended}")
    clip = TasBench(folder / "scored").clips()[0]
    for name, side in (("a", "left"), ("b", "right")):
        rows = [{"clip": clip, "time": 0.1 * number, "text": f"a tone on the {side}"} for number in range(20)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, side in (("manifest", "left"), ("other", "right")):
        lines = [{"audio": f"sounds/{sound}.wav", "prompt": f"a tone on the {side}"} for sound in "ab"]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "separator.py").write_text(SEPARATOR)
    _write_answers(folder / "study")


def _write_answers(folder: Path) -> None:
    """A key of a study and what one listener answered."""
    folder.mkdir()
    objects = [{"object": "cello", "azimuth_deg": 55.0}]
    key = {"format": 1, "study": "feedfacecafebeef", "seed": 0, "systems": ["one"]}
    key |= {"clips": [{"clip": "x", "objects": objects}], "items": [{"item": 1, "clip": "x", "system": "one"}]}
    said = {"format": 1, "study": key["study"], "session": "s", "participant": "p", "finished": None}
    said |= {"started": "2026-01-01T12:00:00.000Z", "check": {"passed": True, "attempts": 1}}
    said |= {"items": [{"item": 1, "answers": ["left"], "plays": 1, "listened_s": 1.0}]}
    (folder / "key.json").write_text(json.dumps(key))
    (folder / "answers.json").write_text(json.dumps(said))


# ---------------------------------------------------------------------------- failing calls


class Calls:
    """What is shared with the shim: how many calls there were, and which is to fail.

    Args:
        path: of the file that all processes map.
        folder: below which calls count.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_CONTROL.size))
        with path.open("r+b") as file:
            self._there = mmap.mmap(file.fileno(), _CONTROL.size)
        self._folder = os.fsencode(folder)

    def arm(self, fail_at: int, number: int = errno.EIO, go_on: bool = False) -> None:
        """Count from 0, and let one call fail; 0 switches it off."""
        self._there[:] = _CONTROL.pack(0, fail_at, number, go_on, self._folder, b"")

    def disarm(self) -> tuple[int, str]:
        """How many calls there were, and which of them failed first."""
        count, *_, name = _CONTROL.unpack(self._there[:])
        self.arm(0)
        return count, name.rstrip(b"\0").decode()


def shim(folder: Path) -> Path:
    """The compiled shim.

    Raises:
        OSError: there is no compiler.
        subprocess.CalledProcessError: it does not compile.
    """
    made = folder / "failing_calls.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(SHIM), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return made


# ---------------------------------------------------------------------------- runs


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    said: str


class Sweep:
    """Runs of one door.

    Args:
        name: of the door.
        door: what is run.
        root: holds ``in``, and ``work``, below which calls count.
    """

    def __init__(self, name: str, door: Door, root: Path) -> None:
        self.name, self._door, self._root = name, door, root
        self.out, self.temporary = root / "work" / "out", root / "work" / "tmp"
        self.found: list[str] = []
        self.old: dict[str, str] = {}
        self.runs = 0
        self.prints = door.prints
        if door.force:
            self._clear()
            self._must(self._words(other=True))
            self.old = contents(self.out)
            shutil.copytree(self.out, root / f"old-{name}")
        self._clear()
        self._must(self._words())
        self.new = contents(self.out)

    def _words(self, other: bool = False, force: bool = False) -> list[str]:
        text = self._door.words.replace(*self._door.other) if other else self._door.words
        places = {"{out}": str(self.out), "{in}": str(self._root / "in")}
        words = [re.sub("{(out|in)}", lambda found: places[found[0]], part) for part in shlex.split(text)]
        return [*words, *(["--force"] if force else [])]

    def run(self) -> Ended:
        """Run it as things are, with nothing that is there before."""
        with self._opened() as printed:
            return run(self._words(), self.temporary, printed)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int | None]:
        """Where standard output goes, as a shell would open it, which is not the program's call."""
        how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(self.out / PRINTED, how, 0o666) if self.prints else None
        try:
            yield opened
        finally:
            if opened is not None:
                os.close(opened)

    def _must(self, words: list[str]) -> None:
        with self._opened() as printed:
            ended = run(words, self.temporary, printed)
        if ended.code:
            raise SystemExit(f"{self.name} does not work at all: {words}: {ended}")

    def _clear(self, with_old: bool = False) -> None:
        for folder in (self.out, self.temporary, self.out.parent / "cache"):
            shutil.rmtree(folder, ignore_errors=True)
        self.temporary.mkdir(parents=True)
        if with_old:
            shutil.copytree(self._root / f"old-{self.name}", self.out)
        else:
            self.out.mkdir()

    def calls(self, calls: Calls, with_old: bool) -> int:
        """How many calls there are when none fails."""
        self._clear(with_old)
        words = self._words(force=with_old)
        with self._opened() as printed:
            calls.arm(2**60)
            ended = run(words, self.temporary, printed)
            count, _ = calls.disarm()
        if ended.code:
            raise SystemExit(f"{self.name} does not work with calls that are counted: {words}: {ended}")
        return count

    def fail(self, calls: Calls, at: int, how: tuple[int, bool], with_old: bool) -> None:
        """Let a call fail, and look at what is left."""
        self._clear(with_old)
        with self._opened() as printed:
            calls.arm(at, *how)
            ended = run(self._words(force=with_old), self.temporary, printed)
            _, call = calls.disarm()
        place = f"{errno.errorcode[how[0]]} {'from' if how[1] else 'at'} call {at} on ({call})"
        self.judge(ended, f"{place}, {'over old outputs' if with_old else 'fresh'}")

    def judge(self, ended: Ended, where: str) -> None:
        """Note all that is wrong after a run."""
        self.runs += 1
        wrong = []
        lines = ended.said.splitlines()
        errors = [line for line in lines if line.startswith(("tas: error: ", "tas: failed: "))]  # as doctor says it
        there = contents(self.out)
        if "Traceback" in ended.said:
            wrong.append("a traceback")
        if ended.code == 0:
            if odd := [name for name, what in self.new.items() if there.get(name) != what]:
                wrong.append(f"exit code 0, and not as it should be: {odd}")
        elif ended.code not in (1, 2):
            wrong.append(f"exit code {ended.code}")
        elif self._many and not errors:
            if not re.search(r"[1-9]\d* failed", ended.said):
                wrong.append("nothing is said")
        elif not errors or (len(errors) > 1 and not self._many):  # of many files, each has a line
            wrong.append(f"{len(errors)} error lines")
        elif any(str(self._root / "work") not in line for line in errors) and "standard output" not in errors[0]:
            wrong.append("the line names no place")
        for name, what in there.items():
            if name == PRINTED and ended.code:
                continue  # whoever reads it knows by the code that it is not all
            if what not in (self.old.get(name), self.new.get(name), KEPT) and not self._grows(name):
                wrong.append(f"{name} is not whole")
        if lost := self.old.keys() - there.keys():
            if where.endswith("outputs"):
                wrong.append(f"lost: {sorted(lost)}")
        places = (self.out, self.temporary, self.out.parent / "cache")
        if hidden := [
            str(path)
            for folder in places
            for path in folder.rglob("*")
            if path.name.startswith(".") or folder == self.temporary
            if "matplotlib-" not in str(path)
        ]:  # fmt: skip (which it removes at a real end of the process)
            wrong.append(f"left behind: {hidden}")
        self.found += [f"{self.name}: {where}: {what}; it said {ended.said.strip()[-300:]!r}" for what in wrong]

    @property
    def _many(self) -> bool:
        """Whether it makes several files, each of which may fail by itself."""
        return "--out-dir" in self._door.words

    def _grows(self, name: str) -> bool:
        """Whether a file is appended to, line by line, or saved again and again."""
        return name.endswith(".jsonl") or name.startswith("run/")


def run(words: Sequence[str], temporary: Path, printed: int | None = None) -> Ended:
    """A command in a fork of this process; what it prints goes to a descriptor, or nowhere."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(read)
        _be(words, temporary, write, printed)
    os.close(write)
    with os.fdopen(read, "rb") as said:
        text = said.read().decode(errors="replace")
    return Ended(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text)


def _be(words: Sequence[str], temporary: Path, write: int, printed: int | None) -> None:
    """The life of a forked process: a command, whose words to people go into a pipe."""
    from tas_cli.main import main
    from tas_core.errors import TasError

    code: object = 1
    try:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null if printed is None else printed, 1)
        os.dup2(write, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")  # the old ones know files that can be sought in
        os.environ["TMPDIR"] = str(temporary)
        os.environ["XDG_CACHE_HOME"] = str(temporary.parent / "cache")
        tempfile.tempdir = str(temporary)
        sys.argv = ["tas", *words]
        try:
            ASKED[words[0]](*words[1:]) if words[0] in ASKED else main()
            code = 0
        except TasError as error:  # before there is anybody to ask
            print(f"tas: error: {error}", file=sys.stderr)
            code = error.exit_code
        except SystemExit as stop:
            code = stop.code or 0
        from tas_core.system.partial_files import remove_own

        remove_own()  # as at the end of any process
        sys.stdout.flush()  # as well
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def contents(folder: Path) -> dict[str, str]:
    """What is in each file below a folder, in short, without times of day and durations."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not any(part.startswith(".") for part in Path(name).parts):
            try:
                found[name] = _content(path)
            except Exception as error:
                found[name] = f"cannot be read: {error}"
    return found


def _content(path: Path) -> str:
    import soundfile
    from safetensors.torch import load_file

    from tas_core.studio.session import AUTOSAVE_ENDING, _read_autosave

    if path.suffix in SOUNDS or (path.name == PRINTED and path.read_bytes()[:4] == b"RIFF"):
        samples, rate_hz = soundfile.read(path)
        return f"{samples.shape} at {rate_hz} Hz, {hashlib.sha256(samples.tobytes()).hexdigest()}"
    if path.name == PRINTED and path.read_bytes()[:1] != b"{":
        return re.sub(r"[\d.]+", "#", path.read_text())
    if path.suffix == ".jsonl" or path.name == PRINTED:
        lines = [_without(json.loads(line)) for line in path.read_text().splitlines()]
        return json.dumps(lines, sort_keys=True)
    if path.name == "training.safetensors":  # its header has the seconds that the run took
        tensors = sorted(load_file(path).items())
        return hashlib.sha256(b"".join(value.numpy().tobytes() for _, value in tensors)).hexdigest()
    if path.suffix == ".json":
        return json.dumps(_without(json.loads(path.read_text())), sort_keys=True)
    if path.name.endswith(AUTOSAVE_ENDING):  # beside a scene that could not be saved
        return KEPT if _read_autosave(path) else "nothing is kept"
    if path.suffix in (".opus", ".m4a", ".iamf", ".mp4", ".mov", ".mkv", ".webm"):
        said = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "s16le", "-"]
        done = subprocess.run(said, capture_output=True, check=True, stdin=subprocess.DEVNULL)
        return hashlib.sha256(done.stdout).hexdigest()
    if path.suffix == ".html":
        return "a page" if path.read_text().rstrip().endswith("</html>") else "half a page"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner) for key, inner in value.items() if key not in VOLATILE}
    return [_without(inner) for inner in value] if isinstance(value, list) else value


# ---------------------------------------------------------------------------- sweeps


def sweep_calls(sweep: Sweep, calls: Calls, given: argparse.Namespace) -> None:
    """Every call, or some of them."""
    most, draws = given.most, random.Random(f"{given.seed} {sweep.name}")
    for with_old in (False, True) if sweep.old else (False,):
        count = sweep.calls(calls, with_old)
        chosen = list(range(1, count + 1))
        if most is not None and count > most:
            chosen = sorted(draws.sample(chosen, most))
        for name in given.errors:
            for at in chosen:
                sweep.fail(calls, at, FAILURES[name], with_old)


def sweep_disk(sweep: Sweep, sizes: int) -> None:
    """Disks of sizes from one page up to that which holds all."""
    work = sweep.out.parent
    used = sum(path.stat().st_blocks * 512 for path in work.rglob("*") if path.is_file())
    page = os.sysconf("SC_PAGESIZE")
    pages = 3 * used // page + 16
    for number in range(sizes):
        size = 1 + round((pages - 1) * (number / max(1, sizes - 1)) ** 2)
        with disk(work, size * page) as mounted:
            if not mounted:
                print("disks: left out, whoever runs this may not mount any", file=sys.stderr)
                return
            sweep.judge(sweep.run(), f"a disk of {size} pages")
            if number == sizes - 1 and not sweep.prints:  # a shell would not begin there
                subprocess.run(["mount", "-o", "remount,ro", str(work)], check=True)
                sweep.judge(sweep.run(), "a disk that can only be read")


@contextlib.contextmanager
def disk(folder: Path, num_bytes: int) -> Iterator[bool]:
    """A file system of some size at the place of a folder, with the folders of outputs and temporary files in it."""
    shutil.rmtree(folder)
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={num_bytes}", "none", str(folder)]
    mounted = not subprocess.run(["mount", *options], capture_output=True, check=False).returncode
    try:
        for name in ("out", "tmp"):
            (folder / name).mkdir()
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("doors", nargs="*", help="names; all by default")
    parser.add_argument("--most", type=int, help="calls of each door, drawn; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--disk", action="store_true", help="only small disks")
    parser.add_argument("--calls", action="store_true", help="only failing calls")
    parser.add_argument("--errors", nargs="+", choices=FAILURES, default=[*FAILURES], help="of calls; all by default")
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--list", action="store_true", help="print names and commands, and do nothing")
    given = parser.parse_args()
    if given.list:
        print(*(f"{name}: tas {door.words}" for name, door in doors().items()), sep="\n")
        return 0
    if given.root is None:
        with tempfile.TemporaryDirectory(prefix="tas-writes-") as folder:
            control = Path(folder) / "control"
            control.write_bytes(bytes(_CONTROL.size))
            loaded = {} if given.disk else {"LD_PRELOAD": str(shim(Path(folder))), "TAS_FAILING_CALLS": str(control)}
            command = [sys.executable, __file__, *sys.argv[1:], "--root", folder]
            return subprocess.run(command, env=os.environ | VARIABLES | loaded, check=False).returncode
    return swept(given)


def _impossible(name: str) -> str:
    """Why a door cannot be opened on this machine; empty where it can."""
    from tas_core.delivery.formats import FORMATS, check_encoder_of
    from tas_core.errors import TasError

    try:
        if name in FORMATS:
            check_encoder_of(FORMATS[name])
    except TasError as error:
        return str(error)
    return ""


def swept(given: argparse.Namespace) -> int:
    """All sweeps, in a process that has the shim."""
    from tests.support.warm import warm_up

    root: Path = given.root
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nothing goes on without who asked for it
    warm_up()
    make_inputs(root / "in")
    calls = Calls(root / "control", root / "work")
    found: list[str] = []
    known = doors()
    for name in given.doors or known:
        if why := _impossible(name):
            print(json.dumps({"door": name, "left_out": why}), flush=True)
            continue
        began = time.monotonic()
        sweep = Sweep(name, known[name], root)
        if not given.disk:
            sweep_calls(sweep, calls, given)
        failed = sweep.runs
        if not given.calls:
            sweep_disk(sweep, min(given.most or DISK_SIZES, DISK_SIZES))
        took_s = round(time.monotonic() - began, 1)
        found += sweep.found
        about = {"door": name, "calls": failed, "disks": sweep.runs - failed, "wrong": len(sweep.found)}
        print(json.dumps(about | {"took_s": took_s}), flush=True)
        print(*sweep.found, sep="\n", file=sys.stderr, flush=True)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

"""Mixed requests through one process for as long as you like, and whether memory, files and threads stay as they are.

    python tools/soak.py --minutes 60 --seed 0 --log soak.jsonl

Does what a server would: loads a model once, and makes one request after another of
:func:`tas_core.jobs.process_file.process_file`: sounds of other rates, lengths and formats, prompts and timelines of
all formats with names that did not occur before, both renderers, all formats of delivery, stems, sidecars, pages, and
one request in five that is an error. A sample is taken every so many requests, after a collection of garbage and
``malloc_trim``, so that what is counted is held by somebody. It ends with 1 if memory after the warm-up grows by more
than 5 %, a descriptor, a thread, a child or a temporary file is left, anything but an error of ours is raised, or, in
300 requests and more, something that is asked for (a format, a page, objects' own files) is never made.
"""

import argparse
import ctypes
import gc
import json
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing import active_children
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import soundfile

from tas_core.audio.normalised_writer import Levels
from tas_core.errors import TasError
from tas_core.inference.engine import LoadedModel, load_model
from tas_core.inference.settings import RenderSettings
from tas_core.jobs.process_file import process_file
from tas_core.jobs.request import FileOptions, FileRequest, prepare_file
from tas_core.timeline.sources import SourceFile

WARM_UP: Final = 0.25
"""The first part of the samples, in which caches fill."""
ALLOWED: Final = 0.05
RATES_HZ: Final = (8000, 16_000, 22_050, 44_100, 48_000, 96_000)
NAMES: Final = ("cello", "piano", "dog", "man talking", "rain", "violin", "church bell", "acoustic guitar", "car")
PLACES: Final = ("on the left", "on the right", "in the center", "at 40 degrees", "from left to right")
AROUND: Final = ("behind me on the left", "above", "far away on the right", "in a circle around me")
INPUTS: Final = {"wav": "PCM_16", "flac": "PCM_24", "ogg": "VORBIS", "aiff": "PCM_16", "mp3": "MPEG_LAYER_III"}
OUTPUTS: Final = ("wav", "flac", "ogg", "mp3", "aiff", "opus", "m4a")
ASKED: Final = ("prompt", "timeline", "own files", "page", "stems")
ENOUGH: Final = 300
"""Requests among which each that can be made is made once."""
FORMATS: Final = ("stereo", "5.1", "5.1.4", "7.1.4", "ambix1", "ambix2", "ambix3", "adm", "objects", "rpp", "osc")


@dataclass(frozen=True)
class Sample:
    """What the process holds at one time."""

    second: float
    requests: int
    resident_mb: float
    descriptors: int
    threads: int
    children: int
    temporary: int
    objects: int


class Soak:
    """Requests drawn from a seed, made in folders of their own that are emptied after each.

    Args:
        model: to render with.
        folder: for inputs and outputs; ``TMPDIR`` is a folder in it.
        seed: of the requests.
        longest_s: of the sounds.
    """

    def __init__(self, model: LoadedModel, folder: Path, seed: int, longest_s: float = 6.0) -> None:
        self._model, self._folder, self._longest_s = model, folder, longest_s
        self._rng = np.random.default_rng(seed)
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        tempfile.tempdir = str(self.temporary)
        self.ends: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self._began = time.monotonic()

    def request(self) -> None:
        """Make one request, or fail at it as it should."""
        number = self.ends.total()
        work = self._folder / f"{number:06d}"
        work.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                request, options = self._draw(work)
                with prepare_file(request, options) as prepared:
                    process_file(prepared, self._model)
                end = "made"
                self.made.update(asked_for(request))
            except TasError as error:
                end = type(error).__name__
            except Exception as error:  # whatever it is, the others go on
                end = "unexpected"
                self.unexpected.append(f"request {number}: {type(error).__name__}: {error}")
        self.ends[end] += 1
        for path in sorted(work.rglob("*"), reverse=True):
            if ".part" in path.name:
                self.unexpected.append(f"request {number}: {path.name} was left")
            path.rmdir() if path.is_dir() else path.unlink()
        work.rmdir()

    def sample(self) -> Sample:
        """Count what is held now."""
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return Sample(
            round(time.monotonic() - self._began, 1),
            self.ends.total(),
            round(pages * os.sysconf("SC_PAGESIZE") / 1e6, 2),
            len(os.listdir("/proc/self/fd")),
            len(os.listdir("/proc/self/task")),
            len(active_children()),
            sum(1 for _ in self.temporary.rglob("*")),
            len(gc.get_objects()),
        )

    def _pick(self, choices: Any) -> Any:
        return choices[int(self._rng.integers(len(choices)))]

    def _name(self) -> str:
        """One of a few names, or one that never occurred."""
        if self._rng.random() < 0.7:
            return str(self._pick(NAMES))
        return "".join(chr(97 + int(letter)) for letter in self._rng.integers(26, size=7)) + " " + self._pick(NAMES)

    def _sound(self, path: Path, subtype: str, seconds: float) -> Path:
        rate_hz = int(self._pick(RATES_HZ[:5] if path.suffix in (".mp3", ".ogg") else RATES_HZ))
        rate_hz = max(rate_hz, 16_000) if path.suffix == ".mp3" else rate_hz
        channels = int(self._pick((1, 1, 2)))
        sound = 0.1 * self._rng.standard_normal((round(seconds * rate_hz), channels))
        sound *= np.abs(np.sin(np.arange(len(sound)) * 20 / rate_hz))[:, None]
        soundfile.write(path, sound, rate_hz, subtype=subtype)
        return path

    def _part(self, source: Path) -> Path:
        """A sound that another, written anew, is the sum of with what was there."""
        samples, rate_hz = soundfile.read(source, always_2d=True)
        part = 0.1 * self._rng.standard_normal(samples.shape)
        soundfile.write(source, samples + part, rate_hz, subtype=INPUTS[source.suffix[1:]])
        soundfile.write(path := source.with_name("given.wav"), part, rate_hz, subtype="FLOAT")
        return path

    def _words(self, places: tuple[str, ...]) -> str:
        count = int(self._rng.integers(1, 4))
        names: list[str] = []
        while len(names) < count:
            if (name := self._name()) not in names:
                names.append(name)
        return ", ".join(f"{name} {self._pick(places)}" for name in names)

    def _timeline(self, work: Path, seconds: float, places: tuple[str, ...]) -> Path:
        first, second, middle = self._words(places), self._words(places), seconds / 2
        ending = self._pick(("yaml", "srt", "vtt", "txt"))
        path = work / f"scene.{ending}"
        if ending == "yaml":
            text = f"prompts:\n  - {{start: 0, text: '{first}'}}\n  - {{start: {middle:.3f}, text: '{second}'}}\n"
        elif ending == "txt":
            text = f"0\t{middle:.3f}\t{first}\n{middle:.3f}\t{seconds:.3f}\t{second}\n"
        else:
            mark = "," if ending == "srt" else "."
            clock = lambda t: f"00:00:{t:06.3f}".replace(".", mark)  # noqa: E731
            lines = [f"{clock(0)} --> {clock(middle)}\n{first}", f"{clock(middle)} --> {clock(seconds)}\n{second}"]
            numbered = [f"{n}\n{line}" for n, line in enumerate(lines, 1)] if ending == "srt" else ["WEBVTT", *lines]
            text = "\n\n".join(numbered) + "\n"
        path.write_text(text)
        return path

    def _draw(self, work: Path) -> tuple[FileRequest, FileOptions]:
        """A request and its options; one in five is wrong in one way or another."""
        rng, wrong = self._rng, self._rng.random() < 0.2
        seconds = float(rng.uniform(0.3, self._longest_s))
        ending = self._pick(tuple(INPUTS))
        source = self._sound(work / f"in.{ending}", INPUTS[ending], seconds)
        on_sphere = rng.random() < 0.25
        places = (*PLACES, *AROUND) if on_sphere else PLACES
        formats: tuple[str, ...] = ()
        if rng.random() < 0.3:
            formats = ("binaural", self._pick(FORMATS)) if rng.random() < 0.5 else (self._pick(FORMATS),)
        out = work / f"out.{'wav' if formats else self._pick(OUTPUTS)}"
        if len(formats) == 1 and formats[0] in ("objects", "rpp", "osc"):
            out = out.with_suffix(f".{formats[0]}")
        has_binaural = not formats or "binaural" in formats
        how: dict[str, Any] = {"timeline_path": self._timeline(work, seconds, places)}
        if rng.random() < 0.5:
            how = {"prompt": self._words(places)}
        if rng.random() < 0.2:
            how = {"prompt": "oboe on the left", "objects": (SourceFile("oboe", self._part(source)),)}
        if has_binaural and rng.random() < 0.2:
            how["page"] = work / "page.html"
        if rng.random() < 0.2:
            how["stems"] = work / "stems"
        loud = {"loudness_lufs": -23.0} if rng.random() < 0.2 and not formats else {}
        options = FileOptions(
            render=RenderSettings(steps=self._pick((None, 2, 4)), seed=int(rng.integers(100))),
            levels=Levels(**loud),
            sidecar=rng.random() < 0.3,
        )
        if wrong:
            spoil = self._pick((self._cut, self._garbage, self._missing, self._no_words, self._exists))
            spoil(work, source, out, how)
        return FileRequest(source, out, formats=formats, **how), options

    def _cut(self, work: Path, source: Path, out: Path, how: dict[str, Any]) -> None:
        del work, out, how
        data = source.read_bytes()
        source.write_bytes(data[: int(self._rng.integers(len(data)))])

    def _garbage(self, work: Path, source: Path, out: Path, how: dict[str, Any]) -> None:
        del work, out, how
        source.write_bytes(self._rng.bytes(2000))

    def _missing(self, work: Path, source: Path, out: Path, how: dict[str, Any]) -> None:
        del work, out, how
        source.unlink()

    def _no_words(self, work: Path, source: Path, out: Path, how: dict[str, Any]) -> None:
        del work, source, out
        how.pop("timeline_path", None)
        how["prompt"] = self._pick(("", "left", "cello on the lefft", "cello at 400 degrees", "\0"))

    def _exists(self, work: Path, source: Path, out: Path, how: dict[str, Any]) -> None:
        del work, source, how
        out.write_bytes(b"mine")


def asked_for(request: FileRequest) -> list[str]:
    """What a request asks for, of :data:`ASKED`, :data:`FORMATS`, :data:`INPUTS` and :data:`OUTPUTS`."""
    given = (request.prompt, request.timeline_path, request.objects, request.page, request.stems)
    asked = [name for name, value in zip(ASKED, given, strict=True) if value]
    return [*asked, *request.formats, f"from {request.source.suffix[1:]}", f"to {request.out.suffix[1:]}"]


def never_made(made: Counter[str]) -> list[str]:
    """What a long soak has to have made and has not."""
    wanted = [*ASKED, *FORMATS, *(f"from {ending}" for ending in INPUTS), *(f"to {ending}" for ending in OUTPUTS)]
    return [f"never made: {name}" for name in wanted if name not in made]


def grown(samples: list[Sample], what: Callable[[Sample], float]) -> float:
    """By how much the last quarter is above the first after the warm-up, as a fraction; medians of both."""
    settled = samples[int(len(samples) * WARM_UP) :]
    part = max(1, len(settled) // 4)
    first, last = median(map(what, settled[:part])), median(map(what, settled[-part:]))
    return last / first - 1 if first else float(last > 0)


def complaints(samples: list[Sample], unexpected: list[str]) -> list[str]:
    """What is not as it should be."""
    found = list(unexpected)
    if (more := grown(samples, lambda s: s.resident_mb)) > ALLOWED:
        found.append(f"memory grew by {more:.1%} after the warm-up, allowed are {ALLOWED:.0%}")
    settled = samples[int(len(samples) * WARM_UP) :]
    for name in ("descriptors", "threads"):
        first, last = getattr(settled[0], name), getattr(settled[-1], name)
        if last > first:
            found.append(f"{last} {name} at the end, {first} after the warm-up")
    for name in ("children", "temporary"):
        if left := getattr(settled[-1], name):
            found.append(f"{left} {name} left at the end")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=20, help="requests between samples")
    parser.add_argument("--longest", type=float, default=6.0, help="seconds of sound at most")
    parser.add_argument("--model", default="slots")
    parser.add_argument("--log", type=Path, help="samples as lines of JSON")
    given = parser.parse_args()
    model = load_model(given.model, "cpu")
    until = time.monotonic() + 60 * given.minutes
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(prefix="tas-soak-") as folder:
        soak = Soak(model, Path(folder), given.seed, given.longest)
        while time.monotonic() < until:
            for _ in range(given.every):
                soak.request()
            samples.append(soak.sample())
            line = json.dumps(asdict(samples[-1]))
            print(line, flush=True)
            if given.log:
                with given.log.open("a") as log:
                    log.write(line + "\n")
        tempfile.tempdir = None
    found = complaints(samples, soak.unexpected)
    if soak.ends.total() >= ENOUGH:
        found += never_made(soak.made)
    change = grown(samples, lambda s: s.resident_mb)
    print(f"{soak.ends.total()} requests: {dict(soak.ends)}; memory {change:+.2%} after the warm-up", file=sys.stderr)
    print(*found, sep="\n", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

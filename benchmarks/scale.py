"""What an hour of sound costs in CPU seconds, and which part of it is decoding, encoding and transfer.

    python benchmarks/scale.py --out benchmarks/results/scale.json

Sounds are the duet of the examples, again and again. All figures are CPU seconds (user and system, of a process and all
that it starts, looked at ten times a second), not times by the clock, so other work on the machine matters little, and
each process computes with one thread. The start of a program and the loading of its model, which are paid once for all
files, are measured with a sound of a second and left out. Transfer is to a store that answers S3, if
``FSSPEC_S3_ENDPOINT_URL`` names one (moto: ``moto_server -p 5555``): what this side of it takes, without the wire.
``--ray`` also has the files made by a Ray cluster of this machine, and counts all processes of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tas_core.audio.formats import AudioFormat, output_subtype
from tas_core.audio.normalised_writer import NormalisedWriter
from tas_core.audio.reader import AudioReader
from tas_core.audio.resampling import resample
from tas_core.evaluation.results import describe_machine
from tas_core.jobs.batch.stores import download, upload
from tas_core.jobs.request import READ_FRAMES, mono_pieces

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "trumpet on the left, drums on the right"
RATE_HZ = 44_100
TICKS = os.sysconf("SC_CLK_TCK")


def write_sound(path: Path, seconds: float) -> Path:
    """The duet, mono, 16 bits where the format has bits."""
    samples, rate_hz = soundfile.read(ROOT / "examples" / "duet.flac")
    samples = np.resize(resample(samples, rate_hz, RATE_HZ), round(seconds * RATE_HZ))
    with soundfile.SoundFile(path, "w", RATE_HZ, 1) as file:
        for start in range(0, len(samples), 2**16):  # libsndfile's encoder of Vorbis crashes on long pieces
            file.write(samples[start : start + 2**16])
    return path


def cpu_by_process(root: int) -> dict[int, float]:
    """CPU seconds of a process and of those that it has started, by their numbers."""
    parents, taken = {}, {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        parents[int(name)] = int(fields[1])
        taken[int(name)] = (int(fields[11]) + int(fields[12])) / TICKS
    found = {root} & taken.keys()
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: taken[pid] for pid in found}


def cpu_s(commands: list[list[str]]) -> float:
    """CPU seconds of programs that run side by side, and of all that they start."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    running = [subprocess.Popen(words, stdout=subprocess.DEVNULL, env=environment) for words in commands]
    last: dict[int, float] = {}
    while any(process.poll() is None for process in running):
        for process in running:
            last |= cpu_by_process(process.pid)
        time.sleep(0.1)
    if any(process.returncode for process in running):
        raise SystemExit(f"a program failed: {[process.returncode for process in running]}")
    return sum(last.values())


def batch(folder: Path, out: Path, *options: str) -> list[str]:
    """The words that make all files of a folder."""
    program = [sys.executable, "-c", "from tas_cli.main import main; main()", "spatialize", str(folder)]
    return [*program, "--out-dir", str(out), "-p", PROMPT, "--device", "cpu", *options]


def own_cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of this process for some work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def decode(path: Path) -> None:
    """Read a file as a rendering does."""
    with AudioReader(path) as reader:
        for _ in mono_pieces(reader, None):
            pass


def encode(path: Path) -> None:
    """Write two ears of a sound as a rendering does."""
    with AudioReader(path) as reader:
        mono = np.concatenate(list(mono_pieces(reader, None)))
        out = path.with_name(f"encoded{path.suffix}")
        form = AudioFormat(reader.sample_rate_hz, 2, len(mono), output_subtype(out, reader.subtype), {})
        subtype = reader.subtype
    ears = np.stack([mono, 0.5 * mono]).astype(np.float32)
    with NormalisedWriter(out, form, subtype) as writer:
        for start in range(0, len(mono), READ_FRAMES):
            writer.write(ears[:, start : start + READ_FRAMES])


def measured(folder: Path, seconds: float, *, with_ray: bool) -> dict[str, Any]:
    """All figures, for an hour of sound."""
    per_hour = 3600.0 / seconds
    found: dict[str, Any] = {"formats": {}}
    for ending in ("flac", "wav", "mp3", "ogg"):
        path = write_sound(folder / f"sound.{ending}", seconds)
        decode_s = own_cpu_s(lambda path=path: decode(path)) * per_hour
        encode_s = own_cpu_s(lambda path=path: encode(path)) * per_hour - decode_s
        sizes = [path.stat().st_size, path.with_name(f"encoded.{ending}").stat().st_size]
        found["formats"][ending] = {
            "decode_cpu_s_per_hour": decode_s,
            "encode_cpu_s_per_hour": encode_s,
            "megabytes_per_hour_in": sizes[0] * per_hour / 1e6,
            "megabytes_per_hour_out": sizes[1] * per_hour / 1e6,
        }
    if os.environ.get("FSSPEC_S3_ENDPOINT_URL"):
        found["transfer"] = transfer(folder / "sound.wav")
    print(json.dumps(found), file=sys.stderr)
    short, one = folder / "short", folder / "one"
    two = [folder / "two-a", folder / "two-b"]
    for place in (short, one, *two):
        place.mkdir()
    write_sound(short / "s.flac", 1.0)
    for place in (one, *two):
        write_sound(place / "s.flac", seconds)
    start_s = cpu_s([batch(short, folder / "o1")])
    alone_s = cpu_s([batch(one, folder / "o2")])
    beside_s = cpu_s([batch(place, folder / f"o{place.name}") for place in two])
    found["start_cpu_s"] = start_s
    found["cpu_s_per_hour"] = {
        "1 process": (alone_s - start_s) * per_hour,
        "2 processes": (beside_s / 2 - start_s) * per_hour,
    }
    print(json.dumps(found), file=sys.stderr)
    if with_ray:
        many = folder / "many"
        many.mkdir()
        count = 20
        for number in range(count):
            write_sound(many / f"{number}.flac", 1.0)
        some = cpu_s([batch(short, folder / "or1", "--ray", "local", "--jobs", "1")])
        found["ray"] = {
            "start_cpu_s": some,
            "cpu_s_per_file_of_1_s": (cpu_s([batch(many, folder / "or2", "--ray", "local", "--jobs", "1")]) - some)
            / (count - 1),
            "without_ray": (cpu_s([batch(many, folder / "or3")]) - start_s) / (count - 1),
        }
    return found


def transfer(path: Path) -> dict[str, float]:
    """CPU seconds of this side for a gigabyte up, and one down."""
    import fsspec

    system = fsspec.filesystem("s3")
    if not system.exists("tas-scale"):
        system.mkdir("tas-scale")
    gigabytes = path.stat().st_size / 1e9
    url = f"s3://tas-scale/{path.name}"
    upload(path, url, overwrite=True)  # the connection is there then
    up_s = own_cpu_s(lambda: upload(path, url, overwrite=True))
    down_s = own_cpu_s(lambda: download(url, path.with_name("down")))
    return {"up_cpu_s_per_gigabyte": up_s / gigabytes, "down_cpu_s_per_gigabyte": down_s / gigabytes}


def a_million_hours(found: dict[str, Any], ending: str) -> dict[str, float]:
    """What follows for a million hours of sound in one format, in and out.

    CPU seconds are those of two processes side by side, with the coding of the format in place of FLAC, and transfer.
    """
    form, flac = found["formats"][ending], found["formats"]["flac"]
    both = lambda each: each["decode_cpu_s_per_hour"] + each["encode_cpu_s_per_hour"]  # noqa: E731
    model_s = found["cpu_s_per_hour"]["2 processes"] - both(flac)
    come_gb, go_gb = form["megabytes_per_hour_in"] / 1e3, form["megabytes_per_hour_out"] / 1e3
    moved = found["transfer"]
    transfer_s = come_gb * moved["down_cpu_s_per_gigabyte"] + go_gb * moved["up_cpu_s_per_gigabyte"]
    total_s = model_s + both(form) + transfer_s
    per_core_hours_an_hour = 3600 / total_s
    return {
        "core_hours": 1e6 * total_s / 3600,
        "days_on_1000_cores": 1e3 / per_core_hours_an_hour / 24,
        "terabytes_in": 1e3 * come_gb,
        "terabytes_out": 1e3 * go_gb,
        "gigabits_per_s_of_1000_cores": 1e3 * per_core_hours_an_hour * (come_gb + go_gb) * 8 / 3600,
        "model_share": model_s / total_s,
        "coding_share": both(form) / total_s,
        "transfer_share": transfer_s / total_s,
        "hours_per_core_hour": per_core_hours_an_hour,
        "hours_per_core_hour_without_model": 3600 / (both(form) + transfer_s),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="length of a sound")
    parser.add_argument("--ray", action="store_true", help="also on a Ray cluster of this machine")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), options.seconds, with_ray=options.ray)
    if "transfer" in found:
        found["a_million_hours"] = {ending: a_million_hours(found, ending) for ending in found["formats"]}
    text = json.dumps({"machine": describe_machine("cpu", 1, 1), "seconds": options.seconds, **found}, indent=2) + "\n"
    if options.out is not None:
        options.out.write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()

"""What the whole program takes and leaves beside the tone on the whole sphere: writes JSON and prints it.

    python benchmarks/around_program.py --out benchmarks/results/around_program.json

Six moving objects in a small room, 60 s, by `spatialize_file` with given sounds, so that no separation counts: seconds
of CPU per second of sound, reading and writing included. And a tone of 1 kHz that turns once around the listener: what
is beside its spectral line, and the largest jump.

`--minutes 1 10 60` measures memory alone: the largest resident size of the program for long inputs, one sound that
is behind in a small room, over a rest, at 8 kHz, by files and by pipes.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import tas_core
from tas_core.audio.reader import read_audio
from tas_core.jobs.request import FileOptions

RATE_HZ = 48_000
SIX = (
    "dog circles around clockwise every 8 seconds; bell circles around counterclockwise every 5 seconds, starting"
    " behind; helicopter passes overhead from front to back; car moves from the left via the front to the right;"
    " bird flies away from 1 m to 30 m on the left; cat moves from back left to above; in a small room"
)
TONE_HZ = 1000.0


def written(folder: Path, name: str, sound: np.ndarray) -> Path:
    """A file of floats of a mono sound (time)."""
    path = folder / f"{name}.wav"
    soundfile.write(path, sound, RATE_HZ, subtype="FLOAT")
    return path


def speed(folder: Path, seconds: int, laps: int) -> dict[str, Any]:
    """Seconds of CPU per second of sound, the fastest of some laps."""
    rng = np.random.default_rng(0)
    names = ("dog", "bell", "helicopter", "car", "bird", "cat")
    sounds = {name: written(folder, name, 0.05 * rng.standard_normal(seconds * RATE_HZ)) for name in names}
    taken = []
    for lap in range(laps):
        began = time.process_time()
        result = tas_core.spatialize_file(None, folder / f"out{lap}.wav", prompt=SIX, sources=sounds)
        taken.append((time.process_time() - began) / seconds)
    return {
        "seconds": seconds,
        "renderer": result.renderer,
        "cpu_s_per_s": round(min(taken), 4),
        "laps": laps,
    }


def turn(folder: Path, seconds: float) -> dict[str, float]:
    """A tone that turns once: levels beside it, over that of the tone, dB."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    tone = written(folder, "tone", 0.25 * np.sin(2 * np.pi * TONE_HZ * time_s))
    prompt = f"tone circles around clockwise every {seconds:g} seconds, starting in front"
    options = FileOptions(subtype="FLOAT", overwrite=True)
    tas_core.spatialize_file(None, folder / "turn.wav", prompt=prompt, sources={"tone": tone}, options=options)
    ears = read_audio(folder / "turn.wav").samples[:, 4096:-4096]
    window = np.blackman(ears.shape[1]) ** 2
    power = np.abs(np.fft.rfft(ears * window)) ** 2
    freqs_hz = np.fft.rfftfreq(ears.shape[1], 1 / RATE_HZ)
    beside = (np.abs(freqs_hz - TONE_HZ) > 100) & (freqs_hz > 50)
    # A jump is what two samples cannot say of the third: x[n+1] - 2 cos(w) x[n] + x[n-1] is nothing for a tone.
    jump = ears[:, 2:] - 2 * np.cos(2 * np.pi * TONE_HZ / RATE_HZ) * ears[:, 1:-1] + ears[:, :-2]
    return {
        "seconds": seconds,
        "beside_db": round(float(10 * np.log10(power[:, beside].sum() / power.sum())), 1),
        "largest_jump_db": round(float(20 * np.log10(np.abs(jump).max() / np.abs(ears).max())), 1),
    }


def memory(folder: Path, minutes: float) -> dict[str, float]:
    """Largest resident size of the program, MiB, for an input of so many minutes, by files and by pipes."""
    rate_hz, rng = 8_000, np.random.default_rng(0)
    names = ("mix.wav", "bee.wav")
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(soundfile.SoundFile(folder / n, "w", rate_hz, 1, "PCM_16")) for n in names]
        for _ in range(round(6 * minutes)):
            bee, rest = 0.05 * rng.standard_normal((2, 10 * rate_hz))
            files[0].write(np.round((bee + rest) * 2**15) / 2**15)
            files[1].write(np.round(bee * 2**15) / 2**15)
    prompt = "bee behind me on the left, in a small room"
    start = [sys.executable, "-m", "tas_cli.main", "spatialize"]
    end = ["-p", prompt, "--object", f"bee={folder / 'bee.wav'}", "--force"]
    found = {}
    for name, source, out in (("files", "mix.wav", "out.wav"), ("pipes", "-", "-")):
        paths = [text if text == "-" else str(folder / text) for text in (source, out)]
        with open(folder / "mix.wav", "rb") as given, open(os.devnull, "wb") as taken:
            piped = {"stdin": given, "stdout": taken} if name == "pipes" else {}
            child = subprocess.Popen([*start, paths[0], "-o", paths[1], *end], **piped)
            _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        found[name] = round(usage.ru_maxrss / 1024, 1)
        print(f"{minutes:g} minutes by {name}: {found[name]} MiB", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--laps", type=int, default=2)
    parser.add_argument("--minutes", type=float, nargs="*", help="measure memory alone, for inputs as long as that")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {
            f"largest_resident_mib_of_{minutes:g}_minutes": memory(Path(folder), minutes)
            for minutes in arguments.minutes or ()
        } or {
            "turns_of_a_tone": [turn(Path(folder), seconds) for seconds in (8.0, 2.0)],
            "six_moving_in_a_small_room": speed(Path(folder), arguments.seconds, arguments.laps),
        }
    print(json.dumps(found, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Time, arithmetic and memory of the default model, beside the paper's procedure and htdemucs, in one run.

    pip install -e '.[benchmarks]'
    python benchmarks/speed.py --out benchmarks/results/speed.json

Nothing else should run on the machine meanwhile. Times are the best of several laps with all cores, loading left out
where a line does not say "process". Floating-point operations are those of matrix products and convolutions,
a multiplication and an addition as two; Fourier transforms and resampling are in the times and not in the counts.
The paper's procedure (windows of 1 s every 0.1 s, 50 steps) is counted whole and timed for a few evaluations of a
few windows, from which the time of all follows. htdemucs has random weights, which cost as much as trained ones.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import soundfile
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from tas_core.audio.resampling import resample
from tas_core.evaluation.results import describe_machine
from tas_core.inference.engine import LoadedModel, load_model
from tas_core.inference.settings import RenderSettings
from tas_core.inference.stream import Spatializer
from tas_core.models.registry import build_preset
from tas_core.models.slots.model import SlotsModel
from tas_core.system.devices import keep_freed_memory
from tas_core.timeline.files import format_timeline
from tas_core.timeline.segments import Segment, Timeline

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 48000
PAPER_STEPS, PAPER_WINDOWS_PER_S = 50, 10
NAMES = ("trumpet", "drums", "piano", "cello", "a man talking", "rain", "flute", "acoustic guitar")


def sound(seconds: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    """The duet of the examples, again and again, (time)."""
    samples, rate = soundfile.read(ROOT / "examples" / "duet.flac")
    once = resample(samples, rate, rate_hz)
    return np.resize(once, round(seconds * rate_hz))


def timeline(clauses: int = 2) -> Timeline:
    """So many objects, from left to right, for the whole sound."""
    places = np.linspace(60, -60, clauses) if clauses > 1 else np.array([60.0])
    side = lambda deg: f"{abs(deg):.0f} degrees to the {'left' if deg >= 0 else 'right'}"  # noqa: E731
    text = ", ".join(f"{name} {side(deg)}" for name, deg in zip(NAMES, places, strict=False))
    return Timeline((Segment.from_prompt(0.0, None, text),))


def best_s(run: Callable[[], object], laps: int = 3) -> float:
    """Seconds of the fastest of some laps, after one that does not count."""
    run()
    found = []
    for _ in range(laps):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return min(found)


def matrix_product_rate(dtype: torch.dtype, size: int = 2048) -> float:
    """Floating-point operations per second of a square matrix product."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    return 2 * size**3 / best_s(lambda: a @ b, laps=8)


def slots_run(model: LoadedModel, x: np.ndarray, steps: int, clauses: int) -> Callable[[], None]:
    """The whole of the main job but for files and loading."""
    spoken = timeline(clauses)
    ready = model.encoding(spoken)

    def run() -> None:
        for _ in Spatializer(len(x), RATE_HZ, spoken, ready, RenderSettings(steps=steps)).ears([x]):
            pass

    return run


def counted(run: Callable[[], object]) -> float:
    """Floating-point operations of a run."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def default_model(seconds: float) -> dict[str, Any]:
    """One step and more, on the same sound: time, arithmetic, and what each further clause costs."""
    model = load_model("slots", "cpu")
    slots = cast(SlotsModel, model.network)
    x = sound(seconds)
    found: dict[str, Any] = {"seconds_of_sound": seconds, "default_steps": slots.default_steps, "steps": {}}
    for steps in (1, 2, 3, 6):
        run = slots_run(model, x, steps, 2)
        found["steps"][steps] = {
            "real_time_factor": best_s(run) / seconds,
            "gflop_per_s_of_sound": counted(run) / seconds / 1e9,
        }
    found["clauses"] = {count: best_s(slots_run(model, x, 1, count)) / seconds for count in (1, 2, 3, 4, 6, 8)}
    few, many = found["clauses"][2], found["clauses"][8]
    found["cost_of_a_further_clause"] = (many - few) / 6 / few
    found["network"] = network(slots, seconds)
    return found


def network(model: SlotsModel, seconds: float) -> dict[str, Any]:
    """How near the separation network alone comes to the machine's matrix products, and what else takes its time."""
    config = model.config
    frames = round(seconds * config.sample_rate_hz / config.hop)
    spectrum = torch.randn(1, config.n_fft // 2 + 1, frames, dtype=torch.complex64)
    text = torch.nn.functional.normalize(torch.randn(1, 2, config.text_width), dim=-1)
    active = torch.ones(1, 2, frames, dtype=torch.bool)

    @torch.inference_mode()
    def run() -> None:
        model.separate(spectrum, text, active)

    taken_s = best_s(run)
    operations = counted(run)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        run()
    events = sorted(profiled.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return {
        "real_time_factor": taken_s / seconds,
        "gflop_per_s_of_sound": operations / seconds / 1e9,
        "share_of_fp32_matrix_product_rate": operations / taken_s / matrix_product_rate(torch.float32),
        "profile": {event.key: round(event.self_cpu_time_total / total, 3) for event in events[:12]},
    }


def paper_procedure() -> dict[str, Any]:
    """The paper's model at full size, timed for a few evaluations of a few windows, counted whole."""
    model = build_preset("paper").eval()
    windows, steps = 2, 2
    size = round(model.config.window_s * model.config.sample_rate_hz)
    mid, noise = torch.randn(windows, size), torch.randn(windows, size)
    text = torch.nn.functional.normalize(torch.randn(windows, model.config.text_width), dim=-1)

    @torch.inference_mode()
    def run(count: int = steps) -> None:
        model.window_sides(mid, text, count, noise)

    # Text fusion and audio encoding are done once per window, the rest once per step.
    few_s, more_s = best_s(run, laps=1), best_s(lambda: run(2 * steps), laps=1)
    few, more = counted(run), counted(lambda: run(2 * steps))
    whole = lambda a, b: (a + (b - a) / steps * (PAPER_STEPS - steps)) / windows * PAPER_WINDOWS_PER_S  # noqa: E731
    return {
        "timed": f"{windows} windows of {model.config.window_s:g} s, {steps} and {2 * steps} steps",
        "real_time_factor": whole(few_s, more_s),
        "gflop_per_s_of_sound": whole(few, more) / 1e9,
    }


def htdemucs(seconds: float) -> dict[str, Any] | None:
    """Source separation by htdemucs, its default settings; None where demucs is not installed."""
    try:
        from demucs.apply import apply_model
        from demucs.htdemucs import HTDemucs
    except ImportError:
        return None
    model = HTDemucs(["drums", "bass", "other", "vocals"], bottom_channels=512, segment=Fraction(39, 5)).eval()
    x = torch.from_numpy(sound(seconds, 44100)).float().expand(1, 2, -1)
    run = lambda: apply_model(model, x, shifts=0, split=True, overlap=0.25, device="cpu")  # noqa: E731
    return {"seconds_of_sound": seconds, "real_time_factor": best_s(run, laps=1) / seconds}


def process(seconds: float, folder: Path) -> dict[str, Any]:
    """``tas spatialize`` in a process of its own: seconds from start to finish, and the most memory it had."""
    source, out, scene = folder / "in.wav", folder / "out.wav", folder / "scene.yaml"
    scene.write_text(format_timeline(timeline(), scene), encoding="utf-8")
    with soundfile.SoundFile(source, "w", RATE_HZ, 1, "PCM_16") as file:
        left = round(seconds * RATE_HZ)
        piece = np.clip(sound(60), -1, 1)
        while left > 0:
            file.write(piece[:left])
            left -= len(piece)
    command = [Path(sys.executable).parent / "tas", "spatialize", source, "-t", scene, "-o", out, "--force", "--json"]
    began = time.perf_counter()
    child = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout is not None
    report = json.loads(child.stdout.read())
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command[0]} failed with exit code {child.returncode}")
    return {
        "seconds_of_sound": seconds,
        "seconds": time.perf_counter() - began,
        "real_time_factor_after_loading": report["real_time_factor"],
        "peak_memory_gb": usage.ru_maxrss * 1024 / 1e9,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the sound that is timed")
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 10, 100], help="lengths of whole files")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    keep_freed_memory()
    warnings.simplefilter("ignore")
    found: dict[str, Any] = {"machine": describe_machine("cpu", torch.get_num_threads(), 1)}
    with tempfile.TemporaryDirectory(prefix="tas-speed-") as folder:
        found["process_of_10_s"] = min(
            (process(10, Path(folder)) for _ in range(3)), key=lambda lap: float(lap["seconds"])
        )
        found["whole_files"] = [process(60 * minutes, Path(folder)) for minutes in arguments.minutes]
    found["machine"]["gflop_per_s"] = {
        "fp32": matrix_product_rate(torch.float32) / 1e9,
        "bf16": matrix_product_rate(torch.bfloat16) / 1e9,
    }
    found["slots"] = default_model(arguments.seconds)
    found["htdemucs"] = htdemucs(min(30.0, arguments.seconds))
    found["paper"] = paper_procedure()
    ours = found["slots"]["steps"][found["slots"]["default_steps"]]
    found["ratios"] = {
        "paper_arithmetic": found["paper"]["gflop_per_s_of_sound"] / ours["gflop_per_s_of_sound"],
        "paper_time": found["paper"]["real_time_factor"] / ours["real_time_factor"],
        "htdemucs_time": found["htdemucs"] and found["htdemucs"]["real_time_factor"] / ours["real_time_factor"],
    }
    text = json.dumps(_rounded(found), indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    """Floats to four digits."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, float) and math.isfinite(value) and value:
        return round(value, 3 - math.floor(math.log10(abs(value))))
    return value


if __name__ == "__main__":
    main()

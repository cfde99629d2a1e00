"""How much faster than real time one core simulates TASBench-Sim clips: writes JSON and prints a line.

    python benchmarks/simulation_speed.py --out benchmarks/results/simulation.json

Each clip is drawn, rendered and written with its stems, in one process and one thread. Loading soundfonts, which a
process does once, is measured apart.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

from tas_core.datasets.tasbench.scenes import LENGTH_S, draw_scene
from tas_core.datasets.tasbench.simulation import SimulatedClips, prepare, render_scene, write_clip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--rate", type=int, default=48000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "bench"
        prepare(root, SimulatedClips(0, arguments.rate).made_with())
        scenes = [draw_scene(0, n, arguments.rate) for n in range(1, arguments.clips + 1)]
        seconds = {}
        for lap in ("first", "second"):
            began = time.perf_counter()
            each = []
            for scene in scenes:
                start = time.perf_counter()
                write_clip(root, *render_scene(scene))
                each.append(time.perf_counter() - start)
            seconds[lap] = time.perf_counter() - began
    audio_s = arguments.clips * LENGTH_S
    found = {
        "clips": arguments.clips,
        "rate_hz": arguments.rate,
        "real_time_factor_per_core": round(audio_s / seconds["second"], 1),
        "median_s_per_clip": round(statistics.median(each), 3),
        "slowest_s_per_clip": round(max(each), 3),
        "loading_s": round(seconds["first"] - seconds["second"], 1),
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    print(json.dumps(found, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

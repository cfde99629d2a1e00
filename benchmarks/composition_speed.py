"""Speed of composing scenes, beside that of a training step that uses them, on one machine and in one run.

    python benchmarks/composition_speed.py --data runs/bank --out benchmarks/results/composition.json

Rows: composing on the CPU in one process and in two (each with one thread), on a CUDA device where there is one; the
share of drawing decisions; the model's own training step (losses, gradients, optimizer) on batches made beforehand.
The ratio says how many batches are composed while one is trained on; above 1, composing is no bottleneck.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from tas_core.datasets.mixing.composition import SceneComposer
from tas_core.datasets.mixing.draws import CompositionConfig
from tas_core.datasets.mixing.material import open_material
from tas_core.models.registry import build_preset
from tas_core.system.devices import keep_freed_memory
from tas_core.training.trainer import TrainingConfig, loss_function

CPU = torch.device("cpu")
_composer: SceneComposer


def seconds(work: Callable[[int], object], repeats: int, device: torch.device = CPU) -> float:
    """Mean time of one call."""
    work(0)
    _wait(device)
    began = time.perf_counter()
    for index in range(1, repeats + 1):
        work(index)
    _wait(device)
    return (time.perf_counter() - began) / repeats


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def open_in_worker(data: Path, window_s: float) -> None:
    global _composer
    keep_freed_memory()
    torch.set_num_threads(1)
    _composer = open_material(data, "train", "minilm", CompositionConfig(window_s=window_s))


def compose_in_worker(first: int, steps: int, batch_size: int) -> None:
    for step in range(first, first + steps):
        _composer.compose(step, batch_size)


def seconds_of_processes(processes: int, options: argparse.Namespace) -> float:
    """Time per batch of several processes together."""
    repeats = options.repeats
    start = (options.data, options.window)
    with ProcessPoolExecutor(processes, get_context("spawn"), open_in_worker, start) as pool:
        work = lambda first, steps: [  # noqa: E731
            pool.submit(compose_in_worker, first + 1000 * n, steps, options.batch_size) for n in range(processes)
        ]
        for job in work(0, 2):
            job.result()
        began = time.perf_counter()
        for job in work(2, repeats):
            job.result()
        return (time.perf_counter() - began) / (repeats * processes)


def training_seconds(composer: SceneComposer, options: argparse.Namespace, device: torch.device) -> float:
    """Time of one step of the ``slots`` preset in mixed precision, without composing."""
    config = TrainingConfig()
    torch.manual_seed(0)
    model = build_preset("slots").to(device).train()
    if options.compile:
        model.compile_parts()
    compute = loss_function(model, None)
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate)
    batches = [composer.compose(step, options.batch_size) for step in range(3)]

    def step(index: int) -> None:
        generator = torch.Generator(device).manual_seed(index)
        with torch.autocast(device.type, torch.bfloat16):
            losses = compute(batches[index % len(batches)], generator)
        optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()

    return seconds(step, max(3, options.repeats // 4), device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder made by 'tas data bank' or 'tas data pack'")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--window", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--compile", action="store_true", help="compile the network, as long runs do")
    parser.add_argument("--note", default="", help="what else the machine was doing")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    keep_freed_memory()
    scene = CompositionConfig(window_s=options.window)
    composer = open_material(options.data, "train", "minilm", scene)
    rows = {"decisions": seconds(lambda step: composer.draw(step, options.batch_size), options.repeats)}
    for processes in (1, 2):
        rows[f"composing, {processes} process{'es' * (processes > 1)}"] = seconds_of_processes(processes, options)
    rows["training step, cpu"] = training_seconds(composer, options, CPU)
    if torch.cuda.is_available():
        cuda = torch.device("cuda")
        composer = open_material(options.data, "train", "minilm", scene, device=cuda)
        rows["composing, cuda"] = seconds(
            lambda step: composer.compose(step, options.batch_size), options.repeats, cuda
        )
        rows["training step, cuda"] = training_seconds(composer, options, cuda)
    table = {}
    print(f"{'row':26}{'s / batch':>11}{'scenes/s':>11}{'samples/s':>13}{'ratio':>8}")
    for name, each in rows.items():
        step = rows["training step, cuda" if "cuda" in name else "training step, cpu"]
        figures = {
            "seconds_per_batch": each,
            "scenes_per_second": options.batch_size / each,
            "samples_per_second": options.batch_size * composer.window / each,
            "batches_per_training_step": step / each,
        }
        table[name] = figures
        shown = f"{each:11.4f}{figures['scenes_per_second']:11.1f}{figures['samples_per_second']:13.0f}"
        print(f"{name:26}{shown}{figures['batches_per_training_step']:8.1f}")
    if options.out:
        how = {
            "batch_size": options.batch_size,
            "window_s": options.window,
            "repeats": options.repeats,
            "compiled": options.compile,
            "torch": torch.__version__,
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "machine": platform.machine(),
            "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "note": options.note,
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({"settings": how, "rows": table}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

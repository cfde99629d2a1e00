"""Scenes per second of a training, by its parts, on one device and in one run.

    python benchmarks/training_speed.py --data runs/bank --batch-size 64 --out benchmarks/results/training.json

Each part by itself, one after another: drawing decisions (in this process, without and with captions, and through
processes), composing (rendering what was drawn), forward pass and losses, backward pass, optimiser with clipping and
moving average; then whole steps as ``tas train`` makes them, with everything ahead that it has ahead. ``--compile``
does the passes twice, eager and compiled, and says how long compiling took. On CUDA every part waits for the device
at its end; nothing else differs.

``--traffic`` adds what bounds an eager pass: the bytes that its operations read and write.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tas_core.datasets.mixing.composition import SceneComposer
from tas_core.datasets.mixing.draws import CompositionConfig
from tas_core.datasets.mixing.material import open_material
from tas_core.models.base import SpatialModel
from tas_core.models.registry import build_preset, load_network
from tas_core.models.scene_batch import SceneBatch
from tas_core.system.devices import choose_device, keep_freed_memory
from tas_core.training.draw_processes import DrawProcesses
from tas_core.training.ema import EMA
from tas_core.training.prefetch import Prefetcher
from tas_core.training.run import training_precision
from tas_core.training.trainer import loss_function

_CLIP = 1.0


class Traffic(TorchDispatchMode):
    """Counts the bytes that operations read and write, by operation; views cost nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.bytes[func.overloadpacket.__name__] += sum(
                x.numel() * x.element_size() for x in tensors_in((args, kwargs or {}, out))
            )
        return out


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in nested sequences and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors_in(tuple(value.values()))
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from tensors_in(part)


class Stopwatch:
    """Seconds of work on a device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def wait(self) -> None:
        """Until the device has done all it was told to."""
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def seconds(self, work: Callable[[int], object], repeats: int, warm: int = 1) -> float:
        """Mean time of one call, the first ``warm`` not counted."""
        for index in range(warm):
            work(index)
        self.wait()
        began = time.perf_counter()
        for index in range(warm, warm + repeats):
            work(index)
        self.wait()
        return (time.perf_counter() - began) / repeats


class Steps:
    """Training steps of a network, in parts that can be timed."""

    def __init__(self, model: SpatialModel, device: torch.device, precision: str) -> None:
        self.model, self.device, self.precision = model, device, precision
        self.compute = loss_function(model, None)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        fused = True if device.type == "cuda" else None
        self.optimizer = torch.optim.AdamW(self.parameters, 1e-4, betas=(0.9, 0.98), fused=fused)
        self.ema = EMA(model)

    def forward(self, batch: SceneBatch, number: int) -> Tensor:
        generator = torch.Generator(self.device).manual_seed(number)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            return self.compute(batch, generator)["loss"]

    def update(self) -> None:
        nn.utils.clip_grad_norm_(self.parameters, _CLIP)
        self.optimizer.step()
        self.ema.update(self.model)

    def whole(self, batch: SceneBatch, number: int) -> None:
        loss = self.forward(batch, number)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.update()


def drawing(composer: SceneComposer, batch_size: int, repeats: int, processes: int) -> dict[str, float]:
    """Seconds per batch of drawing decisions."""
    watch = Stopwatch(torch.device("cpu"))
    rows = {"draw, with captions": watch.seconds(lambda n: composer.draw(n, batch_size), max(1, repeats // 4))}
    composer.drawer.captions = False
    rows["draw"] = watch.seconds(lambda n: composer.draw(n, batch_size), repeats)
    if processes:
        with closing(DrawProcesses(composer.drawer, batch_size, processes, 0)) as draws:
            # What lies ready in pipes at the beginning is read before the clock begins.
            rows[f"draw, {processes} processes"] = watch.seconds(draws.get, repeats * processes, 4 * processes)
    return rows


def passes(steps: Steps, batches: list[SceneBatch], repeats: int, kind: str) -> dict[str, float]:
    """Seconds per batch of the forward pass, the backward pass and the optimiser."""
    watch = Stopwatch(steps.device)
    of = lambda number: batches[number % len(batches)]  # noqa: E731
    began = time.perf_counter()
    steps.whole(of(0), 0)
    watch.wait()
    first = time.perf_counter() - began
    spent = Counter[str]()
    steps.whole(of(1), 1)
    for number in range(repeats):
        watch.wait()
        marks = [time.perf_counter()]
        loss = steps.forward(of(number), number)
        watch.wait()
        marks.append(time.perf_counter())
        steps.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        watch.wait()
        marks.append(time.perf_counter())
        steps.update()
        watch.wait()
        marks.append(time.perf_counter())
        for name, begin, end in zip(("forward", "backward", "optimiser"), marks, marks[1:], strict=False):
            spent[name] += end - begin
    return {f"first step, {kind}": first} | {f"{name}, {kind}": value / repeats for name, value in spent.items()}


def whole_steps(
    composer: SceneComposer, steps: Steps, repeats: int, options: argparse.Namespace, kind: str
) -> dict[str, float]:
    """Seconds per step as a run makes them."""
    watch = Stopwatch(steps.device)
    with closing(Prefetcher(composer, options.batch_size, max(1, options.workers))) as feed:
        seconds = watch.seconds(lambda number: steps.whole(feed.get(number), number), repeats, warm=3)
    return {f"whole step, {kind}": seconds}


def traffic(steps: Steps, batch: SceneBatch) -> Counter[str]:
    """Bytes per scene of an eager step's operations."""
    steps.whole(batch, 0)
    with Traffic() as found:
        loss = steps.forward(batch, 1)
        steps.optimizer.zero_grad(set_to_none=True)
        loss.backward()
    return Counter({name: size // len(batch.stem_mid) for name, size in found.bytes.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder made by 'tas data bank' or 'tas data pack'")
    parser.add_argument("--preset", default="slots", help="of the family slots")
    parser.add_argument("--init", help="a model or checkpoint in place of a preset")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--window", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2, help="processes that draw; 0 for none")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--compile", action="store_true", help="measure the compiled network beside the eager one")
    parser.add_argument("--traffic", action="store_true", help="count bytes read and written by an eager step")
    parser.add_argument("--note", default="", help="what else the machine was doing")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    keep_freed_memory()
    device = choose_device(options.device)
    precision = training_precision(options.precision, device)
    torch.manual_seed(0)
    model = (load_network(options.init) if options.init else build_preset(options.preset)).to(device).train()
    began = time.perf_counter()
    scene = CompositionConfig(window_s=options.window)
    composer = open_material(options.data, "train", model.config.text_encoder, scene, device=device)
    opening = time.perf_counter() - began
    size, repeats = options.batch_size, options.repeats
    rows = drawing(composer, size, repeats, options.workers)
    drawn = [composer.draw(number, size) for number in range(4)]
    batches = [composer.render(draws) for draws in drawn]
    rows["compose"] = Stopwatch(device).seconds(lambda number: composer.render(drawn[number % 4]), repeats)
    steps = Steps(model, device, precision)
    moved = traffic(steps, batches[0]) if options.traffic else Counter[str]()
    for kind in ("eager", "compiled") if options.compile else ("eager",):
        if kind == "compiled":
            model.compile_parts()
        rows |= passes(steps, batches, repeats, kind) | whole_steps(composer, steps, repeats, options, kind)
    table = {name: {"seconds": value, "scenes_per_second": size / value} for name, value in rows.items()}
    print(f"opened in {opening:.2f} s; {device.type}, {precision}, {size} scenes of {options.window:g} s")
    print(f"{'part':28}{'s / batch':>11}{'scenes/s':>11}")
    for name, figures in table.items():
        print(f"{name:28}{figures['seconds']:11.4f}{figures['scenes_per_second']:11.1f}")
    if moved:
        print(f"eager forward and backward: {sum(moved.values()) / 1e9:.2f} GB read and written per scene, most by")
        for name, each in moved.most_common(8):
            print(f"{name:28}{each / 1e9:11.3f}")
    if options.out:
        how = {
            "opening_s": opening,
            "batch_size": size,
            "window_s": options.window,
            "precision": precision,
            "repeats": repeats,
            "workers": options.workers,
            "parameters": sum(p.numel() for p in model.parameters()),
            "torch": torch.__version__,
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "machine": platform.machine(),
            "cuda": torch.cuda.get_device_name() if device.type == "cuda" else None,
            "note": options.note,
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        found = {"settings": how, "rows": table, "gigabytes_per_scene": {k: v / 1e9 for k, v in moved.most_common()}}
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

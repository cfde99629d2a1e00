"""Training: batches composed on the fly, AdamW, moving average, checkpoints, a log, exact resume.

A run is a folder: ``log.jsonl`` (one object per logged step), ``training.safetensors`` (all that is needed to go
on), ``checkpoint/`` (averaged weights, in the format of :mod:`tas_core.models.checkpoints`). Batches and noise depend
on (seed, step) only, so a run that was killed and started again follows the same loss curve.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import torch
from torch import Tensor, nn

from tas_core.conventions import numbered_seed
from tas_core.datasets.mixing.composition import SceneComposer
from tas_core.datasets.mixing.draws import CompositionConfig
from tas_core.datasets.mixing.material import open_material
from tas_core.datasets.tasbench.layout import TasBench, is_tasbench
from tas_core.errors import InputError
from tas_core.models.base import SpatialModel
from tas_core.models.checkpoints import save_checkpoint
from tas_core.models.registry import build_preset, load_network
from tas_core.models.scene_batch import SceneBatch
from tas_core.system.files import make_folder, write_files
from tas_core.system.partial_files import remove_stale
from tas_core.training.ema import EMA
from tas_core.training.prefetch import SceneSource, _Prefetcher
from tas_core.training.state import TRAINING_FILE, TrainingState, load_training_state, save_training_state

CHECKPOINT_FOLDER: Final = "checkpoint"
"""In the folder of a run: the averaged weights."""


@dataclass(frozen=True)
class TrainingConfig:
    """How to train. ``warmup_steps`` rise linearly; the last ``decay_share`` of ``steps`` falls linearly to zero.

    ``workers`` threads compose as many batches ahead; what they compose does not depend on how many they are.
    """

    preset: str = "slots"
    steps: int = 3000
    batch_size: int = 8
    window_s: float = 3.0
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_steps: int = 200
    decay_share: float = 0.4
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    seed: int = 0
    precision: str = "fp32"
    compile: bool = False
    log_every: int = 10
    validate_every: int = 250
    validation_batches: int = 12
    save_every: int = 100
    init: str | None = None
    train_only: tuple[str, ...] = ()
    workers: int = 1
    fold: int = 1


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """Learning rate of a step counted from 0."""
    rise = min(1.0, (step + 1) / max(1, config.warmup_steps))
    fall = min(1.0, (config.steps - step) / max(1.0, config.decay_share * config.steps))
    return config.learning_rate * rise * fall


LossFunction = Callable[[SceneBatch, torch.Generator], dict[str, Tensor]]


def loss_function(model: SpatialModel, encode: Callable[[list[str]], Tensor] | None) -> LossFunction:
    """Losses of a batch for any family; ``encode`` turns whole captions into text features.

    Raises:
        InputError: a model that is conditioned on prompts, and nothing to encode captions with.
    """
    if model.conditions_on == "prompts" and encode is None:
        raise InputError(f"training a {model.family} model needs a text encoder for whole captions")

    def losses(batch: SceneBatch, generator: torch.Generator) -> dict[str, Tensor]:
        captions = None
        if model.conditions_on == "prompts":
            assert encode is not None
            captions = encode(list(batch.prompts)).to(batch.stem_mid.device)
        return model.losses(batch, captions, generator)

    return losses


@contextmanager
def _autocast(device: torch.device, precision: str) -> Iterator[None]:
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


def train(
    data: Path,
    out: Path,
    config: TrainingConfig,
    *,
    device: torch.device,
    encode: Callable[[list[str]], Tensor] | None = None,
    composition: CompositionConfig | None = None,
    progress: Callable[[int, dict[str, float]], None] = lambda step, figures: None,
) -> Path:
    """Train a preset on composed scenes; goes on where an earlier run in ``out`` stopped.

    Args:
        data: folder made by ``tas data bank``, or a data set in TASBench's layout.
        out: run folder.
        encode: captions to text features (batch, channel); only ``slots`` does without.
        composition: how scenes are drawn; its window is replaced by the config's.

    Returns:
        The checkpoint folder.

    Raises:
        InputError: data, preset or an earlier run's settings do not fit, or ``out`` cannot be written.
    """
    torch.manual_seed(config.seed)
    model = load_network(config.init) if config.init else build_preset(config.preset)
    model = model.to(device).train()
    if config.train_only:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not set(name.split(".")).isdisjoint(config.train_only))
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, config.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay)
    ema = EMA(model, config.ema_decay)
    scene = CompositionConfig(**{**asdict(composition or CompositionConfig()), "window_s": config.window_s})
    composer, judge = _scene_sources(data, model, config, scene, device)
    make_folder(out)
    for folder in (out, out / CHECKPOINT_FOLDER):
        remove_stale(folder)
    start, seconds = 0, 0.0
    if (out / TRAINING_FILE).exists():
        state = load_training_state(out)
        _check_same_run(state.extra["config"], config, out)
        model.load_state_dict(state.tensors["model"])
        ema.load_state(state.tensors["ema"])
        optimizer.load_state_dict(state.optimizer)
        start, seconds = state.step, float(state.extra["seconds"])
    compute = loss_function(model, encode)
    if config.compile:
        model.compile_parts()

    def save(step: int) -> Path:
        tensors = {"model": model.state_dict(), "ema": ema.state()}
        extra = {"config": asdict(config), "seconds": seconds}
        save_training_state(out, TrainingState(step, optimizer.state_dict(), tensors, extra))
        return save_checkpoint(
            out / CHECKPOINT_FOLDER,
            str(model.family),
            asdict(model.config),
            ema.averaged_state(model),
            _provenance(config, composer, step, seconds, device),
        )

    done = start
    feed = _Prefetcher(composer, config.batch_size, config.workers)
    _cut_log(out / "log.jsonl", start)
    with (out / "log.jsonl").open("a", encoding="utf-8") as log:
        try:
            for step in range(start, config.steps):
                began = time.perf_counter()
                rate = learning_rate_at(step, config)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                batch = feed.get(step)
                generator = torch.Generator(device).manual_seed(numbered_seed(config.seed, step))
                with _autocast(device, config.precision):
                    losses = compute(batch, generator)
                optimizer.zero_grad(set_to_none=True)
                losses["loss"].backward()
                norm = nn.utils.clip_grad_norm_(parameters, config.clip_norm)
                optimizer.step()
                ema.update(model)
                done = step + 1
                seconds += time.perf_counter() - began
                if done % config.log_every == 0 or done == config.steps:
                    figures = {k: float(v.detach()) for k, v in losses.items()}
                    figures |= {
                        "gradient_norm": float(norm),
                        "learning_rate": rate,
                        "seconds": round(seconds, 2),
                    }
                    _write(log, done, figures)
                    progress(done, figures)
                if done % config.validate_every == 0 or done == config.steps:
                    with ema.applied(model), torch.no_grad():
                        figures = validate(model, judge, config, compute, device)
                    _write(log, done, figures)
                    progress(done, figures)
                if done % config.save_every == 0:
                    save(done)
        except KeyboardInterrupt:
            save(done)
            raise
        finally:
            feed.close()
    return save(done)


def _scene_sources(
    data: Path, model: SpatialModel, config: TrainingConfig, scene: CompositionConfig, device: torch.device
) -> tuple[SceneSource, SceneSource]:
    """Scenes to train on and fixed ones to judge by: windows of recordings, or composed from stems."""
    if is_tasbench(data):
        if model.conditions_on != "prompts":
            raise InputError(
                f"{data}: holds recordings, and a {model.family} model learns from separate stems; "
                "expected a folder made by 'tas data bank', or a preset that takes whole prompts"
            )
        # Here and not above: training on composed scenes needs no audio libraries and may run where there are none.
        from tas_core.datasets.recorded import RecordedScenes

        bench = TasBench(data)
        return (
            RecordedScenes(bench, "train", config.fold, config.window_s, config.seed, device),
            RecordedScenes(bench, "val", config.fold, config.window_s, 12345, device),
        )
    encoder_name = str(model.config.text_encoder)
    plain = CompositionConfig(**{**asdict(scene), "augment": False, "odd_name_share": 0.0, "absent_share": 0.0})
    return (
        open_material(data, "train", encoder_name, scene, config.seed, device),
        open_material(data, "val", encoder_name, plain, 12345, device),
    )


def validate(
    model: nn.Module,
    judge: SceneSource,
    config: TrainingConfig,
    compute: LossFunction,
    device: torch.device,
) -> dict[str, float]:
    """Mean losses over fixed scenes made of sources that training does not use; names get ``val_`` before them."""
    model.eval()
    totals: dict[str, float] = {}
    for index in range(config.validation_batches):
        batch = judge.compose(index, config.batch_size)
        generator = torch.Generator(device).manual_seed(index)
        with _autocast(device, config.precision):
            losses = compute(batch, generator)
        for name, value in losses.items():
            totals[name] = totals.get(name, 0.0) + float(value) / config.validation_batches
    model.train()
    return {f"val_{name}": value for name, value in totals.items()}


def _write(log: TextIO, step: int, figures: dict[str, float]) -> None:
    log.write(json.dumps({"step": step, **figures}) + "\n")
    log.flush()


def _cut_log(path: Path, start: int) -> None:
    """Drop what an interrupted run logged after its last saved state, since it will be logged again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().splitlines():
        try:
            if json.loads(line)["step"] <= start:
                kept.append(line)
        except (ValueError, TypeError, KeyError):
            continue  # The line that a kill cut off, or one that is none of ours.
    write_files({path: b"".join(line + b"\n" for line in kept)})


def _check_same_run(earlier: dict[str, Any], config: TrainingConfig, out: Path) -> None:
    """A run may be made longer, logged or saved differently; everything else has to be as it was."""
    free = {
        "steps",
        "log_every",
        "validate_every",
        "save_every",
        "validation_batches",
        "compile",
        "decay_share",
        "workers",
    }
    now = json.loads(json.dumps(asdict(config)))
    # A setting that did not exist yet had its present default.
    earlier = {**json.loads(json.dumps(asdict(TrainingConfig()))), **earlier}
    changed = sorted(k for k in now if k not in free and earlier.get(k) != now[k])
    if changed:
        listed = ", ".join(f"{k} (was {earlier.get(k)!r}, now {now[k]!r})" for k in changed)
        raise InputError(f"{out}: holds a run with other settings: {listed}; choose another --out to start afresh")


def _provenance(
    config: TrainingConfig, composer: SceneSource, step: int, seconds: float, device: torch.device
) -> dict[str, Any]:
    return {
        "steps": step,
        "training": asdict(config),
        "composition": asdict(composer.config) if isinstance(composer, SceneComposer) else None,
        "sources": composer.source_names(),
        "hours": round(seconds / 3600, 3),
        "device": device.type,
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
    }

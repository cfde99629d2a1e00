"""Training: batches composed on the fly, AdamW, moving average, checkpoints, a log, exact resume.

A run is a folder: ``log.jsonl`` (:mod:`tas_core.training.log`), ``training.safetensors`` (all that is needed to go
on), ``checkpoint/`` (averaged weights, in the format of :mod:`tas_core.models.checkpoints`). Batches and noise depend
on (seed, step) only, so a run of steps that was killed and started again follows the same loss curve. In a run of
minutes the learning rate follows the clock, which no two runs share.
"""

from __future__ import annotations

import math
import platform
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from tas_core.conventions import numbered_seed
from tas_core.datasets.mixing.composition import SceneComposer
from tas_core.datasets.mixing.draws import COMPOSITIONS, CompositionConfig
from tas_core.datasets.mixing.material import open_material
from tas_core.datasets.tasbench.layout import TasBench, is_tasbench
from tas_core.errors import InputError, TasError
from tas_core.models.base import SpatialModel
from tas_core.models.checkpoints import load_checkpoint, save_checkpoint
from tas_core.models.registry import build_preset, find_checkpoint, network_of
from tas_core.models.scene_batch import SceneBatch
from tas_core.system.files import make_folder
from tas_core.system.locks import alone_in
from tas_core.system.partial_files import remove_stale
from tas_core.training.clock import Clock, Pace, is_over, stop_signals
from tas_core.training.ema import EMA
from tas_core.training.group import Group
from tas_core.training.log import NoLog, Report, RunLog
from tas_core.training.prefetch import FixedScenes, Prefetcher, SceneSource
from tas_core.training.settings import TrainingConfig, captions_to_fit, check_length, check_same_run, learning_rate_at
from tas_core.training.state import TRAINING_FILE, TrainingState, load_training_state, save_training_state
from tas_core.training.text_start import fit_text_layers

CHECKPOINT_FOLDER: Final = "checkpoint"
"""In the folder of a run: the averaged weights."""

_VALIDATION_SEED: Final = 12345
_MOST_SKIPPED: Final = 10
"""Steps in a row without a loss that is a number, after which none is going to come."""


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
            device = batch.stem_mid.device
            with torch.autocast(device.type, enabled=False):  # as captions are encoded where the model is used
                captions = encode(list(batch.prompts)).to(device)
        return model.losses(batch, captions, generator)

    return losses


def train(
    data: Path,
    out: Path,
    config: TrainingConfig,
    *,
    device: torch.device,
    encode: Callable[[list[str]], Tensor] | None = None,
    composition: CompositionConfig | None = None,
    progress: Report = lambda step, metrics: None,
) -> Path:
    """Train a preset on composed scenes; goes on where an earlier run in ``out`` stopped.

    Processes that were joined (:func:`tas_core.training.group.joined`) train together: the first decides when what is
    due, and writes; the folder of the run has to be one that all of them see.

    Args:
        data: folder made by ``tas data bank``, or a data set in TASBench's layout.
        out: run folder.
        config: the settings.
        device: where to train.
        encode: captions to text features (batch, channel); only ``slots`` does without.
        composition: how scenes are drawn, in place of what the config's ``scenes`` stand for; its window is replaced by
            the config's.
        progress: is given every logged step and its metrics.

    Returns:
        The checkpoint folder.

    Raises:
        InputError: data, preset or an earlier run's settings do not fit, nothing or two things say when training ends,
            ``out`` cannot be written, or another program trains there.
        TasError: the loss is no number for many steps in a row, or another process is lost; what was saved before is
            whole.
        KeyboardInterrupt: SIGINT came; the run is saved.
        SystemExit: SIGTERM came; the run is saved.
    """
    check_length(config)
    clock = Clock(config.minutes)
    torch.manual_seed(config.seed)
    run = _Run(config, device, clock)
    scene = CompositionConfig(**{**asdict(composition or COMPOSITIONS[config.scenes]), "window_s": config.window_s})
    source, validation = _scene_sources(data, run.model, config, scene, device)
    with ExitStack() as held:
        if run.group.leads:
            make_folder(out)
            held.enter_context(alone_in(out, "trains"))
            for folder in (out, out / CHECKPOINT_FOLDER):
                remove_stale(folder)
        return _carried_out(run, out, source, validation, encode, progress)


def _carried_out(
    run: _Run,
    out: Path,
    source: SceneSource,
    validation: SceneSource,
    encode: Callable[[list[str]], Tensor] | None,
    progress: Report,
) -> Path:
    """All steps of a run that are left; returns the checkpoint folder."""
    config, clock, group = run.config, run.clock, run.group
    group.wait()
    begun = run.resume(out) or bool(config.init)
    if run.model.text_layers() and encode is not None and not begun:
        run.begin_text(source, encode)
    group.check_alike(run.model, run.step)
    compute = loss_function(run.model, encode)
    if config.compile:
        run.model.compile_parts()
    log_pace = Pace(config.between("log"), at_once=True)
    validation_pace, save_pace = Pace(config.between("validate")), Pace(config.between("save"))
    (last,), _ = group.decided([is_over(run.step, clock, config)], None)
    with (
        RunLog(out / "log.jsonl", run.step, progress) if group.leads else NoLog() as log,
        closing(Prefetcher(source, config.batch_size, config.workers)) as feed,
        stop_signals() as stop,
    ):
        try:
            while not last:
                losses, norm = run.update(feed, compute)
                paces = (log_pace, validation_pace, save_pace)
                now = [is_over(run.step, clock, config), *(pace.due(run.step) for pace in paces)]
                (last, logs, validates, saves), asked = group.decided(now, stop.asked)
                if logs or last:
                    log.write(run.step, run.metrics(losses, norm))
                if (asked if group.size > 1 else stop.asked) is None and (validates or last):
                    with clock.reserving("validation"), run.ema.applied(run.model):
                        log.write(run.step, validate(run.model, validation, config, compute))
                _, asked = group.decided((), stop.asked)
                if saves or asked is not None:
                    with clock.reserving("save"):
                        run.save(out, source)
                stop.obey_all(asked, alone=group.size == 1)
        except KeyboardInterrupt:
            if stop.asked is None and run.whole and group.size == 1:
                run.save(out, source)
            raise
    folder = run.save(out, source)
    group.wait()
    return folder


class _Run:
    """What training changes: the network, its optimiser and average, the steps made and the seconds they took.

    ``whole`` is False while a step has changed some of it and not yet all. ``init_digest`` is that of the checkpoint
    whose weights it began with, which stays true when folders are moved; None without one.
    """

    def __init__(self, config: TrainingConfig, device: torch.device, clock: Clock) -> None:
        self.config, self.device, self.clock = config, device, clock
        self.group = Group()
        self.init_digest = None
        if config.init:
            folder = find_checkpoint(config.init)
            started_from = load_checkpoint(folder)
            self.init_digest, model = started_from.digest, network_of(started_from, folder)
        else:
            model = build_preset(config.preset)
        self.model = model.to(device).train()
        if config.train_only:
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(not set(name.split(".")).isdisjoint(config.train_only))
        self.group.check(model, config.batch_size)
        if self.group.size > 1:
            self.model.share_rows = self.group.share_rows
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            config.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=config.weight_decay,
            fused=self._fused,
        )
        self.ema = EMA(model, config.ema_decay)
        self.step, self.seconds, self.rate, self.whole = 0, 0.0, 0.0, True
        self.skipped, self._skipped_in_a_row = 0, 0

    @property
    def _fused(self) -> bool | None:
        """Whether one operation updates all weights, which saves a graphics processor a thousand."""
        return True if self.device.type == "cuda" else None

    def begin_text(self, source: SceneSource, encode: Callable[[list[str]], Tensor]) -> None:
        """Fit the first layers of text to what captions say of places, before the first step."""
        if count := captions_to_fit(self.config):
            fit_text_layers(self.model, source.captions(count), encode)
            self.ema = EMA(self.model, self.config.ema_decay)

    def resume(self, out: Path) -> bool:
        """Go on where an earlier run in a folder was saved, if there is one; says whether there was.

        Raises:
            InputError: it had other settings.
            CheckpointError: what it left is damaged.
        """
        if not (out / TRAINING_FILE).exists():
            return False
        state = load_training_state(out)
        check_same_run(state.extra["config"], self.config, out)
        self.model.load_state_dict(state.tensors["model"])
        self.ema.load_state(state.tensors["ema"])
        # The run may have been on another kind of device.
        groups = [{**group, "fused": self._fused} for group in state.optimizer["param_groups"]]
        self.optimizer.load_state_dict({**state.optimizer, "param_groups": groups})
        self.step, self.seconds = state.step, float(state.extra["seconds"])
        # Runs from before there was a clock know what their steps took.
        self.clock.earlier_s = float(state.extra.get("clock_s", self.seconds))
        return True

    def update(self, feed: Prefetcher, compute: LossFunction) -> tuple[dict[str, Tensor], Tensor]:
        """Make one optimiser step; returns its losses, and the norm of its gradient before clipping.

        A step whose loss or gradient is no number changes nothing.

        Warns:
            UserWarning: such a step was skipped.

        Raises:
            TasError: :data:`_MOST_SKIPPED` of them in a row.
        """
        began = time.perf_counter()
        self.rate = learning_rate_at(self.step, self.config, self.group.led(self.clock.gone))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        seed = numbered_seed(self.config.seed, self.step)
        losses = _losses(compute, feed.get(self.step), seed, self.config.precision)
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        self.group.mean_gradients(self.parameters)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)
        self.whole = False
        if bool(torch.isfinite(norm) & torch.isfinite(losses["loss"])):
            self._skipped_in_a_row = 0
            self.optimizer.step()
            self.ema.update(self.model)
        else:
            self._skip(float(losses["loss"].detach()), float(norm))
        self.step += 1
        self.whole = True
        self.seconds += time.perf_counter() - began
        return losses, norm

    def _skip(self, loss: float, norm: float) -> None:
        """Say that the step under way is left out, and end the run where nothing else would follow."""
        self.skipped += 1
        self._skipped_in_a_row += 1
        what = f"the loss of step {self.step} is {loss:g} and its gradient {norm:g}"
        if self._skipped_in_a_row >= _MOST_SKIPPED:
            first = self.step + 1 - self._skipped_in_a_row
            raise TasError(
                f"training has diverged: {what}, and so are all since step {first}; what was saved before is whole."
                " Expected a lower learning rate, or fp32 numbers"
            )
        if self.group.leads:
            warnings.warn(f"{what}; its batch (seed {self.config.seed}) is skipped", stacklevel=3)

    def metrics(self, losses: dict[str, Tensor], norm: Tensor) -> dict[str, float]:
        """What is logged of the step that :meth:`update` just made: of a skipped one only what is a number."""
        found = _numbers({**losses, "gradient_norm": norm})
        return {name: value for name, value in found.items() if math.isfinite(value)} | {
            "learning_rate": self.rate,
            "seconds": round(self.seconds, 2),
            **({"skipped": float(self.skipped)} if self.skipped else {}),
        }

    def save(self, out: Path, source: SceneSource) -> Path:
        """Write the state of the run and its checkpoint; returns the checkpoint folder.

        Of several processes, one does, when it is seen that all are alike.
        """
        self.group.check_alike(self.model, self.step)
        if not self.group.leads:
            return out / CHECKPOINT_FOLDER
        tensors = {"model": self.model.state_dict(), "ema": self.ema.state()}
        extra = {"config": asdict(self.config), "seconds": self.seconds, "clock_s": self.clock.spent_s}
        save_training_state(out, TrainingState(self.step, self.optimizer.state_dict(), tensors, extra))
        return save_checkpoint(
            out / CHECKPOINT_FOLDER,
            str(self.model.family),
            asdict(self.model.config),
            self.ema.averaged_state(self.model),
            self._provenance(source),
        )

    def _provenance(self, source: SceneSource) -> dict[str, Any]:
        return {
            "steps": self.step,
            "training": asdict(self.config),
            "init_digest": self.init_digest,
            "composition": asdict(source.config) if isinstance(source, SceneComposer) else None,
            "sources": source.source_names(),
            "hours": round(self.seconds / 3600, 3),
            "device": self.device.type,
            "machine": platform.processor() or platform.machine(),
            "torch": torch.__version__,
        }


def _losses(compute: LossFunction, batch: SceneBatch, seed: int, precision: str) -> dict[str, Tensor]:
    """Losses of a batch, with noise of this seed, in bf16 where the precision says so."""
    device = batch.stem_mid.device
    generator = torch.Generator(device).manual_seed(seed)
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        return compute(batch, generator)


def _numbers(values: dict[str, Tensor]) -> dict[str, float]:
    """Scalars on a device as numbers, read at once."""
    return dict(zip(values, torch.stack([v.detach().float() for v in values.values()]).tolist(), strict=True))


def validate(model: nn.Module, source: SceneSource, config: TrainingConfig, compute: LossFunction) -> dict[str, float]:
    """Mean losses over fixed scenes made of sources that training does not use; names get ``val_`` before them.

    What some batches lack (no scene with a known side, say) is the mean over the others.
    """
    model.eval()
    batches = []
    # Without gradients a network would be compiled a second time, which takes longer than all validations of a run.
    with torch.set_grad_enabled(config.compile):
        for index in range(config.validation_batches):
            losses = _losses(compute, source.compose(index, config.batch_size), index, config.precision)
            batches.append({name: value.detach() for name, value in losses.items()})
    found: dict[str, list[float]] = {}
    for losses in batches:  # read when all are there: on a graphics processor every look is a wait
        for name, value in _numbers(losses).items():
            found.setdefault(name, []).append(value)
    model.train()
    return {f"val_{name}": sum(values) / len(values) for name, values in found.items()}


def _scene_sources(
    data: Path, model: SpatialModel, config: TrainingConfig, scene: CompositionConfig, device: torch.device
) -> tuple[SceneSource, SceneSource]:
    """Scenes to train on and fixed ones for validation: windows of recordings, or composed from stems."""
    if is_tasbench(data):
        if model.conditions_on != "prompts":
            raise InputError(
                f"{data}: holds recordings, and a {model.family} model learns from separate stems; "
                "expected a folder of training material, or a preset that takes whole prompts",
                remedy="material",
            )
        if config.scenes != "all":
            raise InputError(
                f"{data}: holds recordings, and scenes of {config.scenes} are composed of separate stems; "
                "expected a folder of training material",
                remedy="material",
            )
        # Here and not above: training on composed scenes needs no audio libraries and may run where there are none.
        from tas_core.datasets.recorded import RecordedScenes

        bench = TasBench(data)
        return (
            RecordedScenes(bench, "train", config.fold, config.window_s, config.seed, device),
            RecordedScenes(bench, "val", config.fold, config.window_s, _VALIDATION_SEED, device),
        )
    captions = model.conditions_on == "prompts"
    encoder_name = str(model.config.text_encoder)
    plain = CompositionConfig(**{**asdict(scene), "augment": False, "odd_name_share": 0.0, "absent_share": 0.0})
    return (
        open_material(data, "train", encoder_name, scene, config.seed, device, captions),
        FixedScenes(open_material(data, "val", encoder_name, plain, _VALIDATION_SEED, device, captions)),
    )

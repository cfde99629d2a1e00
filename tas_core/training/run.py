"""``tas train`` as one call: settings for a preset, device, text encoder, run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tas_core.errors import InputError, TasError
from tas_core.models.registry import FAMILIES, PRESETS, preset_family
from tas_core.models.text_encoders.base import CachedEncoder
from tas_core.models.text_encoders.registry import build_text_encoder
from tas_core.system.devices import choose_device, keep_freed_memory
from tas_core.system.files import make_folder
from tas_core.training.log import Report
from tas_core.training.settings import TrainingConfig
from tas_core.training.trainer import train


def run_training(
    data: Path,
    out: Path,
    preset: str,
    *,
    device: str = "auto",
    progress: Report,
    tensorboard: bool = False,
    **settings: Any,
) -> Path:
    """Train ``preset`` on the material in ``data``; returns the checkpoint folder.

    Args:
        data: folder made by ``tas data bank``, or a data set in TASBench's layout.
        out: run folder.
        preset: name of a preset.
        device: auto, cpu or cuda.
        progress: is given every logged step and its metrics.
        tensorboard: also write every logged metric to ``out``/tensorboard.
        settings: of :class:`TrainingConfig`; they replace the family's own.

    Raises:
        InputError: unknown preset or precision, unusable data, or a run folder with other settings.
        TasError: TensorBoard is wanted and not installed.
    """
    precision = settings.pop("precision", "auto")
    if precision not in ("auto", "bf16", "fp32"):
        raise InputError(f"unknown precision '{precision}'; expected auto, bf16 or fp32")
    family = FAMILIES[preset_family(preset)]
    encode = None
    if family.model.conditions_on == "prompts":
        encode = CachedEncoder(build_text_encoder(PRESETS[preset].text_encoder), max_entries=65536)
    where = choose_device(device)
    if precision == "auto":
        # On CPUs without matrix units, products of bf16 take longer than those of fp32.
        precision = "bf16" if where.type == "cuda" else "fp32"
    chosen = {**family.training, **settings, "preset": preset, "precision": precision}
    keep_freed_memory()
    with _tensorboard(out, progress) if tensorboard else nullcontext(progress) as report:
        return train(data, out, TrainingConfig(**chosen), device=where, encode=encode, progress=report)


@contextmanager
def _tensorboard(out: Path, progress: Report) -> Iterator[Report]:
    """Yields ``progress`` with a second sink, a TensorBoard event file, made when there is something to write."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TasError("a log for TensorBoard needs the package tensorboard: pip install 'tas[logs]'") from error
    folder = out / "tensorboard"
    if os.path.lexists(folder):
        make_folder(folder)  # refuses what is no folder before any work
    with ExitStack() as stack:
        writers: list[SummaryWriter] = []

        def report(step: int, metrics: dict[str, float]) -> None:
            if not writers:
                make_folder(folder)
                writers.append(SummaryWriter(str(folder)))
                stack.callback(writers[0].close)
            for name, value in metrics.items():
                writers[0].add_scalar(name, value, step)
            progress(step, metrics)

        yield report

"""``tas train`` as one call: settings for a preset, device, text encoder, run."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import torch

from tas_core.datasets.mixing.draws import COMPOSITIONS
from tas_core.errors import InputError, TasError
from tas_core.models.registry import FAMILIES, PRESETS, preset_family
from tas_core.models.text_encoders.base import CachedEncoder
from tas_core.models.text_encoders.registry import build_text_encoder
from tas_core.system.devices import choose_device, keep_freed_memory, one_thread
from tas_core.system.files import make_folder
from tas_core.system.processes import usable_cores
from tas_core.training.group import joined, leads
from tas_core.training.log import Report
from tas_core.training.settings import TrainingConfig, check_length
from tas_core.training.trainer import train

_WORKERS: Final = 4
"""Where a graphics processor trains; one process draws some thousand scenes without captions in a second."""


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
        settings: of :class:`TrainingConfig`; they replace the family's own. ``steps`` or ``minutes`` has to be among
            them where a family's authors state no number of steps.

    Raises:
        InputError: unknown preset or precision, a precision that the device lacks, unusable data, a run folder with
            other settings, or nothing or two things that say when training ends.
        TasError: TensorBoard is wanted and not installed.
    """
    family = FAMILIES[preset_family(preset)]
    if (scenes := settings.get("scenes", "all")) not in COMPOSITIONS:
        raise InputError(f"unknown scenes '{scenes}'; expected one of {', '.join(COMPOSITIONS)}")
    where = choose_device(device)
    stated = dict(family.training)
    if settings.get("minutes") is not None:
        stated.pop("steps", None)
    settings["precision"] = training_precision(settings.get("precision", "auto"), where)
    if settings.get("workers") is None:
        settings["workers"] = max(1, min(_WORKERS, usable_cores() - 1)) if where.type == "cuda" else 1
    config = TrainingConfig(**{**stated, **settings, "preset": preset})
    check_length(config)
    encode = None
    if family.model.conditions_on == "prompts":
        encode = CachedEncoder(build_text_encoder(PRESETS[preset].text_encoder), max_entries=65536)
    keep_freed_memory()
    with _tensorboard(out, progress) if tensorboard and leads() else nullcontext(progress) as report:
        # Beside a graphics processor, threads of the CPU only get into the way of the processes that draw.
        with one_thread() if where.type == "cuda" else nullcontext(), joined(where) as mine:
            if encode is not None:
                encode.to(mine)  # of several processes, each has a device of its own
            return train(data, out, config, device=mine, encode=encode, progress=report)


def training_precision(wanted: str, device: torch.device) -> str:
    """The numbers to train with: bf16 (mixed) or fp32.

    Raises:
        InputError: an unknown precision, or bf16 on a graphics processor that has none.
    """
    if wanted not in ("auto", "bf16", "fp32"):
        raise InputError(f"unknown precision '{wanted}'; expected auto, bf16 or fp32")
    if device.type != "cuda":
        # On CPUs without matrix units, products of bf16 take longer than those of fp32.
        return "fp32" if wanted == "auto" else wanted
    if wanted == "fp32" or torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16" if wanted == "auto" else wanted
    name = torch.cuda.get_device_name(device)
    if wanted == "bf16":
        raise InputError(f"precision bf16 was requested, and {name} has no such numbers; expected fp32")
    warnings.warn(f"{name} has no bf16; training is in fp32, which takes longer", stacklevel=2)
    return "fp32"


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

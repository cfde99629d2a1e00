"""A loaded model: network, text encoder and device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from tas_core.models.base import PromptModel
    from tas_core.models.slots.model import SlotsModel
    from tas_core.models.text_encoders.base import TextEncoder


@dataclass(frozen=True)
class Engine:
    """A loaded model with what it needs; made by :func:`load_engine`."""

    name: str
    folder: Path
    model: SlotsModel | PromptModel
    encoder: TextEncoder
    device: torch.device


def load_engine(model_name: str = "slots", device: str = "auto") -> Engine:
    """Load a model, by shipped name or checkpoint folder, and its text encoder; device: auto, cpu or cuda.

    Raises:
        InputError: unknown model or device, a checkpoint or an encoder that cannot be used.
    """
    from tas_core.models.pretrained import find_checkpoint

    folder = find_checkpoint(model_name)
    from tas_core.models.registry import load_model
    from tas_core.models.text_encoders.registry import build_text_encoder
    from tas_core.system.devices import choose_device, keep_freed_memory

    where = choose_device(device)
    keep_freed_memory()
    model = load_model(str(folder)).to(where)
    return Engine(model_name, folder, model, build_text_encoder(model.config.text_encoder), where)

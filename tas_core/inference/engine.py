"""A loaded model: a network, the text encoder that it was trained with, and the device that they compute on.

Importing this imports no torch: :func:`load_model` does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tas_core.models.calibration import Calibration, read_calibration
from tas_core.models.pretrained import DEFAULT_MODEL, find_checkpoint

if TYPE_CHECKING:
    import torch

    from tas_core.inference.separation_cache import SeparationCache
    from tas_core.models.base import SpatialModel
    from tas_core.models.text_encoders.base import TextEncoder
    from tas_core.timeline.segments import Timeline


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to render; made by :func:`load_model`.

    Attributes:
        name: as it was given: of a shipped model, or the path of a checkpoint.
        digest: SHA-256 in hex over family, config and weights; empty for a network that is no checkpoint.
        network: in evaluation mode, on the device.
        encoder: the text encoder that the network was trained with.
        device: where both compute.
        separations: where what it finds in a sound is kept, for those who put one sound in many places; None for those
            who do not.
        calibration: of its confidence; None where it has none.
    """

    name: str
    digest: str
    network: SpatialModel
    encoder: TextEncoder
    device: torch.device
    separations: SeparationCache | None = None
    calibration: Calibration | None = None

    @classmethod
    def of(cls, network: SpatialModel, encoder: TextEncoder | None = None) -> LoadedModel:
        """A network in memory with its text encoder, on the device that it lies on.

        Raises:
            InputError: its text encoder cannot be had.
        """
        if encoder is None:
            from tas_core.models.text_encoders.registry import build_text_encoder

            encoder = build_text_encoder(network.config.text_encoder)
        return cls(network.family, "", network, encoder, next(network.parameters()).device)

    def encoding(self, timeline: Timeline) -> LoadedModel:
        """The same model with an encoder that already knows what it reads of a timeline: prompts, or object phrases."""
        from tas_core.models.text_encoders.base import CachedEncoder

        encoder = self.encoder if isinstance(self.encoder, CachedEncoder) else CachedEncoder(self.encoder)
        if self.network.conditions_on == "prompts":
            encoder(sorted({segment.text for segment in timeline.segments}))
        else:
            encoder(sorted(timeline.objects))
        return replace(self, encoder=encoder)


def load_model(name: str | os.PathLike[str] = DEFAULT_MODEL, device: str = "auto") -> LoadedModel:
    """Load a model and its text encoder.

    Args:
        name: of a shipped model, or the path of a checkpoint.
        device: auto, cpu or cuda.

    Raises:
        InputError: unknown model or device, a checkpoint, its calibration or an encoder that cannot be used.
    """
    folder: Path = find_checkpoint(os.fspath(name))
    from tas_core.models.checkpoints import load_checkpoint
    from tas_core.models.registry import network_of
    from tas_core.models.text_encoders.registry import build_text_encoder
    from tas_core.system.devices import choose_device, keep_freed_memory

    where = choose_device(device)
    keep_freed_memory()
    checkpoint = load_checkpoint(folder)
    network = network_of(checkpoint, folder).to(where)
    encoder = build_text_encoder(network.config.text_encoder)
    calibration = read_calibration(folder, checkpoint.digest)
    return LoadedModel(os.fspath(name), checkpoint.digest, network, encoder, where, calibration=calibration)

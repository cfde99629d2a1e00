"""Sizes of the ``slots`` family, and its presets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

_MOST_LAYERS: Final = 1000
SPECIALTIES: Final = ("talkers",)
"""Kinds of objects that a network may be for, alone."""


@dataclass(frozen=True)
class SlotsConfig:
    """Sizes of the network; ``n_fft`` and ``hop`` in samples at ``sample_rate_hz``.

    The trunk takes ``patch`` frames of the spectrogram at once, as one patch; masks come out for every frame.
    Masks are corrected by ``balance``, over ``balance_frames`` on each side, and ``sharpness`` before they place
    anything: see :func:`tas_core.models.slots.placing.placing_masks`. Where no diffuse part is drawn, directness is
    raised to ``directness_power``: at 1 reverberant sound gets no more direction than a room leaves it, at 0 as much as
    a direct one.

    ``networks`` of these sizes find masks, each by itself, and the mean is taken of all but the last ones, which are
    for what ``specialists`` says, a kind of objects for each (:mod:`tas_core.models.slots.specialists`).
    """

    networks: int = 1
    specialists: tuple[str, ...] = ()
    sample_rate_hz: int = 16000
    n_fft: int = 1024
    hop: int = 256
    patch: int = 2
    channels: int = 64
    frame_channels: int = 8
    blocks: int = 8
    fusion_after: tuple[int, ...] = (2, 4, 6, 8)
    context_frames: int = 64
    level_frames: int = 128
    mask_features: int = 16
    balance: float = 0.0
    balance_frames: int = 64
    sharpness: float = 4.0
    directness_power: float = 1.0
    diffuse_channels: int = 128
    diffuse_layers: int = 4
    text_encoder: str = "minilm"
    text_width: int = 384

    def __post_init__(self) -> None:
        for name in ("networks", "patch", "channels", "frame_channels", "blocks", "mask_features", "text_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("networks", "blocks", "diffuse_layers"):
            if getattr(self, name) > _MOST_LAYERS:
                raise ValueError(f"{name} must be at most {_MOST_LAYERS}, not {getattr(self, name)}")
        if not 0 <= self.directness_power < math.inf:
            raise ValueError(f"directness_power must be 0 or more, not {self.directness_power}")
        if unknown := sorted(set(self.specialists) - set(SPECIALTIES)):
            raise ValueError(f"specialists must be among {', '.join(SPECIALTIES)}, not {', '.join(unknown)}")
        if len(self.specialists) >= self.networks:
            raise ValueError(f"{len(self.specialists)} of {self.networks} networks are specialists; expected fewer")

    @property
    def dilations(self) -> tuple[int, ...]:
        """Steps between the taps of each block: 1, 1, 2, 4, and again."""
        return tuple((1, 1, 2, 4)[i % 4] for i in range(self.blocks))

    @property
    def context_patches(self) -> int:
        """Steps on each side that a fusion attends to."""
        return self.context_frames // self.patch


PRESETS: Final = {"slots": SlotsConfig(balance=0.75, directness_power=0.1)}
"""Configs by name."""

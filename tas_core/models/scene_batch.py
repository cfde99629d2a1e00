"""What a training step sees: one batch of composed scenes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SceneBatch:
    """A batch of scenes at the model's sample rate.

    Attributes:
        stem_mid: (batch, clause, time), L + R of each named object; zero for an absent one.
        stem_side: (batch, clause, time), L - R of each named object.
        rest_mid: (batch, time), L + R of everything that no clause names.
        clause_features: (batch, clause, channel), text features of the object phrases.
        azimuth_deg: (batch, clause), where the prompt puts each object.
        named: (batch, clause) bool, False for padding.
        active: (batch, clause, block) bool, in which of so many equal parts of the window the prompt holds a clause.
        right_name: (batch, clause) bool, whether the sound, if there is one, goes by its own name.
        side_known: (batch) bool, False where ``stem_side`` is not to be learned from.
        prompts: one caption per scene.
    """

    stem_mid: Tensor
    stem_side: Tensor
    rest_mid: Tensor
    clause_features: Tensor
    azimuth_deg: Tensor
    named: Tensor
    active: Tensor
    right_name: Tensor
    side_known: Tensor
    prompts: tuple[str, ...]

    @property
    def mid(self) -> Tensor:
        """The mixture L + R, (batch, time)."""
        return self.stem_mid.sum(dim=1) + self.rest_mid

    @property
    def side(self) -> Tensor:
        """L - R of everything named, (batch, time); what is not named counts as centred."""
        return self.stem_side.sum(dim=1)

    def active_frames(self, frames: int) -> Tensor:
        """Which clause the prompt holds when, (batch, clause, frame) bool."""
        block = torch.arange(frames, device=self.active.device) * self.active.shape[-1] // frames
        return self.active[..., block] & self.named[..., None]

    def to(self, device: torch.device) -> SceneBatch:
        """The same batch on another device."""
        return SceneBatch(
            stem_mid=self.stem_mid.to(device),
            stem_side=self.stem_side.to(device),
            rest_mid=self.rest_mid.to(device),
            clause_features=self.clause_features.to(device),
            azimuth_deg=self.azimuth_deg.to(device),
            named=self.named.to(device),
            active=self.active.to(device),
            right_name=self.right_name.to(device),
            side_known=self.side_known.to(device),
            prompts=self.prompts,
        )

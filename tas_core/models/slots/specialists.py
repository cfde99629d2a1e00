"""Networks that hear some frames in place of the general ones: those of scenes that are hard and seldom.

Two people who talk at once are told apart by their voices alone. What a network learns of them it loses elsewhere:
where they were drawn more often, voices among other sounds got worse (trial 74 of ``docs/EXPERIMENTS.md``). So a model
may have one more network, for them. The prompt says which one hears a frame; the sound is not asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from tas_core.models.slots.layers import in_patches
from tas_core.models.slots.network import Separation

_AT_LEAST: Final = 2
"""Clauses of one kind that it takes: one talker among other sounds is no special scene."""


class Specialties(nn.Module):
    """Which network hears a frame, by the kinds of objects that the prompt names there.

    Of text features, a linear map for each kind: a name is of that kind where it is above zero. It is fitted to the
    words of the catalogue (``tools/ship.py``), not trained with the networks.
    """

    def __init__(self, text_width: int, kinds: int) -> None:
        super().__init__()
        self.of_kind = nn.Linear(text_width, kinds)

    def named(self, clause_features: Tensor) -> Tensor:
        """Whether a name is of each kind, (batch, clause, kind) bool, by text features (batch, clause, width)."""
        return self.of_kind(clause_features) > 0

    def forward(self, clause_features: Tensor, active: Tensor) -> Tensor:
        """The network that hears each frame, (batch, frame) int64: 0 the general ones, k the k-th specialist.

        Args:
            clause_features: text features (batch, clause, width).
            active: which clause the prompt holds when, (batch, clause, frame) bool.
        """
        held = (self.named(clause_features)[..., None] & active[:, :, None]).sum(dim=1)
        enough = held >= _AT_LEAST
        return torch.where(enough.any(dim=1), enough.int().argmax(dim=1) + 1, 0)


def chosen(found: Sequence[Separation | None], heard: Tensor, patch: int) -> Separation:
    """Frame by frame, what the network that hears it found.

    A patch is heard by a specialist where one of its frames is.

    Args:
        found: of each network that hears any frame, the others None.
        heard: index in ``found`` for each frame, (batch, frame) int64.
        patch: frames in a patch.
    """
    there = [(index, one) for index, one in enumerate(found) if one is not None]
    of_patch = in_patches(heard, 1, patch).amax(dim=2)
    result = there[0][1]
    for index, other in there[1:]:
        frame, part = heard == index, of_patch == index
        result = replace(
            result,
            masks=torch.where(frame[:, None, :, None], other.masks, result.masks),
            directness=torch.where(frame[..., None], other.directness, result.directness),
            features=torch.where(part[:, None, :, None], other.features, result.features),
            presence=torch.where(part[:, None], other.presence, result.presence),
        )
    return result

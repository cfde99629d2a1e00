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
_PENALTY: Final = 0.03


class Specialties(nn.Module):
    """Which network hears a frame, by the kinds of objects that the prompt names there.

    Of text features, a linear map for each kind: a name is of that kind where it is above zero. It is fitted to names
    before a model is shipped (``tools/ship.py``), not trained with the networks.
    """

    def __init__(self, text_width: int, kinds: int) -> None:
        super().__init__()
        self.of_kind = nn.Linear(text_width, kinds)

    def named(self, clause_features: Tensor) -> Tensor:
        """Whether a name is of each kind, (batch, clause, kind) bool, by text features (batch, clause, width)."""
        return self.of_kind(clause_features) > 0

    @torch.no_grad()
    def fit(self, row: int, of_kind: Tensor, others: Tensor) -> None:
        """Fit one row to names, by their text features (name, width): those of the kind, and others.

            w = (X' D X + p m I)^-1 X' D y,        m the mean of the diagonal of X' D X

        with X the features and a column of ones that p does not hold back, y 1 for names of the kind and -1 for
        others, and D weights by which both count for a half.

        Source: ridge regression (Hoerl and Kennard 1970), as a classifier.
        """
        x = torch.cat([of_kind, others]).double()
        x = torch.cat([x, x.new_ones(len(x), 1)], dim=1)
        y = torch.cat([x.new_ones(len(of_kind)), -x.new_ones(len(others))])
        weight = torch.where(y > 0, 0.5 / len(of_kind), 0.5 / len(others))
        moments = (x * weight[:, None]).T @ x
        penalty = _PENALTY * moments.diagonal()[:-1].mean() * torch.eye(len(moments), dtype=x.dtype)
        penalty[-1, -1] = 0
        found = torch.linalg.solve(moments + penalty, (x * weight[:, None]).T @ y)
        self.of_kind.weight[row], self.of_kind.bias[row] = found[:-1].float(), found[-1].float()

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

"""What kind of object a name is of, told from its text features by a map that is fitted to words of the catalogue.

    w = (X' D X + p m I)^-1 X' D y,        m the mean of the diagonal of X' D X

with X the features (name, width) and a column of ones that p does not hold back, y 1 for names of the kind and -1 for
others, and D weights by which both count for a half. A name is of the kind where the map is above zero.

Source: ridge regression (Hoerl and Kennard 1970), as a classifier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn

from tas_core.datasets.sources.catalogue import load_categories
from tas_core.timeline.vocabulary import words_data

_PENALTY: Final = 0.03
_TALKERS_FILE: Final = "talkers.yaml"


def talker_names(*, held_out: bool = False) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of people who talk, and of everything else, of the catalogue; none is in both.

    Args:
        held_out: those that nothing is fitted to, in place of the others.
    """
    chosen = words_data(_TALKERS_FILE)["held_out" if held_out else "words"]
    people: dict[str, None] = dict.fromkeys(chosen)
    others: dict[str, None] = {}
    for category in load_categories():
        names = category.held_out if held_out else category.training_words
        (people if category.kind == "speech" else others).update(dict.fromkeys(names))
    return tuple(people), tuple(name for name in others if name not in people)


NAMES: Final[Mapping[str, Callable[[], tuple[tuple[str, ...], tuple[str, ...]]]]] = {"talkers": talker_names}
"""Names of each kind, and those that are not, by :data:`tas_core.models.slots.config.SPECIALTIES`."""


@torch.no_grad()
def fit_kind(layer: nn.Linear, row: int, of_kind: Tensor, others: Tensor) -> None:
    """Fit one row of a layer and its bias, as the module says.

    Args:
        layer: from text features to a number for each kind.
        row: which of them.
        of_kind: features of names of the kind, (name, width).
        others: features of names that are not, (name, width).
    """
    x = torch.cat([of_kind, others]).double()
    x = torch.cat([x, x.new_ones(len(x), 1)], dim=1)
    y = torch.cat([x.new_ones(len(of_kind)), -x.new_ones(len(others))])
    weight = torch.where(y > 0, 0.5 / len(of_kind), 0.5 / len(others))
    moments = (x * weight[:, None]).T @ x
    penalty = _PENALTY * moments.diagonal()[:-1].mean() * torch.eye(len(moments), dtype=x.dtype)
    penalty[-1, -1] = 0
    found = torch.linalg.solve(moments + penalty, (x * weight[:, None]).T @ y)
    layer.weight[row], layer.bias[row] = found[:-1].to(layer.weight), found[-1].to(layer.bias)

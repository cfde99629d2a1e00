"""What a model found in a sound, kept, so that putting it elsewhere costs no second separation.

Masks depend on the sound and on what the prompts call things, not on where they put them: a mirrored, centred or
dragged scene has the masks of the first.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from torch import Tensor

from tas_core.models.base import ClauseModel
from tas_core.models.slots.network import Separation


class SeparationCache:
    """The latest separations of one model, by all that they depend on.

    Args:
        entries: how many are kept; one takes some 15 MB for 10 s of two clauses.

    Attributes:
        hits: how many were found here.
    """

    def __init__(self, entries: int = 2) -> None:
        self._entries = entries
        self._kept: OrderedDict[str, Separation] = OrderedDict()
        self.hits = 0

    def separate(
        self, model: ClauseModel, spectrum: Tensor, clause_features: Tensor, active: Tensor, within: slice | None
    ) -> Separation:
        """As :meth:`tas_core.models.base.ClauseModel.separate` of the one model that this is for, to the bit."""
        key = hashlib.sha256(repr(within).encode())
        for tensor in (spectrum, clause_features, active):
            key.update(repr(tensor.shape).encode())
            key.update(tensor.cpu().contiguous().numpy().tobytes())
        name = key.hexdigest()
        found = self._kept.pop(name, None)
        self.hits += found is not None
        if found is None:
            found = model.separate(spectrum, clause_features, active, within)
        self._kept[name] = found
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)
        return found

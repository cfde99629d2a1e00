"""What every text encoder promises, and what they share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class TextEncoder(Protocol):
    """A frozen map from texts to vectors.

    Attributes:
        name: key in the registry, noted in checkpoints.
        width: length of a vector.
    """

    name: str
    width: int

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Encode `texts` to (len(texts), width): float32, on the CPU, no gradient, rows of unit length."""
        ...

    def to(self, device: torch.device) -> Self:
        """Compute on `device` from now on; vectors still come back to the CPU, the same to rounding. Returns itself."""
        ...


@runtime_checkable
class WordEncoder(Protocol):
    """A text encoder with a vocabulary, which says what it knows of a language."""

    def knows(self, word: str) -> bool:
        """Whether a word in lower case is one of the vocabulary, rather than put together from pieces of words."""
        ...


class CachedEncoder:
    """Encodes each distinct text once and remembers the latest texts.

    Args:
        encoder: the encoder that does the work.
        max_entries: texts to remember; at width 512 and float32, 4096 of them take 8 MB.
    """

    def __init__(self, encoder: TextEncoder, max_entries: int = 4096) -> None:
        if max_entries < 1:
            raise ValueError(f"max_entries must be at least 1, not {max_entries}")
        self.name = encoder.name
        self.width = encoder.width
        self._encoder = encoder
        self._max_entries = max_entries
        self._vectors: OrderedDict[str, Tensor] = OrderedDict()

    @property
    def wrapped(self) -> TextEncoder:
        """The encoder that does the work."""
        return self._encoder

    def to(self, device: torch.device) -> Self:
        """See :meth:`TextEncoder.to`."""
        self._encoder.to(device)
        return self

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Encode `texts` to (len(texts), width) as the wrapped encoder does, in one call for all new ones."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            # Cloned rows: a view would keep the whole batch alive after the others are forgotten.
            self._vectors.update((text, row.clone()) for text, row in zip(new, self._encoder(new), strict=True))
        for text in texts:
            self._vectors.move_to_end(text)
        result = torch.stack([self._vectors[text] for text in texts]) if texts else torch.zeros(0, self.width)
        while len(self._vectors) > self._max_entries:
            self._vectors.popitem(last=False)
        return result


def unit_rows(vectors: Tensor) -> Tensor:
    """Scale the rows of (n, width) to unit length, so that encoders can be exchanged; zero rows stay zero."""
    return torch.nn.functional.normalize(vectors.float(), dim=-1)


def mean_over_tokens(hidden: Tensor, mask: Tensor) -> Tensor:
    """Average hidden states (n, token, width) over the tokens where mask (n, token) is 1 -> (n, width)."""
    weights = mask.to(hidden.dtype).unsqueeze(-1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)

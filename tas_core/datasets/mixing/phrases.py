"""Text features of every phrase that training may use, computed once and kept in a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from tas_core.datasets.mixing.tensor_file import open_tensors
from tas_core.datasets.sources.catalogue import Category
from tas_core.errors import InputError
from tas_core.system.files import write_files
from tas_core.system.json_values import json_value

REST_PHRASES = ("everything else", "the rest", "the other instruments", "the background", "all other sounds")


@dataclass(frozen=True)
class PhraseTable:
    """Phrases and their text features: ``features`` float32 (phrase, channel)."""

    phrases: tuple[str, ...]
    features: Tensor
    encoder: str

    @staticmethod
    def build(
        categories: Sequence[Category], encode: Callable[[Sequence[str]], Tensor], encoder_name: str
    ) -> PhraseTable:
        """Encode every training and held-out word of the categories, and the phrases for the rest."""
        phrases = dict.fromkeys(w for c in categories for w in (*c.training_words, *c.held_out))
        phrases.update(dict.fromkeys(REST_PHRASES))
        listed = tuple(phrases)
        return PhraseTable(listed, torch.as_tensor(encode(listed)).float(), encoder_name)

    def rows(self, phrases: Sequence[str]) -> Tensor:
        """Row numbers of phrases, int64.

        Raises:
            InputError: a phrase is not in the table.
        """
        index = {p: i for i, p in enumerate(self.phrases)}
        for phrase in phrases:
            if phrase not in index:
                raise InputError(
                    f"the phrase table holds no features of '{phrase}', so it was made for other objects; "
                    "delete it and make the material anew",
                    remedy="material",
                )
        return torch.tensor([index[p] for p in phrases])

    def save(self, path: Path) -> None:
        """Write to one safetensors file."""
        meta = {"phrases": json.dumps(self.phrases), "encoder": self.encoder}
        write_files({path: save({"features": self.features}, metadata=meta)})

    @staticmethod
    def load(path: Path) -> PhraseTable:
        """Read a table.

        Raises:
            InputError: no such file, or not a phrase table.
        """
        with open_tensors(path, "not a readable phrase table") as (file, meta):
            phrases, features = json_value(meta["phrases"]), file.get_tensor("features")
            if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
                raise ValueError("phrases that are no list of texts")
            if features.ndim != 2 or len(features) != len(phrases) or not features.is_floating_point():
                raise ValueError(f"features of shape {tuple(features.shape)} for {len(phrases)} phrases")
            return PhraseTable(tuple(phrases), features, meta["encoder"])

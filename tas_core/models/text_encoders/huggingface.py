"""BERT and T5 through transformers: all token vectors are averaged, as in the paper's section 3.2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import torch
from torch import Tensor

from tas_core.errors import EncoderError
from tas_core.models.text_encoders.base import mean_over_tokens, unit_rows

HUB_NAMES: Final = {"bert": "google-bert/bert-base-uncased", "t5": "google-t5/t5-base"}
_CLASSES: Final = {"bert": "BertModel", "t5": "T5EncoderModel"}
_MAX_TOKENS: Final = 512


class HuggingFaceText:
    """Text encoders `bert` and `t5`: 768 wide with the default weights.

    Args:
        name: "bert" or "t5" (encoder half).
        location: folder or hub name in transformers' format with safetensors weights; None for the base model
            from the hub (or its local cache).

    Raises:
        EncoderError: transformers is not installed, or the weights are not there or do not fit.
    """

    def __init__(self, name: str, location: str | Path | None = None) -> None:
        self.name = name
        source = str(location or HUB_NAMES[name])
        local = Path(source).is_dir()
        try:
            import transformers
        except ImportError as error:
            raise EncoderError(f"text encoder {name!r} needs transformers: {error}") from error
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(source, local_files_only=local)
            model = getattr(transformers, _CLASSES[name]).from_pretrained(
                source, local_files_only=local, use_safetensors=True
            )
        # transformers raises OSError, ValueError and more
        except Exception as error:
            raise EncoderError(
                f"text encoder {name!r}: cannot load {source}: {' '.join(str(error).split())}; "
                "without a network, give a local folder"
            ) from error
        self._model = model.eval().requires_grad_(False)
        self.width = int(model.config.hidden_size)

    def to(self, device: torch.device) -> Self:
        """See :meth:`TextEncoder.to`."""
        self._model.to(device)
        return self

    def knows(self, word: str) -> bool:
        """Whether a word is one of the vocabulary, rather than put together from pieces of words."""
        pieces = self._tokenizer.tokenize(word)
        return len(pieces) == 1 and pieces[0] != self._tokenizer.unk_token

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Encode `texts` to (len(texts), width), rows of unit length; texts are cut at 512 tokens."""
        if not texts:
            return torch.zeros(0, self.width)
        batch = self._tokenizer(list(texts), padding=True, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt")
        tokens, mask = (batch[name].to(self._model.device) for name in ("input_ids", "attention_mask"))
        hidden = self._model(input_ids=tokens, attention_mask=mask).last_hidden_state
        return unit_rows(mean_over_tokens(hidden, mask)).cpu()

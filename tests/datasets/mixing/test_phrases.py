"""Tables of phrases: files of them, words that they lack, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tas_core.datasets.mixing.phrases import PhraseTable
from tas_core.errors import InputError
from tests.support.tiny import HashEncoder, phrase_table


def test_a_phrase_table_survives_saving(tmp_path: Path) -> None:
    table = phrase_table()
    table.save(tmp_path / "phrases.safetensors")
    back = PhraseTable.load(tmp_path / "phrases.safetensors")
    assert back.phrases == table.phrases
    assert back.encoder == "hash"
    assert torch.equal(back.features, table.features)
    rows = back.rows(["cello", "everything else", "piano"])
    torch.testing.assert_close(back.features[rows], HashEncoder()(["cello", "everything else", "piano"]))


def test_a_table_without_a_word_says_which(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no features of 'nose flute'"):
        phrase_table().rows(["piano", "nose flute"])
    (tmp_path / "phrases.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a readable phrase table"):
        PhraseTable.load(tmp_path / "phrases.safetensors")

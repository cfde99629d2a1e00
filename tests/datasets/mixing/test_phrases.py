"""Tables of phrases: files of them, words that they lack, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

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


@pytest.mark.parametrize(
    ("phrases", "features", "message"),
    [
        ('["a", "b"]', torch.zeros(3, 4), "features of shape \\(3, 4\\) for 2 phrases"),
        ('["a"]', torch.zeros(1), "features of shape"),
        ('["a"]', torch.zeros(1, 4, dtype=torch.long), "features of shape"),
        ("[3]", torch.zeros(1, 4), "no list of texts"),
        ('{"a": 1}', torch.zeros(1, 4), "no list of texts"),
        ("[" * 100_000, torch.zeros(1, 4), "too deep"),
    ],
)
def test_phrases_that_do_not_fit_together_are_an_input_error(
    tmp_path: Path, phrases: str, features: torch.Tensor, message: str
) -> None:
    path = tmp_path / "phrases.safetensors"
    save_file({"features": features}, str(path), metadata={"phrases": phrases, "encoder": "hash"})
    with pytest.raises(InputError, match=f"not a readable phrase table .*{message}"):
        PhraseTable.load(path)

"""BERT and T5 from a local folder, and the encoders of the hub without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tas_core.errors import EncoderError
from tas_core.models.text_encoders.base import TextEncoder
from tas_core.models.text_encoders.registry import build_text_encoder

ENVIRONMENT = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def _save_tokenizer(folder: Path, transformers) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[PAD]", "[UNK]", "a", "cello", "piano", "on", "the", "left", "right"]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)


def _tiny(name: str, transformers):
    torch.manual_seed(0)
    if name == "bert":
        config = transformers.BertConfig(
            vocab_size=9, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
        )
        return transformers.BertModel(config).eval()
    config = transformers.T5Config(vocab_size=9, d_model=8, d_kv=4, d_ff=16, num_layers=2, num_heads=2)
    return transformers.T5EncoderModel(config).eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert", "t5"])
def test_bert_and_t5_load_a_local_folder_and_average_the_tokens(tmp_path: Path, quiet_transformers, name: str) -> None:
    model = _tiny(name, quiet_transformers)
    model.save_pretrained(tmp_path)
    _save_tokenizer(tmp_path, quiet_transformers)
    encoder = build_text_encoder(name, tmp_path)
    assert isinstance(encoder, TextEncoder)
    assert (encoder.name, encoder.width) == (name, 8)
    vectors = encoder(["cello on the left", "piano"])

    for ids, row in zip(([3, 5, 6, 7], [4]), vectors, strict=True):
        with torch.no_grad():
            mean = model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(dim=0)
        torch.testing.assert_close(row, mean / mean.norm(), atol=1e-5, rtol=1e-4)
    assert not vectors.requires_grad
    assert encoder([]).shape == (0, 8)
    assert encoder.to(torch.device("meta")) is encoder
    assert {p.device.type for p in encoder._model.parameters()} == {"meta"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert", "t5"])
def test_bert_and_t5_without_weights_are_one_clear_line(tmp_path: Path, quiet_transformers, name: str) -> None:
    assert quiet_transformers
    with pytest.raises(EncoderError, match=f"text encoder '{name}': cannot load .*give a local folder") as caught:
        build_text_encoder(name, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_without_a_network_the_hub_encoders_say_so() -> None:
    code = """
import sys, warnings; warnings.simplefilter("ignore")
from tas_core.errors import EncoderError
from tas_core.models.text_encoders.registry import build_text_encoder
for name in ("clip", "bert", "t5"):
    try: build_text_encoder(name)
    except EncoderError as error: print(str(error).count(chr(10)), "without a network" in str(error))
"""
    environment = {**ENVIRONMENT, "HF_HOME": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split("\n")[:-1] == ["0 True"] * 3

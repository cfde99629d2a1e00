"""CLIP from a local folder, and a line for what is wrong with one."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch

from tas_core.errors import EncoderError
from tas_core.models.text_encoders.base import TextEncoder
from tas_core.models.text_encoders.registry import build_text_encoder


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
    assert encoder.to(torch.device("meta")) is encoder
    assert {p.device.type for p in encoder._model.parameters()} == {"meta"}
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

"""The text tower of CLIP (Radford et al. 2021), the paper's text encoder, through open_clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import torch
from torch import Tensor

from tas_core.errors import EncoderError
from tas_core.models.text_encoders.base import unit_rows

# OpenAI trained with the quick GELU; the plain "ViT-B-32" would silently use another activation.
ARCHITECTURE: Final = "ViT-B-32-quickgelu"
HUB_WEIGHTS: Final = "openai"


class ClipText:
    """Text encoder `clip`: 512 wide with the default weights.

    Args:
        location: None for OpenAI's ViT-B/32 from the hub (or its local cache); a `.safetensors` file with
            weights of that model; a folder with open_clip_config.json and safetensors weights; or a hub name
            such as "org/name" in open_clip's format.

    Raises:
        EncoderError: open_clip is not installed, or the weights are not there or do not fit.
    """

    name = "clip"

    def __init__(self, location: str | Path | None = None) -> None:
        model_name, weights = _resolve(location)
        try:
            import open_clip
        except ImportError as error:
            raise EncoderError(f"text encoder 'clip' needs open_clip_torch: {error}") from error
        try:
            model = open_clip.create_model(model_name, pretrained=weights, require_pretrained=True)
            self._tokenizer = open_clip.get_tokenizer(model_name)
        # open_clip raises many unrelated classes
        except Exception as error:
            source = location or f"{ARCHITECTURE} ({HUB_WEIGHTS}) from the hub"
            raise EncoderError(
                f"text encoder 'clip': cannot load {source}: {' '.join(str(error).split())}; "
                "without a network, give a local file or folder"
            ) from error
        model.visual = None
        self._model = model.eval().requires_grad_(False)
        self.width = self([""]).shape[1]

    def to(self, device: torch.device) -> Self:
        """See :meth:`TextEncoder.to`."""
        self._model.to(device)
        return self

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Encode `texts` to (len(texts), width), rows of unit length; texts are cut at 77 tokens."""
        if not texts:
            return torch.zeros(0, self.width)
        device = next(self._model.parameters()).device
        return unit_rows(self._model.encode_text(self._tokenizer(list(texts)).to(device))).cpu()


def _resolve(location: str | Path | None) -> tuple[str, str | None]:
    """What open_clip calls the model, and its weights."""
    if location is None:
        return ARCHITECTURE, HUB_WEIGHTS
    path = Path(location)
    if path.is_dir():
        if not (path / "open_clip_config.json").is_file() or not any(path.glob("*.safetensors")):
            raise EncoderError(
                f"text encoder 'clip': {path} needs open_clip_config.json and weights in a .safetensors file"
            )
        return f"local-dir:{path}", None
    if path.is_file():
        if path.suffix != ".safetensors":
            raise EncoderError(f"text encoder 'clip': {path} is not a .safetensors file (pickles are not loaded)")
        return ARCHITECTURE, str(path)
    name = str(location).removeprefix("hf-hub:")
    if is_hub_name(name):
        return f"hf-hub:{name}", None
    raise EncoderError(f"text encoder 'clip': no file or folder at {location}")


def is_hub_name(name: str) -> bool:
    """Whether `name` reads as "org/name", as opposed to a path."""
    parts = name.split("/")
    return len(parts) == 2 and all(parts) and not name.startswith((".", "~"))

"""Names of the text encoders, and the one function that builds them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tas_core.errors import EncoderError
from tas_core.models.text_encoders.base import TextEncoder


def _minilm(location: str | Path | None) -> TextEncoder:
    from tas_core.models.text_encoders.minilm import MiniLM

    return MiniLM(location)


def _clip(location: str | Path | None) -> TextEncoder:
    from tas_core.models.text_encoders.clip import ClipText

    return ClipText(location)


def _bert(location: str | Path | None) -> TextEncoder:
    from tas_core.models.text_encoders.huggingface import HuggingFaceText

    return HuggingFaceText("bert", location)


def _t5(location: str | Path | None) -> TextEncoder:
    from tas_core.models.text_encoders.huggingface import HuggingFaceText

    return HuggingFaceText("t5", location)


TEXT_ENCODERS: Final[dict[str, Callable[[str | Path | None], TextEncoder]]] = {
    "minilm": _minilm,
    "clip": _clip,
    "bert": _bert,
    "t5": _t5,
}


def build_text_encoder(name: str = "minilm", location: str | Path | None = None) -> TextEncoder:
    """Load a frozen text encoder.

    Args:
        name: a key of :data:`TEXT_ENCODERS`. Only "minilm" has its weights inside an installed package; the
            others read `location` or the hub.
        location: a local folder or file, or a hub name; None for the encoder's default.

    Raises:
        EncoderError: unknown name, or weights that are not there or do not fit.
    """
    if name not in TEXT_ENCODERS:
        raise EncoderError(f"unknown text encoder {name!r}, expected one of {', '.join(TEXT_ENCODERS)}")
    return TEXT_ENCODERS[name](location)

"""Frozen text encoders behind one protocol; each heavy library is imported only where it is needed."""

from tas_core.models.text_encoders.base import CachedEncoder, EncoderError, TextEncoder
from tas_core.models.text_encoders.registry import TEXT_ENCODERS, build_text_encoder

__all__ = ["TEXT_ENCODERS", "CachedEncoder", "EncoderError", "TextEncoder", "build_text_encoder"]

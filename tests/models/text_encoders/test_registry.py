from __future__ import annotations

import pytest

from tas_core.errors import EncoderError, InputError
from tas_core.models.text_encoders.registry import build_text_encoder


def test_an_unknown_encoder_is_named_with_the_known_ones() -> None:
    with pytest.raises(EncoderError, match="unknown text encoder 'glove', expected one of minilm, clip, bert, t5"):
        build_text_encoder("glove")
    assert issubclass(EncoderError, InputError)

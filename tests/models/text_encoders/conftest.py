"""What tests of text encoders share."""

from __future__ import annotations

import warnings

import pytest


@pytest.fixture(scope="module")
def quiet_transformers():
    """The library, without its warnings and progress bars."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        _ = transformers.BertModel, transformers.T5EncoderModel
    return transformers

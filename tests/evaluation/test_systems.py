"""Rows of a table, and the systems that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from tas_core.datasets.tasbench.layout import TasBench
from tas_core.errors import InputError
from tas_core.evaluation import systems
from tas_core.evaluation.clips import read_clip
from tas_core.evaluation.systems import SystemSpec
from tas_core.models.text_encoders.registry import build_text_encoder


def test_rows_that_cannot_be() -> None:
    for name, source, steps, message in (
        ("", "slots", None, "no name"),
        ("x", "", None, "no source"),
        ("mono", "mono", 2, "mono has no steps"),
        ("slots", "slots", 0, "expected 1 or more"),
    ):
        with pytest.raises(InputError, match=message):
            SystemSpec(name, source, steps)


def test_words_are_encoded_once_for_all_clips(
    scored: TasBench, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    encoder = build_text_encoder("minilm")

    class Counting:
        name, width, to = encoder.name, encoder.width, encoder.to

        def __call__(self, texts: Sequence[str]) -> torch.Tensor:
            read.extend(texts)
            return encoder(texts)

    monkeypatch.setattr("tas_core.models.text_encoders.registry.build_text_encoder", lambda _: Counting())
    system = systems.build_system(SystemSpec("tiny", str(tiny_model)), torch.device("cpu"))
    for name in scored.split_clips("test")[:2] * 2:
        clip = read_clip(scored, name)
        system(clip, clip.timeline, 0)
    assert len(read) == len(set(read)) > 1

"""What all text encoders share: the cache, means over tokens, and rows of length one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tas_core.models.text_encoders.base import CachedEncoder, TextEncoder, mean_over_tokens, unit_rows


class Spy:
    """Encoder that counts; a text becomes (length, 1)."""

    name = "spy"
    width = 2

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.device = torch.device("cpu")

    def to(self, device: torch.device) -> Spy:
        self.device = device
        return self

    def __call__(self, texts: Sequence[str]) -> Tensor:
        self.calls.append(list(texts))
        return torch.tensor([[len(text), 1.0] for text in texts]).reshape(-1, 2)


def test_the_cache_asks_once_for_each_distinct_text_and_keeps_the_order() -> None:
    spy = Spy()
    cached = CachedEncoder(spy)
    assert (cached.name, cached.width) == ("spy", 2)
    assert isinstance(cached, TextEncoder)
    assert cached(["aa", "b", "aa"])[:, 0].tolist() == [2, 1, 2]
    assert cached(["b", "ccc", "aa"])[:, 0].tolist() == [1, 3, 2]
    assert spy.calls == [["aa", "b"], ["ccc"]]
    assert cached([]).shape == (0, 2)


def test_the_encoder_behind_a_cache_goes_to_a_device() -> None:
    spy = Spy()
    cached = CachedEncoder(spy)
    assert cached.to(torch.device("meta")) is cached
    assert spy.device.type == "meta"


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

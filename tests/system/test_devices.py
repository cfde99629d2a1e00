"""The choice of a device, on machines with and without CUDA."""

from __future__ import annotations

import ctypes
import sys

import pytest
import torch

from tas_core.errors import InputError
from tas_core.system.devices import DEVICES, choose_device, keep_freed_memory, one_thread


@pytest.mark.parametrize(
    ("name", "there", "chosen"),
    [
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cuda", True, "cuda"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
    ],
)
def test_auto_takes_cuda_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, name: str, there: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device(name) == torch.device(chosen)


def test_cuda_is_not_silently_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"'cuda' was requested.*use the CPU"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["", "gpu", "CPU", "cuda:1", "mps"])
def test_unknown_names_are_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match=f"unknown device '{name}'.*{', '.join(DEVICES)}"):
        choose_device(name)


def test_memory_settings_are_left_alone_elsewhere_than_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} was opened")

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    keep_freed_memory()


def test_another_c_library_than_glibc_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", missing)
    keep_freed_memory()


def test_one_thread_is_for_a_while() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before

"""Folders of material: whole or not at all, and damage is said."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tas_core.datasets.mixing import material
from tas_core.datasets.mixing.bank import BankSettings, StemBank
from tas_core.datasets.mixing.material import open_material
from tas_core.datasets.mixing.room_bank import RoomBank
from tas_core.errors import InputError, TasError
from tests.support.tiny import HashEncoder, dry_rooms, tone_bank, write_material


def test_material_is_a_folder_with_everything(tmp_path: Path) -> None:
    folder = write_material(tmp_path / "material")
    batch = open_material(folder, "val", "hash", seed=1).compose(0, 2)
    assert bool(torch.isfinite(batch.mid).all())
    with pytest.raises(InputError, match=r"phrases-clip\.safetensors"):
        open_material(folder, "train", "clip")
    (folder / "rooms-test.safetensors").unlink()
    with pytest.raises(InputError, match=r"rooms-test\.safetensors"):
        open_material(folder, "test", "hash")
    with pytest.raises(InputError, match="no such folder"):
        open_material(tmp_path / "elsewhere", "train", "hash")


def _few(monkeypatch: pytest.MonkeyPatch, bank: Callable[[], StemBank]) -> None:
    monkeypatch.setattr(material, "build_bank", lambda *_, **__: bank())
    monkeypatch.setattr(material, "build_rooms", lambda *_, **__: dry_rooms())


def _build(folder: Path) -> None:
    material.build_material(folder, BankSettings(), encode=HashEncoder(), encoder_name="hash")


def test_a_full_disk_leaves_no_half_file_of_material(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _few(monkeypatch, tone_bank)
    with monkeypatch.context() as patch:

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(os, "fsync", full)
        with pytest.raises(TasError, match=r"bank\.safetensors: cannot write .*disk full"):
            _build(tmp_path)
        assert list(tmp_path.iterdir()) == []
    (tmp_path / ".tas-0123456789ab.part").touch()  # as a killed program leaves it
    _build(tmp_path)
    assert torch.equal(StemBank.load(tmp_path / "bank.safetensors").samples, tone_bank().samples)
    assert len(RoomBank.load(tmp_path / "rooms-test.safetensors").responses) == 1
    assert len(list(tmp_path.iterdir())) == 5
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    _build(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept


def test_two_at_once_in_one_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other settings, each would keep a part of what the other makes."""
    refused = []

    def bank() -> StemBank:
        if not refused:
            with pytest.raises(InputError, match="another program makes material there") as error:
                _build(tmp_path)
            refused.append(error.value)
        return tone_bank()

    _few(monkeypatch, bank)
    _build(tmp_path)
    assert len(refused) == 1
    assert len(list(tmp_path.iterdir())) == 5


def test_material_that_is_damaged_is_not_kept_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _few(monkeypatch, tone_bank)
    _build(tmp_path)
    path = tmp_path / "bank.safetensors"
    for size in (path.stat().st_size - 1, 100, 0):
        os.truncate(path, size)
        with pytest.raises(InputError, match=r"bank\.safetensors: damaged .* remove it to have it made anew"):
            _build(tmp_path)


def test_a_folder_for_material_is_looked_at_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> StemBank:
        raise AssertionError("the bank was built")

    _few(monkeypatch, refuse)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: not a folder"):
        _build(tmp_path / "file")
    with pytest.raises(InputError, match=r"file/sub: no folder can be made .*Not a directory"):
        _build(tmp_path / "file" / "sub")

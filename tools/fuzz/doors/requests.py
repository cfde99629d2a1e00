"""Requests to ``tas serve``: fields in JSON, with paths in granted folders or with files that came along."""

from __future__ import annotations

from pathlib import Path

from tas_core.errors import InputError
from tas_core.jobs.request import FileOptions
from tas_core.serving.maker import Order
from tas_core.serving.orders import OUT_FOLDER, Upload, file_order, sound_order
from tas_core.serving.settings import Folders
from tas_core.system.json_values import json_value
from tools.fuzz.door import Door

_HERE = b"@HERE@"


def _said(data: bytes, folder: Path) -> object:
    """What JSON says, as :func:`tas_core.serving.answers.parsed_json` reads it; @HERE@ is the granted folder."""
    try:
        return json_value(data.replace(_HERE, str(folder).encode()))
    except ValueError as error:
        raise InputError(f"not JSON: {error}") from None


def _check(order: Order, folder: Path) -> None:
    for made in order.request.deliveries:
        if not made.path.resolve().is_relative_to(folder):
            raise AssertionError("an output outside of the folder of outputs")


def _paths(data: bytes, folder: Path) -> None:
    (folder / "a.srt").write_text("00:00:00,000 --> 00:00:01,000\ndog left\n", "utf-8")
    _check(file_order(_said(data, folder), FileOptions(), Folders.of([folder], [folder])), folder)


def _upload(data: bytes, folder: Path) -> None:
    said = _said(data, folder)
    name = said.pop("name", "a.wav") if isinstance(said, dict) else "a.wav"
    order, _ = sound_order(said, Upload(folder, str(name)), None, FileOptions(), Folders())
    _check(order, folder / OUT_FOLDER)


_TOKENS = tuple(
    word.encode()
    for word in (
        *("@HERE@/", "/../", "..", "/etc/x.wav", "\\ud800", "\\u0000", '"sound"', '"output"', '"timeline"', '"stems"'),
        *('"format"', "objects", "adm", "rpp", '"report"', "NaN", "1e999", "-1", "null", "9" * 30, "9" * 400, "[[[["),
    )
)
DOORS = (
    Door(
        "request",
        _paths,
        lambda: [
            b'{"sound": "@HERE@/a.wav", "output": "@HERE@/o.wav", "prompt": "dog left", "start": 1.5, "steps": 3}',
            b'{"sound": "@HERE@/a.wav", "output": "@HERE@/o.adm.wav", "timeline": "@HERE@/a.srt", "stems": "@HERE@/s"}',
        ],
        _TOKENS,
    ),
    Door(
        "upload", _upload, lambda: [b'{"name": "a.wav", "output": "o.flac", "prompt": "dog left", "gain": -3}'], _TOKENS
    ),
)

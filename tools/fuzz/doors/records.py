"""Small records: configuration, answers and keys of studies, kept results, logs, and how an output was made."""

from __future__ import annotations

import json
import os
from pathlib import Path
from unittest import mock

import typer

from tas_cli.configuration import load_configuration
from tas_cli.main import app
from tas_core.evaluation.cache import RESULTS_FILE, Cache
from tas_core.reporting.report.page import read_provenance
from tas_core.reporting.study.records import read_key
from tas_core.reporting.study.scoring import score_study
from tas_core.training.log import RunLog
from tools.fuzz.door import Door

_PROGRAM = typer.main.get_command(app)
_TOML = (
    b'model = "slots"\njobs = 2\n[spatialize]\nsteps = 3\nwidth = 1.5\n[data.bank]\nclips = 4\n',
    b'progress = "json"\n[spatialize]\nrenderer = "sphere"\nwidth = 0.5\n',
)
_KEY = {
    "format": 1,
    "study": "0123456789abcdef",
    "seed": 3,
    "systems": ["a", "b"],
    "clips": [{"clip": "x", "objects": [{"object": "dog", "azimuth_deg": 40.0}]}],
    "items": [{"item": 1, "clip": "x", "system": "a"}, {"item": 2, "clip": "x", "system": "b"}],
}
_ANSWERS = {
    "format": 1,
    "study": _KEY["study"],
    "session": "00ff",
    "participant": "Jo",
    "started": "2026-01-01T10:00:00Z",
    "finished": None,
    "check": {"passed": True, "attempts": 1},
    "items": [{"item": 1, "answers": ["left"], "plays": 2, "listened_s": 3.5}],
}


def _config(data: bytes, folder: Path) -> None:
    path = folder / "config.toml"
    path.write_bytes(data)
    with mock.patch.dict(os.environ, {"TAS_CONFIG": str(path)}):
        load_configuration(_PROGRAM).default_map()


def _variables(data: bytes, folder: Path) -> None:
    """Variables of the environment, a line for each."""
    del folder
    lines = data.decode("utf-8", "surrogateescape").replace("\0", "").split("\n")
    pairs = (line.partition("=")[::2] for line in lines)
    said = {f"TAS_{name.upper()}": value for name, value in pairs if name.isprintable() and name.upper() != "CONFIG"}
    with mock.patch.dict(os.environ, {**said, "TAS_CONFIG": os.devnull}):
        load_configuration(_PROGRAM).default_map()


def _study(key: bytes, answers: bytes, folder: Path) -> None:
    paths = folder / "key.json", folder / "answers.json"
    for path, content in zip(paths, (key, answers), strict=True):
        path.write_bytes(content)
    read_key(paths[0])
    score_study(paths[0], paths[1:], resamples=20).as_dict()


def _ledger(data: bytes, folder: Path) -> None:
    path = folder / RESULTS_FILE
    path.write_bytes(data)
    kept = Cache(folder).get("a")
    if kept is not None:  # as the tables of an evaluation take it
        json.dumps({name: float(value) for name, value in kept["measures"].items()}, allow_nan=False)


def _log(data: bytes, folder: Path) -> None:
    path = folder / "log.jsonl"
    path.write_bytes(data)
    with RunLog(path, 3, lambda step, metrics: None) as log:
        log.write(4, {"loss": 1.0})


def _provenance(data: bytes, folder: Path) -> None:
    path = folder / "how.json"
    path.write_bytes(data)
    json.dumps(read_provenance(path), allow_nan=False)


_TOKENS = tuple(
    word.encode()
    for word in (
        *(
            "NaN",
            "1e999",
            "1e308",
            "-1",
            "null",
            "true",
            "[]",
            "{}",
            "[" * 50,
            "9" * 30,
            "9" * 400,
            "9" * 5000,
            "0x" + "f" * 5000,
        ),
        *(
            '"key"',
            '"result"',
            '"step"',
            '"items"',
            '"answers"',
            '"clips"',
            "\\ud800",
            "\\u0000",
            "jobs=",
            "model=",
            "steps",
        ),
    )
)
DOORS = (
    Door("config", _config, lambda: list(_TOML), _TOKENS),
    Door("variables", _variables, lambda: [b"JOBS=2\nSPATIALIZE_STEPS=3\nSPATIALIZE_WIDTH=1.5\nDEVICE=cpu\n"], _TOKENS),
    Door(
        "answers",
        lambda data, folder: _study(json.dumps(_KEY).encode(), data, folder),
        lambda: [json.dumps(_ANSWERS).encode()],
        _TOKENS,
    ),
    Door(
        "key",
        lambda data, folder: _study(data, json.dumps(_ANSWERS).encode(), folder),
        lambda: [json.dumps(_KEY).encode()],
        _TOKENS,
    ),
    Door(
        "ledger",
        _ledger,
        lambda: [b'{"key": "a", "clip": "x", "kind": "score", "result": {"measures": {"snr_db": 1.0}}}\n'],
        _TOKENS,
    ),
    Door("log", _log, lambda: [b'{"step": 1, "loss": 2.0}\n{"step": 4, "loss": 2.0}\n{"st'], _TOKENS),
    Door(
        "provenance", _provenance, lambda: [b'{"model": "slots", "seconds": {"sample": 0.5}, "segments": []}'], _TOKENS
    ),
)

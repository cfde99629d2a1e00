"""Checkpoints as ``tas models info`` and ``--model`` read them, their calibrations, and states of training runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from tas_core.models.calibration import CALIBRATION_FILE, read_calibration
from tas_core.models.description import CONFIG_FILE, SPECIALISTS_FILE, WEIGHTS_FILE
from tas_core.models.differences import as_differences
from tas_core.models.eight_bits import in_eight_bits
from tas_core.models.info import list_models, model_info
from tas_core.models.registry import load_network
from tas_core.models.slots.config import SlotsConfig
from tas_core.models.slots.model import SlotsModel
from tas_core.models.unets.mono2binaural import Mono2BinauralConfig, Mono2BinauralModel
from tas_core.training.state import TRAINING_FILE, load_training_state
from tools.fuzz.door import Door

_CONFIG = Mono2BinauralConfig(n_fft=64, hop=16, window=32, base_channels=1, text_channels=2, text_width=2)
_TWO_NETWORKS = SlotsConfig(
    networks=2,
    specialists=("talkers",),
    channels=4,
    frame_channels=1,
    blocks=1,
    fusion_after=(1,),
    mask_features=1,
    diffuse_channels=2,
    diffuse_layers=1,
    text_width=2,
)
_DIGEST = "0" * 64


@cache
def _state() -> Mapping[str, torch.Tensor]:
    torch.manual_seed(0)
    return Mono2BinauralModel(_CONFIG).state_dict()


def _described(**changes: Any) -> bytes:
    said = {"format": 1, "family": "mono2binaural", "config": asdict(_CONFIG), "provenance": {"steps": 3, "hours": 0.1}}
    return json.dumps({**said, **changes}).encode()


@cache
def _weights(eight_bits: bool = False) -> bytes:
    state = dict(_state())
    return safetensors.torch.save(in_eight_bits(state) if eight_bits else state)


@cache
def _first_and_second() -> tuple[bytes, bytes]:
    """Both files of a model with a specialist."""
    torch.manual_seed(0)
    state = SlotsModel(_TWO_NETWORKS).state_dict()
    later = {name: value for name, value in state.items() if name.startswith(("networks.1.", "specialties."))}
    first = {name: value for name, value in state.items() if name not in later}
    return safetensors.torch.save(first), safetensors.torch.save(in_eight_bits(as_differences(later, first, 1)))


def _read_specialists(data: bytes, folder: Path) -> None:
    described = _described(format=3, family="slots", config=asdict(_TWO_NETWORKS))
    for name, content in ((CONFIG_FILE, described), (WEIGHTS_FILE, _first_and_second()[0]), (SPECIALISTS_FILE, data)):
        (folder / name).write_bytes(content)
    model_info(str(folder))
    load_network(str(folder))


def _calibration() -> bytes:
    values = {"format": 1, "model_digest": _DIGEST, "intercept": -1.0, "weights": {"sharpness": 2.0}, "low": 0.3}
    return json.dumps({**values, "provenance": {}}).encode()


def _read(data: bytes, folder: Path, *, file: str) -> None:
    """A checkpoint of which one file is the attacker's."""
    for name, content in ((CONFIG_FILE, _described()), (WEIGHTS_FILE, _weights())):
        (folder / name).write_bytes(data if name == file else content)
    list(list_models([folder]))
    model_info(str(folder))
    load_network(str(folder))


def _read_calibration(data: bytes, folder: Path) -> None:
    (folder / CALIBRATION_FILE).write_bytes(data)
    read_calibration(folder, _DIGEST)


def _training() -> bytes:
    tensors = {"optimizer/0/exp_avg": torch.zeros(2), "model/weight": torch.ones(2), "ema/weight": torch.ones(2)}
    groups = [{"options": {"lr": 0.1, "betas": [0.9, 0.99], "params": [0]}, "tuples": ["betas"]}]
    header = {"format": 1, "step": 7, "extra": {"seed": 0}, "param_groups": groups, "scalars": {"0": {"step": 7.0}}}
    return safetensors.torch.save(tensors, metadata={"training": json.dumps(header)})


def _read_training(data: bytes, folder: Path) -> None:
    (folder / TRAINING_FILE).write_bytes(data)
    load_training_state(folder)


_TOKENS = tuple(
    word.encode()
    for word in (
        *('"format"', '"family"', '"config"', '"weights"', '"provenance"', '"__metadata__"', '"dtype"', '"shape"'),
        *(
            '"data_offsets"',
            "F8_E4M3",
            "F8_E5M2",
            "BF16",
            "I8",
            "U64",
            "BOOL",
            "C64",
            "F4",
            "NaN",
            "1e999",
            "1e308",
            "-1",
            "null",
        ),
        *("[[[[[[[[", '{"a":', "9" * 30, "9" * 400, "true", "slots", "paper", "apnet", "mono2binaural", ".int8_scale"),
        *(".difference_out", ".difference_in", "networks.0.", "networks.2."),
    )
)
DOORS = (
    Door(
        "checkpoint-config",
        partial(_read, file=CONFIG_FILE),
        lambda: [_described(), _described(family="slots", config={"channels": 4, "blocks": 1}), _described(format=2)],
        _TOKENS,
    ),
    Door("checkpoint-weights", partial(_read, file=WEIGHTS_FILE), lambda: [_weights(), _weights(True)], _TOKENS),
    Door("checkpoint-specialists", _read_specialists, lambda: [_first_and_second()[1]], _TOKENS),
    Door("calibration", _read_calibration, lambda: [_calibration()], _TOKENS),
    Door("training-state", _read_training, lambda: [_training()], _TOKENS),
)
